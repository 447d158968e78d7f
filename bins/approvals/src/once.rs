//! Which POSTs of this service are done once, and for whom.

use actix_web::{HttpRequest, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use heimdall_api::{Idempotency, scope_of_credential};
use heimdall_approval::workflows::API_KEY_PREFIX;
use heimdall_server::{Authorization, Problem};
use heimdall_token::crypto;

use crate::deps::Deps;
use crate::routes::{application, valid_key};
use crate::who::deps;

pub(crate) fn middleware(deps: &Deps) -> Idempotency {
    Idempotency::new(
        deps.store.clone(),
        deps.root_key.clone(),
        deps.clock.clone(),
        deps.rng.clone(),
        // The bearer routes of a mail repeat their answer by themselves: a decision is made once.
        |path| path.starts_with("/v1/") || path.starts_with("/webapi/"),
        caller,
    )
}

// Nothing is kept for a cookie: the scope would be everybody's who has none of the credentials below.
fn caller(request: HttpRequest) -> LocalBoxFuture<'static, Result<Option<String>, Problem>> {
    async move {
        let deps = deps(&request)?;
        if request.path().starts_with("/v1/jit/requests") {
            return of_application(&deps, &request).await;
        }
        let Some(Authorization::Bearer(token)) = Authorization::of(&request)? else {
            return Ok(None);
        };
        let is_good = if token.expose().starts_with(API_KEY_PREFIX) {
            valid_key(&deps, &request, &token).await?.is_some()
        } else {
            deps.tenants.caller(token.expose()).await.is_ok()
        };
        Ok(is_good.then(|| scope_of_credential(&request)))
    }
    .boxed_local()
}

// An application makes a new token every few minutes, also between a request and its repetition.
async fn of_application(
    deps: &web::Data<Deps>,
    request: &HttpRequest,
) -> Result<Option<String>, Problem> {
    let Ok((application, user)) = application(deps, request).await else {
        return Ok(None);
    };
    let whose = format!("{}\n{}\n{user}", application.app_id, application.iss);
    Ok(Some(crypto::sha256_hex(whose.as_bytes())))
}
