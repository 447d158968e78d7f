use heimdall_token::crypto;
use serde_json::{Value, json};

use crate::stage::{ADMIN, APPROVER, REQUESTER, Reply, Stage};

const ALL: [&str; 4] = [
    "approvals:read",
    "approvals:write",
    "approvals:links",
    "delegations:write",
];
const BROWSER: [(&str, &str); 2] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

async fn key(stage: &Stage, app: &str, privileges: &[&str]) -> String {
    let body = json!({ "app": app, "name": "tracker", "privileges": privileges });
    let made = stage
        .call("POST", "/v1/api-keys", &stage.admin_key, body)
        .await
        .expect(201)
        .json();
    made["key"].as_str().unwrap().to_owned()
}

fn step(email: &str) -> Value {
    json!({ "name": "Review", "type": "single", "approvers": [{ "email": email }] })
}

async fn open(stage: &Stage, key: &str, root: Value) -> Value {
    let body = json!({ "title": "Rotate the key", "root": root, "requester": REQUESTER, "data": { "amount": 7 } });
    stage
        .call("POST", "/webapi/v2/approvals", key, body)
        .await
        .expect(201)
        .json()
}

async fn shown(stage: &Stage, key: &str, id: &Value) -> Value {
    let path = format!("/webapi/v2/approvals/{}", id.as_str().unwrap());
    stage
        .call("GET", &path, key, Value::Null)
        .await
        .expect(200)
        .json()
}

fn path_of(url: &str) -> String {
    format!("/step-action{}", url.split("/step-action").nth(1).unwrap())
}

/// The links of the mail that asks, one an action, in order.
async fn mailed(stage: &Stage) -> Vec<String> {
    let text = stage.mail(APPROVER, "asks for Rotate the key").await;
    text.split_whitespace()
        .filter(|word| word.contains("/step-action?token="))
        .map(path_of)
        .collect()
}

async fn opened(stage: &Stage, path: &str, cookie: &str) -> Reply {
    let mut headers = BROWSER.to_vec();
    headers.push(("cookie", cookie));
    stage.send("GET", path, &headers, "").await
}

#[actix_web::test]
async fn a_key_does_what_its_privileges_say_and_only_in_its_app() {
    let stage = Stage::new().await;
    stage.furnish("other").await;
    let (full, reader, foreign) = (
        key(&stage, "acme", &ALL).await,
        key(&stage, "acme", &["approvals:read"]).await,
        key(&stage, "other", &ALL).await,
    );
    let approval = open(&stage, &full, step(APPROVER)).await;
    assert_eq!(
        (approval["state"].as_str(), approval["epoch"].as_i64()),
        (Some("Open"), Some(1))
    );
    assert_eq!(approval["steps"][0]["state"], "Active");
    let id = approval["id"].as_str().unwrap();
    let links = format!("/webapi/v2/approvals/{id}/links");
    stage
        .call("GET", &links, &reader, Value::Null)
        .await
        .expect(403);
    stage
        .call("GET", &links, "hak_nonsense", Value::Null)
        .await
        .expect(401);
    let absent = stage
        .call(
            "GET",
            "/webapi/v2/approvals/apv_01JNKZ8W000000000000000000",
            &foreign,
            Value::Null,
        )
        .await
        .expect(404);
    for path in [format!("/webapi/v2/approvals/{id}"), links.clone()] {
        assert_eq!(
            stage
                .call("GET", &path, &foreign, Value::Null)
                .await
                .expect(404)
                .text,
            absent.text
        );
    }
    for bad in ["0", "25", "-1", "x", ""] {
        let reply = stage
            .call(
                "GET",
                &format!("{links}?ttlHours={bad}"),
                &full,
                Value::Null,
            )
            .await
            .expect(400);
        assert_eq!(reply.field(), "ttlHours");
    }
    let listed = stage
        .call("GET", &links, &full, Value::Null)
        .await
        .expect(200)
        .json();
    let actions: Vec<&str> = listed["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["approve", "reject"]);
    let list = stage
        .call("GET", "/webapi/v2/approvals", &reader, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(list["data"][0]["id"], id);
    stage
        .call(
            "POST",
            &format!("/webapi/v2/approvals/{id}/cancel"),
            &full,
            Value::Null,
        )
        .await
        .expect(200);
    assert_eq!(
        shown(&stage, &full, &approval["id"]).await["state"],
        "Cancelled"
    );
}

#[actix_web::test]
async fn a_mail_link_is_confirmed_by_a_post_and_looking_decides_nothing() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme", &ALL).await;
    let approval = open(&stage, &key, step(APPROVER)).await;
    let links = mailed(&stage).await;
    let approve = &links[0];
    for (method, agent) in [
        ("HEAD", "Mozilla"),
        ("OPTIONS", "Mozilla"),
        ("GET", "Slackbot 1.0"),
        ("GET", "Mozilla"),
        ("GET", "Mozilla"),
    ] {
        let reply = stage
            .send(method, approve, &[("user-agent", agent)], "")
            .await
            .expect(200);
        assert!(
            method != "GET" || agent == "Mozilla" || !reply.text.contains("nonce"),
            "{agent}"
        );
    }
    assert_eq!(shown(&stage, &key, &approval["id"]).await["state"], "Open");

    let page = opened(&stage, approve, "").await.expect(200);
    assert!(
        page.text.contains("data-auto=\"now\"") && page.text.contains("Rotate the key"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("eyJ"), "no token in the page");
    for (name, part) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "frame-ancestors 'none'"),
    ] {
        assert!(page.header(name).contains(part), "{name}");
    }
    let nonce = page.hidden("nonce");
    let evil = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    stage
        .send("POST", "/step-action", &evil, &format!("nonce={nonce}"))
        .await
        .expect(403);
    stage
        .form("/step-action", "", &[("nonce", "forged")])
        .await
        .expect(403);
    let done = stage
        .form("/step-action", "", &[("nonce", &nonce)])
        .await
        .expect(200);
    assert!(done.text.contains("You approved"), "{}", done.text);
    stage
        .form("/step-action", "", &[("nonce", &nonce)])
        .await
        .expect(200);
    opened(&stage, approve, "").await.expect(200);
    let after = shown(&stage, &key, &approval["id"]).await;
    assert_eq!(after["state"], "Approved");
    assert_eq!(after["steps"][0]["votes"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn both_answers_opened_by_one_client_mark_a_scanner() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme", &ALL).await;
    open(&stage, &key, step(APPROVER)).await;
    let links = mailed(&stage).await;
    assert!(
        opened(&stage, &links[0], "")
            .await
            .text
            .contains("data-auto=\"now\"")
    );
    assert!(
        opened(&stage, &links[1], "")
            .await
            .text
            .contains("data-auto=\"\"")
    );
}

#[actix_web::test]
async fn links_of_earlier_rounds_and_forged_links_decide_nothing() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme", &ALL).await;
    let approval = open(&stage, &key, step(APPROVER)).await;
    let links = mailed(&stage).await;
    let id = approval["id"].as_str().unwrap();
    let reset = stage
        .call(
            "POST",
            &format!("/webapi/v2/approvals/{id}/reset"),
            &key,
            Value::Null,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            reset["epoch"].as_i64(),
            reset["steps"][0]["activation"].as_i64()
        ),
        (Some(2), Some(2))
    );
    opened(&stage, &links[0], "").await.expect(409);
    let forged = format!("{}x", links[0].trim_end_matches(|_: char| false));
    let invalid = opened(&stage, &forged, "").await.expect(400);
    let empty = opened(&stage, "/step-action?token=", "").await.expect(400);
    assert_eq!(invalid.text, empty.text, "one page for all of them");
    assert_eq!(
        shown(&stage, &key, &approval["id"]).await["steps"][0]["votes"],
        json!([])
    );
}

#[actix_web::test]
async fn votes_keep_the_rules_of_the_step() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme", &ALL).await;
    let root = json!({
        "name": "Two", "type": "sequence", "children": [
            { "name": "First", "type": "single", "approvers": [{ "email": ADMIN }], "comment": { "reject": "required" } },
            { "name": "Never", "type": "single", "approvers": [{ "email": ADMIN }], "condition": "data.amount > 100" },
            { "name": "Last", "type": "group", "approvers": [{ "email": ADMIN }, { "email": REQUESTER }], "pass": 1 },
        ],
    });
    let approval = open(&stage, &key, root).await;
    let votes = |index: usize| {
        let step = approval["steps"][index]["id"].as_str().unwrap();
        format!(
            "/webapi/v2/approvals/{}/steps/{step}/votes",
            approval["id"].as_str().unwrap()
        )
    };
    let (admin, requester) = (
        stage.token("acme", ADMIN).await,
        stage.token("acme", REQUESTER).await,
    );
    stage
        .call(
            "POST",
            &votes(1),
            &requester,
            json!({ "action": "approve" }),
        )
        .await
        .expect(403);
    let silent = stage
        .call(
            "POST",
            &votes(1),
            &admin,
            json!({ "action": "reject", "comment": "  " }),
        )
        .await
        .expect(422);
    assert_eq!(silent.field(), "comment");
    stage
        .call("POST", &votes(1), &admin, json!({ "action": "consent" }))
        .await
        .expect(422);
    stage
        .call("POST", &votes(3), &admin, json!({ "action": "approve" }))
        .await
        .expect(409);
    let after = stage
        .call("POST", &votes(1), &admin, json!({ "action": "approve" }))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (
            after["steps"][2]["state"].as_str(),
            after["steps"][3]["state"].as_str()
        ),
        (Some("Skipped"), Some("Active"))
    );
    stage
        .call(
            "POST",
            &votes(3),
            &requester,
            json!({ "action": "approve" }),
        )
        .await
        .expect(403);
    let done = stage
        .call("POST", &votes(3), &admin, json!({ "action": "approve" }))
        .await
        .expect(201)
        .json();
    assert_eq!(done["state"], "Approved");
    let history = shown(&stage, &key, &approval["id"]).await["history"]
        .as_array()
        .unwrap()
        .len();
    assert!(history > 5, "{history}");
}

#[actix_web::test]
async fn groups_delegations_and_definitions_name_what_is_wrong() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme", &ALL).await;
    let group = json!({ "name": "leads", "members": [{ "email": APPROVER }] });
    let made = stage
        .call(
            "POST",
            "/v1/apps/acme/groups",
            &stage.admin_key,
            group.clone(),
        )
        .await
        .expect(201)
        .json();
    stage
        .call("POST", "/v1/apps/acme/groups", &stage.admin_key, group)
        .await
        .expect(409);
    let root =
        json!({ "name": "Leads", "type": "group", "approvers": [{ "group": "leads" }], "pass": 1 });
    let wrong =
        json!({ "name": "release", "root": { "name": "x", "type": "group", "approver": [] } });
    let refused = stage
        .call("POST", "/webapi/v2/definitions", &key, wrong)
        .await
        .expect(422);
    assert!(
        refused.text.contains("did you mean `approvers`"),
        "{}",
        refused.text
    );
    for version in [1, 2] {
        let saved = stage
            .call(
                "POST",
                "/webapi/v2/definitions",
                &key,
                json!({ "name": "release", "root": root }),
            )
            .await
            .expect(201);
        assert_eq!(saved.json()["version"], version);
    }
    let body =
        json!({ "definition": "release", "title": "Rotate the key", "requester": REQUESTER });
    let approval = stage
        .call("POST", "/webapi/v2/approvals", &key, body)
        .await
        .expect(201)
        .json();
    assert_eq!(
        approval["steps"][0]["waiting_for"],
        json!([format!("email:{APPROVER}")])
    );

    let vote = format!(
        "/webapi/v2/approvals/{}/steps/{}/votes",
        approval["id"].as_str().unwrap(),
        approval["steps"][0]["id"].as_str().unwrap()
    );
    let admin = stage.token("acme", ADMIN).await;
    stage
        .call("POST", &vote, &admin, json!({ "action": "approve" }))
        .await
        .expect(403);
    let window = json!({ "from": { "email": APPROVER }, "to": { "email": ADMIN }, "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2099-01-01T00:00:00Z" });
    let mut bad = window.clone();
    bad["ends_at"] = json!("2019-01-01T00:00:00Z");
    assert_eq!(
        stage
            .call("POST", "/webapi/v2/delegations", &key, bad)
            .await
            .expect(422)
            .field(),
        "ends_at"
    );
    stage
        .call("POST", "/webapi/v2/delegations", &key, window)
        .await
        .expect(201);
    let done = stage
        .call("POST", &vote, &admin, json!({ "action": "approve" }))
        .await
        .expect(201)
        .json();
    assert_eq!(
        done["steps"][0]["votes"][0]["on_behalf"],
        format!("email:{APPROVER}")
    );
    let group = format!("/v1/apps/acme/groups/{}", made["id"].as_str().unwrap());
    stage
        .call("DELETE", &group, &stage.admin_key, Value::Null)
        .await
        .expect(204);
    stage
        .call("GET", &group, &stage.admin_key, Value::Null)
        .await
        .expect(404);
}

fn application_token(stage: &Stage, key: &str, jti: &str) -> String {
    let now = stage.deps.clock.now().seconds();
    let claims = json!({ "iss": "shop", "aud": stage.deps.base_url, "sub": "jo@shop.example", "jti": jti, "iat": now, "nbf": now, "exp": now + 120 });
    let head = crypto::base64url(br#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!(
        "{head}.{}",
        crypto::base64url(claims.to_string().as_bytes())
    );
    let mac = crypto::hmac_sha256(&crypto::from_base64(key).unwrap(), text.as_bytes());
    format!("{text}.{}", crypto::base64url(&mac))
}

#[actix_web::test]
async fn a_just_in_time_request_is_signed_and_approved() {
    let stage = Stage::new().await;
    let template = json!({
        "key": "pay", "name": "Payments", "title": "Rotate the key", "type": "sign_and_approve", "approvers": [{ "email": APPROVER }],
        "data_schema": { "amount": { "type": "number", "required": true } },
    });
    stage
        .call(
            "POST",
            "/v1/apps/acme/jit/templates",
            &stage.admin_key,
            template,
        )
        .await
        .expect(201);
    let made = stage
        .call(
            "POST",
            "/v1/apps/acme/jit/applications",
            &stage.admin_key,
            json!({ "iss": "shop" }),
        )
        .await
        .expect(201)
        .json();
    let token = |jti: &str| application_token(&stage, made["key"].as_str().unwrap(), jti);
    let ask = |data: Value| json!({ "key": "pay", "data": data });
    let missing = stage
        .call("POST", "/v1/jit/requests", &token("1"), ask(json!({})))
        .await
        .expect(422);
    assert_eq!(missing.field(), "data.amount");
    stage
        .call(
            "POST",
            "/v1/jit/requests",
            "eyJhbGciOiJub25lIn0.e30.",
            ask(json!({ "amount": 5 })),
        )
        .await
        .expect(401);
    let asked = stage
        .call(
            "POST",
            "/v1/jit/requests",
            &token("2"),
            ask(json!({ "amount": 5 })),
        )
        .await
        .expect(202)
        .json();
    assert_eq!(asked["state"], "pending");
    let poll = format!("/v1/jit/requests/{}", asked["requestId"].as_str().unwrap());

    let links = mailed(&stage).await;
    let page = opened(&stage, &links[0], "").await.expect(200);
    assert!(page.text.contains("data-sign"), "{}", page.text);
    let nonce = page.hidden("nonce");
    stage
        .form("/step-action", "", &[("nonce", &nonce)])
        .await
        .expect(422);
    assert_eq!(
        stage
            .call("GET", &poll, &token("3"), Value::Null)
            .await
            .expect(200)
            .json()["state"],
        "pending"
    );
    stage
        .form(
            "/step-action",
            "",
            &[
                ("nonce", &nonce),
                ("kind", "typed"),
                ("typed", "Olga Owner"),
            ],
        )
        .await
        .expect(200);
    let done = stage
        .call("GET", &poll, &token("4"), Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            done["state"].as_str(),
            done["decision"]["signature"]["name"].as_str()
        ),
        (Some("approved"), Some("Olga Owner"))
    );
    assert_eq!(done["decision"]["signature"]["dig"], done["dig"]);
}

#[actix_web::test]
async fn a_role_carries_notification_configs_and_a_repeated_post_has_one_effect() {
    let stage = Stage::new().await;
    let path = "/v1/apps/acme/notification-configs";
    let bad = json!({ "name": "leads", "recipients": ["a@x.example\r\nBcc: b@y"] });
    assert_eq!(
        stage
            .call("POST", path, &stage.admin_key, bad)
            .await
            .expect(422)
            .field(),
        "recipients.0"
    );
    let good =
        json!({ "name": "leads", "recipients": [APPROVER], "use_for_external_approvals": true });
    let headers = |key: &'static str| {
        let bearer = format!("Bearer {}", stage.admin_key);
        [
            ("authorization".to_owned(), bearer),
            ("idempotency-key".to_owned(), key.to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ]
    };
    let send = async |key: &'static str, body: &Value| {
        let headers = headers(key);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        stage.send("POST", path, &headers, &body.to_string()).await
    };
    let made = send("one", &good).await.expect(201);
    assert_eq!(send("one", &good).await.expect(201).text, made.text);
    send(
        "one",
        &json!({ "name": "others", "recipients": [APPROVER] }),
    )
    .await
    .expect(422);
    send("two", &good).await.expect(409);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let role = json!({ "name": "exporter", "permissions": ["billing:export"], "requestable": { "max_minutes": 60 }, "notification_configs": [id] });
    let role = serde_json::from_value(role).unwrap();
    stage
        .deps
        .tenants
        .create_role(&heimdall_tenant::Caller::System, "acme", role)
        .await
        .unwrap();
    stage.ask(&["exporter"]).await;
    let token = stage.mail_token().await;
    assert!(!token.is_empty());
}
