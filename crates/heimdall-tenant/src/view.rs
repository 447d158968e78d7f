//! What callers get. Times are RFC 3339 texts; no view holds a hash or a sealed secret.

use heimdall_types::{
    AdminKeyId, AppId, CredentialId, Email, InviteId, PasskeyId, RoleId, SecretId, SessionId,
    Timestamp, UserId, WebhookId,
};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::authority::{Model, RequestableRole};
use crate::entity::{
    AdminKey, App, AppState, Credential, Invite, InviteState, Requestable, Role, Session, User,
    UserState, Webhook,
};

fn text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339())
}

fn maybe<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => text(at, serializer),
        None => serializer.serialize_none(),
    }
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }
    )*};
}

views! {
    /// An App.
    AppView {
        /// Its id.
        id: AppId,
        /// The path key.
        name: String,
        /// For people.
        display_name: String,
        /// Whether it does its work.
        state: AppState,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last changed.
        #[serde(serialize_with = "text")]
        updated_at: Timestamp,
        /// For `ETag`.
        #[serde(skip)]
        version: i64,
    }

    /// A role.
    RoleView {
        /// Its id.
        id: RoleId,
        /// The path key.
        name: String,
        /// For people.
        display_name: String,
        /// For people, longer.
        description: String,
        /// What it holds itself.
        permissions: Vec<String>,
        /// Names of the roles it includes.
        includes: Vec<String>,
        /// All it holds, wildcards expanded.
        effective_permissions: Vec<String>,
        /// Whether it can be asked for.
        requestable: Option<Requestable>,
        /// Ids of notification configs.
        notification_configs: Vec<String>,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last changed.
        #[serde(serialize_with = "text")]
        updated_at: Timestamp,
        /// For `ETag`.
        #[serde(skip)]
        version: i64,
    }

    /// A user.
    UserView {
        /// Its id.
        id: UserId,
        /// The same.
        user_id: UserId,
        /// The address.
        email: Email,
        /// For people.
        display_name: String,
        /// Whether it may log in.
        state: UserState,
        /// Names of its roles for good.
        roles: Vec<String>,
        /// Whether a password is set.
        has_password: bool,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last changed.
        #[serde(serialize_with = "text")]
        updated_at: Timestamp,
        /// For `ETag`.
        #[serde(skip)]
        version: i64,
    }

    /// A secret's record.
    SecretView {
        /// Its id.
        id: SecretId,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
    }

    /// A credential.
    CredentialView {
        /// The `client_id`.
        client_id: CredentialId,
        /// For people.
        name: String,
        /// Names of its roles.
        roles: Vec<String>,
        /// Its live secrets' records.
        secrets: Vec<SecretView>,
        /// Tokens carry no `permissions`.
        roles_only: bool,
        /// Public keys.
        jwks: Option<Value>,
        /// Where to fetch them.
        jwks_uri: Option<String>,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last changed.
        #[serde(serialize_with = "text")]
        updated_at: Timestamp,
        /// For `ETag`.
        #[serde(skip)]
        version: i64,
    }

    /// A login.
    SessionView {
        /// Its id.
        id: SessionId,
        /// Whose.
        user_id: UserId,
        /// When it began.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last refreshed.
        #[serde(serialize_with = "text")]
        refreshed_at: Timestamp,
        /// When it ends at the latest.
        #[serde(serialize_with = "text")]
        expires_at: Timestamp,
        /// What the browser called itself.
        user_agent: Option<String>,
        /// Whether it is the one that asks.
        current: bool,
    }

    /// An invite.
    InviteView {
        /// Its id.
        id: InviteId,
        /// Whom.
        email: Option<Email>,
        /// Names of the roles.
        roles: Vec<String>,
        /// `open`, `used_up`, `expired` or `revoked`.
        state: &'static str,
        /// How often it can be accepted.
        max_uses: i64,
        /// How often it was.
        uses: i64,
        /// Until when.
        #[serde(serialize_with = "text")]
        expires_at: Timestamp,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// For `ETag`.
        #[serde(skip)]
        version: i64,
    }

    /// What the invited person sees before accepting.
    InvitePreview {
        /// The App's name.
        app: String,
        /// The App's name for people.
        app_display_name: String,
        /// Whom.
        email: Option<Email>,
        /// Names of the roles.
        roles: Vec<String>,
        /// Until when.
        #[serde(serialize_with = "text")]
        expires_at: Timestamp,
    }

    /// A webhook endpoint.
    WebhookView {
        /// Its id.
        id: WebhookId,
        /// Where to.
        url: String,
        /// Which types; empty means all.
        events: Vec<String>,
        /// Whether it is served.
        enabled: bool,
        /// Why it is not.
        disabled_reason: Option<String>,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last changed.
        #[serde(serialize_with = "text")]
        updated_at: Timestamp,
        /// For `ETag`.
        #[serde(skip)]
        version: i64,
    }

    /// An admin key's record.
    AdminKeyView {
        /// Its id.
        id: AdminKeyId,
        /// For people.
        name: String,
        /// When it was made.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was revoked.
        #[serde(serialize_with = "maybe")]
        revoked_at: Option<Timestamp>,
    }

    /// An admin key, shown once.
    NewAdminKeyView {
        /// The record.
        #[serde(flatten)]
        record: AdminKeyView,
        /// The key, `hmk_…`.
        key: String,
    }

    /// A new credential with its secret, shown once.
    NewCredentialView {
        /// The record.
        #[serde(flatten)]
        credential: CredentialView,
        /// The secret.
        client_secret: String,
    }

    /// A new secret, shown once.
    NewSecretView {
        /// Its id.
        id: SecretId,
        /// The secret.
        client_secret: String,
    }

    /// A new invite with its token, shown once.
    NewInviteView {
        /// The record.
        #[serde(flatten)]
        invite: InviteView,
        /// Where to accept it.
        invite_url: String,
        /// Its token.
        token: String,
    }

    /// A new webhook endpoint with its secret, shown once.
    NewWebhookView {
        /// The record.
        #[serde(flatten)]
        webhook: WebhookView,
        /// `whsec_…`.
        secret: String,
    }

    /// An answer of a token endpoint.
    TokenAnswer {
        /// The token.
        access_token: String,
        /// `Bearer` or `DPoP`.
        token_type: &'static str,
        /// Seconds.
        expires_in: u32,
        /// For users.
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<String>,
        /// What was granted, when it was narrowed.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// For token exchange.
        #[serde(skip_serializing_if = "Option::is_none")]
        issued_token_type: Option<&'static str>,
    }

    /// The question for a second factor.
    SecondStep {
        /// Goes with the proof.
        mfa_token: String,
        /// What the user can show: `totp`, `passkey`, `recovery_code`.
        mfa_methods: Vec<&'static str>,
        /// Seconds.
        expires_in: u64,
        /// What `navigator.credentials.get` is given as `publicKey`, in JSON form.
        passkey: Option<Value>,
    }

    /// What a user has set up beside the password.
    FactorsView {
        /// Whether an authenticator app is in use.
        totp: bool,
        /// Since when.
        #[serde(serialize_with = "maybe")]
        totp_since: Option<Timestamp>,
        /// Passkeys, oldest first.
        passkeys: Vec<PasskeyView>,
        /// How many recovery codes were not used.
        recovery_codes_left: usize,
    }

    /// A passkey.
    PasskeyView {
        /// Its id.
        id: PasskeyId,
        /// For people.
        name: String,
        /// Whether it may be copied to other devices of its owner.
        synced: bool,
        /// When it was added.
        #[serde(serialize_with = "text")]
        created_at: Timestamp,
        /// When it was last used.
        #[serde(serialize_with = "maybe")]
        last_used_at: Option<Timestamp>,
    }

    /// A passkey that was added.
    NewPasskeyView {
        /// The passkey.
        #[serde(flatten)]
        passkey: PasskeyView,
        /// Shown once; empty when there were some already.
        recovery_codes: Vec<String>,
    }

    /// The secret of an authenticator app, shown once.
    TotpOffer {
        /// In base32, to be typed.
        secret: String,
        /// What a QR code says.
        otpauth_uri: String,
    }

    /// The question for a new passkey.
    PasskeyOffer {
        /// Goes with the answer.
        passkey_token: String,
        /// What `navigator.credentials.create` is given as `publicKey`, in JSON form.
        options: Value,
    }

    /// Recovery codes, shown once.
    RecoveryCodes {
        /// Each works once.
        recovery_codes: Vec<String>,
    }

    /// An invite accepted: the new user, logged in.
    Accepted {
        /// The user.
        user: UserView,
        /// Its tokens.
        #[serde(flatten)]
        tokens: TokenAnswer,
    }

    /// The answer to a question about a token.
    Decision {
        /// Whether all is held.
        authorized: bool,
        /// What is not.
        missing_permissions: Vec<String>,
    }

    /// One of several decisions.
    PermissionDecision {
        /// What was asked.
        permission: String,
        /// Whether it is held.
        authorized: bool,
    }

    /// A permission of the catalogue.
    PermissionView {
        /// The permission.
        permission: String,
        /// For people.
        description: String,
        /// Known to every App.
        built_in: bool,
    }

    /// What changed since, for local verifiers; see [`crate::Tenants::revocations`].
    Revocations {
        /// Ask again with this as `since`.
        seq: i64,
        /// Whether there is more right away.
        has_more: bool,
        /// The changes, oldest first; of each subject only the latest.
        data: Vec<Revocation>,
        /// The roles that can be asked for.
        requestable: Vec<RequestableRole>,
        /// Where they can be asked for.
        portal_host: Option<String>,
    }

    /// One subject whose authority changed, as it stands now.
    Revocation {
        /// Its place among the App's changes.
        seq: i64,
        /// When it changed.
        #[serde(serialize_with = "text")]
        at: Timestamp,
        /// `user`, `session`, `client`, `token` or `app`.
        kind: &'static str,
        /// Its id; the App's for `app`.
        id: String,
        /// `live`: judge its tokens by what follows; `revoked`: refuse them.
        status: &'static str,
        /// Names of its roles.
        roles: Vec<String>,
        /// Its permissions.
        permissions: Vec<String>,
        /// Tokens issued at this moment's second or before are refused.
        #[serde(serialize_with = "maybe")]
        revoked_before: Option<Timestamp>,
        /// When a grant of it begins or ends next; then it must be asked about again.
        #[serde(serialize_with = "maybe")]
        until: Option<Timestamp>,
    }

    /// What came of one line of an import.
    ImportLine {
        /// Its number, from 1.
        line: usize,
        /// The new user.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<UserId>,
        /// Why there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
}

impl From<&App> for AppView {
    fn from(app: &App) -> Self {
        Self {
            id: app.id.clone(),
            name: app.name.clone(),
            display_name: app.display_name.clone(),
            state: app.state,
            created_at: app.created_at,
            updated_at: app.updated_at,
            version: app.version,
        }
    }
}

pub(crate) fn role_names<'a>(
    model: &Model,
    ids: impl IntoIterator<Item = &'a RoleId>,
) -> Vec<String> {
    let mut names: Vec<String> = ids
        .into_iter()
        .filter_map(|id| model.role_by_id(id))
        .map(|role| role.role.name.clone())
        .collect();
    names.sort_unstable();
    names
}

pub(crate) fn role(model: &Model, role: &Role) -> RoleView {
    let compiled = model.effective([&role.id], []);
    RoleView {
        id: role.id.clone(),
        name: role.name.clone(),
        display_name: role.display_name.clone(),
        description: role.description.clone(),
        permissions: role.permissions.iter().map(ToString::to_string).collect(),
        includes: role_names(model, &role.includes),
        effective_permissions: model.permissions(&compiled).map(str::to_owned).collect(),
        requestable: role.requestable.clone(),
        notification_configs: role.notification_configs.clone(),
        created_at: role.created_at,
        updated_at: role.updated_at,
        version: role.version,
    }
}

pub(crate) fn user(model: &Model, user: &User, roles: &[RoleId]) -> UserView {
    UserView {
        id: user.id.clone(),
        user_id: user.id.clone(),
        email: user.email.clone(),
        display_name: user.display_name.clone(),
        state: user.state,
        roles: role_names(model, roles),
        has_password: user.password.is_some(),
        created_at: user.created_at,
        updated_at: user.updated_at,
        version: user.version,
    }
}

pub(crate) fn credential(model: &Model, credential: &Credential) -> CredentialView {
    CredentialView {
        client_id: credential.id.clone(),
        name: credential.name.clone(),
        roles: role_names(model, &credential.roles),
        secrets: credential
            .secrets
            .iter()
            .map(|secret| SecretView {
                id: secret.id.clone(),
                created_at: secret.created_at,
            })
            .collect(),
        roles_only: credential.roles_only,
        jwks: credential.jwks.clone(),
        jwks_uri: credential.jwks_uri.clone(),
        created_at: credential.created_at,
        updated_at: credential.updated_at,
        version: credential.version,
    }
}

pub(crate) fn session(session: &Session, current: Option<&str>) -> SessionView {
    SessionView {
        id: session.id.clone(),
        user_id: session.user_id.clone(),
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.expires_at,
        user_agent: session.user_agent.clone(),
        current: current == Some(session.id.as_str()),
    }
}

pub(crate) fn invite(model: &Model, invite: &Invite, now: Timestamp) -> InviteView {
    let state = match invite.state {
        InviteState::Revoked => "revoked",
        _ if invite.uses >= invite.max_uses => "used_up",
        InviteState::Expired => "expired",
        InviteState::Open if now >= invite.expires_at => "expired",
        InviteState::Open => "open",
    };
    InviteView {
        id: invite.id.clone(),
        email: invite.email.clone(),
        roles: role_names(model, &invite.roles),
        state,
        max_uses: invite.max_uses,
        uses: invite.uses,
        expires_at: invite.expires_at,
        created_at: invite.created_at,
        version: invite.version,
    }
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> Self {
        Self {
            id: webhook.id.clone(),
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason.clone(),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            version: webhook.version,
        }
    }
}

impl From<&AdminKey> for AdminKeyView {
    fn from(key: &AdminKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            created_at: key.created_at,
            revoked_at: key.revoked_at,
        }
    }
}
