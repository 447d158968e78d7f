//! `time.Time`, durations, and their methods.

mod duration;
mod format;
mod layout;
mod method;
mod parse;

use chrono::{DateTime, Datelike, Offset, TimeZone, Timelike};
use chrono_tz::{OffsetName, Tz};

pub(crate) use duration::{duration_text, parse_duration, round_duration};
pub(crate) use method::{in_zone_named, method, modified, month_name, number_method, weekday_name};

/// Go's zero time is the first of January of the year 1.
pub(crate) const YEAR_ONE: i64 = -62_135_596_800;

/// A moment with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    seconds: i64,
    nanos: u32,
    zone: Zone,
}

/// Where a moment is looked at from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Utc,
    Fixed(i32, Abbreviation),
    Named(Tz),
}

/// The short name of a zone that only a text told about; empty when it had none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Abbreviation([u8; 5]);

impl Abbreviation {
    pub(crate) fn new(name: &str) -> Self {
        let mut bytes = [0; 5];
        for (place, byte) in bytes.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        Self(bytes)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0)
            .unwrap_or_default()
            .trim_end_matches('\0')
    }
}

/// The parts of a moment in its zone.
pub(crate) struct Parts {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) year_day: u32,
    /// 0 is Sunday
    pub(crate) weekday: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanos: u32,
    /// Seconds east of UTC
    pub(crate) offset: i32,
    pub(crate) abbreviation: String,
}

impl Time {
    /// A moment in UTC, by seconds and nanoseconds since 1970.
    pub fn utc(seconds: i64, nanos: u32) -> Self {
        Self {
            seconds,
            nanos,
            zone: Zone::Utc,
        }
    }

    /// Go's zero time.
    pub(crate) fn zero() -> Self {
        Self::utc(YEAR_ONE, 0)
    }

    pub(crate) fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    pub(crate) fn unix(&self) -> i64 {
        self.seconds
    }

    pub(crate) fn nanos(&self) -> u32 {
        self.nanos
    }

    pub(crate) fn seconds_since_year_one(&self) -> i64 {
        self.seconds.wrapping_sub(YEAR_ONE)
    }

    /// Nanoseconds since 1970.
    pub(crate) fn total_nanos(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }

    /// The moment this many nanoseconds later.
    pub(crate) fn plus(self, nanos: i64) -> Self {
        let total = self.total_nanos() + i128::from(nanos);
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        Self {
            seconds,
            nanos: total.rem_euclid(1_000_000_000) as u32,
            zone: self.zone,
        }
    }

    /// Nanoseconds from `other` to this, as far as a duration reaches.
    pub(crate) fn since(&self, other: &Self) -> i64 {
        let distance = self.total_nanos() - other.total_nanos();
        distance.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    pub(crate) fn parts(&self) -> Parts {
        // What chrono cannot show (years beyond 262,000) shows as the beginning of time.
        let utc = DateTime::from_timestamp(self.seconds, self.nanos).unwrap_or_default();
        let (offset, abbreviation) = match self.zone {
            Zone::Utc => (0, "UTC".to_owned()),
            Zone::Fixed(offset, name) => (offset, name.text().to_owned()),
            Zone::Named(tz) => {
                let offset = tz.offset_from_utc_datetime(&utc.naive_utc());
                let seconds = offset.fix().local_minus_utc();
                let abbreviation = match offset.abbreviation() {
                    Some(name) if !name.is_empty() => name.to_owned(),
                    _ => format::numeric_abbreviation(seconds),
                };
                (seconds, abbreviation)
            }
        };
        let local = chrono::Duration::try_seconds(offset.into())
            .and_then(|offset| utc.naive_utc().checked_add_signed(offset))
            .unwrap_or(utc.naive_utc());
        Parts {
            year: local.year().into(),
            month: local.month(),
            day: local.day(),
            year_day: local.ordinal(),
            weekday: local.weekday().num_days_from_sunday(),
            hour: local.hour(),
            minute: local.minute(),
            second: local.second(),
            nanos: self.nanos,
            offset,
            abbreviation,
        }
    }

    /// By a layout such as `2006-01-02`.
    pub fn format(&self, layout: &str) -> String {
        format::format(&self.parts(), layout)
    }

    /// What `String` gives.
    pub(crate) fn to_go_string(self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// What `%#v` gives.
    pub(crate) fn go_syntax(&self) -> String {
        let parts = self.parts();
        let zone = match self.zone {
            Zone::Utc => "time.UTC".to_owned(),
            Zone::Fixed(_, name) => format!("time.Location({:?})", name.text()),
            Zone::Named(tz) => format!("time.Location({:?})", tz.name()),
        };
        let month = month_name(parts.month.into());
        let Parts {
            year,
            day,
            hour,
            minute,
            second,
            nanos,
            ..
        } = parts;
        format!(
            "time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanos}, {zone})"
        )
    }

    /// Reads a text by a layout; without a zone in it the time is in UTC.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn parse(layout: &str, text: &str) -> Result<Self, String> {
        parse::parse(layout, text)
    }
}

/// The zone of a name of the IANA database; `Local` is UTC here.
pub(crate) fn zone(name: &str) -> Option<Zone> {
    match name {
        "" | "UTC" | "Local" => Some(Zone::Utc),
        name => name.parse().ok().map(Zone::Named),
    }
}

/// Seconds since 1970 of a date and time of day in UTC.
pub(crate) fn seconds_of(
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
) -> i64 {
    // Days of the proleptic Gregorian calendar, with years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
}
