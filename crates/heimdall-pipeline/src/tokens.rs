//! Key sets of issuers, and tokens that were verified with them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use heimdall_finalizer::{Deadlined, Failure, Flights, HttpRequest, Key, Kind, Subject};
use heimdall_token::PublicKey;
use heimdall_types::{Clock, Timestamp};
use serde_json::Value;

use crate::endpoint::{Caller, Endpoint};

const VERIFIED_TOKENS: u64 = 20_000;
/// How many key sets of issuers are kept; a templated URL may lead to many.
const KEY_SETS: usize = 1_000;
/// Unknown key names cause at most one look at the issuer in this time.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// An issuer that can not be reached is believed this long on its last word.
const LONGEST_STALE: Duration = Duration::from_secs(3600);

/// Verified tokens and key sets.
pub(crate) struct TokenShelf {
    verified: Deadlined<Arc<Verified>>,
    sets: Mutex<HashMap<Key, Arc<KeySource>>>,
}

/// A token that was verified, and with what.
pub(crate) struct Verified {
    pub(crate) subject: Arc<Subject>,
    pub(crate) keys: Arc<KeySource>,
    pub(crate) version: u64,
}

/// One key of a set, and what its JWK says.
pub(crate) struct IssuerKey {
    pub(crate) key: Option<PublicKey>,
    pub(crate) algorithm: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) certificates: Vec<String>,
}

/// A key set at one moment.
pub(crate) struct KeySet {
    pub(crate) keys: Vec<IssuerKey>,
    version: u64,
    digest: [u8; 32],
    fetched: Timestamp,
    until: Timestamp,
}

/// Where a key set comes from.
#[derive(Default)]
pub(crate) struct KeySource {
    set: ArcSwapOption<KeySet>,
    flights: Flights<(), Result<Arc<KeySet>, Failure>>,
    versions: AtomicU64,
    missed: Mutex<Option<Timestamp>>,
}

impl TokenShelf {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            verified: Deadlined::new(VERIFIED_TOKENS, clock),
            sets: Mutex::default(),
        }
    }

    /// A token that was verified with keys that still hold.
    pub(crate) fn known(&self, key: &Key, now: Timestamp) -> Option<Arc<Verified>> {
        let verified = self.verified.get(key)?;
        verified
            .keys
            .holds(verified.version, now)
            .then_some(verified)
    }

    pub(crate) fn keep(&self, key: Key, verified: Verified, until: Timestamp) {
        self.verified.put(key, Arc::new(verified), until);
    }

    /// The key source for a request, by everything the answer depends on.
    pub(crate) fn source(&self, key: Key) -> Arc<KeySource> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= KEY_SETS && !sets.contains_key(&key) {
            sets.clear();
        }
        sets.entry(key).or_default().clone()
    }
}

impl KeySource {
    fn holds(&self, version: u64, now: Timestamp) -> bool {
        self.set
            .load()
            .as_ref()
            .is_some_and(|set| set.version == version && now < set.until)
    }

    /// The keys: those that are there, or else fetched, once for all who wait.
    pub(crate) async fn keys(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        request: HttpRequest,
        caller: &Arc<Caller>,
        ttl: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<KeySet>, Failure> {
        if let Some(set) = self.set.load_full().filter(|set| clock.now() < set.until) {
            return Ok(set);
        }
        self.fetch(endpoint, request, caller, ttl, clock).await
    }

    /// The keys again, because one that is asked for is not among them: at most once in the cool-down.
    pub(crate) async fn keys_again(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        request: HttpRequest,
        caller: &Arc<Caller>,
        ttl: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<KeySet>>, Failure> {
        {
            let now = clock.now();
            let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
            if missed.is_some_and(|at| now < at.plus(COOL_DOWN)) {
                return Ok(None);
            }
            *missed = Some(now);
        }
        self.fetch(endpoint, request, caller, ttl, clock)
            .await
            .map(Some)
    }

    async fn fetch(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        request: HttpRequest,
        caller: &Arc<Caller>,
        ttl: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<KeySet>, Failure> {
        let begin = || {
            let (source, endpoint, caller, clock) = (
                self.clone(),
                endpoint.clone(),
                caller.clone(),
                clock.clone(),
            );
            async move { source.load(&endpoint, request, &caller, ttl, &*clock).await }
        };
        self.flights.join((), begin).await
    }

    async fn load(
        &self,
        endpoint: &Endpoint,
        request: HttpRequest,
        caller: &Caller,
        ttl: Duration,
        clock: &dyn Clock,
    ) -> Result<Arc<KeySet>, Failure> {
        let answer = caller.call(endpoint, request, "JWKS endpoint").await;
        let now = clock.now();
        let parsed = answer.and_then(|answer| match answer.status {
            200..300 => parse(&answer.body)
                .map(|keys| (keys, heimdall_token::crypto::sha256(&answer.body)))
                .ok_or_else(|| Failure::new(Kind::Internal, "failed to unmarshal received jwks")),
            status => Err(Failure::new(
                Kind::Communication,
                format!("unexpected response. code: {status}"),
            )),
        });
        let before = self.set.load_full();
        let (keys, digest) = match (parsed, before.as_ref()) {
            (Ok(parsed), _) => parsed,
            (Err(_), Some(set)) if !ttl.is_zero() && now < set.fetched.plus(LONGEST_STALE) => {
                // the issuer is away: its last word holds, and it is asked again soon
                let set = KeySet {
                    until: now.plus(COOL_DOWN),
                    ..set.copy()
                };
                return Ok(self.keep(set));
            }
            (Err(failure), _) => return Err(failure),
        };
        let version = match before.as_ref() {
            Some(set) if set.digest == digest => set.version,
            _ => self.versions.fetch_add(1, Ordering::Relaxed) + 1,
        };
        Ok(self.keep(KeySet {
            keys,
            version,
            digest,
            fetched: now,
            until: now.plus(ttl),
        }))
    }

    fn keep(&self, set: KeySet) -> Arc<KeySet> {
        let set = Arc::new(set);
        self.set.store(Some(set.clone()));
        set
    }
}

impl KeySet {
    fn copy(&self) -> Self {
        let keys = self.keys.iter().map(|key| IssuerKey {
            key: key.key.clone(),
            algorithm: key.algorithm.clone(),
            kid: key.kid.clone(),
            certificates: key.certificates.clone(),
        });
        Self {
            keys: keys.collect(),
            version: self.version,
            digest: self.digest,
            fetched: self.fetched,
            until: self.until,
        }
    }

    /// Which content this is; equal contents have equal versions.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Until when it holds.
    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// All keys of a name.
    pub(crate) fn named(&self, kid: &str) -> Vec<&IssuerKey> {
        self.keys
            .iter()
            .filter(|key| key.kid.as_deref() == Some(kid))
            .collect()
    }
}

fn parse(body: &[u8]) -> Option<Vec<IssuerKey>> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let keys = document.get("keys")?.as_array()?;
    let text = |jwk: &Value, name: &str| jwk.get(name).and_then(Value::as_str).map(str::to_owned);
    let certificates = |jwk: &Value| {
        let chain = jwk.get("x5c").and_then(Value::as_array);
        chain
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let read = |jwk: &Value| IssuerKey {
        key: PublicKey::from_jwk(jwk).ok(),
        algorithm: text(jwk, "alg"),
        kid: text(jwk, "kid"),
        certificates: certificates(jwk),
    };
    Some(keys.iter().map(read).collect())
}
