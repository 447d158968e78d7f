//! `@name` and `@name:argument`: what is made of a whole value.

use serde_json::{Map, Value};

use crate::authenticators::pick::as_text;

/// What a modifier makes of a value; nothing for one that is not known.
pub(super) fn apply(value: &Value, text: &str) -> Option<Value> {
    let (name, argument) = match text.split_once(':') {
        Some((name, argument)) => (name, argument),
        None => (text, ""),
    };
    Some(match (name, value) {
        ("@this" | "@valid" | "@ugly" | "@pretty", _) => value.clone(),
        ("@keys", Value::Object(members)) => members.keys().cloned().map(Value::String).collect(),
        ("@values", Value::Object(members)) => members.values().cloned().collect(),
        ("@values", Value::Array(_)) => value.clone(),
        ("@keys", Value::Array(items)) => items.iter().map(|_| Value::Null).collect(),
        ("@reverse", Value::Array(items)) => items.iter().rev().cloned().collect(),
        ("@reverse", _) => value.clone(),
        ("@flatten", Value::Array(items)) => flatten(items, flag(argument, "deep")),
        ("@flatten", _) => value.clone(),
        ("@join", Value::Array(items)) => join(items),
        ("@join", _) => value.clone(),
        ("@tostr", _) => Value::String(value.to_string()),
        ("@fromstr", Value::String(text)) => serde_json::from_str(text).ok()?,
        ("@group", Value::Object(members)) => group(members),
        ("@dig", _) => {
            let mut found = Vec::new();
            dig(value, argument, &mut found);
            Value::Array(found)
        }
        _ => return None,
    })
}

fn flag(argument: &str, name: &str) -> bool {
    serde_json::from_str::<Value>(argument).is_ok_and(|options| {
        options
            .get(name)
            .is_some_and(|found| as_text(found) == "true")
    })
}

fn flatten(items: &[Value], deep: bool) -> Value {
    let mut flat = Vec::new();
    for item in items {
        match item {
            Value::Array(inner) if deep => match flatten(inner, true) {
                Value::Array(inner) => flat.extend(inner),
                other => flat.push(other),
            },
            Value::Array(inner) => flat.extend(inner.iter().cloned()),
            other => flat.push(other.clone()),
        }
    }
    Value::Array(flat)
}

/// Several objects as one; the last of a name wins.
fn join(items: &[Value]) -> Value {
    let objects = items.iter().filter_map(Value::as_object);
    Value::Object(
        objects
            .flat_map(|object| {
                object
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone()))
            })
            .collect(),
    )
}

/// `{"a":[1,2],"b":[3,4]}` as `[{"a":1,"b":3},{"a":2,"b":4}]`.
fn group(members: &Map<String, Value>) -> Value {
    let longest = members
        .values()
        .filter_map(Value::as_array)
        .map(Vec::len)
        .max();
    let row = |index: usize| {
        let cells = members.iter().filter_map(|(name, column)| {
            Some((name.clone(), column.as_array()?.get(index)?.clone()))
        });
        Value::Object(cells.collect())
    };
    (0..longest.unwrap_or_default()).map(row).collect()
}

/// Every value below that a path leads to.
fn dig(value: &Value, path: &str, found: &mut Vec<Value>) {
    found.extend(super::pick(value, path));
    match value {
        Value::Object(members) => members.values().for_each(|inner| dig(inner, path, found)),
        Value::Array(items) => items.iter().for_each(|inner| dig(inner, path, found)),
        _ => {}
    }
}
