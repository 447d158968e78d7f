//! Everything that `up` starts, and the order in which it stops again.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heimdall_api::{HashingPool, Options, Outside};
use heimdall_approvals::{Assembly, StoredMailer};
use heimdall_notifier::{Language, Mailer, Messages};
use heimdall_server::{Edge, ListenSettings, Running, Server, Sources, SystemClock};
use heimdall_store::{Store, StoreSettings};
use heimdall_tenant::Hasher;
use heimdall_token::SystemRng;
use heimdall_transport::address::{AddressPolicy, SystemResolver};
use heimdall_transport::{Outward, WebhookPoster};
use heimdall_types::{Clock, Rng, Secret};
use serde_json::Value;

use super::example::{FirstLook, prepare};
use super::{Failure, UpArgs, UpSettings, echo, folder, proxy};

/// The running services of one process.
pub(super) struct Services {
    api: Running,
    approvals: Running,
    echo: Running,
    proxy: heimdall_proxy::Running,
    api_workers: heimdall_api::Workers,
    approvals_workers: heimdall_approvals::Workers,
    mail_dir: PathBuf,
    look: FirstLook,
    prefix: String,
}

impl Services {
    pub(super) async fn start(args: &UpArgs, settings: &UpSettings) -> Result<Self, Failure> {
        let home = folder::make(&args.data)
            .map_err(|error| format!("{}: {error}", args.data.display()))?;
        let mail_dir = folder::make(&home.join("mail"))?;
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) =
            (Arc::new(SystemClock), Arc::new(SystemRng));
        let root_key = folder::root_key(&home, rng.as_ref())?;
        let store = open(args, &home, &root_key).await?;
        let (api, approvals) = (bind(args.api)?, bind(args.approvals)?);
        let api_url = format!("http://{}", api.local_addr()?);
        let approvals_url = format!("http://{}", approvals.local_addr()?);

        let passwords = Arc::new(HashingPool::new(Hasher::default(), rng.clone()));
        let outside = Outside {
            store: store.clone(),
            root_key: root_key.clone(),
            clock: clock.clone(),
            rng: rng.clone(),
            passwords,
        };
        let outward = outward()?;
        let options = Options {
            outward: Some(outward.clone()),
            portal_host: Some(approvals_url.clone()),
            allow_private_webhooks: true,
            ..Options::at(api_url.clone())
        };
        let api_deps = heimdall_api::assemble(outside, options).await?;
        let look = prepare(
            &home,
            !args.no_example,
            &api_deps.tenants,
            &store,
            clock.as_ref(),
            rng.as_ref(),
        )
        .await?;

        let from = Assembly {
            tenants: api_deps.tenants.clone(),
            store: store.clone(),
            root_key,
            clock: clock.clone(),
            rng: rng.clone(),
            base_url: approvals_url.clone(),
            mailbox: args.smtp.is_none().then(|| mail_dir.clone()),
            overrides: None,
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
        let messages = Messages::new(
            Language::from_tag(&settings.mail.language),
            "heimdall.localhost",
        )?;
        // What an administrator sets at run time wins over the flag.
        let configured = mailer(args, settings, &mail_dir)?;
        let mailer = Arc::new(StoredMailer::new(
            store.clone(),
            approvals_deps.root_key.as_ref().clone(),
            configured,
        ));
        let approvals_workers =
            heimdall_approvals::Workers::start(&approvals_deps, mailer, Arc::new(messages));

        let prefix = api_deps.prefix.clone();
        let echo = Server::bind(
            &listening(loopback()),
            edge_of("echo", settings),
            echo::routes,
        )?;
        let around = proxy::Around {
            folder: &home,
            api: &format!("{api_url}{prefix}"),
            upstream: &echo.addr().to_string(),
            app: app.as_ref().map(heimdall_types::AppId::as_str),
            tenants: api_deps.tenants.clone(),
            store: store.clone(),
            clock,
            rng,
        };
        let proxy = proxy::start(around, args.proxy, args.management).await?;
        let api_edge = heimdall_api::edge(&settings.limits, Sources::default(), false);
        let api = Server::listen(
            api,
            &listening(args.api),
            api_edge,
            heimdall_api::app(api_deps),
        )?;
        let approvals_edge = heimdall_approvals::edge(&settings.limits, Sources::default(), false);
        let approvals = Server::listen(
            approvals,
            &listening(args.approvals),
            approvals_edge,
            heimdall_approvals::app(approvals_deps),
        )?;
        Ok(Self {
            api,
            approvals,
            echo,
            proxy,
            api_workers,
            approvals_workers,
            mail_dir,
            look,
            prefix,
        })
    }

    /// What stands in the ready file.
    pub(super) fn ready(&self) -> Value {
        let http = |address: SocketAddr| format!("http://{address}");
        let addresses = [
            ("api", format!("{}{}", self.api.base_url(), self.prefix)),
            ("approvals", self.approvals.base_url()),
            ("proxy", http(self.proxy.service_addr())),
            ("management", http(self.proxy.management_addr())),
            ("upstream", self.echo.base_url()),
        ];
        let mail_dir = self.mail_dir.display().to_string();
        super::ready(
            &addresses,
            self.look.admin_key.as_deref(),
            &mail_dir,
            self.look.example.as_ref(),
        )
    }

    /// Takes no new work, lets running requests finish, then stops what works beside them.
    pub(super) async fn stop(self) {
        tokio::join!(self.proxy.stop(), self.api.stop(), self.approvals.stop());
        self.echo.stop().await;
        self.approvals_workers.stop().await;
        self.api_workers.stop().await;
    }
}

async fn open(
    args: &UpArgs,
    home: &Path,
    root_key: &heimdall_token::RootKey,
) -> Result<Arc<Store>, Failure> {
    let url = args
        .database
        .clone()
        .unwrap_or_else(|| folder::database(home));
    let mut settings = StoreSettings::new(url);
    settings.manage_schema = true;
    settings.root_key = Some(Arc::new(root_key.clone()));
    let store = tokio::task::spawn_blocking(move || Store::open(&settings)).await??;
    Ok(Arc::new(store))
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| format!("{address}: {error}").into())
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

// A few threads each: three services and an upstream share this machine.
fn listening(address: SocketAddr) -> ListenSettings {
    ListenSettings::at(address)
}

fn edge_of(name: &'static str, settings: &UpSettings) -> Edge {
    let limits = heimdall_server::Limits::new(&settings.limits);
    Edge::new(name).limits(Arc::new(limits))
}

fn mailer(args: &UpArgs, settings: &UpSettings, folder: &Path) -> Result<Arc<dyn Mailer>, Failure> {
    let url = args
        .smtp
        .clone()
        .unwrap_or_else(|| format!("file://{}", folder.display()));
    Ok(heimdall_approvals::mailer(
        &Secret::new(url),
        &settings.mail.from,
    )?)
}

fn outward() -> Result<Outward, Failure> {
    let tls = heimdall_transport::tls::client_config(None)?;
    Ok(Outward::new(
        Arc::new(tls),
        Arc::new(SystemResolver),
        AddressPolicy::Any,
    ))
}
