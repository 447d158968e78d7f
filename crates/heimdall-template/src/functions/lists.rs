//! sprig's list functions, and `atIndex`.

use super::compare::deep_equal;
use super::{arg, convert, defaults, logic};
use crate::context::Context;
use crate::value::Elem;
use crate::{CallError, List, Value};

fn any<'a>(items: Vec<Value<'a>>) -> Value<'a> {
    Value::List(List::owned(items, Elem::Any))
}

/// The elements of a list, copied within the limits.
fn items<'a>(
    cx: &mut Context<'a>,
    value: &Value<'a>,
    what: &str,
) -> Result<Vec<Value<'a>>, CallError> {
    let list = convert::list(value, what)?;
    cx.reserve_items(list.len() + 1)?;
    Ok(list.iter().collect())
}

pub(super) fn list<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    cx.reserve_items(args.len())?;
    Ok(any(args.to_vec()))
}

pub(super) fn append<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let mut items = items(cx, arg(args, 0), "push on")?;
    items.push(arg(args, 1).clone());
    Ok(any(items))
}

pub(super) fn prepend<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let mut items = items(cx, arg(args, 0), "prepend on")?;
    items.insert(0, arg(args, 1).clone());
    Ok(any(items))
}

pub(super) fn concat<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let mut all = Vec::new();
    for list in args {
        all.append(&mut items(cx, list, "concat")?);
    }
    // Go's result is a nil slice until something is appended.
    Ok(if all.is_empty() {
        Value::List(List::nil(Elem::Any))
    } else {
        any(all)
    })
}

pub(super) fn first<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(convert::list(arg(args, 0), "find first on")?
        .get(0)
        .unwrap_or(Value::Nil))
}

pub(super) fn last<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let list = convert::list(arg(args, 0), "find last on")?;
    Ok(list
        .len()
        .checked_sub(1)
        .and_then(|at| list.get(at))
        .unwrap_or(Value::Nil))
}

pub(super) fn rest<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let items = items(cx, arg(args, 0), "find rest on")?;
    Ok(if items.is_empty() {
        Value::List(List::nil(Elem::Any))
    } else {
        any(items.into_iter().skip(1).collect())
    })
}

pub(super) fn initial<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let mut items = items(cx, arg(args, 0), "find initial on")?;
    Ok(match items.pop() {
        None => Value::List(List::nil(Elem::Any)),
        Some(_) => any(items),
    })
}

pub(super) fn reverse<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let mut items = items(cx, arg(args, 0), "find reverse on")?;
    items.reverse();
    Ok(any(items))
}

pub(super) fn compact<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let items = items(cx, arg(args, 0), "compact on")?;
    let mut kept = Vec::new();
    for item in items {
        if !defaults::is_empty(&item)? {
            kept.push(item);
        }
    }
    Ok(any(kept))
}

fn contains<'a>(
    cx: &mut Context<'a>,
    items: &[Value<'a>],
    wanted: &Value<'a>,
) -> Result<bool, CallError> {
    for item in items {
        if deep_equal(cx, wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn uniq<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let mut kept = Vec::new();
    for item in items(cx, arg(args, 0), "find uniq on")? {
        if !contains(cx, &kept, &item)? {
            kept.push(item);
        }
    }
    Ok(any(kept))
}

pub(super) fn without<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let omitted = args.get(1..).unwrap_or_default();
    let mut kept = Vec::new();
    for item in items(cx, arg(args, 0), "find without on")? {
        if !contains(cx, omitted, &item)? {
            kept.push(item);
        }
    }
    Ok(any(kept))
}

/// `has needle haystack`
pub(super) fn has<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    if arg(args, 1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let list = convert::list(arg(args, 1), "find has on")?;
    for item in list.iter() {
        if deep_equal(cx, arg(args, 0), &item)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// sprig's `slice`: the bounds are cut to integers from anything.
pub(super) fn slice<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let list = match arg(args, 0) {
        Value::List(list) => list,
        Value::Missing | Value::Nil => {
            return Err("invalid memory address or nil pointer dereference".into());
        }
        value => {
            return Err(CallError::new(format!(
                "list should be type of slice or array but {}",
                value.kind_name()
            )));
        }
    };
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, convert::to_int);
    let end = args.get(2).map_or(list.len() as i64, convert::to_int);
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let Some((start, end)) = bounds.filter(|(start, end)| start <= end && *end <= list.len())
    else {
        return Err("reflect.Value.Slice: slice index out of bounds".into());
    };
    cx.reserve_items(end - start)?;
    Ok(logic::sub_list(list, start, end))
}

pub(super) fn chunk<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let size = convert::int(args, 0);
    let items = items(cx, arg(args, 1), "chunk")?;
    if size <= 0 {
        // sprig counts the chunks with floats: some negative sizes end at none, the others at lengths that cannot be.
        let last = items.len() as f64 - 1.0;
        return if size < 0 && (last / size as f64).floor() == -1.0 {
            Ok(lists(Vec::new()))
        } else {
            Err("makeslice: len out of range".into())
        };
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    cx.reserve_items(items.len() / size + 1)?;
    Ok(lists(
        items
            .chunks(size)
            .map(|chunk| any(chunk.to_vec()))
            .collect(),
    ))
}

fn lists<'a>(items: Vec<Value<'a>>) -> Value<'a> {
    Value::List(List::owned(items, Elem::AnyList))
}

pub(super) fn sort_alpha<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let mut texts = match arg(args, 0) {
        value @ Value::List(_) => convert::strings(cx, value)?,
        value => vec![convert::strval(cx, value)?],
    };
    cx.charge(texts.len())?;
    texts.sort();
    Ok(Value::List(List::texts(texts)))
}

pub(super) fn to_strings<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    match arg(args, 0) {
        Value::List(list) if list.elem() == Elem::Str => Ok(Value::List(list.clone())),
        value => Ok(Value::List(List::texts(convert::strings(cx, value)?))),
    }
}

/// `atIndex position list`: from the end for a negative position.
pub(super) fn at_index<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let list = convert::list(arg(args, 1), "find at on")?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let position = convert::int(args, 0);
    let from_start = if position < 0 {
        position + list.len() as i64
    } else {
        position
    };
    usize::try_from(from_start)
        .ok()
        .and_then(|at| list.get(at))
        .ok_or_else(|| {
            CallError::new(format!(
                "cannot at({position}), position is outside of the list boundaries"
            ))
        })
}

fn ints<'a>(cx: &mut Context<'a>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, CallError> {
    let count = count_steps(start, stop, step);
    cx.reserve_items(usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok((0..count)
        .map(|i| start.wrapping_add((i as i64).wrapping_mul(step)))
        .collect())
}

/// How many numbers there are from `start` on, before `stop`.
fn count_steps(start: i64, stop: i64, step: i64) -> u64 {
    let distance = stop.abs_diff(start);
    let towards = if stop < start { step < 0 } else { step > 0 };
    if towards {
        distance.div_ceil(step.unsigned_abs())
    } else {
        0
    }
}

pub(super) fn until<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let count = convert::int(args, 0);
    let numbers = ints(cx, 0, count, if count < 0 { -1 } else { 1 })?;
    Ok(Value::List(List::owned(
        numbers.into_iter().map(Value::int).collect(),
        Elem::Int,
    )))
}

pub(super) fn until_step<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let (start, stop) = (convert::int(args, 0), convert::int(args, 1));
    let numbers = ints(cx, start, stop, convert::int(args, 2))?;
    Ok(Value::List(List::owned(
        numbers.into_iter().map(Value::int).collect(),
        Elem::Int,
    )))
}

pub(super) fn seq<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let number = |index| convert::int(args, index);
    let (start, end, step, beyond) = match args.len() {
        1 => {
            let step = if number(0) < 1 { -1 } else { 1 };
            (1, number(0), step, step)
        }
        2 => {
            let step = if number(1) < number(0) { -1 } else { 1 };
            (number(0), number(1), step, step)
        }
        3 => {
            let (start, step, end) = (number(0), number(1), number(2));
            if end < start && step > 0 {
                return Ok(Value::from(""));
            }
            (start, end, step, if end < start { -1 } else { 1 })
        }
        _ => return Ok(Value::from("")),
    };
    let numbers = ints(cx, start, end.wrapping_add(beyond), step)?;
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let text = texts.join(" ");
    cx.reserve(text.len())?;
    Ok(Value::from(text))
}
