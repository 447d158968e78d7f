//! Times to text.

use std::fmt::Write as _;

use super::layout::{self, Piece};
use super::{Parts, month_name, weekday_name};

pub(super) fn format(parts: &Parts, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some((before, piece, after)) = layout::next(rest) {
        out.push_str(before);
        put(parts, piece, &mut out);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn put(parts: &Parts, piece: Piece, out: &mut String) {
    let hour12 = match parts.hour % 12 {
        0 => 12,
        hour => hour,
    };
    match piece {
        Piece::LongMonth => out.push_str(&month_name(parts.month.into())),
        Piece::ShortMonth => out.extend(month_name(parts.month.into()).chars().take(3)),
        Piece::LongWeekday => out.push_str(&weekday_name(parts.weekday.into())),
        Piece::ShortWeekday => out.extend(weekday_name(parts.weekday.into()).chars().take(3)),
        Piece::Month { zero } => number(parts.month, zero, out),
        Piece::Day { blank: true, .. } => write(out, format_args!("{:2}", parts.day)),
        Piece::Day { zero, .. } => number(parts.day, zero, out),
        Piece::YearDay { zero: true } => write(out, format_args!("{:03}", parts.year_day)),
        Piece::YearDay { zero: false } => write(out, format_args!("{:3}", parts.year_day)),
        Piece::Hour24 => number(parts.hour, true, out),
        Piece::Hour12 { zero } => number(hour12, zero, out),
        Piece::Minute { zero } => number(parts.minute, zero, out),
        Piece::Second { zero } => number(parts.second, zero, out),
        Piece::LongYear => {
            let sign = if parts.year < 0 { "-" } else { "" };
            write(out, format_args!("{sign}{:04}", parts.year.unsigned_abs()));
        }
        Piece::Year => number((parts.year.unsigned_abs() % 100) as u32, true, out),
        Piece::HalfDay { upper } => out.push_str(match (parts.hour >= 12, upper) {
            (true, true) => "PM",
            (true, false) => "pm",
            (false, true) => "AM",
            (false, false) => "am",
        }),
        // A zone that no name is known of shows its offset.
        Piece::ZoneName if parts.abbreviation.is_empty() => offset(parts.offset, false, 2, out),
        Piece::ZoneName => out.push_str(&parts.abbreviation),
        Piece::Offset { z: true, .. } if parts.offset == 0 => out.push('Z'),
        Piece::Offset {
            colons,
            parts: count,
            ..
        } => offset(parts.offset, colons, count, out),
        Piece::Fraction {
            digits,
            trimmed,
            separator,
        } => fraction(parts.nanos, digits, trimmed, separator, out),
    }
}

fn number(n: u32, zero: bool, out: &mut String) {
    if zero {
        write(out, format_args!("{n:02}"))
    } else {
        write(out, format_args!("{n}"))
    }
}

fn offset(seconds: i32, colons: bool, parts: u8, out: &mut String) {
    out.push(if seconds < 0 { '-' } else { '+' });
    let total = seconds.unsigned_abs();
    let fields = [total / 3600, total / 60 % 60, total % 60];
    for (i, field) in fields.iter().take(parts.into()).enumerate() {
        if colons && i > 0 {
            out.push(':');
        }
        number(*field, true, out);
    }
}

/// The abbreviation of a zone of the IANA database that has digits for letters: minutes only when there are some.
pub(super) fn numeric_abbreviation(seconds: i32) -> String {
    let parts = if seconds / 60 % 60 == 0 { 1 } else { 2 };
    let mut out = String::new();
    offset(seconds, false, parts, &mut out);
    out
}

fn fraction(nanos: u32, digits: usize, trimmed: bool, separator: char, out: &mut String) {
    let all = format!("{nanos:09}");
    let mut shown: String = all.chars().take(digits.min(9)).collect();
    if trimmed {
        shown.truncate(shown.trim_end_matches('0').len());
        if shown.is_empty() {
            return;
        }
    } else {
        (9..digits).for_each(|_| shown.push('0'));
    }
    out.push(separator);
    out.push_str(&shown);
}

fn write(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    let _ = out.write_fmt(args);
}
