//! Small keyed documents of an App: API keys, definitions, groups, delegations, links, templates, applications.

use async_trait::async_trait;
use heimdall_types::{AppId, ApprovalId, Fault, Page, PageRequest, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::Event;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// A key of the approvals API, found by its hash.
    ApiKey,
    /// A definition, found by its App and name.
    Definition,
    /// A named list of people.
    Group,
    /// A delegation.
    Delegation,
    /// An action link that was given out.
    Link,
    /// A just-in-time template, found by its App and key.
    Template,
    /// A just-in-time application, found by its name over all Apps.
    Application,
    /// A just-in-time request.
    Jit,
    /// A link that waits for its reader to log in, sealed.
    Parked,
    /// The `jti` of an application token that was used.
    UsedToken,
    /// A one-time value of a link's page that was used.
    Nonce,
    /// Wrong codes that were typed for a seat.
    Challenge,
}

impl RecordKind {
    /// Its name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Definition => "definition",
            Self::Group => "group",
            Self::Delegation => "delegation",
            Self::Link => "link",
            Self::Template => "template",
            Self::Application => "application",
            Self::Jit => "jit",
            Self::Parked => "parked",
            Self::UsedToken => "used_token",
            Self::Nonce => "nonce",
            Self::Challenge => "challenge",
        }
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The App.
    pub app_id: AppId,
    /// What it is.
    pub kind: RecordKind,
    /// Its id, unique in App and kind.
    pub id: String,
    /// What else it is found by; unique in its kind over all Apps.
    pub lookup: Option<String>,
    /// 0 is new; any other must be the present one.
    pub version: i64,
    /// The content.
    pub body: Value,
    /// It may be forgotten then.
    pub until: Option<Timestamp>,
}

impl Record {
    /// A new record.
    ///
    /// # Errors
    /// A content that is no JSON.
    pub fn new(
        app: &AppId,
        kind: RecordKind,
        id: impl Into<String>,
        body: &impl Serialize,
    ) -> Result<Self, Fault> {
        let body = serde_json::to_value(body).map_err(|error| Fault::Corrupt(error.to_string()))?;
        Ok(Self {
            app_id: app.clone(),
            kind,
            id: id.into(),
            lookup: None,
            version: 0,
            body,
            until: None,
        })
    }

    /// The same, to be forgotten at this moment.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// The same, found by `lookup` too.
    #[must_use]
    pub fn found_by(mut self, lookup: impl Into<String>) -> Self {
        self.lookup = Some(lookup.into());
        self
    }

    /// Its content.
    ///
    /// # Errors
    /// `Corrupt` when it is another's.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_value(self.body.clone()).map_err(|error| Fault::Corrupt(error.to_string()))
    }

    /// The same record with another content, for an update.
    ///
    /// # Errors
    /// A content that is no JSON.
    pub fn with(mut self, body: &impl Serialize) -> Result<Self, Fault> {
        self.body =
            serde_json::to_value(body).map_err(|error| Fault::Corrupt(error.to_string()))?;
        Ok(self)
    }
}

/// A record to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The App.
    pub app_id: AppId,
    /// What it is.
    pub kind: RecordKind,
    /// Its id.
    pub id: String,
}

/// Reads records, and approvals as lists and logs. Writing goes through [`crate::ports::ApprovalStore::apply`].
#[async_trait]
pub trait Archive: Send + Sync {
    /// One record.
    async fn record(
        &self,
        app: &AppId,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<Record>, Fault>;
    /// The record with this `lookup`, over all Apps.
    async fn found(&self, kind: RecordKind, lookup: &str) -> Result<Option<Record>, Fault>;
    /// The record with this id, over all Apps.
    async fn anywhere(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Fault>;
    /// An App's records of a kind, by id.
    async fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        page: &PageRequest,
    ) -> Result<Page<Record>, Fault>;
    /// Ids of an App's approvals that no portal request is behind, newest first; only those in this state.
    async fn approvals(
        &self,
        app: &AppId,
        state: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<ApprovalId>, Fault>;
    /// The App of an approval.
    async fn app_of(&self, id: &ApprovalId) -> Result<Option<AppId>, Fault>;
    /// Forgets records whose time was over at `now`.
    async fn forget(&self, now: Timestamp) -> Result<(), Fault>;
    /// Everything that happened to an approval, in order.
    async fn log(&self, app: &AppId, id: &ApprovalId) -> Result<Vec<Event>, Fault>;
}
