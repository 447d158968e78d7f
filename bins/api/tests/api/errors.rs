//! What is refused, with which status, naming which field.

use serde_json::{Value, json};

use crate::client::Api;

#[actix_web::test]
async fn bad_bodies_name_the_field() {
    let api = Api::start().await;
    api.tenant("acme").await;
    let key = api.admin.clone();
    let refused = async |path: &str, body: Value| {
        let reply = api.post(path, &key, body).await;
        assert_eq!(
            reply.headers["content-type"], "application/problem+json",
            "{}",
            reply.text
        );
        (reply.status, reply.field())
    };
    let user = |more: Value| {
        let mut user = json!({"email": "a@example.org", "display_name": "A", "password": "correct horse", "role": "admin"});
        user.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        user
    };
    for name in [
        "id",
        "app_id",
        "permissions",
        "password_hash",
        "email_verified",
    ] {
        assert_eq!(
            refused("/apps/acme/users", user(json!({name: "x"}))).await,
            (400, name.to_owned())
        );
    }
    assert_eq!(
        refused(
            "/apps/acme/users",
            user(json!({"email": "a@x.com\r\nBcc: b@y"}))
        )
        .await,
        (400, "email".into())
    );
    assert_eq!(
        refused("/apps/acme/users", user(json!({"email": 7}))).await,
        (400, "email".into())
    );
    assert_eq!(
        refused("/apps/acme/users", json!({"display_name": "A"})).await,
        (422, "email".into())
    );
    assert_eq!(
        refused("/apps/acme/users", user(json!({"role": "nobody"})))
            .await
            .0,
        422
    );
    assert_eq!(
        refused("/apps", json!({"name": "Acme "})).await,
        (400, "name".into())
    );
    assert_eq!(
        refused("/apps/acme/roles", json!({"name": "admin "})).await,
        (400, "name".into())
    );
    assert_eq!(
        refused(
            "/apps/acme/roles",
            json!({"name": "x", "permissions": ["Bad:UPPER"]})
        )
        .await
        .0,
        422
    );
    for (name, value) in [
        ("expires_in_hours", json!(0)),
        ("expires_in_hours", json!(-1)),
        ("max_uses", json!(0)),
        ("max_uses", json!(1.5)),
        ("max_uses", json!("72")),
    ] {
        assert_eq!(
            refused("/apps/acme/invites", json!({"role": "admin", name: value})).await,
            (400, name.to_owned()),
            "{value}"
        );
    }
    assert_eq!(
        api.post("/apps", &key, json!({"name": "acme"}))
            .await
            .status,
        409
    );
}

#[actix_web::test]
async fn broken_and_oversized_bodies_are_400_413_and_415() {
    let api = Api::start().await;
    let bearer = format!("Bearer {}", api.admin);
    let send = async |kind: &str, body: &[u8]| {
        let headers = [("authorization", bearer.as_str()), ("content-type", kind)];
        api.send("POST", "/heimdall/v1/apps", &headers, body)
            .await
            .status
    };
    let deep = "[".repeat(50_000);
    for bad in [
        &b"{\"name\":\"a\",\"name\":\"b\"}"[..],
        b"\xef\xbb\xbf{}",
        b"{\"name\":1e400}",
        b"{\"name\":\"\\ud800\"}",
        b"{\"name\":\"a\\u0000\"}",
        deep.as_bytes(),
        b"",
    ] {
        assert_eq!(send("application/json", bad).await, 400);
    }
    assert_eq!(send("application/json", &vec![b' '; 65_537]).await, 413);
    assert_eq!(send("text/plain", b"{}").await, 415);
}

#[actix_web::test]
async fn credentials_count_from_one_header_only() {
    let api = Api::start().await;
    let token = api.tenant("acme").await;
    let bearer = format!("Bearer {token}");
    let path = "/heimdall/v1/apps/acme/users";
    let with = async |headers: &[(&str, &str)], path: &str| {
        api.send("GET", path, headers, b"").await.status
    };
    assert_eq!(with(&[("authorization", &bearer)], path).await, 200);
    assert_eq!(
        with(
            &[("authorization", &bearer), ("authorization", &bearer)],
            path
        )
        .await,
        400
    );
    assert_eq!(with(&[("authorization", "Basic YTpi")], path).await, 401);
    assert_eq!(with(&[("cookie", "heimdall=1")], path).await, 401);
    assert_eq!(with(&[], path).await, 401);
    let unknown = with(&[], &format!("{path}?access_token={token}")).await;
    assert!(unknown == 401 || unknown == 400);
    for tampered in ["hmk_wrong", "eyJhbGciOiJub25lIn0.e30.", "x"] {
        assert_eq!(
            with(&[("authorization", &format!("Bearer {tampered}"))], path).await,
            401,
            "{tampered}"
        );
    }
}

#[actix_web::test]
async fn pages_are_walked_by_cursor_and_silly_limits_refused() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    for n in 0..5 {
        let user = json!({"email": format!("u{n}@example.org"), "display_name": "U"});
        api.post("/apps/acme/users", &admin, user).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut path = "/apps/acme/users?limit=2".to_owned();
    loop {
        let reply = api.get(&path, &admin).await;
        let link = reply.headers.get("link").cloned();
        let page = reply.expect(200);
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|u| u["id"].to_string()),
        );
        let Some(next) = page["pagination"]["next_cursor"].as_str() else {
            break;
        };
        assert!(
            link.unwrap()
                .contains(&format!("limit=2&cursor={next}>; rel=\"next\""))
        );
        path = format!("/apps/acme/users?limit=2&cursor={next}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
    for bad in [
        "limit=0",
        "limit=201",
        "limit=1000000000",
        "limit=x",
        "cursor=%27%20OR%201=1",
        "order=up",
    ] {
        assert_eq!(
            api.get(&format!("/apps/acme/users?{bad}"), &admin)
                .await
                .status,
            400,
            "{bad}"
        );
    }
}

#[actix_web::test]
async fn a_change_with_an_old_version_is_a_412() {
    let api = Api::start().await;
    let admin = api.tenant("acme").await;
    let role = api.get("/apps/acme/roles/admin", &admin).await;
    let tag = role.headers["etag"].clone();
    let bearer = format!("Bearer {}", api.admin);
    let patch = async |tag: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("if-match", tag),
        ];
        api.send(
            "PATCH",
            "/heimdall/v1/apps/acme/roles/admin",
            &headers,
            b"{\"description\":\"x\"}",
        )
        .await
        .status
    };
    assert_eq!(patch(&tag).await, 200);
    assert_eq!(patch(&tag).await, 412);
    assert_eq!(patch("rubbish").await, 412);
    assert_eq!(patch("*").await, 200);
}
