//! What the approvals need from outside.

use async_trait::async_trait;
use heimdall_types::{
    AppId, ApprovalId, Email, Fault, GrantId, Journal, NotificationConfigId, Page, PageRequest,
    RequestId, Timestamp, UserId,
};

use crate::archive::{Gone, Record};
use crate::definition::StepDefinition;
use crate::event::Event;
use crate::notification::NotificationConfig;
use crate::person::{Identity, Person};
use crate::portal::Portal;
use crate::request::{Grant, Request, RequestState};
use crate::state::{ApprovalState, State};

/// A stored approval with its version.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The App.
    pub app_id: AppId,
    /// Its id.
    pub id: ApprovalId,
    /// The state that its log adds up to.
    pub state: State,
    /// How many events it has seen.
    pub version: i64,
}

/// Events to append to an approval's log, and what is looked up by.
#[derive(Debug, Clone)]
pub struct Append {
    /// The App.
    pub app_id: AppId,
    /// The approval.
    pub id: ApprovalId,
    /// How many events it must have seen; 0 makes it.
    pub expected: i64,
    /// What happened.
    pub events: Vec<Event>,
    /// Where it stands then.
    pub state: ApprovalState,
    /// When time alone changes it next.
    pub due: Option<Timestamp>,
    /// Whom it waits for.
    pub waits: Vec<Identity>,
}

/// Everything one decision does: applied whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Transition {
    /// What happened to an approval.
    pub approval: Option<Append>,
    /// Insert (version 0) or update; a version that does not hold is a conflict.
    pub requests: Vec<Request>,
    /// Insert (version 0) or update.
    pub grants: Vec<Grant>,
    /// Records to insert (version 0) or update; a taken `lookup` is `Fault::Duplicate("name")`.
    pub records: Vec<Record>,
    /// Records to delete.
    pub gone: Vec<Gone>,
    /// Users whose authority changes with this: the store appends a change note for each.
    pub authority: Vec<(AppId, UserId, Timestamp)>,
    /// Audit, events and notices.
    pub journal: Journal,
}

/// Which requests are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only this requester's.
    pub requester: Option<UserId>,
    /// Only in this state.
    pub state: Option<RequestState>,
}

/// Which grants are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Only this user's.
    pub user: Option<UserId>,
    /// Only live ones (`true`) or only ended ones (`false`).
    pub active: Option<bool>,
}

/// Approvals, and the one way anything changes.
#[async_trait]
pub trait ApprovalStore: Send + Sync {
    /// An approval.
    async fn approval(&self, app: &AppId, id: &ApprovalId) -> Result<Option<Stored>, Fault>;
    /// Open approvals whose time is up at `now`, at most `limit`.
    async fn due_approvals(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored>, Fault>;
    /// The next moment at which an approval or a grant changes by itself.
    async fn next_due(&self) -> Result<Option<Timestamp>, Fault>;
    /// Open approvals that wait for this person and that no portal request is behind, oldest first.
    async fn waiting(
        &self,
        app: &AppId,
        person: &Person,
        page: &PageRequest,
    ) -> Result<Page<ApprovalId>, Fault>;
    /// Applies everything of `transition` in one transaction, or nothing.
    ///
    /// # Errors
    /// `Conflict` when a version does not hold: load and decide again.
    async fn apply(&self, transition: Transition) -> Result<(), Fault>;
}

/// Requests of the portal.
#[async_trait]
pub trait Requests: Send + Sync {
    /// One request.
    async fn request(&self, app: &AppId, id: &RequestId) -> Result<Option<Request>, Fault>;
    /// The request with this number, over all Apps.
    async fn session(&self, session_id: i64) -> Result<Option<Request>, Fault>;
    /// The request that this approval decides.
    async fn request_of(
        &self,
        app: &AppId,
        approval: &ApprovalId,
    ) -> Result<Option<Request>, Fault>;
    /// Requests, newest first.
    async fn requests(
        &self,
        app: &AppId,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<Request>, Fault>;
    /// Requests that wait for this person, oldest first.
    async fn inbox(
        &self,
        app: &AppId,
        person: &Person,
        page: &PageRequest,
    ) -> Result<Page<Request>, Fault>;
}

/// Grants.
#[async_trait]
pub trait Grants: Send + Sync {
    /// One grant.
    async fn grant(&self, app: &AppId, id: &GrantId) -> Result<Option<Grant>, Fault>;
    /// Grants, newest first.
    async fn grants(
        &self,
        app: &AppId,
        filter: &GrantFilter,
        page: &PageRequest,
    ) -> Result<Page<Grant>, Fault>;
    /// The grants of a request.
    async fn grants_of(&self, app: &AppId, request: &RequestId) -> Result<Vec<Grant>, Fault>;
    /// Live grants that start or end by `now`, at most `limit`.
    async fn due_grants(&self, now: Timestamp, limit: u32) -> Result<Vec<Grant>, Fault>;
}

/// What a role says about being asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestableRole {
    /// Its name.
    pub name: String,
    /// What it allows, for people.
    pub description: String,
    /// The longest grant, in minutes.
    pub max_minutes: u32,
    /// Who decides.
    pub step: StepDefinition,
    /// Who is told without being asked.
    pub informed: Vec<Email>,
}

/// Why a role cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRequestable {
    /// There is no such role.
    Unknown,
    /// It is not open for requests.
    Closed,
    /// Nobody is named who would decide: an administrator must mend that.
    NobodyDecides,
}

/// The roles of an App, as far as asking for them goes.
#[async_trait]
pub trait RoleBook: Send + Sync {
    /// The role of this name.
    async fn requestable(
        &self,
        app: &AppId,
        name: &str,
    ) -> Result<Result<RequestableRole, NotRequestable>, Fault>;
}

/// The portal settings of each App.
#[async_trait]
pub trait PortalBook: Send + Sync {
    /// The settings of an App, if it has any.
    async fn portal(&self, app: &AppId) -> Result<Option<Portal>, Fault>;
    /// Writes them when they still have the version that `portal` has; gives the new one.
    ///
    /// # Errors
    /// `Conflict` when somebody else was faster, `Duplicate` when one of the keys is another App's.
    async fn put_portal(
        &self,
        app: &AppId,
        portal: &Portal,
        journal: Journal,
    ) -> Result<i64, Fault>;
}

/// Notification configs.
#[async_trait]
pub trait NotificationBook: Send + Sync {
    /// One config.
    async fn config(
        &self,
        app: &AppId,
        id: &NotificationConfigId,
    ) -> Result<Option<NotificationConfig>, Fault>;
    /// Configs by id.
    async fn configs(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<NotificationConfig>, Fault>;
    /// Those of these ids that there are.
    async fn configs_of(
        &self,
        app: &AppId,
        ids: &[String],
    ) -> Result<Vec<NotificationConfig>, Fault>;
    /// Inserts (version 0) or updates. A taken name is `Duplicate("name")`.
    async fn put_config(&self, config: &NotificationConfig, journal: Journal) -> Result<(), Fault>;
    /// Deletes; idempotent.
    async fn drop_config(
        &self,
        app: &AppId,
        id: &NotificationConfigId,
        journal: Journal,
    ) -> Result<(), Fault>;
}
