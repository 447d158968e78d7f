use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{KeyError, PublicKey, crypto, json};

/// A larger key set is refused, in bytes.
const LONGEST: usize = 512 * 1024;

/// A JWK set, parsed once: keys by their names.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys {
    named: BTreeMap<String, PublicKey>,
    unnamed: Vec<PublicKey>,
}

/// A JWK set as it is served: body and strong ETag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    body: Bytes,
    etag: String,
}

impl Jwks {
    /// The JSON document. Cheap to clone.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The strong entity tag, with its quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

impl PublicKeys {
    /// A set of these keys; of two keys with one name the later stays.
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut set = Self::default();
        for key in keys {
            match key.kid().map(str::to_owned) {
                Some(kid) => {
                    set.named.insert(kid, key);
                }
                None => set.unnamed.push(key),
            }
        }
        set
    }

    /// Reads a JWK set (RFC 7517 §5).
    ///
    /// Keys that cannot verify signatures here (symmetric, for encryption, of unknown kinds) are left out, as the RFC
    /// wants it. Keys that share a name are left out too, all of them: which one was meant cannot be known.
    ///
    /// # Errors
    ///
    /// Larger than 512 KiB, not JSON, no list `keys`.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        if text.len() > LONGEST {
            return Err(KeyError::Shape("the key set is too large"));
        }
        let document = json::parse(text).map_err(|_| KeyError::Shape("the key set is not JSON"))?;
        let keys = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeyError::Shape("there is no list `keys`"))?;
        let mut seen = BTreeSet::new();
        let mut doubtful = BTreeSet::new();
        for kid in keys
            .iter()
            .filter_map(|jwk| jwk.get("kid"))
            .filter_map(Value::as_str)
        {
            if !seen.insert(kid) {
                doubtful.insert(kid);
            }
        }
        let usable = keys.iter().filter_map(|jwk| PublicKey::from_jwk(jwk).ok());
        Ok(Self::of(usable.filter(|key| {
            !key.kid().is_some_and(|kid| doubtful.contains(kid))
        })))
    }

    /// The key of that name.
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.named.get(kid)
    }

    /// Every key, the named ones sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.named.values().chain(&self.unnamed)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.named.len() + self.unnamed.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The document to serve: sorted by name, public members only, with an ETag that follows from the content.
    pub fn document(&self) -> Jwks {
        let keys: Vec<Value> = self.iter().map(PublicKey::jwk).collect();
        let body = json!({ "keys": keys }).to_string();
        let hash = crypto::sha256(body.as_bytes());
        let etag = format!(
            "\"{}\"",
            crypto::base64url(hash.get(..16).unwrap_or_default())
        );
        Jwks {
            body: body.into(),
            etag,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, SigningKey};

    #[test]
    fn the_document_is_sorted_and_reads_back() {
        let keys: Vec<_> = (0..4)
            .map(|_| SigningKey::generate(Algorithm::Es256).unwrap())
            .collect();
        let set = PublicKeys::of(keys.iter().map(|key| key.public().clone()));
        let reversed = PublicKeys::of(keys.iter().rev().map(|key| key.public().clone()));
        assert_eq!(set.document(), reversed.document());
        let back = PublicKeys::parse(&set.document().body()).unwrap();
        assert_eq!(back.document(), set.document());
        let kids: Vec<_> = back
            .iter()
            .map(|key| key.kid().unwrap().to_owned())
            .collect();
        assert!(kids.is_sorted());
        assert!(set.document().etag().starts_with('"'));
    }

    #[test]
    fn hostile_sets_give_no_key() {
        let key = SigningKey::generate(Algorithm::Es256)
            .unwrap()
            .public()
            .clone()
            .with_kid("same")
            .jwk();
        let doubled = json!({ "keys": [key, key] }).to_string();
        assert!(PublicKeys::parse(doubled.as_bytes()).unwrap().is_empty());
        let secret =
            json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "a" }, 1, null, { "kty": 5 }] })
                .to_string();
        assert!(PublicKeys::parse(secret.as_bytes()).unwrap().is_empty());
        for bad in [
            "<html>",
            "{}",
            "[]",
            r#"{"keys":{}}"#,
            r#"{"keys":[],"keys":[]}"#,
        ] {
            assert!(PublicKeys::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(PublicKeys::parse(&vec![b' '; 5 << 20]).is_err());
    }
}
