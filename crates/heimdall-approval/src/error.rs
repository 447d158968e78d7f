use heimdall_types::Fault;
use thiserror::Error;

use crate::refusal::Refusal;
use crate::request::RequestState;

/// Why the approvals did not do what they were asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// There is no such thing, or it is not the caller's to see.
    #[error("there is no such thing here")]
    NotFound,
    /// The caller may not do this.
    #[error("this is not yours to do")]
    Forbidden,
    /// A field holds what cannot be; nothing was changed.
    #[error("`{field}` {reason}")]
    Invalid {
        /// The field's path.
        field: String,
        /// What to change.
        reason: String,
    },
    /// The request is decided already.
    #[error("the request is {} already", .0.as_str())]
    Decided(RequestState),
    /// The engine refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Storage failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ApprovalError {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }
}
