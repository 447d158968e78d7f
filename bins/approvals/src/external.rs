//! How people are known who belong to no App: log-in providers, passwords, and links of an older system.

use std::sync::Arc;

use async_trait::async_trait;
use heimdall_approval::Confirmation;
use heimdall_approval::accounts::ProviderSettings;
use heimdall_approval::accounts::ports::{Passwords, ProviderHttp};
use heimdall_tenant::entity::PasswordHash;
use heimdall_tenant::ports::{Passwords as TenantPasswords, Verdict};
use heimdall_token::link::LegacyNames;
use heimdall_transport::ProviderClient;
use heimdall_transport::tls::{TlsSetupError, client_config};
use heimdall_types::{Fault, Secret};

/// What external approvers log in with, and how their links are confirmed.
#[derive(Clone)]
pub struct External {
    /// Hashing of passwords: the same bounded pool as for users.
    pub passwords: Arc<dyn TenantPasswords>,
    /// How providers are asked.
    pub http: Arc<dyn ProviderHttp>,
    /// The providers, in the order of the log-in page.
    pub providers: Vec<ProviderSettings>,
    /// How links of mails are confirmed where a step says nothing.
    pub confirmation: Confirmation,
    /// The older system whose mail links are still believed.
    pub legacy: Option<Legacy>,
}

impl External {
    /// Passwords only, no provider, no older system.
    ///
    /// # Errors
    /// Certificate authorities that were asked for by name and cannot be read.
    pub fn new(passwords: Arc<dyn TenantPasswords>) -> Result<Self, TlsSetupError> {
        Ok(Self {
            passwords,
            http: Arc::new(ProviderClient::new(client_config(None)?)),
            providers: Vec::new(),
            confirmation: Confirmation::default(),
            legacy: None,
        })
    }
}

/// An older system: its key and how it named its claims.
#[derive(Clone)]
pub struct Legacy {
    /// The HS256 key of its mail links.
    pub submit_action_key: Secret,
    /// The names of the claims.
    pub names: LegacyNames,
}

/// The tenants' hashing, as the accounts need it.
pub(crate) struct Hashing(pub(crate) Arc<dyn TenantPasswords>);

#[async_trait]
impl Passwords for Hashing {
    async fn hash(&self, password: Secret) -> Result<Secret, Fault> {
        Ok(Secret::new(self.0.hash(password).await?.0))
    }

    async fn verify(&self, password: Secret, stored: Option<Secret>) -> Result<bool, Fault> {
        let stored = stored.map(|hash| PasswordHash(hash.expose().to_owned()));
        Ok(self.0.verify(password, stored).await? != Verdict::Wrong)
    }
}
