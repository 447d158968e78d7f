use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use heimdall_types::{Fault, ManualClock};

use super::*;
use crate::{Algorithm, FetchedJwks, Header, Policy, Signer, SigningKey};

/// Answers with whatever it was told last, and lets others run meanwhile.
struct ScriptedIssuer {
    body: Mutex<Result<Vec<u8>, Fault>>,
    calls: AtomicUsize,
}

#[async_trait]
impl JwksFetch for ScriptedIssuer {
    async fn fetch(&self, _: &str) -> Result<FetchedJwks, Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut waited = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
        let body = self.body.lock().unwrap().clone()?;
        Ok(FetchedJwks {
            body,
            max_age: None,
        })
    }
}

struct Scene {
    issuer: Arc<ScriptedIssuer>,
    clock: Arc<ManualClock>,
    remote: RemoteJwks,
    signer: Signer,
}

impl Scene {
    fn new() -> Self {
        let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let body = PublicKeys::of([signer.key().public().clone()])
            .document()
            .body()
            .to_vec();
        let issuer = Arc::new(ScriptedIssuer {
            body: Mutex::new(Ok(body)),
            calls: AtomicUsize::new(0),
        });
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)));
        let remote = RemoteJwks::new(
            "https://i/jwks",
            issuer.clone(),
            clock.clone(),
            RemoteJwksSettings::default(),
        );
        Self {
            issuer,
            clock,
            remote,
            signer,
        }
    }

    fn calls(&self) -> usize {
        self.issuer.calls.load(Ordering::SeqCst)
    }

    fn answers(&self, body: Result<&[u8], Fault>) {
        *self.issuer.body.lock().unwrap() = body.map(<[u8]>::to_vec);
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

#[test]
fn many_that_wait_make_one_fetch() {
    let scene = Scene::new();
    let found = wait(join_all((0..50).map(|_| scene.remote.keys())));
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(scene.calls(), 1);
}

#[test]
fn ten_thousand_unknown_names_make_one_fetch_a_cool_down() {
    let scene = Scene::new();
    for n in 0..10_000 {
        assert!(wait(scene.remote.keys_with(&format!("made-up-{n}"))).is_ok());
    }
    assert_eq!(scene.calls(), 1);
    scene.clock.advance(Duration::from_secs(31));
    for n in 0..100 {
        assert!(wait(scene.remote.keys_with(&format!("made-up-{n}"))).is_ok());
    }
    assert_eq!(scene.calls(), 2);
}

#[test]
fn the_last_good_set_serves_until_it_is_too_old() {
    let scene = Scene::new();
    assert!(wait(scene.remote.keys()).is_ok());
    let huge = vec![b' '; 5 << 20];
    let secret = br#"{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}"#;
    for bad in [
        Err(Fault::Unavailable("500".into())),
        Ok(&b"<html>"[..]),
        Ok(&huge[..]),
        Ok(&secret[..]),
    ] {
        scene.answers(bad);
        scene.clock.advance(Duration::from_secs(3_600));
        assert_eq!(wait(scene.remote.keys()).unwrap().len(), 1);
    }
    assert_eq!(scene.calls(), 5);
    scene.clock.advance(Duration::from_secs(24 * 3_600));
    assert!(wait(scene.remote.keys()).is_err());
}

#[test]
fn a_fetch_that_nobody_waited_for_is_taken_up_again() {
    let scene = Scene::new();
    {
        let mut dropped = std::pin::pin!(scene.remote.keys());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(dropped.as_mut().poll(&mut context).is_pending());
    }
    assert!(wait(scene.remote.keys()).is_ok());
    assert_eq!(scene.calls(), 1);
}

#[test]
fn a_new_key_of_the_issuer_is_found() {
    let scene = Scene::new();
    assert!(wait(scene.remote.keys()).is_ok());
    let next = Signer::new(SigningKey::generate(Algorithm::EdDsa).unwrap());
    let both = PublicKeys::of([
        scene.signer.key().public().clone(),
        next.key().public().clone(),
    ]);
    scene.answers(Ok(&both.document().body()));
    scene.clock.advance(Duration::from_secs(31));
    let claims = serde_json::json!({ "iss": "i", "aud": "a", "exp": 2_000 });
    let verifier = Verifier::new(Policy::new("JWT").issuer("i").audience("a"));
    for signer in [&scene.signer, &next] {
        let token = signer.sign(&Header::typ("JWT"), &claims).unwrap();
        assert!(wait(scene.remote.verify(&verifier, &token)).is_ok());
    }
    let stranger = Signer::new(SigningKey::generate(Algorithm::EdDsa).unwrap());
    let token = stranger.sign(&Header::typ("JWT"), &claims).unwrap();
    assert_eq!(
        wait(scene.remote.verify(&verifier, &token)),
        Err(TokenError::UnknownKey)
    );
}
