//! sprig's dates.

use super::{arg, convert};
use crate::context::Context;
use crate::time::{self, Time};
use crate::{CallError, IntType, Value};

type Answer<'a> = Result<Value<'a>, CallError>;

/// A time, or seconds since 1970; the time now for anything else.
fn moment<'a>(cx: &Context<'a>, value: &Value<'a>) -> Result<Time, CallError> {
    match value {
        Value::Time(time) => Ok(*time),
        Value::Int(seconds, IntType::Int | IntType::Int64 | IntType::Int32) => {
            Ok(Time::utc(*seconds, 0))
        }
        _ => cx.now(),
    }
}

fn formatted<'a>(cx: &Context<'a>, layout: &str, value: &Value<'a>, zone: &str) -> Answer<'a> {
    let time = moment(cx, value)?;
    Ok(Value::from(time::in_zone_named(time, zone).format(layout)))
}

pub(super) fn now<'a>(cx: &mut Context<'a>, _: &[Value<'a>]) -> Answer<'a> {
    cx.now().map(Value::Time)
}

/// `date layout time`
pub(super) fn date<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    formatted(
        cx,
        &convert::text(args, 0).to_lossy(),
        arg(args, 1),
        "Local",
    )
}

/// `dateInZone layout time zone`
pub(super) fn date_in_zone<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (layout, zone) = (
        convert::text(args, 0).to_lossy(),
        convert::text(args, 2).to_lossy(),
    );
    formatted(cx, &layout, arg(args, 1), &zone)
}

pub(super) fn html_date<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    formatted(cx, "2006-01-02", arg(args, 0), "Local")
}

/// `htmlDateInZone time zone`
pub(super) fn html_date_in_zone<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    formatted(
        cx,
        "2006-01-02",
        arg(args, 0),
        &convert::text(args, 1).to_lossy(),
    )
}

/// `dateModify duration time`: the time as it is when the duration is none.
pub(super) fn date_modify<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let Value::Time(time) = arg(args, 1) else {
        return Err("expected a time".into());
    };
    let changed = time::modified(*time, &convert::text(args, 0).to_lossy());
    Ok(Value::Time(changed.unwrap_or(*time)))
}

pub(super) fn must_date_modify<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let Value::Time(time) = arg(args, 1) else {
        return Err("expected a time".into());
    };
    let text = convert::text(args, 0).to_lossy();
    let changed = time::modified(*time, &text);
    changed
        .map(Value::Time)
        .ok_or_else(|| CallError::new(format!("time: invalid duration `{text}`")))
}

/// `toDate layout text`: Go's zero time when it does not fit.
pub(super) fn to_date<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (layout, text) = (
        convert::text(args, 0).to_lossy(),
        convert::text(args, 1).to_lossy(),
    );
    Ok(Value::Time(
        Time::parse(&layout, &text).unwrap_or_else(|_| Time::zero()),
    ))
}

pub(super) fn must_to_date<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (layout, text) = (
        convert::text(args, 0).to_lossy(),
        convert::text(args, 1).to_lossy(),
    );
    Time::parse(&layout, &text)
        .map(Value::Time)
        .map_err(CallError::from)
}

pub(super) fn unix_epoch<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    match arg(args, 0) {
        Value::Time(time) => Ok(Value::from(time.unix().to_string())),
        _ => Err("expected a time".into()),
    }
}

/// How long ago, to the second.
pub(super) fn ago<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let then = match arg(args, 0) {
        Value::Int(_, IntType::Int32) => cx.now()?,
        value => moment(cx, value)?,
    };
    let passed = time::round_duration(cx.now()?.since(&then), 1_000_000_000);
    Ok(Value::from(time::duration_text(passed)))
}

/// Seconds as a duration.
pub(super) fn duration<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let seconds = match arg(args, 0) {
        Value::Str(text) => convert::parse_int_clamped(&text.to_lossy()),
        Value::Int(n, IntType::Int64) => *n,
        _ => 0,
    };
    Ok(Value::from(time::duration_text(
        seconds.wrapping_mul(1_000_000_000),
    )))
}

/// The largest unit of a duration that there is more than one of.
pub(super) fn duration_round<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let nanos = match arg(args, 0) {
        Value::Str(text) => time::parse_duration(&text.to_lossy()).unwrap_or(0),
        Value::Int(n, IntType::Int64) => *n,
        Value::Time(time) => cx.now()?.since(time),
        _ => 0,
    };
    const SECOND: u64 = 1_000_000_000;
    const UNITS: [(u64, &str); 6] = [
        (SECOND * 3600 * 24 * 365, "y"),
        (SECOND * 3600 * 24 * 30, "mo"),
        (SECOND * 3600 * 24, "d"),
        (SECOND * 3600, "h"),
        (SECOND * 60, "m"),
        (SECOND, "s"),
    ];
    let length = nanos.unsigned_abs();
    let unit = UNITS.iter().find(|(unit, _)| length > *unit);
    Ok(Value::from(unit.map_or_else(
        || "0s".to_owned(),
        |(unit, name)| format!("{}{name}", length / unit),
    )))
}
