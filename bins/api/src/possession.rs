//! DPoP (RFC 9449): whether a request was made by the holder of the key that a token is bound to.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use heimdall_token::dpop::{Expected, verify};

use crate::deps::Deps;

const PROOF: HeaderName = HeaderName::from_static("dpop");

/// Why a proof does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoProof;

/// The thumbprint of the key that made the request's proof; `None` when there is no proof at all. A proof counts once.
pub(crate) fn proven(
    deps: &Deps,
    request: &HttpRequest,
    access_token: Option<&str>,
) -> Result<Option<String>, NoProof> {
    let mut all = request.headers().get_all(&PROOF);
    let Some(proof) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(NoProof);
    }
    let url = format!("{}{}", deps.base_url, request.path());
    let expected = Expected {
        method: request.method().as_str(),
        url: &url,
        access_token,
        nonce: None,
    };
    let now = deps.clock.now();
    let proof =
        verify(proof.to_str().map_err(|_| NoProof)?, &expected, now).map_err(|_| NoProof)?;
    deps.replays
        .first_use(&proof, now)
        .then_some(Some(proof.jkt))
        .ok_or(NoProof)
}
