//! What a decision changes, for the store to apply in one transaction.

use heimdall_types::{
    AppId, CredentialId, InviteId, Journal, RoleId, SessionId, Timestamp, TokenId, UserId,
    WebhookId,
};

use crate::entity::{
    AdminKey, App, Credential, Invite, PasswordReset, Role, SecondFactors, Session, User, Webhook,
};

/// Everything one decision does: applied whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Transition {
    /// Applied in this order.
    pub changes: Vec<Change>,
    /// Appended to the list that local verifiers follow.
    pub notes: Vec<ChangeNote>,
    /// Roles that hold something else from now on: everybody who has one, for good or for a time, gets a note too.
    pub holders_of: Vec<(AppId, RoleId, Timestamp)>,
    /// Audit, events and notices.
    pub journal: Journal,
}

/// One change. An entity with `version` 0 is new (its key must be free); any other must have exactly the version it
/// carries, and gets the next one: else the store answers `Fault::Conflict` and applies nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// Insert or update. A taken name is `Fault::Duplicate("name")`.
    App(Box<App>),
    /// Erase the App and every row of it, its audit and feed aside.
    EraseApp(AppId),
    /// Takes part in a decision over all of an App's authority (the last-holder rule): the App's authority counter
    /// must be `expected` and is raised by one, so that of two such decisions at once one decides again.
    Authority {
        /// The App.
        app_id: AppId,
        /// What [`crate::ports::AppRecord::authority`] said.
        expected: i64,
    },
    /// Insert or update. A taken name is `Fault::Duplicate("name")`.
    Role(Box<Role>),
    /// Delete; `Fault::Reference("role")` while anybody has it.
    DropRole {
        /// The App.
        app_id: AppId,
        /// The role.
        id: RoleId,
        /// Its version.
        version: i64,
    },
    /// Add to the catalogue, or change the description; idempotent.
    Permission {
        /// The App.
        app_id: AppId,
        /// The permission.
        permission: String,
        /// `None` leaves the description of a known one as it is.
        description: Option<String>,
    },
    /// Remove from the catalogue; idempotent.
    DropPermission {
        /// The App.
        app_id: AppId,
        /// The permission.
        permission: String,
    },
    /// Insert or update. A taken address is `Fault::Duplicate("email")`.
    User(Box<User>),
    /// Erase the user, its roles, sessions and grants.
    EraseUser {
        /// The App.
        app_id: AppId,
        /// The user.
        id: UserId,
    },
    /// Give a role to a user; idempotent. A role that is gone is `Fault::Reference("role")`.
    Assign {
        /// The App.
        app_id: AppId,
        /// To whom.
        user_id: UserId,
        /// What.
        role_id: RoleId,
        /// When.
        at: Timestamp,
    },
    /// Take a role from a user; idempotent.
    Unassign {
        /// The App.
        app_id: AppId,
        /// From whom.
        user_id: UserId,
        /// What.
        role_id: RoleId,
    },
    /// Insert or update, its roles too. A taken name is `Fault::Duplicate("name")`.
    Credential(Box<Credential>),
    /// Delete; idempotent.
    DropCredential {
        /// The App.
        app_id: AppId,
        /// The `client_id`.
        id: CredentialId,
    },
    /// Insert or update.
    Session(Box<Session>),
    /// Revoke every live session of a user.
    RevokeSessions {
        /// The App.
        app_id: AppId,
        /// Whose.
        user_id: UserId,
        /// When.
        at: Timestamp,
    },
    /// Refuse this one token until it would have expired; idempotent.
    DenyToken {
        /// The App.
        app_id: AppId,
        /// Its `jti`.
        id: TokenId,
        /// Its `exp`.
        until: Timestamp,
    },
    /// Insert or update what a user shows beside the password.
    SecondFactors(Box<SecondFactors>),
    /// Insert or replace a user's chance to choose a new password.
    PasswordReset(Box<PasswordReset>),
    /// Use it up: `Fault::Conflict` unless it is there with this token.
    UsePasswordReset {
        /// The App.
        app_id: AppId,
        /// Whose.
        user_id: UserId,
        /// [`PasswordReset::token_hash`].
        token_hash: String,
    },
    /// Insert or update.
    Invite(Box<Invite>),
    /// Use an invite once: only while it is open, has a use left and expires after `at`, else `Fault::Conflict`.
    UseInvite {
        /// The App.
        app_id: AppId,
        /// The invite.
        id: InviteId,
        /// Now.
        at: Timestamp,
    },
    /// Insert or update.
    Webhook(Box<Webhook>),
    /// Delete; idempotent.
    DropWebhook {
        /// The App.
        app_id: AppId,
        /// The endpoint.
        id: WebhookId,
    },
    /// Insert or update.
    AdminKey(Box<AdminKey>),
}

/// What a [`ChangeNote`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// The whole App: its state, its roles or its catalogue.
    App,
    /// One user: state, roles, grants.
    User(UserId),
    /// One session.
    Session(SessionId),
    /// One service credential.
    Client(CredentialId),
    /// One token.
    Token(TokenId),
}

/// That somebody's authority changed. The store numbers these per App, in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeNote {
    /// The App.
    pub app_id: AppId,
    /// Whose authority.
    pub subject: Subject,
    /// When.
    pub at: Timestamp,
}

impl Subject {
    /// The word and id that are stored: `("user", "usr_…")`; the id of [`Subject::App`] is empty.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::App => ("app", ""),
            Self::User(id) => ("user", id.as_str()),
            Self::Session(id) => ("session", id.as_str()),
            Self::Client(id) => ("client", id.as_str()),
            Self::Token(id) => ("token", id.as_str()),
        }
    }

    /// Reads what [`Subject::parts`] gave.
    pub fn from_parts(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "app" => Some(Self::App),
            "user" => id.parse().ok().map(Self::User),
            "session" => id.parse().ok().map(Self::Session),
            "client" => id.parse().ok().map(Self::Client),
            "token" => id.parse().ok().map(Self::Token),
            _ => None,
        }
    }
}

impl Transition {
    pub(crate) fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        Self {
            changes: changes.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn note(&mut self, app_id: &AppId, subject: Subject, at: Timestamp) {
        self.notes.push(ChangeNote {
            app_id: app_id.clone(),
            subject,
            at,
        });
    }
}
