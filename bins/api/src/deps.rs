use std::sync::Arc;

use async_trait::async_trait;
use heimdall_server::Pages;
use heimdall_store::Store;
use heimdall_tenant::ports::Addresses;
use heimdall_tenant::{SigningKeys, Tenants};
use heimdall_token::dpop::Replays;
use heimdall_token::{Algorithm, KeyRing, PublicKeys, RootKey, Signer};
use heimdall_transport::Outward;
use heimdall_types::{Clock, Rng};

/// What the routes stand on.
#[derive(Clone)]
pub struct Deps {
    /// The rules.
    pub tenants: Tenants,
    /// Feed, audit and idempotency keys.
    pub store: Arc<Store>,
    /// The keys of access tokens.
    pub keys: Arc<KeyRing>,
    /// Seals kept answers.
    pub root_key: Arc<RootKey>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The address callers use, without a path and without a slash at its end.
    pub base_url: String,
    /// The path that everything lies under: `/heimdall`.
    pub prefix: String,
    /// DPoP proofs that were used already.
    pub replays: Replays,
    /// The console's and the account's pages; absent: no pages.
    pub pages: Option<Pages>,
}

impl Deps {
    /// `iss` of every token.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.base_url, self.prefix)
    }
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("base_url", &self.base_url)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The key ring as the tenant service wants to see it.
#[derive(Clone)]
pub struct Ring(pub Arc<KeyRing>);

impl SigningKeys for Ring {
    fn signer(&self) -> Option<Signer> {
        self.0.signer().ok()
    }

    fn signer_for(&self, algorithm: Algorithm) -> Option<Signer> {
        self.0.signer_for(algorithm)
    }

    fn public(&self) -> Arc<PublicKeys> {
        self.0.public()
    }

    fn epoch(&self) -> u64 {
        self.0.epoch()
    }
}

/// The way out, as the tenant service asks about it.
pub(crate) struct Surroundings(pub(crate) Outward);

#[async_trait]
impl Addresses for Surroundings {
    async fn leads_inward(&self, host: &str, port: u16) -> bool {
        self.0.leads_inward(host, port).await
    }
}
