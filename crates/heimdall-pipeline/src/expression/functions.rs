//! Functions beside those of the library.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cel::common::types::DYN_TYPE;
use cel::common::value::{CowVal, Val};
use cel::objects::Key;
use cel::{Env, ExecutionError, Value, extensions};
use regex::Regex;

use crate::gate::Network;

type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Functions with their names as rewriting spells them, and how many arguments they take.
pub(super) const OWN: [(&str, usize); 10] = [
    ("@in_networks", 2),
    ("@overlap", 2),
    ("@pick", 2),
    ("@at", 2),
    ("@last", 1),
    ("@regexFind", 2),
    ("@regexFindAll", 2),
    ("sets.contains", 2),
    ("sets.intersects", 2),
    ("sets.equivalent", 2),
];

/// What every expression is compiled for and evaluated in.
pub(super) fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib();
        let extend = [
            extensions::strings,
            extensions::lists,
            extensions::math,
            extensions::encoders,
        ];
        for extension in extend {
            // a name that is taken would be a fault of the library alone: its own function stays
            let _ = env.add_extension(extension);
        }
        for (name, arguments) in OWN {
            let _ = env.add_overload(
                name,
                name,
                (0..arguments).map(|_| DYN_TYPE).collect(),
                function(name),
            );
        }
        Arc::new(env)
    });
    &ENVIRONMENT
}

fn function(name: &str) -> cel::common::functions::Function {
    match name {
        "@in_networks" => in_networks,
        "@overlap" => overlap,
        "@pick" => pick,
        "@at" => at,
        "@last" => last,
        "@regexFind" => regex_find,
        "@regexFindAll" => regex_find_all,
        "sets.contains" => sets_contains,
        "sets.intersects" => overlap,
        _ => sets_equivalent,
    }
}

fn failed(function: &str, message: impl ToString) -> ExecutionError {
    ExecutionError::function_error(function.trim_start_matches('@'), message.to_string())
}

fn values<const N: usize>(
    args: &[CowVal<'_, '_>],
    name: &str,
) -> Result<[Value; N], ExecutionError> {
    let all = args
        .iter()
        .map(|arg| Value::try_from(arg.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    all.try_into()
        .map_err(|_| failed(name, "wrong number of arguments"))
}

fn give<'b, 'v>(value: Value) -> Outcome<'b, 'v> {
    let boxed: Box<dyn Val> = value
        .try_into()
        .map_err(|_| failed("value", "can not be used"))?;
    Ok(CowVal::Owned(boxed))
}

fn texts(value: &Value, name: &str) -> Result<Vec<String>, ExecutionError> {
    match value {
        Value::String(text) => Ok(vec![text.to_string()]),
        Value::List(items) => items.iter().map(|item| text(item, name)).collect(),
        _ => Err(failed(name, "wants text or a list of texts")),
    }
}

fn text(value: &Value, name: &str) -> Result<String, ExecutionError> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        _ => Err(failed(name, "wants text")),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], ExecutionError> {
    match value {
        Value::List(items) => Ok(items),
        _ => Err(failed(name, "wants a list")),
    }
}

fn in_networks<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [addresses, networks] = values(&args, "networks")?;
    let networks = texts(&networks, "networks")?
        .iter()
        .map(|text| {
            Network::parse(text)
                .filter(|_| text.contains('/'))
                .ok_or_else(|| failed("networks", format!("`{text}` is no network")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let inside = texts(&addresses, "networks")?.iter().all(|address| {
        address
            .parse::<IpAddr>()
            .is_ok_and(|address| networks.iter().any(|network| network.contains(address)))
    });
    give(Value::Bool(inside))
}

fn overlap<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [a, b] = values(&args, "sets.intersects")?;
    let b = list(&b, "sets.intersects")?;
    give(Value::Bool(
        list(&a, "sets.intersects")?
            .iter()
            .any(|item| b.contains(item)),
    ))
}

fn sets_contains<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [all, some] = values(&args, "sets.contains")?;
    let all = list(&all, "sets.contains")?;
    give(Value::Bool(
        list(&some, "sets.contains")?
            .iter()
            .all(|item| all.contains(item)),
    ))
}

fn sets_equivalent<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [a, b] = values(&args, "sets.equivalent")?;
    let (a, b) = (list(&a, "sets.equivalent")?, list(&b, "sets.equivalent")?);
    give(Value::Bool(
        a.iter().all(|item| b.contains(item)) && b.iter().all(|item| a.contains(item)),
    ))
}

/// The member of a map of texts, empty when there is none; names of headers in lower case.
fn pick<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [map, name] = values(&args, "Header")?;
    let name = text(&name, "Header")?;
    let Value::Map(map) = &map else {
        return Err(failed("Header", "no request"));
    };
    let found = [name.clone(), name.to_ascii_lowercase()]
        .into_iter()
        .find_map(|name| map.map.get(&Key::from(name)).cloned());
    give(found.unwrap_or_else(|| Value::String(Arc::default())))
}

fn at<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [items, place] = values(&args, "at")?;
    let (items, Value::Int(place)) = (list(&items, "at")?, place) else {
        return Err(failed("at", "wants a number"));
    };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = if place < 0 { length + place } else { place };
    let found = usize::try_from(place)
        .ok()
        .and_then(|place| items.get(place));
    give(
        found
            .cloned()
            .ok_or_else(|| failed("at", "position is outside of the list"))?,
    )
}

fn last<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [items] = values(&args, "last")?;
    give(list(&items, "last")?.last().cloned().unwrap_or(Value::Null))
}

fn regex_find<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [hay, pattern] = values(&args, "regexFind")?;
    let (hay, pattern) = (text(&hay, "regexFind")?, text(&pattern, "regexFind")?);
    let regex = Regex::new(&pattern).map_err(|error| failed("regexFind", error))?;
    give(Value::from(
        regex.find(&hay).map_or("", |found| found.as_str()),
    ))
}

fn regex_find_all<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let [hay, pattern] = values(&args, "regexFindAll")?;
    let (hay, pattern) = (text(&hay, "regexFindAll")?, text(&pattern, "regexFindAll")?);
    let regex = Regex::new(&pattern).map_err(|error| failed("regexFindAll", error))?;
    give(Value::List(Arc::new(
        regex
            .find_iter(&hay)
            .map(|found| Value::from(found.as_str()))
            .collect(),
    )))
}
