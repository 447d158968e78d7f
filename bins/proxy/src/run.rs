//! Puts the service together, keeps its rules and keys current, and takes it down.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use heimdall_pipeline::{
    Apis, Config, Engine, Http, Listener, LoadErrors, Mode, Relaxed, Source, Timer,
};
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
use crate::guard::Timers;
use crate::key_store::KeyStore;
use crate::management::{Management, Overview};
use crate::rules::{RETRY, RuleSets, Watch};
use crate::service::{Live, Shared};
use crate::upstream::UpstreamSettings;
use crate::workers::{WorkerSettings, Workers};

/// How long running requests get when the service stops.
const GRACE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_IDLE_PER_HOST: usize = 100;

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
    let worker_settings = worker_settings(&settings, &config, serve_keys.as_ref())?;
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

async fn bind(given: Option<SocketAddr>, config: &Listener) -> Result<TcpListener, StartError> {
    let (name, bound) = match given {
        Some(address) => (address.to_string(), TcpListener::bind(address).await),
        None => {
            let host = if config.host.is_empty() {
                "0.0.0.0"
            } else {
                config.host.trim_start_matches('[').trim_end_matches(']')
            };
            (
                format!("{host}:{}", config.port),
                TcpListener::bind((host, config.port)).await,
            )
        }
    };
    bound.map_err(|error| StartError::System(name, error))
}

fn management_address(settings: &Settings, config: &Listener) -> Result<SocketAddr, StartError> {
    if let Some(address) = settings.management {
        return Ok(address);
    }
    let host = if config.host.is_empty() {
        "0.0.0.0"
    } else {
        config.host.trim_start_matches('[').trim_end_matches(']')
    };
    let name = format!("{host}:{}", config.port);
    let mut found = (host, config.port)
        .to_socket_addrs()
        .map_err(|error| StartError::System(name.clone(), error))?;
    found
        .next()
        .ok_or_else(|| StartError::System(name, std::io::ErrorKind::AddrNotAvailable.into()))
}

pub(crate) fn certificate(tls: &heimdall_pipeline::Tls) -> Result<Arc<KeyStore>, StartError> {
    KeyStore::open(tls).map_err(StartError::Tls)
}

fn worker_settings(
    settings: &Settings,
    config: &Config,
    certificate: Option<&Arc<KeyStore>>,
) -> Result<WorkerSettings, StartError> {
    let listener = &config.serve.listener;
    let some = |limit: Duration| (!limit.is_zero()).then_some(limit);
    let mut upstream_tls = client_tls()?;
    upstream_tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = match certificate {
        Some(certificate) => Some(TlsAcceptor::from(Arc::new(
            certificate.server_config().map_err(StartError::Tls)?,
        ))),
        None => None,
    };
    let threads = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        given => given,
    };
    Ok(WorkerSettings {
        threads,
        tls,
        timers: Timers {
            head: some(listener.read_timeout),
            body: some(listener.read_timeout),
            idle: some(listener.idle_timeout),
            write: some(listener.write_timeout),
        },
        upstream: UpstreamSettings {
            connect_timeout: CONNECT_TIMEOUT,
            answer_timeout: some(listener.read_timeout),
            idle_timeout: some(listener.idle_timeout).unwrap_or(Duration::from_secs(90)),
            max_idle_per_host: match config.serve.max_idle_per_host {
                0 => MAX_IDLE_PER_HOST,
                given => given.div_ceil(threads),
            },
            tls: Arc::new(upstream_tls),
        },
        grace: GRACE,
    })
}

/// A watch on everything that may change while we run.
fn watch(config: &Config, engine: &Engine) -> notify::Result<Watch> {
    let mut watch = Watch::new()?;
    if let Some(provider) = config
        .providers
        .file_system
        .as_ref()
        .filter(|provider| provider.watch)
    {
        watch.add(Path::new(&provider.src))?;
    }
    for path in engine.key_stores() {
        watch.add(Path::new(&path))?;
    }
    for tls in [&config.serve.listener.tls, &config.management.tls]
        .into_iter()
        .flatten()
    {
        watch.add(Path::new(&tls.key_store))?;
    }
    Ok(watch)
}

/// Keeps rules, keys and certificates current.
struct Keeper {
    settings: Settings,
    deps: Deps,
    config: Config,
    /// The text that the present engine was compiled from.
    source: Mutex<Source>,
    sets: Mutex<RuleSets>,
    overview: Arc<Overview>,
    certificates: Vec<Arc<KeyStore>>,
}

impl Keeper {
    async fn keep(
        self: Arc<Self>,
        mut asked: mpsc::UnboundedReceiver<oneshot::Sender<Result<(), LoadErrors>>>,
        mut watch: Option<Watch>,
    ) {
        let mut polls = tokio::task::JoinSet::new();
        if let Some(provider) = &self.config.providers.http_endpoint
            && let Some(pause) = provider.watch_interval
        {
            for index in 0..provider.endpoints {
                polls.spawn(self.clone().poll(index, pause));
            }
        }
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = asked.recv() => match answer {
                    // Whoever asked may have gone meanwhile.
                    Some(answer) => drop(answer.send(self.reload().await)),
                    None => return,
                },
                () = changed => {
                    if let Some(watch) = &mut watch {
                        self.follow(watch).await;
                    }
                }
            }
        }
    }

    /// Something changed in a watched folder.
    async fn follow(&self, watch: &mut Watch) {
        self.renew_keys();
        if self
            .config
            .providers
            .file_system
            .as_ref()
            .is_none_or(|provider| !provider.watch)
        {
            return;
        }
        let mut unused = None;
        loop {
            let mut sets = self.sets.lock().await;
            let live = self.overview.shared.live.load_full();
            let looked = tokio::task::block_in_place(|| sets.look(&live.engine));
            drop(sets);
            let looked = looked.map(|rules| rules.or(unused.take()));
            if !watch.disturbed().await {
                return self.settle(&live, looked);
            }
            // It was read while somebody wrote: half a rule set may look like a whole one.
            unused = looked.ok().flatten();
            watch.changed().await;
        }
    }

    fn renew_keys(&self) {
        let live = self.overview.shared.live.load_full();
        for path in live.engine.key_stores() {
            let read =
                std::fs::read(&path).map_err(|error| LoadErrors::one(&path, error.to_string()));
            if let Err(errors) = read.and_then(|bytes| live.engine.reload_keys(&path, &bytes)) {
                self.overview
                    .shared
                    .counters
                    .failed_key_reloads
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(%errors, "a key store cannot be read again; its old keys stay");
            }
        }
        for error in self
            .certificates
            .iter()
            .filter_map(|certificate| certificate.reload().err())
        {
            tracing::error!(error, "a certificate was not replaced");
        }
    }

    /// Takes new rules, or says why the old ones stay.
    fn settle(&self, live: &Live, looked: Result<Option<heimdall_pipeline::Snapshot>, LoadErrors>) {
        let counters = &self.overview.shared.counters;
        match looked {
            Ok(None) => {}
            Ok(Some(rules)) => {
                let next = Live {
                    engine: live.engine.clone(),
                    rules,
                    cors: live.cors.clone(),
                };
                self.overview.shared.live.store(Arc::new(next));
                self.overview.stale.store(false, Ordering::Relaxed);
                counters.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("new rules are in use");
            }
            Err(errors) => {
                self.overview.stale.store(true, Ordering::Relaxed);
                counters.failed_reloads.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%errors, "new rules are wrong; the last good ones stay");
            }
        }
    }

    async fn poll(self: Arc<Self>, index: usize, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            let live = self.overview.shared.live.load_full();
            let etag = self.sets.lock().await.etag(index).map(str::to_owned);
            match live.engine.fetch_rules(index, etag.as_deref()).await {
                Ok(answer) => {
                    let mut sets = self.sets.lock().await;
                    let looked = sets.fetched(&live.engine, index, answer);
                    self.settle(&live, looked);
                }
                Err(errors) => {
                    self.settle(&live, Err(errors));
                    tokio::time::sleep(RETRY.min(pause)).await;
                }
            }
        }
    }

    /// Reads everything again: configuration, keys, rules.
    async fn reload(&self) -> Result<(), LoadErrors> {
        let mut sets = self.sets.lock().await;
        let shared = &self.overview.shared;
        let renewed = async {
            let config = read_config(&self.settings.config, &self.settings.env_prefix)?;
            let source = self.settings.config.read()?;
            let present = shared.live.load_full();
            // An engine knows which keys signed before and what was cached: the same text keeps it.
            let engine = if *self.source.lock().await == source {
                self.renew_keys();
                present.engine.clone()
            } else {
                compile(
                    &config,
                    self.settings.mode,
                    self.settings.relaxed,
                    &self.deps,
                )?
            };
            let mut next = RuleSets::new(config.providers.file_system.as_ref());
            next.look(&engine)?;
            for index in 0..config
                .providers
                .http_endpoint
                .as_ref()
                .map_or(0, |provider| provider.endpoints)
            {
                let answer = engine.fetch_rules(index, None).await?;
                next.fetched(&engine, index, answer)?;
            }
            let rules = next.snapshot(&engine)?;
            *self.source.lock().await = source;
            Ok((
                next,
                Live {
                    engine,
                    rules,
                    cors: config.serve.listener.cors.as_ref().map(CrossOrigin::new),
                },
            ))
        };
        match renewed.await {
            Ok((next, live)) => {
                *sets = next;
                shared.live.store(Arc::new(live));
                self.overview.stale.store(false, Ordering::Relaxed);
                shared.counters.reloads.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(errors) => {
                self.overview.stale.store(true, Ordering::Relaxed);
                shared
                    .counters
                    .failed_reloads
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(%errors, "the reload failed; everything stays as it was");
                Err(errors)
            }
        }
    }
}
