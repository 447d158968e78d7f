//! Percent-encoding as Go's `net/url` does it, since templates, rules and endpoints show its results.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Where a text stands in a URL; each place escapes other characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A path: everything that may stand in one stays.
    Path,
    /// A name or value of a query: only unreserved characters stay, a blank becomes `+`.
    Query,
}

/// Escapes bytes for a place.
pub fn escape(bytes: &[u8], place: Place) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        let stays = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'~')
            || (place == Place::Path
                && matches!(
                    byte,
                    b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@'
                ));
        match byte {
            _ if stays => out.push(char::from(byte)),
            b' ' if place == Place::Query => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The bytes that an escaped text stands for; `None` when an escape is broken.
pub fn unescape(text: &str, place: Place) -> Option<Cow<'_, [u8]>> {
    let bytes = text.as_bytes();
    if !bytes
        .iter()
        .any(|byte| *byte == b'%' || (*byte == b'+' && place == Place::Query))
    {
        return Some(Cow::Borrowed(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (pair, after) = tail.split_at_checked(2)?;
                out.push(hex_pair(pair)?);
                rest = after;
            }
            b'+' if place == Place::Query => out.push(b' '),
            _ => out.push(byte),
        }
    }
    Some(Cow::Owned(out))
}

/// [`unescape`] to text; bytes that are no UTF-8 are replaced.
pub fn unescape_text(text: &str, place: Place) -> Option<Cow<'_, str>> {
    match unescape(text, place)? {
        Cow::Borrowed(_) => Some(Cow::Borrowed(text)),
        Cow::Owned(bytes) => Some(Cow::Owned(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })),
    }
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    match pair {
        [high, low] => Some((hex(*high)? << 4) | hex(*low)?),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Decodes a captured path segment. Encoded slashes stay encoded unless `slashes`; a broken escape stays, too.
pub fn unescape_segment(text: &str, slashes: bool) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    if slashes {
        return unescape_text(text, Place::Path)
            .map(Cow::into_owned)
            .unwrap_or_default();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let pair = tail.split_at_checked(2).map(|(pair, _)| pair);
        match pair.and_then(hex_pair) {
            Some(decoded) if byte == b'%' && decoded != b'/' => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// The pairs of a query in order. A pair with a broken escape or a semicolon is left out, as Go does.
pub fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((
                unescape_text(name, Place::Query)?.into_owned(),
                unescape_text(value, Place::Query)?.into_owned(),
            ))
        })
        .collect()
}

/// Whether every pair of a query can be read.
pub fn query_is_sound(query: &str) -> bool {
    query
        .split('&')
        .all(|pair| !pair.contains(';') && unescape(pair, Place::Query).is_some())
}

/// Writes pairs as a query, sorted by name, the order within a name kept.
pub fn encode_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by(|a, b| a.0.cmp(b.0));
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&escape(name.as_bytes(), Place::Query));
        out.push('=');
        out.push_str(&escape(value.as_bytes(), Place::Query));
    }
    out
}

/// Whether a raw path may go on as it is: only characters that may stand in a path, and sound escapes.
pub fn path_is_plain(raw: &str) -> bool {
    raw.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_'
                    | b'.'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
                    | b':'
                    | b'@'
                    | b'['
                    | b']'
                    | b'/'
                    | b'%'
            )
    })
}

/// Whether a path holds an encoded slash.
pub fn has_encoded_slash(raw: &str) -> bool {
    raw.as_bytes()
        .windows(3)
        .any(|three| matches!(three, [b'%', b'2', b'f' | b'F']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_follows_the_place() {
        assert_eq!(escape("a b/ü?".as_bytes(), Place::Path), "a%20b/%C3%BC%3F");
        assert_eq!(escape("a b/ü?".as_bytes(), Place::Query), "a+b%2F%C3%BC%3F");
    }

    #[test]
    fn broken_escapes_are_seen() {
        assert!(unescape("%zz", Place::Path).is_none());
        assert!(unescape("%2", Place::Path).is_none());
        assert_eq!(unescape_text("a%20b+c", Place::Path).unwrap(), "a b+c");
        assert_eq!(unescape_text("a%20b+c", Place::Query).unwrap(), "a b c");
    }

    #[test]
    fn encoded_slashes_stay_unless_wanted() {
        assert_eq!(unescape_segment("a%2Fb%20c%zz", false), "a%2Fb c%zz");
        assert_eq!(unescape_segment("a%2Fb%20c", true), "a/b c");
        assert!(has_encoded_slash("/a%2fb") && !has_encoded_slash("/a%252Fb"));
    }

    #[test]
    fn queries_are_sorted_and_sound() {
        assert_eq!(
            parse_query("b=1&a=%20&x;y=2&c=%zz&flag"),
            [
                ("b".into(), "1".into()),
                ("a".into(), " ".into()),
                ("flag".into(), String::new())
            ]
        );
        assert_eq!(
            encode_query([("b", "2"), ("a", "x y"), ("b", "1")]),
            "a=x+y&b=2&b=1"
        );
    }
}
