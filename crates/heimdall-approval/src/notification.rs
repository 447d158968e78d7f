use heimdall_types::{AppId, Email, NotificationConfigId};
use serde::{Deserialize, Serialize};

/// People to tell, and whether they decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationConfig {
    /// The App.
    pub app_id: AppId,
    /// Its id.
    pub id: NotificationConfigId,
    /// For people; unique in the App.
    pub name: String,
    /// Who gets the mails.
    pub recipients: Vec<Email>,
    /// Whether its recipients decide requests for roles that carry it and have no approval step of their own.
    pub use_for_external_approvals: bool,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}
