//! Text to times, by a layout.

use super::layout::{self, Piece};
use super::method::{month_of, months, weekdays};
use super::{Abbreviation, Time, Zone, seconds_of};

/// What was read so far.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    afternoon: Option<bool>,
    zone: Option<Zone>,
    zone_name: Option<String>,
}

pub(super) fn parse(layout: &str, text: &str) -> Result<Time, String> {
    let fail = || format!("parsing time `{text}` as `{layout}`: cannot parse it");
    let mut fields = Fields::default();
    let (mut layout_rest, mut rest) = (layout, text);
    while let Some((before, piece, after)) = layout::next(layout_rest) {
        rest = skip(rest, before).ok_or_else(fail)?;
        rest = read(&mut fields, piece, rest, after).ok_or_else(fail)?;
        layout_rest = after;
    }
    if skip(rest, layout_rest) != Some("") {
        return Err(fail());
    }
    fields
        .time()
        .ok_or_else(|| format!("parsing time `{text}`: out of range"))
}

/// Passes the text between pieces; one blank there stands for any number of them.
fn skip<'t>(text: &'t str, between: &str) -> Option<&'t str> {
    let mut rest = text;
    let mut chars = between.chars().peekable();
    while let Some(c) = chars.next() {
        if c != ' ' {
            rest = rest.strip_prefix(c)?;
            continue;
        }
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        while chars.next_if_eq(&' ').is_some() {}
        rest = rest.trim_start_matches(' ');
    }
    Some(rest)
}

/// One or two digits; two are asked for when `fixed`.
fn number(text: &str, fixed: bool) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    if digits == 0 || (digits == 1 && fixed) {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// Exactly so many digits.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

/// The name that the text begins with, in any case.
fn name<'t>(
    text: &'t str,
    names: &[&'static str],
    length: usize,
) -> Option<(&'static str, &'t str)> {
    names.iter().find_map(|name| {
        let wanted = name.get(..length.min(name.len()))?;
        let (start, rest) = text.split_at_checked(wanted.len())?;
        start.eq_ignore_ascii_case(wanted).then_some((*name, rest))
    })
}

fn read<'t>(fields: &mut Fields, piece: Piece, text: &'t str, after: &str) -> Option<&'t str> {
    let rest = match piece {
        Piece::LongYear => {
            let (year, rest) = digits(text, 4)?;
            fields.year = Some(year.into());
            rest
        }
        Piece::Year => {
            let (year, rest) = digits(text, 2)?;
            fields.year = Some(if year >= 69 { 1900 } else { 2000 } + i64::from(year));
            rest
        }
        Piece::LongMonth | Piece::ShortMonth => {
            let length = if piece == Piece::LongMonth {
                usize::MAX
            } else {
                3
            };
            let (month, rest) = name(text, &months(), length)?;
            fields.month = month_of(month);
            rest
        }
        Piece::LongWeekday => name(text, &weekdays(), usize::MAX)?.1,
        Piece::ShortWeekday => name(text, &weekdays(), 3)?.1,
        Piece::Month { zero } => {
            let (month, rest) = number(text, zero)?;
            fields.month = Some(month).filter(|month| (1..=12).contains(month));
            fields.month?;
            rest
        }
        Piece::Day { zero, blank } => {
            let text = if blank {
                text.strip_prefix(' ').unwrap_or(text)
            } else {
                text
            };
            let (day, rest) = number(text, zero)?;
            fields.day = Some(day);
            rest
        }
        Piece::YearDay { zero } => {
            let trimmed = if zero {
                text
            } else {
                text.trim_start_matches(' ')
            };
            let (day, rest) = digits(trimmed, 3 - (text.len() - trimmed.len()).min(2))?;
            fields.year_day = Some(day);
            rest
        }
        Piece::Hour24 => {
            // Go takes one digit here as well.
            let (hour, rest) = number(text, false)?;
            fields.hour = Some(hour).filter(|hour| *hour < 24)?;
            rest
        }
        Piece::Hour12 { zero } => {
            let (hour, rest) = number(text, zero)?;
            fields.hour = Some(hour).filter(|hour| *hour <= 12)?;
            fields.afternoon.get_or_insert_default();
            rest
        }
        Piece::Minute { zero } => {
            let (minute, rest) = number(text, zero)?;
            fields.minute = Some(minute).filter(|minute| *minute < 60)?;
            rest
        }
        Piece::Second { zero } => {
            let (second, rest) = number(text, zero)?;
            fields.second = Some(second).filter(|second| *second < 60)?;
            // Digits behind the second are read even when the layout has none.
            let has_own = matches!(layout::next(after), Some(("", Piece::Fraction { .. }, _)));
            let digits = rest
                .strip_prefix(['.', ','])
                .map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
            if has_own || digits == 0 {
                rest
            } else {
                fraction(fields, rest, digits)?
            }
        }
        Piece::HalfDay { .. } => {
            let (half, rest) = text.split_at_checked(2)?;
            let wanted = if matches!(piece, Piece::HalfDay { upper: true }) {
                ["AM", "PM"]
            } else {
                ["am", "pm"]
            };
            fields.afternoon = Some(wanted.iter().position(|name| *name == half)? == 1);
            rest
        }
        Piece::Fraction {
            digits,
            trimmed: false,
            ..
        } => fraction(fields, text, digits)?,
        Piece::Fraction { .. } => {
            let digits = text
                .strip_prefix(['.', ','])
                .map_or(0, |r| r.bytes().take_while(u8::is_ascii_digit).count());
            if digits == 0 {
                text
            } else {
                fraction(fields, text, digits)?
            }
        }
        Piece::Offset { z: true, .. } if text.starts_with('Z') => {
            fields.zone = Some(Zone::Utc);
            text.get(1..)?
        }
        Piece::Offset { colons, parts, .. } => offset(fields, text, colons, parts)?,
        Piece::ZoneName => zone_name(fields, text)?,
    };
    Some(rest)
}

fn fraction<'t>(fields: &mut Fields, text: &'t str, count: usize) -> Option<&'t str> {
    let (digits, rest) = text.strip_prefix(['.', ','])?.split_at_checked(count)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: String = digits
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    fields.nanos = nanos.parse().ok()?;
    Some(rest)
}

fn offset<'t>(fields: &mut Fields, text: &'t str, colons: bool, parts: u8) -> Option<&'t str> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let mut seconds = 0;
    for (part, unit) in (0..parts).zip([3600, 60, 1]) {
        if colons && part > 0 {
            rest = rest.strip_prefix(':')?;
        }
        let (number, after) = digits(rest, 2)?;
        if number > if part == 0 { 24 } else { 60 } {
            return None;
        }
        seconds += number as i32 * unit;
        rest = after;
    }
    let zone = match sign * seconds {
        0 => Zone::Utc,
        seconds => Zone::Fixed(seconds, Abbreviation::default()),
    };
    fields.zone = Some(zone);
    Some(rest)
}

fn zone_name<'t>(fields: &mut Fields, text: &'t str) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix("UTC") {
        fields.zone = Some(Zone::Utc);
        return Some(rest);
    }
    let capitals = text
        .bytes()
        .take(6)
        .take_while(u8::is_ascii_uppercase)
        .count();
    let length = match capitals {
        3 => 3,
        4 if text.as_bytes().get(3) == Some(&b'T') || text.starts_with("WITA") => 4,
        5 if text.as_bytes().get(4) == Some(&b'T') => 5,
        _ => return None,
    };
    let (name, rest) = text.split_at(length);
    if name == "GMT" && rest.starts_with(['+', '-']) {
        let sign_and_digits = 1 + rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        let (hours, after) = rest.split_at(sign_and_digits);
        let hours: i32 = hours
            .parse()
            .ok()
            .filter(|hours| (-23..=23).contains(hours))?;
        fields.zone_name = Some(format!("GMT{hours:+}"));
        fields.zone = Some(Zone::Fixed(
            hours * 3600,
            Abbreviation::new(&format!("GMT{hours:+}")),
        ));
        return Some(after);
    }
    fields.zone_name = Some(name.to_owned());
    Some(rest)
}

fn days_in(month: u32, year: i64) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Fields {
    fn time(self) -> Option<Time> {
        let year = self.year.unwrap_or(0);
        let mut month = self.month;
        let mut day = self.day;
        if let Some(year_day) = self.year_day {
            let (from_month, from_day) = month_and_day(year_day, year)?;
            if month.is_some_and(|month| month != from_month)
                || day.is_some_and(|day| day != from_day)
            {
                return None;
            }
            (month, day) = (Some(from_month), Some(from_day));
        }
        let (month, day) = (month.unwrap_or(1), day.unwrap_or(1));
        if day < 1 || day > days_in(month, year) {
            return None;
        }
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let seconds = seconds_of(year, month, day, hour, self.minute, self.second);
        let zone = match (self.zone, self.zone_name) {
            (Some(Zone::Fixed(offset, _)), Some(name)) => {
                Zone::Fixed(offset, Abbreviation::new(&name))
            }
            (Some(zone), _) => zone,
            (None, Some(name)) => Zone::Fixed(0, Abbreviation::new(&name)),
            (None, None) => Zone::Utc,
        };
        let offset = if let Zone::Fixed(offset, _) = zone {
            offset
        } else {
            0
        };
        Some(Time {
            seconds: seconds - i64::from(offset),
            nanos: self.nanos,
            zone,
        })
    }
}

fn month_and_day(year_day: u32, year: i64) -> Option<(u32, u32)> {
    let mut left = year_day.checked_sub(1)?;
    for month in 1..=12 {
        let days = days_in(month, year);
        if left < days {
            return Some((month, left + 1));
        }
        left -= days;
    }
    None
}
