use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::Body;
use super::clock::Clock;
use super::{ConnState, MAX_HEAD, Refusal, Timers, check};

/// What the library reads in place of a refused head. No client can send it: [`check`] takes no `*`.
const SUBSTITUTE: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// Most bytes behind an upgrade request that are kept until the verdict.
const MAX_HELD: usize = 16 * 1024;
/// How much of what a refused client still sends is read, so that it gets to see the refusal instead of a reset.
const MAX_LINGER: usize = 512 * 1024;
const LINGER: Duration = Duration::from_secs(1);

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
    clock: Clock,
    linger: Option<usize>,
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
            clock: Clock::default(),
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
                            self.state.refuse(refusal);
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
        let inside = self.phase == Phase::Head && !self.pending.is_empty();
        self.clock.inside_head(inside);
    }

    /// Nothing came: how long may that go on?
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.phase {
            // For the library this is a client that hung up; it closes without a word.
            Phase::Head
                if self
                    .clock
                    .head_over(cx, &self.timers, self.state.running() > 0) =>
            {
                Poll::Ready(Ok(()))
            }
            Phase::Body(..) if self.clock.body_over(cx, &self.timers) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
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
        if self.state.is_tunnel() {
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
                    return if self.clock.linger_over(cx, LINGER) {
                        Poll::Ready(Ok(()))
                    } else {
                        Poll::Pending
                    };
                }
            }
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
        me.clock.watch_write(cx, poll, me.timers.write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_write_vectored(cx, parts);
        me.clock.watch_write(cx, poll, me.timers.write)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let poll = Pin::new(&mut me.inner).poll_flush(cx);
        me.clock.watch_write(cx, poll, me.timers.write)
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
                me.clock.begin_linger();
                me.poll_linger(cx, MAX_LINGER)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
