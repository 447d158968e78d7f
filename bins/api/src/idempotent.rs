//! `Idempotency-Key`: the first answer to a POST is kept for a day, sealed, and a repetition gets it again.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use heimdall_server::{Authorization, Problem, read_body};
use heimdall_store::Repetition;
use heimdall_token::crypto;
use serde::{Deserialize, Serialize};

use crate::deps::Deps;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// A claim whose process died is free again after this.
const PATIENCE: Duration = Duration::from_secs(60);
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

#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) async fn once<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(key) = request.headers().get(&KEY).cloned() else {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body);
    };
    let exempt = EXEMPT.iter().any(|end| request.path().ends_with(end));
    if request.method() != Method::POST || exempt {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body);
    }
    match claim(&mut request, &key).await {
        Err(problem) => Ok(request.into_response(problem.error_response())),
        Ok(Claim::Ignored) => next
            .call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body),
        Ok(Claim::Answered(answer)) => Ok(request.into_response(answer)),
        Ok(Claim::Ours { deps, scope, key }) => {
            let answer = next
                .call(request)
                .await
                .map(ServiceResponse::map_into_boxed_body);
            settle(&deps, &scope, &key, answer).await
        }
    }
}

enum Claim {
    Ignored,
    Answered(HttpResponse),
    Ours {
        deps: web::Data<Deps>,
        scope: String,
        key: String,
    },
}

async fn claim(request: &mut ServiceRequest, key: &HeaderValue) -> Result<Claim, Problem> {
    let wrong = || Problem::bad_field("Idempotency-Key", "has 1 to 255 printable ASCII characters");
    let key = key
        .to_str()
        .ok()
        .filter(|k| (1..=255).contains(&k.len()))
        .ok_or_else(wrong)?
        .to_owned();
    let missing = || Problem::internal("the application has no dependencies");
    let deps = request
        .app_data::<web::Data<Deps>>()
        .cloned()
        .ok_or_else(missing)?;
    let plain = request.request().clone();
    if !is_good(&deps, &plain).await? {
        return Ok(Claim::Ignored);
    }
    let body = read_body(&plain, &mut request.take_payload()).await?;
    // Whoever shows another credential uses another key.
    let credential = plain
        .headers()
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let scope = crypto::sha256_hex(credential);
    let mut fingerprint = format!("{} {}\n", plain.method(), plain.uri()).into_bytes();
    fingerprint.extend_from_slice(&body);
    let fingerprint = crypto::sha256(&fingerprint);
    request.set_payload(Payload::from(body));
    match deps
        .store
        .begin_idempotent(&scope, &key, &fingerprint, deps.clock.now(), PATIENCE)
        .await?
    {
        Repetition::First => Ok(Claim::Ours { deps, scope, key }),
        Repetition::Running => Err(Problem::conflict(
            "request_running",
            "the first request with this key still runs",
        )),
        Repetition::Mismatch => Err(Problem::unprocessable(
            "Idempotency-Key",
            "was used for another request within the last day",
        )),
        Repetition::Done(sealed) => replay(&deps, &scope, &sealed).map(Claim::Answered),
    }
}

// A kept answer may hold a secret: whoever lost the credential that it was given to must not get it again. The handler
// then refuses by itself. Nobody's requests (an invite accepted) have their secret in the path, which is compared.
async fn is_good(deps: &Deps, request: &HttpRequest) -> Result<bool, Problem> {
    Ok(match Authorization::of(request)? {
        None => true,
        Some(Authorization::Bearer(token)) => deps.tenants.caller(token.expose()).await.is_ok(),
        Some(_) => false,
    })
}

fn replay(deps: &Deps, scope: &str, sealed: &[u8]) -> Result<HttpResponse, Problem> {
    let opened = deps
        .root_key
        .open(&context(scope), sealed)
        .map_err(Problem::internal)?;
    let kept: Kept = serde_json::from_slice(&opened).map_err(Problem::internal)?;
    let mut answer =
        HttpResponse::build(StatusCode::from_u16(kept.status).map_err(Problem::internal)?);
    for (name, value) in kept.headers {
        answer.insert_header((name, value));
    }
    answer.insert_header((REPLAYED, "true"));
    Ok(answer.body(kept.body))
}

fn context(scope: &str) -> String {
    format!("idempotency:{scope}")
}

// Answers that say nothing about the request itself (busy, not allowed in at all) are not kept: the repetition is
// what the caller was asked to do.
async fn settle(
    deps: &Arc<Deps>,
    scope: &str,
    key: &str,
    answer: Result<ServiceResponse<BoxBody>, actix_web::Error>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            deps.store
                .abandon_idempotent(scope, key)
                .await
                .map_err(Problem::from)?;
            return Err(error);
        }
    };
    let status = answer.status();
    if status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 408 | 429) {
        deps.store
            .abandon_idempotent(scope, key)
            .await
            .map_err(Problem::from)?;
        return Ok(answer);
    }
    let (request, answer) = answer.into_parts();
    let (head, body) = answer.into_parts();
    let body = to_bytes(body)
        .await
        .map_err(|_| Problem::internal("an answer could not be read"))?;
    let text = |name: &HeaderName| {
        head.headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let names = [
        header::CONTENT_TYPE,
        header::LOCATION,
        header::ETAG,
        header::CACHE_CONTROL,
    ];
    let headers = names
        .iter()
        .filter_map(|name| Some((name.as_str().to_owned(), text(name)?)))
        .collect();
    let kept = Kept {
        status: status.as_u16(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let kept = serde_json::to_vec(&kept).map_err(Problem::internal)?;
    let sealed = deps.root_key.seal(&context(scope), &kept, &*deps.rng);
    deps.store
        .finish_idempotent(scope, key, &sealed, deps.clock.now())
        .await
        .map_err(Problem::from)?;
    Ok(ServiceResponse::new(
        request,
        head.set_body(BoxBody::new(body)),
    ))
}
