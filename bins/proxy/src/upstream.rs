//! Connections to upstream services: one pool a worker thread, so that nothing on the way is shared or locked.

mod body;
mod connect;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Body;
use hyper::client::conn::{TrySendError, http1, http2};
use thiserror::Error;
use tokio::time::{Instant, timeout};

pub(crate) use body::{Outgoing, Reply};
pub(crate) use connect::LocalSpawn;

/// How upstreams are treated.
#[derive(Debug, Clone)]
pub(crate) struct UpstreamSettings {
    /// Longest time until a connection stands, with TLS.
    pub(crate) connect_timeout: Duration,
    /// Longest time from the request to the head of the answer; `None` waits for ever.
    pub(crate) answer_timeout: Option<Duration>,
    /// How long an idle connection is kept.
    pub(crate) idle_timeout: Duration,
    /// Idle connections to one upstream, in one worker.
    pub(crate) max_idle_per_host: usize,
    /// TLS towards upstreams.
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// Why there is no answer from an upstream.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum UpstreamError {
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// Connected, but the upstream did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke, or the answer is no HTTP.
    #[error("broken exchange: {0}")]
    Broken(hyper::Error),
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Whether by TLS.
    pub(crate) tls: bool,
    /// Host and port.
    pub(crate) authority: &'a str,
}

/// A pool of connections, for one thread.
pub(crate) struct Pool {
    settings: UpstreamSettings,
    hosts: [RefCell<HashMap<Box<str>, Host>>; 2],
    swept: Cell<Instant>,
}

#[derive(Default)]
struct Host {
    idle: Vec<(http1::SendRequest<Outgoing>, Instant)>,
    h2: Option<http2::SendRequest<Outgoing>>,
}

/// A connection that goes back into the pool when its answer is complete.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    tls: bool,
    authority: Box<str>,
    sender: http1::SendRequest<Outgoing>,
}

impl Lease {
    /// Gives the connection back.
    pub(crate) fn finish(self) {
        self.pool.clone().put(self);
    }
}

enum Sender {
    H1(http1::SendRequest<Outgoing>),
    H2(http2::SendRequest<Outgoing>),
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(settings: UpstreamSettings) -> Rc<Self> {
        Rc::new(Self {
            settings,
            hosts: Default::default(),
            swept: Cell::new(Instant::now()),
        })
    }

    /// Sends a request whose target is a path and gives the answer as soon as its head is there.
    ///
    /// A request is sent once. The two exemptions cannot do anything twice: a connection that turned out to be closed
    /// before a byte was written, and a safe method without a body on a connection that was used before.
    ///
    /// # Errors
    /// [`UpstreamError`]; the connection is not used again.
    pub(crate) async fn send(
        self: &Rc<Self>,
        target: Target<'_>,
        request: Request<Outgoing>,
    ) -> Result<Response<Reply>, UpstreamError> {
        match self.settings.answer_timeout {
            Some(limit) => timeout(
                limit.saturating_add(self.settings.connect_timeout),
                self.exchange(target, request, limit),
            )
            .await
            .unwrap_or(Err(UpstreamError::Timeout)),
            None => self.exchange(target, request, Duration::MAX).await,
        }
    }

    async fn exchange(
        self: &Rc<Self>,
        target: Target<'_>,
        mut request: Request<Outgoing>,
        limit: Duration,
    ) -> Result<Response<Reply>, UpstreamError> {
        let spare =
            (request.method().is_safe() && request.body().is_end_stream()).then(|| copy(&request));
        let mut reused = self.checkout(target);
        if let Some(sender) = reused.take() {
            match self.once(target, sender, request).await {
                Ok(response) => return Ok(response),
                Err((_, Some(back))) => request = back,
                Err((error, None)) => match spare {
                    Some(again) if !error.is_parse() => request = again,
                    _ => return Err(UpstreamError::Broken(error)),
                },
            }
        }
        let sender = self.connect(target).await?;
        match timeout(limit, self.once(target, sender, request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err((error, _))) => Err(UpstreamError::Broken(error)),
            Err(_) => Err(UpstreamError::Timeout),
        }
    }

    async fn once(
        self: &Rc<Self>,
        target: Target<'_>,
        sender: Sender,
        request: Request<Outgoing>,
    ) -> Result<Response<Reply>, (hyper::Error, Option<Request<Outgoing>>)> {
        match sender {
            Sender::H1(mut sender) => {
                let response = sender.try_send_request(request).await.map_err(undo)?;
                let reusable = response.status() != http::StatusCode::SWITCHING_PROTOCOLS;
                let lease = Lease {
                    pool: self.clone(),
                    tls: target.tls,
                    authority: target.authority.into(),
                    sender,
                };
                Ok(response.map(|body| Reply::upstream(body, reusable.then_some(lease))))
            }
            Sender::H2(mut sender) => {
                let request = with_authority(target, request);
                let answered = sender.try_send_request(request).await;
                answered
                    .map(|response| response.map(|body| Reply::upstream(body, None)))
                    .map_err(undo)
            }
        }
    }

    fn checkout(&self, target: Target<'_>) -> Option<Sender> {
        let mut hosts = self.hosts(target.tls).borrow_mut();
        let host = hosts.get_mut(target.authority)?;
        if let Some(h2) = host.h2.as_ref().filter(|h2| !h2.is_closed()) {
            return Some(Sender::H2(h2.clone()));
        }
        while let Some((sender, since)) = host.idle.pop() {
            if !sender.is_closed() && since.elapsed() < self.settings.idle_timeout {
                return Some(Sender::H1(sender));
            }
        }
        None
    }

    async fn connect(self: &Rc<Self>, target: Target<'_>) -> Result<Sender, UpstreamError> {
        let connected = timeout(
            self.settings.connect_timeout,
            connect::open(target, &self.settings.tls),
        )
        .await;
        let sender = match connected {
            Ok(Ok(sender)) => sender,
            Ok(Err(error)) => return Err(UpstreamError::Connect(error.to_string())),
            Err(_) => return Err(UpstreamError::Timeout),
        };
        if let Sender::H2(h2) = &sender {
            let mut hosts = self.hosts(target.tls).borrow_mut();
            hosts.entry(target.authority.into()).or_default().h2 = Some(h2.clone());
        }
        Ok(sender)
    }

    fn put(&self, lease: Lease) {
        if lease.sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut hosts = self.hosts(lease.tls).borrow_mut();
        let host = hosts.entry(lease.authority).or_default();
        if host.idle.len() < self.settings.max_idle_per_host {
            host.idle.push((lease.sender, now));
        }
        drop(hosts);
        self.sweep(now);
    }

    /// Drops connections that nobody used for long; at most once in a while.
    fn sweep(&self, now: Instant) {
        if now.duration_since(self.swept.get()) < self.settings.idle_timeout / 4 {
            return;
        }
        self.swept.set(now);
        for hosts in &self.hosts {
            hosts.borrow_mut().retain(|_, host| {
                host.idle.retain(|(sender, since)| {
                    !sender.is_closed() && now.duration_since(*since) < self.settings.idle_timeout
                });
                host.h2
                    .as_ref()
                    .is_some_and(http2::SendRequest::is_closed)
                    .then(|| host.h2 = None);
                !host.idle.is_empty() || host.h2.is_some()
            });
        }
    }

    fn hosts(&self, tls: bool) -> &RefCell<HashMap<Box<str>, Host>> {
        let [plain, encrypted] = &self.hosts;
        if tls { encrypted } else { plain }
    }
}

fn undo(mut error: TrySendError<Request<Outgoing>>) -> (hyper::Error, Option<Request<Outgoing>>) {
    let back = error.take_message();
    (error.into_error(), back)
}

fn copy(request: &Request<Outgoing>) -> Request<Outgoing> {
    let mut again = Request::new(Outgoing::Empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again
}

/// HTTP/2 carries scheme and authority beside the path; `Host` becomes the authority.
fn with_authority(target: Target<'_>, mut request: Request<Outgoing>) -> Request<Outgoing> {
    let host = request.headers_mut().remove(http::header::HOST);
    let authority = host
        .as_ref()
        .and_then(|host| host.to_str().ok())
        .unwrap_or(target.authority);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if target.tls {
        http::uri::Scheme::HTTPS
    } else {
        http::uri::Scheme::HTTP
    });
    parts.authority = authority.parse().ok();
    parts.path_and_query = request.uri().path_and_query().cloned();
    if let Ok(uri) = http::Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = http::Version::HTTP_2;
    request
}
