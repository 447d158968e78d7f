//! Everything that `up` starts, and the order in which it stops again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heimdall_api::{Foundation, HashingPool, Options, Outside, root_key};
use heimdall_approvals::{Assembly, External, StoredMailer};
use heimdall_notifier::{Language, Messages};
use heimdall_server::{Edge, Limits, ListenSettings, Running, Server, Sources, SystemClock, bind};
use heimdall_tenant::Hasher;
use heimdall_token::SystemRng;
use heimdall_transport::WebhookPoster;
use heimdall_types::{Clock, Rng, Secret};
use serde_json::{Value, json};

use super::example::{FirstLook, NOTHING, Seed, prepare};
use super::{Failure, UpArgs, UpSettings, echo, folder, proxy};

/// The running services of one process.
pub(super) struct Services {
    api: Running,
    approvals: Running,
    echo: Running,
    proxy: heimdall_proxy::Running,
    api_workers: heimdall_api::Workers,
    pages: heimdall_server::Pages,
    approvals_workers: heimdall_approvals::Workers,
    home: PathBuf,
    mail_dir: PathBuf,
    mailbox: bool,
    look: FirstLook,
    prefix: String,
}

impl Services {
    pub(super) async fn start(args: &UpArgs, settings: &UpSettings) -> Result<Self, Failure> {
        let home = folder::make(&args.data)
            .map_err(|error| format!("{}: {error}", args.data.display()))?;
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) =
            (Arc::new(SystemClock), Arc::new(SystemRng));
        let Foundation { store, root_key } = foundation(settings, &home, rng.as_ref()).await?;
        let (api, approvals) = (bind(settings.api.listen)?, bind(settings.approvals.listen)?);
        let api_url = settings.api.base_url(api.local_addr()?);
        let approvals_url = settings.approvals.base_url(approvals.local_addr()?);

        let passwords = Arc::new(HashingPool::new(Hasher::default(), rng.clone()));
        let external = External::new(passwords.clone())?.configured(
            &settings.approvals.accounts,
            &settings.approvals.legacy,
            settings.approvals.mail_confirmation,
        )?;
        let outside = Outside {
            store: store.clone(),
            root_key: root_key.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            passwords,
        };
        let outward =
            heimdall_api::config::outward(settings.webhooks.allow_private, settings.resolver)?;
        let portal_host = settings.api.portal_host.clone();
        let pages = heimdall_api::pages(settings.api.pages.clone())?;
        let options = Options {
            pages: Some(pages.clone()),
            outward: Some(outward.clone()),
            prefix: settings.api.prefix.clone(),
            portal_host: portal_host.or_else(|| Some(approvals_url.clone())),
            allow_private_webhooks: settings.webhooks.allow_private,
            ..Options::at(api_url.clone())
        };
        let api_deps = heimdall_api::assemble(outside, options).await?;
        let seed = Seed {
            tenants: &api_deps.tenants,
            store: &store,
            clock: clock.as_ref(),
            rng: rng.as_ref(),
        };
        let look = if args.no_example {
            NOTHING
        } else {
            prepare(&home, seed).await?
        };

        let mail_dir = folder::make(&home.join("mail"))?;
        let mail_url = match &settings.smtp.url {
            Some(_) => settings.smtp.address()?,
            None => Secret::new(format!("file://{}", mail_dir.display())),
        };
        // Only a try-out on this machine shows mails to whoever asks.
        let mailbox = mail_url.expose().strip_prefix("file://").map(PathBuf::from);
        let portal = &settings.approvals;
        let mailbox =
            mailbox.filter(|_| portal.listen.ip().is_loopback() && portal.base_url.is_none());
        let shows_mailbox = mailbox.is_some();
        let from = Assembly {
            tenants: api_deps.tenants.clone(),
            store: store.clone(),
            root_key,
            clock: clock.clone(),
            rng: rng.clone(),
            base_url: approvals_url.clone(),
            mailbox,
            overrides: settings.approvals.pages.clone(),
            external,
        };
        let approvals_deps = heimdall_approvals::assemble(from)?;
        let app = api_deps
            .tenants
            .app(&heimdall_tenant::Caller::System, "acme")
            .await
            .ok()
            .map(|app| app.id);
        if let Some(app) = &app {
            approvals_deps.portals.ensure(app, &approvals_url).await?;
        }

        let api_workers =
            heimdall_api::Workers::start(&api_deps, Some(Arc::new(WebhookPoster::from(outward))));
        let language = Language::from_tag(&settings.smtp.language);
        let messages = Messages::new(language, "heimdall.localhost")?;
        // What an administrator sets at run time wins over the flag.
        let mailer = Arc::new(StoredMailer::new(
            store.clone(),
            approvals_deps.root_key.as_ref().clone(),
            heimdall_approvals::mailer(&mail_url, &settings.smtp.from)?,
        ));
        let approvals_workers =
            heimdall_approvals::Workers::start(&approvals_deps, mailer, Arc::new(messages));

        let prefix = api_deps.prefix.clone();
        let echo = Server::bind(&echo::listening(), echo_edge(settings), echo::routes)?;
        let around = proxy::Around {
            folder: &home,
            api: &format!("{api_url}{prefix}"),
            upstream: &echo.addr().to_string(),
            app: app.as_ref().map(heimdall_types::AppId::as_str),
            section: settings.proxy.as_ref(),
            tenants: api_deps.tenants.clone(),
            store,
            clock,
            rng,
        };
        let service = args
            .proxy
            .map_or_else(|| settings.proxy_at("serve", 4456), Ok)?;
        let management = args
            .management
            .map_or_else(|| settings.proxy_at("management", 4457), Ok)?;
        let proxy = proxy::start(around, service, management).await?;
        let sources = |trusted: &[heimdall_server::Cidr]| Sources::trusting(trusted.to_vec());
        let edge = heimdall_api::edge(
            &settings.limits,
            sources(&settings.api.trusted_proxies),
            api_url.starts_with("https://"),
        );
        let api = Server::listen(
            api,
            &sharing(settings.api.listener()),
            edge,
            heimdall_api::app(api_deps),
        )?;
        let edge = heimdall_approvals::edge(
            &settings.limits,
            sources(&settings.approvals.trusted_proxies),
            approvals_url.starts_with("https://"),
        );
        let approvals = Server::listen(
            approvals,
            &sharing(settings.approvals.listener()),
            edge,
            heimdall_approvals::app(approvals_deps),
        )?;
        Ok(Self {
            api,
            approvals,
            echo,
            proxy,
            api_workers,
            pages,
            approvals_workers,
            home,
            mail_dir,
            mailbox: shows_mailbox,
            look,
            prefix,
        })
    }

    /// What stands in the ready file.
    pub(super) fn ready(&self) -> Value {
        let http = |address: SocketAddr| format!("http://{address}");
        json!({
            "api": format!("{}{}", self.api.base_url(), self.prefix),
            "approvals": self.approvals.base_url(),
            "proxy": http(self.proxy.service_addr()),
            "management": http(self.proxy.management_addr()),
            "upstream": self.echo.base_url(),
            "admin_key": self.look.admin_key,
            "mail_dir": self.mail_dir.display().to_string(),
            "example": self.look.example,
        })
    }

    /// Whether there is a page that shows the mails.
    pub(super) fn shows_mailbox(&self) -> bool {
        self.mailbox
    }

    /// Takes over what may change while it runs: limits, certificates, and the proxy's configuration and rules.
    pub(super) async fn reload(&self, settings: &UpSettings) -> Result<(), Failure> {
        if let Some(section) = &settings.proxy {
            proxy::write_section(&self.home, section)?;
        }
        self.proxy.reload().await?;
        self.pages.reload()?;
        self.api.reload(&settings.limits);
        self.approvals.reload(&settings.limits);
        Ok(())
    }

    /// Waits until a listener fails.
    pub(super) async fn ended(&mut self) -> std::io::Result<()> {
        tokio::select! {
            outcome = self.api.ended() => outcome,
            outcome = self.approvals.ended() => outcome,
        }
    }

    /// Takes no new work, lets running requests finish, then stops what works beside them.
    pub(super) async fn stop(self) {
        tokio::join!(self.proxy.stop(), self.api.stop(), self.approvals.stop());
        self.echo.stop().await;
        self.approvals_workers.stop().await;
        self.api_workers.stop().await;
    }
}

async fn foundation(
    settings: &UpSettings,
    home: &Path,
    rng: &dyn Rng,
) -> Result<Foundation, Failure> {
    let key = match &settings.root_key {
        Some(given) => root_key(Some(given))?,
        None => folder::root_key(home, rng)?,
    };
    let address = match &settings.database.url {
        Some(_) => settings.database.address()?,
        None => Secret::new(folder::database(home)),
    };
    Ok(Foundation::open(address, true, key).await?)
}

/// Threads of a service that has none of its own: three services share this machine.
const FEW: usize = 4;

fn sharing(settings: ListenSettings) -> ListenSettings {
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(FEW)),
        given => given,
    };
    ListenSettings {
        workers,
        ..settings
    }
}

fn echo_edge(settings: &UpSettings) -> Edge {
    Edge::new("echo").limits(Arc::new(Limits::new(&settings.limits)))
}
