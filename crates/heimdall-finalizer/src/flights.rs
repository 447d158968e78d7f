//! Concurrent callers of one thing share one call.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

/// Calls under way, by key. A call that nobody waits for any more is given up and begun anew by the next caller.
pub struct Flights<K, V: Clone> {
    running: Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>,
}

impl<K, V: Clone> Default for Flights<K, V> {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// Joins the call under way, or begins one.
    pub async fn join<F>(&self, key: K, begin: impl FnOnce() -> F) -> V
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = self.board(key.clone(), begin);
        let value = flight.clone().await;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running
            .get(&key)
            .and_then(WeakShared::upgrade)
            .is_none_or(|known| known.ptr_eq(&flight))
        {
            running.remove(&key);
        }
        value
    }

    fn board<F>(&self, key: K, begin: impl FnOnce() -> F) -> Shared<BoxFuture<'static, V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = running.get(&key).and_then(WeakShared::upgrade) {
            return known;
        }
        let flight = begin().boxed().shared();
        if let Some(weak) = flight.downgrade() {
            running.insert(key, weak);
        }
        flight
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn callers_at_once_share_a_call_and_later_ones_begin_anew() {
        let flights = Flights::<u8, u32>::default();
        let (calls, open) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let begin = || {
            let (calls, open) = (calls.clone(), open.clone());
            std::future::poll_fn(move |_| match open.load(Ordering::SeqCst) {
                true => Poll::Ready(calls.fetch_add(1, Ordering::SeqCst)),
                false => Poll::Pending,
            })
        };
        let mut callers: Vec<_> = (0..5).map(|_| Box::pin(flights.join(1, begin))).collect();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(
            callers
                .iter_mut()
                .all(|caller| caller.as_mut().poll(&mut cx).is_pending())
        );
        open.store(true, Ordering::SeqCst);
        for mut caller in callers {
            assert_eq!(caller.as_mut().poll(&mut cx), Poll::Ready(0));
        }
        assert_eq!(
            Box::pin(flights.join(1, begin)).as_mut().poll(&mut cx),
            Poll::Ready(1)
        );
    }
}
