use std::sync::Arc;

use heimdall_token::{
    AccessClaims, Claims, JwksFetch, Policy, RemoteJwks, RemoteJwksSettings, Verifier,
};
use heimdall_types::Clock;
use http::StatusCode;
use thiserror::Error;

/// Why a request is not let in. It tells nothing about the token that the caller could not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no bearer token.
    #[error("a bearer token is needed")]
    Absent,
    /// There is one, and it is not good here and now.
    #[error("the token is not valid")]
    Invalid,
    /// It is good and lacks a permission; names which.
    #[error("the permission `{0}` is missing")]
    Missing(String),
}

impl Refusal {
    /// 401 or 403.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Absent | Self::Invalid => StatusCode::UNAUTHORIZED,
            Self::Missing(_) => StatusCode::FORBIDDEN,
        }
    }

    /// What `WWW-Authenticate` says (RFC 6750 §3).
    pub fn challenge(&self) -> &'static str {
        match self {
            Self::Absent => "Bearer",
            Self::Invalid => "Bearer error=\"invalid_token\"",
            Self::Missing(_) => "Bearer error=\"insufficient_scope\"",
        }
    }
}

/// Verifies access tokens of one App. Cheap to clone; clones share the keys they know.
///
/// Keys are fetched once and kept; an unknown key name makes at most one fetch in 30 seconds; the last good set serves
/// while fetching fails.
#[derive(Clone)]
pub struct Gate {
    keys: RemoteJwks,
    verifier: Arc<Verifier>,
}

impl Gate {
    /// For tokens that `issuer` (`https://id.example/heimdall`) issued for the App `audience`.
    pub fn new(
        issuer: &str,
        audience: &str,
        fetch: Arc<dyn JwksFetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let policy = Policy::new(AccessClaims::TYP)
            .issuer(issuer)
            .audience(audience)
            .require("sub")
            .require("jti");
        let url = format!("{}/v1/.well-known/jwks.json", issuer.trim_end_matches('/'));
        Self {
            keys: RemoteJwks::new(url, fetch, clock, RemoteJwksSettings::default()),
            verifier: Arc::new(Verifier::new(policy)),
        }
    }

    /// Judges the values of all `Authorization` headers of a request: exactly one, with a bearer token.
    ///
    /// # Errors
    /// [`Refusal::Absent`] or [`Refusal::Invalid`]. A token that is bound to a key (RFC 9449) is refused: the proof of
    /// possession is not looked at here.
    pub async fn admit<'a>(
        &self,
        authorizations: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<AccessClaims, Refusal> {
        let mut all = authorizations.into_iter();
        let (Some(only), None) = (all.next(), all.next()) else {
            return Err(Refusal::Absent);
        };
        let text = std::str::from_utf8(only).map_err(|_| Refusal::Absent)?;
        let (scheme, token) = text.split_once(' ').ok_or(Refusal::Absent)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::Absent);
        }
        self.verify(token.trim()).await
    }

    /// Judges a token.
    ///
    /// # Errors
    /// [`Refusal::Invalid`].
    pub async fn verify(&self, token: &str) -> Result<AccessClaims, Refusal> {
        let verified = self.keys.verify(&self.verifier, token).await;
        let claims: AccessClaims = verified
            .and_then(|claims: Claims| claims.deserialize())
            .map_err(|_| Refusal::Invalid)?;
        match claims.cnf {
            None => Ok(claims),
            Some(_) => Err(Refusal::Invalid),
        }
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Refuses a caller who lacks `permission`.
#[cfg(any(feature = "actix", feature = "tower"))]
pub(crate) fn hold(claims: &AccessClaims, permission: &str) -> Result<(), Refusal> {
    if claims.permissions.iter().any(|held| held == permission) {
        Ok(())
    } else {
        Err(Refusal::Missing(permission.to_owned()))
    }
}
