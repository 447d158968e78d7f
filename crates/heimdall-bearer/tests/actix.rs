//! The extractor in an application of actix-web.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod issuer;

use std::sync::atomic::Ordering;

use actix_web::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use actix_web::{App, HttpResponse, test, web};
use heimdall_bearer::actix::{Bearer, Refused};
use issuer::Issuer;

async fn orders(caller: Bearer) -> Result<HttpResponse, Refused> {
    caller.must("orders:read")?;
    Ok(HttpResponse::Ok().body(caller.0.sub))
}

#[actix_web::test]
async fn only_a_good_token_with_the_permission_reaches_the_handler() {
    let issuer = Issuer::new();
    let app = App::new()
        .app_data(web::Data::new(issuer.gate.clone()))
        .route("/orders", web::get().to(orders));
    let app = test::init_service(app).await;
    let ask = async |headers: &[String]| {
        let mut request = test::TestRequest::get().uri("/orders");
        for value in headers {
            request = request.append_header((AUTHORIZATION, value.as_str()));
        }
        let answer = test::call_service(&app, request.to_request()).await;
        let challenge = answer.headers().get(WWW_AUTHENTICATE).cloned();
        (answer.status().as_u16(), challenge)
    };
    let good = format!("Bearer {}", issuer.token(|_| ()));
    for _ in 0..3 {
        assert_eq!(ask(std::slice::from_ref(&good)).await, (200, None));
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&[]).await.0, 401);
    assert_eq!(ask(&[good.clone(), good]).await.0, 401, "two headers");
    for (why, header) in issuer.bad() {
        let (status, challenge) = ask(&[header]).await;
        assert_eq!(status, 401, "{why}");
        assert!(challenge.is_some(), "{why}");
    }
    let lesser = format!("Bearer {}", issuer.token(|c| c.permissions.clear()));
    let (status, challenge) = ask(&[lesser]).await;
    assert_eq!(status, 403);
    assert_eq!(challenge.unwrap(), "Bearer error=\"insufficient_scope\"");
}
