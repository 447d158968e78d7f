use serde_json::{Map, Value};

use crate::{Algorithm, Claims, PublicKey, TokenError, crypto, json};

/// Longer tokens are refused before anything is decoded, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024;

/// A longer key name is an attack, in bytes.
const LONGEST_KID: usize = 512;

/// A token in its parts. **Nothing in it is to be believed**: read it to find the key, then verify.
///
/// The serialisation is checked strictly: three non-empty parts, base64url without padding, header a JSON object
/// without duplicate members.
#[derive(Debug, Clone)]
pub struct Unverified<'a> {
    token: &'a str,
    dot: usize,
    header: Map<String, Value>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact JWS apart.
    ///
    /// # Errors
    ///
    /// [`TokenError::TooLong`], [`TokenError::Malformed`].
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Malformed("a token has three parts"));
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(TokenError::Malformed("a part is empty"));
        }
        let decode = |part: &str| {
            crypto::from_base64url(part).ok_or(TokenError::Malformed("a part is not base64url"))
        };
        let members = json::parse_object(&decode(header)?).map_err(|_| {
            TokenError::Malformed("the header is no JSON object without duplicates")
        })?;
        Ok(Self {
            token,
            dot: header.len() + 1 + payload.len(),
            header: members,
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// A member of the header.
    pub fn header(&self, name: &str) -> Option<&Value> {
        self.header.get(name)
    }

    /// The whole header.
    pub fn header_map(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The algorithm that the header claims; an error for `none`, an unknown one, none at all, or no text.
    pub fn algorithm(&self) -> Result<Algorithm, TokenError> {
        let name = self
            .header("alg")
            .and_then(Value::as_str)
            .ok_or(TokenError::Algorithm)?;
        name.parse().map_err(|_| TokenError::Algorithm)
    }

    /// The name of the key; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`TokenError::Header`] when it is no text, empty, longer than 512 bytes, or has control characters.
    pub fn kid(&self) -> Result<Option<&str>, TokenError> {
        match self.header("kid") {
            None => Ok(None),
            Some(Value::String(kid))
                if !kid.is_empty()
                    && kid.len() <= LONGEST_KID
                    && !kid.chars().any(char::is_control) =>
            {
                Ok(Some(kid))
            }
            Some(_) => Err(TokenError::Header("kid")),
        }
    }

    /// `typ`, when it is a text, in lower case and without `application/` (RFC 7515 §4.1.9).
    pub fn typ(&self) -> Option<String> {
        self.header("typ").and_then(Value::as_str).map(plain_type)
    }

    /// The claims.
    ///
    /// # Errors
    ///
    /// [`TokenError::Malformed`] when the payload is no JSON object without duplicate members.
    pub fn claims(&self) -> Result<Claims, TokenError> {
        json::parse_object(&self.payload)
            .map(Claims::new)
            .map_err(|_| TokenError::Malformed("the claims are no JSON object without duplicates"))
    }

    /// The payload as it was encoded.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What the signature is over.
    pub fn signing_input(&self) -> &'a [u8] {
        self.token.as_bytes().get(..self.dot).unwrap_or_default()
    }

    /// The signature, decoded.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether the signature is one of `key` with `algorithm`; `false` when the key's kind does not fit it.
    pub fn verify_signature(&self, key: &PublicKey, algorithm: Algorithm) -> bool {
        key.verify_with(algorithm, self.signing_input(), &self.signature)
    }

    /// Refuses header members that point elsewhere for a key or demand what we do not know.
    pub(crate) fn refuse_foreign_members(&self) -> Result<(), TokenError> {
        for name in ["crit", "jku", "jwk", "x5u", "x5c", "b64", "zip"] {
            if self.header.contains_key(name) {
                return Err(TokenError::Header(name));
            }
        }
        Ok(())
    }
}

pub(crate) fn plain_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        // "application/a/b" is no media type that anyone abbreviates.
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}
