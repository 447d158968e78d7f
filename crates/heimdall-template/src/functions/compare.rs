//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`, and equality in depth.

use std::cmp::Ordering;

use super::arg;
use crate::context::Context;
use crate::fmt::DEEPEST;
use crate::value::Kind;
use crate::{CallError, Value};

fn basic(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool | Kind::Int | Kind::Uint | Kind::Float | Kind::Complex | Kind::Str
    )
}

fn is_nil(value: &Value<'_>) -> bool {
    match value {
        Value::Missing | Value::Nil => true,
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        Value::Object(object) => object.is_nil(),
        Value::Shared(object) => object.is_nil(),
        _ => false,
    }
}

fn incompatible(a: &Value<'_>, b: &Value<'_>) -> CallError {
    CallError::new(format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    ))
}

/// Whether the first equals any of the others.
pub(super) fn eq<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let (first, others) = args
        .split_first()
        .ok_or("missing argument for comparison")?;
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    equal(arg(args, 0), arg(args, 1)).map(|equal| Value::Bool(!equal))
}

fn equal(a: &Value<'_>, b: &Value<'_>) -> Result<bool, CallError> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => return Ok(a == b),
        (Value::Int(a, _), Value::Int(b, _)) => return Ok(a == b),
        (Value::Uint(a, _), Value::Uint(b, _)) => return Ok(a == b),
        (Value::Int(a, _), Value::Uint(b, _)) | (Value::Uint(b, _), Value::Int(a, _)) => {
            return Ok(u64::try_from(*a) == Ok(*b));
        }
        (Value::Float(a), Value::Float(b)) => return Ok(a == b),
        (Value::Complex(a, b), Value::Complex(c, d)) => return Ok(a == c && b == d),
        (Value::Str(a), Value::Str(b)) => return Ok(a == b),
        _ => {}
    }
    let (a_kind, b_kind) = (a.kind(), b.kind());
    if basic(a_kind) || basic(b_kind) {
        let one_is_nothing = a_kind == Kind::Invalid || b_kind == Kind::Invalid;
        return if one_is_nothing {
            Ok(false)
        } else {
            Err(incompatible(a, b))
        };
    }
    if a_kind != b_kind && a_kind != Kind::Invalid && b_kind != Kind::Invalid {
        return Err(CallError::new(format!(
            "non-comparable types {} and {}",
            a.type_name(),
            b.type_name()
        )));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    match (a, b) {
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Object(a), Value::Object(b)) => Ok(std::ptr::addr_eq(*a, *b)),
        (Value::Object(_) | Value::Shared(_) | Value::Native(_), _) => Ok(false),
        _ => Err(CallError::new(format!(
            "non-comparable type {}",
            b.type_name()
        ))),
    }
}

fn order(a: &Value<'_>, b: &Value<'_>) -> Result<Option<Ordering>, CallError> {
    if !basic(a.kind()) || !basic(b.kind()) {
        return Err("invalid type for comparison".into());
    }
    match (a, b) {
        (Value::Int(a, _), Value::Int(b, _)) => Ok(Some(a.cmp(b))),
        (Value::Uint(a, _), Value::Uint(b, _)) => Ok(Some(a.cmp(b))),
        (Value::Int(a, _), Value::Uint(b, _)) => Ok(Some(i128::from(*a).cmp(&i128::from(*b)))),
        (Value::Uint(a, _), Value::Int(b, _)) => Ok(Some(i128::from(*a).cmp(&i128::from(*b)))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.cmp(b))),
        (Value::Bool(_), Value::Bool(_)) | (Value::Complex(..), Value::Complex(..)) => {
            Err("invalid type for comparison".into())
        }
        _ => Err(incompatible(a, b)),
    }
}

pub(super) fn lt<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    order(arg(args, 0), arg(args, 1)).map(|order| Value::Bool(order == Some(Ordering::Less)))
}

/// Go has it as `lt || eq`.
pub(super) fn le<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    order(arg(args, 0), arg(args, 1)).map(|order| Value::Bool(order.is_some_and(Ordering::is_le)))
}

/// Go has it as `!le`, so that a NaN is greater than everything.
pub(super) fn gt<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    order(arg(args, 0), arg(args, 1)).map(|order| Value::Bool(!order.is_some_and(Ordering::is_le)))
}

/// Go has it as `!lt`.
pub(super) fn ge<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    order(arg(args, 0), arg(args, 1)).map(|order| Value::Bool(order != Some(Ordering::Less)))
}

/// `reflect.DeepEqual`: the same types and the same contents.
pub(crate) fn deep_equal<'a>(
    cx: &mut Context<'a>,
    a: &Value<'a>,
    b: &Value<'a>,
) -> Result<bool, CallError> {
    equal_at(cx, a, b, 0)
}

fn equal_at<'a>(
    cx: &mut Context<'a>,
    a: &Value<'a>,
    b: &Value<'a>,
    depth: usize,
) -> Result<bool, CallError> {
    if depth > DEEPEST {
        return Err("values are nested too deep to compare".into());
    }
    cx.charge(1)?;
    Ok(match (a, b) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, a_type), Value::Int(b, b_type)) => a_type == b_type && a == b,
        (Value::Uint(a, a_type), Value::Uint(b, b_type)) => a_type == b_type && a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.elem() != b.elem() || a.is_nil() != b.is_nil() || a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal_at(cx, &a, &b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.type_name() != b.type_name() || a.is_nil() != b.is_nil() || a.len() != b.len() {
                return Ok(false);
            }
            for ((a_key, a), (b_key, b)) in a.entries().iter().zip(b.entries().iter()) {
                if a_key != b_key || !equal_at(cx, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(a), Value::Object(b)) => std::ptr::addr_eq(*a, *b),
        _ => false,
    })
}
