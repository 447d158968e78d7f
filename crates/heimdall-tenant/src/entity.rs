//! What a tenant is made of, as it is stored. Every entity carries the `version` that the next change must name.

use std::fmt;

mod second_factors;

use heimdall_types::{
    Actor, AdminKeyId, AppId, CredentialId, Email, InviteId, RoleId, SecretId, SessionId,
    Timestamp, UserId, WebhookId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::permission::Pattern;
use crate::settings::AppSettings;

pub use second_factors::{SecondFactors, SpentChallenge, StoredPasskey, StoredTotp};

/// Whether an App does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AppState {
    /// It issues tokens.
    Active,
    /// It issues no tokens and its tokens are refused, until it is restored.
    Suspended,
    /// Deleted but not erased: as suspended, and gone from lists.
    Archived,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Stands in claims and events.
    pub id: AppId,
    /// The path key; unique over all Apps.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// Whether it does its work.
    pub state: AppState,
    /// Its own settings.
    pub settings: AppSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// That a role can be asked for, and how the asking is decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requestable {
    /// The longest grant, in minutes, 1 to 525 600.
    pub max_minutes: u32,
    /// The approval step (`heimdall-approval`'s `Step`); absent means: the role's notification configs decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Value>,
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The App.
    pub app_id: AppId,
    /// Its id.
    pub id: RoleId,
    /// The path key; unique in the App.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// For people, longer.
    #[serde(default)]
    pub description: String,
    /// What it holds itself.
    pub permissions: Vec<Pattern>,
    /// Roles whose permissions it holds too: acyclic, at most four levels.
    #[serde(default)]
    pub includes: Vec<RoleId>,
    /// Whether it can be asked for.
    #[serde(default)]
    pub requestable: Option<Requestable>,
    /// Ids of the notification configs that are mailed when it is asked for.
    #[serde(default)]
    pub notification_configs: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// A permission of an App's catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// The permission.
    pub permission: String,
    /// For people.
    pub description: String,
    /// Known to every App, and not to be removed.
    pub built_in: bool,
}

/// Whether a user may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UserState {
    /// May log in.
    Active,
    /// May not, until reactivated.
    Suspended,
    /// Deleted but not erased.
    Deactivated,
}

/// A stored password hash in PHC form. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

/// A person of an App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The App.
    pub app_id: AppId,
    /// Its id; `sub` of its tokens.
    pub id: UserId,
    /// Unique in the App.
    pub email: Email,
    /// For people.
    pub display_name: String,
    /// Whether it may log in.
    pub state: UserState,
    /// Absent until a password is set.
    #[serde(default)]
    pub password: Option<PasswordHash>,
    /// Tokens issued before this moment are dead: sessions were revoked, or the password changed.
    #[serde(default)]
    pub tokens_after: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// One secret of a credential: only its keyed hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSecret {
    /// Its id.
    pub id: SecretId,
    /// Lower-case hexadecimal of the keyed SHA-256.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A service's identity. It has at most two live secrets, so that a rotation needs no outage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The App.
    pub app_id: AppId,
    /// The `client_id`; unique over all Apps.
    pub id: CredentialId,
    /// For people; unique in the App.
    pub name: String,
    /// What it may do.
    pub roles: Vec<RoleId>,
    /// Live secrets, oldest first.
    pub secrets: Vec<StoredSecret>,
    /// Tokens carry `roles` but no `permissions`.
    #[serde(default)]
    pub roles_only: bool,
    /// Public keys for `private_key_jwt`.
    #[serde(default)]
    pub jwks: Option<Value>,
    /// Where to fetch them.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Tokens issued before this moment are dead.
    #[serde(default)]
    pub tokens_after: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// A login, and the family of refresh tokens that came from it.
///
/// No refresh token is stored: each is a keyed hash over session, nonce and `generation`, so a stolen database holds
/// none, and the successor that the ten-second window answers again can be computed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The App.
    pub app_id: AppId,
    /// Its id; `sid` of its tokens.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// When the login was.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub refreshed_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// How often it was refreshed: the number of the one refresh token that is good.
    pub generation: i64,
    /// Goes into the refresh tokens.
    pub nonce: String,
    /// When it was revoked.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// What the browser called itself, cut short.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// That somebody may choose a new password without the present one. A user has at most one, the latest.
///
/// The token is a keyed hash over `nonce`, so it can be made when the mail is sent and lies in no table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordReset {
    /// The App.
    pub app_id: AppId,
    /// Whose.
    pub user_id: UserId,
    /// Goes into the token.
    pub nonce: String,
    /// Lower-case hexadecimal of the keyed SHA-256 of the token.
    pub token_hash: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// How an invite stands, its expiry and uses aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InviteState {
    /// Can be accepted while it has uses left and is not expired.
    Open,
    /// Withdrawn.
    Revoked,
    /// Ran out; `invite.expired` was said.
    Expired,
}

/// An invitation to become a user of an App with certain roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The App.
    pub app_id: AppId,
    /// Its id.
    pub id: InviteId,
    /// Lower-case hexadecimal of the keyed SHA-256 of its token.
    pub token_hash: String,
    /// Goes into the token, so that a mail can be given it when it is sent; empty in invites of older releases.
    #[serde(default)]
    pub nonce: String,
    /// Whom; nobody in particular when absent, then whoever accepts names an address.
    pub email: Option<Email>,
    /// What the new user gets.
    pub roles: Vec<RoleId>,
    /// How often it can be accepted.
    pub max_uses: i64,
    /// How often it was.
    pub uses: i64,
    /// How it stands.
    pub state: InviteState,
    /// Until when.
    pub expires_at: Timestamp,
    /// Who invites.
    pub created_by: Actor,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// A webhook secret, sealed under the root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// Base64 of the sealed `whsec_…` text.
    pub sealed: String,
    /// Until when it signs beside its successor; absent for the present one.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// An address that events are posted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The App.
    pub app_id: AppId,
    /// Its id.
    pub id: WebhookId,
    /// Where to.
    pub url: String,
    /// Which event types; `*` alone means all, `role.*` those of a noun.
    pub events: Vec<String>,
    /// The present secret first, then the one it replaces.
    pub secrets: Vec<SealedSecret>,
    /// Whether it is served.
    pub enabled: bool,
    /// Why it is not.
    #[serde(default)]
    pub disabled_reason: Option<String>,
    /// Since when every delivery has failed.
    #[serde(default)]
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// A key of the operator. It may do all, in every App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminKey {
    /// Id of this record.
    pub id: AdminKeyId,
    /// For people.
    pub name: String,
    /// Lower-case hexadecimal of the keyed SHA-256.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}
