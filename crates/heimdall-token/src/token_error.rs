use thiserror::Error;

/// Why a token is refused. Never holds a piece of the token but the names of its claims.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than any honest token.
    #[error("the token is too long")]
    TooLong,
    /// Not three non-empty base64url parts of JSON objects without duplicate members.
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// A header member that this verifier must not follow or does not know.
    #[error("header member `{0}` is refused")]
    Header(&'static str),
    /// The header's `alg` is not that of the key, or not one the policy takes.
    #[error("the algorithm is not that of the key")]
    Algorithm,
    /// No key of that name is known.
    #[error("no such key is known")]
    UnknownKey,
    /// The signature is not one of the key.
    #[error("the signature does not hold")]
    Signature,
    /// The header's `typ` is another one.
    #[error("the token is of another type")]
    Type,
    /// A claim that must be there is not.
    #[error("claim `{0}` is absent")]
    Absent(String),
    /// A claim is of the wrong type or out of its range.
    #[error("claim `{0}` is of the wrong type or out of range")]
    Claim(String),
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is not one that is trusted.
    #[error("the issuer is not trusted")]
    Issuer,
    /// `aud` does not name us.
    #[error("the token is meant for someone else")]
    Audience,
    /// The claims could not be written as JSON, or the operating system gave no randomness.
    #[error("the token cannot be signed")]
    Signing,
}

impl TokenError {
    /// A short stable name, for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed(_) => "malformed",
            Self::Header(_) => "header",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::Absent(_) => "absent_claim",
            Self::Claim(_) => "bad_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Signing => "signing",
        }
    }
}
