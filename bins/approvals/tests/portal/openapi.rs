//! The document says what the service does.

use heimdall_approvals::openapi;

use crate::stage::Stage;

#[actix_web::test]
async fn every_operation_of_the_document_is_there_and_needs_a_credential() {
    let stage = Stage::new().await;
    let document = openapi::document();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let target = path.replace(['{', '}'], "");
        for method in methods.as_object().unwrap().keys() {
            let reply = stage
                .send(&method.to_ascii_uppercase(), &target, &[], "")
                .await;
            assert_eq!(reply.status, 401, "{method} {path}: {}", reply.text);
        }
    }
}

#[actix_web::test]
async fn the_document_and_its_page_are_served() {
    let stage = Stage::new().await;
    let served = stage.get("/openapi.json", "").await.expect(200);
    assert_eq!(served.json(), openapi::document());
    let tag = served.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    stage
        .send("GET", "/openapi.json", &known, "")
        .await
        .expect(304);
    let page = stage.get("/docs", "").await.expect(200);
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert!(!page.text.contains("//cdn") && page.text.contains("docs/try.js"));
    stage.get("/docs/try.js", "").await.expect(200);
}
