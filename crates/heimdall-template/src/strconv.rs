//! Go's `strconv`: numbers and quoted strings, to and from text.

mod float;
mod quote;

pub(crate) use float::{FloatFormat, format_float, hex_float, parse_float};
pub(crate) use quote::{
    can_backquote, put_quoted, put_quoted_text, quote, quote_char, unquote, unquote_char,
};

/// An unsigned literal with its base told by its prefix.
pub(crate) fn parse_uint_literal(text: &str) -> Option<u64> {
    let (base, digits) = base_of(text)?;
    parse_digits(&digits, base)
}

/// A signed literal with its base told by its prefix.
pub(crate) fn parse_int_literal(text: &str) -> Option<i64> {
    let (negative, unsigned) = sign(text);
    let (base, digits) = base_of(unsigned)?;
    signed(negative, parse_digits(&digits, base)?)
}

/// A signed number in one base, without underscores.
pub(crate) fn parse_int(text: &str, base: u32) -> Option<i64> {
    let (negative, unsigned) = sign(text);
    signed(negative, parse_digits(unsigned, base)?)
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

fn parse_digits(digits: &str, base: u32) -> Option<u64> {
    // Rust's parser takes a sign, which is gone already.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

/// Base and digits of a literal; `None` when its underscores are misplaced.
fn base_of(text: &str) -> Option<(u32, std::borrow::Cow<'_, str>)> {
    let lower = text.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, text.get(2..)?),
        Some("0b") => (2, text.get(2..)?),
        Some("0o") => (8, text.get(2..)?),
        _ if text.len() > 1 && text.starts_with('0') => (8, text.get(1..)?),
        _ => (10, text),
    };
    if !digits.contains('_') {
        return Some((base, digits.into()));
    }
    underscores_fit(text).then(|| (base, digits.replace('_', "").into()))
}

/// Underscores stand only between digits, or between a base prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    #[derive(PartialEq)]
    enum Saw {
        Start,
        Digit,
        Underscore,
        Other,
    }
    let mut bytes = text.as_bytes();
    if let [b'+' | b'-', rest @ ..] = bytes {
        bytes = rest;
    }
    let mut saw = Saw::Start;
    let mut hex = false;
    if let [
        b'0',
        prefix @ (b'b' | b'B' | b'o' | b'O' | b'x' | b'X'),
        rest @ ..,
    ] = bytes
    {
        hex = matches!(prefix, b'x' | b'X');
        saw = Saw::Digit;
        bytes = rest;
    }
    for byte in bytes {
        saw = match byte {
            b'0'..=b'9' => Saw::Digit,
            b'a'..=b'f' | b'A'..=b'F' if hex => Saw::Digit,
            b'_' if saw == Saw::Digit => Saw::Underscore,
            b'_' => return false,
            _ if saw == Saw::Underscore => return false,
            _ => Saw::Other,
        };
    }
    saw != Saw::Underscore
}
