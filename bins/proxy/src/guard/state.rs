use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Refusal;

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

    pub(super) fn refuse(&self, refusal: Refusal) {
        // Set once: nothing is read after the first refusal.
        let _ = self.refusal.set(refusal);
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
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
