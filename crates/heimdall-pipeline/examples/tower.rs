//! A `tower` layer in three steps: canonical request, rule, verdict.
//!
//! The service below answers for an upstream; `Guarded` stands before it and lets through what the rules allow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a failing double or set-up ends the run"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use heimdall_pipeline::{Engine, HeaderView, RawHead, Snapshot, Verdict};
use http::{HeaderMap, HeaderValue, Request, Response};
use tower_service::Service;

/// Header fields where they lie.
struct Fields<'a>(&'a HeaderMap);

impl HeaderView for Fields<'_> {
    fn values<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        self.0
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self.0 {
            visit(name.as_str(), value.as_bytes());
        }
    }
}

/// Lets through what the rules allow, with the headers that finalizers set.
#[derive(Clone)]
struct Guarded<S> {
    engine: Engine,
    snapshot: Snapshot,
    inner: S,
}

impl<S> Service<Request<String>> for Guarded<S>
where
    S: Service<Request<String>, Response = Response<String>> + Clone + 'static,
{
    type Response = Response<String>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<String>) -> Self::Future {
        let mut guarded = self.clone();
        Box::pin(async move {
            let verdict = guarded.judge(&request).await;
            match verdict {
                Verdict::Forward(forward) => {
                    let kept = request
                        .headers()
                        .iter()
                        .filter(|(name, _)| forward.keeps(name.as_str()));
                    let mut headers: HeaderMap = kept
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect();
                    for (name, value) in &forward.headers {
                        if let (Ok(name), Ok(value)) = (
                            name.parse::<http::HeaderName>(),
                            HeaderValue::from_str(value),
                        ) {
                            headers.append(name, value);
                        }
                    }
                    *request.headers_mut() = headers;
                    guarded.inner.call(request).await
                }
                Verdict::Accept(_) => guarded.inner.call(request).await,
                Verdict::Respond(respond) => {
                    let mut answer = Response::new(respond.body);
                    *answer.status_mut() = http::StatusCode::from_u16(respond.status)
                        .unwrap_or(http::StatusCode::FORBIDDEN);
                    Ok(answer)
                }
            }
        })
    }
}

impl<S> Guarded<S> {
    async fn judge(&self, request: &Request<String>) -> Verdict {
        let fields = Fields(request.headers());
        let authority = request
            .headers()
            .get("host")
            .and_then(|host| host.to_str().ok());
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let raw = RawHead {
            method: request.method().as_str(),
            target,
            authority,
            tls: false,
            peer: IpAddr::from([127, 0, 0, 1]),
            headers: &fields,
        };
        match self.engine.gate().admit(raw) {
            Ok(request) => self.snapshot.find(&request).judge(&request, None).await,
            Err(refusal) => Verdict::Respond(Box::new(self.engine.refuse(&refusal))),
        }
    }
}

#[derive(Clone)]
struct Echo;

impl Service<Request<String>> for Echo {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(format!(
            "upstream saw {:?}",
            request.headers()
        ))))
    }
}

fn main() {
    let config = "
mechanisms:
  authenticators: [{id: login, type: basic_auth, config: {user_id: joe, password: secret}}]
  finalizers: [{id: who, type: header, config: {headers: {X-User: '{{ .Subject.ID }}'}}}]
";
    let rules = "
  - id: app
    match: {routes: [{path: \"/app/**\"}]}
    forward_to: {host: upstream.example}
    execute: [{authenticator: login}, {finalizer: who}]
";
    let live = support::Bench::default().snapshot(config, rules);
    let mut service = Guarded {
        engine: live.engine,
        snapshot: live.snapshot,
        inner: Echo,
    };
    for credential in [None, Some("Basic am9lOnNlY3JldA==")] {
        let mut request = Request::builder()
            .uri("/app/x")
            .header("host", "app.example")
            .header("x-user", "root");
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let request = request.body(String::new()).expect("a request");
        let answer = support::block_on(service.call(request)).expect("never fails");
        println!("{credential:?}: {} {}", answer.status(), answer.body());
    }
}
