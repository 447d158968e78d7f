use async_trait::async_trait;
use heimdall_types::{AccountId, AppId, ApprovalId, Email, Fault, Journal, Secret, Timestamp};

use super::account::{Account, AccountSession, Failures, Identified, OneTime};
use crate::person::Identity;

/// One change to accounts and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChange {
    /// Inserts (version 0) or updates; a taken address is `Duplicate("email")`, a version that does not hold `Conflict`.
    Put(Account),
    /// Maps an identity; `Duplicate("identity")` when it, its plain id, or the account's place at the provider is taken.
    Link(Identified),
    /// Ends a mapping; idempotent.
    Unlink(AccountId, String),
    /// Deletes the account with its identities and sessions; idempotent.
    Erase(AccountId),
    /// Begins a session.
    Begin(AccountSession),
    /// Ends one session; idempotent.
    End(String),
    /// Ends an account's sessions but this one.
    EndAll(AccountId, Option<String>),
    /// Keeps something for its next step.
    Keep(OneTime),
    /// Takes it: `Conflict` when it is gone, so that each is used once.
    Take(String),
    /// Counts tries for the address with this hash.
    Count(String, Failures),
}

/// Changes that are applied whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct AccountTransition {
    /// In this order.
    pub changes: Vec<AccountChange>,
    /// Audit and mails.
    pub journal: Journal,
}

/// Accounts and their identities.
#[async_trait]
pub trait AccountBook: Send + Sync {
    /// One account.
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, Fault>;
    /// The account with this address.
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, Fault>;
    /// The mapping of an identity.
    async fn identity(&self, provider: &str, subject: &str) -> Result<Option<Identified>, Fault>;
    /// The identities of an account, by provider.
    async fn identities(&self, account: &AccountId) -> Result<Vec<Identified>, Fault>;
    /// Accounts whose deletion is not finished, at most `limit`.
    async fn leaving(&self, limit: u32) -> Result<Vec<Account>, Fault>;
    /// Open approvals of all Apps that wait for this person, at most `limit`.
    async fn waiting_for(
        &self,
        holder: &Identity,
        limit: u32,
    ) -> Result<Vec<(AppId, ApprovalId)>, Fault>;
}

/// Sessions, pending steps and counted tries; and the one way anything changes.
#[async_trait]
pub trait AccountDesk: Send + Sync {
    /// The session with this hash, over or not.
    async fn login(&self, hash: &str) -> Result<Option<AccountSession>, Fault>;
    /// An account's sessions, newest first.
    async fn logins(&self, account: &AccountId) -> Result<Vec<AccountSession>, Fault>;
    /// What waits under this id, over or not.
    async fn pending(&self, id: &str) -> Result<Option<OneTime>, Fault>;
    /// Tries counted for the address with this hash.
    async fn failures(&self, key: &str) -> Result<Failures, Fault>;
    /// Forgets sessions and pending steps that were over at `now`, and tries older than a day.
    async fn prune(&self, now: Timestamp) -> Result<(), Fault>;
    /// Applies everything of `transition` in one transaction, or nothing.
    async fn change(&self, transition: AccountTransition) -> Result<(), Fault>;
}

/// Hashing of passwords. It burns CPU, so the binary bounds it.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Hashes a password.
    async fn hash(&self, password: Secret) -> Result<Secret, Fault>;
    /// Checks a password; with `None` it does the work of a real check and says no.
    async fn verify(&self, password: Secret, stored: Option<Secret>) -> Result<bool, Fault>;
}

/// One request to a provider.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// Where to; an address of the configuration or of the provider's own metadata.
    pub url: String,
    /// `Authorization`, whole.
    pub authorization: Option<Secret>,
    /// The body with its media type: then it is a POST, else a GET.
    pub body: Option<(&'static str, Secret)>,
}

/// What a provider answered.
#[derive(Debug, Clone)]
pub struct ProviderAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most 256 KiB.
    pub body: Vec<u8>,
}

/// Asks providers: in bounded time, over verified TLS, following no redirect.
#[async_trait]
pub trait ProviderHttp: heimdall_token::JwksFetch {
    /// Sends one request.
    async fn ask(&self, request: ProviderRequest) -> Result<ProviderAnswer, Fault>;
}
