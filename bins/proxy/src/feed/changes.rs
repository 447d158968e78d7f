//! What an API said about one App, and what that makes of a token.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use heimdall_pipeline::{Bearer, Hints, Standing};
use heimdall_types::Timestamp;
use serde::Deserialize;

/// How long one question waits for news.
const WAIT: Duration = Duration::from_secs(20);
/// A feed that nobody answered for so long can no longer tell.
const TOO_OLD: Duration = Duration::from_secs(60);

/// Whether one of `granted` is `wanted`, or covers it: `billing:*`, `*`, `*:*`.
pub(super) fn covers(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|granted| {
        granted == wanted || granted == "*" || {
            let (mut pattern, mut text) = (granted.split(':'), wanted.split(':'));
            loop {
                match (pattern.next(), text.next()) {
                    (None, None) => break true,
                    (Some("*"), Some(_)) => {}
                    (Some(a), Some(b)) if a == b => {}
                    _ => break false,
                }
            }
        }
    })
}

/// What an API said about one App.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    seq: i64,
    pub(super) heard: Option<Timestamp>,
    subjects: HashMap<(String, String), Entry>,
    requestable: Vec<Requestable>,
    portal_host: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Document {
    seq: i64,
    #[serde(default)]
    pub(super) has_more: bool,
    pub(super) data: Vec<Entry>,
    #[serde(default)]
    requestable: Vec<Requestable>,
    #[serde(default)]
    portal_host: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Requestable {
    pub(super) role: String,
    #[serde(default)]
    pub(super) permissions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    seq: i64,
    at: String,
    kind: String,
    id: String,
    status: String,
    #[serde(default)]
    roles: Arc<[String]>,
    #[serde(default)]
    permissions: Arc<[String]>,
    #[serde(default)]
    revoked_before: Option<String>,
    #[serde(default)]
    until: Option<String>,
    /// When a grant began or ended that the same change announced.
    #[serde(skip)]
    turned: Option<Timestamp>,
}

impl Entry {
    /// Since when tokens are to be judged by this entry instead of by their claims.
    fn changed(&self, now: Timestamp) -> Timestamp {
        let at = Timestamp::parse_rfc3339(&self.at).unwrap_or(now);
        self.turned.map_or(at, |turned| turned.max(at))
    }

    fn until(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.until.as_deref()?)
    }
}

impl Changes {
    pub(super) fn standing(&self, bearer: &Bearer<'_>, now: Timestamp) -> Standing {
        if self.heard.is_none_or(|heard| now.since(heard) > TOO_OLD) {
            return Standing::Unknown;
        }
        let find = |kind: &str, id: &str| self.subjects.get(&(kind.to_owned(), id.to_owned()));
        let gone = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.status != "live");
        if gone(find("app", bearer.app))
            || bearer
                .session
                .is_some_and(|session| gone(find("session", session)))
        {
            return Standing::Revoked;
        }
        let holders = [
            find("user", bearer.subject),
            bearer.client.and_then(|client| find("client", client)),
            find("client", bearer.subject),
        ];
        for entry in holders.into_iter().flatten() {
            let before = entry
                .revoked_before
                .as_deref()
                .map(|text| Timestamp::parse_rfc3339(text).unwrap_or(now));
            if entry.status != "live"
                || before.is_some_and(|before| bearer.issued_at.seconds() <= before.seconds())
            {
                return Standing::Revoked;
            }
            if entry.until().is_some_and(|until| until <= now) {
                // A grant ended or began and nobody has told yet what holds now.
                return Standing::Unknown;
            }
            // Tokens know whole seconds: one issued in the second of the change may be older than it.
            if bearer.issued_at.seconds() <= entry.changed(now).seconds() {
                return Standing::Live {
                    roles: entry.roles.clone(),
                    permissions: entry.permissions.clone(),
                };
            }
        }
        Standing::Current
    }

    pub(super) fn hints(&self, fits: impl Fn(&Requestable) -> bool) -> Hints {
        let roles = self
            .requestable
            .iter()
            .filter(|role| fits(role))
            .map(|role| role.role.clone());
        Hints {
            requestable_roles: roles.collect(),
            portal_host: self.portal_host.clone(),
        }
    }

    /// This with what a document says on top.
    pub(super) fn with(&self, document: Document, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.seq = next.seq.max(document.seq);
        next.heard = Some(now);
        for mut entry in document.data {
            let key = (entry.kind.clone(), entry.id.clone());
            let known = next.subjects.get(&key);
            if known.is_none_or(|known| known.seq <= entry.seq) {
                entry.turned = known.and_then(|known| {
                    known
                        .until()
                        .filter(|until| *until <= now)
                        .max(known.turned)
                });
                next.subjects.insert(key, entry);
            }
        }
        next.requestable = document.requestable;
        next.portal_host = document
            .portal_host
            .map(|host| host.trim_end_matches('/').to_owned());
        next
    }

    /// From where to ask next: again about a subject whose grants change at a moment that has come.
    pub(super) fn since(&self, now: Timestamp) -> (i64, Duration) {
        let due = self
            .subjects
            .values()
            .filter(|entry| entry.until().is_some_and(|until| until <= now))
            .map(|entry| entry.seq - 1)
            .min();
        let next = self
            .subjects
            .values()
            .filter_map(Entry::until)
            .filter(|until| *until > now)
            .min();
        match due {
            Some(seq) => (seq.max(0), Duration::ZERO),
            None if self.heard.is_none() => (0, Duration::ZERO),
            None => (
                self.seq,
                next.map_or(WAIT, |next| next.since(now).min(WAIT)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn changes(entries: serde_json::Value) -> Changes {
        let document = serde_json::json!({"seq": 9, "data": entries, "requestable": [{"role": "admin", "permissions": ["billing:*"]}], "portal_host": "https://p/"});
        Changes::default().with(serde_json::from_value(document).unwrap(), at(1000))
    }

    fn bearer(issued: i64) -> Bearer<'static> {
        Bearer {
            app: "app_1",
            subject: "usr_1",
            session: Some("ses_1"),
            client: None,
            issued_at: at(issued),
        }
    }

    fn user(status: &str) -> serde_json::Value {
        serde_json::json!([{"seq": 3, "at": at(900).to_rfc3339(), "kind": "user", "id": "usr_1", "status": status, "roles": ["r"], "permissions": ["a:b"]}])
    }

    #[test]
    fn a_token_older_than_a_change_is_judged_by_what_holds_now() {
        let changes = changes(user("live"));
        assert!(matches!(
            changes.standing(&bearer(899), at(1001)),
            Standing::Live { .. }
        ));
        assert_eq!(changes.standing(&bearer(901), at(1001)), Standing::Current);
    }

    #[test]
    fn revoked_is_revoked_and_silence_is_unknown() {
        assert_eq!(
            changes(user("revoked")).standing(&bearer(950), at(1001)),
            Standing::Revoked
        );
        let session = serde_json::json!([{"seq": 1, "at": at(1).to_rfc3339(), "kind": "session", "id": "ses_1", "status": "revoked"}]);
        assert_eq!(
            changes(session).standing(&bearer(950), at(1001)),
            Standing::Revoked
        );
        assert_eq!(
            changes(user("live")).standing(&bearer(950), at(2000)),
            Standing::Unknown
        );
        assert_eq!(
            Changes::default().standing(&bearer(950), at(1)),
            Standing::Unknown
        );
    }

    #[test]
    fn hints_name_roles_that_cover_the_permission() {
        let changes = changes(user("live"));
        let hints = changes.hints(|role| covers(&role.permissions, "billing:write"));
        assert_eq!(
            (hints.requestable_roles, hints.portal_host.as_deref()),
            (vec!["admin".to_owned()], Some("https://p"))
        );
        assert!(
            !covers(&["billing:*".to_owned()], "billing:a:b") && covers(&["*".to_owned()], "x:y")
        );
    }
}
