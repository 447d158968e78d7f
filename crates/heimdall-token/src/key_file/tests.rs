use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::json;

use super::*;
use crate::{Algorithm, TrustStore, crypto};
use heimdall_types::Timestamp;

// Throwaway keys, made by openssl for these tests alone.
const PKCS8: &str = include_str!("../../tests/keys/es256.pem");
const SEC1: &str = include_str!("../../tests/keys/es256-sec1.pem");
const ENCRYPTED: &str = include_str!("../../tests/keys/es256-encrypted.pem");
const SCRYPT: &str = include_str!("../../tests/keys/es256-scrypt.pem");
const ES384: &str = include_str!("../../tests/keys/es384-sec1.pem");
const ED25519: &str = include_str!("../../tests/keys/ed25519.pem");
const RSA: &str = include_str!("../../tests/keys/rsa2048.pem");
const RSA_PKCS1: &str = include_str!("../../tests/keys/rsa2048-pkcs1.pem");
const RSA_1024: &str = include_str!("../../tests/keys/rsa1024.pem");

fn only(text: &str) -> Result<SigningKey, KeyError> {
    KeyFile::from_pem(text, Some("hunter2")).map(|file| file.into_keys().remove(0))
}

#[test]
fn every_format_of_one_key_is_the_same_key() {
    let kid = only(PKCS8).unwrap().kid().to_owned();
    for text in [SEC1, ENCRYPTED, SCRYPT] {
        assert_eq!(only(text).unwrap().kid(), kid);
    }
    assert_eq!(only(RSA).unwrap().kid(), only(RSA_PKCS1).unwrap().kid());
}

#[test]
fn the_kind_of_key_chooses_the_algorithm_unless_another_is_asked_for() {
    for (text, algorithm) in [
        (PKCS8, Algorithm::Es256),
        (ES384, Algorithm::Es384),
        (ED25519, Algorithm::EdDsa),
        (RSA, Algorithm::Ps256),
    ] {
        let key = only(text).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let signature = key.sign(b"message").unwrap();
        assert!(key.public().verify(b"message", &signature), "{algorithm}");
    }
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ] {
        let key = SigningKey::from_pem(RSA, None, Some(algorithm)).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(key.public().verify(b"message", &signature), "{algorithm}");
        assert!(
            !key.public()
                .verify_with(Algorithm::Ps256, b"message", &signature),
            "{algorithm}"
        );
    }
    assert_eq!(
        SigningKey::from_pem(PKCS8, None, Some(Algorithm::Rs256)).unwrap_err(),
        KeyError::Mismatch
    );
}

#[test]
fn names_come_from_the_header_or_the_thumbprint() {
    let named = PKCS8.replacen("-----\n", "-----\nX-Key-ID: mine\n\n", 1);
    assert_eq!(only(&named).unwrap().kid(), "mine");
    let both = format!("{named}{ED25519}");
    let file = KeyFile::from_pem(&both, None).unwrap();
    assert_eq!(file.keys().len(), 2);
    assert!(file.key("mine").is_some());
    assert_eq!(file.public().len(), 2);
    let twice = KeyFile::from_pem(&format!("{PKCS8}{SEC1}"), None).unwrap_err();
    assert!(matches!(twice, KeyError::Duplicate(_)));
}

#[test]
fn bad_files_are_refused() {
    assert_eq!(KeyFile::from_pem("", None).unwrap_err(), KeyError::Empty);
    assert_eq!(
        KeyFile::from_pem(ENCRYPTED, None).unwrap_err(),
        KeyError::Password
    );
    assert_eq!(
        KeyFile::from_pem(ENCRYPTED, Some("wrong")).unwrap_err(),
        KeyError::Password
    );
    assert!(matches!(only(RSA_1024), Err(KeyError::Rejected(_))));
    let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    assert_eq!(
        only(public).unwrap_err(),
        KeyError::Block("PUBLIC KEY".into())
    );
    let cut: String = PKCS8
        .lines()
        .enumerate()
        .filter(|(n, _)| *n != 2)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    assert!(only(&cut).is_err());
}

#[test]
fn private_jwks_are_read_and_must_fit_their_public_half() {
    let jwk = |d: &str| {
        // RFC 8037 appendix A.1.
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "d": d,
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
    };
    let good = jwk("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let key = SigningKey::from_jwk(&good).unwrap();
    assert_eq!((key.kid(), key.algorithm()), ("a", Algorithm::EdDsa));
    let other = SigningKey::from_jwk(&jwk(&crypto::base64url(&[7; 32]))).unwrap_err();
    assert_eq!(other, KeyError::Member("x"));
    let set = json!({ "keys": [good] }).to_string();
    assert!(KeyFile::parse(&set, None).unwrap().key("a").is_some());
    assert!(KeyFile::from_jwks(r#"{"keys":[]}"#).is_err());
    let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(
        SigningKey::from_jwk(&public).unwrap_err(),
        KeyError::Member("d")
    );
    // RFC 7515 appendix A.3.
    let ec = json!({ "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI" });
    assert_eq!(
        SigningKey::from_jwk(&ec).unwrap().algorithm(),
        Algorithm::Es256
    );
}

struct Certified {
    key: String,
    own: rcgen::Certificate,
    root: rcgen::Certificate,
}

fn certified(usages: Vec<KeyUsagePurpose>, authority: bool) -> Certified {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "root");
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let own_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["signer.example".into()]).unwrap();
    params.key_usages = usages;
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    let own = params.signed_by(&own_key, &issuer).unwrap();
    Certified {
        key: own_key.serialize_pem(),
        own,
        root,
    }
}

#[test]
fn certificates_find_their_key_name_it_and_stand_in_the_key_set() {
    let made = certified(vec![KeyUsagePurpose::DigitalSignature], true);
    let file = KeyFile::from_pem(
        &format!("{}{}{}", made.root.pem(), made.key, made.own.pem()),
        None,
    )
    .unwrap();
    let key = &file.keys()[0];
    let chain = key.certificates().unwrap();
    assert_eq!(
        chain.der(),
        [made.own.der().to_vec(), made.root.der().to_vec()]
    );
    assert_eq!(key.kid(), chain.subject_key_id().unwrap());
    assert_eq!(key.public().jwk()["x5c"][0], crypto::base64(made.own.der()));
    assert!(chain.allows_signing());

    let now = chain.not_before();
    let roots = TrustStore::from_pem(&made.root.pem()).unwrap();
    let leaf = &chain.der()[..1];
    assert_eq!(roots.check(leaf, now), Ok(()));
    assert_eq!(roots.check(chain.der(), now), Ok(()));
    assert!(roots.check(leaf, Timestamp::from_seconds(0)).is_err());
    let stranger = TrustStore::from_pem(&certified(Vec::new(), true).root.pem()).unwrap();
    assert!(stranger.check(chain.der(), now).is_err());
    assert!(TrustStore::default().check(chain.der(), now).is_err());
}

#[test]
fn chains_that_do_not_hold_are_refused() {
    let made = certified(vec![KeyUsagePurpose::KeyEncipherment], true);
    let roots = TrustStore::from_pem(&made.root.pem()).unwrap();
    let file = KeyFile::from_pem(&format!("{}{}", made.key, made.own.pem()), None).unwrap();
    let chain = file.keys()[0].certificates().unwrap();
    assert!(!chain.allows_signing());
    assert!(roots.check(chain.der(), chain.not_before()).is_err());

    let not_an_authority = certified(Vec::new(), false);
    let text = format!(
        "{}{}{}",
        not_an_authority.key,
        not_an_authority.own.pem(),
        not_an_authority.root.pem()
    );
    assert!(matches!(
        KeyFile::from_pem(&text, None),
        Err(KeyError::Certificate(_))
    ));
    let made = certified(Vec::new(), true);
    let roots = TrustStore::from_pem(&made.root.pem()).unwrap();
    let upside_down = [made.root.der().to_vec(), made.own.der().to_vec()];
    assert!(
        TrustStore::default()
            .check(&upside_down, Timestamp::from_seconds(1_800_000_000))
            .is_err()
    );
    assert!(
        roots
            .check(&[], Timestamp::from_seconds(1_800_000_000))
            .is_err()
    );
}
