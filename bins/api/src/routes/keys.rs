//! `…/keys`: the keys that sign access tokens. They serve every App, so only an operator changes them.

use actix_web::{HttpResponse, web};
use heimdall_server::{Json, OptionalJson, Problem};
use heimdall_token::{Algorithm, KeyFile, KeyInfo, KeyRingError};
use heimdall_types::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/apps/{app}/keys").route(web::get().to(keys_of_app)))
        .service(web::resource("/apps/{app}/keys/rotate").route(web::post().to(rotate_by_app)))
        .service(web::resource("/keys").route(web::get().to(keys)))
        .service(web::resource("/keys/rotate").route(web::post().to(rotate)))
        .service(web::resource("/keys/import").route(web::post().to(import)));
}

fn key(info: &KeyInfo) -> Value {
    json!({
        "kid": info.kid,
        "algorithm": info.algorithm,
        "state": info.state,
        "created_at": info.created_at.to_rfc3339(),
        "activates_at": info.activates_at.to_rfc3339(),
        "retired_at": info.retired_at.map(|at| at.to_rfc3339()),
        "removes_at": info.removes_at.map(|at| at.to_rfc3339()),
    })
}

fn all(deps: &With) -> HttpResponse {
    let keys: Vec<Value> = deps.keys.keys().iter().map(key).collect();
    HttpResponse::Ok().json(json!({ "data": keys }))
}

async fn keys_of_app(deps: With, who: Who, app: web::Path<String>) -> Answer {
    deps.tenants
        .may(&who.0, &app, "keys:read")
        .await
        .map_err(problem)?;
    Ok(all(&deps))
}

async fn keys(deps: With, who: Who) -> Answer {
    deps.tenants.operator(&who.0).map_err(problem)?;
    Ok(all(&deps))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rotation {
    algorithm: Option<String>,
}

async fn rotate_by_app(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: OptionalJson<Rotation>,
) -> Answer {
    deps.tenants.operates(&who.0, &app).await.map_err(problem)?;
    next(&deps, &who, body.0.unwrap_or_default()).await
}

async fn rotate(deps: With, who: Who, body: OptionalJson<Rotation>) -> Answer {
    deps.tenants.operator(&who.0).map_err(problem)?;
    next(&deps, &who, body.0.unwrap_or_default()).await
}

async fn next(deps: &With, who: &Who, wanted: Rotation) -> Answer {
    let algorithm: Algorithm = match wanted.algorithm {
        None => deps.keys.signer().map_err(Problem::internal)?.algorithm(),
        Some(name) => name
            .parse()
            .map_err(|_| Problem::unprocessable("algorithm", "is not known here"))?,
    };
    let made = deps.keys.rotate(algorithm, who.0.actor()).await;
    Ok(HttpResponse::Created().json(key(&made.map_err(refused("algorithm"))?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    /// PEM or JWK, private.
    key: Secret,
    /// Which algorithm it signs with, where its kind knows several: RS256 for an RSA key that is silent about it.
    algorithm: Option<String>,
}

async fn import(deps: With, who: Who, body: Json<Import>) -> Answer {
    deps.tenants.operator(&who.0).map_err(problem)?;
    let file = KeyFile::parse(body.0.key.expose(), None)
        .map_err(|error| Problem::unprocessable("key", error.to_string()))?;
    let mut keys = file.into_keys().into_iter();
    let (Some(only), None) = (keys.next(), keys.next()) else {
        return Err(Problem::unprocessable("key", "must be exactly one key"));
    };
    let silent =
        only.algorithm() == Algorithm::Ps256 && !body.0.key.expose().trim_start().starts_with('{');
    let wanted = match (&body.0.algorithm, silent) {
        (Some(name), _) => name
            .parse()
            .map_err(|_| Problem::unprocessable("algorithm", "is not known here"))?,
        (None, true) => Algorithm::Rs256,
        (None, false) => only.algorithm(),
    };
    let only = only
        .with_algorithm(wanted)
        .map_err(|error| Problem::unprocessable("algorithm", error.to_string()))?;
    if wanted.is_symmetric() {
        return Err(Problem::unprocessable(
            "key",
            "is symmetric: whoever could verify could sign",
        ));
    }
    // Whatever the file calls it: the name of a published key says which key it is (RFC 7638).
    let kid = only.public().thumbprint();
    let only = only.with_kid(kid);
    let brought = deps.keys.import(only, who.0.actor()).await;
    Ok(HttpResponse::Created().json(key(&brought.map_err(refused("key"))?)))
}

fn refused(field: &'static str) -> impl Fn(KeyRingError) -> Problem {
    move |error| match error {
        KeyRingError::Store(fault) => fault.into(),
        other => Problem::unprocessable(field, other.to_string()),
    }
}
