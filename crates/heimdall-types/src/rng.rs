use std::sync::atomic::{AtomicU64, Ordering};

/// Where randomness comes from. `heimdall_token::SystemRng` is the real one.
pub trait Rng: Send + Sync {
    /// Fills the whole of `into` with random bytes.
    ///
    /// An implementation that cannot must not return: weak randomness is worse than none.
    fn fill(&self, into: &mut [u8]);
}

impl<R: Rng + ?Sized> Rng for std::sync::Arc<R> {
    fn fill(&self, into: &mut [u8]) {
        (**self).fill(into);
    }
}

/// A predictable generator (splitmix64) for tests. **Never use it for secrets.**
#[derive(Debug)]
pub struct SeededRng(AtomicU64);

impl SeededRng {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Rng for SeededRng {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}
