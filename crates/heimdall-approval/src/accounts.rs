//! Accounts of external approvers: people who decide by links and belong to no App.
//!
//! An account is known by one mail address that was confirmed, and by at most one identity of each provider. Every rule
//! about who may log in, what may be linked and what a deletion does is here; a channel only shows forms and keeps a
//! cookie.

mod account;
mod activation;
mod deletion;
mod oauth;
mod password;
/// What accounts need from outside.
pub mod ports;
mod profile;
mod provider;
mod session;

use std::sync::Arc;
use std::time::Duration;

use heimdall_token::{RootKey, crypto};
use heimdall_types::{
    Actor, AuditEntry, Clock, Email, Fault, Journal, Notice, NoticeId, Rng, Timestamp,
};
use serde_json::{Value, json};
use thiserror::Error;

pub use account::{
    Account, AccountSession, AccountState, Confirmed, Errand, Failures, Identified, OneTime,
    ProviderProfile,
};
pub use activation::{Activated, Activation, NewPerson};
pub use oauth::{Arrival, Begun, Callback};
pub use provider::{
    AtlassianEndpoints, ClaimNames, OAuth2Endpoints, ProviderKind, ProviderSettings,
    ProviderSettingsError,
};
pub use session::{LoggedIn, Visitor};

use crate::approvals::Approvals;
use ports::{AccountBook, AccountDesk, Passwords, ProviderHttp};
use provider::Provider;

/// Fewest characters of a password.
pub const SHORTEST_PASSWORD: usize = 12;
/// Most bytes of a password: more would only be work for the hash.
const LONGEST_PASSWORD: usize = 1024;
const LONGEST_NAME: usize = 100;
/// A link of a mail of ours works so long.
const MAIL_LIFE: Duration = Duration::from_secs(3600);

/// Why something about an account was not done. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Address or password is wrong, or there is no such account: never said which.
    #[error("e-mail or password is wrong")]
    WrongCredentials,
    /// Too many wrong tries; wait so long.
    #[error("too many wrong tries")]
    Locked(Duration),
    /// A field holds what cannot be.
    #[error("`{field}` {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What to change.
        reason: &'static str,
    },
    /// There is no provider of this name.
    #[error("there is no such provider")]
    UnknownProvider,
    /// The log-in at the provider does not belong to one that was begun in this browser, or was used already.
    #[error("this log-in was not begun here, or is over")]
    ForeignFlow,
    /// The provider said no, or what it said cannot be believed; the text is for the log.
    #[error("the provider refused: {0}")]
    Provider(String),
    /// The provider's identity or the account is linked with another already.
    #[error("it is linked with another already")]
    LinkedElsewhere,
    /// The link of a mail is over, was used, or was opened in another browser than the one that asked for it.
    #[error("this link is over")]
    Ended,
    /// The link of a mail belongs to another browser.
    #[error("this link belongs to another browser")]
    OtherBrowser,
    /// Log in again first: the session is too old for this.
    #[error("log in again first")]
    Stale,
    /// Storage or the network.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<crate::ApprovalError> for AccountError {
    fn from(error: crate::ApprovalError) -> Self {
        match error {
            crate::ApprovalError::Fault(fault) => Self::Fault(fault),
            other => Self::Fault(Fault::Corrupt(other.to_string())),
        }
    }
}

/// What the service of accounts stands on.
#[derive(Clone)]
pub struct Foundation {
    /// Accounts.
    pub book: Arc<dyn AccountBook>,
    /// Sessions, tries and what is pending.
    pub desk: Arc<dyn AccountDesk>,
    /// Hashing of passwords, bounded.
    pub passwords: Arc<dyn Passwords>,
    /// How providers are asked.
    pub http: Arc<dyn ProviderHttp>,
    /// Where seats are given up when somebody leaves.
    pub approvals: Approvals,
    /// Derives what is never stored.
    pub root_key: RootKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The address people use, without a slash at its end.
    pub base_url: String,
}

struct Inner {
    on: Foundation,
    providers: Vec<Provider>,
}

/// The accounts of external approvers. Cheap to clone.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

impl Accounts {
    /// A service with these providers, in the order in which pages show them.
    ///
    /// # Errors
    /// A provider whose settings cannot be used, or a name that is there twice.
    pub fn new(
        on: Foundation,
        providers: Vec<ProviderSettings>,
    ) -> Result<Self, ProviderSettingsError> {
        let mut known: Vec<Provider> = Vec::new();
        for settings in providers {
            if known.iter().any(|other| other.settings.id == settings.id) {
                return Err(ProviderSettingsError {
                    provider: settings.id,
                    reason: "is there twice".to_owned(),
                });
            }
            known.push(Provider::new(settings, &on)?);
        }
        Ok(Self(Arc::new(Inner {
            on,
            providers: known,
        })))
    }

    /// The providers: id and name for people.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.providers.iter().map(|provider| {
            (
                provider.settings.id.as_str(),
                provider.settings.name.as_str(),
            )
        })
    }

    /// A provider's name for people; its id for one that is configured no more.
    pub fn provider_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.provider(id)
            .map_or(id, |provider| provider.settings.name.as_str())
    }

    fn provider(&self, id: &str) -> Result<&Provider, AccountError> {
        self.0
            .providers
            .iter()
            .find(|provider| provider.settings.id == id)
            .ok_or(AccountError::UnknownProvider)
    }

    fn on(&self) -> &Foundation {
        &self.0.on
    }

    fn now(&self) -> Timestamp {
        self.on().clock.now()
    }

    fn random(&self) -> String {
        crypto::random_token(self.on().rng.as_ref(), 32)
    }

    fn audit(&self, actor: Actor, action: &str, target: &str, data: Value) -> Journal {
        let entry = AuditEntry {
            app_id: None,
            at: self.now(),
            actor,
            action: action.to_owned(),
            target: target.to_owned(),
            data,
        };
        Journal {
            audit: vec![entry],
            ..Journal::default()
        }
    }

    /// A mail whose link is minted when it is sent: the notice holds only the id of what is pending.
    fn mail(&self, to: &Email, pending: &str, provider: Option<&str>) -> Notice {
        let now = self.now();
        Notice {
            id: NoticeId::generate(now, self.on().rng.as_ref()),
            app_id: None,
            kind: "confirm-address".to_owned(),
            recipient: to.to_string(),
            data: json!({ "account_errand": pending, "provider": provider }),
            due: now,
        }
    }

    /// What a notice of ours becomes as a mail; `None` when it is not ours or has no point any more.
    ///
    /// # Errors
    /// Storage.
    pub async fn particulars(&self, notice: &Notice) -> Result<Option<Value>, Fault> {
        let Some(id) = notice.data.get("account_errand").and_then(Value::as_str) else {
            return Ok(None);
        };
        let Some(pending) = self.on().desk.pending(id).await? else {
            return Ok(None);
        };
        if pending.until <= self.now() {
            return Ok(None);
        }
        let link = format!(
            "{}/account/activate?token={}",
            self.on().base_url,
            self.token_of(id)
        );
        Ok(Some(json!({
            "recipient": notice.recipient, "app_name": "Heimdall", "link": link,
            "expires_at": pending.until.to_rfc3339(),
        })))
    }

    // The database alone does not give a working link: the second half follows from the root key.
    fn token_of(&self, id: &str) -> String {
        format!("{id}.{}", self.derived("account-mail", id))
    }

    fn id_in(&self, token: &str) -> Option<String> {
        let (id, proof) = token.split_once('.')?;
        let right = self.derived("account-mail", id);
        crypto::constant_time_eq(right.as_bytes(), proof.as_bytes()).then(|| id.to_owned())
    }

    fn derived(&self, purpose: &str, text: &str) -> String {
        let key = self.on().root_key.derive(purpose);
        crypto::base64url(&crypto::hmac_sha256(key.as_slice(), text.as_bytes()))
    }

    /// Forgets what is over: sessions, pending log-ins, counted tries; finishes deletions that a crash cut off.
    ///
    /// # Errors
    /// Storage.
    pub async fn tidy(&self) -> Result<(), AccountError> {
        self.on().desk.prune(self.now()).await?;
        for account in self.on().book.leaving(50).await? {
            self.finish_leaving(&account).await?;
        }
        Ok(())
    }
}

fn invalid<T>(field: &'static str, reason: &'static str) -> Result<T, AccountError> {
    Err(AccountError::Invalid { field, reason })
}

fn fingerprint(text: &str) -> String {
    crypto::sha256_hex(text.as_bytes())
}
