//! sprig's numbers.

use super::{arg, convert};
use crate::context::Context;
use crate::decimal::Decimal;
use crate::{CallError, Value, strconv};

type Answer<'a> = Result<Value<'a>, CallError>;

pub(super) fn int64<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::int64(convert::to_int(arg(args, 0))))
}

pub(super) fn int<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::int(convert::to_int(arg(args, 0))))
}

pub(super) fn float64<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Float(convert::to_float(arg(args, 0))))
}

pub(super) fn atoi<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let text = convert::text(args, 0).to_lossy();
    Ok(Value::int(convert::parse_int_clamped(&text)))
}

/// An octal number as a decimal one.
pub(super) fn to_decimal<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let mut buffer = cx.buffer();
    crate::fmt::write_value(arg(args, 0), &mut buffer)?;
    let text = cx.built(buffer);
    Ok(Value::int64(
        text.as_str()
            .and_then(|text| strconv::parse_int(text, 8))
            .unwrap_or(0),
    ))
}

fn fold<'a>(args: &[Value<'a>], op: impl Fn(i64, i64) -> i64) -> Answer<'a> {
    let numbers = args.iter().map(convert::to_int);
    Ok(Value::int64(numbers.reduce(op).unwrap_or(0)))
}

pub(super) fn add<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold(args, i64::wrapping_add)
}

pub(super) fn add1<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::int64(convert::to_int(arg(args, 0)).wrapping_add(1)))
}

pub(super) fn sub<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold(args, i64::wrapping_sub)
}

pub(super) fn mul<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold(args, i64::wrapping_mul)
}

fn divisor(args: &[Value<'_>]) -> Result<i64, CallError> {
    match convert::to_int(arg(args, 1)) {
        0 => Err("runtime error: integer divide by zero".into()),
        n => Ok(n),
    }
}

pub(super) fn div<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::int64(
        convert::to_int(arg(args, 0)).wrapping_div(divisor(args)?),
    ))
}

pub(super) fn rem<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::int64(
        convert::to_int(arg(args, 0)).wrapping_rem(divisor(args)?),
    ))
}

pub(super) fn max<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold(args, i64::max)
}

pub(super) fn min<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold(args, i64::min)
}

fn fold_floats<'a>(args: &[Value<'a>], less: bool) -> Answer<'a> {
    let numbers = args.iter().map(convert::to_float);
    let best = numbers.reduce(|a, b| match (a.is_nan() || b.is_nan(), less) {
        (true, _) => f64::NAN,
        (_, true) => a.min(b),
        (_, false) => a.max(b),
    });
    Ok(Value::Float(best.unwrap_or(0.0)))
}

pub(super) fn maxf<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold_floats(args, false)
}

pub(super) fn minf<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    fold_floats(args, true)
}

pub(super) fn floor<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Float(convert::to_float(arg(args, 0)).floor()))
}

pub(super) fn ceil<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Float(convert::to_float(arg(args, 0)).ceil()))
}

/// `round number places [from]`: up from a fraction of `from`, a half if it is not given.
pub(super) fn round<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let round_on = args.get(2).and_then(Value::as_f64).unwrap_or(0.5);
    let places = convert::int(args, 1);
    let power = 10f64.powf(places as f64);
    let shifted = power * convert::to_float(arg(args, 0));
    let rounded = if shifted.fract() >= round_on {
        shifted.ceil()
    } else {
        shifted.floor()
    };
    Ok(Value::Float(rounded / power))
}

type Operation<'a> = fn(&Decimal, &mut Context<'a>, &Decimal) -> Result<Decimal, CallError>;

fn decimals<'a>(
    cx: &mut Context<'a>,
    start: f64,
    args: &[Value<'a>],
    op: Operation<'a>,
) -> Answer<'a> {
    let mut result = Decimal::from_float(start)?;
    for value in args {
        let operand = Decimal::from_float(convert::to_float(value))?;
        result = op(&result, cx, &operand)?;
    }
    Ok(Value::Float(result.to_float()))
}

fn from_first<'a>(cx: &mut Context<'a>, args: &[Value<'a>], op: Operation<'a>) -> Answer<'a> {
    let rest = args.get(1..).unwrap_or_default();
    decimals(cx, convert::to_float(arg(args, 0)), rest, op)
}

pub(super) fn addf<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    decimals(cx, 0.0, args, |a, cx, b| a.add(cx, b))
}

pub(super) fn add1f<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    decimals(cx, 1.0, args, |a, cx, b| a.add(cx, b))
}

pub(super) fn subf<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    from_first(cx, args, |a, cx, b| a.add(cx, &b.clone().negated()))
}

pub(super) fn mulf<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    from_first(cx, args, |a, cx, b| a.multiply(cx, b))
}

pub(super) fn divf<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    from_first(cx, args, |a, cx, b| a.divide(cx, b))
}

/// `randInt min max`: below `max`.
pub(super) fn rand_int<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (least, bound) = (convert::int(args, 0), convert::int(args, 1));
    let width = bound
        .checked_sub(least)
        .filter(|width| *width > 0)
        .ok_or("invalid argument to Intn")?;
    let random = cx.below(width.unsigned_abs())?;
    Ok(Value::int(least.wrapping_add(random as i64)))
}
