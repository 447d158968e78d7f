//! `typeOf`, `typeIs`, `typeIsLike`, `kindOf`, `kindIs`, `deepEqual`.

use super::{arg, compare, convert};
use crate::context::Context;
use crate::{CallError, Value};

pub(super) fn type_of<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::from(arg(args, 0).type_name().into_owned()))
}

pub(super) fn type_is<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::Bool(
        convert::bytes(args, 0) == arg(args, 1).type_name().as_bytes(),
    ))
}

/// As `typeIs`, or a pointer to it.
pub(super) fn type_is_like<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let name = arg(args, 1).type_name();
    let wanted = convert::bytes(args, 0);
    let pointed_to = name.strip_prefix('*').map(str::as_bytes);
    Ok(Value::Bool(
        wanted == name.as_bytes() || pointed_to == Some(wanted),
    ))
}

pub(super) fn kind_of<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::from(arg(args, 0).kind_name()))
}

pub(super) fn kind_is<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    Ok(Value::Bool(
        convert::bytes(args, 0) == arg(args, 1).kind_name().as_bytes(),
    ))
}

pub(super) fn deep_equal<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    compare::deep_equal(cx, arg(args, 0), arg(args, 1)).map(Value::Bool)
}
