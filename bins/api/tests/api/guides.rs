//! The wire facts of the guides, one by one.

use serde_json::{Value, json};

use crate::client::Api;

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&heimdall_token::crypto::from_base64url(payload).unwrap()).unwrap()
}

#[actix_web::test]
async fn onboarding_a_tenant_gives_tokens_with_concrete_permissions() {
    let api = Api::start().await;
    let app = api
        .post(
            "/apps",
            &api.admin,
            json!({"name": "acme", "display_name": "Acme"}),
        )
        .await
        .expect(201);
    assert_eq!(app["name"], "acme");
    let role = json!({"name": "billing", "display_name": "Billing", "permissions": ["billing:read", "billing:write"]});
    api.post("/apps/acme/roles", &api.admin, role)
        .await
        .expect(201);
    let user = json!({"email": "Jo@Example.org", "display_name": "Jo", "password": "correct horse", "role": "billing"});
    let made = api
        .post("/apps/acme/users", &api.admin, user)
        .await
        .expect(201);
    let token = api.login("acme", "jo@example.org").await;
    let claims = claims(&token);
    assert_eq!(claims["iss"], format!("http://{}/heimdall", api.address));
    assert_eq!(
        (&claims["sub"], &claims["user_id"]),
        (&made["id"], &made["id"])
    );
    assert_eq!(
        (&claims["app_id"], &claims["client_id"]),
        (&app["id"], &json!("sessions"))
    );
    assert_eq!(claims["roles"], json!(["billing"]));
    assert_eq!(
        claims["permissions"],
        json!(["billing:read", "billing:write"])
    );
    assert_eq!(claims["aud"], "acme");
}

#[actix_web::test]
async fn what_was_taken_away_is_seen_at_once_by_authorize_and_introspection() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let role = json!({"name": "reader", "display_name": "Reader", "permissions": ["docs:read"]});
    api.post("/apps/acme/roles", &api.admin, role)
        .await
        .expect(201);
    let user = json!({"email": "jo@example.org", "display_name": "Jo", "password": "correct horse", "role": "reader"});
    let user = api
        .post("/apps/acme/users", &api.admin, user)
        .await
        .expect(201);
    let token = api.login("acme", "jo@example.org").await;
    let ask = json!({"token": token, "permission": "docs:read"});
    assert_eq!(
        api.post("/apps/acme/authorize", "", ask.clone())
            .await
            .expect(200)["authorized"],
        true
    );
    let path = format!(
        "/apps/acme/users/{}/roles/reader",
        user["id"].as_str().unwrap()
    );
    assert_eq!(
        api.call("DELETE", &path, &api.admin, Value::Null)
            .await
            .status,
        204
    );
    let now = api.post("/apps/acme/authorize", "", ask).await.expect(200);
    assert_eq!(
        now,
        json!({"authorized": false, "missing_permissions": ["docs:read"]})
    );
    let path = format!("/apps/acme/users/{}/suspend", user["id"].as_str().unwrap());
    api.post(&path, &api.admin, Value::Null).await.expect(200);
    let verified = api
        .post("/apps/acme/verify", "", json!({"token": token}))
        .await
        .expect(200);
    assert_eq!(verified, json!({"active": false}));
    let changes = api
        .get("/apps/acme/revocations?since=0", &api.admin)
        .await
        .expect(200);
    assert!(
        changes["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["id"] == user["id"] && c["status"] == "revoked"),
        "{changes}"
    );
}

#[actix_web::test]
async fn an_invite_is_shown_once_and_used_once() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    let wish =
        json!({"email": "new@example.org", "role": "admin", "expires_in_hours": 72, "max_uses": 1});
    let invite = api
        .post("/apps/acme/invites", &admin, wish)
        .await
        .expect(201);
    let token = invite["token"].as_str().unwrap();
    assert!(invite["invite_url"].as_str().unwrap().contains(token));
    let seen = api
        .get(
            &format!("/apps/acme/invites/{}", invite["id"].as_str().unwrap()),
            &admin,
        )
        .await
        .expect(200);
    assert!(seen.get("token").is_none());
    let path = format!("/invites/{token}/accept");
    let refused = api
        .post(
            &path,
            "",
            json!({"display_name": "N", "password": "correct horse", "role": "admin"}),
        )
        .await;
    assert_eq!((refused.status, refused.field()), (400, "role".to_owned()));
    let accept = json!({"display_name": "New", "password": "correct horse"});
    let accepted = api.post(&path, "", accept.clone()).await.expect(201);
    assert_eq!(accepted["token_type"], "Bearer");
    assert_eq!(
        claims(accepted["access_token"].as_str().unwrap())["sub"],
        accepted["user"]["id"]
    );
    assert_eq!(api.post(&path, "", accept.clone()).await.status, 410);
    assert_eq!(
        api.post("/invites/none/accept", "", accept).await.status,
        404
    );
}

#[actix_web::test]
async fn fifty_acceptances_at_once_make_one_user() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    let invite = api
        .post(
            "/apps/acme/invites",
            &admin,
            json!({"role": "admin", "max_uses": 1}),
        )
        .await
        .expect(201);
    let path = format!("/invites/{}/accept", invite["token"].as_str().unwrap());
    let attempts = (0..50).map(|n| {
        let email = format!("u{n}@example.org");
        api.post(
            &path,
            "",
            json!({"display_name": "U", "password": "correct horse", "email": email}),
        )
    });
    let statuses: Vec<u16> = futures_util::future::join_all(attempts.collect::<Vec<_>>())
        .await
        .iter()
        .map(|r| r.status)
        .collect();
    assert_eq!(
        statuses.iter().filter(|s| **s == 201).count(),
        1,
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|s| [201, 409, 410].contains(s)),
        "{statuses:?}"
    );
    let users = api.get("/apps/acme/users", &admin).await.expect(200);
    assert_eq!(users["data"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn the_feed_tells_everything_in_order_and_goes_on_where_it_was_left() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    let first = api
        .get("/apps/acme/events?limit=2", &admin)
        .await
        .expect(200);
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let rest = api
        .get(
            &format!("/apps/acme/events?after={}", first["after"]),
            &admin,
        )
        .await
        .expect(200);
    let kinds: Vec<&str> = rest["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["type"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"user.created") && kinds.contains(&"role.assigned"),
        "{kinds:?}"
    );
    assert!(
        rest["data"][0]["data"]["app_id"]
            .as_str()
            .unwrap()
            .starts_with("app_")
    );
}
