//! Request targets.

use std::borrow::Cow;

use heimdall_finalizer::url::{Place, escape, path_is_plain, unescape};

use crate::Refusal;

/// Origin form of a target, and the authority of an absolute one.
pub(super) fn split_absolute(target: &str) -> Result<(&str, Option<&str>), Refusal> {
    if target.starts_with('/') {
        return Ok((target, None));
    }
    let rest = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| {
            let (start, rest) = target.split_at_checked(scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then_some(rest)
        })
        .ok_or_else(|| Refusal::bad("target can not be used"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if !path.starts_with('/') {
        return Err(Refusal::bad("target has no path"));
    }
    Ok((path, Some(authority)))
}

/// Path and query; an empty query is none.
pub(super) fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, (!query.is_empty()).then_some(query)),
        None => (target, None),
    }
}

/// The canonical form of a path: plain dot segments and empty segments resolved, percent-encoding in upper case,
/// what may not stand in a path encoded. Encoded dot segments, those with parameters, backslashes and NUL have two
/// meanings: refused.
pub(super) fn canonical(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    if !raw.starts_with('/') {
        return Err(Refusal::bad("path does not begin with a slash"));
    }
    if raw
        .bytes()
        .any(|byte| byte <= b' ' || byte == 0x7f || matches!(byte, b'\\' | b'#'))
    {
        return Err(Refusal::bad("path holds what no path may hold"));
    }
    let escaped = escapes(raw)?;
    if has_dots_in_disguise(raw) {
        return Err(Refusal::bad("path holds encoded dot segments"));
    }
    let plain = if path_is_plain(&escaped) {
        escaped
    } else {
        let bytes = unescape(&escaped, Place::Path)
            .ok_or_else(|| Refusal::bad("broken percent-encoding"))?;
        Cow::Owned(escape(&bytes, Place::Path))
    };
    Ok(match plain {
        Cow::Borrowed(path) => clean(path),
        Cow::Owned(path) => Cow::Owned(clean(&path).into_owned()),
    })
}

/// Checks every escape and writes its digits in upper case.
fn escapes(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    let bytes = raw.as_bytes();
    let mut shout = false;
    for (index, byte) in bytes.iter().enumerate() {
        if *byte != b'%' {
            continue;
        }
        match bytes.get(index + 1..index + 3) {
            Some([b'0', b'0']) => return Err(Refusal::bad("path holds NUL")),
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                shout |= high.is_ascii_lowercase() || low.is_ascii_lowercase();
            }
            _ => return Err(Refusal::bad("broken percent-encoding")),
        }
    }
    if !shout {
        return Ok(Cow::Borrowed(raw));
    }
    let mut digits = 0;
    let upper = raw.chars().map(|c| {
        if c == '%' {
            digits = 2;
            return c;
        }
        if digits > 0 {
            digits -= 1;
            return c.to_ascii_uppercase();
        }
        c
    });
    Ok(Cow::Owned(upper.collect()))
}

/// Whether a segment is `.` or `..` only after decoding, is separated by an encoded slash or backslash, or carries path
/// parameters (`..;x`), which some servers take off before they resolve dots and others do not.
fn has_dots_in_disguise(raw: &str) -> bool {
    if !raw.contains(['%', ';']) {
        return false;
    }
    raw.split('/').any(|segment| {
        if !segment.contains(['%', ';']) {
            return false;
        }
        let lower = segment.to_ascii_lowercase();
        let decoded = lower.replace("%2e", ".").replace("%3b", ";");
        let mut parts = decoded.split("%2f").flat_map(|part| part.split("%5c"));
        parts.any(|part| matches!(part.split(';').next(), Some("." | "..")))
    })
}

/// Resolves dot segments and empty segments. A slash at the end stays.
fn clean(path: &str) -> Cow<'_, str> {
    let dirty = path.contains("//") || path.contains("/.");
    if !dirty {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_form(raw in "/([a-c.%/;:@+é]|%2[5-9ef]|%c3%a4|\\.\\.){0,12}") {
            if let Ok(once) = canonical(&raw) {
                prop_assert_eq!(canonical(&once).unwrap(), once.clone());
                prop_assert!(!once.contains("//"));
                prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }

        #[test]
        fn no_text_makes_the_gate_fail(raw in ".*") {
            let _ = canonical(&raw);
            let _ = split_absolute(&raw);
        }
    }
}
