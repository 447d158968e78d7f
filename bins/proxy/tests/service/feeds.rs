use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heimdall_token::{Algorithm, Header, PublicKeys, Signer, SigningKey};
use serde_json::json;

use super::world::{self, Service, Stub, config, nothing, rules};

/// The first token of an App that the proxy has not heard of is judged: the request waits for the first answer of the
/// API. Where none comes, it is denied in bounded time.
#[test]
fn the_first_token_of_an_app_waits_for_the_first_answer() {
    let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let keys = PublicKeys::of([signer.key().public().clone()]).document();
    let keys = String::from_utf8(keys.body().to_vec()).unwrap();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let token = |app: &str| {
        let claims =
            json!({"iss": "i", "sub": "usr_1", "app_id": app, "iat": now, "exp": now + 300});
        let token = signer.sign(&Header::typ("at+jwt"), &claims).unwrap();
        format!("Authorization: Bearer {token}\r\n")
    };
    let silent = Arc::new(AtomicBool::new(false));
    let quiet = silent.clone();
    let stub = Stub::start(move |seen| {
        if seen.line().contains("jwks") {
            return world::json(&keys);
        }
        if seen.line().contains("/revocations") {
            // The API takes its time.
            std::thread::sleep(if quiet.load(Ordering::Relaxed) {
                Duration::from_secs(30)
            } else {
                Duration::from_millis(400)
            });
            return world::json("{\"seq\": 1, \"data\": []}");
        }
        nothing()
    });
    let mechanisms = "  authenticators: [{id: ours, type: heimdall, config: {api: \"{STUB}\"}}]";
    let files = "  file_system: {src: \"{DIR}/rules.yaml\"}";
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &config(mechanisms, files)),
            (
                "rules.yaml",
                &rules(&[("a", "/a", "{authenticator: ours}", "")]),
            ),
        ],
    );
    assert_eq!(service.with("/a", &token("app_1")).status, 200);
    assert_eq!(service.with("/a", &token("app_2")).status, 200);
    silent.store(true, Ordering::Relaxed);
    let begun = std::time::Instant::now();
    assert_eq!(service.with("/a", &token("app_3")).status, 502);
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}
