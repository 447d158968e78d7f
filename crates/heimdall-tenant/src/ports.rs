//! What this crate needs from outside: storage, split by what is read, and hashing of passwords.

use async_trait::async_trait;
use heimdall_types::{
    AdminKeyId, AppId, CredentialId, Email, Fault, InviteId, Page, PageRequest, RoleId, Secret,
    SessionId, Timestamp, TokenId, UserId, WebhookId,
};

use crate::change::{ChangeNote, Transition};
use crate::entity::{
    AdminKey, App, AppState, CatalogueEntry, Credential, Invite, PasswordHash, PasswordReset, Role,
    SecondFactors, Session, User, UserState, Webhook,
};

/// How an App is named in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppKey<'a> {
    /// By its name.
    Name(&'a str),
    /// By its id.
    Id(&'a AppId),
}

/// An App with all that decides who may do what in it.
#[derive(Debug, Clone)]
pub struct AppRecord {
    /// The App.
    pub app: App,
    /// Its authority counter; see [`crate::change::Change::Authority`].
    pub authority: i64,
    /// All its roles, by name.
    pub roles: Vec<Role>,
    /// Its catalogue without the built-in permissions, sorted.
    pub catalogue: Vec<CatalogueEntry>,
}

/// A grant's window: a role from a moment to a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The role, by name.
    pub role: String,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when, this moment excluded.
    pub ends_at: Timestamp,
}

/// What decides a user's authority, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRow {
    /// Whether the user may act at all.
    pub state: UserState,
    /// Tokens issued before are dead.
    pub tokens_after: Timestamp,
    /// Roles for good.
    pub roles: Vec<RoleId>,
    /// Roles for a time: grants that were not revoked and end after the moment asked for.
    pub windows: Vec<Window>,
    /// The number of the last [`ChangeNote`] about this user, 0 for none.
    pub changed_seq: i64,
    /// The moment of that note.
    pub changed_at: Timestamp,
}

/// A change note with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedNote {
    /// Its place among the App's notes: 1, 2, 3, ….
    pub seq: i64,
    /// What changed.
    pub note: ChangeNote,
}

/// Which users are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only in this state.
    pub state: Option<UserState>,
    /// Only with this role.
    pub role: Option<RoleId>,
    /// Only whose address begins so, in lower case.
    pub email_prefix: Option<String>,
}

/// Apps and the operator's keys.
#[async_trait]
pub trait Apps: Send + Sync {
    /// An App with its roles and catalogue.
    async fn app(&self, key: AppKey<'_>) -> Result<Option<AppRecord>, Fault>;
    /// Apps by name; archived ones only when asked for.
    async fn apps(&self, state: Option<AppState>, page: &PageRequest) -> Result<Page<App>, Fault>;
    /// A live admin key by the hash of the key.
    async fn admin_key(&self, hash: &str) -> Result<Option<AdminKey>, Fault>;
    /// An admin key by the id of its record.
    async fn admin_key_by_id(&self, id: &AdminKeyId) -> Result<Option<AdminKey>, Fault>;
    /// Admin keys by id, revoked ones too.
    async fn admin_keys(&self, page: &PageRequest) -> Result<Page<AdminKey>, Fault>;
}

/// The users of an App.
#[async_trait]
pub trait Directory: Send + Sync {
    /// One user.
    async fn user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, Fault>;
    /// The user with this address.
    async fn user_by_email(&self, app: &AppId, email: &Email) -> Result<Option<User>, Fault>;
    /// Users by id.
    async fn users(
        &self,
        app: &AppId,
        filter: &UserFilter,
        page: &PageRequest,
    ) -> Result<Page<User>, Fault>;
    /// At most `limit` active users, other than `except`, who have one of these roles for good.
    async fn holders(
        &self,
        app: &AppId,
        roles: &[RoleId],
        except: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<UserId>, Fault>;
    /// The roles that each of these users has for good, in the order asked.
    async fn roles_of(&self, app: &AppId, users: &[UserId]) -> Result<Vec<Vec<RoleId>>, Fault>;
}

/// Live authority and the list of its changes.
#[async_trait]
pub trait Authority: Send + Sync {
    /// What decides a user's authority at `now`.
    async fn standing(
        &self,
        app: &AppId,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<StandingRow>, Fault>;
    /// A session that is neither revoked nor expired.
    async fn session_live(
        &self,
        app: &AppId,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, Fault>;
    /// Which `jti`s of an App are refused at `now`.
    async fn denied(&self, app: &AppId, now: Timestamp) -> Result<Vec<TokenId>, Fault>;
    /// Change notes of an App after `since`, oldest first, at most `limit`; only the latest of each subject.
    async fn notes(&self, app: &AppId, since: i64, limit: u32) -> Result<Vec<NumberedNote>, Fault>;
    /// Forgets change notes and refused tokens that no living token can need, and password resets that are over.
    async fn prune(&self, before: Timestamp) -> Result<(), Fault>;
}

/// Service credentials.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// A credential by its `client_id`, over all Apps.
    async fn credential(&self, id: &CredentialId) -> Result<Option<Credential>, Fault>;
    /// An App's credentials by id.
    async fn credentials(&self, app: &AppId, page: &PageRequest)
    -> Result<Page<Credential>, Fault>;
}

/// Logins.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// One session, over or not.
    async fn session(&self, app: &AppId, id: &SessionId) -> Result<Option<Session>, Fault>;
    /// The session with this id, over all Apps.
    async fn session_anywhere(&self, id: &SessionId) -> Result<Option<Session>, Fault>;
    /// A user's sessions that are neither revoked nor expired, by id.
    async fn sessions(
        &self,
        app: &AppId,
        user: &UserId,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Session>, Fault>;
}

/// How users prove who they are, their password aside.
#[async_trait]
pub trait Proofs: Send + Sync {
    /// What a user shows beside the password; `None` when nothing was ever set up.
    async fn second_factors(
        &self,
        app: &AppId,
        user: &UserId,
    ) -> Result<Option<SecondFactors>, Fault>;
    /// A user's chance to choose a new password.
    async fn password_reset(
        &self,
        app: &AppId,
        user: &UserId,
    ) -> Result<Option<PasswordReset>, Fault>;
    /// The one whose token has this hash.
    async fn password_reset_by_token(
        &self,
        app: &AppId,
        hash: &str,
    ) -> Result<Option<PasswordReset>, Fault>;
}

/// Invites.
#[async_trait]
pub trait Invites: Send + Sync {
    /// One invite.
    async fn invite(&self, app: &AppId, id: &InviteId) -> Result<Option<Invite>, Fault>;
    /// The invite whose token has this hash, over all Apps.
    async fn invite_by_token(&self, hash: &str) -> Result<Option<Invite>, Fault>;
    /// An App's invites, newest first.
    async fn invites(&self, app: &AppId, page: &PageRequest) -> Result<Page<Invite>, Fault>;
    /// Open invites of all Apps that expired before `now`, at most `limit`.
    async fn expired_invites(&self, now: Timestamp, limit: u32) -> Result<Vec<Invite>, Fault>;
}

/// Webhook endpoints.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// One endpoint.
    async fn webhook(&self, app: &AppId, id: &WebhookId) -> Result<Option<Webhook>, Fault>;
    /// An App's endpoints by id.
    async fn webhooks(&self, app: &AppId, page: &PageRequest) -> Result<Page<Webhook>, Fault>;
    /// Every enabled endpoint of an App.
    async fn receivers(&self, app: &AppId) -> Result<Vec<Webhook>, Fault>;
}

/// The one way anything changes.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Applies everything of `transition` in one transaction, or nothing.
    ///
    /// # Errors
    /// `Conflict` when a version or a condition does not hold (load and decide again), `Duplicate` and `Reference` as
    /// [`crate::change::Change`] says.
    async fn apply(&self, transition: Transition) -> Result<(), Fault>;
}

/// What checking a password gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Wrong, or there was nothing to compare with.
    Wrong,
    /// Right.
    Right,
    /// Right, but hashed in an older way: hash it again.
    RightButOld,
}

/// Hashing of passwords. It burns CPU for tens of milliseconds, so the binary runs it on a bounded pool.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Hashes a password.
    async fn hash(&self, password: Secret) -> Result<PasswordHash, Fault>;
    /// Checks a password; with `None` it must do the work of a real check and say [`Verdict::Wrong`], so that an
    /// unknown account takes as long as a known one.
    async fn verify(
        &self,
        password: Secret,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, Fault>;
}

/// Whether notification configs exist; they belong to the approvals service.
#[async_trait]
pub trait NotificationConfigs: Send + Sync {
    /// Those of `ids` that the App does not have.
    async fn missing(&self, app: &AppId, ids: &[String]) -> Result<Vec<String>, Fault>;
}

/// Where requests to addresses that tenants choose may go.
#[async_trait]
pub trait Addresses: Send + Sync {
    /// Whether `host` resolves to an address that is not public. A name that does not resolve leads nowhere yet: it is
    /// looked at again at every connect.
    async fn leads_inward(&self, host: &str, port: u16) -> bool;
}
