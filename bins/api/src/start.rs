//! From settings to a service that runs.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use heimdall_server::config::ConfigError;
use heimdall_server::{Running, Server, Sources, SystemClock};
use heimdall_store::{OpenError, Store, StoreSettings};
use heimdall_tenant::Hasher;
use heimdall_token::{KeyRingError, RootKey, RootKeyError, SystemRng};
use heimdall_transport::WebhookPoster;
use heimdall_transport::tls::TlsSetupError;
use thiserror::Error;

use crate::assembly::{Options, Outside, assemble};
use crate::config::Settings;
use crate::passwords::HashingPool;
use crate::workers::Workers;

/// Why the service does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no root key, or it is none.
    #[error("root_key: {0}")]
    RootKey(#[from] RootKeyError),
    /// The database cannot be opened.
    #[error("database: {0}")]
    Store(#[from] OpenError),
    /// The signing keys cannot be opened.
    #[error("keys: {0}")]
    Keys(#[from] KeyRingError),
    /// The certificates that we trust cannot be read.
    #[error("tls: {0}")]
    Tls(#[from] TlsSetupError),
    /// The listener cannot be started.
    #[error("listener: {0}")]
    Listen(#[from] io::Error),
}

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    running: Running,
    workers: Workers,
}

impl Service {
    /// The address that the listener took.
    pub fn base_url(&self) -> String {
        self.running.base_url()
    }

    /// Lets running requests finish, then stops the workers.
    pub async fn stop(self) {
        self.running.stop().await;
        self.workers.stop().await;
    }

    /// Waits until the listener fails.
    ///
    /// # Errors
    /// Why it did.
    pub async fn ended(&mut self) -> io::Result<()> {
        self.running.ended().await
    }
}

/// Opens the database and the keys, binds the address, and serves.
///
/// # Errors
/// As [`StartError`] says; nothing is left running.
pub async fn start(settings: &Settings) -> Result<Service, StartError> {
    let root_key = settings.root_key.as_ref().ok_or_else(|| {
        ConfigError::at(
            "root_key",
            "is missing; make one with `heimdall keys root` and name it as `file:PATH`",
        )
    })?;
    let root_key = RootKey::from_base64(root_key.read("root_key")?.expose())?;
    let mut storage = StoreSettings::new(settings.database.url.read("database.url")?);
    storage.root_key = Some(Arc::new(root_key.clone()));
    storage.manage_schema = settings.database.manage_schema;
    let store = Arc::new(Store::open(&storage)?);
    let api = &settings.api;
    let listener = TcpListener::bind(api.listen)?;
    let outward = settings.outward()?;
    let options = Options {
        outward: Some(outward.clone()),
        prefix: api.prefix.clone(),
        portal_host: api.portal_host.clone(),
        allow_private_webhooks: settings.webhooks.allow_private,
        ..Options::at(api.base_url(listener.local_addr()?))
    };
    let rng = Arc::new(SystemRng);
    let passwords = Arc::new(HashingPool::new(Hasher::default(), rng.clone()));
    let outside = Outside {
        store,
        root_key,
        clock: Arc::new(SystemClock),
        rng,
        passwords,
    };
    let deps = assemble(outside, options).await?;
    let encrypted = deps.base_url.starts_with("https://");
    let edge = crate::edge(
        &settings.limits,
        Sources::trusting(api.trusted_proxies.clone()),
        encrypted,
    );
    let workers = Workers::start(&deps, Some(Arc::new(WebhookPoster::from(outward))));
    let running = Server::listen(listener, &api.listener(), edge, crate::app(deps))?;
    Ok(Service { running, workers })
}
