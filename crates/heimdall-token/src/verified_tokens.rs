use std::sync::Arc;

use heimdall_types::Timestamp;
use moka::sync::Cache;

use crate::crypto;

struct Entry<T> {
    deadline: Timestamp,
    epoch: u64,
    value: Arc<T>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            deadline: self.deadline,
            epoch: self.epoch,
            value: Arc::clone(&self.value),
        }
    }
}

/// Remembers what tokens said that were verified, bounded in number.
///
/// An entry counts until its deadline by *our* clock and only for the epoch of the keys that verified it; the cache
/// itself knows no time. Tokens are held as their SHA-256.
pub struct VerifiedTokens<T> {
    entries: Cache<[u8; 32], Entry<T>>,
}

impl<T: Send + Sync + 'static> VerifiedTokens<T> {
    /// Remembers about this many tokens.
    pub fn new(capacity: u64) -> Self {
        Self {
            entries: Cache::new(capacity),
        }
    }

    /// What the token said, when it was verified with the same keys and its time is not over.
    pub fn get(&self, token: &str, now: Timestamp, epoch: u64) -> Option<Arc<T>> {
        let entry = self.entries.get(&crypto::sha256(token.as_bytes()))?;
        (now < entry.deadline && entry.epoch == epoch).then_some(entry.value)
    }

    /// Remembers a token that was verified just now.
    pub fn insert(&self, token: &str, deadline: Timestamp, epoch: u64, value: Arc<T>) {
        self.entries.insert(
            crypto::sha256(token.as_bytes()),
            Entry {
                deadline,
                epoch,
                value,
            },
        );
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.entries.invalidate_all();
    }
}

impl<T> std::fmt::Debug for VerifiedTokens<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_until_its_deadline_and_for_its_keys() {
        let cache = VerifiedTokens::new(10);
        let at = Timestamp::from_seconds;
        cache.insert("a", at(10), 1, Arc::new(5));
        assert_eq!(cache.get("a", at(9), 1).as_deref(), Some(&5));
        assert_eq!(cache.get("a", at(10), 1), None);
        assert_eq!(cache.get("a", at(9), 2), None);
        assert_eq!(cache.get("b", at(9), 1), None);
        cache.clear();
        assert_eq!(cache.get("a", at(9), 1), None);
    }
}
