//! How sprig turns anything into a string, a number or a list of strings.

use crate::context::Context;
use crate::sink::Sink;
use crate::value::Elem;
use crate::{CallError, IntType, List, Text, Value, methods, strconv};

/// sprig's `strval`: strings as they are, methods where there are some, else `%v`.
pub(crate) fn strval<'a>(cx: &mut Context<'a>, value: &Value<'a>) -> Result<Text<'a>, CallError> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        value => {
            let mut buffer = cx.buffer();
            write_strval(value, &mut buffer)?;
            Ok(cx.built(buffer))
        }
    }
}

pub(crate) fn write_strval(value: &Value<'_>, out: &mut dyn Sink) -> Result<(), CallError> {
    match value {
        Value::Str(text) => out.put_text(text),
        Value::List(list) if list.elem() == Elem::Byte => {
            let bytes: Vec<u8> = list
                .iter()
                .filter_map(|v| {
                    if let Value::Uint(n, _) = v {
                        Some(n as u8)
                    } else {
                        None
                    }
                })
                .collect();
            out.put_bytes(&bytes)
        }
        value => match methods::string_method(value) {
            Some(text) => out.put(&text),
            None => crate::fmt::write_value(value, out),
        },
    }
}

/// A float cut to an integer as amd64 does it: what does not fit is the smallest integer.
pub(crate) fn float_to_int(f: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) {
        f as i64
    } else {
        i64::MIN
    }
}

/// `cast.ToInt64`: zero for what is no number.
pub(crate) fn to_int(value: &Value<'_>) -> i64 {
    match value {
        // A duration is none of the types that cast knows.
        Value::Int(_, IntType::Duration) => 0,
        Value::Int(n, _) => *n,
        Value::Uint(n, _) => *n as i64,
        Value::Float(f) => float_to_int(*f),
        Value::Bool(b) => i64::from(*b),
        Value::Str(text) => text
            .as_str()
            .and_then(|s| strconv::parse_int_literal(without_zero_decimals(s)))
            .unwrap_or(0),
        _ => 0,
    }
}

/// `12.00` is a whole number to cast, `12.50` is none.
fn without_zero_decimals(text: &str) -> &str {
    let kept = text.trim_end_matches('0');
    match kept.strip_suffix('.') {
        Some(whole) if kept.len() < text.len() => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`: zero for what is no number.
pub(crate) fn to_float(value: &Value<'_>) -> f64 {
    match value {
        Value::Int(_, IntType::Duration) => 0.0,
        Value::Int(n, _) => *n as f64,
        Value::Uint(n, _) => *n as f64,
        Value::Float(f) => *f,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Str(text) => text.as_str().and_then(strconv::parse_float).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// `strconv.ParseInt` where the error is not looked at: what is too large becomes the nearest.
pub(crate) fn parse_int_clamped(text: &str) -> i64 {
    if let Some(n) = strconv::parse_int(text, 10) {
        return n;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    }
}

/// sprig's `strslice`: the elements as strings, without `nil`s; anything else is a list of one.
pub(crate) fn strings<'a>(
    cx: &mut Context<'a>,
    value: &Value<'a>,
) -> Result<Vec<Text<'a>>, CallError> {
    match value {
        Value::Missing | Value::Nil => Ok(Vec::new()),
        Value::List(list) => {
            cx.reserve_items(list.len())?;
            list.iter()
                .filter(|item| !item.is_nil())
                .map(|item| strval(cx, &item))
                .collect()
        }
        value => Ok(vec![strval(cx, value)?]),
    }
}

/// A list of any type, or an error that says what cannot be done.
pub(crate) fn list<'v, 'a>(value: &'v Value<'a>, what: &str) -> Result<&'v List<'a>, CallError> {
    match value {
        Value::List(list) => Ok(list),
        Value::Missing | Value::Nil => Err(CallError::new(
            "invalid memory address or nil pointer dereference",
        )),
        value => Err(CallError::new(format!(
            "Cannot {what} type {}",
            value.kind_name()
        ))),
    }
}

/// The string at a place; the signature saw to its type.
#[inline]
pub(crate) fn text<'v, 'a>(args: &'v [Value<'a>], index: usize) -> &'v Text<'a> {
    match args.get(index) {
        Some(Value::Str(text)) => text,
        _ => &Text::EMPTY,
    }
}

/// The bytes of the string at a place.
#[inline]
pub(crate) fn bytes<'v>(args: &'v [Value<'_>], index: usize) -> &'v [u8] {
    text(args, index).as_bytes()
}

/// The `int` at a place; the signature saw to its type.
pub(crate) fn int(args: &[Value<'_>], index: usize) -> i64 {
    args.get(index).and_then(Value::as_i64).unwrap_or_default()
}
