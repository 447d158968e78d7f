use serde_json::{Value, json};

use crate::stage::{REQUESTER, Stage};

#[actix_web::test]
async fn the_page_of_a_mail_decides_only_when_its_button_is_pressed() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    let token = stage.mail_token().await;
    let path = format!("/external-approval?token={token}");
    for method in ["HEAD", "OPTIONS", "GET", "GET", "GET"] {
        let reply = stage.send(method, &path, &[], "").await;
        assert!(reply.status < 300, "{method}: {}", reply.status);
        assert_eq!(reply.header("set-cookie"), "");
    }
    assert_eq!(stage.state_of(&asked["id"]).await, "CREATED");

    let page = stage.get(&path, "").await.expect(200);
    assert!(page.text.contains("Mara Lindqvist") && page.text.contains("INC-7: refund"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"),
        "{policy}"
    );
    assert!(!page.text.contains("<script>") && !page.text.contains("style=\""));
    let nonce = page.hidden("nonce");
    assert!(
        !page.text.contains(&token),
        "the token does not stand in the page"
    );
    let done = stage
        .form(
            "/external-approval",
            "",
            &[("nonce", &nonce), ("action", "approve")],
        )
        .await
        .expect(200);
    assert!(done.text.contains("You approved"), "{}", done.text);
    assert_eq!(stage.state_of(&asked["id"]).await, "APPROVED");
    let again = stage.get(&path, "").await.expect(200);
    assert!(again.text.contains("You approved"), "{}", again.text);
    let replay = stage
        .form(
            "/external-approval",
            "",
            &[("nonce", &nonce), ("action", "deny"), ("denialReason", "x")],
        )
        .await;
    assert!(
        replay.status == 409 || replay.status == 200,
        "{}",
        replay.status
    );
    assert_eq!(stage.state_of(&asked["id"]).await, "APPROVED");
}

#[actix_web::test]
async fn a_denial_on_the_page_needs_its_reason() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    let path = format!("/external-approval?token={}", stage.mail_token().await);
    let nonce = stage.get(&path, "").await.expect(200).hidden("nonce");
    let silent = stage
        .form(
            "/external-approval",
            "",
            &[("nonce", &nonce), ("action", "deny"), ("denialReason", " ")],
        )
        .await;
    assert!((400..500).contains(&silent.status), "{}", silent.status);
    assert_eq!(stage.state_of(&asked["id"]).await, "CREATED");
    let nonce = stage.get(&path, "").await.expect(200).hidden("nonce");
    let reason = "<img src=x onerror=alert(1)> {{7*7}}";
    let fields = [
        ("nonce", nonce.as_str()),
        ("action", "deny"),
        ("denialReason", reason),
    ];
    stage
        .form("/external-approval", "", &fields)
        .await
        .expect(200);
    assert_eq!(stage.state_of(&asked["id"]).await, "DENIED");
    let cookie = stage.sign_in(REQUESTER).await;
    let page = stage
        .get(
            &format!("/requests/{}", asked["id"].as_str().unwrap()),
            &cookie,
        )
        .await
        .expect(200);
    assert!(page.text.contains("&lt;img src"), "{}", page.text);
    assert!(!page.text.contains("<img src") && !page.text.contains(" 49"));
}

#[actix_web::test]
async fn links_that_do_not_hold_get_one_page_and_change_nothing() {
    let stage = Stage::new().await;
    let asked = stage.ask(&["billing-admin"]).await;
    let token = stage.mail_token().await;
    let mut bodies = std::collections::BTreeSet::new();
    let cut = &token[..token.len() - 5];
    let access = stage.token("acme", REQUESTER).await;
    for bad in ["", "rubbish", cut, access.as_str(), "a.b.c"] {
        let reply = stage
            .get(&format!("/external-approval?token={bad}"), "")
            .await
            .expect(400);
        assert!(!reply.text.contains("Mara"), "no details");
        bodies.insert(reply.text);
    }
    assert_eq!(bodies.len(), 1, "all of them look the same");
    let path = format!("/api/pending-approvals/{}/approve", asked["session_id"]);
    assert_eq!(stage.send("POST", &path, &[], "").await.status, 401);
    for wrong in ["rubbish", access.as_str()] {
        stage
            .call("POST", &path, wrong, Value::Null)
            .await
            .expect(401);
    }
    let basic = stage
        .send(
            "GET",
            "/api/pending-approvals",
            &[("authorization", "Basic YTpi")],
            "",
        )
        .await;
    assert_eq!(basic.status, 401);
    let forged = stage
        .form(
            "/external-approval",
            "",
            &[("nonce", "forged"), ("action", "approve")],
        )
        .await;
    assert!((400..500).contains(&forged.status), "{}", forged.status);
    assert_eq!(stage.state_of(&asked["id"]).await, "CREATED");
}

#[actix_web::test]
async fn a_mail_token_decides_its_own_session_only_and_is_no_access_token() {
    let stage = Stage::new().await;
    let first = stage.ask(&["billing-admin"]).await;
    let token = stage.mail_token().await;
    let second = stage.ask(&["auditor"]).await;
    let other = format!("/api/pending-approvals/{}/approve", second["session_id"]);
    stage
        .call("POST", &other, &token, Value::Null)
        .await
        .expect(403);
    stage
        .call("GET", "/v1/apps/acme/requests", &token, Value::Null)
        .await
        .expect(401);
    let deny = json!({ "sessionId": second["session_id"], "denialReason": "no" });
    stage
        .call("POST", "/api/pending-approvals/deny", &token, deny)
        .await
        .expect(403);
    assert_eq!(stage.state_of(&first["id"]).await, "CREATED");
    assert_eq!(stage.state_of(&second["id"]).await, "CREATED");
}

#[actix_web::test]
async fn bearer_routes_and_portal_sessions_do_not_touch_each_other() {
    let stage = Stage::new().await;
    stage.ask(&["billing-admin"]).await;
    let token = stage.mail_token().await;
    let cookie = stage.sign_in(REQUESTER).await;
    let by_cookie = stage
        .get("/api/pending-approvals", &cookie)
        .await
        .expect(401);
    assert_eq!(by_cookie.header("set-cookie"), "");
    let authorization = format!("Bearer {token}");
    let headers = [
        ("cookie", cookie.as_str()),
        ("authorization", authorization.as_str()),
    ];
    let both = stage
        .send("GET", "/api/pending-approvals", &headers, "")
        .await
        .expect(200);
    assert_eq!(both.header("set-cookie"), "");
    stage.get("/", &cookie).await.expect(200);
    let portal = stage
        .send("GET", "/", &[("authorization", authorization.as_str())], "")
        .await;
    assert_eq!(portal.status, 303, "a mail token opens no portal page");
}
