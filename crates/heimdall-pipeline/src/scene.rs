//! Helpers around the request of a rule.

use heimdall_finalizer::url::{Place, escape, unescape};

use crate::Request;

/// The path decoded and encoded again: encoded slashes become slashes.
pub(crate) fn decoded_path(request: &Request<'_>) -> String {
    unescape(&request.path, Place::Path).map_or_else(
        || request.path.clone().into_owned(),
        |bytes| escape(&bytes, Place::Path),
    )
}
