use std::fmt;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value, json};

use crate::algorithm::Family;
use crate::crypto::{self, PublicParts};
use crate::{Algorithm, KeyError};

/// The smallest and the largest RSA modulus that is believed, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key and the one algorithm that it verifies.
#[derive(Clone)]
pub struct PublicKey {
    kid: Option<String>,
    algorithm: Algorithm,
    declared: bool,
    key: DecodingKey,
    members: Map<String, Value>,
}

impl PublicKey {
    /// Reads a JWK (RFC 7517).
    ///
    /// Without `alg` the algorithm follows from the kind of key; an RSA key then verifies RS256 alone. See
    /// [`PublicKey::declares_algorithm`].
    ///
    /// # Errors
    ///
    /// A symmetric key, a private key, one that is not for signatures, an unknown kind, curve or algorithm, a modulus
    /// outside 2048 to 8192 bits, and members of the wrong type or length.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let members = jwk
            .as_object()
            .ok_or(KeyError::Shape("a JWK is a JSON object"))?;
        refuse_other_purposes(members)?;
        let declared = match members.get("alg") {
            None => None,
            Some(Value::String(name)) => {
                Some(name.parse::<Algorithm>().map_err(|_| KeyError::Algorithm)?)
            }
            Some(_) => return Err(KeyError::Shape("`alg` is a text")),
        };
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(KeyError::Shape("`kid` is a text")),
        };
        let (parts, implied) = parts_of(members)?;
        let algorithm = declared.unwrap_or(implied);
        if algorithm.family() != implied.family() {
            return Err(KeyError::Mismatch);
        }
        let mut key = Self::from_parts(algorithm, &parts)?;
        key.kid = kid;
        key.declared = declared.is_some();
        Ok(key)
    }

    pub(crate) fn from_parts(algorithm: Algorithm, parts: &PublicParts) -> Result<Self, KeyError> {
        let (key, members) = match parts {
            PublicParts::Ec { crv, x, y } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let members = json!({ "kty": "EC", "crv": crv, "x": crypto::base64url(x), "y": crypto::base64url(y) });
                (DecodingKey::from_ec_der(&point), members)
            }
            PublicParts::Okp { x } => (
                DecodingKey::from_ed_der(x),
                json!({ "kty": "OKP", "crv": "Ed25519", "x": crypto::base64url(x) }),
            ),
            PublicParts::Rsa { n, e } => {
                let members =
                    json!({ "kty": "RSA", "n": crypto::base64url(n), "e": crypto::base64url(e) });
                (DecodingKey::from_rsa_raw_components(n, e), members)
            }
            PublicParts::Secret => return Err(KeyError::Symmetric),
        };
        let members = match members {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        Ok(Self {
            kid: None,
            algorithm,
            declared: true,
            key,
            members,
        })
    }

    /// The name tokens call it by.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether its JWK named the algorithm; otherwise it was taken from the kind of key.
    pub fn declares_algorithm(&self) -> bool {
        self.declared
    }

    /// The RFC 7638 thumbprint: SHA-256 over the required members in canonical form, base64url.
    pub fn thumbprint(&self) -> String {
        let mut canonical = self.members.clone();
        canonical.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y" | "n" | "e"));
        // serde_json keeps or sorts members depending on features of the whole build; the hash must not.
        let mut names: Vec<_> = canonical.iter().collect();
        names.sort_by_key(|(name, _)| name.as_str());
        let body: Vec<String> = names
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        crypto::base64url(&crypto::sha256(
            format!("{{{}}}", body.join(",")).as_bytes(),
        ))
    }

    /// The JWK: public members, `alg`, `use` and `kid`, and nothing else that the source had.
    pub fn jwk(&self) -> Value {
        let mut members = self.members.clone();
        members.insert("alg".into(), self.algorithm.as_str().into());
        members.insert("use".into(), "sig".into());
        if let Some(kid) = &self.kid {
            members.insert("kid".into(), kid.as_str().into());
        }
        Value::Object(members)
    }

    /// Whether `signature` (raw bytes) is one of `message` by this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_with(self.algorithm, message, signature)
    }

    /// [`PublicKey::verify`] with another algorithm of the same kind of key, such as PS256 for an RSA key that names
    /// none. `false` whenever the kinds differ: an HMAC is never checked against a public key.
    pub fn verify_with(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        algorithm.family() == self.algorithm.family()
            && !algorithm.is_symmetric()
            && crypto::verify(algorithm, &self.key, message, signature)
    }

    /// Gives the key another name.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    pub(crate) fn with_chain(mut self, certificates: &[Vec<u8>]) -> Self {
        let chain = certificates
            .iter()
            .map(|der| Value::String(crypto::base64(der)))
            .collect();
        self.members.insert("x5c".into(), Value::Array(chain));
        self
    }

    /// The uncompressed point of an elliptic-curve key.
    pub(crate) fn point(&self) -> Option<Vec<u8>> {
        match parts_of(&self.members).ok()?.0 {
            PublicParts::Ec { x, y, .. } => Some([&[4], x.as_slice(), y.as_slice()].concat()),
            _ => None,
        }
    }

    pub(crate) fn has_same_point(&self, other: &Self) -> bool {
        self.thumbprint() == other.thumbprint()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn refuse_other_purposes(members: &Map<String, Value>) -> Result<(), KeyError> {
    if members.get("kty").and_then(Value::as_str) == Some("oct") || members.contains_key("k") {
        return Err(KeyError::Symmetric);
    }
    // A set that gives away its private key has lost it.
    if ["d", "p", "q", "dp", "dq", "qi", "oth"]
        .iter()
        .any(|name| members.contains_key(*name))
    {
        return Err(KeyError::Private);
    }
    if members.get("use").is_some_and(|usage| usage != "sig") {
        return Err(KeyError::Purpose);
    }
    let allowed = match members.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(KeyError::Purpose)
    }
}

fn parts_of(members: &Map<String, Value>) -> Result<(PublicParts, Algorithm), KeyError> {
    let bytes = |name: &'static str| {
        let text = members.get(name).and_then(Value::as_str);
        text.and_then(crypto::from_base64url)
            .ok_or(KeyError::Member(name))
    };
    let exactly = |name: &'static str, length: usize| {
        bytes(name).and_then(|found| {
            if found.len() == length {
                Ok(found)
            } else {
                Err(KeyError::Member(name))
            }
        })
    };
    let text = |name: &str| {
        members
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match (text("kty"), text("crv")) {
        ("EC", "P-256") => {
            let parts = PublicParts::Ec {
                crv: "P-256",
                x: exactly("x", 32)?,
                y: exactly("y", 32)?,
            };
            Ok((parts, Algorithm::Es256))
        }
        ("EC", "P-384") => {
            let parts = PublicParts::Ec {
                crv: "P-384",
                x: exactly("x", 48)?,
                y: exactly("y", 48)?,
            };
            Ok((parts, Algorithm::Es384))
        }
        ("OKP", "Ed25519") => Ok((
            PublicParts::Okp {
                x: exactly("x", 32)?,
            },
            Algorithm::EdDsa,
        )),
        ("RSA", _) => {
            let n = without_leading_zeros(bytes("n")?);
            let e = without_leading_zeros(bytes("e")?);
            if !RSA_BITS.contains(&bits(&n)) {
                return Err(KeyError::Size);
            }
            Ok((PublicParts::Rsa { n, e }, Algorithm::Rs256))
        }
        _ => Err(KeyError::Unsupported),
    }
}

fn without_leading_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

fn bits(n: &[u8]) -> usize {
    n.first()
        .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize)
}

pub(crate) fn family_of(parts: &PublicParts) -> Family {
    match parts {
        PublicParts::Ec { crv: "P-384", .. } => Family::P384,
        PublicParts::Ec { .. } => Family::P256,
        PublicParts::Okp { .. } => Family::Ed25519,
        PublicParts::Rsa { .. } => Family::Rsa,
        PublicParts::Secret => Family::Hmac,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7638 §3.1, key and thumbprint.
    const RSA: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let key =
            PublicKey::from_jwk(&json!({ "kty": "RSA", "n": RSA, "e": "AQAB", "alg": "RS256" }))
                .unwrap();
        assert_eq!(
            key.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_that_of_rfc_8037() {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(
            PublicKey::from_jwk(&jwk).unwrap().thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn keys_that_must_not_verify_are_refused() {
        let good = json!({ "kty": "RSA", "n": RSA, "e": "AQAB" });
        let with = |name: &str, value: Value| {
            let mut jwk = good.clone();
            jwk[name] = value;
            PublicKey::from_jwk(&jwk).map(|_| ()).unwrap_err()
        };
        assert_eq!(with("d", json!("AQAB")), KeyError::Private);
        assert_eq!(with("k", json!("AQAB")), KeyError::Symmetric);
        assert_eq!(with("use", json!("enc")), KeyError::Purpose);
        assert_eq!(with("key_ops", json!(["sign"])), KeyError::Purpose);
        assert_eq!(with("alg", json!("ES256")), KeyError::Mismatch);
        assert_eq!(with("alg", json!("HS256")), KeyError::Mismatch);
        assert_eq!(with("alg", json!("none")), KeyError::Algorithm);
        assert_eq!(with("alg", json!(1)), KeyError::Shape("`alg` is a text"));
        assert_eq!(with("n", json!("AQAB")), KeyError::Size);
        assert_eq!(with("kty", json!("oct")), KeyError::Symmetric);
        assert_eq!(with("kty", json!("AKP")), KeyError::Unsupported);
        assert_eq!(
            PublicKey::from_jwk(&json!([])).map(|_| ()).unwrap_err(),
            KeyError::Shape("a JWK is a JSON object")
        );
    }

    #[test]
    fn only_public_members_are_shown() {
        let jwk = json!({ "kty": "RSA", "n": RSA, "e": "AQAB", "x5u": "http://evil", "note": "secret", "kid": "a" });
        let shown = PublicKey::from_jwk(&jwk).unwrap().jwk();
        let mut names: Vec<_> = shown
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    }
}
