//! The pieces of a layout.

/// A piece that stands for a part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    LongMonth,
    ShortMonth,
    Month {
        zero: bool,
    },
    LongWeekday,
    ShortWeekday,
    Day {
        zero: bool,
        blank: bool,
    },
    YearDay {
        zero: bool,
    },
    Hour24,
    Hour12 {
        zero: bool,
    },
    Minute {
        zero: bool,
    },
    Second {
        zero: bool,
    },
    LongYear,
    Year,
    HalfDay {
        upper: bool,
    },
    ZoneName,
    /// `Z` for UTC when `z`; then hours, and minutes and seconds with or without colons
    Offset {
        z: bool,
        colons: bool,
        parts: u8,
    },
    /// Digits behind the second: all of them, or without zeros at the end
    Fraction {
        digits: usize,
        trimmed: bool,
        separator: char,
    },
}

/// Splits the first piece off: what stands before it, the piece, and what follows.
pub(super) fn next(layout: &str) -> Option<(&str, Piece, &str)> {
    let bytes = layout.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if !matches!(
            byte,
            b'J' | b'M' | b'0'..=b'6' | b'_' | b'P' | b'p' | b'-' | b'Z' | b'.' | b','
        ) {
            continue;
        }
        let rest = layout.get(at..)?;
        let Some((piece, length)) = piece(rest, layout.get(..at)?) else {
            continue;
        };
        // An underscore before a year belongs to the text.
        let lead = usize::from(rest.starts_with("_2006"));
        return Some((layout.get(..at + lead)?, piece, rest.get(length + lead..)?));
    }
    None
}

const FIXED: [(&str, Piece); 31] = [
    ("January", Piece::LongMonth),
    ("Monday", Piece::LongWeekday),
    ("MST", Piece::ZoneName),
    ("002", Piece::YearDay { zero: true }),
    ("01", Piece::Month { zero: true }),
    (
        "02",
        Piece::Day {
            zero: true,
            blank: false,
        },
    ),
    ("03", Piece::Hour12 { zero: true }),
    ("04", Piece::Minute { zero: true }),
    ("05", Piece::Second { zero: true }),
    ("06", Piece::Year),
    ("15", Piece::Hour24),
    ("1", Piece::Month { zero: false }),
    ("2006", Piece::LongYear),
    (
        "2",
        Piece::Day {
            zero: false,
            blank: false,
        },
    ),
    ("__2", Piece::YearDay { zero: false }),
    (
        "_2",
        Piece::Day {
            zero: false,
            blank: true,
        },
    ),
    ("3", Piece::Hour12 { zero: false }),
    ("4", Piece::Minute { zero: false }),
    ("5", Piece::Second { zero: false }),
    ("PM", Piece::HalfDay { upper: true }),
    ("pm", Piece::HalfDay { upper: false }),
    ("-070000", offset(false, false, 3)),
    ("-07:00:00", offset(false, true, 3)),
    ("-0700", offset(false, false, 2)),
    ("-07:00", offset(false, true, 2)),
    ("-07", offset(false, false, 1)),
    ("Z070000", offset(true, false, 3)),
    ("Z07:00:00", offset(true, true, 3)),
    ("Z0700", offset(true, false, 2)),
    ("Z07:00", offset(true, true, 2)),
    ("Z07", offset(true, false, 1)),
];

const fn offset(z: bool, colons: bool, parts: u8) -> Piece {
    Piece::Offset { z, colons, parts }
}

fn piece(rest: &str, before: &str) -> Option<(Piece, usize)> {
    if rest.starts_with("_2006") {
        return Some((Piece::LongYear, 4));
    }
    for (text, piece) in FIXED {
        if rest.starts_with(text) {
            return Some((piece, text.len()));
        }
    }
    for (text, piece) in [("Jan", Piece::ShortMonth), ("Mon", Piece::ShortWeekday)] {
        // `Janet` is a name.
        let named = rest
            .get(3..)
            .is_some_and(|after| after.starts_with(|c: char| c.is_ascii_lowercase()));
        if rest.starts_with(text) && !named {
            return Some((piece, text.len()));
        }
    }
    fraction(rest, before)
}

fn fraction(rest: &str, _: &str) -> Option<(Piece, usize)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest
        .as_bytes()
        .get(1)
        .copied()
        .filter(|b| matches!(b, b'0' | b'9'))?;
    let digits = rest.bytes().skip(1).take_while(|b| *b == digit).count();
    if rest
        .as_bytes()
        .get(1 + digits)
        .is_some_and(u8::is_ascii_digit)
    {
        return None;
    }
    Some((
        Piece::Fraction {
            digits,
            trimmed: digit == b'9',
            separator,
        },
        1 + digits,
    ))
}
