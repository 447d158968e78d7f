//! Approvals that programs open, decided in the portal.

use serde_json::{Value, json};

use crate::stage::{ADMIN, COLLEAGUE, REQUESTER, Stage};

async fn key(stage: &Stage) -> String {
    let all = [
        "approvals:read",
        "approvals:write",
        "approvals:links",
        "delegations:write",
    ];
    let body = json!({ "app": "acme", "name": "tracker", "privileges": all });
    let made = stage
        .call("POST", "/v1/api-keys", &stage.admin_key, body)
        .await
        .expect(201)
        .json();
    made["key"].as_str().unwrap().to_owned()
}

async fn open(stage: &Stage, key: &str, root: Value) -> String {
    let body = json!({ "title": "Rotate <b>", "root": root, "requester": REQUESTER, "data": { "amount": 7 } });
    let made = stage.call("POST", "/webapi/v2/approvals", key, body).await;
    made.expect(201).json()["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn an_approval_waits_in_the_inbox_and_is_signed_on_its_page() {
    let stage = Stage::new().await;
    let key = key(&stage).await;
    let root = json!({ "name": "Sign", "type": "single", "approvers": [{ "email": ADMIN }], "signature": true });
    let id = open(&stage, &key, root).await;
    let cookie = stage.sign_in(ADMIN).await;
    let inbox = stage.get("/inbox", &cookie).await.expect(200);
    let path = format!("/approvals/{id}");
    assert!(
        inbox.text.contains(&id) && inbox.text.contains("Rotate &lt;b&gt;"),
        "{}",
        inbox.text
    );
    let filtered = stage.get("/inbox?source=portal", &cookie).await.expect(200);
    assert!(!filtered.text.contains(&id));

    let page = stage.get(&path, &cookie).await.expect(200);
    assert!(page.text.contains("amount") && page.text.contains("canvas"));
    let stranger = stage.sign_in(COLLEAGUE).await;
    stage.get(&path, &stranger).await.expect(404);
    let asker = stage.sign_in(REQUESTER).await;
    let own = stage.get(&path, &asker).await.expect(200);
    assert!(
        !own.text.contains("name=\"action\""),
        "who asks does not decide"
    );

    let (csrf, step) = (page.hidden("csrf"), page.hidden("step"));
    let vote = async |more: &[(&str, &str)]| {
        let mut fields = vec![
            ("csrf", csrf.as_str()),
            ("step", step.as_str()),
            ("action", "approve"),
        ];
        fields.extend_from_slice(more);
        stage.form(&format!("{path}/vote"), &cookie, &fields).await
    };
    vote(&[]).await.expect(422);
    vote(&[
        ("kind", "drawn"),
        ("strokes", "[[[1,2]]]"),
        ("png", "data:image/png;base64,aGVsbG8="),
    ])
    .await
    .expect(422);
    // The smallest PNG there is in name: its magic number.
    let png = "data:image/png;base64,iVBORw0KGgo=";
    vote(&[
        ("kind", "drawn"),
        ("strokes", "[[[1,2],[3,4]]]"),
        ("png", png),
    ])
    .await
    .expect(303);
    let done = stage.get(&path, &cookie).await.expect(200);
    let image = format!("{path}/steps/{step}/signatures/0.png");
    assert!(
        done.text.contains("0.png") && done.text.contains("Approved"),
        "{}",
        done.text
    );
    let drawn = stage.get(&image, &cookie).await.expect(200);
    assert_eq!(drawn.header("content-type"), "image/png");
    stage.get(&image, &stranger).await.expect(404);

    let shown = stage
        .call("GET", &format!("/webapi/v2{path}"), &key, Value::Null)
        .await
        .expect(200)
        .json();
    let signed = &shown["steps"][0]["votes"][0]["signature"];
    assert_eq!(
        (&signed["dig"], &signed["kind"]),
        (&shown["dig"], &json!("drawn"))
    );
}

#[actix_web::test]
async fn a_signature_of_something_else_signs_nothing() {
    let stage = Stage::new().await;
    let key = key(&stage).await;
    let root = json!({ "name": "Sign", "type": "single", "approvers": [{ "email": ADMIN }], "signature": true });
    let id = open(&stage, &key, root).await;
    let shown = stage
        .call(
            "GET",
            &format!("/webapi/v2/approvals/{id}"),
            &key,
            Value::Null,
        )
        .await
        .expect(200)
        .json();
    let path = format!(
        "/webapi/v2/approvals/{id}/steps/{}/votes",
        shown["steps"][0]["id"].as_str().unwrap()
    );
    let token = stage.token("acme", ADMIN).await;
    for signature in [
        json!({ "kind": "typed", "name": "Ada", "dig": "another" }),
        json!({ "kind": "passkey", "credential": "made up", "dig": shown["dig"] }),
        json!({ "kind": "typed", "name": "  " }),
    ] {
        let body = json!({ "action": "approve", "signature": signature });
        let reply = stage.call("POST", &path, &token, body).await.expect(422);
        assert_eq!(reply.field(), "signature");
    }
    let body = json!({ "action": "approve", "signature": { "name": "Ada" } });
    let done = stage
        .call("POST", &path, &token, body)
        .await
        .expect(201)
        .json();
    assert_eq!(
        done["steps"][0]["votes"][0]["signature"]["dig"],
        shown["dig"]
    );
}

#[actix_web::test]
async fn a_delegate_finds_in_the_inbox_what_waits_for_somebody_else() {
    let stage = Stage::new().await;
    let key = key(&stage).await;
    let id = open(
        &stage,
        &key,
        json!({ "name": "Review", "type": "single", "approvers": [{ "email": ADMIN }] }),
    )
    .await;
    let cookie = stage.sign_in(COLLEAGUE).await;
    let before = stage.get("/inbox", &cookie).await.expect(200);
    assert!(!before.text.contains(&id));
    let body = json!({
        "from": { "email": ADMIN }, "to": { "email": COLLEAGUE },
        "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z",
    });
    stage
        .call("POST", "/webapi/v2/delegations", &key, body)
        .await
        .expect(201);
    let inbox = stage.get("/inbox", &cookie).await.expect(200);
    assert!(
        inbox.text.contains(&id) && inbox.text.contains("Delegated by"),
        "{}",
        inbox.text
    );
    let page = stage
        .get(&format!("/approvals/{id}"), &cookie)
        .await
        .expect(200);
    let fields = [
        ("csrf", page.hidden("csrf")),
        ("step", page.hidden("step")),
        ("action", "approve".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    stage
        .form(&format!("/approvals/{id}/vote"), &cookie, &fields)
        .await
        .expect(303);
    let after = stage.get("/inbox", &cookie).await.expect(200);
    assert!(!after.text.contains(&id));
}
