//! Listeners, and what the workers behind them are told.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use heimdall_pipeline::{Config, Listener};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Deps, Settings, StartError, client_tls};
use crate::guard::Timers;
use crate::key_store::KeyStore;
use crate::upstream::{Limits, UpstreamSettings, UpstreamTls};
use crate::workers::WorkerSettings;

/// How long running requests get when the service stops.
const GRACE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_IDLE_PER_HOST: usize = 100;

pub(super) async fn bind(
    given: Option<SocketAddr>,
    config: &Listener,
) -> Result<TcpListener, StartError> {
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

pub(super) fn management_address(
    settings: &Settings,
    config: &Listener,
) -> Result<SocketAddr, StartError> {
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

pub(super) fn worker_settings(
    settings: &Settings,
    config: &Config,
    certificate: Option<&Arc<KeyStore>>,
    deps: &Deps,
) -> Result<WorkerSettings, StartError> {
    let listener = &config.serve.listener;
    let some = |limit: Duration| (!limit.is_zero()).then_some(limit);
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
    let share = |given: usize, without: usize| match given {
        0 => without,
        given => given.div_ceil(threads),
    };
    Ok(WorkerSettings {
        threads,
        access: heimdall_server::telemetry::written().map(|format| (format, deps.clock.clone())),
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
            stall_timeout: some(listener.idle_timeout),
            idle_timeout: some(listener.idle_timeout).unwrap_or(Duration::from_secs(90)),
            max_idle_per_host: share(config.serve.max_idle_per_host, MAX_IDLE_PER_HOST),
            max_idle: share(config.serve.max_idle, usize::MAX),
            limits: Limits::new(config.serve.max_per_host),
            tls: UpstreamTls::new(client_tls()?),
        },
        grace: GRACE,
    })
}
