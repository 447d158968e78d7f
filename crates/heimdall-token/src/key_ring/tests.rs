use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use heimdall_types::{ManualClock, SeededRng};

use super::*;

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
