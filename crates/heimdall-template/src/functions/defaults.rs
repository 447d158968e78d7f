//! `default`, `empty`, `coalesce`, `all`, `any`, `ternary`, `fail`.

use super::{arg, convert};
use crate::context::Context;
use crate::value::Kind;
use crate::{CallError, Value};

/// sprig's idea of empty: the zero value; a structure never is.
pub(super) fn is_empty(value: &Value<'_>) -> Result<bool, CallError> {
    Ok(match value.kind() {
        Kind::Struct => false,
        _ => !value.truth(),
    })
}

/// `default fallback value`; there may be no value.
pub(super) fn default<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    match args.get(1) {
        Some(given) if !is_empty(given)? => Ok(given.clone()),
        _ => Ok(arg(args, 0).clone()),
    }
}

pub(super) fn empty<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    is_empty(arg(args, 0)).map(Value::Bool)
}

pub(super) fn coalesce<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    for value in args {
        if !is_empty(value)? {
            return Ok(value.clone());
        }
    }
    Ok(Value::Nil)
}

pub(super) fn all<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    for value in args {
        if is_empty(value)? {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

pub(super) fn any<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    for value in args {
        if !is_empty(value)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// `ternary yes no condition`
pub(super) fn ternary<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(arg(args, if arg(args, 2).truth() { 0 } else { 1 }).clone())
}

pub(super) fn fail<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Err(CallError::new(convert::text(args, 0).to_lossy()))
}

pub(super) fn hello<'a>(_: &mut Context<'a>, _: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::from("Hello!"))
}
