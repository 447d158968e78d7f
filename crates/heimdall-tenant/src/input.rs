//! What callers send. Unknown members are refused; what a member may hold is checked by [`crate::Tenants`].

use heimdall_token::Algorithm;
use heimdall_token::webauthn::{Assertion, Registration};
use heimdall_types::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::entity::Requestable;
use crate::error::TenantError;
use crate::settings::AppSettings;

/// A new App.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApp {
    /// The path key.
    pub name: String,
    /// For people; the name when absent.
    pub display_name: Option<String>,
}

/// A change of an App.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppPatch {
    /// For people.
    pub display_name: Option<String>,
}

/// A new role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// The path key.
    pub name: String,
    /// For people; the name when absent.
    pub display_name: Option<String>,
    /// For people, longer.
    #[serde(default)]
    pub description: String,
    /// What it holds.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// Names of roles whose permissions it holds too.
    #[serde(default)]
    pub includes: Vec<String>,
    /// Whether it can be asked for.
    #[serde(default)]
    pub requestable: Option<Requestable>,
    /// Ids of notification configs.
    #[serde(default)]
    pub notification_configs: Vec<String>,
}

/// A change of a role. `requestable: null` takes it off the list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolePatch {
    /// For people.
    pub display_name: Option<String>,
    /// For people, longer.
    pub description: Option<String>,
    /// What it holds from now on.
    pub permissions: Option<Vec<String>>,
    /// Names of roles that it includes from now on.
    pub includes: Option<Vec<String>>,
    /// Whether it can be asked for.
    #[serde(default, deserialize_with = "present")]
    pub requestable: Option<Option<Requestable>>,
    /// Ids of notification configs.
    pub notification_configs: Option<Vec<String>>,
}

/// The whole list of a role's permissions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolePermissions {
    /// What it holds from now on.
    pub permissions: Vec<String>,
}

/// A new entry of the catalogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPermission {
    /// The permission, concrete.
    pub permission: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A new user.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The address.
    pub email: String,
    /// For people; the address when absent.
    pub display_name: Option<String>,
    /// Absent: the user cannot log in until one is set.
    pub password: Option<Secret>,
    /// Name of its role.
    pub role: Option<String>,
    /// Names of its roles, with `role`.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A change of a user.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// The address.
    pub email: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// Ends every session.
    pub password: Option<Secret>,
}

/// One line of an import.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedUser {
    /// The address.
    pub email: String,
    /// For people; the address when absent.
    pub display_name: Option<String>,
    /// A hash of another system.
    pub password_hash: Option<String>,
    /// Names of its roles.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A role to give.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleName {
    /// Its name.
    pub role: String,
}

/// A new credential.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredential {
    /// For people; unique in the App.
    pub name: String,
    /// Names of its roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Tokens carry `roles` but no `permissions`.
    #[serde(default)]
    pub roles_only: bool,
    /// Public keys for `private_key_jwt`.
    pub jwks: Option<Value>,
    /// Where to fetch them.
    pub jwks_uri: Option<String>,
}

/// A change of a credential. `null` removes keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialPatch {
    /// For people.
    pub name: Option<String>,
    /// Names of its roles from now on.
    pub roles: Option<Vec<String>>,
    /// Tokens carry `roles` but no `permissions`.
    pub roles_only: Option<bool>,
    /// Public keys.
    #[serde(default, deserialize_with = "present")]
    pub jwks: Option<Option<Value>>,
    /// Where to fetch them.
    #[serde(default, deserialize_with = "present")]
    pub jwks_uri: Option<Option<String>>,
}

/// A login.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Secret,
}

/// The second step of a login: one proof beside the token of the first step.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondProof {
    /// What the first step answered.
    pub mfa_token: Secret,
    /// Six digits of an authenticator app.
    pub code: Option<Secret>,
    /// One of the recovery codes.
    pub recovery_code: Option<Secret>,
    /// What `navigator.credentials.get` gave, in JSON form.
    pub passkey: Option<Assertion>,
}

/// The present password, where a token alone is not enough.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresentPassword {
    /// The present password.
    pub password: Secret,
}

/// A code of an authenticator app.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Six digits.
    pub code: Secret,
}

/// A new passkey.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPasskey {
    /// For people.
    pub name: String,
    /// What came with the options.
    pub passkey_token: Secret,
    /// What `navigator.credentials.create` gave, in JSON form.
    pub passkey: Registration,
}

/// A change of the own password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The present password.
    pub present_password: Secret,
    /// The new one.
    pub password: Secret,
}

/// A question for a link to choose a new password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetQuestion {
    /// The address.
    pub email: String,
}

/// A new password by a mailed token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The token of the mail.
    pub token: Secret,
    /// The new password.
    pub password: Secret,
}

/// A new invite.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// Whom; anybody when absent.
    pub email: Option<String>,
    /// Name of the role.
    pub role: Option<String>,
    /// Names of the roles, with `role`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// 1 to 8 760; 72 when absent.
    pub expires_in_hours: Option<i64>,
    /// 1 to 10 000; 1 when absent.
    pub max_uses: Option<i64>,
    /// Whether to mail it.
    #[serde(default)]
    pub send_email: bool,
}

/// An invite accepted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// For people.
    pub display_name: String,
    /// The new password.
    pub password: Secret,
    /// The address, where the invite names none.
    pub email: Option<String>,
}

/// A new webhook endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where to.
    pub url: String,
    /// Which types; none means all.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A change of a webhook endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatch {
    /// Where to.
    pub url: Option<String>,
    /// Which types; an empty list means all.
    pub events: Option<Vec<String>>,
    /// Whether it is served.
    pub enabled: Option<bool>,
}

/// A new admin key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAdminKey {
    /// For people.
    pub name: String,
}

/// A permission that is asked about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// One permission.
    pub permission: Option<String>,
    /// Several, all of which are needed.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The token, when it does not stand in the header.
    pub token: Option<Secret>,
}

/// Several questions about one token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    /// 1 to 100 permissions.
    pub permissions: Vec<String>,
    /// The token, when it does not stand in the header.
    pub token: Option<Secret>,
}

/// A token to look at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// The token.
    pub token: Secret,
}

/// A change of settings: the groups that are named are replaced.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    /// Lifetimes.
    pub lifetimes: Option<crate::settings::Lifetimes>,
    /// Password policy.
    pub password: Option<crate::settings::PasswordPolicy>,
    /// Lockout.
    pub lockout: Option<crate::settings::LockoutPolicy>,
    /// Whether invites are possible.
    pub invites_enabled: Option<bool>,
    /// Which algorithm signs access tokens; `null`: that of the installation.
    #[serde(default, deserialize_with = "present")]
    pub algorithm: Option<Option<String>>,
}

impl SettingsPatch {
    pub(crate) fn onto(self, settings: &mut AppSettings) {
        if let Some(lifetimes) = self.lifetimes {
            settings.lifetimes = lifetimes;
        }
        if let Some(password) = self.password {
            settings.password = password;
        }
        if let Some(lockout) = self.lockout {
            settings.lockout = lockout;
        }
        if let Some(enabled) = self.invites_enabled {
            settings.invites_enabled = enabled;
        }
    }

    /// The algorithm that is wanted, if one is named.
    pub(crate) fn wanted_algorithm(&self) -> Result<Option<Option<Algorithm>>, TenantError> {
        let read = |name: &String| {
            name.parse()
                .map_err(|_| TenantError::invalid("algorithm", "is not known here"))
        };
        match &self.algorithm {
            None => Ok(None),
            Some(wanted) => Ok(Some(wanted.as_ref().map(read).transpose()?)),
        }
    }
}

/// Parameters of a token endpoint (RFC 6749), whatever form they came in. Unknown ones were ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TokenRequest {
    /// Which grant.
    pub grant_type: Option<String>,
    /// The client, unless it came by HTTP Basic or in an assertion.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// How the client proves itself by a JWT (RFC 7523 §2.2).
    pub client_assertion_type: Option<String>,
    /// That JWT.
    pub client_assertion: Option<Secret>,
    /// Narrows the permissions, separated by spaces.
    pub scope: Option<String>,
    /// Added to `aud` (RFC 8707).
    pub resource: Option<String>,
    /// Added to `aud` (RFC 8693).
    pub audience: Option<String>,
    /// For `refresh_token`.
    pub refresh_token: Option<Secret>,
    /// For `jwt-bearer`.
    pub assertion: Option<Secret>,
    /// For token exchange.
    pub subject_token: Option<Secret>,
    /// For token exchange.
    pub subject_token_type: Option<String>,
    /// For token exchange.
    pub actor_token: Option<Secret>,
    /// For token exchange.
    pub actor_token_type: Option<String>,
    /// For token exchange.
    pub requested_token_type: Option<String>,
    /// For the operator's mint of a user token.
    pub user_id: Option<String>,
    /// Thumbprint of a DPoP key whose proof was verified by the caller of this crate.
    #[serde(skip)]
    pub dpop_jkt: Option<String>,
}

// `{"x": null}` is `Some(None)`, an absent `x` is `None`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}
