//! From settings to a service that runs.

use std::error::Error;
use std::io;
use std::sync::Arc;

use heimdall_server::config::ConfigError;
use heimdall_server::program::Program;
use heimdall_server::{Pages, PagesError, Running, Server, Sources, SystemClock, bind};
use heimdall_store::{OpenError, RootLockError};
use heimdall_tenant::Hasher;
use heimdall_token::{KeyRingError, RootKeyError, SystemRng};
use heimdall_transport::WebhookPoster;
use heimdall_transport::tls::TlsSetupError;
use thiserror::Error as DeriveError;

use crate::assembly::{Options, Outside, assemble};
use crate::config::{Settings, outward};
use crate::foundation::{Foundation, root_key};
use crate::passwords::HashingPool;
use crate::workers::Workers;

/// Why the service does not start.
#[derive(Debug, DeriveError)]
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
    /// The database does not open with the root key.
    #[error("root_key: {0}")]
    RootLock(#[from] RootLockError),
    /// The signing keys cannot be opened.
    #[error("keys: {0}")]
    Keys(#[from] KeyRingError),
    /// The certificates that we trust cannot be read.
    #[error("tls: {0}")]
    Tls(#[from] TlsSetupError),
    /// A page or a language of the operator's folder is wrong.
    #[error("api.pages: {0}")]
    Pages(#[from] PagesError),
    /// The listener cannot be started.
    #[error("listener: {0}")]
    Listen(#[from] io::Error),
}

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    running: Running,
    workers: Workers,
    pages: Pages,
}

impl Program for Service {
    type Settings = Settings;
    const NAME: &'static str = "heimdall-api";
    const ABOUT: &'static str = "Tenants, tokens, JWKS and webhooks";
    const SECTION: &'static str = "api";

    async fn start(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        Ok(start(settings).await?)
    }

    fn base_url(&self) -> String {
        self.running.base_url()
    }

    fn reload(&self, settings: &Settings) -> Result<(), Box<dyn Error>> {
        self.pages.reload()?;
        self.running.reload(&settings.limits);
        Ok(())
    }

    async fn ended(&mut self) -> io::Result<()> {
        self.running.ended().await
    }

    async fn stop(self) {
        self.running.stop().await;
        self.workers.stop().await;
    }
}

/// Opens the database and the keys, binds the address, and serves.
///
/// # Errors
/// As [`StartError`] says; nothing is left running.
pub async fn start(settings: &Settings) -> Result<Service, StartError> {
    let root_key = root_key(settings.root_key.as_ref())?;
    let database = &settings.database;
    let Foundation { store, root_key } =
        Foundation::open(database.address()?, database.manage_schema, root_key).await?;
    let api = &settings.api;
    let listener = bind(api.listen)?;
    let outward = outward(settings.webhooks.allow_private, settings.resolver)?;
    let pages = crate::console::pages(api.pages.clone())?;
    let options = Options {
        pages: Some(pages.clone()),
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
    Ok(Service {
        running,
        workers,
        pages,
    })
}
