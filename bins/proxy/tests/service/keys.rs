use heimdall_token::Unverified;
use serde_json::Value;

use super::support::Client;
use super::world::{Service, Stub, config, nothing, rules, wait_for};

const MECHANISMS: &str = "  authenticators: [{id: anyone, type: anonymous}]\n  contextualizers: [{id: facts, type: map, config: {items: {p: \"{{ .Request.URL.Path }}\"}}}]\n  finalizers: [{id: sign, type: jwt, config: {ttl: 1h, claims: '{\"p\": {{ quote .Outputs.facts.p }} }', signer: {key_store: {path: \"{DIR}/keys.pem\"}}}}]";
const FILES: &str = "  file_system: {src: \"{DIR}/rules.yaml\"}";

fn key() -> String {
    rcgen::KeyPair::generate().unwrap().serialize_pem()
}

fn kids(service: &Service) -> Vec<String> {
    let set: Value = serde_json::from_str(&service.manage("/.well-known/jwks")).unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// The `kid` of the token that the upstream got last.
fn signed_with(service: &Service, path: &str) -> String {
    assert_eq!(service.get(path).status, 200);
    let seen = service.upstream.take().pop().unwrap();
    let token = seen.values("authorization").pop().unwrap();
    let token = Unverified::parse(token.trim_start_matches("Bearer ")).unwrap();
    token.kid().unwrap().unwrap().to_owned()
}

/// F7: a new key file needs no restart. The new key is published at once and does not sign yet; a broken file changes
/// nothing and is counted; a key that is gone signs no more and stays published while its tokens live.
#[test]
fn a_new_key_file_is_published_at_once_and_a_broken_one_is_not_believed() {
    let stub = Stub::start(|_| nothing());
    let all = rules(&[(
        "a",
        "\"/**\"",
        "{authenticator: anyone}, {contextualizer: facts}, {finalizer: sign}",
        "",
    )]);
    let (old, new) = (key(), key());
    let service = Service::start(
        &stub,
        &[
            ("heimdall.yaml", &config(MECHANISMS, FILES)),
            ("rules.yaml", &all),
            ("keys.pem", &old),
        ],
    );
    let first = signed_with(&service, "/1");
    assert_eq!(kids(&service), std::slice::from_ref(&first));
    let etag = |service: &Service| {
        Client::to(service.management)
            .get("/.well-known/jwks")
            .header("etag")
            .unwrap()
            .to_owned()
    };
    let tag = etag(&service);
    service.write("keys.pem", &format!("{new}{old}"));
    wait_for("both keys are published", || kids(&service).len() == 2);
    assert_ne!(etag(&service), tag);
    assert_eq!(
        signed_with(&service, "/2"),
        first,
        "verifiers may not know the new key for ten minutes"
    );
    let both = kids(&service);
    assert!(both.is_sorted());
    for broken in ["", "no keys", &new[..new.len() / 2]] {
        let failed = service.metric("failed_key_reloads_total");
        service.write("keys.pem", broken);
        wait_for("a broken file is counted", || {
            service.metric("failed_key_reloads_total") > failed
        });
        assert_eq!(
            (kids(&service), signed_with(&service, "/3")),
            (both.clone(), first.clone())
        );
    }
    service.write("keys.pem", &new);
    wait_for("the new key signs when the old one is gone", || {
        signed_with(&service, "/4") != first
    });
    assert!(
        kids(&service).contains(&first),
        "tokens of the old key are still alive"
    );
}
