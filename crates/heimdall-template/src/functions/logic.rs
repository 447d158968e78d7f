//! Go's other built-in functions: `index`, `slice`, `len`, `not`, `call`, printing.

use super::{arg, convert};
use crate::context::Context;
use crate::sink::Sink;
use crate::value::Elem;
use crate::{CallError, List, UintType, Value};

pub(super) fn not<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::Bool(!arg(args, 0).truth()))
}

pub(super) fn len<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let length = match arg(args, 0) {
        Value::Str(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => cx.current(map.clone()).len(),
        Value::Missing | Value::Nil => return Err("len of nil pointer".into()),
        value => return Err(CallError::new(format!("len of type {}", value.type_name()))),
    };
    Ok(Value::int(length as i64))
}

/// An index into something of `length`, itself included.
fn position(index: &Value<'_>, length: usize) -> Result<usize, CallError> {
    let wanted = match index {
        Value::Int(n, _) => *n,
        Value::Uint(n, _) => *n as i64,
        Value::Missing | Value::Nil => return Err("cannot index slice/array with nil".into()),
        value => {
            return Err(CallError::new(format!(
                "cannot index slice/array with type {}",
                value.type_name()
            )));
        }
    };
    usize::try_from(wanted)
        .ok()
        .filter(|at| *at <= length)
        .ok_or_else(|| CallError::new(format!("index out of range: {wanted}")))
}

pub(super) fn index<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let (item, indexes) = args.split_first().ok_or("missing item")?;
    if item.is_nil() {
        return Err("index of untyped nil".into());
    }
    let mut item = item.clone();
    for at in indexes {
        item = match &item {
            Value::Missing | Value::Nil => return Err("index of nil pointer".into()),
            Value::List(list) => {
                let at = position(at, list.len())?;
                list.get(at).ok_or("reflect: slice index out of range")?
            }
            Value::Str(text) => {
                let at = position(at, text.len())?;
                let byte = text
                    .as_bytes()
                    .get(at)
                    .ok_or("reflect: string index out of range")?;
                Value::Uint((*byte).into(), UintType::Uint8)
            }
            Value::Map(map) => match at {
                Value::Str(key) => cx
                    .current(map.clone())
                    .get_text(key)
                    .unwrap_or_else(|| map.zero()),
                Value::Missing | Value::Nil => {
                    return Err("value is nil; should be of type string".into());
                }
                value => {
                    return Err(CallError::new(format!(
                        "value has type {}; should be string",
                        value.type_name()
                    )));
                }
            },
            item => {
                return Err(CallError::new(format!(
                    "can't index item of type {}",
                    item.type_name()
                )));
            }
        };
    }
    Ok(item)
}

/// Go's `slice`, which sprig's replaces where sprig is offered.
pub(super) fn slice<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let (item, indexes) = args.split_first().ok_or("missing item")?;
    let length = match item {
        Value::Missing | Value::Nil => return Err("slice of untyped nil".into()),
        Value::Str(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Str(text) => text.len(),
        Value::List(list) => list.len(),
        item => {
            return Err(CallError::new(format!(
                "can't slice item of type {}",
                item.type_name()
            )));
        }
    };
    if indexes.len() > 3 {
        return Err(CallError::new(format!(
            "too many slice indexes: {}",
            indexes.len()
        )));
    }
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length)?;
    }
    let [start, end, capacity] = bounds;
    if start > end || end > capacity {
        return Err(CallError::new(format!(
            "invalid slice index: {start} > {end}"
        )));
    }
    Ok(match item {
        Value::Str(text) => Value::Str(text.cut(start, end).unwrap_or(crate::Text::EMPTY)),
        Value::List(list) => sub_list(list, start, end),
        item => item.clone(),
    })
}

/// The elements `start..end` as a list of the same type.
pub(super) fn sub_list<'a>(list: &List<'a>, start: usize, end: usize) -> Value<'a> {
    let elem: Elem = list.elem();
    Value::List(List::owned(
        list.iter().skip(start).take(end - start).collect(),
        elem,
    ))
}

/// There are no functions among the values here, so that nothing can be called.
pub(super) fn call<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Err(match arg(args, 0) {
        Value::Missing | Value::Nil => "call of nil".into(),
        value => CallError::new(format!("non-function of type {}", value.type_name())),
    })
}

pub(super) fn print<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    crate::fmt::print(args, out)
}

pub(super) fn println<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    crate::fmt::println(args, out)
}

pub(super) fn printf<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let rest = args.get(1..).unwrap_or_default();
    crate::fmt::printf(convert::bytes(args, 0), rest, out)
}
