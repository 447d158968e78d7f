//! The tables A1 to A6 of the threat model.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::signer::compact;
use crate::{AccessClaims, Header, Signer, SigningKey, crypto};

const NOW: i64 = 1_800_000_000;

struct Scene {
    signer: Signer,
    keys: PublicKeys,
    verifier: Verifier,
}

impl Scene {
    fn new(algorithm: Algorithm) -> Self {
        let signer = Signer::new(SigningKey::generate(algorithm).unwrap().with_kid("k1"));
        let keys = PublicKeys::of([signer.key().public().clone()]);
        let policy = Policy::new(AccessClaims::TYP)
            .issuer("https://id")
            .audience("acme")
            .require("sub");
        Self {
            signer,
            keys,
            verifier: Verifier::new(policy),
        }
    }

    fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.verifier
            .verify(token, &self.keys, Timestamp::from_seconds(NOW))
    }

    /// Signed honestly, whatever the header and the claims say.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        self.signed_text(&header.to_string(), &claims.to_string())
    }

    fn signed_text(&self, header: &str, claims: &str) -> String {
        let header = crypto::base64url(header.as_bytes());
        compact(header, claims.as_bytes(), |message| {
            self.signer.key().sign(message)
        })
        .unwrap()
    }

    fn with_claim(&self, name: &str, value: Value) -> Result<Claims, TokenError> {
        let mut claims = claims();
        claims[name] = value;
        self.verify(&self.signed(&header(), &claims))
    }

    fn with_header(&self, name: &str, value: Value) -> Result<Claims, TokenError> {
        let mut header = header();
        header[name] = value;
        self.verify(&self.signed(&header, &claims()))
    }
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" })
}

fn claims() -> Value {
    json!({ "iss": "https://id", "aud": "acme", "sub": "usr_1", "exp": NOW + 100, "nbf": NOW, "iat": NOW })
}

#[test]
fn an_honest_token_holds_for_every_algorithm() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let scene = Scene::new(algorithm);
        let token = scene
            .signer
            .sign(&Header::typ("at+jwt"), &claims())
            .unwrap();
        assert_eq!(scene.verify(&token).unwrap().subject(), Some("usr_1"));
        let checks = scene
            .verifier
            .examine(&token, &scene.keys, Timestamp::from_seconds(NOW));
        assert!(
            checks.iter().all(|check| check.outcome.is_ok()),
            "{checks:?}"
        );
    }
}

#[test]
fn a1_no_algorithm_and_no_signature_is_no_token() {
    let scene = Scene::new(Algorithm::Es256);
    let good = scene.signed(&header(), &claims());
    let body = good.rsplit_once('.').unwrap().0;
    for cut in [
        format!("{body}."),
        body.to_owned(),
        format!("{good}."),
        format!("{good}.e30"),
        String::new(),
    ] {
        assert!(
            matches!(scene.verify(&cut), Err(TokenError::Malformed(_))),
            "{cut}"
        );
    }
    for alg in [
        "none", "None", "NONE", "nOnE", "", "ES384", "HS256", "es256",
    ] {
        assert_eq!(
            scene.with_header("alg", alg.into()),
            Err(TokenError::Algorithm),
            "{alg}"
        );
    }
    for alg in [json!(null), json!(0), json!(["ES256"])] {
        assert_eq!(
            scene.with_header("alg", alg.clone()),
            Err(TokenError::Algorithm),
            "{alg}"
        );
    }
}

#[test]
fn a2_a_public_key_is_never_a_secret() {
    let scene = Scene::new(Algorithm::Es256);
    let jwk = scene.signer.key().public().jwk();
    let set = scene.keys.document().body();
    let raw = crypto::from_base64url(jwk["x"].as_str().unwrap()).unwrap();
    let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", raw.clone()));
    for secret in [
        pem.as_bytes(),
        raw.as_slice(),
        jwk.to_string().as_bytes(),
        &set[..],
        b"",
    ] {
        let header = crypto::base64url(
            json!({ "alg": "HS256", "kid": "k1", "typ": "at+jwt" })
                .to_string()
                .as_bytes(),
        );
        let sign = |message: &[u8]| Some(crypto::hmac_sha256(secret, message).to_vec());
        let token = compact(header, claims().to_string().as_bytes(), sign).unwrap();
        assert_eq!(scene.verify(&token), Err(TokenError::Algorithm));
        let read = Unverified::parse(&token).unwrap();
        assert!(!read.verify_signature(scene.signer.key().public(), Algorithm::Hs256));
    }
}

#[test]
fn a3_the_name_of_the_key_is_a_name_only() {
    let scene = Scene::new(Algorithm::Es256);
    for kid in ["../../keys/x", "' OR 1=1--", "K1", "k1 "] {
        assert_eq!(
            scene.with_header("kid", kid.into()),
            Err(TokenError::UnknownKey),
            "{kid}"
        );
    }
    for kid in [
        json!("k1\0"),
        json!(""),
        json!("k".repeat(10_000)),
        json!(1),
        json!(["k1"]),
        json!(null),
    ] {
        assert_eq!(
            scene.with_header("kid", kid.clone()),
            Err(TokenError::Header("kid")),
            "{kid}"
        );
    }
    let unnamed = scene.signed(&json!({ "alg": "ES256", "typ": "at+jwt" }), &claims());
    assert_eq!(scene.verify(&unnamed), Err(TokenError::Header("kid")));
}

#[test]
fn a4_no_header_points_elsewhere_for_a_key() {
    let scene = Scene::new(Algorithm::Es256);
    let jwk = scene.signer.key().public().jwk();
    for (name, value) in [
        ("jku", json!("http://127.0.0.1:1/jwks")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("jwk", jwk),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["x"])),
        ("crit", json!([])),
        ("b64", json!(false)),
    ] {
        assert_eq!(
            scene.with_header(name, value),
            Err(TokenError::Header(name))
        );
    }
}

#[test]
fn a5_times_are_numbers_within_reason() {
    let scene = Scene::new(Algorithm::Es256);
    for name in ["exp", "nbf", "iat"] {
        let texts = [
            json!("1900000000"),
            json!(null),
            json!(1e308),
            json!(-1),
            json!([]),
            json!(true),
            json!(1e20),
        ];
        for value in texts {
            assert_eq!(
                scene.with_claim(name, value.clone()),
                Err(TokenError::Claim(name.into())),
                "{name} {value}"
            );
        }
    }
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(
        scene.verify(&scene.signed(&header(), &endless)),
        Err(TokenError::Absent("exp".into()))
    );
    assert_eq!(
        scene.with_claim("exp", json!(NOW - 10)),
        Err(TokenError::Expired)
    );
    assert!(scene.with_claim("exp", json!(NOW - 9)).is_ok());
    assert!(scene.with_claim("exp", json!(NOW as f64 + 0.5)).is_ok());
    assert_eq!(scene.with_claim("exp", json!(0)), Err(TokenError::Expired));
    assert_eq!(
        scene.with_claim("nbf", json!(NOW + 11)),
        Err(TokenError::NotYetValid)
    );
    assert_eq!(
        scene.with_claim("iat", json!(NOW + 11)),
        Err(TokenError::NotYetValid)
    );
    assert_eq!(
        Policy::new("JWT").leeway(Duration::from_secs(3_600)).leeway,
        Policy::MAX_LEEWAY
    );
}

#[test]
fn a6_tokens_for_others_are_refused() {
    let scene = Scene::new(Algorithm::Es256);
    assert_eq!(
        scene.with_claim("iss", json!("https://id/")),
        Err(TokenError::Issuer)
    );
    assert_eq!(
        scene.with_claim("iss", json!(["https://id"])),
        Err(TokenError::Claim("iss".into()))
    );
    assert_eq!(
        scene.with_claim("aud", json!("other")),
        Err(TokenError::Audience)
    );
    assert_eq!(
        scene.with_claim("aud", json!([])),
        Err(TokenError::Audience)
    );
    assert!(scene.with_claim("aud", json!(["other", "acme"])).is_ok());
    assert_eq!(
        scene.with_claim("aud", json!(["acme", 1])),
        Err(TokenError::Claim("aud".into()))
    );
    assert_eq!(
        scene.with_claim("aud", json!({ "acme": 1 })),
        Err(TokenError::Claim("aud".into()))
    );
    assert_eq!(
        scene.with_claim("sub", json!(1)),
        Err(TokenError::Claim("sub".into()))
    );
    assert_eq!(
        scene.with_claim("sub", json!(null)),
        Err(TokenError::Claim("sub".into()))
    );
    for typ in [
        "JWT",
        "step-action+jwt",
        "approval+jwt",
        "dpop+jwt",
        "at+jwt2",
        "application/x/at+jwt",
    ] {
        assert_eq!(
            scene.with_header("typ", typ.into()),
            Err(TokenError::Type),
            "{typ}"
        );
    }
    for typ in ["AT+JWT", "application/at+jwt"] {
        assert!(scene.with_header("typ", typ.into()).is_ok(), "{typ}");
    }
    let untyped = scene.signed(&json!({ "alg": "ES256", "kid": "k1" }), &claims());
    assert_eq!(scene.verify(&untyped), Err(TokenError::Type));
}

#[test]
fn a_closed_policy_refuses_everything() {
    let scene = Scene::new(Algorithm::Es256);
    let token = scene.signed(&header(), &claims());
    let closed = Verifier::new(Policy::new("at+jwt"));
    assert_eq!(
        closed.verify(&token, &scene.keys, Timestamp::from_seconds(NOW)),
        Err(TokenError::Issuer)
    );
    let narrow = Policy::new("at+jwt")
        .any_issuer()
        .any_audience()
        .algorithms([Algorithm::EdDsa]);
    let refused = Verifier::new(narrow).verify(&token, &scene.keys, Timestamp::from_seconds(NOW));
    assert_eq!(refused, Err(TokenError::Algorithm));
}

#[test]
fn a_second_reading_is_no_reading() {
    let scene = Scene::new(Algorithm::Es256);
    let doubled =
        r#"{"iss":"https://id","aud":"acme","sub":"usr_1","exp":1900000000,"sub":"usr_2"}"#;
    let token = scene.signed_text(&header().to_string(), doubled);
    assert!(matches!(
        scene.verify(&token),
        Err(TokenError::Malformed(_))
    ));
    let token = scene.signed_text(
        r#"{"alg":"ES256","kid":"k1","typ":"at+jwt","kid":"k1"}"#,
        &claims().to_string(),
    );
    assert!(matches!(
        scene.verify(&token),
        Err(TokenError::Malformed(_))
    ));
    let huge = scene.with_claim("pad", json!("x".repeat(20_000)));
    assert_eq!(huge, Err(TokenError::TooLong));
    // The last character of a signature has unused bits: another spelling of the same bytes is another token.
    let good = scene.signed(&header(), &claims());
    assert!(scene.verify(&format!("{good}=")).is_err());
}

#[test]
fn a_token_without_a_key_name_needs_an_only_key() {
    let scene = Scene::new(Algorithm::Es256);
    let token = scene.signed(&json!({ "alg": "ES256", "typ": "at+jwt" }), &claims());
    let lenient = Verifier::new(
        Policy::new("at+jwt")
            .any_issuer()
            .any_audience()
            .key_id_optional(),
    );
    let now = Timestamp::from_seconds(NOW);
    assert!(lenient.verify(&token, &scene.keys, now).is_ok());
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let two = PublicKeys::of([scene.signer.key().public().clone(), other.public().clone()]);
    assert_eq!(
        lenient.verify(&token, &two, now),
        Err(TokenError::UnknownKey)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_panics_and_none_holds(text in ".{0,200}", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let scene = Scene::new(Algorithm::EdDsa);
        prop_assert!(scene.verify(&text).is_err());
        prop_assert!(scene.verify(&parts.join(".")).is_err());
    }

    #[test]
    fn any_changed_character_breaks_the_token(at in 0usize..2_000, with in "[A-Za-z0-9_.-]") {
        let scene = Scene::new(Algorithm::EdDsa);
        let header = json!({ "alg": "EdDSA", "kid": "k1", "typ": "at+jwt" });
        let good = scene.signed(&header, &claims());
        prop_assert!(scene.verify(&good).is_ok());
        let at = at % good.len();
        let changed: String =
            good.char_indices().map(|(n, c)| if n == at { with.clone() } else { c.to_string() }).collect();
        prop_assert_eq!(scene.verify(&changed).is_ok(), changed == good);
    }
}
