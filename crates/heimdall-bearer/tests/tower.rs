//! The layer around a service of tower.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod issuer;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use heimdall_bearer::tower::BearerLayer;
use heimdall_token::AccessClaims;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Request, Response};
use issuer::Issuer;
use tower_layer::Layer;
use tower_service::Service;

/// Answers with the subject that the layer found.
#[derive(Clone)]
struct Orders;

impl Service<Request<()>> for Orders {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let claims = request.extensions().get::<AccessClaims>().unwrap();
        ready(Ok(Response::new(claims.sub.clone())))
    }
}

#[tokio::test]
async fn only_a_good_token_with_the_permission_reaches_the_service() {
    let issuer = Issuer::new();
    let layer = BearerLayer::new(issuer.gate.clone()).holding("orders:read");
    let ask = async |header: Option<String>| {
        let mut request = Request::new(());
        if let Some(value) = header {
            let value = value.parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        layer.layer(Orders).call(request).await.unwrap()
    };
    let good = ask(Some(format!("Bearer {}", issuer.token(|_| ())))).await;
    assert_eq!(
        (good.status().as_u16(), good.body().as_str()),
        (200, "usr_1")
    );
    assert_eq!(ask(None).await.status(), 401);
    for (why, header) in issuer.bad() {
        let answer = ask(Some(header)).await;
        assert_eq!(answer.status(), 401, "{why}");
        assert!(answer.headers().contains_key(WWW_AUTHENTICATE), "{why}");
    }
    assert_eq!(
        issuer.fetches.load(Ordering::SeqCst),
        1,
        "within the cool-down"
    );
    let lesser = issuer.token(|c| c.permissions.clear());
    assert_eq!(ask(Some(format!("Bearer {lesser}"))).await.status(), 403);
}
