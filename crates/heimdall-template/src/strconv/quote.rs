//! Quoted strings and characters.

use std::fmt::Write as _;

use crate::sink::{Buffer, Sink};
use crate::{CallError, Text, unicode, utf8};

/// Whether a byte stands for itself in a quoted string.
fn is_plain_byte(b: u8) -> bool {
    matches!(b, b' '..=b'~') & (b != b'"') & (b != b'\\')
}

/// Writes a double-quoted Go string; most texts have nothing in them that must be escaped.
pub(crate) fn put_quoted_text(text: &Text<'_>, out: &mut dyn Sink) -> Result<(), CallError> {
    match text.as_str() {
        Some(plain) if plain.bytes().fold(true, |fits, b| fits & is_plain_byte(b)) => {
            out.put_enclosed("\"", plain)
        }
        _ => put_quoted(text.as_bytes(), false, out),
    }
}

/// Writes a double-quoted Go string; with `ascii`, only ASCII in it.
pub(crate) fn put_quoted(bytes: &[u8], ascii: bool, out: &mut dyn Sink) -> Result<(), CallError> {
    out.put("\"")?;
    let mut rest = bytes;
    loop {
        let plain = rest
            .iter()
            .position(|b| !is_plain_byte(*b))
            .unwrap_or(rest.len());
        let (head, tail) = rest.split_at(plain);
        if !head.is_empty() {
            out.put_bytes(head)?;
        }
        let Some((c, width)) = utf8::decode(tail) else {
            break;
        };
        match c {
            Some('"') => out.put("\\\"")?,
            Some('\\') => out.put("\\\\")?,
            Some(c) if (!ascii || c.is_ascii()) && unicode::is_print(c) => {
                out.put(c.encode_utf8(&mut [0; 4]))?;
            }
            c => {
                let mut escaped = String::new();
                escape_or_byte(c, tail, ascii, &mut escaped);
                out.put(&escaped)?;
            }
        }
        rest = tail.get(width..).unwrap_or_default();
    }
    out.put("\"")
}

/// A double-quoted Go string; with `ascii`, only ASCII in it.
pub(crate) fn quote(bytes: &[u8], ascii: bool, out: &mut String) {
    let mut buffer = Buffer::new(usize::MAX);
    // A buffer without a limit takes everything.
    let _ = put_quoted(bytes, ascii, &mut buffer);
    out.push_str(&buffer.into_text().to_lossy());
}

fn escape_or_byte(c: Option<char>, tail: &[u8], ascii: bool, out: &mut String) {
    match c {
        Some(c) => escape(c, '"', ascii, out),
        None => put(
            out,
            format_args!("\\x{:02x}", tail.first().copied().unwrap_or_default()),
        ),
    }
}

/// A single-quoted Go character; `None` is no character and shows as U+FFFD.
pub(crate) fn quote_char(c: Option<char>, ascii: bool, out: &mut String) {
    out.push('\'');
    escape(c.unwrap_or(char::REPLACEMENT_CHARACTER), '\'', ascii, out);
    out.push('\'');
}

fn escape(c: char, quote: char, ascii: bool, out: &mut String) {
    if c == quote || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if (!ascii || c.is_ascii()) && unicode::is_print(c) {
        out.push(c);
        return;
    }
    match c {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c < ' ' || c == '\x7f' => put(out, format_args!("\\x{:02x}", u32::from(c))),
        c if u32::from(c) < 0x10000 => put(out, format_args!("\\u{:04x}", u32::from(c))),
        c => put(out, format_args!("\\U{:08x}", u32::from(c))),
    }
}

/// Whether a backquoted string can hold it unchanged.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    utf8::chars(bytes).all(|(_, c)| match c {
        None | Some('\u{feff}' | '`' | '\x7f') => false,
        Some(c) => c >= ' ' || c == '\t',
    })
}

/// What a quoted or backquoted literal stands for; `None` when it is none.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    if let Some(raw) = literal.strip_prefix('`') {
        let raw = raw.strip_suffix('`')?;
        return Some(raw.bytes().filter(|b| *b != b'\r').collect());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (code, is_byte, tail) = unquote_char(rest, '"')?;
        if is_byte {
            bytes.push(code as u8);
        } else {
            let c = char::from_u32(code)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = tail;
    }
    Some(bytes)
}

/// The first character or escape: its code, whether it is one byte, and what follows.
pub(crate) fn unquote_char(text: &str, quote: char) -> Option<(u32, bool, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote {
        return None;
    }
    if first != '\\' {
        return Some((first.into(), false, chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let simple = |c: char| Some((u32::from(c), false, rest));
    match escape {
        'a' => simple('\x07'),
        'b' => simple('\x08'),
        'f' => simple('\x0c'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\x0b'),
        '\\' => simple('\\'),
        '\'' | '"' if escape == quote => simple(escape),
        'x' => digits(rest, 16, 2).map(|(code, rest)| (code, true, rest)),
        'u' | 'U' => {
            let (code, rest) = digits(rest, 16, if escape == 'u' { 4 } else { 8 })?;
            char::from_u32(code).map(|_| (code, false, rest))
        }
        '0'..='7' => {
            let (code, rest) = digits(text.get(1..)?, 8, 3)?;
            (code < 256).then_some((code, true, rest))
        }
        _ => None,
    }
}

fn digits(text: &str, base: u32, count: usize) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let mut code: u32 = 0;
    for digit in digits.chars() {
        code = code.checked_mul(base)?.checked_add(digit.to_digit(base)?)?;
    }
    Some((code, rest))
}

fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    let _ = out.write_fmt(args);
}
