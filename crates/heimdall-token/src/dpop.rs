//! DPoP proofs (RFC 9449): the caller shows that it holds the key a token is bound to.

use std::time::Duration;

use heimdall_types::Timestamp;
use moka::sync::Cache;
use thiserror::Error;

use crate::{PublicKey, TokenError, Unverified, crypto};

/// How old a proof may be, and how far ahead its clock.
const WINDOW: Duration = Duration::from_secs(60);

/// How many proofs are remembered; a flood that pushes one out still has to beat its window of a minute.
const REMEMBERED: u64 = 100_000;

/// What the proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its address; query and fragment do not count (§4.2).
    pub url: &'a str,
    /// The access token that came with it; `None` at the token endpoint.
    pub access_token: Option<&'a str>,
    /// The nonce that was handed out, if any was.
    pub nonce: Option<&'a str>,
}

/// A proof that holds. Show it to [`Replays::first_use`] next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of its key, as `cnf.jkt` carries it.
    pub jkt: String,
    /// Its id.
    pub jti: String,
    /// When it was made.
    pub iat: Timestamp,
}

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DpopError {
    /// It is no such token, or its signature does not hold.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Its header has no public key of a supported kind.
    #[error("the proof carries no usable public key")]
    Key,
    /// It is for another method or address.
    #[error("the proof is for another request")]
    Request,
    /// It is for another access token, or for none.
    #[error("the proof is for another access token")]
    AccessToken,
    /// It lacks the nonce that was handed out.
    #[error("the proof lacks the nonce")]
    Nonce,
    /// It is too old or from the future.
    #[error("the proof is not of now")]
    Time,
}

/// Verifies a proof (§4.3), all but its single use.
///
/// # Errors
///
/// The first thing that does not hold.
pub fn verify(proof: &str, expected: &Expected<'_>, now: Timestamp) -> Result<Proof, DpopError> {
    let token = Unverified::parse(proof)?;
    if token.typ().as_deref() != Some("dpop+jwt") {
        return Err(TokenError::Type.into());
    }
    for name in ["crit", "jku", "x5u", "x5c", "b64"] {
        if token.header(name).is_some() {
            return Err(TokenError::Header(name).into());
        }
    }
    let algorithm = token.algorithm()?;
    let jwk = token.header("jwk").ok_or(DpopError::Key)?;
    let key = PublicKey::from_jwk(jwk).map_err(|_| DpopError::Key)?;
    if key.declares_algorithm() && key.algorithm() != algorithm {
        return Err(TokenError::Algorithm.into());
    }
    if !token.verify_signature(&key, algorithm) {
        return Err(TokenError::Signature.into());
    }
    let claims = token.claims()?;
    let text = |name: &str| match claims.text(name)? {
        Some(text) => Ok(text),
        None => Err(TokenError::Absent(name.to_owned())),
    };
    let address = |url: &str| url.split(['?', '#']).next().map(normal);
    if text("htm")? != expected.method || address(text("htu")?) != address(expected.url) {
        return Err(DpopError::Request);
    }
    let hash = expected
        .access_token
        .map(|token| crypto::base64url(&crypto::sha256(token.as_bytes())));
    if let Some(hash) = hash
        && claims.text("ath")? != Some(&hash)
    {
        return Err(DpopError::AccessToken);
    }
    if expected.nonce.is_some() && claims.text("nonce")? != expected.nonce {
        return Err(DpopError::Nonce);
    }
    let iat = claims
        .moment("iat")?
        .ok_or_else(|| TokenError::Absent("iat".into()))?;
    if iat.plus(WINDOW) < now || iat > now.plus(WINDOW) {
        return Err(DpopError::Time);
    }
    let jti = text("jti")?;
    if jti.is_empty() || jti.len() > 256 {
        return Err(TokenError::Claim("jti".into()).into());
    }
    Ok(Proof {
        jkt: key.thumbprint(),
        jti: jti.to_owned(),
        iat,
    })
}

// Scheme and host compare without case, a default port is none, an empty path is `/` (RFC 3986 §6.2.2, §6.2.3).
fn normal(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let scheme = scheme.to_ascii_lowercase();
    let authority = authority.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    Some(format!("{scheme}://{authority}/{path}"))
}

/// The proofs that were used, for as long as they could be used again. One instance remembers its own only.
#[derive(Debug, Clone)]
pub struct Replays {
    seen: Cache<[u8; 32], Timestamp>,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            seen: Cache::new(REMEMBERED),
        }
    }
}

impl Replays {
    /// Whether this is the first use of the proof; from now on it is used.
    pub fn first_use(&self, proof: &Proof, now: Timestamp) -> bool {
        let name =
            crypto::sha256(format!("{}:{}{}", proof.jkt.len(), proof.jkt, proof.jti).as_bytes());
        let until = proof.iat.plus(WINDOW);
        let entry = self
            .seen
            .entry(name)
            .or_insert_with_if(|| until, |known| *known < now);
        entry.is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Algorithm, Header, Signer, SigningKey};

    const URL: &str = "https://api.example/heimdall/v1/tokens";

    fn made(change: impl FnOnce(&mut Value, &mut Value)) -> (String, String) {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let jkt = key.public().thumbprint();
        let mut jwk = key.public().jwk();
        let mut claims = json!({ "htm": "POST", "htu": URL, "iat": 1_000, "jti": "one" });
        change(&mut jwk, &mut claims);
        (
            Signer::new(key)
                .sign(&Header::typ("dpop+jwt").with("jwk", jwk), &claims)
                .unwrap(),
            jkt,
        )
    }

    fn check(proof: &str, url: &str) -> Result<Proof, DpopError> {
        let expected = Expected {
            method: "POST",
            url,
            access_token: None,
            nonce: None,
        };
        verify(proof, &expected, Timestamp::from_seconds(1_030))
    }

    #[test]
    fn a_proof_holds_once() {
        let (proof, jkt) = made(|_, _| {});
        let found = check(&proof, "HTTPS://API.example:443/heimdall/v1/tokens?x=1#y").unwrap();
        assert_eq!(found.jkt, jkt);
        let replays = Replays::default();
        let now = Timestamp::from_seconds(1_030);
        assert!(replays.first_use(&found, now));
        assert!(!replays.first_use(&found, now));
    }

    #[test]
    fn proofs_for_other_requests_times_and_keys_are_refused() {
        let refused = |change: fn(&mut Value, &mut Value)| check(&made(change).0, URL).unwrap_err();
        assert_eq!(
            refused(|_, claims| claims["htm"] = "GET".into()),
            DpopError::Request
        );
        assert_eq!(
            refused(|_, claims| claims["htu"] = "https://api.example/".into()),
            DpopError::Request
        );
        assert_eq!(
            refused(|_, claims| claims["iat"] = 900.into()),
            DpopError::Time
        );
        assert_eq!(
            refused(|_, claims| claims["iat"] = 1_100.into()),
            DpopError::Time
        );
        assert_eq!(
            refused(|_, claims| claims["jti"] = "".into()),
            TokenError::Claim("jti".into()).into()
        );
        assert_eq!(refused(|jwk, _| jwk["d"] = "AAAA".into()), DpopError::Key);
        assert_eq!(
            refused(|jwk, _| *jwk = json!({ "kty": "oct", "k": "AAAA" })),
            DpopError::Key
        );
        let other = SigningKey::generate(Algorithm::Es256)
            .unwrap()
            .public()
            .jwk();
        let (swapped, _) = made(|jwk, _| *jwk = other);
        assert_eq!(check(&swapped, URL), Err(TokenError::Signature.into()));
    }

    #[test]
    fn a_proof_beside_a_token_names_that_token() {
        let hash = crypto::base64url(&crypto::sha256(b"token"));
        let (proof, _) = made(|_, claims| claims["ath"] = hash.into());
        let with = |access_token| {
            let expected = Expected {
                method: "POST",
                url: URL,
                access_token,
                nonce: None,
            };
            verify(&proof, &expected, Timestamp::from_seconds(1_030)).map(|_| ())
        };
        assert_eq!(with(Some("token")), Ok(()));
        assert_eq!(with(Some("other")), Err(DpopError::AccessToken));
    }
}
