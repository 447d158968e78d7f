//! `Idempotency-Key`.

use serde_json::{Value, json};

use crate::client::{Api, Reply};

async fn post(api: &Api, key: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {}", api.admin);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    api.send("POST", "/heimdall/v1/apps", &headers, body.as_bytes())
        .await
}

#[actix_web::test]
async fn a_repetition_gets_the_first_answer_and_does_nothing() {
    let api = Api::start().await;
    let first = post(&api, "k1", r#"{"name":"a"}"#).await;
    let again = post(&api, "k1", r#"{"name":"a"}"#).await;
    assert_eq!((first.status, again.status), (201, 201), "{}", again.text);
    assert_eq!(
        (&first.text, again.headers["idempotent-replayed"].as_str()),
        (&again.text, "true")
    );
    assert_eq!(post(&api, "k1", r#"{"name":"b"}"#).await.status, 422);
    assert_eq!(
        post(&api, "k2", r#"{"name":"a"}"#).await.status,
        409,
        "another key is another request"
    );
    assert_eq!(
        post(&api, &"k".repeat(256), r#"{"name":"c"}"#).await.status,
        400
    );
}

#[actix_web::test]
async fn twenty_at_once_make_one_app() {
    let api = Api::start().await;
    let replies =
        futures_util::future::join_all((0..20).map(|_| post(&api, "k", r#"{"name":"a"}"#))).await;
    for reply in &replies {
        assert!(
            [201, 409].contains(&reply.status),
            "{} {}",
            reply.status,
            reply.text
        );
    }
    let apps = api.get("/apps", &api.admin).await.expect(200);
    assert_eq!(apps["data"].as_array().map(Vec::len), Some(1));
    assert_ne!(apps["data"], Value::Null);
}

#[actix_web::test]
async fn a_shown_secret_is_replayed_from_its_sealed_copy() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let bearer = format!("Bearer {}", api.admin);
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "c"),
    ];
    let make = async || {
        api.send(
            "POST",
            "/heimdall/v1/apps/acme/credentials",
            &headers,
            b"{\"name\":\"svc\"}",
        )
        .await
        .expect(201)
    };
    let (first, second) = (make().await, make().await);
    assert_eq!(first["client_secret"], second["client_secret"]);
}

#[actix_web::test]
async fn a_revoked_key_does_not_get_a_kept_answer() {
    let api = Api::start().await;
    let made = api
        .post("/admin-keys", &api.admin, json!({"name": "short-lived"}))
        .await
        .expect(201);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let bearer = format!("Bearer {key}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", "r"),
    ];
    let make = async || {
        api.send(
            "POST",
            "/heimdall/v1/admin-keys",
            &headers,
            b"{\"name\":\"x\"}",
        )
        .await
    };
    let first = make().await.expect(201);
    assert_eq!(make().await.expect(201)["key"], first["key"]);
    assert_eq!(
        api.call(
            "DELETE",
            &format!("/admin-keys/{id}"),
            &api.admin,
            Value::Null
        )
        .await
        .status,
        204
    );
    let refused = make().await;
    assert_eq!(refused.status, 401);
    assert!(!refused.text.contains(first["key"].as_str().unwrap()));
}
