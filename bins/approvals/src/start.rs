//! From settings to a service that runs.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use heimdall_api::{Foundation, HashingPool, Options, Outside, root_key};
use heimdall_notifier::{Language, Messages};
use heimdall_server::program::Program;
use heimdall_server::{Running, Server, Sources, SystemClock, bind};
use heimdall_tenant::Hasher;
use heimdall_token::SystemRng;

use crate::config::Settings;
use crate::{Assembly, External, StoredMailer, Workers, app, assemble, edge, mailer};

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    running: Running,
    workers: Workers,
    // Keeps what is remembered of tenants fresh, and moves signing keys along.
    caches: heimdall_api::Workers,
}

impl Program for Service {
    type Settings = Settings;
    const NAME: &'static str = "heimdall-approvals";
    const ABOUT: &'static str = "The portal, action links and the approvals API";
    const SECTION: &'static str = "approvals";

    async fn start(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        start(settings).await
    }

    fn base_url(&self) -> String {
        self.running.base_url()
    }

    fn reload(&self, settings: &Settings) -> Result<(), Box<dyn Error>> {
        self.running.reload(&settings.limits);
        Ok(())
    }

    async fn ended(&mut self) -> std::io::Result<()> {
        self.running.ended().await
    }

    async fn stop(self) {
        self.running.stop().await;
        self.workers.stop().await;
        self.caches.stop().await;
    }
}

/// Opens the database and the keys, binds the address, and serves.
///
/// # Errors
/// A setting that is wrong or missing, a database or a listener that cannot be opened; nothing is left running.
pub async fn start(settings: &Settings) -> Result<Service, Box<dyn Error>> {
    let root_key = root_key(settings.root_key.as_ref())?;
    let database = &settings.database;
    let Foundation { store, root_key } =
        Foundation::open(database.address()?, database.manage_schema, root_key).await?;
    let own = &settings.approvals;
    let listener = bind(own.listen)?;
    let base_url = own.base_url(listener.local_addr()?);
    let (rng, clock) = (Arc::new(SystemRng), Arc::new(SystemClock));
    let passwords = Arc::new(HashingPool::new(Hasher::default(), rng.clone()));
    let external = External::new(passwords.clone())?.configured(
        &own.accounts,
        &own.legacy,
        own.mail_confirmation,
    )?;
    let outside = Outside {
        store: store.clone(),
        root_key: root_key.clone(),
        clock: clock.clone(),
        passwords,
        rng: rng.clone(),
    };
    let options = Options {
        prefix: settings.api.prefix.clone(),
        portal_host: Some(base_url.clone()),
        ..Options::at(settings.api.base_url(settings.api.listen))
    };
    let issuer = heimdall_api::assemble(outside, options).await?;
    let url = settings.smtp.address()?;
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
        mailbox: mailbox.filter(|_| own.listen.ip().is_loopback() && own.base_url.is_none()),
        overrides: own.pages.clone(),
        external,
    })?;
    let host = base_url
        .split_once("://")
        .map_or("localhost", |(_, host)| host);
    let host = host.split(':').next().unwrap_or("localhost");
    let messages = Messages::new(Language::from_tag(&settings.smtp.language), host)?;
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
