//! Who asks too often.

use heimdall_server::LimitSettings;
use serde_json::{Value, json};

use crate::client::Api;

#[actix_web::test]
async fn logins_are_limited_by_account_alike_for_known_and_unknown_ones() {
    let limits = LimitSettings {
        logins_per_account: 3,
        logins_per_source: 0,
        per_second: 0,
        ..LimitSettings::default()
    };
    let api = Api::start_with(limits).await;
    api.post("/apps", &api.admin, json!({"name": "acme"}))
        .await
        .expect(201);
    let user = json!({"email": "jo@example.org", "password": "correct horse"});
    api.post("/apps/acme/users", &api.admin, user)
        .await
        .expect(201);
    let attempt = async |email: &str| {
        let reply = api
            .post(
                "/apps/acme/sessions",
                "",
                json!({"email": email, "password": "wrong"}),
            )
            .await;
        (
            reply.status,
            reply.headers.contains_key("retry-after"),
            reply.text,
        )
    };
    for _ in 0..3 {
        let (known, unknown) = (
            attempt("jo@example.org").await,
            attempt("nobody@example.org").await,
        );
        assert_eq!((known.0, &known.2), (401, &unknown.2));
        assert_eq!(unknown.0, 401);
    }
    for email in ["jo@example.org", "JO@example.org", "nobody@example.org"] {
        let refused = attempt(email).await;
        assert_eq!((refused.0, refused.1), (429, true), "{email}");
    }
}

#[actix_web::test]
async fn an_admin_key_is_not_limited_and_a_made_up_one_is_no_way_around() {
    let limits = LimitSettings {
        per_second: 1,
        burst: 5,
        ..LimitSettings::default()
    };
    let api = Api::start_with(limits).await;
    for _ in 0..20 {
        api.get("/apps", &api.admin).await.expect(200);
    }
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(
            api.call("GET", "/apps", "hmk_made_up", Value::Null)
                .await
                .status,
        );
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    api.get("/apps", &api.admin).await.expect(200);
}
