use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, ResponseError, web};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::tls::{Certificate, TlsSettings};
use crate::{Edge, LimitSettings, Limits, Problem};

/// Where and how a service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSettings {
    /// Address and port; port 0 takes a free one.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// Threads that serve requests; 0 takes one a core.
    pub workers: usize,
    /// Connections at once; more wait until one ends. Never more than the open files this process may have, less 64.
    pub max_connections: usize,
    /// Seconds that a request's head may take to arrive.
    pub head_timeout: u64,
    /// Seconds that an idle connection is kept.
    pub idle_timeout: u64,
    /// Seconds that running requests get to finish when the process is asked to stop.
    pub drain_timeout: u64,
    /// Key and certificate; without them the listener speaks plain HTTP.
    pub tls: Option<TlsSettings>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

impl ListenSettings {
    /// The defaults at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            workers: 0,
            max_connections: 10_000,
            head_timeout: 10,
            idle_timeout: 75,
            drain_timeout: 30,
            tls: None,
        }
    }
}

/// Takes an address, and names it where that fails.
///
/// # Errors
/// When it is taken or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Starts listeners.
#[derive(Debug, Clone, Copy)]
pub struct Server;

impl Server {
    /// Binds the address and serves what `configure` adds, behind `edge`, until [`Running::stop`].
    ///
    /// Must be called inside a tokio runtime. Signals are not touched: see [`crate::signals`].
    ///
    /// # Errors
    /// When the address is taken or the TLS files cannot be used.
    pub fn bind<F>(settings: &ListenSettings, edge: Edge, configure: F) -> io::Result<Running>
    where
        F: FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        Self::listen(bind(settings.address)?, settings, edge, configure)
    }

    /// Like [`Server::bind`] on a listener that is bound already: for services whose settings hold their own address,
    /// which port 0 tells only then.
    ///
    /// # Errors
    /// When the TLS files cannot be used.
    pub fn listen<F>(
        listener: TcpListener,
        settings: &ListenSettings,
        edge: Edge,
        configure: F,
    ) -> io::Result<Running>
    where
        F: FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let address = listener.local_addr()?;
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            given => given,
        };
        let certificate = settings
            .tls
            .as_ref()
            .map(Certificate::open)
            .transpose()
            .map_err(io::Error::other)?;
        let edge = if certificate.is_some() {
            edge.encrypted(true)
        } else {
            edge
        };
        let limits = Arc::clone(edge.counters());
        let swept = Arc::clone(&limits);
        let watched = certificate.clone();
        let mut server = HttpServer::new(move || {
            let (edge, configure) = (edge.clone(), configure.clone());
            let around = edge.clone();
            App::new()
                .app_data(web::Data::new(edge))
                .wrap(from_fn(move |request, next| {
                    around.clone().around(request, next)
                }))
                .configure(configure)
                .default_service(web::to(|| async { Problem::not_found().error_response() }))
        })
        .workers(workers)
        .backlog(1024)
        .max_connections(connections(settings.max_connections, workers))
        .client_request_timeout(Duration::from_secs(settings.head_timeout))
        .client_disconnect_timeout(Duration::from_secs(1))
        .keep_alive(Duration::from_secs(settings.idle_timeout))
        // The default keeps handlers of vanished clients running to their end.
        .h1_allow_half_closed(false)
        .shutdown_timeout(settings.drain_timeout)
        .disable_signals();
        server = match &certificate {
            Some(certificate) => server.listen_rustls_0_23(
                listener,
                certificate.server_config().map_err(io::Error::other)?,
            )?,
            None => server.listen(listener)?,
        };
        let server = server.run();
        let handle = server.handle();
        let served = tokio::spawn(server);
        let upkeep = tokio::spawn(async move {
            let (mut sweep, mut look) = (interval(SWEEP), interval(LOOK));
            loop {
                tokio::select! {
                    _ = sweep.tick() => swept.sweep(),
                    _ = look.tick(), if watched.is_some() => look_again(watched.as_deref()),
                }
            }
        });
        Ok(Running {
            address,
            limits,
            certificate,
            handle,
            served,
            upkeep,
        })
    }
}

const SWEEP: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(1);

fn look_again(certificate: Option<&Certificate>) {
    match certificate.map(Certificate::reload) {
        Some(Ok(true)) => tracing::info!("the certificate was replaced"),
        Some(Err(error)) => {
            tracing::error!(%error, "the certificate was not replaced, the old one stays");
        }
        _ => {}
    }
}

// A process that runs out of file descriptors can neither accept nor open its database.
fn connections(wanted: usize, workers: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open_files = limits.lines().find_map(|line| {
        line.strip_prefix("Max open files")?
            .split_whitespace()
            .next()?
            .parse::<usize>()
            .ok()
    });
    let possible = open_files.map_or(wanted, |files| files.saturating_sub(64).max(8));
    wanted.min(possible).div_ceil(workers).max(1)
}

/// A listener that serves.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    limits: Arc<Limits>,
    certificate: Option<Arc<Certificate>>,
    handle: ServerHandle,
    served: JoinHandle<io::Result<()>>,
    upkeep: JoinHandle<()>,
}

impl Running {
    /// The address, with the port that was taken.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://address` or `https://address`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!(
            "{}://{}",
            if self.certificate.is_some() {
                "https"
            } else {
                "http"
            },
            self.address
        )
    }

    /// Counts by these limits from now on, and reads the certificate again if its files changed.
    pub fn reload(&self, limits: &LimitSettings) {
        self.limits.replace(limits);
        look_again(self.certificate.as_deref());
    }

    /// Takes no new connection, lets running requests finish within the drain timeout, and ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        self.upkeep.abort();
        let _ = self.served.await;
    }

    /// Waits until the listener ends by itself, which only a failure makes it do.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> io::Result<()> {
        match (&mut self.served).await {
            Ok(outcome) => outcome,
            Err(failure) => Err(io::Error::other(failure)),
        }
    }
}
