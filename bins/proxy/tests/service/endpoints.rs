use std::net::TcpListener;
use std::time::{Duration, Instant};

use heimdall_token::{Algorithm, Header, Signer, SigningKey};
use serde_json::json;

use super::world::{self, Service, Stub, config, nothing, rules};

const FILES: &str = "  file_system: {src: \"{DIR}/rules.yaml\"}";

fn bounded(what: &str, limit: Duration, run: impl FnOnce()) {
    let begun = Instant::now();
    run();
    assert!(begun.elapsed() < limit, "{what} took {:?}", begun.elapsed());
}

/// Accepts and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

const UNSIGNED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpIiwic3ViIjoicyJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Issue 5, C14: whatever cannot be reached, answers nonsense or says nothing denies, and in bounded time.
#[test]
fn endpoints_that_fail_deny_in_bounded_time() {
    let stub = Stub::start(|seen| match seen.line() {
        line if line.contains("/html") => (
            200,
            "Content-Type: text/html\r\n".to_owned(),
            "<html>".to_owned(),
        ),
        line if line.contains("/500") => (500, String::new(), String::new()),
        line if line.contains("/large") => world::json(&format!(
            "{{\"keys\": [], \"x\": \"{}\"}}",
            "y".repeat(5 << 20)
        )),
        line if line.contains("/oct") => world::json(
            "{\"keys\": [{\"kty\": \"oct\", \"kid\": \"k\", \"alg\": \"ES256\", \"k\": \"c2VjcmV0\"}]}",
        ),
        _ => nothing(),
    });
    let (_silence, silence) = silent();
    let mut authenticators = "  authenticators:\n    - {id: anyone, type: anonymous}\n".to_owned();
    let mut finalizers = "  finalizers:\n".to_owned();
    let mut all = Vec::new();
    let dead = "http://127.0.0.1:1".to_owned();
    for (name, url) in [
        ("dead", dead),
        ("silent", silence),
        ("html", "{STUB}/html".to_owned()),
        ("fails", "{STUB}/500".to_owned()),
        ("large", "{STUB}/large".to_owned()),
        ("oct", "{STUB}/oct".to_owned()),
    ] {
        authenticators.push_str(&format!("    - {{id: jwt-{name}, type: jwt, config: {{jwks_endpoint: {{url: \"{url}\", retry: {{give_up_after: 1s}}}}, assertions: {{issuers: [i]}}}}}}\n"));
        authenticators.push_str(&format!("    - {{id: ask-{name}, type: oauth2_introspection, config: {{introspection_endpoint: {{url: \"{url}\", retry: {{give_up_after: 1s}}}}}}}}\n"));
        finalizers.push_str(&format!("    - {{id: cc-{name}, type: oauth2_client_credentials, config: {{token_url: \"{url}\", client_id: a, client_secret: b}}}}\n"));
        all.push((
            format!("jwt-{name}"),
            format!("{{authenticator: jwt-{name}}}"),
        ));
        all.push((
            format!("ask-{name}"),
            format!("{{authenticator: ask-{name}}}"),
        ));
        all.push((
            format!("cc-{name}"),
            format!("{{authenticator: anyone}}, {{finalizer: cc-{name}}}"),
        ));
    }
    let table = all
        .iter()
        .map(|(id, steps)| (id.as_str(), format!("/{id}"), steps.as_str()))
        .collect::<Vec<_>>();
    let text = rules(
        &table
            .iter()
            .map(|(id, path, steps)| (*id, path.as_str(), *steps, ""))
            .collect::<Vec<_>>(),
    );
    let service = Service::start(
        &stub,
        &[
            (
                "heimdall.yaml",
                &config(&format!("{authenticators}{finalizers}"), FILES),
            ),
            ("rules.yaml", &text),
        ],
    );
    std::thread::scope(|scope| {
        for (_, path, _) in &table {
            let service = &service;
            scope.spawn(move || {
                bounded(path, Duration::from_secs(20), || {
                    let answer =
                        service.with(path, &format!("Authorization: Bearer {UNSIGNED}\r\n"));
                    assert!(
                        matches!(answer.status, 401 | 500 | 502),
                        "{path}: {}",
                        answer.status
                    );
                });
            });
        }
    });
    assert!(service.upstream.take().is_empty(), "nothing passed");
}

/// C13: keys that nobody has heard of make one fetch per cool-down, not one each.
#[test]
fn unknown_key_ids_do_not_make_a_call_each() {
    let stub = Stub::start(|_| world::json("{\"keys\": []}"));
    let mechanisms = "  authenticators: [{id: token, type: jwt, config: {jwks_endpoint: {url: \"{STUB}/jwks\"}, assertions: {issuers: [i]}}}]";
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &config(mechanisms, FILES)),
            (
                "rules.yaml",
                &rules(&[("a", "/a", "{authenticator: token}", "")]),
            ),
        ],
    );
    let mut client = super::support::Client::to(service.address);
    let mut signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
    for number in 0..200 {
        if number % 20 == 0 {
            signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        }
        let token = signer
            .sign(
                &Header::typ("JWT"),
                &json!({"iss": "i", "sub": format!("s{number}")}),
            )
            .unwrap();
        let answer = client
            .send(format!(
                "GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
            ))
            .answer()
            .unwrap();
        assert_eq!(answer.status, 401);
    }
    let asked = stub.asked("/jwks").len();
    assert!((1..=3).contains(&asked), "{asked} fetches");
}

/// `on: absent` lets `anonymous` in for absent credentials only; a failing endpoint is no absence.
#[test]
fn anonymous_on_absent_takes_no_bad_credential() {
    let stub = Stub::start(|_| (503, String::new(), String::new()));
    let mechanisms = "  authenticators:\n    - {id: anyone, type: anonymous}\n    - {id: ask, type: oauth2_introspection, config: {introspection_endpoint: {url: \"{STUB}/ask\"}}}";
    let all = rules(&[
        (
            "strict",
            "/strict",
            "{authenticator: ask}, {authenticator: anyone, on: absent}",
            "",
        ),
        (
            "lax",
            "/lax",
            "{authenticator: ask}, {authenticator: anyone}",
            "",
        ),
    ]);
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &config(mechanisms, FILES)),
            ("rules.yaml", &all),
        ],
    );
    assert_eq!(service.get("/strict").status, 200);
    assert_eq!(
        service
            .with("/strict", "Authorization: Bearer x\r\n")
            .status,
        502
    );
    assert_eq!(
        service.with("/strict", "Authorization: Basic x\r\n").status,
        401,
        "another credential is no absence"
    );
    assert_eq!(
        service.with("/lax", "Authorization: Bearer x\r\n").status,
        200
    );
}
