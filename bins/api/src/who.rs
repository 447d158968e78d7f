//! Who calls, out of the one `Authorization` header.

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use heimdall_server::{Authorization, Problem};
use heimdall_tenant::Caller;

use crate::deps::Deps;
use crate::possession::proven;
use crate::refusal::problem;

/// The caller; [`Caller::Anonymous`] without the header. Cookies and queries are never looked at.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Caller);

impl FromRequest for Who {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move { identify(&request).await.map(Self) }.boxed_local()
    }
}

/// As [`Who`], where no token is needed: one that is not valid (any more) is nobody's, so that it does not keep anybody
/// from logging in.
#[derive(Debug, Clone)]
pub(crate) struct Perhaps(pub(crate) Caller);

impl FromRequest for Perhaps {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            match identify(&request).await {
                Err(refused) if refused.status() == 401 => Ok(Self(Caller::Anonymous)),
                other => other.map(Self),
            }
        }
        .boxed_local()
    }
}

/// Application data of [`crate::operator_app`]: whoever calls is the operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtTheMachine;

async fn identify(request: &HttpRequest) -> Result<Caller, Problem> {
    if request.app_data::<AtTheMachine>().is_some() {
        return Ok(Caller::System);
    }
    let deps = request
        .app_data::<web::Data<Deps>>()
        .ok_or_else(|| Problem::internal("the application has no dependencies"))?;
    let outcome = match Authorization::of(request)? {
        None => return Ok(Caller::Anonymous),
        // A bound token is worth nothing without its key, whatever scheme it comes with (RFC 9449 §7.1).
        Some(Authorization::Bearer(token)) => deps.tenants.caller(token.expose()).await,
        Some(Authorization::Dpop(token)) => match proven(deps, request, Some(token.expose())) {
            Ok(Some(key)) => deps.tenants.caller_with_proof(token.expose(), &key).await,
            _ => return Err(invalid_token()),
        },
        Some(_) => return Err(Problem::unauthorized("a bearer token is needed")),
    };
    outcome.map_err(|error| {
        let refused = problem(error);
        if refused.status() == 401 {
            invalid_token()
        } else {
            refused
        }
    })
}

// RFC 6750 §3.1: a token was there, so the reason may be named.
fn invalid_token() -> Problem {
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    Problem::unauthorized("the token is not valid")
        .replace_header(header::WWW_AUTHENTICATE, challenge)
}
