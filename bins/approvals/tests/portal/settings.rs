use serde_json::{Value, json};

use crate::stage::{ADMIN, APPROVER, REQUESTER, Stage};

const PATH: &str = "/v1/apps/acme/settings/portal";

#[actix_web::test]
async fn portal_settings_are_for_those_who_may_change_them() {
    let stage = Stage::new().await;
    let (admin, requester) = (
        stage.token("acme", ADMIN).await,
        stage.token("acme", REQUESTER).await,
    );
    stage
        .call("GET", PATH, &requester, Value::Null)
        .await
        .expect(403);
    stage
        .call("GET", PATH, "rubbish", Value::Null)
        .await
        .expect(401);
    let shown = stage
        .call("GET", PATH, &admin, Value::Null)
        .await
        .expect(200);
    assert_eq!(shown.json()["enabled"], true);
    assert_eq!(shown.json()["signature_keys"][0]["signs"], true);
    assert!(!shown.text.contains("sealed"), "{}", shown.text);
    stage
        .call("GET", PATH, &stage.admin_key, Value::Null)
        .await
        .expect(200);
}

#[actix_web::test]
async fn a_signature_key_follows_the_rules() {
    let stage = Stage::new().await;
    let admin = stage.token("acme", ADMIN).await;
    for bad in [
        "A".repeat(340),
        format!("{}+", "A".repeat(341)),
        format!("{}==", "A".repeat(342)),
        String::new(),
    ] {
        let reply = stage
            .call("PUT", PATH, &admin, json!({ "signature_key": bad }))
            .await
            .expect(422);
        assert_eq!(reply.field(), "signature_key");
    }
    let host = stage
        .call("PUT", PATH, &admin, json!({ "portal_host": "https://a/b" }))
        .await
        .expect(422);
    assert_eq!(host.field(), "portal_host");
    stage
        .call("PUT", PATH, &admin, json!({ "surprise": 1 }))
        .await
        .expect(400);
    let secret = json!({ "username": "portal-key", "password": "B".repeat(341) + "A" });
    let set = stage
        .call("PUT", PATH, &admin, json!({ "signature_key": secret }))
        .await
        .expect(200)
        .json();
    assert_eq!(set["signature_keys"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_link_already_sent_outlives_a_new_key_but_not_a_closed_portal() {
    let stage = Stage::new().await;
    let admin = stage.token("acme", ADMIN).await;
    stage.ask(&["billing-admin"]).await;
    let token = stage.mail_token().await;
    let made = stage
        .call(
            "POST",
            &format!("{PATH}/signature-key/generate"),
            &admin,
            Value::Null,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(made["signature_keys"].as_array().unwrap().len(), 2);
    stage
        .get(&format!("/external-approval?token={token}"), "")
        .await
        .expect(200);
    stage
        .call("PUT", PATH, &admin, json!({ "enabled": false }))
        .await
        .expect(200);
    stage
        .get(&format!("/external-approval?token={token}"), "")
        .await
        .expect(400);
}

#[actix_web::test]
async fn the_settings_page_does_the_same() {
    let stage = Stage::new().await;
    stage
        .get("/settings", &stage.sign_in(REQUESTER).await)
        .await
        .expect(403);
    let cookie = stage.sign_in(ADMIN).await;
    let page = stage.get("/settings", &cookie).await.expect(200);
    assert!(page.text.contains("Signs and verifies"));
    let csrf = page.hidden("csrf");
    let made = stage
        .form(
            "/settings",
            &cookie,
            &[("csrf", &csrf), ("act", "generate")],
        )
        .await
        .expect(200);
    assert!(made.text.contains("Verifies only"), "{}", made.text);
    let fields = [
        ("csrf", csrf.as_str()),
        ("act", "key"),
        ("key", "too short"),
    ];
    let bad = stage.form("/settings", &cookie, &fields).await.expect(422);
    assert!(
        bad.text.contains("Nothing was changed.") && bad.text.contains("href=\"#key\""),
        "{}",
        bad.text
    );
    let off = [
        ("csrf", csrf.as_str()),
        ("act", "gate"),
        ("host", stage.deps.base_url.as_str()),
    ];
    stage.form("/settings", &cookie, &off).await.expect(200);
    let admin = stage.token("acme", ADMIN).await;
    assert_eq!(
        stage
            .call("GET", PATH, &admin, Value::Null)
            .await
            .expect(200)
            .json()["enabled"],
        false
    );
    stage
        .form(
            "/settings",
            &cookie,
            &[("csrf", "wrong"), ("act", "generate")],
        )
        .await
        .expect(403);
}

#[actix_web::test]
async fn the_mail_server_is_the_operators() {
    let stage = Stage::new().await;
    let admin = stage.token("acme", ADMIN).await;
    stage
        .call("GET", "/v1/settings/smtp", &admin, Value::Null)
        .await
        .expect(403);
    let key = stage.admin_key.clone();
    let empty = stage
        .call("GET", "/v1/settings/smtp", &key, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(empty["url"], Value::Null);
    stage
        .call(
            "POST",
            "/v1/settings/smtp/test",
            &key,
            json!({ "to": ADMIN }),
        )
        .await
        .expect(202);
    stage.mail(ADMIN, "can send mail").await;

    let put = |url: &str| json!({ "url": url, "from": "Heimdall <h@acme.example>", "username": "u", "password": "hunter2" });
    for bad in ["file:///tmp", "http://mail", "smtp://u:p@mail"] {
        let reply = stage
            .call("PUT", "/v1/settings/smtp", &key, put(bad))
            .await
            .expect(422);
        assert_eq!(reply.field(), "url", "{bad}");
    }
    let saved = stage
        .call("PUT", "/v1/settings/smtp", &key, put("smtp://127.0.0.1:1"))
        .await
        .expect(200);
    assert!(!saved.text.contains("hunter2"));
    let refused = stage
        .call(
            "POST",
            "/v1/settings/smtp/test",
            &key,
            json!({ "to": ADMIN }),
        )
        .await
        .expect(502);
    assert!(!refused.text.contains("hunter2"), "{}", refused.text);
    stage
        .call(
            "POST",
            "/v1/settings/smtp/test",
            &key,
            json!({ "to": "a@x\r\nBcc: b@y" }),
        )
        .await
        .expect(422);
}

#[actix_web::test]
async fn recipients_of_a_notification_config_decide_where_the_role_names_nobody() {
    let stage = Stage::new().await;
    let admin = stage.token("acme", ADMIN).await;
    let path = "/v1/apps/acme/notification-configs";
    let new =
        json!({ "name": "Owners", "recipients": [APPROVER], "use_for_external_approvals": true });
    let made = stage
        .call("POST", path, &admin, new.clone())
        .await
        .expect(201)
        .json();
    stage.call("POST", path, &admin, new).await.expect(409);
    for (name, value, field) in [
        ("recipients", json!([]), "recipients"),
        ("recipients", json!(["a@x\r\nBcc: b@y"]), "recipients.0"),
        ("recipients", json!([APPROVER, APPROVER]), "recipients.1"),
        ("name", json!("  "), "name"),
    ] {
        let mut body = json!({ "name": "Others", "recipients": [APPROVER] });
        body[name] = value;
        assert_eq!(
            stage
                .call("POST", path, &admin, body)
                .await
                .expect(422)
                .field(),
            field
        );
    }
    let id = made["id"].as_str().unwrap();
    let role = json!({
        "name": "payroll", "permissions": ["billing:read"], "notification_configs": [id],
        "requestable": { "max_minutes": 60 },
    });
    let system = heimdall_tenant::Caller::System;
    let role = serde_json::from_value(role).unwrap();
    stage
        .deps
        .tenants
        .create_role(&system, "acme", role)
        .await
        .unwrap();
    stage.ask(&["payroll"]).await;
    stage.mail(APPROVER, "asks for payroll").await;

    let one = format!("{path}/{id}");
    let changed = stage
        .call("PATCH", &one, &admin, json!({ "name": "Payroll owners" }))
        .await
        .expect(200)
        .json();
    assert_eq!(changed["recipients"], json!([APPROVER]));
    let listed = stage
        .call("GET", path, &admin, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(listed["data"][0]["name"], "Payroll owners");
    stage
        .call("DELETE", &one, &admin, Value::Null)
        .await
        .expect(204);
    stage
        .call("GET", &one, &admin, Value::Null)
        .await
        .expect(404);
    let requester = stage.token("acme", REQUESTER).await;
    let ask = json!({ "roles": ["payroll"], "justification": "why", "duration_minutes": 30 });
    let nobody = stage
        .call("POST", "/v1/apps/acme/requests", &requester, ask)
        .await
        .expect(422);
    assert!(
        nobody.field().starts_with("roles"),
        "a role that nobody decides is an error that a person sees"
    );
}
