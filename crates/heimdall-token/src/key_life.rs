//! The life of signing keys, decided purely: pending → active → retired → removed.

use std::time::Duration;

use heimdall_types::{Actor, AuditEntry, Journal, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ports::{KeyChange, KeyTransition};
use crate::{Algorithm, KeyInfo, KeyRingSettings};

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// Published, does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// Signs no more, still published for the tokens it signed.
    Retired,
    /// Gone from the JWKS; its private part is forgotten.
    Removed,
}

/// A signing key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its name.
    pub kid: String,
    /// The one algorithm it signs with.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made or imported.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub activates_at: Timestamp,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When the last token it signed is dead.
    pub removes_at: Option<Timestamp>,
    /// The PKCS#8 document, sealed under the root key; empty once removed.
    pub sealed: Vec<u8>,
    /// Grows with every change, from 1.
    pub version: i64,
}

impl KeyRecord {
    /// What may be told about it.
    pub fn info(&self) -> KeyInfo {
        KeyInfo {
            kid: self.kid.clone(),
            algorithm: self.algorithm,
            state: self.state,
            created_at: self.created_at,
            activates_at: self.activates_at,
            retired_at: self.retired_at,
            removes_at: self.removes_at,
        }
    }

    fn moved(&self, change: impl FnOnce(&mut Self)) -> (Self, Option<i64>) {
        let mut next = self.clone();
        next.version += 1;
        change(&mut next);
        (next, Some(self.version))
    }
}

/// The record of a key that enters the ring: active at once when it is the first of all, else pending, so that whoever
/// keeps the published set learns of it before it signs.
pub(crate) fn begin(
    kid: &str,
    algorithm: Algorithm,
    sealed: Vec<u8>,
    records: &[KeyRecord],
    now: Timestamp,
    publish_ahead: Duration,
) -> KeyRecord {
    let first = records.iter().all(|other| other.state == KeyState::Removed);
    KeyRecord {
        kid: kid.to_owned(),
        algorithm,
        state: if first {
            KeyState::Active
        } else {
            KeyState::Pending
        },
        created_at: now,
        activates_at: if first { now } else { now.plus(publish_ahead) },
        retired_at: None,
        removes_at: None,
        sealed,
        version: 1,
    }
}

/// Every step that is due at `now`.
pub(crate) fn due(
    records: &[KeyRecord],
    now: Timestamp,
    settings: &KeyRingSettings,
) -> Vec<(KeyRecord, Option<i64>)> {
    let ready =
        |record: &&KeyRecord| record.state == KeyState::Pending && record.activates_at <= now;
    let mut changes = Vec::new();
    for algorithm in Algorithm::ALL {
        let of = || {
            records
                .iter()
                .filter(move |record| record.algorithm == algorithm)
        };
        // Of several that became due while nobody looked, the newest signs; the others retire unused.
        let Some(next) = of()
            .filter(ready)
            .max_by_key(|record| (record.activates_at, record.kid.clone()))
        else {
            continue;
        };
        changes.push(next.moved(|record| record.state = KeyState::Active));
        let replaced = of().filter(|record| record.kid != next.kid);
        for old in replaced.filter(|record| record.state == KeyState::Active || ready(record)) {
            changes.push(old.moved(|record| {
                record.state = KeyState::Retired;
                record.retired_at = Some(now);
                record.removes_at = Some(now.plus(settings.longest_token));
            }));
        }
    }
    for old in records
        .iter()
        .filter(|record| record.state == KeyState::Retired)
    {
        if old.removes_at.is_none_or(|at| at <= now) {
            changes.push(old.moved(|record| {
                record.state = KeyState::Removed;
                record.sealed = Vec::new();
            }));
        }
    }
    changes
}

/// The algorithm that needs a new key: the default one when it has none, else one whose key is old.
pub(crate) fn wanted(
    records: &[KeyRecord],
    now: Timestamp,
    settings: &KeyRingSettings,
) -> Option<Algorithm> {
    let live = |record: &&KeyRecord| matches!(record.state, KeyState::Active | KeyState::Pending);
    if !records
        .iter()
        .filter(live)
        .any(|record| record.algorithm == settings.algorithm)
    {
        return settings
            .algorithm
            .can_be_generated()
            .then_some(settings.algorithm);
    }
    Algorithm::ALL.into_iter().find(|algorithm| {
        let newest = records
            .iter()
            .filter(live)
            .filter(|record| record.algorithm == *algorithm);
        let newest = newest.map(|record| record.activates_at).max();
        let due = newest
            .zip(rotation(settings))
            .map(|(at, after)| at.plus(after));
        algorithm.can_be_generated() && due.is_some_and(|due| due <= now)
    })
}

// The successor is made early enough to be published before the old key's time is over.
fn rotation(settings: &KeyRingSettings) -> Option<Duration> {
    settings.rotate_every.map(|every| {
        every
            .saturating_sub(settings.publish_ahead)
            .max(settings.publish_ahead)
    })
}

/// When something will be due next.
pub(crate) fn next_due(records: &[KeyRecord], settings: &KeyRingSettings) -> Option<Timestamp> {
    let steps = records.iter().filter_map(|record| match record.state {
        KeyState::Pending => Some(record.activates_at),
        KeyState::Retired => record.removes_at,
        KeyState::Active if record.algorithm.can_be_generated() => {
            rotation(settings).map(|after| record.activates_at.plus(after))
        }
        KeyState::Active | KeyState::Removed => None,
    });
    steps.min()
}

/// The transition with one audit row a change.
pub(crate) fn transition(
    changes: Vec<(KeyRecord, Option<i64>)>,
    actor: &Actor,
    now: Timestamp,
) -> KeyTransition {
    let audit = changes.iter().map(|(record, expected)| AuditEntry {
        app_id: None,
        at: now,
        actor: actor.clone(),
        action: match (record.state, expected) {
            (_, None) => "key.created",
            (KeyState::Active, _) => "key.activated",
            (KeyState::Retired, _) => "key.retired",
            _ => "key.removed",
        }
        .to_owned(),
        target: record.kid.clone(),
        data: json!({ "algorithm": record.algorithm, "activates_at": record.activates_at.to_rfc3339() }),
    });
    let journal = Journal {
        audit: audit.collect(),
        ..Journal::default()
    };
    let changes = changes
        .into_iter()
        .map(|(record, expected)| KeyChange { record, expected })
        .collect();
    KeyTransition { changes, journal }
}
