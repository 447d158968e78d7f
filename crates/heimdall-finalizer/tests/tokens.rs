//! Access tokens from elsewhere, and key stores, with doubles for everything outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing double or set-up ends the run"
)]

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use heimdall_finalizer::{
    AuthMethod, Failure, Flow, Http, HttpFault, HttpRequest, HttpResponse, KeyStores, Kind,
    TokenClient,
};
use heimdall_token::{Algorithm, SigningKey};
use heimdall_types::{ManualClock, Timestamp};

/// Gives prepared answers in turn, the last one again and again; waits while it is shut.
#[derive(Default)]
struct Queue {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<HttpRequest>>,
    shut: AtomicBool,
}

impl Queue {
    fn of(answers: &[(u16, &str)]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            ..Self::default()
        })
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Http for Queue {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        self.asked.lock().unwrap().push(request);
        std::future::poll_fn(|_| {
            if self.shut.load(Ordering::SeqCst) {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        let (status, body) = next.ok_or(HttpFault::Timeout)?;
        Ok(HttpResponse {
            status,
            headers: Vec::new(),
            body: body.into_bytes(),
        })
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)))
}

fn flow(cache_ttl: Option<u64>) -> Flow {
    Flow {
        token_url: "http://idp.example/token".into(),
        client_id: "my client".into(),
        client_secret: "p@ss+w/rd".into(),
        method: AuthMethod::BasicAuth,
        scopes: vec!["a".into(), "b".into()],
        cache_ttl: cache_ttl.map(Duration::from_secs),
    }
}

fn token(client: &TokenClient, flow: &Flow) -> Result<String, Failure> {
    block_on(client.token(flow)).map(|token| format!("{} {}", token.scheme, token.token))
}

#[test]
fn a_token_is_kept_until_five_seconds_before_its_end() {
    let (http, clock) = (
        Queue::of(&[(200, r#"{"access_token":"t","expires_in":60}"#)]),
        clock(),
    );
    let client = TokenClient::new(http.clone(), clock.clone());
    assert_eq!(token(&client, &flow(None)).unwrap(), "Bearer t");
    clock.advance(Duration::from_millis(54_999));
    token(&client, &flow(None)).unwrap();
    assert_eq!(http.count(), 1);
    clock.advance(Duration::from_millis(1));
    token(&client, &flow(None)).unwrap();
    assert_eq!(http.count(), 2);
}

#[test]
fn the_shorter_of_both_lives_counts_and_zero_switches_the_cache_off() {
    for (answer, ttl, pause, calls) in [
        (r#"{"access_token":"t","expires_in":60}"#, Some(10), 10, 2),
        (r#"{"access_token":"t","expires_in":60}"#, Some(10), 9, 1),
        (r#"{"access_token":"t","expires_in":60}"#, Some(0), 0, 2),
        (r#"{"access_token":"t"}"#, None, 0, 2),
        (r#"{"access_token":"t"}"#, Some(10), 9, 1),
        (r#"{"access_token":"t","expires_in":4}"#, Some(100), 0, 2),
    ] {
        let (http, clock) = (Queue::of(&[(200, answer)]), clock());
        let client = TokenClient::new(http.clone(), clock.clone());
        token(&client, &flow(ttl)).unwrap();
        clock.advance(Duration::from_secs(pause));
        token(&client, &flow(ttl)).unwrap();
        assert_eq!(http.count(), calls, "{answer} {ttl:?} {pause}");
    }
}

#[test]
fn a_token_for_some_scopes_is_not_given_for_others() {
    let (http, clock) = (
        Queue::of(&[(200, r#"{"access_token":"t","expires_in":60}"#)]),
        clock(),
    );
    let client = TokenClient::new(http.clone(), clock);
    for scopes in [
        vec!["foo", "bar"],
        vec!["foob", "ar"],
        vec!["bar", "foo"],
        vec!["foo bar"],
    ] {
        let flow = Flow {
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            ..flow(None)
        };
        token(&client, &flow).unwrap();
    }
    assert_eq!(http.count(), 4);
}

#[test]
fn concurrent_callers_make_one_call() {
    let (http, clock) = (
        Queue::of(&[(200, r#"{"access_token":"t","expires_in":60}"#)]),
        clock(),
    );
    http.shut.store(true, Ordering::SeqCst);
    let client = TokenClient::new(http.clone(), clock);
    let flow = flow(None);
    let mut callers: Vec<_> = (0..8).map(|_| Box::pin(client.token(&flow))).collect();
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        callers
            .iter_mut()
            .all(|caller| caller.as_mut().poll(&mut context).is_pending())
    );
    http.shut.store(false, Ordering::SeqCst);
    for caller in callers {
        assert_eq!(block_on(caller).unwrap().token, "t");
    }
    assert_eq!(http.count(), 1);
}

#[test]
fn id_and_secret_go_form_encoded_into_basic_or_into_the_body() {
    let http = Queue::of(&[(200, r#"{"access_token":"t"}"#)]);
    let client = TokenClient::new(http.clone(), clock());
    token(&client, &flow(None)).unwrap();
    token(
        &client,
        &Flow {
            method: AuthMethod::RequestBody,
            ..flow(None)
        },
    )
    .unwrap();
    let asked = http.asked.lock().unwrap();
    let basic = heimdall_finalizer::basic("my+client", "p%40ss%2Bw%2Frd");
    assert!(asked[0].headers.contains(&("Authorization".into(), basic)));
    assert_eq!(asked[0].body, b"grant_type=client_credentials&scope=a+b");
    let body = String::from_utf8(asked[1].body.clone()).unwrap();
    assert!(
        body.contains("client_id=my+client&client_secret=p%40ss%2Bw%2Frd"),
        "{body}"
    );
    assert!(
        asked[1]
            .headers
            .iter()
            .all(|(name, _)| name != "Authorization")
    );
}

#[test]
fn refusals_are_reported_and_never_become_tokens() {
    for (status, answer, kind, text) in [
        (
            400,
            r#"{"error":"invalid_client","error_description":"who?"}"#,
            Kind::Communication,
            "invalid_client, error_description: who?",
        ),
        (400, "<html>", Kind::Communication, "failed to fetch token"),
        (401, "{}", Kind::Communication, "401"),
        (500, "{}", Kind::Communication, "500"),
        (200, "<html>", Kind::Internal, "unmarshal"),
        (200, "[]", Kind::Internal, "unmarshal"),
        (200, r#"{"access_token":7}"#, Kind::Internal, "access_token"),
        (
            200,
            r#"{"access_token":"t","expires_in":"soon"}"#,
            Kind::Internal,
            "expires_in",
        ),
        (
            200,
            r#"{"token_type":"bearer"}"#,
            Kind::Communication,
            "no usable",
        ),
        (
            200,
            r#"{"access_token":"a\nb"}"#,
            Kind::Communication,
            "no usable",
        ),
    ] {
        let failure = token(
            &TokenClient::new(Queue::of(&[(status, answer)]), clock()),
            &flow(None),
        )
        .unwrap_err();
        assert!(
            failure.is(kind) && failure.message().contains(text),
            "{answer}: {failure}"
        );
        assert!(!failure.to_string().contains("p@ss"), "{failure}");
    }
    let away = TokenClient::new(Queue::of(&[]), clock());
    assert!(token(&away, &flow(None)).unwrap_err().is(Kind::Timeout));
}

#[test]
fn a_scheme_is_spelt_as_everybody_spells_it() {
    for (given, scheme) in [
        ("bearer", "Bearer"),
        ("MAC", "MAC"),
        ("basic", "Basic"),
        ("DPoP", "DPoP"),
        ("", "Bearer"),
    ] {
        let answer = format!(r#"{{"access_token":"t","token_type":"{given}"}}"#);
        let client = TokenClient::new(Queue::of(&[(200, &answer)]), clock());
        assert_eq!(token(&client, &flow(None)).unwrap(), format!("{scheme} t"));
    }
}

fn pem(key: &SigningKey, kid: &str) -> String {
    let body = heimdall_token::crypto::base64(key.material());
    format!("-----BEGIN PRIVATE KEY-----\nX-Key-ID: {kid}\n\n{body}\n-----END PRIVATE KEY-----\n")
}

#[test]
fn a_new_key_is_published_at_once_and_signs_ten_minutes_later() {
    let clock = clock();
    let stores = KeyStores::new(clock.clone());
    let (old, new) = (
        SigningKey::generate(Algorithm::Es256).unwrap(),
        SigningKey::generate(Algorithm::Es256).unwrap(),
    );
    let store = stores
        .open("keys.pem", None, None, || Ok(pem(&old, "old").into_bytes()))
        .unwrap();
    assert_eq!(store.signer(None).unwrap().kid(), "old");
    stores
        .reload(
            "keys.pem",
            format!("{}{}", pem(&new, "new"), pem(&old, "old")).as_bytes(),
        )
        .unwrap();
    let published = || {
        stores
            .published()
            .iter()
            .map(|jwk| jwk["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (published(), store.signer(None).unwrap().kid()),
        (vec!["new".into(), "old".into()], "old")
    );
    clock.advance(Duration::from_secs(599));
    assert_eq!(store.signer(None).unwrap().kid(), "old");
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.signer(None).unwrap().kid(), "new");
}

#[test]
fn a_key_that_is_gone_is_replaced_at_once_and_published_until_its_last_token_is_dead() {
    let clock = clock();
    let stores = KeyStores::new(clock.clone());
    let (old, new) = (
        SigningKey::generate(Algorithm::EdDsa).unwrap(),
        SigningKey::generate(Algorithm::Es384).unwrap(),
    );
    let store = stores
        .open("keys.pem", None, None, || Ok(pem(&old, "old").into_bytes()))
        .unwrap();
    store.expect_life(Duration::from_secs(300));
    stores
        .reload("keys.pem", pem(&new, "new").as_bytes())
        .unwrap();
    assert_eq!(
        (
            store.signer(None).unwrap().kid(),
            store.signer(None).unwrap().algorithm()
        ),
        ("new", "ES384")
    );
    assert_eq!(stores.published().len(), 2);
    clock.advance(Duration::from_secs(300));
    assert_eq!(stores.published().len(), 1);
}

#[test]
fn a_broken_file_keeps_the_old_keys() {
    let stores = KeyStores::new(clock());
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let store = stores
        .open("keys.pem", None, None, || Ok(pem(&key, "one").into_bytes()))
        .unwrap();
    for broken in ["", "garbage", "-----BEGIN PRIVATE KEY-----\n"] {
        assert!(
            stores.reload("keys.pem", broken.as_bytes()).is_err(),
            "{broken}"
        );
        assert_eq!(store.signer(None).unwrap().kid(), "one");
    }
    let private = ["d", "p", "q", "k"];
    assert!(
        stores
            .published()
            .iter()
            .all(|jwk| private.iter().all(|member| jwk.get(member).is_none()))
    );
}
