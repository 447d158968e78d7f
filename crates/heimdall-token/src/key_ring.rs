use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use heimdall_types::{Actor, Clock, Fault, Rng, Timestamp};
use thiserror::Error;

use crate::key_life::{self, KeyRecord, KeyState};
use crate::ports::{KeyStore, KeyTransition};
use crate::{
    Algorithm, Jwks, KeyError, PublicKey, PublicKeys, RootKey, SealError, Signer, SigningKey,
};

/// How often a step is tried again when another instance changes the keys at the same time.
const TRIES: usize = 8;

/// How signing keys live.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyRingSettings {
    /// Which algorithm signs when nobody asks for another. Default ES256.
    pub algorithm: Algorithm,
    /// How long a new key stands in the JWKS before it signs; at least 10 minutes. Default 24 h.
    pub publish_ahead: Duration,
    /// The longest life of a token, so how long an old key stays in the JWKS. Default 24 h.
    pub longest_token: Duration,
    /// After which time a key is replaced by itself; `None` for never. Default 90 days.
    pub rotate_every: Option<Duration>,
}

impl KeyRingSettings {
    /// The shortest time that a new key must be published before it signs.
    pub const MIN_PUBLISH_AHEAD: Duration = Duration::from_secs(600);
}

impl Default for KeyRingSettings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Es256,
            publish_ahead: Duration::from_secs(24 * 3600),
            longest_token: Duration::from_secs(24 * 3600),
            rotate_every: Some(Duration::from_secs(90 * 24 * 3600)),
        }
    }
}

/// Why the key ring cannot do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
    /// A key cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stored key does not open under this root key.
    #[error("signing key `{kid}`: {source}")]
    Sealed {
        /// The key's name.
        kid: String,
        /// What happened.
        source: SealError,
    },
    /// No key may sign now.
    #[error("there is no signing key for {0}")]
    NoSigner(Algorithm),
}

/// What may be told about a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub kid: String,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made or imported.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub activates_at: Timestamp,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When it leaves the JWKS.
    pub removes_at: Option<Timestamp>,
}

struct Snapshot {
    records: Vec<KeyRecord>,
    signers: BTreeMap<Algorithm, Signer>,
    public: Arc<PublicKeys>,
    jwks: Arc<Jwks>,
    epoch: u64,
}

/// The signing keys of an installation: pending → active → retired → removed, sealed at rest, held parsed.
///
/// Readers take an immutable snapshot without locking. [`KeyRing::tick`] moves keys along; call it when it says, and
/// [`KeyRing::reload`] when another instance changed them.
pub struct KeyRing {
    store: Arc<dyn KeyStore>,
    root: RootKey,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    settings: KeyRingSettings,
    snapshot: ArcSwap<Snapshot>,
}

impl KeyRing {
    /// Loads the keys, and makes the first one where there is none; that one signs at once.
    ///
    /// # Errors
    ///
    /// The store fails, or a stored key does not open under `root`.
    pub async fn open(
        store: Arc<dyn KeyStore>,
        root: RootKey,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        mut settings: KeyRingSettings,
    ) -> Result<Self, KeyRingError> {
        settings.publish_ahead = settings
            .publish_ahead
            .max(KeyRingSettings::MIN_PUBLISH_AHEAD);
        let empty = Snapshot {
            records: Vec::new(),
            signers: BTreeMap::new(),
            public: Arc::default(),
            jwks: Arc::new(PublicKeys::default().document()),
            epoch: 0,
        };
        let ring = Self {
            store,
            root,
            clock,
            rng,
            settings,
            snapshot: ArcSwap::from_pointee(empty),
        };
        ring.tick().await?;
        Ok(ring)
    }

    /// The signer of the default algorithm; of any other active key when that has none.
    ///
    /// # Errors
    ///
    /// [`KeyRingError::NoSigner`] when no key is active.
    pub fn signer(&self) -> Result<Signer, KeyRingError> {
        let snapshot = self.snapshot.load();
        let signer = snapshot
            .signers
            .get(&self.settings.algorithm)
            .or_else(|| snapshot.signers.values().next());
        signer
            .cloned()
            .ok_or(KeyRingError::NoSigner(self.settings.algorithm))
    }

    /// The signer of this algorithm, if one is active.
    pub fn signer_for(&self, algorithm: Algorithm) -> Option<Signer> {
        self.snapshot.load().signers.get(&algorithm).cloned()
    }

    /// Every key that verifies: pending, active and retired ones.
    pub fn public(&self) -> Arc<PublicKeys> {
        Arc::clone(&self.snapshot.load().public)
    }

    /// The JWKS document.
    pub fn jwks(&self) -> Arc<Jwks> {
        Arc::clone(&self.snapshot.load().jwks)
    }

    /// A number that grows whenever the set of keys changes; part of the key of every cache of verified tokens.
    pub fn epoch(&self) -> u64 {
        self.snapshot.load().epoch
    }

    /// The keys and where they are in their lives, the newest last.
    pub fn keys(&self) -> Vec<KeyInfo> {
        self.snapshot
            .load()
            .records
            .iter()
            .map(KeyRecord::info)
            .collect()
    }

    /// Reads the keys again.
    ///
    /// # Errors
    ///
    /// The store fails, or a key does not open; the old keys stay.
    pub async fn reload(&self) -> Result<(), KeyRingError> {
        let records = self.store.load().await?;
        self.show(records)
    }

    /// Applies every step that is due (activate, retire, remove, rotate) and says when the next one is.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::reload`].
    pub async fn tick(&self) -> Result<Option<Timestamp>, KeyRingError> {
        self.change(|records, now| {
            let mut changes = key_life::due(records, now, &self.settings);
            if let Some(algorithm) = key_life::wanted(records, now, &self.settings) {
                changes.push((self.fresh(algorithm, records, now)?, None));
            }
            Ok((changes, Actor::System))
        })
        .await?;
        Ok(key_life::next_due(
            &self.snapshot.load().records,
            &self.settings,
        ))
    }

    /// Makes a new key for this algorithm. It is published at once and signs after the publication time, at once when
    /// the algorithm has no other key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Algorithm`] for algorithms whose keys are imported; the store fails.
    pub async fn rotate(
        &self,
        algorithm: Algorithm,
        actor: Actor,
    ) -> Result<KeyInfo, KeyRingError> {
        self.add(SigningKey::generate(algorithm)?, actor).await
    }

    /// Takes a key from elsewhere, as [`KeyRing::rotate`] takes a new one.
    ///
    /// # Errors
    ///
    /// [`KeyError::Duplicate`] when there is such a key already; the store fails.
    pub async fn import(&self, key: SigningKey, actor: Actor) -> Result<KeyInfo, KeyRingError> {
        self.add(key, actor).await
    }

    async fn add(&self, key: SigningKey, actor: Actor) -> Result<KeyInfo, KeyRingError> {
        let kid = key.kid().to_owned();
        self.change(|records, now| {
            if records.iter().any(|record| record.kid == kid) {
                return Err(KeyError::Duplicate(kid.clone()).into());
            }
            Ok((vec![(self.record(&key, records, now), None)], actor.clone()))
        })
        .await?;
        let info = self.keys().into_iter().find(|info| info.kid == kid);
        info.ok_or(KeyRingError::NoSigner(key.algorithm()))
    }

    fn fresh(
        &self,
        algorithm: Algorithm,
        records: &[KeyRecord],
        now: Timestamp,
    ) -> Result<KeyRecord, KeyRingError> {
        Ok(self.record(&SigningKey::generate(algorithm)?, records, now))
    }

    fn record(&self, key: &SigningKey, records: &[KeyRecord], now: Timestamp) -> KeyRecord {
        let sealed = self
            .root
            .seal(&context(key.kid()), key.material(), &self.rng);
        key_life::begin(
            key.kid(),
            key.algorithm(),
            sealed,
            records,
            now,
            self.settings.publish_ahead,
        )
    }

    /// Load, decide, apply; once more when somebody else was faster.
    async fn change(
        &self,
        decide: impl Fn(
            &[KeyRecord],
            Timestamp,
        ) -> Result<(Vec<(KeyRecord, Option<i64>)>, Actor), KeyRingError>,
    ) -> Result<(), KeyRingError> {
        let mut last = Fault::Conflict;
        for _ in 0..TRIES {
            let records = self.store.load().await?;
            let now = self.clock.now();
            let (changes, actor) = decide(&records, now)?;
            if changes.is_empty() {
                return self.show(records);
            }
            let transition: KeyTransition = key_life::transition(changes, &actor, now);
            match self.store.apply(transition).await {
                Ok(()) => return self.reload().await,
                Err(Fault::Conflict) => last = Fault::Conflict,
                Err(fault @ Fault::Duplicate(_)) => last = fault,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(last.into())
    }

    fn show(&self, mut records: Vec<KeyRecord>) -> Result<(), KeyRingError> {
        records.retain(|record| record.state != KeyState::Removed);
        records.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
        if self.snapshot.load().epoch > 0 && self.snapshot.load().records == records {
            return Ok(());
        }
        let mut signers = BTreeMap::new();
        let mut public: Vec<PublicKey> = Vec::new();
        for record in &records {
            let material = self
                .root
                .open(&context(&record.kid), &record.sealed)
                .map_err(|source| KeyRingError::Sealed {
                    kid: record.kid.clone(),
                    source,
                })?;
            let key =
                SigningKey::from_pkcs8(record.algorithm, &material)?.with_kid(record.kid.clone());
            public.push(key.public().clone());
            if record.state == KeyState::Active {
                signers.insert(record.algorithm, Signer::new(key));
            }
        }
        let public = PublicKeys::of(public);
        let jwks = Arc::new(public.document());
        let epoch = self.snapshot.load().epoch + 1;
        self.snapshot.store(Arc::new(Snapshot {
            records,
            signers,
            public: Arc::new(public),
            jwks,
            epoch,
        }));
        Ok(())
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing")
            .field("keys", &self.keys())
            .finish_non_exhaustive()
    }
}

fn context(kid: &str) -> String {
    format!("signing-key/{kid}")
}

#[cfg(test)]
#[path = "key_ring/tests.rs"]
mod tests;
