use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Body;
use hyper::client::conn::{TrySendError, http1, http2};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::body::Pulse;
use super::host::Host;
use super::{Outgoing, Reply, Target, UpstreamError, UpstreamSettings, connect};

/// A pool of connections, for one thread.
pub(crate) struct Pool {
    settings: UpstreamSettings,
    /// By authority; those without TLS and those with it.
    hosts: [RefCell<HashMap<Box<str>, Rc<Host>>>; 2],
    idle: Rc<Cell<usize>>,
    swept: Cell<Instant>,
}

/// A connection that goes back into the pool when its answer is complete, and the right to one more exchange.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    host: Rc<Host>,
    sender: Option<http1::SendRequest<Outgoing>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The answer is complete.
    pub(super) fn finish(self) {
        if let Some(sender) = self.sender {
            self.pool.put(&self.host, sender);
        }
    }
}

pub(super) enum Sender {
    H1(http1::SendRequest<Outgoing>),
    H2(http2::SendRequest<Outgoing>),
}

/// Why an attempt failed.
enum Failed {
    /// Nothing was sent; here is the request.
    Unsent(Box<Request<Outgoing>>, hyper::Error),
    /// The upstream may have acted on it.
    Sent(hyper::Error),
    Late,
}

impl From<Failed> for UpstreamError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Unsent(_, error) | Failed::Sent(error) => Self::Broken(error),
            Failed::Late => Self::Timeout,
        }
    }
}

impl Pool {
    /// An empty pool.
    pub(crate) fn new(settings: UpstreamSettings) -> Rc<Self> {
        Rc::new(Self {
            settings,
            hosts: Default::default(),
            idle: Rc::default(),
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
        mut request: Request<Outgoing>,
    ) -> Result<Response<Reply>, UpstreamError> {
        let host = self.host(target);
        let pulse = request.body().pulse();
        let mut permit = None;
        let multiplexed = host.multiplexed().filter(|_| !target.upgrade);
        let used = match multiplexed {
            Some(h2) => Some(Sender::H2(h2)),
            None => {
                permit = self.permit(&host).await?;
                host.pop(self.settings.idle_timeout).map(Sender::H1)
            }
        };
        if let Some(used) = used {
            let spare = (request.method().is_safe() && request.body().is_end_stream())
                .then(|| copy(&request));
            match self.within(&pulse, once(target, used, request)).await {
                Ok((answer, sender)) => return Ok(self.reply(answer, &host, sender, permit)),
                Err(Failed::Unsent(back, _)) => request = *back,
                Err(Failed::Sent(error)) => match spare {
                    Some(again) if !error.is_parse() => request = again,
                    _ => return Err(UpstreamError::Broken(error)),
                },
                Err(Failed::Late) => return Err(UpstreamError::Timeout),
            }
        }
        // Boxed, as all that most requests do without: the library keeps room for a whole request in every connection.
        let fresh = Box::pin(self.connect(target, &host)).await?;
        let (answer, sender) = self.within(&pulse, once(target, fresh, request)).await?;
        Ok(self.reply(answer, &host, sender, permit))
    }

    async fn permit(&self, host: &Host) -> Result<Option<OwnedSemaphorePermit>, UpstreamError> {
        if !host.is_limited() {
            return Ok(None);
        }
        let longest = self.settings.answer_timeout.unwrap_or(Duration::MAX);
        timeout(longest, host.permit())
            .await
            .map_err(|_| UpstreamError::Busy)
    }

    /// Waits for an answer no longer than it may take, counted from the last piece of the request that went out.
    async fn within<T>(
        &self,
        pulse: &Option<Pulse>,
        answer: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, Failed> {
        let Some(limit) = self.settings.answer_timeout else {
            return answer.await;
        };
        let mut answer = pin!(answer);
        let mut deadline = Instant::now() + limit;
        loop {
            if let Ok(done) = timeout_at(deadline, answer.as_mut()).await {
                return done;
            }
            match pulse.as_ref().map(|pulse| pulse.get() + limit) {
                Some(later) if later > Instant::now() => deadline = later,
                _ => return Err(Failed::Late),
            }
        }
    }

    fn reply(
        self: &Rc<Self>,
        answer: Response<hyper::body::Incoming>,
        host: &Rc<Host>,
        sender: Option<http1::SendRequest<Outgoing>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Response<Reply> {
        let reusable = answer.status() != StatusCode::SWITCHING_PROTOCOLS;
        let lease = Lease {
            pool: self.clone(),
            host: host.clone(),
            sender: sender.filter(|_| reusable),
            _permit: permit,
        };
        let stall = self.settings.stall_timeout;
        answer.map(|body| Reply::upstream(body, lease, stall))
    }

    fn host(&self, target: Target<'_>) -> Rc<Host> {
        let [plain, encrypted] = &self.hosts;
        let mut hosts = if target.tls { encrypted } else { plain }.borrow_mut();
        if let Some(host) = hosts.get(target.authority) {
            return host.clone();
        }
        let host = Rc::new(Host::new(target, &self.settings.limits, self.idle.clone()));
        hosts.insert(target.authority.into(), host.clone());
        host
    }

    async fn connect(&self, target: Target<'_>, host: &Host) -> Result<Sender, UpstreamError> {
        let connected = timeout(
            self.settings.connect_timeout,
            connect::open(target, &self.settings.tls),
        )
        .await;
        let sender = match connected {
            Ok(Ok(sender)) => sender,
            Ok(Err(error)) if matches!(error.raw_os_error(), Some(23 | 24)) => {
                return Err(UpstreamError::Exhausted);
            }
            Ok(Err(error)) => return Err(UpstreamError::Connect(error.to_string())),
            Err(_) => return Err(UpstreamError::ConnectTimeout),
        };
        if let Sender::H2(h2) = &sender {
            host.multiplex(h2.clone());
        }
        Ok(sender)
    }

    fn put(&self, host: &Host, sender: http1::SendRequest<Outgoing>) {
        if sender.is_closed() {
            return;
        }
        let now = Instant::now();
        if self.idle.get() < self.settings.max_idle {
            host.push(sender, now, self.settings.max_idle_per_host);
        }
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
                host.sweep(now, self.settings.idle_timeout) || Rc::strong_count(host) > 1
            });
        }
    }
}

/// An answer, and the connection to put back where it carries one exchange at a time.
type Answered = (
    Response<hyper::body::Incoming>,
    Option<http1::SendRequest<Outgoing>>,
);

async fn once(
    target: Target<'_>,
    sender: Sender,
    request: Request<Outgoing>,
) -> Result<Answered, Failed> {
    match sender {
        Sender::H1(mut sender) => {
            let request = with_path(request);
            let answer = sender.try_send_request(request).await.map_err(undo)?;
            Ok((answer, Some(sender)))
        }
        Sender::H2(mut sender) => {
            let request = with_authority(target, request);
            let answer = sender.try_send_request(request).await.map_err(undo)?;
            Ok((answer, None))
        }
    }
}

fn undo(mut error: TrySendError<Request<Outgoing>>) -> Failed {
    match error.take_message() {
        Some(back) => Failed::Unsent(Box::new(back), error.into_error()),
        None => Failed::Sent(error.into_error()),
    }
}

fn copy(request: &Request<Outgoing>) -> Request<Outgoing> {
    let mut again = Request::new(Outgoing::Empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    again
}

/// HTTP/2 carries scheme and authority beside the path; `Host` becomes the authority. It frames bodies by itself.
fn with_authority(target: Target<'_>, mut request: Request<Outgoing>) -> Request<Outgoing> {
    if request.version() == Version::HTTP_2 {
        return request;
    }
    for name in [TRANSFER_ENCODING, CONNECTION, UPGRADE] {
        request.headers_mut().remove(name);
    }
    let host = request.headers_mut().remove(HOST);
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
    *request.version_mut() = Version::HTTP_2;
    request
}

/// Undoes [`with_authority`], for a request that comes back unsent from an upstream that no longer speaks HTTP/2.
fn with_path(mut request: Request<Outgoing>) -> Request<Outgoing> {
    if request.version() != Version::HTTP_2 {
        return request;
    }
    let parts = std::mem::take(request.uri_mut()).into_parts();
    let host = parts
        .authority
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    if request.body().is_open_ended() {
        request
            .headers_mut()
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    request
}
