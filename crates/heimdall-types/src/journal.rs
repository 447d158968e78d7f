//! What a decision leaves behind beside the new state: audit rows, feed events and notices.
//!
//! Domain crates fill a [`Journal`]; the store writes it in the transaction of the change itself, so there is no
//! change without its audit row and no audit row without its change.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AppId, EventId, NoticeId, Timestamp};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// The system itself: a timer, a rotation.
    System,
    /// The holder of an admin key; the id of the key's record.
    AdminKey {
        /// Id of the key's record, never the key.
        id: String,
    },
    /// A user of the App.
    User {
        /// The user's id.
        id: String,
    },
    /// A service credential of the App.
    Client {
        /// The `client_id`.
        id: String,
    },
    /// The holder of an API key of the approvals service; the id of the key's record.
    ApiKey {
        /// Id of the key's record, never the key.
        id: String,
    },
    /// The owner of an external approver's account.
    Account {
        /// The account's id.
        id: String,
    },
    /// Somebody without an account, known by a mail address that received a link.
    Approver {
        /// The approver's opaque id.
        id: String,
    },
    /// Nobody known: a failed login, an invite accepted.
    Anonymous,
}

/// One row of the audit: who did what to whom. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The App it happened in; `None` for the installation (keys, settings, admin keys).
    pub app_id: Option<AppId>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb` in the past: `role.assigned`, `approval.vote_cast`.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// Details: ids, names, before and after.
    pub data: Value,
}

/// One event of an App's feed, also sent to its webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// Also the `webhook-id`.
    pub id: EventId,
    /// The App.
    pub app_id: AppId,
    /// When.
    pub at: Timestamp,
    /// The type, such as `user.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the webhook body carries as `data`.
    pub data: Value,
}

/// Something to tell a person: kind and ids only. The worker renders it, and mints any link, when it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Id of the outbox row; the Message-ID follows from it, so it is the same at every try.
    pub id: NoticeId,
    /// The App it belongs to.
    pub app_id: Option<AppId>,
    /// The message, a folder of `heimdall-notifier/templates`: `approval-requested`, `decided`, `denied`, ….
    pub kind: String,
    /// Exactly one mail address.
    pub recipient: String,
    /// Ids and plain values that the message needs; never a secret.
    pub data: Value,
    /// Not before.
    pub due: Timestamp,
}

/// All that one decision leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Audit rows, in order. A journal with changes but without an audit row is a mistake; the store refuses it.
    pub audit: Vec<AuditEntry>,
    /// Feed events, in order.
    pub events: Vec<FeedEvent>,
    /// Notices for the outbox.
    pub notices: Vec<Notice>,
}

impl Journal {
    /// Whether nothing was written down.
    pub fn is_empty(&self) -> bool {
        self.audit.is_empty() && self.events.is_empty() && self.notices.is_empty()
    }

    /// Appends everything of `other`.
    pub fn extend(&mut self, other: Self) {
        self.audit.extend(other.audit);
        self.events.extend(other.events);
        self.notices.extend(other.notices);
    }
}
