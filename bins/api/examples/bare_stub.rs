//! The peer of `tests/load/api.sh`: what a token service costs when it does nothing but the unavoidable.
//!
//! `POST /token` parses the form, compares the SHA-256 of a secret and signs twelve claims with a parsed ES256 key.
//! `POST /introspect` verifies such a token. `GET /jwks` answers a constant. No limits, no log, no database.
//!
//! `cargo run --release -p heimdall-api --example bare_stub -- 127.0.0.1:9090`

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair};
use serde::{Deserialize, Serialize};

const SECRET: &str = "stub-secret-stub-secret-stub-secret-stub-secret";

#[derive(Deserialize)]
struct TokenForm {
    grant_type: String,
    client_id: String,
    client_secret: String,
}

#[derive(Deserialize)]
struct IntrospectForm {
    token: String,
}

#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    app_id: &'a str,
    client_id: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
    roles: Vec<&'a str>,
    permissions: Vec<&'a str>,
    scope: &'a str,
}

struct Stub {
    key: EcdsaKeyPair,
    rng: SystemRandom,
    secret: [u8; 32],
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

async fn token(stub: web::Data<Arc<Stub>>, form: web::Form<TokenForm>) -> HttpResponse {
    let digest = ring::digest::digest(&ring::digest::SHA256, form.client_secret.as_bytes());
    if form.grant_type != "client_credentials" || digest.as_ref() != stub.secret {
        return HttpResponse::Unauthorized().finish();
    }
    let mut random = [0u8; 16];
    if ring::rand::SecureRandom::fill(&stub.rng, &mut random).is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    let at = now();
    let claims = Claims {
        iss: "http://127.0.0.1/heimdall",
        aud: "acme",
        sub: &form.client_id,
        app_id: "app_01JNK2VX0000000000000000000",
        client_id: &form.client_id,
        iat: at,
        nbf: at,
        exp: at + 3600,
        jti: URL_SAFE_NO_PAD.encode(random),
        roles: vec!["reporter"],
        permissions: vec!["billing:read", "reports:read"],
        scope: "billing:read reports:read",
    };
    let Ok(body) = serde_json::to_vec(&claims) else {
        return HttpResponse::InternalServerError().finish();
    };
    let mut text = URL_SAFE_NO_PAD.encode(br#"{"alg":"ES256","typ":"at+jwt","kid":"stub"}"#);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(&body, &mut text);
    let Ok(signature) = stub.key.sign(&stub.rng, text.as_bytes()) else {
        return HttpResponse::InternalServerError().finish();
    };
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut text);
    HttpResponse::Ok()
        .json(serde_json::json!({"access_token": text, "token_type": "Bearer", "expires_in": 3600}))
}

async fn introspect(stub: web::Data<Arc<Stub>>, form: web::Form<IntrospectForm>) -> HttpResponse {
    let verified = || {
        let (input, signature) = form.token.rsplit_once('.')?;
        let (_, body) = input.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = signature::UnparsedPublicKey::new(
            &signature::ECDSA_P256_SHA256_FIXED,
            stub.key.public_key().as_ref(),
        );
        key.verify(input.as_bytes(), &signature).ok()?;
        serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    };
    match verified() {
        Some(mut claims) => {
            if let Some(members) = claims.as_object_mut() {
                members.insert("active".to_owned(), true.into());
            }
            HttpResponse::Ok().json(claims)
        }
        None => HttpResponse::Ok().json(serde_json::json!({"active": false})),
    }
}

async fn jwks() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"stub","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
    )
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9090".to_owned());
    let rng = SystemRandom::new();
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).map_err(std::io::Error::other)?;
    let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &rng)
        .map_err(std::io::Error::other)?;
    let mut secret = [0u8; 32];
    secret.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, SECRET.as_bytes()).as_ref());
    let stub = Arc::new(Stub { key, rng, secret });
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(stub.clone()))
            .route("/token", web::post().to(token))
            .route("/introspect", web::post().to(introspect))
            .route("/jwks", web::get().to(jwks))
    })
    .workers(2)
    .bind(address)?
    .run()
    .await
}
