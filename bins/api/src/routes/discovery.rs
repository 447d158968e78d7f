//! Keys and metadata for those who verify our tokens.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_tenant::Grant;
use serde_json::{Value, json};

use crate::routes::With;

/// Below `/v1`.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/.well-known/jwks.json")
                .route(web::get().to(jwks))
                .route(web::head().to(jwks)),
        )
        .service(web::resource("/.well-known/openid-configuration").route(web::get().to(metadata)))
        .service(
            web::resource("/.well-known/oauth-authorization-server").route(web::get().to(metadata)),
        );
}

/// The path that RFC 8414 §3.1 makes of an issuer with a path, and the one OpenID Connect Discovery does.
pub(crate) fn at_root(prefix: &str, config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource(format!("/.well-known/oauth-authorization-server{prefix}"))
                .route(web::get().to(metadata)),
        )
        .service(
            web::resource(format!("{prefix}/.well-known/openid-configuration"))
                .route(web::get().to(metadata)),
        );
}

const FOR_A_WHILE: HeaderValue = HeaderValue::from_static("public, max-age=300");

fn unchanged(request: &HttpRequest, tag: &str) -> bool {
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    known
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

async fn jwks(deps: With, request: HttpRequest) -> HttpResponse {
    let jwks = deps.keys.jwks();
    let tag = jwks.etag().to_owned();
    let same = unchanged(&request, &tag);
    let mut answer = if same {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, FOR_A_WHILE));
    if same {
        return answer.finish();
    }
    answer
        .content_type("application/jwk-set+json")
        .body(jwks.body())
}

async fn metadata(deps: With, request: HttpRequest) -> HttpResponse {
    let body = document(&deps.issuer()).to_string();
    let tag = format!(
        "\"{}\"",
        heimdall_token::crypto::sha256_hex(body.as_bytes())
    );
    let same = unchanged(&request, &tag);
    let mut answer = if same {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, FOR_A_WHILE));
    if same {
        return answer.finish();
    }
    answer.content_type("application/json").body(body)
}

fn document(issuer: &str) -> Value {
    let grants: Vec<&str> = Grant::ALL.into_iter().map(|(name, _)| name).collect();
    let client = [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ];
    let assertions = [
        "ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    ];
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/v1/tokens"),
        "introspection_endpoint": format!("{issuer}/v1/tokens/introspect"),
        "revocation_endpoint": format!("{issuer}/v1/tokens/revoke"),
        "jwks_uri": format!("{issuer}/v1/.well-known/jwks.json"),
        "grant_types_supported": grants,
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": client,
        "token_endpoint_auth_signing_alg_values_supported": assertions,
        "introspection_endpoint_auth_methods_supported": client,
        "revocation_endpoint_auth_methods_supported": client,
        "dpop_signing_alg_values_supported": ["ES256", "ES384", "EdDSA"],
        "service_documentation": format!("{issuer}/v1/docs"),
    })
}
