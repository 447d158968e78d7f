use std::collections::BTreeMap;

use heimdall_types::{AppId, Journal, UserId};
use serde::{Deserialize, Serialize};

/// What a committed transaction changed, told to everyone who keeps something in memory.
///
/// It arrives at once in the process that wrote, and within 250 ms in the others on the same PostgreSQL. A receiver
/// that lagged behind must drop all it keeps, as for [`Committed::everything`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Committed {
    /// The App; `None` for the installation (keys, settings, admin keys).
    pub app_id: Option<AppId>,
    /// Users whose standing may have changed.
    pub users: Vec<UserId>,
    /// Types of the feed events, in order.
    pub events: Vec<String>,
    /// What the audit rows were about: ids of approvals, requests, grants, roles.
    pub targets: Vec<String>,
    /// Notices or deliveries wait to be sent.
    pub outbox: bool,
    /// Positions of the feed were given out: readers may go on.
    pub feed: bool,
    /// Changes were missed or are too many to name: whatever is kept in memory may be old.
    pub everything: bool,
}

impl Committed {
    /// The signal that says nothing in memory can be trusted.
    pub(crate) fn all() -> Self {
        Self {
            everything: true,
            feed: true,
            outbox: true,
            ..Self::default()
        }
    }
}

/// What a job touched so far, by App.
#[derive(Debug, Default)]
pub(crate) struct Touched(BTreeMap<Option<AppId>, Committed>);

impl Touched {
    /// The notes of an App (`None`: the installation), for a job that changes something beside its journal.
    pub(crate) fn of(&mut self, app: Option<&AppId>) -> &mut Committed {
        self.0.entry(app.cloned()).or_insert_with(|| Committed {
            app_id: app.cloned(),
            ..Committed::default()
        })
    }

    /// Notes all that a journal tells.
    pub(crate) fn journal(&mut self, journal: &Journal) {
        for entry in &journal.audit {
            self.of(entry.app_id.as_ref())
                .targets
                .push(entry.target.clone());
        }
        for event in &journal.events {
            let user = event
                .data
                .get("user_id")
                .and_then(|id| id.as_str())
                .and_then(|id| id.parse().ok());
            let notes = self.of(Some(&event.app_id));
            notes.events.push(event.kind.clone());
            notes.users.extend(user);
        }
        for notice in &journal.notices {
            self.of(notice.app_id.as_ref()).outbox = true;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn take(&mut self) -> Vec<Committed> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    pub(crate) fn put(&mut self, committed: Vec<Committed>) {
        self.0 = committed
            .into_iter()
            .map(|notes| (notes.app_id.clone(), notes))
            .collect();
    }
}
