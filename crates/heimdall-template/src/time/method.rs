//! Methods of times, durations, months and weekdays.

use super::{Time, duration_text, parse_duration, round_duration, seconds_of, zone};
use crate::methods::{expect_args, str_arg};
use crate::{CallError, IntType, Value};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

pub(crate) fn month_name(month: i64) -> String {
    let name = usize::try_from(month - 1)
        .ok()
        .and_then(|at| MONTHS.get(at));
    name.map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

pub(crate) fn weekday_name(day: i64) -> String {
    let name = usize::try_from(day).ok().and_then(|at| WEEKDAYS.get(at));
    name.map_or_else(|| format!("%!Weekday({day})"), |name| (*name).to_owned())
}

pub(super) fn month_of(name: &str) -> Option<u32> {
    MONTHS
        .iter()
        .position(|month| *month == name)
        .map(|at| at as u32 + 1)
}

pub(super) fn months() -> [&'static str; 12] {
    MONTHS
}

pub(super) fn weekdays() -> [&'static str; 7] {
    WEEKDAYS
}

/// A method of `time.Time`; `None` when it has none of this name.
pub(crate) fn method<'a>(
    time: Time,
    name: &str,
    args: &[Value<'a>],
) -> Option<Result<Value<'a>, CallError>> {
    let wanted = match name {
        "Format" | "Add" | "Sub" | "Before" | "After" | "Equal" | "Compare" | "Truncate"
        | "Round" => 1,
        "AddDate" => 3,
        _ => 0,
    };
    let parts = time.parts();
    let answer = match name {
        "Year" => Value::int(parts.year),
        "Month" => Value::Int(parts.month.into(), IntType::Month),
        "Day" => Value::int(parts.day.into()),
        "Hour" => Value::int(parts.hour.into()),
        "Minute" => Value::int(parts.minute.into()),
        "Second" => Value::int(parts.second.into()),
        "Nanosecond" => Value::int(time.nanos.into()),
        "YearDay" => Value::int(parts.year_day.into()),
        "Weekday" => Value::Int(parts.weekday.into(), IntType::Weekday),
        "Unix" => Value::int64(time.seconds),
        "UnixMilli" => Value::int64(time.total_nanos().div_euclid(1_000_000) as i64),
        "UnixMicro" => Value::int64(time.total_nanos().div_euclid(1_000) as i64),
        "UnixNano" => Value::int64(time.total_nanos() as i64),
        "UTC" | "Local" => Value::Time(time.in_zone(super::Zone::Utc)),
        "String" => Value::from(time.to_go_string()),
        "GoString" => Value::from(time.go_syntax()),
        "IsZero" => Value::Bool(time.seconds == super::YEAR_ONE && time.nanos == 0),
        "IsDST" => Value::Bool(false),
        "Format" | "Add" | "Sub" | "Before" | "After" | "Equal" | "Compare" | "Truncate"
        | "Round" | "AddDate" => {
            return Some(
                expect_args(name, args, wanted).and_then(|()| with_args(time, name, args)),
            );
        }
        "Date" | "Clock" | "ISOWeek" | "Zone" => {
            return Some(Err(CallError::new(format!(
                "can't call method {name}: it has several results"
            ))));
        }
        _ => return None,
    };
    Some(expect_args(name, args, wanted).map(|()| answer))
}

fn with_args<'a>(time: Time, name: &str, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let wrong = || CallError::new(format!("wrong type for the argument of {name}"));
    if name == "Format" {
        return Ok(Value::from(time.format(str_arg(name, args, 0)?)));
    }
    if name == "AddDate" {
        return add_date(time, args);
    }
    match (args.first(), name) {
        // A literal takes the type of the parameter.
        (Some(Value::Int(n, IntType::Duration | IntType::Int)), "Add") => {
            Ok(Value::Time(time.plus(*n)))
        }
        (Some(Value::Int(n, IntType::Duration | IntType::Int)), "Truncate" | "Round") => {
            let total = time.since(&Time::zero());
            let rounded = match (*n, name) {
                (..=0, _) => total,
                (unit, "Truncate") => total - total % unit,
                (unit, _) => round_duration(total, unit),
            };
            Ok(Value::Time(time.plus(rounded - total)))
        }
        (Some(Value::Time(other)), "Sub") => Ok(Value::Int(time.since(other), IntType::Duration)),
        (Some(Value::Time(other)), "Before") => {
            Ok(Value::Bool(time.total_nanos() < other.total_nanos()))
        }
        (Some(Value::Time(other)), "After") => {
            Ok(Value::Bool(time.total_nanos() > other.total_nanos()))
        }
        (Some(Value::Time(other)), "Equal") => {
            Ok(Value::Bool(time.total_nanos() == other.total_nanos()))
        }
        (Some(Value::Time(other)), "Compare") => Ok(Value::int(
            time.total_nanos().cmp(&other.total_nanos()) as i64,
        )),
        _ => Err(wrong()),
    }
}

fn add_date<'a>(time: Time, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let numbers: Vec<i64> = args.iter().filter_map(Value::as_i64).collect();
    let [years, months, days] = numbers.as_slice() else {
        return Err("AddDate wants three integers".into());
    };
    let parts = time.parts();
    let month = i64::from(parts.month) - 1 + months;
    let year = parts.year + years + month.div_euclid(12);
    let start = seconds_of(
        year,
        month.rem_euclid(12) as u32 + 1,
        1,
        parts.hour,
        parts.minute,
        parts.second,
    );
    let days = i64::from(parts.day) - 1 + days;
    let seconds = start.saturating_add(days.saturating_mul(86_400)) - i64::from(parts.offset);
    Ok(Value::Time(Time { seconds, ..time }))
}

/// A method of a duration, month or weekday; `None` when it has none of this name.
pub(crate) fn number_method<'a>(
    n: i64,
    kind: IntType,
    name: &str,
    args: &[Value<'a>],
) -> Option<Result<Value<'a>, CallError>> {
    let answer = match (kind, name) {
        (IntType::Duration, "String") => Value::from(duration_text(n)),
        (IntType::Duration, "Hours") => Value::Float(n as f64 / 3.6e12),
        (IntType::Duration, "Minutes") => Value::Float(n as f64 / 6e10),
        (IntType::Duration, "Seconds") => Value::Float(n as f64 / 1e9),
        (IntType::Duration, "Milliseconds") => Value::int64(n / 1_000_000),
        (IntType::Duration, "Microseconds") => Value::int64(n / 1_000),
        (IntType::Duration, "Nanoseconds") => Value::int64(n),
        (IntType::Duration, "Abs") => Value::Int(n.saturating_abs(), kind),
        (IntType::Month, "String") => Value::from(month_name(n)),
        (IntType::Weekday, "String") => Value::from(weekday_name(n)),
        _ => return None,
    };
    Some(expect_args(name, args, 0).map(|()| answer))
}

/// sprig's `dateModify`: a time and a duration in text.
pub(crate) fn modified(time: Time, text: &str) -> Option<Time> {
    parse_duration(text).map(|nanos| time.plus(nanos))
}

/// A moment in another zone; UTC for an unknown one.
pub(crate) fn in_zone_named(time: Time, name: &str) -> Time {
    time.in_zone(zone(name).unwrap_or(super::Zone::Utc))
}
