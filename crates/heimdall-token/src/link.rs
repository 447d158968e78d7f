//! The tokens of links: HS256 under a portal's [`SignatureKey`], each kind with its own `typ`, so that none passes for
//! another or for an access token.

mod action;
mod application;
mod legacy;
mod mail;

use heimdall_types::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

pub use action::{ActionLink, LinkAction, Peek};
pub use application::ApplicationToken;
pub use legacy::{LegacyLink, LegacyNames};
pub use mail::ApprovalMail;

use crate::signer::{Header, compact};
use crate::{Algorithm, Claims, SignatureKey, TokenError, Unverified, crypto};

/// A link token whose signature and shape hold. Whether its time is over comes later in the order of judgement than
/// some other answers, so it is told, not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened<T> {
    /// Its time is not over.
    Live(T),
    /// Its time is over: it may say what was decided, but decides nothing.
    Expired(T),
}

impl<T> Opened<T> {
    /// What it says, whether expired or not.
    pub fn into_inner(self) -> T {
        match self {
            Self::Live(inner) | Self::Expired(inner) => inner,
        }
    }

    /// What it says, unless it is expired.
    pub fn live(self) -> Option<T> {
        match self {
            Self::Live(inner) => Some(inner),
            Self::Expired(_) => None,
        }
    }

    /// Whether its time is over.
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Expired(_))
    }
}

/// Why a link token is invalid. People get one page for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Not a token, of another kind, badly signed, or of a key that is not known.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Well signed, but its claims contradict each other.
    #[error("the claims contradict each other")]
    Contradiction,
}

fn sign(typ: &str, key: &SignatureKey, claims: &impl Serialize) -> Result<String, TokenError> {
    let payload = serde_json::to_vec(claims).map_err(|_| TokenError::Signing)?;
    let header = Header::typ(typ).encode(Algorithm::Hs256, Some(key.id()));
    compact(header, &payload, |message| {
        Some(crypto::hmac_sha256(key.bytes(), message).to_vec())
    })
}

/// Signature, kind and claims by the keys of one portal; times are left to the caller.
fn open<T: DeserializeOwned>(
    typ: &str,
    token: &str,
    keys: &[SignatureKey],
) -> Result<T, TokenError> {
    let token = Unverified::parse(token)?;
    token.refuse_foreign_members()?;
    if token.typ().as_deref() != Some(typ) {
        return Err(TokenError::Type);
    }
    let kid = token.kid()?.ok_or(TokenError::Header("kid"))?;
    let key = keys
        .iter()
        .find(|key| key.id() == kid)
        .ok_or(TokenError::UnknownKey)?;
    verified(&token, key.bytes())?.deserialize()
}

/// The claims, once the HS256 signature by `key` holds.
fn verified(token: &Unverified<'_>, key: &[u8]) -> Result<Claims, TokenError> {
    if token.algorithm()? != Algorithm::Hs256 {
        return Err(TokenError::Algorithm);
    }
    if key.is_empty() || !crypto::hmac_sha256_matches(key, token.signing_input(), token.signature())
    {
        return Err(TokenError::Signature);
    }
    token.claims()
}

fn judged<T>(inner: T, exp: i64, now: Timestamp) -> Opened<T> {
    // The second in which it ends is over: RFC 7519 §4.1.4 says "on or after".
    if now.seconds() >= exp {
        Opened::Expired(inner)
    } else {
        Opened::Live(inner)
    }
}

fn audience_is(found: &Value, wanted: &str) -> bool {
    match found {
        Value::String(one) => one == wanted,
        Value::Array(several) => several.iter().any(|one| one == wanted),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
