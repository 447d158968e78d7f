//! Builds the service out of a store and a root key, for the binary, for `heimdall up` and for tests alike.

use std::sync::Arc;

use async_trait::async_trait;
use heimdall_server::Pages;
use heimdall_store::Store;
use heimdall_tenant::ports::Passwords;
use heimdall_tenant::settings::passkey_origin;
use heimdall_tenant::{TenantPorts, TenantSettings, Tenants};
use heimdall_token::{
    KeyRecord, KeyRing, KeyRingError, KeyRingSettings, KeyStore, KeyTransition, RootKey,
};
use heimdall_transport::{KeySets, Outward};
use heimdall_types::{Clock, Fault, Rng};

use crate::deps::{Deps, Ring, Surroundings};

/// What an operator decides about the service.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address callers use, without a path and without a slash at its end.
    pub base_url: String,
    /// The path that everything lies under.
    pub prefix: String,
    /// Address of the portal, for hints in refusals.
    pub portal_host: Option<String>,
    /// Whether webhooks may go to private and loopback addresses.
    pub allow_private_webhooks: bool,
    /// The way to addresses that tenants choose (`jwks_uri`); without it such clients cannot authenticate.
    pub outward: Option<Outward>,
    /// Pages with an operator's templates and languages; the embedded ones when absent.
    pub pages: Option<Pages>,
    /// Nothing is written: signing keys stay as they are, whatever is due.
    pub look_only: bool,
    /// The life of signing keys.
    pub keys: KeyRingSettings,
}

impl Options {
    /// Defaults at this address, under `/heimdall`.
    pub fn at(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            prefix: "/heimdall".to_owned(),
            portal_host: None,
            allow_private_webhooks: false,
            outward: None,
            pages: None,
            look_only: false,
            keys: KeyRingSettings::default(),
        }
    }
}

/// What the service takes from outside.
#[derive(Clone)]
pub struct Outside {
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// Seals keys and secrets.
    pub root_key: RootKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Hashing of passwords.
    pub passwords: Arc<dyn Passwords>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
}

/// Opens the keys (making the first one where there is none) and wires the rules to the store.
///
/// # Errors
/// When the keys cannot be opened: another root key, or no database.
pub async fn assemble(outside: Outside, options: Options) -> Result<Deps, KeyRingError> {
    let Outside {
        store,
        root_key,
        clock,
        rng,
        passwords,
    } = outside;
    let at_rest: Arc<dyn KeyStore> = if options.look_only {
        Arc::new(KeysAtRest(store.as_ref().clone()))
    } else {
        store.clone()
    };
    let ring = KeyRing::open(
        at_rest,
        root_key.clone(),
        clock.clone(),
        rng.clone(),
        options.keys,
    )
    .await?;
    let keys = Arc::new(ring);
    let outward = options.outward;
    let mut settings = TenantSettings::new(format!("{}{}", options.base_url, options.prefix));
    // The portal asks for passkeys too; a browser lets it where both have one host.
    let portal = options.portal_host.as_deref().and_then(passkey_origin);
    settings.passkey_origins.extend(portal);
    settings.portal_host = options.portal_host;
    settings.allow_private_webhooks = options.allow_private_webhooks;
    let ports = TenantPorts {
        apps: store.clone(),
        directory: store.clone(),
        authority: store.clone(),
        credentials: store.clone(),
        sessions: store.clone(),
        proofs: store.clone(),
        invites: store.clone(),
        webhooks: store.clone(),
        ledger: store.clone(),
        passwords,
        keys: Arc::new(Ring(keys.clone())),
        notification_configs: Some(store.clone()),
        client_keys: outward.clone().map(|way| Arc::new(KeySets::from(way)) as _),
        addresses: outward.map(|way| Arc::new(Surroundings(way)) as _),
        clock: clock.clone(),
        rng: rng.clone(),
    };
    Ok(Deps {
        tenants: Tenants::new(ports, settings, root_key.clone()),
        store,
        keys,
        root_key: Arc::new(root_key),
        clock,
        rng,
        base_url: options.base_url,
        prefix: options.prefix,
        replays: Default::default(),
        pages: options.pages.or_else(|| {
            crate::console::pages(None)
                .inspect_err(|error| tracing::error!(%error, "the console is off"))
                .ok()
        }),
    })
}

/// Signing keys that are only looked at: steps of their lives that are due are left to the server.
pub struct KeysAtRest(pub Store);

#[async_trait]
impl KeyStore for KeysAtRest {
    async fn load(&self) -> Result<Vec<KeyRecord>, Fault> {
        self.0.load().await
    }

    async fn apply(&self, _transition: KeyTransition) -> Result<(), Fault> {
        Ok(())
    }
}
