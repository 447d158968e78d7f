//! From settings to a service that runs.

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use heimdall_api::{HashingPool, Options, Outside};
use heimdall_notifier::{Language, Messages};
use heimdall_server::config::ConfigError;
use heimdall_server::{Running, Server, Sources, SystemClock};
use heimdall_store::{Store, StoreSettings};
use heimdall_tenant::Hasher;
use heimdall_token::{RootKey, SystemRng};

use crate::config::Settings;
use crate::{Assembly, StoredMailer, Workers, app, assemble, edge, mailer};

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    running: Running,
    workers: Workers,
    // Keeps what is remembered of tenants fresh, and moves signing keys along.
    caches: heimdall_api::Workers,
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
        self.caches.stop().await;
    }

    /// Waits until the listener fails.
    ///
    /// # Errors
    /// Why it did.
    pub async fn ended(&mut self) -> std::io::Result<()> {
        self.running.ended().await
    }
}

/// Opens the database and the keys, binds the address, and serves.
///
/// # Errors
/// A setting that is wrong or missing, a database or a listener that cannot be opened; nothing is left running.
pub async fn start(settings: &Settings) -> Result<Service, Box<dyn Error>> {
    let missing = || {
        let advice = "is missing; make one with `heimdall keys root` and name it as `file:PATH`";
        ConfigError::at("root_key", advice)
    };
    let root_key = settings.root_key.as_ref().ok_or_else(missing)?;
    let root_key = RootKey::from_base64(root_key.read("root_key")?.expose())?;
    let mut storage = StoreSettings::new(settings.database.url.read("database.url")?);
    storage.root_key = Some(Arc::new(root_key.clone()));
    storage.manage_schema = settings.database.manage_schema;
    // PostgreSQL is reached over a runtime of its own, which must not be entered from this one.
    let store = Arc::new(tokio::task::spawn_blocking(move || Store::open(&storage)).await??);
    let own = &settings.approvals;
    let listener = TcpListener::bind(own.listen)?;
    let base_url = own.base_url(listener.local_addr()?);
    let (rng, clock) = (Arc::new(SystemRng), Arc::new(SystemClock));
    let outside = Outside {
        store: store.clone(),
        root_key: root_key.clone(),
        clock: clock.clone(),
        passwords: Arc::new(HashingPool::new(Hasher::default(), rng.clone())),
        rng: rng.clone(),
    };
    let options = Options {
        prefix: settings.api.prefix.clone(),
        portal_host: Some(base_url.clone()),
        ..Options::at(settings.api.base_url(settings.api.listen))
    };
    let issuer = heimdall_api::assemble(outside, options).await?;
    let url = settings.smtp.url.read("smtp.url")?;
    let mailbox = url.expose().strip_prefix("file://").map(PathBuf::from);
    let configured = mailer(&url, &settings.smtp.from)?;
    let deps = assemble(Assembly {
        tenants: issuer.tenants.clone(),
        store: store.clone(),
        root_key: root_key.clone(),
        clock,
        rng,
        base_url: base_url.clone(),
        // Only a try-out on this machine shows mails to whoever asks.
        mailbox: mailbox.filter(|_| own.listen.ip().is_loopback()),
        overrides: own.pages.clone(),
    })?;
    let host = base_url
        .split_once("://")
        .map_or("localhost", |(_, host)| host);
    let host = host.split(':').next().unwrap_or("localhost");
    let messages = Messages::new(Language::English, host)?;
    let sending = Arc::new(StoredMailer::new(store, root_key, configured));
    let workers = Workers::start(&deps, sending, Arc::new(messages));
    let caches = heimdall_api::Workers::start(&issuer, None);
    let sources = Sources::trusting(own.trusted_proxies.clone());
    let edge = edge(&settings.limits, sources, base_url.starts_with("https://"));
    let running = Server::listen(listener, &own.listener(), edge, app(deps))?;
    Ok(Service {
        running,
        workers,
        caches,
    })
}
