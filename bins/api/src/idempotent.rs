//! `Idempotency-Key`: the first answer to a POST is kept for a day, sealed, and a repetition gets it again.
//!
//! Every binary that keeps answers uses [`Idempotency`]; they differ in which paths it covers and in who its callers are.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use futures_util::future::LocalBoxFuture;
use heimdall_server::{Problem, read_body};
use heimdall_store::{Repetition, Store};
use heimdall_token::{RootKey, crypto};
use heimdall_types::{Clock, Rng};
use serde::{Deserialize, Serialize};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// A claim whose process died is free again after this.
const PATIENCE: Duration = Duration::from_secs(60);
const KEPT_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::ETAG,
    header::CACHE_CONTROL,
];

/// Whose request it is: the scope in which a key names one request, or `None` when nothing is kept for this caller.
///
/// It is asked before every answer, kept ones too: whoever lost the credential that an answer was given to must not get
/// it again, since it may hold a secret. With `None` the handler answers, and refuses by itself what must be refused.
pub type CallerOf = fn(HttpRequest) -> LocalBoxFuture<'static, Result<Option<String>, Problem>>;

/// The middleware and what it stands on.
#[derive(Clone)]
pub struct Idempotency {
    store: Arc<Store>,
    root_key: Arc<RootKey>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    covers: fn(&str) -> bool,
    caller: CallerOf,
}

impl std::fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idempotency").finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

enum Claim {
    Ignored,
    Answered(HttpResponse),
    Ours { scope: String, key: String },
}

impl Idempotency {
    /// A middleware over a store. `covers` says by its path whether a POST is done once; `caller` whose it is.
    pub fn new(
        store: Arc<Store>,
        root_key: Arc<RootKey>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        covers: fn(&str) -> bool,
        caller: CallerOf,
    ) -> Self {
        Self {
            store,
            root_key,
            clock,
            rng,
            covers,
            caller,
        }
    }

    /// Answers a request: by itself when it is a repetition, else by what comes next.
    ///
    /// # Errors
    /// Those of what comes next; the database's.
    pub async fn once<B: MessageBody + 'static>(
        self,
        mut request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        let key = request.headers().get(&KEY).cloned();
        let claim = match key {
            Some(key) if request.method() == Method::POST && (self.covers)(request.path()) => {
                self.claim(&mut request, &key).await
            }
            _ => Ok(Claim::Ignored),
        };
        match claim {
            Err(problem) => Ok(request.into_response(problem.error_response())),
            Ok(Claim::Answered(answer)) => Ok(request.into_response(answer)),
            Ok(Claim::Ignored) => Ok(next.call(request).await?.map_into_boxed_body()),
            Ok(Claim::Ours { scope, key }) => {
                let answer = next.call(request).await;
                let answer = answer.map(ServiceResponse::map_into_boxed_body);
                self.settle(&scope, &key, answer).await
            }
        }
    }

    async fn claim(
        &self,
        request: &mut ServiceRequest,
        key: &HeaderValue,
    ) -> Result<Claim, Problem> {
        let wrong =
            || Problem::bad_field("Idempotency-Key", "has 1 to 255 printable ASCII characters");
        let key = key
            .to_str()
            .ok()
            .filter(|k| (1..=255).contains(&k.len()))
            .ok_or_else(wrong)?
            .to_owned();
        let plain = request.request().clone();
        let Some(scope) = (self.caller)(plain.clone()).await? else {
            return Ok(Claim::Ignored);
        };
        let body = read_body(&plain, &mut request.take_payload()).await?;
        let mut fingerprint = format!("{} {}\n", plain.method(), plain.uri()).into_bytes();
        fingerprint.extend_from_slice(&body);
        let fingerprint = crypto::sha256(&fingerprint);
        request.set_payload(Payload::from(body));
        let begun = self
            .store
            .begin_idempotent(&scope, &key, &fingerprint, self.clock.now(), PATIENCE)
            .await?;
        match begun {
            Repetition::First => Ok(Claim::Ours { scope, key }),
            Repetition::Running => Err(Problem::conflict(
                "request_running",
                "the first request with this key still runs",
            )),
            Repetition::Mismatch => Err(Problem::unprocessable(
                "Idempotency-Key",
                "was used for another request within the last day",
            )),
            Repetition::Done(sealed) => self.replay(&scope, &sealed).map(Claim::Answered),
        }
    }

    fn replay(&self, scope: &str, sealed: &[u8]) -> Result<HttpResponse, Problem> {
        let opened = self
            .root_key
            .open(&context(scope), sealed)
            .map_err(Problem::internal)?;
        let kept: Kept = serde_json::from_slice(&opened).map_err(Problem::internal)?;
        let status = StatusCode::from_u16(kept.status).map_err(Problem::internal)?;
        let mut answer = HttpResponse::build(status);
        for (name, value) in kept.headers {
            answer.insert_header((name, value));
        }
        answer.insert_header((REPLAYED, "true"));
        Ok(answer.body(kept.body))
    }

    async fn settle(
        &self,
        scope: &str,
        key: &str,
        answer: Result<ServiceResponse<BoxBody>, actix_web::Error>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        let says_something = answer.as_ref().is_ok_and(|it| is_kept(it.status()));
        if !says_something {
            let abandoned = self.store.abandon_idempotent(scope, key).await;
            abandoned.map_err(Problem::from)?;
            return answer;
        }
        let (request, answer) = answer?.into_parts();
        let (head, body) = answer.into_parts();
        let body = to_bytes(body)
            .await
            .map_err(|_| Problem::internal("an answer could not be read"))?;
        let headers = KEPT_HEADERS.iter().filter_map(|name| {
            let value = head.headers().get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        let kept = Kept {
            status: head.status().as_u16(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let kept = serde_json::to_vec(&kept).map_err(Problem::internal)?;
        let sealed = self.root_key.seal(&context(scope), &kept, &*self.rng);
        self.store
            .finish_idempotent(scope, key, &sealed, self.clock.now())
            .await
            .map_err(Problem::from)?;
        Ok(ServiceResponse::new(
            request,
            head.set_body(BoxBody::new(body)),
        ))
    }
}

/// The scope of whoever shows this credential: another credential makes another one.
pub fn scope_of_credential(request: &HttpRequest) -> String {
    let credential = request.headers().get(header::AUTHORIZATION);
    crypto::sha256_hex(credential.map(HeaderValue::as_bytes).unwrap_or_default())
}

// Answers that say nothing about the request itself (busy, not allowed in at all) are not kept: the repetition is
// what the caller was asked to do.
fn is_kept(status: StatusCode) -> bool {
    !status.is_server_error() && !matches!(status.as_u16(), 401 | 403 | 408 | 429)
}

fn context(scope: &str) -> String {
    format!("idempotency:{scope}")
}
