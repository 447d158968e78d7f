use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Outgoing, Target};

/// How many exchanges at once an upstream gets. All workers share them, so that the limit is exact.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    per_host: usize,
    hosts: Arc<Mutex<Permits>>,
}

/// Permits by upstream, TLS apart.
type Permits = HashMap<(bool, Box<str>), Arc<Semaphore>>;

impl Limits {
    /// At most `per_host` exchanges at once; 0 is no limit.
    pub(crate) fn new(per_host: usize) -> Self {
        Self {
            per_host,
            hosts: Arc::default(),
        }
    }

    fn of(&self, target: Target<'_>) -> Option<Arc<Semaphore>> {
        if self.per_host == 0 {
            return None;
        }
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let permits = hosts
            .entry((target.tls, target.authority.into()))
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_host.min(Semaphore::MAX_PERMITS))));
        Some(permits.clone())
    }
}

/// One upstream, as one worker knows it.
pub(super) struct Host {
    idle: RefCell<Vec<(http1::SendRequest<Outgoing>, Instant)>>,
    h2: RefCell<Option<http2::SendRequest<Outgoing>>>,
    permits: Option<Arc<Semaphore>>,
    /// Idle connections of the whole worker.
    all_idle: Rc<Cell<usize>>,
}

impl Host {
    pub(super) fn new(target: Target<'_>, limits: &Limits, all_idle: Rc<Cell<usize>>) -> Self {
        Self {
            idle: RefCell::default(),
            h2: RefCell::default(),
            permits: limits.of(target),
            all_idle,
        }
    }

    /// The right to one more exchange; waits until another one ends.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permits = self.permits.clone()?;
        // Never closed.
        permits.acquire_owned().await.ok()
    }

    /// Whether exchanges are limited at all.
    pub(super) fn is_limited(&self) -> bool {
        self.permits.is_some()
    }

    /// The HTTP/2 connection, if there is one.
    pub(super) fn multiplexed(&self) -> Option<http2::SendRequest<Outgoing>> {
        let h2 = self.h2.borrow();
        h2.as_ref().filter(|h2| !h2.is_closed()).cloned()
    }

    pub(super) fn multiplex(&self, h2: http2::SendRequest<Outgoing>) {
        *self.h2.borrow_mut() = Some(h2);
    }

    /// The connection that was used last, so that those that are not needed grow old.
    pub(super) fn pop(&self, longest: Duration) -> Option<http1::SendRequest<Outgoing>> {
        let mut idle = self.idle.borrow_mut();
        while let Some((sender, since)) = idle.pop() {
            self.all_idle.set(self.all_idle.get().saturating_sub(1));
            if !sender.is_closed() && since.elapsed() < longest {
                return Some(sender);
            }
        }
        None
    }

    pub(super) fn push(&self, sender: http1::SendRequest<Outgoing>, now: Instant, most: usize) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < most {
            idle.push((sender, now));
            self.all_idle.set(self.all_idle.get() + 1);
        }
    }

    /// Drops what is closed or too old; tells whether anything is left.
    pub(super) fn sweep(&self, now: Instant, longest: Duration) -> bool {
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(|(sender, since)| !sender.is_closed() && now.duration_since(*since) < longest);
        let gone = before - idle.len();
        self.all_idle.set(self.all_idle.get().saturating_sub(gone));
        let mut h2 = self.h2.borrow_mut();
        if h2.as_ref().is_some_and(http2::SendRequest::is_closed) {
            *h2 = None;
        }
        !idle.is_empty() || h2.is_some()
    }
}
