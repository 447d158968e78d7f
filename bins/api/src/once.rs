//! Which POSTs of this service are done once, and for whom.

use actix_web::{HttpRequest, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use heimdall_server::{Authorization, Problem};

use crate::deps::Deps;
use crate::idempotent::{Idempotency, scope_of_credential};

/// These answer afresh every time: they change nothing that a repetition could double, or must not be replayed.
const EXEMPT: &[&str] = &[
    "/tokens",
    "/tokens/introspect",
    "/tokens/revoke",
    "/sessions",
    "/sessions/mfa",
    "/authorize",
    "/authorize/batch",
    "/verify",
    "/users:import",
];

pub(crate) fn middleware(deps: &Deps) -> Idempotency {
    Idempotency::new(
        deps.store.clone(),
        deps.root_key.clone(),
        deps.clock.clone(),
        deps.rng.clone(),
        |path| !EXEMPT.iter().any(|end| path.ends_with(end)),
        caller,
    )
}

// Nobody's requests (an invite accepted) have their secret in the path, which is compared.
fn caller(request: HttpRequest) -> LocalBoxFuture<'static, Result<Option<String>, Problem>> {
    async move {
        let missing = || Problem::internal("the application has no dependencies");
        let deps = request.app_data::<web::Data<Deps>>().ok_or_else(missing)?;
        let is_good = match Authorization::of(&request)? {
            None => true,
            Some(Authorization::Bearer(token)) => deps.tenants.caller(token.expose()).await.is_ok(),
            Some(_) => false,
        };
        Ok(is_good.then(|| scope_of_credential(&request)))
    }
    .boxed_local()
}
