//! From refusals of the libraries to answers on the wire.

use heimdall_approval::{ApprovalError, Refusal};
use heimdall_server::Problem;
use heimdall_tenant::{Class, TenantError};

/// What a route answers.
pub(crate) fn problem(error: ApprovalError) -> Problem {
    match error {
        ApprovalError::NotFound => Problem::not_found(),
        ApprovalError::Forbidden => Problem::forbidden("not_yours", "this is not yours to do"),
        ApprovalError::Invalid { field, reason } => Problem::unprocessable(field, reason),
        ApprovalError::Decided(state) => Problem::conflict(
            "decided",
            format!("the request is {} already", state.as_str()),
        )
        .extension("state", state.as_str()),
        ApprovalError::Refused(refusal) => refused(&refusal),
        ApprovalError::Fault(fault) => fault.into(),
        other => Problem::internal(other),
    }
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::FourEyes | Refusal::NotEligible => {
            Problem::forbidden(refusal.code(), refusal.to_string())
        }
        Refusal::CommentRequired | Refusal::CommentRefused => {
            Problem::unprocessable("comment", refusal.to_string())
        }
        Refusal::SignatureRequired => Problem::unprocessable("signature", refusal.to_string()),
        Refusal::WrongAction => Problem::unprocessable("action", refusal.to_string()),
        Refusal::BadOptions => Problem::unprocessable("options", refusal.to_string()),
        Refusal::UnknownStep => Problem::not_found(),
        _ => Problem::conflict(refusal.code(), refusal.to_string()),
    }
}

/// What a route answers when the tenants refuse.
pub(crate) fn tenant(error: TenantError) -> Problem {
    let (code, message) = (error.code(), error.to_string());
    match (error.class(), error) {
        (Class::Unauthenticated, _) => Problem::unauthorized("the token is not valid"),
        (Class::NotFound, _) => Problem::not_found(),
        (_, TenantError::Malformed { field, reason }) => Problem::bad_field(field, reason),
        (_, TenantError::Invalid { field, reason }) => Problem::unprocessable(field, reason),
        (_, TenantError::Throttled { retry_after }) => Problem::too_many(retry_after),
        (_, TenantError::Fault(fault)) => fault.into(),
        (Class::Forbidden, TenantError::Forbidden { missing }) => {
            Problem::forbidden(code, message).extension("missing_permissions", missing)
        }
        (Class::Conflict, _) => Problem::conflict(code, message),
        (Class::Gone, _) => Problem::gone(code, message),
        (Class::Internal, _) => Problem::internal(message),
        (Class::Unavailable, _) => Problem::unavailable(message),
        _ => Problem::bad_request(code, message),
    }
}
