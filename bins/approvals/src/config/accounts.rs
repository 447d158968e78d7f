use heimdall_approval::Confirmation;
use heimdall_approval::accounts::{
    AtlassianEndpoints, ClaimNames, OAuth2Endpoints, ProviderKind, ProviderSettings,
};
use heimdall_server::config::{ConfigError, SecretSource};
use heimdall_token::link::LegacyNames;
use serde::{Deserialize, Serialize};

use crate::external::{External, Legacy};

/// How people are known who belong to no App.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// The providers that external approvers log in with, in the order of the log-in page.
    pub providers: Vec<Provider>,
}

/// A log-in provider; `kind` says how it speaks. Its callback is
/// `{approvals.base_url}/account/oauth/{id}/callback`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Stands in addresses: 1 to 32 of `a-z 0-9 -`. Do not change it later: links belong to it.
    pub id: String,
    /// For people: the button says "Log in with …".
    pub name: String,
    /// `openid` (OpenID Connect), `oauth2` or `atlassian`.
    pub kind: Kind,
    /// Our id there.
    pub client_id: String,
    /// Our secret there, as `file:…` or `${…}`.
    #[schema(value_type = String)]
    pub client_secret: SecretSource,
    /// What is asked for; the usual of the kind when empty.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `openid`: the issuer; its metadata is read from there.
    #[serde(default)]
    pub issuer: Option<String>,
    /// `oauth2`: where people log in. `atlassian` knows it.
    #[serde(default)]
    pub authorize_url: Option<String>,
    /// `oauth2`: where a code becomes a token. `atlassian` knows it.
    #[serde(default)]
    pub token_url: Option<String>,
    /// `oauth2`: where a token becomes a profile. `atlassian` knows it.
    #[serde(default)]
    pub profile_url: Option<String>,
    /// `oauth2`: how the profile names its members.
    #[serde(default)]
    pub claims: Claims,
    /// `oauth2`: the provider gives out verified addresses only, so no member has to say it.
    #[serde(default)]
    pub emails_are_verified: bool,
}

/// How a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenID Connect with discovery.
    OpenId,
    /// OAuth 2.0 with a profile.
    OAuth2,
    /// Atlassian.
    Atlassian,
}

/// The members of a profile.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// The account's id.
    pub subject: String,
    /// The address.
    pub email: String,
    /// Whether the address is verified.
    pub email_verified: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The whole name, where there are no parts.
    pub name: String,
}

impl Default for Claims {
    fn default() -> Self {
        let names = ClaimNames::default();
        Self {
            subject: names.subject,
            email: names.email,
            email_verified: names.email_verified,
            first_name: names.first_name,
            last_name: names.last_name,
            name: names.name,
        }
    }
}

/// Links of an older system that are believed until they expire, at `/submit-action.html?token=`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Older {
    /// The HS256 key of its mail links, as `file:…` or `${…}`; without it the route knows no link.
    #[schema(value_type = Option<String>)]
    pub submit_action_key: Option<SecretSource>,
    /// How it named its claims.
    pub claims: OlderClaims,
}

/// How an older system named the claims of its links.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OlderClaims {
    /// The approval.
    pub approval_id: String,
    /// The step.
    pub step_id: String,
    /// The approver.
    pub user_id: String,
    /// The action.
    pub action: String,
    /// The end.
    pub exp: String,
}

impl Default for OlderClaims {
    fn default() -> Self {
        let names = LegacyNames::default();
        Self {
            approval_id: names.approval_id,
            step_id: names.step_id,
            user_id: names.user_id,
            action: names.action,
            exp: names.exp,
        }
    }
}

/// How the page of a mail's link is confirmed where a step says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailConfirmation {
    /// The page posts by itself.
    #[default]
    Auto,
    /// By itself only in a browser that this approver used before, else by one click.
    Bound,
    /// By a click and a code that stands in the mail.
    Challenge,
}

impl From<MailConfirmation> for Confirmation {
    fn from(given: MailConfirmation) -> Self {
        match given {
            MailConfirmation::Auto => Self::Auto,
            MailConfirmation::Bound => Self::Bound,
            MailConfirmation::Challenge => Self::Challenge,
        }
    }
}

impl External {
    /// The same, with what the settings say. Reads secrets.
    ///
    /// # Errors
    /// A secret that cannot be read, an address that is missing.
    pub fn configured(
        self,
        accounts: &Accounts,
        legacy: &Older,
        confirmation: MailConfirmation,
    ) -> Result<Self, ConfigError> {
        let providers = accounts.providers.iter().enumerate();
        let providers = providers.map(|(index, provider)| provider.settings(index));
        let key = legacy.submit_action_key.as_ref();
        let key = key.map(|key| key.read("approvals.legacy.submit_action_key"));
        let claims = legacy.claims.clone();
        let names = LegacyNames {
            approval_id: claims.approval_id,
            step_id: claims.step_id,
            user_id: claims.user_id,
            action: claims.action,
            exp: claims.exp,
        };
        Ok(Self {
            providers: providers.collect::<Result<_, _>>()?,
            confirmation: confirmation.into(),
            legacy: key.transpose()?.map(|submit_action_key| Legacy {
                submit_action_key,
                names,
            }),
            ..self
        })
    }
}

impl Provider {
    fn settings(&self, index: usize) -> Result<ProviderSettings, ConfigError> {
        let place = |name: &str| format!("approvals.accounts.providers.{index}.{name}");
        let needed = |name: &str, value: &Option<String>| {
            let given = value.as_deref().map(str::to_owned);
            given.ok_or_else(|| ConfigError::at(place(name), "is missing"))
        };
        let usual = AtlassianEndpoints::default();
        let or = |value: &Option<String>, usual: String| value.clone().unwrap_or(usual);
        let kind = match self.kind {
            Kind::OpenId => ProviderKind::OpenId {
                issuer: needed("issuer", &self.issuer)?,
            },
            Kind::OAuth2 => ProviderKind::OAuth2(OAuth2Endpoints {
                authorize: needed("authorize_url", &self.authorize_url)?,
                token: needed("token_url", &self.token_url)?,
                profile: needed("profile_url", &self.profile_url)?,
                claims: ClaimNames {
                    subject: self.claims.subject.clone(),
                    email: self.claims.email.clone(),
                    email_verified: self.claims.email_verified.clone(),
                    first_name: self.claims.first_name.clone(),
                    last_name: self.claims.last_name.clone(),
                    name: self.claims.name.clone(),
                },
                emails_are_verified: self.emails_are_verified,
            }),
            Kind::Atlassian => ProviderKind::Atlassian(AtlassianEndpoints {
                authorize: or(&self.authorize_url, usual.authorize),
                token: or(&self.token_url, usual.token),
                profile: or(&self.profile_url, usual.profile),
            }),
        };
        Ok(ProviderSettings {
            id: self.id.clone(),
            name: self.name.clone(),
            kind,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.read(&place("client_secret"))?,
            scopes: self.scopes.clone(),
        })
    }
}
