use std::borrow::Cow;

use crate::digest::short_hash;

/// Which parts of a path are secrets and must not reach a log.
///
/// A pattern is a path in which `*` stands for the segment that is a token: `/v1/invites/*`. A pattern matches
/// anywhere in the path, whatever follows. Segments that look like one of our secrets are hidden without a pattern.
/// A hidden segment is written as `token=` and the first 8 characters of its SHA-256, so that two lines about one
/// token can be joined. Queries are never logged.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    patterns: Vec<Vec<Box<str>>>,
}

impl Redaction {
    /// Redaction by these patterns.
    pub fn new(patterns: &[&str]) -> Self {
        let segments = |p: &&str| {
            p.split('/')
                .filter(|s| !s.is_empty())
                .map(Into::into)
                .collect()
        };
        Self {
            patterns: patterns.iter().map(segments).collect(),
        }
    }

    /// The path as it may be logged; without its query.
    pub fn path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        let hidden: Vec<bool> = (0..segments.len())
            .map(|at| self.is_secret(&segments, at))
            .collect();
        if !hidden.contains(&true) {
            return Cow::Borrowed(path);
        }
        let shown = segments.iter().zip(hidden).map(|(segment, hide)| {
            if hide {
                format!("token={}", short_hash(segment.as_bytes(), 8))
            } else {
                (*segment).to_owned()
            }
        });
        Cow::Owned(shown.collect::<Vec<_>>().join("/"))
    }

    fn is_secret(&self, segments: &[&str], at: usize) -> bool {
        let Some(segment) = segments.get(at).filter(|s| !s.is_empty()) else {
            return false;
        };
        looks_secret(segment)
            || self
                .patterns
                .iter()
                .any(|pattern| matches_at(pattern, segments, at))
    }
}

/// A path as it may be logged where no pattern is known: without its query, and with a hash for what looks like a
/// secret.
pub fn redact_path(path: &str) -> Cow<'_, str> {
    Redaction::default().path(path)
}

fn matches_at(pattern: &[Box<str>], segments: &[&str], at: usize) -> bool {
    pattern
        .iter()
        .enumerate()
        .filter(|(_, p)| p.as_ref() == "*")
        .any(|(star, _)| {
            let Some(start) = at.checked_sub(star) else {
                return false;
            };
            let before = segments.get(start..at).unwrap_or_default();
            before.len() == star
                && before
                    .iter()
                    .zip(pattern)
                    .all(|(s, p)| p.as_ref() == "*" || p.as_ref() == *s)
        })
}

// Our ids are at most 40 characters long; only JWTs and secrets are longer than that.
fn looks_secret(segment: &str) -> bool {
    segment.starts_with("eyJ")
        || segment.len() > 48
        || ["hmk_", "whsec_", "hms_"]
            .iter()
            .any(|p| segment.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_paths_become_the_start_of_their_hash() {
        let redaction = Redaction::new(&["/v1/invites/*", "/link/*"]);
        let hidden = redaction.path("/heimdall/v1/invites/secret/accept?token=x");
        assert_eq!(
            hidden,
            format!(
                "/heimdall/v1/invites/token={}/accept",
                short_hash(b"secret", 8)
            )
        );
        assert_eq!(
            redaction.path("/heimdall/v1/apps/acme"),
            "/heimdall/v1/apps/acme"
        );
        assert!(
            !redaction
                .path("/x/eyJhbGciOiJIUzI1NiJ9.e30.abc")
                .contains("eyJ")
        );
        assert!(!redaction.path("/x/hmk_abc").contains("abc"));
    }
}
