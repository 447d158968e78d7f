use std::time::Duration;

use heimdall_types::{CursorError, EmailError, Fault};
use thiserror::Error;

/// Why a call on [`crate::Tenants`] was refused or failed.
///
/// The messages are for the caller; none of them says more than the caller may know. [`TenantError::class`] tells a
/// channel which kind of answer it is, so that no table of variants is needed outside.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TenantError {
    /// No credential, or one that is wrong, expired or revoked.
    #[error("authentication is required")]
    Unauthenticated,
    /// The caller is known but lacks these permissions.
    #[error("a permission is missing")]
    Forbidden {
        /// What is missing, sorted.
        missing: Vec<String>,
    },
    /// It does not exist, or is another tenant's: both look the same.
    #[error("there is no such thing")]
    NotFound,
    /// A value of the wrong form: syntax, range, a bad name.
    #[error("`{field}` {reason}")]
    Malformed {
        /// The member, as the caller wrote it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A well-formed value that is refused, or a missing one.
    #[error("`{field}` {reason}")]
    Invalid {
        /// The member, as the caller wrote it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that must be unique is taken.
    #[error("`{0}` is taken")]
    Taken(&'static str),
    /// The role is still assigned, included or invited with.
    #[error("it is in use")]
    InUse,
    /// The change would leave nobody who holds `roles:assign`.
    #[error("the last holder of `roles:assign` cannot be removed")]
    LastHolder,
    /// The state of the thing does not permit this: a suspended App, a third secret, an invite used up.
    #[error("{0}")]
    State(&'static str),
    /// It existed and is over: an expired, used up or revoked invite.
    #[error("{0}")]
    Gone(&'static str),
    /// `If-Match` named another version.
    #[error("it was changed meanwhile")]
    Precondition,
    /// Too many attempts.
    #[error("too many attempts")]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// A refusal of a token endpoint (RFC 6749 §5.2).
    #[error("{description}")]
    OAuth {
        /// Which.
        code: OAuthCode,
        /// For the developer of the client.
        description: &'static str,
    },
    /// A port failed.
    #[error(transparent)]
    Fault(Fault),
}

/// The error codes of token endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OAuthCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The grant is wrong, expired, revoked or another client's.
    InvalidGrant,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// We know no such grant.
    UnsupportedGrantType,
    /// The scope is unknown or exceeds what is held.
    InvalidScope,
    /// The requested resource or audience is refused (RFC 8693 §2.2.2).
    InvalidTarget,
    /// The DPoP proof is missing or wrong (RFC 9449 §5).
    InvalidDpopProof,
    /// The token would exceed 7 KB.
    TokenTooLarge,
}

/// What kind of answer a [`TenantError`] is; a channel maps it to its own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// 400
    Malformed,
    /// 401
    Unauthenticated,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 409
    Conflict,
    /// 410
    Gone,
    /// 412
    Precondition,
    /// 422
    Invalid,
    /// 429
    Throttled,
    /// RFC 6749 §5.2: 400, or 401 for `invalid_client`
    OAuth,
    /// 503
    Unavailable,
    /// 500
    Internal,
}

impl OAuthCode {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::TokenTooLarge => "token_too_large",
        }
    }
}

impl TenantError {
    /// A [`TenantError::Malformed`].
    pub fn malformed(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            field,
            reason: reason.into(),
        }
    }

    /// A [`TenantError::Invalid`].
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }

    pub(crate) const fn oauth(code: OAuthCode, description: &'static str) -> Self {
        Self::OAuth { code, description }
    }

    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound => "not_found",
            Self::Malformed { .. } => "malformed",
            Self::Invalid { .. } => "invalid",
            Self::Taken(_) => "taken",
            Self::InUse => "in_use",
            Self::LastHolder => "last_holder",
            Self::State(_) => "state",
            Self::Gone(_) => "gone",
            Self::Precondition => "precondition_failed",
            Self::Throttled { .. } => "too_many_attempts",
            Self::OAuth { code, .. } => code.as_str(),
            Self::Fault(Fault::Corrupt(_)) => "internal",
            Self::Fault(_) => "unavailable",
        }
    }

    /// The member of the input that is meant, where one is.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Malformed { field, .. } | Self::Invalid { field, .. } | Self::Taken(field) => {
                Some(field)
            }
            _ => None,
        }
    }

    /// Which kind of answer this is.
    pub const fn class(&self) -> Class {
        match self {
            Self::Unauthenticated => Class::Unauthenticated,
            Self::Forbidden { .. } => Class::Forbidden,
            Self::NotFound => Class::NotFound,
            Self::Malformed { .. } => Class::Malformed,
            Self::Invalid { .. } => Class::Invalid,
            Self::Taken(_) | Self::InUse | Self::LastHolder | Self::State(_) => Class::Conflict,
            Self::Gone(_) => Class::Gone,
            Self::Precondition => Class::Precondition,
            Self::Throttled { .. } => Class::Throttled,
            Self::OAuth { .. } => Class::OAuth,
            Self::Fault(Fault::Corrupt(_)) => Class::Internal,
            Self::Fault(_) => Class::Unavailable,
        }
    }
}

impl From<Fault> for TenantError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Duplicate(field) => Self::Taken(field),
            Fault::Reference(_) => Self::InUse,
            other => Self::Fault(other),
        }
    }
}

impl From<CursorError> for TenantError {
    fn from(error: CursorError) -> Self {
        Self::malformed("cursor", error.to_string())
    }
}

impl From<EmailError> for TenantError {
    fn from(error: EmailError) -> Self {
        Self::malformed("email", error.to_string())
    }
}
