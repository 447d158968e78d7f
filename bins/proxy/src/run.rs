//! Puts the service together, keeps its rules and keys current, and takes it down.

mod keeper;
mod listen;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use heimdall_pipeline::{Apis, Config, Engine, Http, LoadErrors, Mode, Relaxed, Timer};
use heimdall_server::SystemClock;
use heimdall_token::SystemRng;
use heimdall_transport::HttpClient;
use heimdall_types::{Clock, Rng, Secret};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::cors::CrossOrigin;
use crate::counters::Counters;
use crate::environment::{ConfigAt, Disk, read_config, variable};
use crate::feed::{ApiOverHttp, Feeds};
use crate::key_store::KeyStore;
use crate::management::{Management, Overview};
use crate::rules::RuleSets;
use crate::service::{Live, Shared};
use crate::workers::Workers;
use keeper::{Keeper, watch};
pub(crate) use listen::certificate;
use listen::{bind, management_address, worker_settings};

/// How the service is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the configuration stands.
    pub config: ConfigAt,
    /// Prefix of the environment variables that override keys of the file.
    pub env_prefix: String,
    /// Proxy, decision or Envoy.
    pub mode: Mode,
    /// What was switched off by name.
    pub relaxed: Relaxed,
    /// Address of the service, over the configuration's.
    pub service: Option<SocketAddr>,
    /// Address of management, over the configuration's.
    pub management: Option<SocketAddr>,
    /// Threads that serve; 0 takes one a core.
    pub workers: usize,
}

/// What the embedding program hands in.
#[derive(Clone)]
pub struct Deps {
    /// Sends requests to endpoints.
    pub http: Arc<dyn Http>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Subscriptions of the authenticator `heimdall`.
    pub apis: Option<Arc<dyn Apis>>,
}

impl Deps {
    /// The real world: the system's clock, randomness and network. An API is asked for changes of authorisation with
    /// the key in `HEIMDALL_PROXY_API_KEY`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn system() -> Result<Self, StartError> {
        let http: Arc<dyn Http> = Arc::new(HttpClient::new(client_tls()?));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let key = variable("HEIMDALL_PROXY_API_KEY").map(Secret::from);
        let feeds = Feeds::new(Arc::new(ApiOverHttp::new(http.clone(), key)), clock.clone());
        Ok(Self {
            http,
            clock,
            rng: Arc::new(SystemRng),
            apis: Some(Arc::new(feeds)),
        })
    }
}

/// Why the service does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration or the rules are wrong.
    #[error("{0}")]
    Load(#[from] LoadErrors),
    /// An address is taken, or a thread or a watch cannot be had.
    #[error("{0}: {1}")]
    System(String, std::io::Error),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(String),
}

struct TokioSleep;

#[async_trait]
impl Timer for TokioSleep {
    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// Compiles a configuration with everything this machine has to offer.
///
/// # Errors
/// All that is wrong with it.
pub fn compile(
    config: &Config,
    mode: Mode,
    relaxed: Relaxed,
    deps: &Deps,
) -> Result<Engine, LoadErrors> {
    Engine::new(config, mode, relaxed, ports(deps))
}

/// As [`compile`], without a look at listeners and providers.
pub(crate) fn compile_for_rules(
    config: &Config,
    mode: Mode,
    relaxed: Relaxed,
    deps: &Deps,
) -> Result<Engine, LoadErrors> {
    Engine::for_rules(config, mode, relaxed, ports(deps))
}

fn ports(deps: &Deps) -> heimdall_pipeline::Deps {
    heimdall_pipeline::Deps {
        http: deps.http.clone(),
        timer: Arc::new(TokioSleep),
        clock: deps.clock.clone(),
        rng: deps.rng.clone(),
        files: Arc::new(Disk),
        apis: deps.apis.clone(),
    }
}

fn client_tls() -> Result<rustls::ClientConfig, StartError> {
    let authorities = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    heimdall_transport::tls::client_config(authorities.as_deref())
        .map_err(|error| StartError::Tls(error.to_string()))
}

/// A service that runs.
pub struct Running {
    service: SocketAddr,
    management: SocketAddr,
    workers: Workers,
    listener: Management,
    keeper: JoinHandle<()>,
    reload: mpsc::UnboundedSender<oneshot::Sender<Result<(), LoadErrors>>>,
}

impl Running {
    /// Address of the service, with the port that was taken.
    pub fn service_addr(&self) -> SocketAddr {
        self.service
    }

    /// Address of management, with the port that was taken.
    pub fn management_addr(&self) -> SocketAddr {
        self.management
    }

    /// Reads configuration and rules again, as SIGHUP does. Addresses and TLS files keep their places.
    ///
    /// # Errors
    /// What is wrong; then everything stays as it was.
    pub async fn reload(&self) -> Result<(), LoadErrors> {
        let (answer, done) = oneshot::channel();
        let gone = || LoadErrors::one("reload", "the service is stopping");
        self.reload.send(answer).map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    /// Takes no new connection, lets running requests finish and ends.
    pub async fn stop(self) {
        self.keeper.abort();
        self.workers.stop().await;
        self.listener.stop().await;
    }
}

/// Starts the service. Must be called inside a tokio runtime with several threads.
///
/// # Errors
/// A wrong configuration or rule set, an address that is taken: nothing runs then.
pub async fn start(settings: Settings, deps: Deps) -> Result<Running, StartError> {
    let source = settings.config.read()?;
    let config = read_config(&settings.config, &settings.env_prefix)?;
    let engine = compile(&config, settings.mode, settings.relaxed, &deps)?;
    // Watching begins before reading, so that no change falls between the two.
    let watch = match watch(&config, &engine) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::error!(%error, "files are not watched; send SIGHUP after a change");
            None
        }
    };
    let mut sets = RuleSets::new(config.providers.file_system.as_ref());
    sets.look(&engine)?;
    for index in 0..config
        .providers
        .http_endpoint
        .as_ref()
        .map_or(0, |provider| provider.endpoints)
    {
        match engine
            .fetch_rules(index, None)
            .await
            .and_then(|answer| sets.fetched(&engine, index, answer))
        {
            Ok(_) => {}
            // The endpoint may come up later; until then no rule of it takes a request.
            Err(errors) => tracing::error!(%errors, "rules cannot be fetched"),
        }
    }
    let live = Live {
        rules: sets.snapshot(&engine)?,
        engine,
        cors: config.serve.listener.cors.as_ref().map(CrossOrigin::new),
    };
    let counters = Arc::new(Counters::default());
    let shared = Arc::new(Shared {
        live: ArcSwap::from_pointee(live),
        mode: settings.mode,
        counters,
    });

    let listener = bind(settings.service, &config.serve.listener).await?;
    let service = listener
        .local_addr()
        .map_err(|error| StartError::System("service".to_owned(), error))?;
    let serve_keys = config
        .serve
        .listener
        .tls
        .as_ref()
        .map(certificate)
        .transpose()?;
    let overview = Arc::new(Overview {
        shared: shared.clone(),
        stale: AtomicBool::new(false),
    });
    let manage_at = management_address(&settings, &config.management)?;
    let manage_keys = config
        .management
        .tls
        .as_ref()
        .map(certificate)
        .transpose()?;
    let manage_tls = manage_keys
        .as_ref()
        .map(KeyStore::server_config)
        .transpose()
        .map_err(StartError::Tls)?;
    let system = |what: &str| {
        let what = what.to_owned();
        move |error| StartError::System(what, error)
    };
    let management =
        Management::start(manage_at, manage_tls, overview.clone()).map_err(system("management"))?;
    let worker_settings = worker_settings(&settings, &config, serve_keys.as_ref(), &deps)?;
    let workers = match settings.mode {
        Mode::Envoy => envoy_workers(listener, &shared, worker_settings.tls.clone())?,
        _ => {
            Workers::start(listener, shared.clone(), &worker_settings).map_err(system("workers"))?
        }
    };
    let (reload, asked) = mpsc::unbounded_channel();
    let certificates = serve_keys.into_iter().chain(manage_keys).collect();
    let keeper = Keeper {
        source: Mutex::new(source),
        settings,
        deps,
        config,
        sets: Mutex::new(sets),
        overview,
        certificates,
    };
    let keeper = tokio::spawn(Arc::new(keeper).keep(asked, watch));
    Ok(Running {
        service,
        management: management.address(),
        workers,
        listener: management,
        keeper,
        reload,
    })
}

#[cfg(feature = "envoy-grpc")]
fn envoy_workers(
    listener: TcpListener,
    shared: &Arc<Shared>,
    tls: Option<TlsAcceptor>,
) -> Result<Workers, StartError> {
    Ok(Workers::of(|stop| {
        tokio::spawn(crate::envoy::serve(listener, tls, shared.clone(), stop))
    }))
}

#[cfg(not(feature = "envoy-grpc"))]
fn envoy_workers(
    _: TcpListener,
    _: &Arc<Shared>,
    _: Option<TlsAcceptor>,
) -> Result<Workers, StartError> {
    Err(StartError::Tls(
        "this program was built without the feature `envoy-grpc`".to_owned(),
    ))
}
