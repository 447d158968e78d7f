//! Keys and certificates: made, signed by one another, and read back by another library.

use std::time::SystemTime;

use heimdall_template::{
    CallError, Engine, Environment, Error, ErrorKind, FunctionSet, Limit, Limits,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::json;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};

/// The machine's clock and randomness.
struct Machine;

impl Environment for Machine {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), CallError> {
        SystemRandom::new()
            .fill(bytes)
            .map_err(|_| CallError::new("no randomness"))
    }
}

fn render(template: &str) -> Result<String, Error> {
    Engine::builder()
        .functions(&FunctionSet::ALL)
        .environment(Machine)
        .build()
        .parse("t", template)?
        .render_to_string(&json!({}))
}

fn blocks(text: &str) -> Vec<Pem> {
    Pem::iter_from_buffer(text.as_bytes())
        .map(|block| block.expect("PEM"))
        .collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate
        .subject_alternative_name()
        .expect("one extension");
    names.map_or_else(Vec::new, |names| {
        names
            .value
            .general_names
            .iter()
            .map(|name| match name {
                GeneralName::DNSName(name) => (*name).to_owned(),
                GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
                other => format!("{other:?}"),
            })
            .collect()
    })
}

#[test]
fn a_certificate_is_signed_by_the_authority_that_was_made_for_it() {
    let text = render(
        r#"{{ $ca := genCA "an authority" 365 }}{{ $cert := genSignedCert "example.com" (list "10.0.0.1") (list "a.example.com" "b.example.com") 30 $ca }}{{ $ca.Cert }}{{ $ca.Key }}{{ $cert.Cert }}{{ $cert.Key }}"#,
    )
    .unwrap();
    let blocks = blocks(&text);
    let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "CERTIFICATE",
            "RSA PRIVATE KEY",
            "CERTIFICATE",
            "RSA PRIVATE KEY"
        ]
    );
    let (_, authority) = X509Certificate::from_der(&blocks[0].contents).unwrap();
    let (_, certificate) = X509Certificate::from_der(&blocks[2].contents).unwrap();
    assert!(authority.is_ca());
    assert!(!certificate.is_ca());
    assert_eq!(authority.subject().to_string(), "CN=an authority");
    assert_eq!(certificate.issuer(), authority.subject());
    assert_eq!(certificate.subject().to_string(), "CN=example.com");
    assert_eq!(
        names(&certificate),
        ["[10, 0, 0, 1]", "a.example.com", "b.example.com"]
    );
    let validity = certificate.validity();
    assert_eq!(
        validity.not_after.timestamp() - validity.not_before.timestamp(),
        30 * 86_400
    );
    // The keys in both are RSA keys; the authority's checks the signature.
    UnparsedPublicKey::new(
        &RSA_PKCS1_2048_8192_SHA256,
        authority.public_key().subject_public_key.data.as_ref(),
    )
    .verify(
        certificate.tbs_certificate.as_ref(),
        certificate.signature_value.data.as_ref(),
    )
    .expect("signed by the authority");
}

#[test]
fn keys_that_are_given_are_used() {
    for kind in ["ecdsa", "ed25519"] {
        let text = render(&format!(
            r#"{{{{ $key := genPrivateKey "{kind}" }}}}{{{{ $ca := genCAWithKey "ca" 10 $key }}}}{{{{ $self := genSelfSignedCertWithKey "self" nil (list "self.example") 10 $key }}}}{{{{ $leaf := genSignedCertWithKey "leaf" (list) (list) 10 $ca $key }}}}{{{{ eq $ca.Key $key $self.Key $leaf.Key }}}} {{{{ $self.Cert }}}}{{{{ $leaf.Cert }}}}"#
        ))
        .unwrap();
        let (same, certificates) = text.split_once(' ').unwrap();
        assert_eq!(same, "true", "{kind}");
        let blocks = blocks(certificates);
        let (_, own) = X509Certificate::from_der(&blocks[0].contents).unwrap();
        let (_, leaf) = X509Certificate::from_der(&blocks[1].contents).unwrap();
        assert_eq!(own.issuer(), own.subject());
        assert_eq!(names(&own), ["self.example"]);
        assert_eq!(leaf.issuer().to_string(), "CN=ca");
        assert_eq!(own.public_key(), leaf.public_key(), "{kind}");
    }
}

#[test]
fn a_custom_certificate_is_read_out_of_base64_and_checked() {
    let text = render(
        r#"{{ $made := genSelfSignedCertWithKey "x" nil nil 1 (genPrivateKey "ecdsa") }}{{ $read := buildCustomCert (b64enc $made.Cert) (b64enc $made.Key) }}{{ eq $read.Cert $made.Cert }} {{ eq $read.Key $made.Key }}"#,
    );
    assert_eq!(text.as_deref(), Ok("true true"));
    for template in [
        r#"{{ buildCustomCert "%" "%" }}"#,
        r#"{{ buildCustomCert (b64enc "no certificate") (b64enc "no key") }}"#,
        r#"{{ $made := genSelfSignedCertWithKey "x" nil nil 1 (genPrivateKey "ecdsa") }}{{ buildCustomCert (b64enc $made.Cert) (b64enc "no key") }}"#,
        r#"{{ genCAWithKey "x" 1 "no key" }}"#,
        r#"{{ genSelfSignedCertWithKey "x" (list "no address") nil 1 (genPrivateKey "ecdsa") }}"#,
        r#"{{ genSignedCert "x" nil nil 1 "no authority" }}"#,
    ] {
        assert!(render(template).is_err(), "{template}");
    }
}

#[test]
fn kinds_of_keys_are_told_apart() {
    let label = |kind: &str| {
        let text = render(&format!(r#"{{{{ genPrivateKey "{kind}" }}}}"#)).unwrap();
        blocks(&text).first().map(|block| block.label.clone())
    };
    assert_eq!(label("ecdsa").as_deref(), Some("EC PRIVATE KEY"));
    assert_eq!(label("ed25519").as_deref(), Some("PRIVATE KEY"));
    assert_eq!(label("something"), None);
    let error = render(r#"{{ genPrivateKey "dsa" }}"#).unwrap_err();
    assert!(error.message().contains("dsa"), "{error}");
}

#[test]
fn keys_cost_so_much_fuel_that_a_template_cannot_make_many() {
    let mut limits = Limits::default();
    limits.fuel /= 4;
    let engine = Engine::builder()
        .functions(&FunctionSet::ALL)
        .environment(Machine)
        .limits(limits)
        .build();
    let error = engine
        .parse("t", r#"{{ range 100 }}{{ $_ := genCA "x" 1 }}{{ end }}"#)
        .unwrap()
        .render_to_string(&json!({}))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit(Limit::Fuel));
}
