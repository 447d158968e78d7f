use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heimdall_token::SystemRng;
use heimdall_types::Rng;
use serde_json::{Value, json};

use crate::stage::{ADMIN, COLLEAGUE, REQUESTER, Stage};

/// Draws the same eight bytes as often as it is told to.
#[derive(Default)]
struct Repeating(AtomicUsize);

impl Rng for Repeating {
    fn fill(&self, into: &mut [u8]) {
        let left = |n: usize| n.checked_sub(1);
        let repeats = into.len() == 8
            && self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
                .is_ok();
        if repeats {
            into.fill(0);
        } else {
            SystemRng.fill(into);
        }
    }
}

#[actix_web::test]
async fn a_number_that_is_taken_is_drawn_again() {
    let rng = Arc::new(Repeating::default());
    let stage = Stage::drawing(rng.clone()).await;
    rng.0.store(1, Ordering::SeqCst);
    let first = stage.ask(&["billing-admin"]).await;
    assert_eq!(first["session_id"], 10_000_000);
    rng.0.store(1, Ordering::SeqCst);
    let second = stage.ask(&["billing-admin"]).await;
    assert_eq!(rng.0.load(Ordering::SeqCst), 0, "it was drawn");
    assert_ne!(second["session_id"], 10_000_000);
}

#[actix_web::test]
async fn a_role_that_is_asked_for_is_approved_by_bearer_and_granted() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    assert_eq!(asked["state"], "CREATED");
    let session = asked["session_id"].as_i64().unwrap();
    let token = stage.mail_token().await;

    let pending = stage
        .call("GET", "/api/pending-approvals", &token, Value::Null)
        .await
        .expect(200);
    assert!(
        pending.text.contains(&session.to_string()),
        "{}",
        pending.text
    );
    let path = format!("/api/pending-approvals/{session}/approve");
    let done = stage
        .call("POST", &path, &token, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(done["state"], "APPROVED");
    assert_eq!(done["sessionId"], session);
    stage
        .call("POST", &path, &token, Value::Null)
        .await
        .expect(200);
    let other = json!({ "sessionId": session, "denialReason": "no" });
    let late = stage
        .call("POST", "/api/pending-approvals/deny", &token, other)
        .await
        .expect(409);
    assert!(late.text.contains("APPROVED"), "{}", late.text);

    assert_eq!(stage.state_of(&asked["id"]).await, "APPROVED");
    stage.mail(REQUESTER, "Approved: billing-admin").await;
    let requester = stage.token("acme", REQUESTER).await;
    let grants = stage
        .call("GET", "/v1/apps/acme/grants", &requester, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(grants["data"][0]["role"], "billing-admin");
    assert_eq!(grants["data"][0]["state"], "Active");
}

#[actix_web::test]
async fn a_denial_needs_a_reason_and_tells_it() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    let session = asked["session_id"].as_i64().unwrap();
    let token = stage.mail_token().await;
    let deny = |reason: Value| json!({ "sessionId": session.to_string(), "denialReason": reason });
    let path = "/api/pending-approvals/deny";
    let silent = stage
        .call("POST", path, &token, deny(json!("  ")))
        .await
        .expect(422);
    assert_eq!(silent.field(), "denialReason");
    let without = stage
        .call("POST", path, &token, json!({ "sessionId": session }))
        .await
        .expect(422);
    assert_eq!(without.field(), "denialReason");
    let done = stage
        .call("POST", path, &token, deny(json!("not this week")))
        .await
        .expect(200)
        .json();
    assert_eq!(done["state"], "DENIED");
    assert_eq!(stage.state_of(&asked["id"]).await, "DENIED");
    assert!(
        stage
            .mail(REQUESTER, "Denied")
            .await
            .contains("not this week")
    );
}

#[actix_web::test]
async fn bad_requests_name_the_field_and_leave_nothing() {
    let stage = Stage::new().await;
    let token = stage.token("acme", REQUESTER).await;
    let good =
        json!({ "roles": ["billing-admin"], "justification": "why", "duration_minutes": 60 });
    for (name, value, status, field) in [
        ("roles", json!(["nonsense"]), 422, "roles"),
        ("roles", json!(["reader"]), 422, "roles"),
        ("roles", json!([]), 422, "roles"),
        ("roles", json!("billing-admin"), 400, "roles"),
        ("justification", json!("   "), 422, "justification"),
        ("duration_minutes", json!(241), 422, "duration_minutes"),
        ("duration_minutes", json!(0), 422, "duration_minutes"),
        ("duration_minutes", json!(1.5), 400, "duration_minutes"),
        ("surprise", json!(1), 400, "surprise"),
    ] {
        let mut body = good.clone();
        body[name] = value;
        let reply = stage
            .call("POST", "/v1/apps/acme/requests", &token, body.clone())
            .await;
        assert!(reply.field().starts_with(field), "{body}: {}", reply.text);
        assert!(
            reply.status == status || (status == 422 && reply.status == 400),
            "{body}: {}",
            reply.text
        );
    }
    let list = stage
        .call("GET", "/v1/apps/acme/requests", &token, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(list["data"], json!([]));
}

#[actix_web::test]
async fn one_denial_ends_the_whole_session_and_two_approvers_are_both_needed() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin", "auditor"]).await;
    let session = asked["session_id"].as_i64().unwrap();
    let token = stage.mail_token().await;
    let path = format!("/api/pending-approvals/{session}/approve");
    let done = stage
        .call("POST", &path, &token, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(done["state"], "CREATED", "the other role still waits");

    let cookie = stage.sign_in(ADMIN).await;
    let inbox = stage.get("/inbox", &cookie).await.expect(200);
    assert!(inbox.text.contains("Mara Lindqvist"), "{}", inbox.text);
    let csrf = inbox.hidden("csrf");
    let id = asked["id"].as_str().unwrap();
    let deny = format!("/requests/{id}/deny");
    stage
        .form(&deny, &cookie, &[("csrf", &csrf), ("denialReason", "no")])
        .await
        .expect(303);
    assert_eq!(stage.state_of(&asked["id"]).await, "DENIED");
    let requester = stage.token("acme", REQUESTER).await;
    let grants = stage
        .call("GET", "/v1/apps/acme/grants", &requester, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(grants["data"], json!([]), "nothing was granted");
}

#[actix_web::test]
async fn events_tell_each_state_once_and_end() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    let session = asked["session_id"].as_i64().unwrap();
    let mail = stage.mail_token().await;
    let token = stage.token("acme", REQUESTER).await;
    let path = format!(
        "/v1/apps/acme/requests/{}/events",
        asked["id"].as_str().unwrap()
    );
    let approve = format!("/api/pending-approvals/{session}/approve");
    let (events, _) = futures_util::join!(
        stage.call("GET", &path, &token, Value::Null),
        stage.call("POST", &approve, &mail, Value::Null),
    );
    let states: Vec<String> = events
        .expect(200)
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| {
            serde_json::from_str::<Value>(data).unwrap()["state"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(states, ["CREATED", "APPROVED"]);
}

#[actix_web::test]
async fn a_revoked_grant_is_gone_at_once() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    let mail = stage.mail_token().await;
    let approve = format!("/api/pending-approvals/{}/approve", asked["session_id"]);
    stage
        .call("POST", &approve, &mail, Value::Null)
        .await
        .expect(200);
    let requester = stage.token("acme", REQUESTER).await;
    let grants = stage
        .call("GET", "/v1/apps/acme/grants", &requester, Value::Null)
        .await
        .expect(200)
        .json();
    let revoke = format!(
        "/v1/apps/acme/grants/{}/revoke",
        grants["data"][0]["id"].as_str().unwrap()
    );
    let stranger = stage.token("acme", COLLEAGUE).await;
    stage
        .call("POST", &revoke, &stranger, Value::Null)
        .await
        .expect(404);
    let admin = stage.token("acme", ADMIN).await;
    let revoked = stage
        .call("POST", &revoke, &admin, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(revoked["state"], "Revoked");
    let live = stage
        .call(
            "GET",
            "/v1/apps/acme/grants?active=true",
            &requester,
            Value::Null,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(live["data"], json!([]));
}
