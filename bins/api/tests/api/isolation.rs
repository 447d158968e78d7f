//! Nobody sees, touches or tells apart what another tenant has.

use serde_json::{Value, json};

use crate::client::Api;

fn operations() -> Vec<(String, String)> {
    let document = heimdall_api::openapi::document();
    let paths = document["paths"].as_object().unwrap();
    let each = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> = methods
            .as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect();
        methods
            .into_iter()
            .map(|m| (m, path.trim_start_matches("/v1").to_owned()))
            .collect::<Vec<_>>()
    };
    paths
        .iter()
        .flat_map(each)
        .filter(|(_, path)| path.starts_with("/apps/{app}"))
        .collect()
}

#[actix_web::test]
async fn every_documented_route_exists() {
    let api = Api::start().await;
    for (method, path) in operations() {
        let path = path.replace("{app}", "acme").replace(['{', '}'], "");
        let reply = api
            .call(
                &method,
                &path,
                "",
                if method == "GET" || method == "DELETE" {
                    Value::Null
                } else {
                    json!({})
                },
            )
            .await;
        assert!(
            ![404, 405].contains(&reply.status)
                || path.ends_with("/sessions")
                || path.contains("/tokens")
                || path.ends_with("/verify"),
            "{method} {path}: {} {}",
            reply.status,
            reply.text
        );
    }
}

#[actix_web::test]
async fn a_token_of_another_tenant_gets_the_answer_of_an_absent_one() {
    let api = Api::start().await;
    let own = api.tenant("own").await;
    api.tenant("other").await;
    let users = api.get("/apps/other/users", &api.admin).await.expect(200);
    let user = users["data"][0]["id"].as_str().unwrap().to_owned();
    let (client, _) = api.credential("other", &["admin"]).await;
    for (method, path) in operations() {
        let open = [
            "/sessions",
            "/authorize",
            "/authorize/batch",
            "/verify",
            "/tokens",
            "/tokens/introspect",
            "/tokens/revoke",
        ];
        if method == "POST" && open.iter().any(|end| path == format!("/apps/{{app}}{end}")) {
            continue;
        }
        let fill = |app: &str, user: &str, client: &str| {
            path.replace("{app}", app)
                .replace("{user}", user)
                .replace("{client}", client)
                .replace("{role}", "admin")
                .replace(['{', '}'], "")
        };
        let body = match (method.as_str(), path.as_str()) {
            ("GET" | "DELETE", _) => Value::Null,
            (_, "/apps/{app}/users") => json!({"email": "a@example.org"}),
            (_, "/apps/{app}/roles") => json!({"name": "x"}),
            (_, "/apps/{app}/users/{user}/roles") => json!({"role": "admin"}),
            (_, "/apps/{app}/permissions") => json!({"permission": "a:b"}),
            (_, "/apps/{app}/webhooks/{webhook}/replay") => {
                json!({"since": "2026-01-01T00:00:00Z"})
            }
            (_, "/apps/{app}/credentials") => json!({"name": "x"}),
            (_, "/apps/{app}/webhooks") => json!({"url": "https://example.org/"}),
            (_, "/apps/{app}/roles/{role}/permissions") => json!({"permissions": []}),
            (_, "/apps/{app}/sessions/mfa") => json!({"mfa_token": "x", "code": "123456"}),
            (_, "/apps/{app}/me/password") => {
                json!({"present_password": "correct horse", "password": "another horse"})
            }
            (_, "/apps/{app}/me/factors/totp/confirm") => json!({"code": "123456"}),
            (_, "/apps/{app}/me/factors/passkeys") => json!({
                "name": "x", "passkey_token": "x",
                "passkey": {
                    "id": "x", "type": "public-key",
                    "response": {"clientDataJSON": "x", "attestationObject": "x"},
                },
            }),
            (_, path) if path.contains("/me/factors/") => json!({"password": "correct horse"}),
            (_, "/apps/{app}/password-resets") => json!({"email": "root@example.org"}),
            (_, "/apps/{app}/password-resets/confirm") => {
                json!({"token": "x", "password": "another horse"})
            }
            _ => json!({}),
        };
        let foreign = api
            .call(&method, &fill("other", &user, &client), &own, body.clone())
            .await;
        let absent = api
            .call(
                &method,
                &fill(
                    "nowhere",
                    "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                    "cli_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                ),
                &own,
                body,
            )
            .await;
        assert_eq!(
            (foreign.status, &foreign.text),
            (absent.status, &absent.text),
            "{method} {path}"
        );
        assert!(
            foreign.status == 404 || foreign.status == 403,
            "{method} {path}: {}",
            foreign.status
        );
    }
    let after = api.get("/apps/other/users", &api.admin).await.expect(200);
    assert_eq!(users, after);
}

#[actix_web::test]
async fn foreign_ids_inside_the_own_app_are_absent_ids() {
    let api = Api::start().await;
    let own = api.tenant("own").await;
    let other = api.tenant("other").await;
    let foreign = api.get("/apps/other/users", &other).await.expect(200)["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (method, end) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/suspend"),
        ("GET", "/roles"),
        ("DELETE", "/roles/admin"),
    ] {
        let there = api
            .call(
                method,
                &format!("/apps/own/users/{foreign}{end}"),
                &own,
                Value::Null,
            )
            .await;
        let absent = api
            .call(
                method,
                &format!("/apps/own/users/usr_01ARZ3NDEKTSV4RRFFQ69G5FAV{end}"),
                &own,
                Value::Null,
            )
            .await;
        assert_eq!(
            (there.status, &there.text),
            (404, &absent.text),
            "{method} {end}"
        );
        assert!(!there.text.contains(&foreign) && !there.text.contains("rqst_"));
    }
}

#[actix_web::test]
async fn nobody_gives_what_he_does_not_hold() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let role = json!({"name": "keeper", "permissions": ["roles:read", "roles:write", "roles:assign", "users:read", "users:write", "users:invite"]});
    api.post("/apps/acme/roles", &api.admin, role)
        .await
        .expect(201);
    let user = json!({"email": "k@example.org", "password": "correct horse", "role": "keeper"});
    let keeper = api
        .post("/apps/acme/users", &api.admin, user)
        .await
        .expect(201);
    let token = api.login("acme", "k@example.org").await;
    let id = keeper["id"].as_str().unwrap();
    let attempts = [
        (
            "POST",
            "/apps/acme/roles".to_owned(),
            json!({"name": "x", "permissions": ["audit:read"]}),
        ),
        (
            "POST",
            format!("/apps/acme/users/{id}/roles"),
            json!({"role": "admin"}),
        ),
        (
            "PATCH",
            "/apps/acme/roles/keeper".to_owned(),
            json!({"permissions": ["*"]}),
        ),
        (
            "POST",
            "/apps/acme/invites".to_owned(),
            json!({"role": "admin"}),
        ),
        (
            "POST",
            "/apps/acme/users".to_owned(),
            json!({"email": "z@example.org", "role": "admin"}),
        ),
    ];
    for (method, path, body) in attempts {
        assert_eq!(
            api.call(method, &path, &token, body).await.status,
            403,
            "{method} {path}"
        );
    }
}
