use crate::error::TenantError;

/// Longest display name, in Unicode scalar values.
pub const MAX_DISPLAY_NAME: usize = 200;
/// Longest description, in Unicode scalar values.
pub const MAX_DESCRIPTION: usize = 1_000;

const MAX_NAME: usize = 63;

/// Checks the name of an App: `a-z 0-9 -`, 1 to 63 of them, a letter or digit at both ends. It is a path segment.
///
/// # Errors
/// [`TenantError::Malformed`] naming `field`.
pub fn app_name(field: &'static str, text: &str) -> Result<(), TenantError> {
    plain(field, text, |c| c == b'-')
}

/// Checks the name of a role: as an App's name, with `_` and `.` allowed too.
///
/// Anything but lower-case ASCII is refused, so no two names look alike: no `Admin`, no `admin `, no Cyrillic `а`.
///
/// # Errors
/// [`TenantError::Malformed`] naming `field`.
pub fn role_name(field: &'static str, text: &str) -> Result<(), TenantError> {
    plain(field, text, |c| matches!(c, b'-' | b'_' | b'.'))
}

fn plain(field: &'static str, text: &str, inner: impl Fn(u8) -> bool) -> Result<(), TenantError> {
    let edge = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges = bytes.first().is_some_and(|c| edge(*c)) && bytes.last().is_some_and(|c| edge(*c));
    if edges && bytes.len() <= MAX_NAME && bytes.iter().all(|c| edge(*c) || inner(*c)) {
        return Ok(());
    }
    Err(TenantError::malformed(
        field,
        "a name has 1 to 63 lower-case ASCII letters, digits and inner hyphens",
    ))
}

/// Checks a text that people read: not blank, at most `max` characters, on one line, no control or
/// direction-changing character.
///
/// # Errors
/// [`TenantError::Malformed`] naming `field`.
pub fn line(field: &'static str, text: &str, max: usize) -> Result<(), TenantError> {
    if text.trim().is_empty() {
        return Err(TenantError::malformed(field, "must not be blank"));
    }
    description(field, text, max)
}

/// As [`fn@line`], but may be blank.
///
/// # Errors
/// [`TenantError::Malformed`] naming `field`.
pub fn description(field: &'static str, text: &str, max: usize) -> Result<(), TenantError> {
    if text.chars().count() > max {
        return Err(TenantError::malformed(field, "is too long"));
    }
    if text.chars().any(hidden) {
        return Err(TenantError::malformed(
            field,
            "must not contain control or direction-changing characters",
        ));
    }
    Ok(())
}

// Bidi overrides could make a name read as another one in a page or a mail (trust.md B12).
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_another_are_refused() {
        for bad in [
            "",
            "Admin",
            "admin ",
            " admin",
            "\u{430}dmin",
            "a/b",
            "-a",
            "a-",
            ".",
            "..",
            "a\0",
            &"a".repeat(64),
        ] {
            assert!(role_name("name", bad).is_err(), "{bad:?}");
            assert!(app_name("name", bad).is_err(), "{bad:?}");
        }
        assert!(role_name("name", "billing-admin_2.x").is_ok());
        assert!(app_name("name", "acme-2").is_ok());
        assert!(app_name("name", "acme.2").is_err());
    }

    #[test]
    fn a_display_name_is_one_visible_line() {
        assert!(line("display_name", "Zoë O’Neil 🎉", MAX_DISPLAY_NAME).is_ok());
        for bad in [
            "",
            "  ",
            "a\nb",
            "a\u{1b}[31m",
            "a\u{202e}b",
            &"x".repeat(201),
        ] {
            assert!(
                line("display_name", bad, MAX_DISPLAY_NAME).is_err(),
                "{bad:?}"
            );
        }
    }
}
