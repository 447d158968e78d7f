//! Values that hold until a moment.

use std::sync::Arc;

use heimdall_types::{Clock, Timestamp};
use moka::sync::Cache;

/// A bounded cache whose entries end by our clock. The size bound evicts what was not asked for lately.
pub struct Deadlined<V> {
    entries: Cache<Key, Entry<V>>,
    clock: Arc<dyn Clock>,
}

struct Entry<V> {
    until: Timestamp,
    value: V,
}

impl<V: Clone> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            until: self.until,
            value: self.value.clone(),
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Deadlined<V> {
    /// A cache of at most `size` entries.
    pub fn new(size: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            entries: Cache::builder().max_capacity(size).build(),
            clock,
        }
    }

    /// What is known and not over.
    pub fn get(&self, key: &Key) -> Option<V> {
        let entry = self.entries.get(key)?;
        if entry.until <= self.clock.now() {
            self.entries.invalidate(key);
            return None;
        }
        Some(entry.value)
    }

    /// Keeps a value until a moment.
    pub fn put(&self, key: Key, value: V, until: Timestamp) {
        if until > self.clock.now() {
            self.entries.insert(key, Entry { until, value });
        }
    }

    /// Forgets a value.
    pub fn forget(&self, key: &Key) {
        self.entries.invalidate(key);
    }
}

/// A cache key: the parts it was made of, each with its length before it, so that no two lists of parts give one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Box<[u8]>);

/// Collects the parts of a [`Key`].
#[derive(Debug, Clone, Default)]
pub struct KeyParts(Vec<u8>);

impl KeyParts {
    /// Begins; `kind` keeps keys of different uses apart.
    pub fn new(kind: &str) -> Self {
        Self(Vec::with_capacity(128)).part(kind.as_bytes())
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.add(bytes);
        self
    }

    /// Adds a part.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// Adds a list: its length, then its items.
    pub fn add_all<'t>(&mut self, items: impl ExactSizeIterator<Item = &'t str>) {
        self.0
            .extend_from_slice(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.add(item.as_bytes());
        }
    }

    /// Adds a JSON value in its canonical form: members by name, numbers as they print.
    pub fn add_json(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::Null => self.0.push(b'n'),
            serde_json::Value::Bool(flag) => self.0.push(if *flag { b't' } else { b'f' }),
            serde_json::Value::Number(number) => {
                self.0.push(b'#');
                self.add(number.to_string().as_bytes());
            }
            serde_json::Value::String(text) => {
                self.0.push(b's');
                self.add(text.as_bytes());
            }
            serde_json::Value::Array(items) => {
                self.0.push(b'[');
                self.0
                    .extend_from_slice(&(items.len() as u64).to_le_bytes());
                for item in items {
                    self.add_json(item);
                }
            }
            serde_json::Value::Object(members) => self.add_map(members),
        }
    }

    /// Adds a JSON object, members by name.
    pub fn add_map(&mut self, members: &serde_json::Map<String, serde_json::Value>) {
        self.0.push(b'{');
        self.0
            .extend_from_slice(&(members.len() as u64).to_le_bytes());
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        for (name, value) in sorted {
            self.add(name.as_bytes());
            self.add_json(value);
        }
    }

    /// Finishes with a digest of fixed length, for keys of large parts.
    pub fn digest(self) -> Key {
        Key(Box::new(heimdall_token::crypto::sha256(&self.0)))
    }

    /// Finishes.
    pub fn key(self) -> Key {
        Key(self.0.into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use heimdall_types::ManualClock;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_ends_by_our_clock() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        let cache = Deadlined::new(10, clock.clone());
        let key = KeyParts::new("t").key();
        cache.put(key.clone(), 1, Timestamp::from_seconds(105));
        assert_eq!(cache.get(&key), Some(1));
        clock.advance(Duration::from_secs(5));
        assert_eq!(cache.get(&key), None);
        cache.put(key.clone(), 2, Timestamp::from_seconds(105));
        assert_eq!(cache.get(&key), None);
    }

    proptest! {
        #[test]
        fn different_parts_never_give_one_key(a: Vec<Vec<u8>>, b: Vec<Vec<u8>>) {
            let key = |parts: &[Vec<u8>]| parts.iter().fold(KeyParts::new("t"), |key, part| key.part(part)).key();
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }
}
