use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest permission, in bytes.
pub const MAX_PERMISSION_BYTES: usize = 128;
const MAX_SEGMENTS: usize = 4;
const MAX_SEGMENT_BYTES: usize = 63;

/// Permissions every App knows from its first day: those that our own endpoints ask for.
pub const BUILT_IN: [(&str, &str); 18] = [
    (
        "approvals:read",
        "see requests, approvals and grants of everybody",
    ),
    (
        "approvals:write",
        "revoke grants, cancel and reset approvals",
    ),
    ("audit:read", "read the audit"),
    ("credentials:read", "list service credentials"),
    (
        "credentials:write",
        "create, change and delete service credentials",
    ),
    ("events:read", "read the event feed"),
    ("keys:read", "see which keys sign tokens"),
    ("roles:assign", "give roles to users and take them away"),
    ("roles:read", "list roles and permissions"),
    ("roles:write", "create, change and delete roles"),
    ("settings:read", "read settings and keys"),
    ("settings:write", "change settings"),
    ("tokens:introspect", "introspect tokens of the App"),
    ("users:invite", "invite people"),
    ("users:read", "list users"),
    ("users:write", "create, change and deactivate users"),
    ("webhooks:read", "list webhook endpoints and deliveries"),
    (
        "webhooks:write",
        "create, change and delete webhook endpoints",
    ),
];

/// A concrete permission: one to four segments of `a-z 0-9 _ - .`, joined by `:`.
///
/// ```
/// use heimdall_tenant::Permission;
///
/// assert!("billing:invoices:read".parse::<Permission>().is_ok());
/// assert!("Billing:read".parse::<Permission>().is_err());
/// assert!("billing:*".parse::<Permission>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Box<str>);

/// What a role holds: a [`Permission`], or one whose whole last segment is `*`, which covers everything below.
///
/// `billing:*` covers `billing:read` and `billing:invoices:read` but not `billing` itself; `*` alone covers all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Box<str>);

/// Why a text is no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// Longer than [`MAX_PERMISSION_BYTES`].
    #[error("a permission has at most 128 bytes")]
    Length,
    /// No segment, or more than four.
    #[error("a permission has one to four segments, joined by `:`")]
    Segments,
    /// An empty or overlong segment, or a character outside `a-z 0-9 _ - .`.
    #[error("a segment has 1 to 63 of the characters `a-z 0-9 _ - .`")]
    Segment,
    /// A `*` anywhere but as the whole last segment of a role's permission.
    #[error("`*` stands only in a role, as the whole last segment")]
    Wildcard,
}

fn check(text: &str, wildcard: bool) -> Result<(), PermissionError> {
    if text.len() > MAX_PERMISSION_BYTES {
        return Err(PermissionError::Length);
    }
    let segments = text.split(':').count();
    if segments > MAX_SEGMENTS {
        return Err(PermissionError::Segments);
    }
    for (i, segment) in text.split(':').enumerate() {
        if wildcard && segment == "*" && i + 1 == segments {
            continue;
        }
        if segment.contains('*') {
            return Err(PermissionError::Wildcard);
        }
        let known =
            |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-' | b'.');
        if !(1..=MAX_SEGMENT_BYTES).contains(&segment.len()) || !segment.bytes().all(known) {
            return Err(PermissionError::Segment);
        }
    }
    Ok(())
}

impl Permission {
    /// The permission as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pattern {
    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the last segment is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.stem().is_some()
    }

    /// The concrete permission this is, unless it is a wildcard.
    pub fn concrete(&self) -> Option<Permission> {
        (!self.is_wildcard()).then(|| Permission(self.0.clone()))
    }

    /// Whether whoever holds this pattern holds `permission`.
    pub fn allows(&self, permission: &str) -> bool {
        match self.stem() {
            Some(stem) => permission.len() > stem.len() && permission.starts_with(stem),
            None => &*self.0 == permission,
        }
    }

    /// Whether everything that `other` allows, now or with permissions yet to be invented, is allowed by this one.
    pub fn covers(&self, other: &Self) -> bool {
        match other.stem() {
            Some(theirs) => self.stem().is_some_and(|ours| theirs.starts_with(ours)),
            None => self.allows(&other.0),
        }
    }

    // `billing:*` → `billing:`; `*` → the empty text.
    fn stem(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        check(text, false)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for Pattern {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        check(text, true)?;
        Ok(Self(text.into()))
    }
}

impl From<Permission> for Pattern {
    fn from(permission: Permission) -> Self {
        Self(permission.0)
    }
}

macro_rules! text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = PermissionError;

            fn try_from(text: String) -> Result<Self, PermissionError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text!(Permission, Pattern);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn the_grammar_is_kept_to_the_letter() {
        let long = format!("{}:{}", "a".repeat(63), "b".repeat(63));
        for good in ["a", "a:b:c:d", "billing:read", "x_1.y-2", &long] {
            assert!(good.parse::<Permission>().is_ok(), "{good}");
        }
        let segment = "a".repeat(64);
        let total = format!("{}:{}:{}", "a".repeat(63), "b".repeat(63), "c");
        for bad in [
            "",
            ":",
            "a:",
            ":a",
            "a::b",
            "a:b:c:d:e",
            "A",
            "a b",
            "а",
            "a:*",
            "*",
            "a*",
            &segment,
            &total,
        ] {
            assert!(bad.parse::<Permission>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_is_the_whole_last_segment_or_nothing() {
        for good in ["*", "a:*", "a:b:c:*"] {
            assert!(good.parse::<Pattern>().is_ok(), "{good}");
        }
        for bad in ["*:a", "a:*:b", "a:b*", "**", "a:**", "a:b:c:d:*"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wildcard_covers_what_lies_below_it_and_no_sibling() {
        assert!(pattern("billing:*").allows("billing:read"));
        assert!(pattern("billing:*").allows("billing:invoices:read"));
        assert!(!pattern("billing:*").allows("billing"));
        assert!(!pattern("billing:*").allows("billing2:read"));
        assert!(pattern("*").covers(&pattern("billing:*")));
        assert!(!pattern("billing:*").covers(&pattern("*")));
        assert!(!pattern("billing:read").covers(&pattern("billing:*")));
    }

    proptest! {
        #[test]
        fn covering_means_allowing_whatever_the_other_allows(
            a in "[ab](:[ab]){0,2}(:\\*)?|\\*", b in "[ab](:[ab]){0,2}(:\\*)?|\\*", p in "[ab](:[ab]){0,3}",
        ) {
            let (a, b) = (pattern(&a), pattern(&b));
            if a.covers(&b) && b.allows(&p) {
                prop_assert!(a.allows(&p));
            }
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text in ".{0,200}") {
            let _ = text.parse::<Pattern>();
        }
    }
}
