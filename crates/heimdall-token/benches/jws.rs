//! Signing and verifying against raw ring and against jsonwebtoken's `encode`.

#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use criterion::{Criterion, criterion_group, criterion_main};
use heimdall_token::{Algorithm, Header, Policy, PublicKeys, Signer, SigningKey, Verifier};
use heimdall_types::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::json;

fn es256(criterion: &mut Criterion) {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let raw = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        key.material(),
        &SystemRandom::new(),
    )
    .unwrap();
    let foreign = jsonwebtoken::EncodingKey::from_ec_der(key.material());
    let keys = PublicKeys::of([key.public().clone()]);
    let signer = Signer::new(key);
    let verifier = Verifier::new(
        Policy::new("at+jwt")
            .issuer("https://id.example/heimdall")
            .audience("acme"),
    );
    let claims = json!({
        "iss": "https://id.example/heimdall", "aud": "acme", "sub": "usr_01J000000000000000000000",
        "app_id": "app_01J000000000000000000000", "client_id": "sessions", "iat": 1_800_000_000,
        "nbf": 1_800_000_000, "exp": 1_800_000_900, "jti": "tok_1", "roles": ["admin"], "permissions": ["billing:read"],
    });
    let token = signer.sign(&Header::typ("at+jwt"), &claims).unwrap();
    let now = Timestamp::from_seconds(1_800_000_100);
    // Installs our provider, without which jsonwebtoken has none.
    verifier.verify(&token, &keys, now).unwrap();

    let rng = SystemRandom::new();
    let message = token.rsplit_once('.').unwrap().0.as_bytes();
    let made = raw.sign(&rng, message).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, raw.public_key().as_ref());
    let mut group = criterion.benchmark_group("ES256");
    group.bench_function("sign/ring", |bench| {
        bench.iter(|| raw.sign(&rng, message).unwrap())
    });
    group.bench_function("sign/ours", |bench| {
        bench.iter(|| signer.sign(&Header::typ("at+jwt"), &claims).unwrap())
    });
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    group.bench_function("sign/jsonwebtoken", |bench| {
        bench.iter(|| jsonwebtoken::encode(&header, &claims, &foreign).unwrap());
    });
    group.bench_function("verify/ring", |bench| {
        bench.iter(|| public.verify(message, made.as_ref()).unwrap())
    });
    group.bench_function("verify/ours", |bench| {
        bench.iter(|| verifier.verify(&token, &keys, now).unwrap())
    });
    group.finish();
}

criterion_group!(benches, es256);
criterion_main!(benches);
