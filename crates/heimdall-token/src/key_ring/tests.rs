use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use heimdall_types::{ManualClock, SeededRng};

use super::*;
use crate::{Header, Policy, TokenError, Verifier};

/// Keeps records in memory; fails the first writes with a conflict when told to.
#[derive(Default)]
struct ContestedStore {
    records: Mutex<Vec<KeyRecord>>,
    actions: Mutex<Vec<String>>,
    conflicts: AtomicUsize,
}

#[async_trait]
impl KeyStore for ContestedStore {
    async fn load(&self) -> Result<Vec<KeyRecord>, Fault> {
        Ok(self.records.lock().unwrap().clone())
    }

    async fn apply(&self, transition: KeyTransition) -> Result<(), Fault> {
        if self.conflicts.load(Ordering::SeqCst) > 0 {
            self.conflicts.fetch_sub(1, Ordering::SeqCst);
            return Err(Fault::Conflict);
        }
        let mut records = self.records.lock().unwrap();
        for change in &transition.changes {
            let found = records
                .iter()
                .find(|record| record.kid == change.record.kid)
                .map(|record| record.version);
            if found != change.expected {
                return Err(Fault::Conflict);
            }
            records.retain(|record| record.kid != change.record.kid);
            records.push(change.record.clone());
        }
        assert!(!transition.journal.audit.is_empty());
        self.actions
            .lock()
            .unwrap()
            .extend(transition.journal.audit.into_iter().map(|row| row.action));
        Ok(())
    }
}

struct Scene {
    store: Arc<ContestedStore>,
    clock: Arc<ManualClock>,
    root: RootKey,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000)));
        Self {
            store: Arc::default(),
            clock,
            root: RootKey::generate(&SeededRng::new(1)),
        }
    }

    fn open(&self) -> Result<KeyRing, KeyRingError> {
        self.open_with(KeyRingSettings {
            rotate_every: None,
            ..KeyRingSettings::default()
        })
    }

    fn open_with(&self, settings: KeyRingSettings) -> Result<KeyRing, KeyRingError> {
        let rng = Arc::new(SeededRng::new(2));
        wait(KeyRing::open(
            self.store.clone(),
            self.root.clone(),
            self.clock.clone(),
            rng,
            settings,
        ))
    }
}

// Nothing in these tests ever waits for anything.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("waits for something"),
    }
}

fn states(ring: &KeyRing) -> Vec<KeyState> {
    ring.keys().into_iter().map(|key| key.state).collect()
}

#[test]
fn the_first_key_signs_at_once_and_is_found_again() {
    let scene = Scene::new();
    let kid = scene.open().unwrap().signer().unwrap().kid().to_owned();
    let again = scene.open().unwrap();
    assert_eq!(again.signer().unwrap().kid(), kid);
    assert_eq!(again.signer().unwrap().algorithm(), Algorithm::Es256);
    assert!(again.public().get(&kid).is_some());
    assert_eq!(*scene.store.actions.lock().unwrap(), ["key.created"]);
}

#[test]
fn a_new_key_is_published_a_day_before_it_signs_and_an_old_one_a_day_longer() {
    let scene = Scene::new();
    let ring = scene.open().unwrap();
    let old = ring.signer().unwrap().kid().to_owned();
    scene.clock.advance(Duration::from_secs(1));
    let new = wait(ring.rotate(Algorithm::Es256, Actor::System))
        .unwrap()
        .kid;
    assert_eq!(states(&ring), [KeyState::Active, KeyState::Pending]);
    assert!(ring.public().get(&new).is_some());

    scene.clock.advance(23 * HOUR);
    let due = wait(ring.tick()).unwrap().unwrap();
    assert_eq!(ring.signer().unwrap().kid(), old);

    scene.clock.set(due);
    let epoch = ring.epoch();
    wait(ring.tick()).unwrap();
    assert!(ring.epoch() > epoch);
    assert_eq!(ring.signer().unwrap().kid(), new);
    assert!(
        ring.public().get(&old).is_some(),
        "tokens of the old key are still alive"
    );

    scene.clock.advance(24 * HOUR);
    assert_eq!(wait(ring.tick()).unwrap(), None);
    assert!(ring.public().get(&old).is_none());
    assert_eq!(states(&ring), [KeyState::Active]);
    let actions = scene.store.actions.lock().unwrap().clone();
    assert_eq!(
        actions,
        [
            "key.created",
            "key.created",
            "key.activated",
            "key.retired",
            "key.removed"
        ]
    );
    let removed = scene
        .store
        .records
        .lock()
        .unwrap()
        .iter()
        .any(|record| record.kid == old && record.sealed.is_empty());
    assert!(removed, "the private part is forgotten");
}

#[test]
fn publication_is_never_shorter_than_ten_minutes() {
    let scene = Scene::new();
    let settings = KeyRingSettings {
        publish_ahead: Duration::ZERO,
        rotate_every: None,
        ..KeyRingSettings::default()
    };
    let ring = scene.open_with(settings).unwrap();
    let new = wait(ring.rotate(Algorithm::Es256, Actor::System)).unwrap();
    assert_eq!(
        new.activates_at.since(new.created_at),
        Duration::from_secs(600)
    );
}

#[test]
fn keys_are_replaced_by_themselves_without_a_gap() {
    let scene = Scene::new();
    let ring = scene.open_with(KeyRingSettings::default()).unwrap();
    let mut kids = std::collections::BTreeSet::new();
    for _ in 0..400 {
        scene.clock.advance(24 * HOUR);
        wait(ring.tick()).unwrap();
        let signer = ring.signer().unwrap();
        assert!(ring.public().get(signer.kid()).is_some());
        kids.insert(signer.kid().to_owned());
    }
    assert_eq!(kids.len(), 5, "one every 90 days in 400 days");
}

#[test]
fn algorithms_rotate_apart() {
    let scene = Scene::new();
    let ring = scene.open().unwrap();
    wait(ring.rotate(Algorithm::EdDsa, Actor::System)).unwrap();
    assert!(
        ring.signer_for(Algorithm::EdDsa).is_none(),
        "published first, as whoever keeps the set does not know it yet"
    );
    scene.clock.advance(24 * HOUR);
    wait(ring.tick()).unwrap();
    assert_eq!(
        ring.signer_for(Algorithm::EdDsa).unwrap().algorithm(),
        Algorithm::EdDsa
    );
    assert_eq!(ring.signer().unwrap().algorithm(), Algorithm::Es256);
    assert!(ring.signer_for(Algorithm::Es384).is_none());
    let refused = wait(ring.rotate(Algorithm::Rs256, Actor::System)).unwrap_err();
    assert!(matches!(refused, KeyRingError::Key(KeyError::Algorithm)));
}

#[test]
fn an_imported_key_enters_once() {
    let scene = Scene::new();
    let ring = scene.open().unwrap();
    let key = SigningKey::generate(Algorithm::Es384).unwrap();
    let copy = SigningKey::from_pkcs8(Algorithm::Es384, key.material()).unwrap();
    wait(ring.import(key, Actor::System)).unwrap();
    let refused = wait(ring.import(copy, Actor::System)).unwrap_err();
    assert!(matches!(refused, KeyRingError::Key(KeyError::Duplicate(_))));
}

#[test]
fn a_lost_race_is_run_again_and_endless_ones_end() {
    let scene = Scene::new();
    scene.store.conflicts.store(3, Ordering::SeqCst);
    let ring = scene.open().unwrap();
    scene.store.conflicts.store(usize::MAX, Ordering::SeqCst);
    let lost = wait(ring.rotate(Algorithm::Es256, Actor::System)).unwrap_err();
    assert!(matches!(lost, KeyRingError::Store(Fault::Conflict)));
}

#[test]
fn another_root_key_opens_nothing() {
    let mut scene = Scene::new();
    scene.open().unwrap();
    scene.root = RootKey::generate(&SeededRng::new(9));
    assert!(matches!(
        scene.open().unwrap_err(),
        KeyRingError::Sealed { .. }
    ));
}

/// A verifier elsewhere: it keeps the published set for as long as its answer allows, and never asks because of a token.
struct Reader<'a> {
    ring: &'a KeyRing,
    clock: &'a ManualClock,
    verifier: Verifier,
    kept: Option<(Timestamp, PublicKeys)>,
}

impl Reader<'_> {
    // `Cache-Control: max-age` of the JWKS.
    const MAX_AGE: Duration = Duration::from_secs(300);

    fn verify(&mut self, token: &str) -> Result<(), TokenError> {
        let now = self.clock.now();
        let stale = self
            .kept
            .as_ref()
            .is_none_or(|(at, _)| now >= at.plus(Self::MAX_AGE));
        if stale {
            let keys = PublicKeys::parse(&self.ring.jwks().body()).unwrap();
            self.kept = Some((now, keys));
        }
        let keys = &self.kept.as_ref().unwrap().1;
        self.verifier.verify(token, keys, now).map(drop)
    }
}

#[test]
fn no_reader_of_the_published_set_meets_an_unknown_key_in_fifty_rotations() {
    rotate_under_load(50);
}

#[test]
#[ignore = "takes half a minute: cargo test -p heimdall-token -- --ignored"]
fn no_reader_of_the_published_set_meets_an_unknown_key_in_a_thousand_rotations() {
    rotate_under_load(1_000);
}

fn rotate_under_load(rotations: usize) {
    const TOKEN_LIFE: Duration = Duration::from_secs(1_800);
    const STEP: Duration = Duration::from_secs(100);
    let scene = Scene::new();
    let ring = scene
        .open_with(KeyRingSettings {
            publish_ahead: KeyRingSettings::MIN_PUBLISH_AHEAD,
            longest_token: TOKEN_LIFE,
            rotate_every: None,
            ..KeyRingSettings::default()
        })
        .unwrap();
    let issue = || {
        let expires = scene.clock.now().plus(TOKEN_LIFE);
        let claims = serde_json::json!({"sub": "x", "exp": expires.seconds()});
        let token = ring.signer().unwrap().sign(&Header::typ("JWT"), &claims);
        (token.unwrap(), expires)
    };
    let living = Mutex::new(vec![issue()]);
    let over = std::sync::atomic::AtomicBool::new(false);
    let checked = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for seed in 0..3 {
            let (ring, clock, living, over, checked) =
                (&ring, &scene.clock, &living, &over, &checked);
            threads.spawn(move || {
                let mut reader = Reader {
                    ring,
                    clock,
                    verifier: Verifier::new(Policy::new("JWT").any_issuer().any_audience()),
                    kept: None,
                };
                let mut turn: usize = seed;
                while !over.load(Ordering::SeqCst) {
                    turn = turn.wrapping_mul(31).wrapping_add(7);
                    let (token, expires) = {
                        let living = living.lock().unwrap();
                        living[turn % living.len()].clone()
                    };
                    match reader.verify(&token) {
                        Ok(()) => checked.fetch_add(1, Ordering::SeqCst),
                        // Time went on between the choice and the check.
                        Err(_) if clock.now() >= expires => continue,
                        Err(refused) => panic!("a living token is refused: {refused}"),
                    };
                }
            });
        }
        for _ in 0..rotations {
            wait(ring.rotate(Algorithm::Es256, Actor::System)).unwrap();
            for _ in 0..7 {
                scene.clock.advance(STEP);
                wait(ring.tick()).unwrap();
                let mut living = living.lock().unwrap();
                living.push(issue());
                let now = scene.clock.now();
                living.retain(|(_, expires)| now < *expires);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    assert!(checked.load(Ordering::SeqCst) > rotations, "{checked:?}");
    assert!(ring.keys().len() < 10, "old keys are gone");
}
