//! Connections to upstream services: one pool a worker thread, so that nothing on the way is shared or locked.

mod body;
mod connect;
mod host;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub(crate) use body::{Outgoing, Reply};
pub(crate) use connect::LocalSpawn;
pub(crate) use host::Limits;
pub(crate) use pool::Pool;

/// How upstreams are treated.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamSettings {
    /// Longest time until a connection stands, with TLS.
    pub(crate) connect_timeout: Duration,
    /// Longest time from the end of the request (or the last piece of it that the upstream took) to the head of the
    /// answer; `None` waits for ever.
    pub(crate) answer_timeout: Option<Duration>,
    /// Longest silence inside an answer; `None` waits for ever.
    pub(crate) stall_timeout: Option<Duration>,
    /// How long an idle connection is kept.
    pub(crate) idle_timeout: Duration,
    /// Idle connections to one upstream, in one worker.
    pub(crate) max_idle_per_host: usize,
    /// Idle connections to all upstreams, in one worker.
    pub(crate) max_idle: usize,
    /// How many exchanges at once each upstream gets, from all workers.
    pub(crate) limits: Limits,
    /// TLS towards upstreams.
    pub(crate) tls: UpstreamTls,
}

/// TLS towards upstreams.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamTls {
    any: Arc<rustls::ClientConfig>,
    http1: Arc<rustls::ClientConfig>,
}

impl UpstreamTls {
    /// Offers HTTP/2 and HTTP/1.1, except where a request can only be sent by HTTP/1.1.
    pub(crate) fn new(config: rustls::ClientConfig) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            any: offering(&[b"h2", b"http/1.1"]),
            http1: offering(&[b"http/1.1"]),
        }
    }
}

/// Why there is no answer from an upstream.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum UpstreamError {
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No connection came about, because this process may open no more files.
    #[error("no file descriptor is left")]
    Exhausted,
    /// Connecting took too long.
    #[error("no connection in time")]
    ConnectTimeout,
    /// As many requests as are allowed at once are running already, and none of them ended in time.
    #[error("too many requests at once")]
    Busy,
    /// Connected, but the upstream did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke, or the answer is no HTTP.
    #[error("broken exchange: {0}")]
    Broken(hyper::Error),
}

impl UpstreamError {
    /// Whether time ran out, as opposed to an upstream that is down or broken.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::Busy | Self::Timeout)
    }
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Whether by TLS.
    pub(crate) tls: bool,
    /// Host and port.
    pub(crate) authority: &'a str,
    /// Whether the request asks to leave HTTP, which only HTTP/1.1 can do.
    pub(crate) upgrade: bool,
}
