//! Methods of Go's own types.

use crate::native::Native;
use crate::value::MapType;
use crate::{CallError, IntType, Map, Value};

/// What `String` or `Error` gives for a value that has such a method.
pub(crate) fn string_method(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Int(n, IntType::Duration) => Some(crate::time::duration_text(*n)),
        Value::Int(n, IntType::Month) => Some(crate::time::month_name(*n)),
        Value::Int(n, IntType::Weekday) => Some(crate::time::weekday_name(*n)),
        Value::Time(time) => Some(time.to_go_string()),
        Value::Object(object) => object.text(),
        Value::Shared(object) => object.text(),
        Value::Native(Native::Version(version)) => Some(version.to_string()),
        _ => None,
    }
}

/// Calls a method of one of Go's types; `None` when it has none of this name.
pub(crate) fn call<'a>(
    receiver: &Value<'a>,
    name: &str,
    args: &[Value<'a>],
) -> Option<Result<Value<'a>, CallError>> {
    match receiver {
        Value::Object(object) => object.call(name, args),
        Value::Shared(object) => {
            let args: Option<Vec<Value<'_>>> = args.iter().map(Value::detached).collect();
            match args {
                Some(args) => object.call(name, &args).map(detach),
                None => Some(Err(CallError::new("a shared object takes no borrowed one"))),
            }
        }
        Value::Time(time) => crate::time::method(*time, name, args),
        Value::Int(n, kind @ (IntType::Duration | IntType::Month | IntType::Weekday)) => {
            crate::time::number_method(*n, *kind, name, args)
        }
        Value::Native(Native::Version(version)) => version.method(name, args),
        Value::Map(map @ Map::Owned(dict)) if dict.kind() == MapType::UrlValues => {
            crate::url::values_method(map, name, args)
        }
        Value::Map(map @ Map::Borrowed(_)) if map.type_name() == "url.Values" => {
            crate::url::values_method(map, name, args)
        }
        _ => None,
    }
}

/// The exported field of a structure; `None` when it has none of this name.
pub(crate) fn field<'a>(receiver: &Value<'a>, name: &str) -> Option<Result<Value<'a>, CallError>> {
    match receiver {
        Value::Object(object) => object.field(name).map(Ok),
        Value::Shared(object) => object.field(name).map(|value| detach(Ok(value))),
        Value::Native(native) => native.field(name).map(Ok),
        _ => None,
    }
}

/// What a shared object gives may live as long as the call only.
fn detach<'b>(result: Result<Value<'_>, CallError>) -> Result<Value<'b>, CallError> {
    result?
        .detached()
        .ok_or_else(|| CallError::new("a shared object gave a borrowed one"))
}

/// Refuses a call with another number of arguments.
pub(crate) fn expect_args(name: &str, args: &[Value<'_>], wanted: usize) -> Result<(), CallError> {
    if args.len() == wanted {
        return Ok(());
    }
    Err(CallError::new(format!(
        "wrong number of args for {name}: want {wanted} got {}",
        args.len()
    )))
}

/// The string argument of a method.
pub(crate) fn str_arg<'v>(
    name: &str,
    args: &'v [Value<'_>],
    index: usize,
) -> Result<&'v str, CallError> {
    args.get(index).and_then(Value::as_str).ok_or_else(|| {
        CallError::new(format!(
            "wrong type for argument {} of {name}; expected string",
            index + 1
        ))
    })
}
