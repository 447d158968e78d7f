use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, ResponseError};
use heimdall_types::Clock;

use crate::{LimitSettings, Limits, Problem, Redaction, Sources, SystemClock};

/// The content policy of pages: nothing inline, nothing from elsewhere, no frame around them.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const BARE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: in the header `x-request-id` of the answer and in every log line about it.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// An id that no other request has.
    pub fn generate() -> Self {
        Self(new_id())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The one middleware around every route: request id, rate limit by source, security headers, a problem document
/// for every error that has no body, one access log line, metrics.
#[derive(Debug, Clone)]
pub struct Edge {
    service: &'static str,
    limits: Arc<Limits>,
    redaction: Arc<Redaction>,
    sources: Arc<Sources>,
    encrypted: bool,
}

impl Edge {
    /// An edge for the service of this name, with default limits.
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            limits: Arc::new(Limits::new(&LimitSettings::default())),
            redaction: Arc::default(),
            sources: Arc::default(),
            encrypted: false,
        }
    }

    /// Counts with these counters; share them with the handlers that count logins and links.
    #[must_use]
    pub fn limits(self, limits: Arc<Limits>) -> Self {
        Self { limits, ..self }
    }

    /// Hides these parts of paths in the log.
    #[must_use]
    pub fn redact(self, redaction: Redaction) -> Self {
        Self {
            redaction: Arc::new(redaction),
            ..self
        }
    }

    /// Believes these proxies about the source of a request.
    #[must_use]
    pub fn sources(self, sources: Sources) -> Self {
        Self {
            sources: Arc::new(sources),
            ..self
        }
    }

    /// Whether callers reach us over TLS (here or at a proxy before us): adds `Strict-Transport-Security`.
    #[must_use]
    pub fn encrypted(self, encrypted: bool) -> Self {
        Self { encrypted, ..self }
    }

    /// The address a request counts for.
    pub fn source_of(&self, request: &HttpRequest) -> IpAddr {
        self.sources.of(request)
    }

    /// The counters.
    pub fn counters(&self) -> &Arc<Limits> {
        &self.limits
    }

    pub(crate) async fn around<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        let started = Instant::now();
        let id = RequestId::generate();
        request.extensions_mut().insert(id.clone());
        let source = self.sources.of(request.request());
        let (method, path) = (
            request.method().clone(),
            self.redaction.path(request.path()).into_owned(),
        );
        let claims_key = shows_key(request.headers());
        let limited = if claims_key {
            Ok(())
        } else {
            self.limits.request(source)
        };
        let mut answer = match limited {
            Ok(()) => next.call(request).await?.map_into_boxed_body(),
            Err(problem) => request.into_response(problem.error_response()),
        };
        let status = answer.status();
        if claims_key && status == StatusCode::UNAUTHORIZED && !self.limits.wrong_key(source) {
            let refused = self
                .limits
                .request(source)
                .err()
                .unwrap_or_else(|| Problem::too_many(std::time::Duration::from_secs(1)));
            answer = answer.into_response(refused.error_response());
        }
        let mut answer = with_problem(answer);
        self.add_headers(answer.headers_mut(), &id);
        let took = started.elapsed();
        let size = match answer.response().body().size() {
            BodySize::Sized(size) => size,
            _ => 0,
        };
        tracing::info!(
            target: "access", service = self.service, request_id = id.as_str(), %source, %method, path,
            status = answer.status().as_u16(), bytes = size, micros = took.as_micros() as u64, "request"
        );
        crate::telemetry::count_request(self.service, &method, answer.status(), took);
        Ok(answer)
    }

    fn add_headers(&self, headers: &mut HeaderMap, id: &RequestId) {
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            headers.insert(REQUEST_ID, value);
        }
        let mut default = |name: HeaderName, value: &'static str| {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        };
        default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        default(header::REFERRER_POLICY, "no-referrer");
        default(header::X_FRAME_OPTIONS, "DENY");
        default(header::CONTENT_SECURITY_POLICY, BARE_POLICY);
        default(header::CACHE_CONTROL, "no-store");
        if self.encrypted {
            default(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
        }
    }
}

// Ids of requests sort by time like all our ids and are no secret: a counter keeps those of one process apart, and a
// number drawn once keeps processes apart.
fn new_id() -> Arc<str> {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u64> = LazyLock::new(|| {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one("request")
    });
    let low = (u128::from(*PROCESS & 0xffff_ffff_ffff) << 32)
        | u128::from(COUNTER.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff);
    let millis = u64::try_from(SystemClock.now().millis()).unwrap_or(0);
    format!("rqst_{}", ulid::Ulid::from_parts(millis, low)).into()
}

fn shows_key(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    [
        &b"Bearer hmk_"[..],
        b"Bearer hak_",
        b"bearer hmk_",
        b"bearer hak_",
    ]
    .iter()
    .any(|start| value.starts_with(start))
}

// Routing itself answers 404 and 405 with nothing in them, and broken path parameters with plain text.
fn with_problem(answer: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = answer.status();
    let bare = !answer.headers().contains_key(header::CONTENT_TYPE)
        || answer.headers().get(header::CONTENT_TYPE).is_some_and(|v| {
            v.as_bytes().starts_with(b"text/plain") && answer.response().error().is_some()
        });
    if !(status.is_client_error() || status.is_server_error()) || !bare {
        return answer;
    }
    let problem = match status {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method_not_allowed",
            "this method is not known here",
        ),
        _ => Problem::new(status, "invalid_request", "the request cannot be read"),
    };
    let allow = answer.headers().get(header::ALLOW).cloned();
    let mut replaced = answer.into_response(problem.error_response());
    if let Some(allow) = allow {
        replaced.headers_mut().insert(header::ALLOW, allow);
    }
    replaced
}
