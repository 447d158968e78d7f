//! Percent escapes, by the part of the URL they stand in.

use super::UrlError;
use crate::CallError;
use crate::sink::Sink;

/// The part of a URL: each keeps other characters as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaping {
    Path,
    User,
    Query,
    Fragment,
    Host,
    Zone,
}

fn stays(byte: u8, part: Escaping) -> bool {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
        return true;
    }
    match part {
        Escaping::Query => false,
        Escaping::Path => matches!(
            byte,
            b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@'
        ),
        Escaping::User => matches!(byte, b'$' | b'&' | b'+' | b',' | b';' | b'='),
        Escaping::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
        Escaping::Host | Escaping::Zone => b"!$&'()*+,;=:[]<>\"".contains(&byte),
    }
}

/// The bytes with escapes where they are needed.
pub(crate) fn escape(bytes: &[u8], part: Escaping) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if stays(byte, part) {
            out.push(char::from(byte));
        } else if byte == b' ' && part == Escaping::Query {
            out.push('+');
        } else {
            let digit = |nibble: u8| {
                char::from_digit(nibble.into(), 16)
                    .unwrap_or('0')
                    .to_ascii_uppercase()
            };
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// Writes a text escaped for a query.
pub(crate) fn query_escape(bytes: &[u8], out: &mut dyn Sink) -> Result<(), CallError> {
    out.put(&escape(bytes, Escaping::Query))
}

/// Whether a text can be the encoding of something in this part.
pub(super) fn valid(bytes: &[u8], part: Escaping) -> bool {
    bytes
        .iter()
        .all(|byte| b"!$&'()*+,;=:@[]%".contains(byte) || stays(*byte, part))
}

/// The bytes without escapes.
pub(crate) fn unescape(text: &str, part: Escaping) -> Result<Vec<u8>, UrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let in_host = matches!(part, Escaping::Host | Escaping::Zone);
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = bytes.next().and_then(hex);
                let low = bytes.next().and_then(hex);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(UrlError("invalid URL escape".into()));
                };
                let value = high << 4 | low;
                let refused = match part {
                    // Only bytes that are not ASCII may be escaped in a host, and the percent sign.
                    Escaping::Host => high < 8 && value != b'%',
                    Escaping::Zone => {
                        value != b'%' && value != b' ' && !stays(value, Escaping::Host)
                    }
                    _ => false,
                };
                if refused {
                    return Err(UrlError("invalid URL escape".into()));
                }
                out.push(value);
            }
            b'+' if part == Escaping::Query => out.push(b' '),
            byte if in_host && byte.is_ascii() && !stays(byte, part) => {
                return Err(UrlError(format!(
                    "invalid character `{}` in host name",
                    char::from(byte)
                )));
            }
            byte => out.push(byte),
        }
    }
    Ok(out)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}
