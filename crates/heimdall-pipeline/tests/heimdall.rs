//! Tokens of our own API, judged by the authority their bearer has now.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a failing double or set-up ends the run"
)]

mod support;

use std::sync::Arc;

use heimdall_pipeline::{Standing, Verdict};
use heimdall_token::{Algorithm, Header, PublicKeys, Signer, SigningKey};
use serde_json::{Value, json};
use support::{Bench, Live};

const CONFIG: &str = "
mechanisms:
  authenticators: [{id: ours, type: heimdall}]
  authorizers:
    - {id: write, type: permission, config: {permission: \"billing:write\"}}
    - {id: admin, type: approval, config: {role: billing-admin}}
";

const RULES: &str = "
  - id: write
    match: {routes: [{path: /write}]}
    forward_to: {host: up.example}
    execute: [{authenticator: ours}, {authorizer: write}]
  - id: admin
    match: {routes: [{path: /admin}]}
    forward_to: {host: up.example}
    execute: [{authenticator: ours}, {authorizer: admin}]
";

struct World {
    bench: Bench,
    live: Live,
    signer: Signer,
}

fn world() -> World {
    let bench = Bench::default();
    let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let keys = PublicKeys::of([signer.key().public().clone()]).document();
    let text = String::from_utf8(keys.body().to_vec()).unwrap();
    bench.http.answer(
        "http://api.example/heimdall/v1/.well-known/jwks.json",
        200,
        &text,
    );
    let live = bench.snapshot(CONFIG, RULES);
    World {
        bench,
        live,
        signer,
    }
}

impl World {
    fn token(&self, typ: &str, changes: Value) -> String {
        let mut claims = json!({
            "iss": "http://api.example/heimdall", "sub": "usr_1", "app_id": "app_1", "sid": "ses_1", "client_id": "sessions",
            "iat": 1_799_999_990, "exp": 1_800_000_600, "roles": ["reader"], "permissions": ["billing:read"],
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            };
        }
        format!(
            "Bearer {}",
            self.signer.sign(&Header::typ(typ), &claims).unwrap()
        )
    }

    fn ask(&self, path: &str, token: &str) -> u16 {
        self.live.status(path, &[("authorization", token)])
    }

    fn standing(&self, standing: Standing) {
        *self.bench.liveness.0.lock().unwrap() = standing;
    }
}

#[test]
fn a_missing_permission_is_a_problem_that_names_the_way_to_get_it() {
    let world = world();
    let token = world.token("at+jwt", json!({}));
    let Verdict::Respond(respond) = world.live.judge("/write", &[("authorization", &token)]) else {
        panic!("passed")
    };
    let problem: Value = serde_json::from_str(&respond.body).unwrap();
    assert_eq!(respond.status, 403);
    assert_eq!(problem["missing_permission"], "billing:write");
    assert_eq!(problem["requestable_roles"], json!(["billing-admin"]));
    assert_eq!(
        problem["request_url"],
        "https://portal.example/requests/new?role=billing-admin"
    );
}

#[test]
fn live_authority_beats_what_the_token_says() {
    let world = world();
    let (weak, strong) = (
        world.token("at+jwt", json!({})),
        world.token("at+jwt", json!({"permissions": ["billing:write"]})),
    );
    assert_eq!(
        (world.ask("/write", &weak), world.ask("/write", &strong)),
        (403, 200)
    );
    world.standing(Standing::Live {
        roles: Arc::from(["billing-admin".to_owned()]),
        permissions: Arc::from(["billing:write".to_owned()]),
    });
    assert_eq!(
        (world.ask("/write", &weak), world.ask("/admin", &weak)),
        (200, 200)
    );
    world.standing(Standing::Live {
        roles: Arc::from([]),
        permissions: Arc::from([]),
    });
    assert_eq!(
        (world.ask("/write", &strong), world.ask("/admin", &strong)),
        (403, 403)
    );
    world.standing(Standing::Revoked);
    assert_eq!(world.ask("/write", &strong), 401);
    world.standing(Standing::Unknown);
    assert!(world.ask("/write", &strong) >= 500);
}

#[test]
fn only_access_tokens_of_ours_are_taken() {
    let world = world();
    let rights = json!({"permissions": ["billing:write"]});
    assert_eq!(
        world.ask("/write", &world.token("at+jwt", rights.clone())),
        200
    );
    assert_eq!(
        world.ask("/write", &world.token("JWT", rights.clone())),
        401
    );
    assert_eq!(
        world.ask("/write", &world.token("approval+jwt", rights)),
        401
    );
    for changes in [
        json!({"exp": null}),
        json!({"exp": "soon"}),
        json!({"exp": 1_799_999_000}),
        json!({"app_id": null}),
        json!({"sub": null}),
        json!({"nbf": 1_900_000_000}),
    ] {
        assert_eq!(
            world.ask("/write", &world.token("at+jwt", changes.clone())),
            401,
            "{changes}"
        );
    }
    assert_eq!(world.ask("/write", "Bearer nonsense"), 401);
    assert_eq!(world.live.status("/write", &[]), 401);
}

#[test]
fn keys_are_fetched_once_and_unknown_ones_once_in_a_cool_down() {
    let world = world();
    let stranger = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
    for _ in 0..50 {
        assert_eq!(
            world.ask(
                "/write",
                &world.token("at+jwt", json!({"permissions": ["billing:write"]}))
            ),
            200
        );
    }
    assert_eq!(world.bench.http.count(), 1);
    for number in 0..50 {
        let claims = json!({"sub": "x", "app_id": "a", "exp": 1_800_000_600 + number});
        let token = format!(
            "Bearer {}",
            stranger.sign(&Header::typ("at+jwt"), &claims).unwrap()
        );
        assert_eq!(world.ask("/write", &token), 401);
    }
    assert_eq!(world.bench.http.count(), 2);
}

#[test]
fn an_api_that_is_away_is_believed_for_a_while() {
    let world = world();
    let token = world.token(
        "at+jwt",
        json!({"permissions": ["billing:write"], "exp": 1_800_090_000}),
    );
    assert_eq!(world.ask("/write", &token), 200);
    world.bench.http.answers.lock().unwrap().clear();
    world
        .bench
        .clock
        .advance(std::time::Duration::from_secs(1_000));
    assert_eq!(world.ask("/write", &token), 200);
    world
        .bench
        .clock
        .advance(std::time::Duration::from_secs(7_200));
    assert!(world.ask("/write", &token) >= 500);
}
