//! Key stores: files with the keys that sign, their rotation, and what is published of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use heimdall_types::{Clock, Secret, Timestamp};
use serde_json::Value;

mod file;

pub use file::StoredKey;

/// How long a new key is published before it signs: the `max-age` that its readers are told.
pub(crate) const PUBLISHED_BEFORE_SIGNING: Duration = Duration::from_secs(600);

/// Key stores by path. Cheap to clone.
#[derive(Clone)]
pub struct KeyStores {
    stores: Arc<Mutex<BTreeMap<String, Arc<KeyStore>>>>,
    clock: Arc<dyn Clock>,
}

/// A file with keys.
pub struct KeyStore {
    password: Option<Secret>,
    /// What RSA keys sign with, where it does not follow from their size.
    algorithm: Option<String>,
    state: ArcSwap<State>,
    /// The longest life of a token that this store signs, in milliseconds.
    longest_life: AtomicI64,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Default)]
struct State {
    keys: Vec<Arc<StoredKey>>,
    /// When each key came, by `kid`; those of the first load came before everything.
    came: BTreeMap<String, Timestamp>,
    /// Keys that are gone from the file, until their last token is dead.
    retired: Vec<(Value, Timestamp)>,
    /// The key that signed until the file changed, by the `key_id` asked for.
    signed: BTreeMap<Option<String>, Arc<StoredKey>>,
}

impl KeyStores {
    /// No stores yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            stores: Arc::default(),
            clock,
        }
    }

    /// The store at a path; `bytes` are read only if it is new.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open(
        &self,
        path: &str,
        password: Option<&str>,
        algorithm: Option<&str>,
        bytes: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> Result<Arc<KeyStore>, String> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = stores.get(path) {
            let same = known.password.as_ref().map(Secret::expose) == password
                && known.algorithm.as_deref() == algorithm;
            return if same {
                Ok(known.clone())
            } else {
                Err("this key store is used elsewhere with another password or `alg`".to_owned())
            };
        }
        let keys = file::parse(&bytes()?, password, algorithm)?;
        let came = keys
            .iter()
            .map(|key| (key.kid().to_owned(), Timestamp::from_millis(i64::MIN)))
            .collect();
        let store = Arc::new(KeyStore {
            password: password.map(Secret::from),
            algorithm: algorithm.map(str::to_owned),
            state: ArcSwap::from_pointee(State {
                keys: keys.into_iter().map(Arc::new).collect(),
                came,
                ..State::default()
            }),
            longest_life: AtomicI64::new(0),
            clock: self.clock.clone(),
        });
        stores.insert(path.to_owned(), store.clone());
        Ok(store)
    }

    /// The paths of all stores.
    pub fn paths(&self) -> Vec<String> {
        self.stores
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    }

    /// Takes the keys of a changed file.
    ///
    /// # Errors
    /// What is wrong with the new file; the old keys stay.
    pub fn reload(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let store = self
            .stores
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned();
        match store {
            Some(store) => store.reload(bytes),
            None => Ok(()),
        }
    }

    /// The published keys of all stores, by `kid`.
    pub fn published(&self) -> Vec<Value> {
        let mut all = BTreeMap::new();
        for store in self
            .stores
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
        {
            for jwk in store.published() {
                let kid = jwk
                    .get("kid")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                all.entry(kid).or_insert(jwk);
            }
        }
        all.into_values().collect()
    }

    /// `kid` and end of validity of each certificate.
    pub fn expiries(&self) -> Vec<(String, Timestamp)> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = stores
            .values()
            .flat_map(|store| store.state.load().keys.clone())
            .collect::<Vec<_>>();
        keys.iter()
            .filter_map(|key| Some((key.kid().to_owned(), key.expires()?)))
            .collect()
    }
}

impl KeyStore {
    /// The key that signs now: the one named, or the first of the file.
    pub fn signer(&self, key_id: Option<&str>) -> Option<Arc<StoredKey>> {
        let state = self.state.load();
        let wanted = state.find(key_id)?;
        let since = state.came.get(wanted.kid()).copied().unwrap_or_default();
        if since.plus(PUBLISHED_BEFORE_SIGNING) <= self.clock.now() {
            return Some(wanted.clone());
        }
        let before = state.signed.get(&key_id.map(str::to_owned));
        let still_there =
            before.and_then(|old| state.keys.iter().find(|key| key.public() == old.public()));
        Some(still_there.unwrap_or(wanted).clone())
    }

    /// Notes how long tokens of this store live, so that old keys stay published for as long.
    pub fn expect_life(&self, life: Duration) {
        self.longest_life.fetch_max(
            i64::try_from(life.as_millis()).unwrap_or(i64::MAX),
            Ordering::Relaxed,
        );
    }

    fn reload(&self, bytes: &[u8]) -> Result<(), String> {
        let keys = file::parse(
            bytes,
            self.password.as_ref().map(Secret::expose),
            self.algorithm.as_deref(),
        )?;
        let usable = keys.first().ok_or("no key in it")?;
        usable.fit_to_sign(self.clock.now())?;
        let old = self.state.load_full();
        let now = self.clock.now();
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        let came = keys
            .iter()
            .map(|key| {
                (
                    key.kid().to_owned(),
                    old.came.get(key.kid()).copied().unwrap_or(now),
                )
            })
            .collect();
        let asked: Vec<Option<String>> = old
            .keys
            .iter()
            .map(|key| Some(key.kid().to_owned()))
            .chain([None])
            .collect();
        let signed = asked
            .into_iter()
            .filter_map(|key_id| Some((key_id.clone(), self.signer(key_id.as_deref())?)))
            .collect();
        let until = now.plus(Duration::from_millis(
            u64::try_from(self.longest_life.load(Ordering::Relaxed)).unwrap_or(0),
        ));
        let gone = old
            .keys
            .iter()
            .filter(|old| !keys.iter().any(|key| key.public() == old.public()));
        let mut retired: Vec<_> = old
            .retired
            .iter()
            .filter(|(_, until)| *until > now)
            .cloned()
            .collect();
        retired.extend(gone.map(|key| (key.public().clone(), until)));
        self.state.store(Arc::new(State {
            keys,
            came,
            retired,
            signed,
        }));
        Ok(())
    }

    fn published(&self) -> Vec<Value> {
        let state = self.state.load();
        let now = self.clock.now();
        let retired = state
            .retired
            .iter()
            .filter(|(_, until)| *until > now)
            .map(|(jwk, _)| jwk.clone());
        state
            .keys
            .iter()
            .map(|key| key.public().clone())
            .chain(retired)
            .collect()
    }
}

impl State {
    fn find(&self, key_id: Option<&str>) -> Option<&Arc<StoredKey>> {
        match key_id {
            Some(kid) => self.keys.iter().find(|key| key.kid() == kid),
            None => self.keys.first(),
        }
    }
}
