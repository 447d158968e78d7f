use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Algorithm, SigningKey, TokenError, crypto};

/// The part of a token's header that the caller chooses; `alg` and `kid` are the key's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    typ: Option<String>,
    extra: Map<String, Value>,
}

impl Header {
    /// A header with this `typ`.
    pub fn typ(typ: impl Into<String>) -> Self {
        Self {
            typ: Some(typ.into()),
            extra: Map::new(),
        }
    }

    /// A header without `typ`.
    pub fn untyped() -> Self {
        Self::default()
    }

    /// Adds a member. `alg`, `kid` and `typ` are kept out.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if !matches!(name.as_str(), "alg" | "kid" | "typ") {
            self.extra.insert(name, value.into());
        }
        self
    }

    pub(crate) fn encode(&self, algorithm: Algorithm, kid: Option<&str>) -> String {
        let mut members = self.extra.clone();
        members.insert("alg".into(), algorithm.as_str().into());
        if let Some(kid) = kid {
            members.insert("kid".into(), kid.into());
        }
        if let Some(typ) = &self.typ {
            members.insert("typ".into(), typ.as_str().into());
        }
        crypto::base64url(Value::Object(members).to_string().as_bytes())
    }
}

/// Signs compact JWS (RFC 7515 §7.1) with a key that was parsed once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signer {
    key: Arc<SigningKey>,
}

impl Signer {
    /// A signer with this key.
    pub fn new(key: impl Into<Arc<SigningKey>>) -> Self {
        Self { key: key.into() }
    }

    /// The name of its key.
    pub fn kid(&self) -> &str {
        self.key.kid()
    }

    /// The algorithm of its key.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Signs `claims`, which must become a JSON object.
    ///
    /// # Errors
    ///
    /// [`TokenError::Signing`] when they do not, or the operating system gives no randomness.
    pub fn sign(&self, header: &Header, claims: &impl Serialize) -> Result<String, TokenError> {
        let payload = serde_json::to_vec(claims).map_err(|_| TokenError::Signing)?;
        if payload.first() != Some(&b'{') {
            return Err(TokenError::Signing);
        }
        self.compact(header, &payload)
    }

    /// Signs claims that are JSON text already; the text goes in as it is, so numbers keep their digits.
    ///
    /// # Errors
    ///
    /// [`TokenError::Signing`] when the operating system gives no randomness.
    pub fn sign_json(&self, typ: Option<&str>, claims: &str) -> Result<String, TokenError> {
        let header = typ.map_or_else(Header::untyped, Header::typ);
        self.compact(&header, claims.as_bytes())
    }

    fn compact(&self, header: &Header, payload: &[u8]) -> Result<String, TokenError> {
        let encoded = header.encode(self.key.algorithm(), Some(self.key.kid()));
        compact(encoded, payload, |message| self.key.sign(message))
    }
}

/// `header.payload.signature`, the header encoded already.
pub(crate) fn compact(
    header: String,
    payload: &[u8],
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<String, TokenError> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let mut token = header;
    token.reserve(payload.len() * 4 / 3 + 100);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = sign(token.as_bytes()).ok_or(TokenError::Signing)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_the_claims_is_signed_as_it_is() {
        let signer = Signer::new(SigningKey::generate(Algorithm::EdDsa).unwrap());
        let token = signer.sign_json(Some("JWT"), r#"{"n": 1.10}"#).unwrap();
        let read = crate::Unverified::parse(&token).unwrap();
        assert_eq!(read.payload(), br#"{"n": 1.10}"#);
        assert!(read.verify_signature(signer.key().public(), Algorithm::EdDsa));
        assert_eq!(read.header("typ"), Some(&"JWT".into()));
    }

    #[test]
    fn the_header_keeps_algorithm_and_key_of_the_signer() {
        let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let header = Header::untyped()
            .with("alg", "none")
            .with("kid", "x")
            .with("note", 1);
        let token = signer.sign(&header, &serde_json::json!({})).unwrap();
        let read = crate::Unverified::parse(&token).unwrap();
        assert_eq!(read.algorithm(), Ok(Algorithm::Es256));
        assert_eq!(read.kid(), Ok(Some(signer.kid())));
        assert_eq!(read.header("note"), Some(&1.into()));
        assert_eq!(signer.sign(&header, &[1]), Err(TokenError::Signing));
    }
}
