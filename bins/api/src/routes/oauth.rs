//! `…/tokens`, `…/tokens/introspect`, `…/tokens/revoke`, of one App and without one

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Authorization, OAuthError, Parameters};
use heimdall_tenant::input::TokenRequest;
use heimdall_tenant::{Caller, ClientAuth};
use heimdall_types::Secret;

use crate::possession::proven;
use crate::refusal::oauth;
use crate::routes::With;

type OAuthAnswer = Result<HttpResponse, OAuthError>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for base in ["/apps/{app}/tokens", "/tokens"] {
        config
            .service(web::resource(base).route(web::post().to(token)))
            .service(web::resource(format!("{base}/introspect")).route(web::post().to(introspect)))
            .service(web::resource(format!("{base}/revoke")).route(web::post().to(revoke)));
    }
}

struct Desk {
    caller: Caller,
    auth: ClientAuth,
}

// A client may authenticate in one way only (RFC 6749 §2.3): the header, or the parameters.
async fn desk(deps: &With, request: &HttpRequest) -> Result<Desk, OAuthError> {
    let anonymous = Desk {
        caller: Caller::Anonymous,
        auth: ClientAuth::default(),
    };
    match Authorization::of(request)? {
        None => Ok(anonymous),
        Some(Authorization::Basic { user, password }) => Ok(Desk {
            auth: ClientAuth {
                basic: Some((user, password)),
            },
            ..anonymous
        }),
        Some(Authorization::Bearer(token)) => Ok(Desk {
            caller: deps.tenants.caller(token.expose()).await.map_err(oauth)?,
            ..anonymous
        }),
        Some(_) => Err(OAuthError::invalid_client()),
    }
}

fn fresh() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"));
    answer
}

fn app_of(request: &HttpRequest) -> Option<&str> {
    request.match_info().get("app")
}

async fn token(deps: With, request: HttpRequest, parameters: Parameters) -> OAuthAnswer {
    let desk = desk(&deps, &request).await?;
    let mut asked: TokenRequest = parameters.read()?;
    asked.dpop_jkt = proven(&deps, &request, None).map_err(|_| {
        let told = "the DPoP proof is missing, wrong, too old or used already";
        OAuthError::new(StatusCode::BAD_REQUEST, "invalid_dpop_proof", told)
    })?;
    let answer = deps
        .tenants
        .token(&desk.caller, app_of(&request), &desk.auth, &asked)
        .await
        .map_err(oauth)?;
    Ok(fresh().json(answer))
}

fn token_in(parameters: &Parameters) -> Result<Secret, OAuthError> {
    let token = parameters.value("token").map(Secret::new);
    token.ok_or_else(|| OAuthError::invalid_request("`token` is missing"))
}

async fn introspect(deps: With, request: HttpRequest, parameters: Parameters) -> OAuthAnswer {
    let desk = desk(&deps, &request).await?;
    let token = token_in(&parameters)?;
    let asked: TokenRequest = parameters.read()?;
    let found = deps
        .tenants
        .introspect(&desk.caller, app_of(&request), &desk.auth, &asked, &token)
        .await;
    Ok(fresh().json(found.map_err(oauth)?))
}

async fn revoke(deps: With, request: HttpRequest, parameters: Parameters) -> OAuthAnswer {
    let desk = desk(&deps, &request).await?;
    let token = token_in(&parameters)?;
    let asked: TokenRequest = parameters.read()?;
    deps.tenants
        .revoke(&desk.caller, app_of(&request), &desk.auth, &asked, &token)
        .await
        .map_err(oauth)?;
    Ok(fresh().finish())
}
