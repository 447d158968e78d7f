//! An actix-web service that asks the pipeline before each handler.
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

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use heimdall_pipeline::{Engine, HeaderView, RawHead, Snapshot, Verdict};

/// Header fields where they lie.
struct Fields<'a>(&'a HeaderMap);

impl HeaderView for Fields<'_> {
    fn values<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        self.0.get_all(name).map(HeaderValue::as_bytes).collect()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self.0 {
            visit(name.as_str(), value.as_bytes());
        }
    }
}

#[derive(Clone)]
struct Rules {
    engine: Engine,
    snapshot: Snapshot,
}

impl Rules {
    async fn judge(&self, request: &HttpRequest) -> Verdict {
        let fields = Fields(request.headers());
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let raw = RawHead {
            method: request.method().as_str(),
            target,
            authority: request
                .headers()
                .get("host")
                .and_then(|host| host.to_str().ok()),
            tls: false,
            peer: request
                .peer_addr()
                .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip()),
            headers: &fields,
        };
        match self.engine.gate().admit(raw) {
            Ok(request) => self.snapshot.find(&request).judge(&request, None).await,
            Err(refusal) => Verdict::Respond(Box::new(self.engine.refuse(&refusal))),
        }
    }
}

async fn guard(
    rules: web::Data<Arc<Rules>>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match rules.judge(request.request()).await {
        Verdict::Forward(forward) => {
            let dropped: Vec<HeaderName> = request
                .headers()
                .keys()
                .filter(|name| !forward.keeps(name.as_str()))
                .cloned()
                .collect();
            for name in dropped {
                request.headers_mut().remove(name);
            }
            for (name, value) in &forward.headers {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(&**name), HeaderValue::from_str(value))
                {
                    request.headers_mut().append(name, value);
                }
            }
            Ok(next.call(request).await?.map_into_left_body())
        }
        Verdict::Accept(_) => Ok(next.call(request).await?.map_into_left_body()),
        Verdict::Respond(respond) => {
            let status = StatusCode::from_u16(respond.status).unwrap_or(StatusCode::FORBIDDEN);
            let answer = HttpResponse::build(status).body(respond.body);
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

async fn hello(request: HttpRequest) -> String {
    let user = request
        .headers()
        .get("x-user")
        .and_then(|user| user.to_str().ok())
        .unwrap_or("nobody");
    format!("hello {user}\n")
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let config = "
mechanisms:
  authenticators: [{id: login, type: basic_auth, config: {user_id: joe, password: secret}}]
  finalizers: [{id: who, type: header, config: {headers: {X-User: '{{ .Subject.ID }}'}}}]
";
    let rules = "
  - id: hello
    match: {routes: [{path: /hello}]}
    forward_to: {host: localhost}
    execute: [{authenticator: login}, {finalizer: who}]
";
    let live = support::Bench::default().snapshot(config, rules);
    let rules = web::Data::new(Arc::new(Rules {
        engine: live.engine,
        snapshot: live.snapshot,
    }));
    println!("try: curl -u joe:secret http://127.0.0.1:8090/hello");
    HttpServer::new(move || {
        App::new()
            .app_data(rules.clone())
            .wrap(from_fn(guard))
            .route("/hello", web::get().to(hello))
    })
    .bind(("127.0.0.1", 8090))?
    .run()
    .await
}
