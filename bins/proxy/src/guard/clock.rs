use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::alarm::Alarm;

/// Slowest body, beyond its grace time.
const BYTES_A_SECOND: u64 = 1024;

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

/// What the timers of one connection have to go by.
#[derive(Debug, Default)]
pub(super) struct Clock {
    alarm: Alarm,
    waiting: Option<Instant>,
    blocked: Option<Instant>,
    head_started: Option<Instant>,
    waited: Duration,
    received: u64,
}

impl Clock {
    /// Bytes came from the client.
    pub(super) fn progress(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
    }

    /// A head is complete; its body begins.
    pub(super) fn new_body(&mut self) {
        self.received = 0;
        self.waited = Duration::ZERO;
    }

    /// Whether the bytes in hand are the beginning of a head.
    pub(super) fn inside_head(&mut self, inside: bool) {
        self.head_started = match inside {
            true => self.head_started.or_else(|| Some(Instant::now())),
            false => None,
        };
    }

    /// Nothing of a head came; `busy` while earlier requests of the connection are being answered.
    pub(super) fn head_over(&mut self, cx: &mut Context<'_>, timers: &Timers, busy: bool) -> bool {
        let deadline = match self.head_started {
            Some(started) => timers.head.map(|limit| started + limit),
            None if busy => {
                self.waiting = None;
                None
            }
            None => {
                let since = *self.waiting.get_or_insert_with(Instant::now);
                timers.idle.map(|limit| since + limit)
            }
        };
        deadline.is_some_and(|deadline| self.alarm.over(cx, deadline))
    }

    /// Nothing of a body came.
    pub(super) fn body_over(&mut self, cx: &mut Context<'_>, timers: &Timers) -> bool {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let Some(grace) = timers.body else {
            return false;
        };
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / BYTES_A_SECOND);
        let left = (grace + earned).saturating_sub(self.waited);
        self.alarm.over(cx, since + grace.min(left))
    }

    /// From here on [`Self::linger_over`] counts.
    pub(super) fn begin_linger(&mut self) {
        self.waiting = None;
    }

    /// Nothing more came of what a refused client still sends.
    pub(super) fn linger_over(&mut self, cx: &mut Context<'_>, limit: Duration) -> bool {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        self.alarm.over(cx, since + limit)
    }

    /// Passes on what became of a write, or an error when the client took nothing for too long.
    pub(super) fn watch_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<std::io::Result<T>>,
        limit: Option<Duration>,
    ) -> Poll<std::io::Result<T>> {
        if poll.is_ready() {
            self.blocked = None;
            return poll;
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        match limit {
            Some(limit) if self.alarm.over(cx, since + limit) => {
                Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
            }
            _ => Poll::Pending,
        }
    }
}
