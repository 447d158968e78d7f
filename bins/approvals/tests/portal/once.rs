//! `Idempotency-Key`: what a kept answer is given to.

use serde_json::{Value, json};

use crate::stage::{ADMIN, APPROVER, Reply, Stage};

async fn post(stage: &Stage, path: &str, bearer: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {bearer}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "one"),
    ];
    stage.send("POST", path, &headers, &body.to_string()).await
}

#[actix_web::test]
async fn a_kept_answer_is_not_given_to_a_credential_that_was_revoked_since() {
    let stage = Stage::new().await;
    let body = json!({ "app": "acme", "name": "a", "privileges": ["approvals:links"] });
    let token = stage.token("acme", ADMIN).await;
    let first = post(&stage, "/v1/api-keys", &token, &body)
        .await
        .expect(201);
    let again = post(&stage, "/v1/api-keys", &token, &body)
        .await
        .expect(201);
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed")),
        (first.text.as_str(), "true")
    );
    let secret = first.json()["key"].as_str().unwrap().to_owned();
    stage.revoke_sessions(ADMIN).await;
    let refused = post(&stage, "/v1/api-keys", &token, &body)
        .await
        .expect(401);
    assert!(!refused.text.contains(&secret));
}

#[actix_web::test]
async fn an_api_key_that_was_deleted_gets_no_kept_answer() {
    let stage = Stage::new().await;
    let body = json!({ "app": "acme", "name": "a", "privileges": ["approvals:write"] });
    let made = stage
        .call("POST", "/v1/api-keys", &stage.admin_key, body)
        .await
        .expect(201)
        .json();
    let key = made["key"].as_str().unwrap().to_owned();
    let path = "/webapi/v2/approvals";
    let body = json!({ "title": "Rotate", "root": { "name": "r", "type": "single", "approvers": [{ "email": APPROVER }] } });
    let first = post(&stage, path, &key, &body).await.expect(201);
    assert_eq!(
        post(&stage, path, &key, &body).await.expect(201).text,
        first.text
    );
    let drop = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    stage
        .call("DELETE", &drop, &stage.admin_key, Value::Null)
        .await
        .expect(204);
    post(&stage, path, &key, &body).await.expect(401);
}
