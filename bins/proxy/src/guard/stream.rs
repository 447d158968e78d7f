use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::body::Body;
use super::{MAX_HEAD, Refusal, check};

/// What the library reads in place of a refused head. No client can send it: [`check`] takes no `*`.
const SUBSTITUTE: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Most bytes behind an upgrade request that are kept until the verdict.
const MAX_HELD: usize = 16 * 1024;
/// Slowest body, beyond its grace time.
const BYTES_A_SECOND: u64 = 1024;
/// How much of what a refused client still sends is read, so that it gets to see the refusal instead of a reset.
const MAX_LINGER: usize = 512 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// How long a client may take. `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timers {
    /// From the first byte of a head to its last.
    pub head: Option<Duration>,
    /// Without a byte of the body; also the grace time before a body must come with 1 KB a second.
    pub body: Option<Duration>,
    /// Without a request.
    pub idle: Option<Duration>,
    /// Without the client taking a byte of the answer.
    pub write: Option<Duration>,
}

/// What the guard and the service of one connection tell each other.
#[derive(Debug, Default)]
pub struct ConnState {
    refusal: OnceLock<Refusal>,
    tunnel: AtomicBool,
    running: AtomicUsize,
    served: AtomicUsize,
}

impl ConnState {
    /// Why the head was refused in whose place the library got `OPTIONS *`.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// From here on the connection is a tunnel: bytes are passed on as they come.
    pub fn open_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    /// Counts a request until the returned token is dropped.
    pub fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::AcqRel);
        self.served.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// Requests whose answers are not complete.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }

    /// Requests so far.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }
}

/// One request whose answer is not complete.
#[derive(Debug)]
pub struct Running(Arc<ConnState>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests, or inside a head.
    Head,
    /// Inside a body; afterwards an upgrade may follow.
    Body(Body, bool),
    /// Behind an upgrade request: not known yet what the bytes are.
    Held,
    /// No HTTP any more.
    Tunnel,
    /// A head was refused; nothing more is read.
    Refused,
    /// A body's framing is broken; nothing more is read.
    Broken,
}

/// A stream of which the HTTP library only sees requests that passed [`check`].
pub struct Guarded<S> {
    inner: S,
    state: Arc<ConnState>,
    timers: Timers,
    phase: Phase,
    /// Checked, not yet read by the library.
    ready: Vec<u8>,
    /// The beginning of a head, or bytes behind an upgrade request.
    pending: Vec<u8>,
    clock: Patience,
    linger: Option<usize>,
}

/// One sleep for all timers of a connection. It is moved only when a deadline comes nearer, so that a busy
/// connection does not touch the timer wheel.
#[derive(Default)]
struct Patience {
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: Option<Instant>,
    blocked: Option<Instant>,
    head_started: Option<Instant>,
    waited: Duration,
    received: u64,
}

impl Patience {
    /// Whether `deadline` is over; if not, the task is woken then or before.
    fn over(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let now = Instant::now();
        if deadline <= now {
            return true;
        }
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now)));
        let armed = sleep.deadline();
        if armed <= now || armed > deadline {
            sleep.as_mut().reset(deadline);
            if sleep.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        false
    }

    fn progress(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
    }

    fn new_body(&mut self) {
        self.received = 0;
        self.waited = Duration::ZERO;
    }
}

impl<S> Guarded<S> {
    /// Guards a fresh connection.
    pub fn new(inner: S, state: Arc<ConnState>, timers: Timers) -> Self {
        Self {
            inner,
            state,
            timers,
            phase: Phase::Head,
            ready: Vec::new(),
            pending: Vec::new(),
            clock: Patience::default(),
            linger: None,
        }
    }

    /// Follows the framing through `bytes`; tells how many of them the library may see. What is behind them belongs
    /// into `pending`.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match &mut self.phase {
                Phase::Body(body, upgrade) => match body.advance(rest) {
                    Ok(count) => {
                        at += count;
                        if *body != Body::Done {
                            return at;
                        }
                        self.phase = if *upgrade { Phase::Held } else { Phase::Head };
                    }
                    Err(_) => {
                        self.phase = Phase::Broken;
                        return at;
                    }
                },
                Phase::Head if !rest.is_empty() => {
                    match head_end(rest).and_then(|end| take(rest, end)) {
                        Ok(Some((end, phase))) => {
                            at += end;
                            self.phase = phase;
                            self.clock.new_body();
                        }
                        Ok(None) => return at,
                        Err(refusal) => {
                            self.phase = Phase::Refused;
                            // Set once: nothing is read after the first refusal.
                            let _ = self.state.refusal.set(refusal);
                            return at;
                        }
                    }
                }
                _ => return at,
            }
        }
    }

    /// After [`Self::scan`]: what is left over goes where it belongs.
    fn settle(&mut self, rest: &[u8]) {
        match self.phase {
            Phase::Refused => self.ready.extend_from_slice(SUBSTITUTE),
            Phase::Head | Phase::Held => self.pending.extend_from_slice(rest),
            _ => {}
        }
        self.clock.head_started = match self.phase {
            Phase::Head if !self.pending.is_empty() => {
                self.clock.head_started.or_else(|| Some(Instant::now()))
            }
            _ => None,
        };
    }

    /// Nothing came: how long may that go on?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = match self.phase {
            Phase::Head => match self.clock.head_started {
                Some(started) => self.timers.head.map(|limit| started + limit),
                None if self.state.running() > 0 => {
                    self.clock.waiting = None;
                    None
                }
                None => {
                    let since = *self.clock.waiting.get_or_insert_with(Instant::now);
                    self.timers.idle.map(|limit| since + limit)
                }
            },
            Phase::Body(..) => {
                let since = *self.clock.waiting.get_or_insert_with(Instant::now);
                self.timers.body.map(|grace| {
                    let allowed = grace
                        + Duration::from_millis(
                            self.clock.received.saturating_mul(1000) / BYTES_A_SECOND,
                        );
                    since + grace.min(allowed.saturating_sub(self.clock.waited))
                })
            }
            _ => None,
        };
        match deadline {
            Some(deadline) if self.clock.over(cx, deadline) => Poll::Ready(match self.phase {
                // For the library this is a client that hung up; it closes without a word.
                Phase::Head => Ok(()),
                _ => Err(io::ErrorKind::TimedOut.into()),
            }),
            _ => Poll::Pending,
        }
    }
}

/// The length of the head at the start of `bytes`; `None` when its end is not there yet.
fn head_end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let mut line = 0;
    for at in memchr_iter(b'\n', bytes) {
        match bytes.get(line..at) {
            Some(b"\r") if line > 0 => return Ok(Some(at + 1)),
            Some([.., b'\r']) => line = at + 1,
            _ => return Err(Refusal::bad("bare LF")),
        }
    }
    Ok(None)
}

fn take(bytes: &[u8], end: Option<usize>) -> Result<Option<(usize, Phase)>, Refusal> {
    let Some(end) = end else {
        return if bytes.len() > MAX_HEAD {
            Err(Refusal::too_large())
        } else {
            Ok(None)
        };
    };
    if end > MAX_HEAD {
        return Err(Refusal::too_large());
    }
    let head = check(bytes.get(..end).unwrap_or_default())?;
    Ok(Some((end, Phase::Body(head.framing.into(), head.upgrade))))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.ready.is_empty() || buf.remaining() == 0 {
            return false;
        }
        let count = self.ready.len().min(buf.remaining());
        buf.put_slice(self.ready.get(..count).unwrap_or_default());
        self.ready.drain(..count);
        if self.ready.is_empty() {
            self.ready = Vec::new();
        }
        true
    }

    /// Reads into the library's own buffer and leaves there what may stay.
    fn read_through(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return self.wait(cx).map_ok(|()| true),
        }
        let got = buf.filled().get(before..).unwrap_or_default();
        if got.is_empty() {
            return Poll::Ready(Ok(true));
        }
        self.clock.progress(got.len());
        let pass = self.scan(got);
        self.settle(got.get(pass..).unwrap_or_default());
        buf.set_filled(before + pass);
        Poll::Ready(Ok(pass > 0))
    }

    /// Reads on where a head is half there.
    fn read_aside(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [0; 4096];
        let mut more = ReadBuf::new(&mut space);
        match Pin::new(&mut self.inner).poll_read(cx, &mut more) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return self.wait(cx).map_ok(|()| true),
        }
        if more.filled().is_empty() {
            return Poll::Ready(Ok(true));
        }
        self.clock.progress(more.filled().len());
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(more.filled());
        let pass = self.scan(&bytes);
        self.ready
            .extend_from_slice(bytes.get(..pass).unwrap_or_default());
        self.settle(bytes.get(pass..).unwrap_or_default());
        Poll::Ready(Ok(false))
    }

    /// Behind an upgrade request the socket is read only to notice that the client hangs up.
    fn read_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.state.tunnel.load(Ordering::Acquire) {
            self.phase = Phase::Tunnel;
            self.ready = std::mem::take(&mut self.pending);
            return Poll::Ready(Ok(false));
        }
        if self.pending.len() >= MAX_HELD {
            return Poll::Pending;
        }
        let mut space = [0; 4096];
        let mut more = ReadBuf::new(&mut space);
        match Pin::new(&mut self.inner).poll_read(cx, &mut more)? {
            Poll::Ready(()) if more.filled().is_empty() => Poll::Ready(Ok(true)),
            Poll::Ready(()) => {
                self.pending.extend_from_slice(more.filled());
                Poll::Ready(Ok(false))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>, mut left: usize) -> Poll<io::Result<()>> {
        let mut space = [0; 8192];
        loop {
            let mut more = ReadBuf::new(&mut space);
            match Pin::new(&mut self.inner).poll_read(cx, &mut more) {
                Poll::Ready(Ok(())) if !more.filled().is_empty() && more.filled().len() <= left => {
                    left -= more.filled().len();
                    self.linger = Some(left);
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    let since = *self.clock.waiting.get_or_insert_with(Instant::now);
                    return if self.clock.over(cx, since + LINGER) {
                        Poll::Ready(Ok(()))
                    } else {
                        Poll::Pending
                    };
                }
            }
        }
    }

    fn watch_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.clock.blocked = None;
            return poll;
        }
        let since = *self.clock.blocked.get_or_insert_with(Instant::now);
        match self.timers.write {
            Some(limit) if self.clock.over(cx, since + limit) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        loop {
            if me.deliver(buf) {
                return Poll::Ready(Ok(()));
            }
            let done = match me.phase {
                Phase::Tunnel => return Pin::new(&mut me.inner).poll_read(cx, buf),
                Phase::Refused => return Poll::Pending,
                Phase::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Phase::Held => me.read_held(cx),
                Phase::Head | Phase::Body(..) if me.pending.is_empty() => me.read_through(cx, buf),
                Phase::Head | Phase::Body(..) => me.read_aside(cx),
            };
            match done {
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_write(cx, bytes);
        me.watch_write(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_write_vectored(cx, parts);
        me.watch_write(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_flush(cx);
        me.watch_write(cx, poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if let Some(left) = me.linger {
            return me.poll_linger(cx, left);
        }
        match Pin::new(&mut me.inner).poll_shutdown(cx) {
            Poll::Ready(Ok(()))
                if matches!(me.phase, Phase::Refused | Phase::Broken | Phase::Body(..)) =>
            {
                me.linger = Some(MAX_LINGER);
                me.clock.waiting = None;
                me.poll_linger(cx, MAX_LINGER)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::string_slice)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PLAIN: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn pass(pieces: &[&str]) -> (String, Option<Refusal>) {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let state = Arc::new(ConnState::default());
        let mut guarded = Guarded::new(server, state.clone(), Timers::default());
        let mut seen = Vec::new();
        for piece in pieces {
            client.write_all(piece.as_bytes()).await.unwrap();
            let mut space = [0; 65536];
            while let Ok(Ok(count)) =
                tokio::time::timeout(Duration::from_millis(5), guarded.read(&mut space)).await
            {
                if count == 0 {
                    break;
                }
                seen.extend_from_slice(&space[..count]);
            }
        }
        (String::from_utf8(seen).unwrap(), state.refusal())
    }

    #[tokio::test(start_paused = true)]
    async fn good_requests_pass_unchanged_however_they_are_cut() {
        let text = format!(
            "{PLAIN}POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{PLAIN}POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{PLAIN}"
        );
        for cut in 1..text.len() {
            let (seen, refusal) = pass(&[&text[..cut], &text[cut..]]).await;
            assert_eq!((seen.as_str(), refusal), (text.as_str(), None), "{cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_head_is_replaced_and_nothing_behind_it_is_seen() {
        let (seen, refusal) = pass(&[&format!("{PLAIN}GET /x HTTP/1.1\nHost: x\n\n{PLAIN}")]).await;
        assert_eq!(seen.as_bytes(), [PLAIN.as_bytes(), SUBSTITUTE].concat());
        assert_eq!(refusal.unwrap().status, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_behind_an_upgrade_are_no_request() {
        let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
        let (seen, _) = pass(&[&format!("{upgrade}{PLAIN}")]).await;
        assert_eq!(seen, upgrade);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_sixteen_kilobytes() {
        let head = |len: usize| {
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
                "b".repeat(len)
            )
        };
        let spare = head(0).len();
        assert_eq!(pass(&[&head(MAX_HEAD - spare)]).await.1, None);
        assert_eq!(
            pass(&[&head(MAX_HEAD - spare + 1)]).await.1.unwrap().status,
            431
        );
        assert_eq!(
            pass(&["GET / HTTP/1.1\r\nA: ", &"b".repeat(MAX_HEAD)])
                .await
                .1
                .unwrap()
                .status,
            431
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_and_a_slow_body_end_in_time() {
        let second = Duration::from_secs(1);
        let timers = Timers {
            head: Some(5 * second),
            body: Some(5 * second),
            idle: Some(60 * second),
            write: None,
        };
        for (start, text) in [
            ("", "GET"),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
                "a",
            ),
        ] {
            let (mut client, server) = tokio::io::duplex(1 << 16);
            let mut guarded = Guarded::new(server, Arc::default(), timers);
            client.write_all(start.as_bytes()).await.unwrap();
            let begun = Instant::now();
            let drip = tokio::spawn(async move {
                loop {
                    if client.write_all(&text.as_bytes()[..1]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(second).await;
                }
            });
            let mut all = Vec::new();
            let _ = guarded.read_to_end(&mut all).await;
            assert!(begun.elapsed() < 7 * second, "{:?}", begun.elapsed());
            drip.abort();
        }
    }
}
