//! Each row of what a link is worth, in the order in which they are judged.

use heimdall_approvals::{External, Legacy};
use heimdall_token::crypto;
use heimdall_token::link::LegacyNames;
use serde_json::{Value, json};

use crate::stage::{APPROVER, COLLEAGUE, Reply, Stage};

const BROWSER: [(&str, &str); 2] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];
const OLD_KEY: &str = "the key of the older system";

async fn key(stage: &Stage, app: &str) -> String {
    let all = ["approvals:read", "approvals:write", "approvals:links"];
    let body = json!({ "app": app, "name": "tracker", "privileges": all });
    let made = stage
        .call("POST", "/v1/api-keys", &stage.admin_key, body)
        .await
        .expect(201);
    made.json()["key"].as_str().unwrap().to_owned()
}

async fn open(stage: &Stage, key: &str, title: &str, root: Value) -> Value {
    let body = json!({ "title": title, "root": root });
    stage
        .call("POST", "/webapi/v2/approvals", key, body)
        .await
        .expect(201)
        .json()
}

fn single(email: &str) -> Value {
    json!({ "name": "Review", "type": "single", "approvers": [{ "email": email }] })
}

/// The links of the mail about `title`: approve, reject.
async fn mailed(stage: &Stage, to: &str, title: &str) -> Vec<String> {
    let text = stage.mail(to, title).await;
    let words = text.split_whitespace();
    words
        .filter_map(|word| word.split("/step-action?token=").nth(1))
        .map(|token| format!("/step-action?token={token}"))
        .collect()
}

async fn opened(stage: &Stage, path: &str) -> Reply {
    stage.send("GET", path, &BROWSER, "").await
}

async fn pressed(stage: &Stage, path: &str) -> Reply {
    let nonce = opened(stage, path).await.expect(200).hidden("nonce");
    stage.form("/step-action", "", &[("nonce", &nonce)]).await
}

async fn shown(stage: &Stage, key: &str, id: &Value) -> Value {
    let path = format!("/webapi/v2/approvals/{}", id.as_str().unwrap());
    stage
        .call("GET", &path, key, Value::Null)
        .await
        .expect(200)
        .json()
}

/// The token with one claim changed, its signature left as it was.
fn edited(path: &str, claim: &str, value: Value) -> String {
    let token = path.split("token=").nth(1).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value =
        serde_json::from_slice(&crypto::from_base64url(parts[1]).unwrap()).unwrap();
    claims[claim] = value;
    let body = crypto::base64url(claims.to_string().as_bytes());
    format!("/step-action?token={}.{body}.{}", parts[0], parts[2])
}

#[actix_web::test]
async fn edited_cut_and_borrowed_tokens_get_one_page_without_details() {
    let stage = Stage::new().await;
    stage.furnish("other").await;
    let (acme, other) = (key(&stage, "acme").await, key(&stage, "other").await);
    let approval = open(&stage, &acme, "Rotate", single(APPROVER)).await;
    let foreign = open(&stage, &other, "Elsewhere", single(COLLEAGUE)).await;
    let links = mailed(&stage, APPROVER, "Rotate").await;
    let theirs = mailed(&stage, COLLEAGUE, "Elsewhere").await;
    let claims = |path: &str| -> Value {
        let body = path.split('.').nth(1).unwrap();
        serde_json::from_slice(&crypto::from_base64url(body).unwrap()).unwrap()
    };
    let (own, alien) = (claims(&links[0]), claims(&theirs[0]));
    let parts = |path: &str| -> Vec<String> {
        let token = path.split("token=").nth(1).unwrap();
        token.split('.').map(str::to_owned).collect()
    };
    let (a, b) = (parts(&links[0]), parts(&theirs[0]));
    let none = crypto::base64url(br#"{"alg":"none","typ":"step-action+jwt"}"#);
    let mut bad = vec![
        edited(&links[0], "action", json!("reject")),
        edited(&links[0], "stepId", alien["stepId"].clone()),
        edited(&links[0], "approvalId", alien["approvalId"].clone()),
        edited(&links[0], "hostId", alien["hostId"].clone()),
        edited(&links[0], "sub", alien["sub"].clone()),
        edited(&links[0], "exp", json!(own["exp"].as_i64().unwrap() + 1)),
        edited(&links[0], "loginRequired", json!(true)),
        // The signature of another App's key over the same claims' place.
        format!("/step-action?token={}.{}.{}", b[0], a[1], b[2]),
        format!("/step-action?token={}.{}.{}", a[0], a[1], b[2]),
        format!("/step-action?token={none}.{}.", a[1]),
        format!("/step-action?token={}.{}.", a[0], a[1]),
        "/step-action?token=".to_owned(),
        "/step-action?token=..".to_owned(),
        "/step-action".to_owned(),
        format!("/step-action?token={}", "x".repeat(8000)),
    ];
    let access = stage.token("acme", COLLEAGUE).await;
    bad.push(format!("/step-action?token={access}"));
    let mut pages = std::collections::BTreeSet::new();
    for path in &bad {
        let reply = opened(&stage, path).await.expect(400);
        assert!(
            !reply.text.contains("Rotate") && !reply.text.contains(APPROVER),
            "{path}"
        );
        pages.insert(reply.text);
    }
    assert_eq!(pages.len(), 1, "one page for all of them");
    assert_eq!(shown(&stage, &acme, &approval["id"]).await["state"], "Open");
    assert_eq!(shown(&stage, &other, &foreign["id"]).await["state"], "Open");
}

#[actix_web::test]
async fn of_fifty_answers_at_once_one_decides() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme").await;
    let approval = open(&stage, &key, "Rotate", single(APPROVER)).await;
    let links = mailed(&stage, APPROVER, "Rotate").await;
    let mut nonces = Vec::new();
    for index in 0..50 {
        let page = opened(&stage, &links[index % 2]).await.expect(200);
        nonces.push(page.hidden("nonce"));
    }
    let stage = &stage;
    let answers = futures_util::future::join_all(nonces.iter().map(|nonce| async move {
        stage
            .form("/step-action", "", &[("nonce", nonce)])
            .await
            .status
    }))
    .await;
    assert!(
        answers
            .iter()
            .all(|status| *status == 200 || *status == 409),
        "{answers:?}"
    );
    let after = shown(stage, &key, &approval["id"]).await;
    assert_eq!(after["steps"][0]["votes"].as_array().unwrap().len(), 1);
    let history = after["history"].as_array().unwrap();
    let votes = history
        .iter()
        .filter(|event| event.to_string().contains("voted"));
    assert!(votes.count() <= 1, "{history:?}");
}

#[actix_web::test]
async fn a_step_that_is_not_active_says_why() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme").await;
    let other = "second@elsewhere.example";
    let root = json!({ "name": "All", "type": "parallel", "pass": 1, "children": [single(APPROVER), single(other)] });
    let approval = open(&stage, &key, "Either", root).await;
    let (first, second) = (
        mailed(&stage, APPROVER, "Either").await,
        mailed(&stage, other, "Either").await,
    );
    pressed(&stage, &first[0]).await.expect(200);
    assert_eq!(
        shown(&stage, &key, &approval["id"]).await["state"],
        "Approved"
    );
    // The other step was not needed any more.
    let skipped = opened(&stage, &second[0]).await.expect(409);
    assert!(
        skipped.text.contains("This step was skipped"),
        "{}",
        skipped.text
    );
    // The same person again: what was recorded, with either link.
    for link in &first {
        let again = opened(&stage, link).await.expect(200);
        assert!(again.text.contains("You approved"), "{}", again.text);
    }

    let cancelled = open(&stage, &key, "Cancelled", single(APPROVER)).await;
    let links = mailed(&stage, APPROVER, "Cancelled").await;
    let path = format!(
        "/webapi/v2/approvals/{}/cancel",
        cancelled["id"].as_str().unwrap()
    );
    stage
        .call("POST", &path, &key, Value::Null)
        .await
        .expect(200);
    let closed = opened(&stage, &links[0]).await.expect(409);
    assert!(
        closed.text.contains("This step is closed"),
        "{}",
        closed.text
    );

    let root = json!({ "name": "One", "type": "group", "pass": 1, "approvers": [{ "email": APPROVER }, { "email": other }] });
    open(&stage, &key, "Faster", root).await;
    let (first, second) = (
        mailed(&stage, APPROVER, "Faster").await,
        mailed(&stage, other, "Faster").await,
    );
    pressed(&stage, &first[1]).await.expect(200);
    let late = opened(&stage, &second[0]).await.expect(409);
    assert!(late.text.contains("This step is decided"), "{}", late.text);
}

#[actix_web::test]
async fn a_one_time_value_decides_once() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme").await;
    let approval = open(&stage, &key, "Rotate", single(APPROVER)).await;
    let links = mailed(&stage, APPROVER, "Rotate").await;
    let nonce = opened(&stage, &links[0]).await.expect(200).hidden("nonce");
    stage
        .form("/step-action", "", &[("nonce", &nonce)])
        .await
        .expect(200);
    let id = approval["id"].as_str().unwrap();
    stage
        .call(
            "POST",
            &format!("/webapi/v2/approvals/{id}/reset"),
            &key,
            Value::Null,
        )
        .await
        .expect(200);
    // Used by the same person: it says what was recorded, and a new round hears nothing of it.
    let again = stage
        .form("/step-action", "", &[("nonce", &nonce)])
        .await
        .expect(200);
    assert!(again.text.contains("You approved"));
    let after = shown(&stage, &key, &approval["id"]).await;
    assert_eq!(
        (&after["state"], &after["steps"][0]["votes"]),
        (&json!("Open"), &json!([]))
    );
    opened(&stage, &links[1]).await.expect(409);
    for text in ["forged", ""] {
        stage
            .form("/step-action", "", &[("nonce", text)])
            .await
            .expect(403);
    }
}

#[actix_web::test]
async fn a_code_that_is_guessed_ends_the_links() {
    let stage = Stage::new().await;
    let key = key(&stage, "acme").await;
    let mut root = single(APPROVER);
    root["confirm"] = json!("challenge");
    let approval = open(&stage, &key, "Rotate", root).await;
    let links = mailed(&stage, APPROVER, "Rotate").await;
    let page = opened(&stage, &links[0]).await.expect(200);
    assert!(
        page.text.contains("data-auto=\"\""),
        "never by itself: {}",
        page.text
    );
    let mut nonce = page.hidden("nonce");
    for guess in 0..4 {
        let code = format!("{guess:06}");
        let reply = stage
            .form("/step-action", "", &[("nonce", &nonce), ("code", &code)])
            .await;
        if reply.status == 200 {
            return; // one in 250,000 runs guesses it
        }
        nonce = reply.expect(422).hidden("nonce");
    }
    let fields = [("nonce", nonce.as_str()), ("code", "999999")];
    stage.form("/step-action", "", &fields).await.expect(410);
    let text = stage.mail(APPROVER, "Rotate").await;
    let code = text
        .split_whitespace()
        .find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()))
        .unwrap()
        .to_owned();
    let nonce = opened(&stage, &links[0]).await.expect(200).hidden("nonce");
    let fields = [("nonce", nonce.as_str()), ("code", code.as_str())];
    stage.form("/step-action", "", &fields).await.expect(410);
    assert_eq!(shown(&stage, &key, &approval["id"]).await["state"], "Open");
}

fn old_token(alg: &str, key: &str, claims: &Value) -> String {
    let head = crypto::base64url(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#).as_bytes());
    let text = format!(
        "{head}.{}",
        crypto::base64url(claims.to_string().as_bytes())
    );
    let mac = crypto::hmac_sha256(key.as_bytes(), text.as_bytes());
    format!("{text}.{}", crypto::base64url(&mac))
}

#[actix_web::test]
async fn links_of_the_older_system_hold_on_their_own_route_until_they_expire() {
    let stage = Stage::with(|external| External {
        legacy: Some(Legacy {
            submit_action_key: OLD_KEY.into(),
            names: LegacyNames {
                user_id: "uid".to_owned(),
                ..LegacyNames::default()
            },
        }),
        ..external
    })
    .await;
    let key = key(&stage, "acme").await;
    let approval = open(&stage, &key, "Rotate", single(APPROVER)).await;
    let now = stage.deps.clock.now().seconds();
    let claims = |exp: i64| json!({ "approvalId": approval["id"], "stepId": approval["steps"][0]["id"], "uid": APPROVER, "action": "approve", "exp": exp });
    let good = old_token("HS256", OLD_KEY, &claims(now + 600));
    let mut renamed = claims(now + 600);
    renamed["userId"] = renamed["uid"].take();
    let mut stranger = claims(now + 600);
    stranger["uid"] = json!("nobody@elsewhere.example");
    for bad in [
        old_token("HS256", "another key", &claims(now + 600)),
        old_token("none", OLD_KEY, &claims(now + 600)),
        old_token("HS384", OLD_KEY, &claims(now + 600)),
        old_token("HS256", OLD_KEY, &renamed),
        old_token("HS256", OLD_KEY, &stranger),
        String::new(),
    ] {
        opened(&stage, &format!("/submit-action.html?token={bad}"))
            .await
            .expect(400);
    }
    opened(&stage, &format!("/step-action?token={good}"))
        .await
        .expect(400);
    let past = old_token("HS256", OLD_KEY, &claims(now - 1));
    opened(&stage, &format!("/submit-action.html?token={past}"))
        .await
        .expect(410);

    let path = format!("/submit-action.html?token={good}");
    for method in ["HEAD", "OPTIONS"] {
        stage.send(method, &path, &[], "").await.expect(200);
    }
    let page = opened(&stage, &path).await.expect(200);
    assert!(!page.text.contains("eyJ"), "no token in the page");
    assert_eq!(shown(&stage, &key, &approval["id"]).await["state"], "Open");
    let nonce = page.hidden("nonce");
    stage
        .form("/step-action", "", &[("nonce", &nonce)])
        .await
        .expect(200);
    let after = shown(&stage, &key, &approval["id"]).await;
    assert_eq!(
        (
            after["state"].as_str(),
            after["steps"][0]["votes"][0]["channel"].as_str()
        ),
        (Some("Approved"), Some("mail_link"))
    );
    opened(&stage, &path).await.expect(200);
}

#[actix_web::test]
async fn without_a_key_of_an_older_system_its_route_knows_no_link() {
    let stage = Stage::new().await;
    let token = old_token("HS256", "", &json!({ "approvalId": "x" }));
    opened(&stage, &format!("/submit-action.html?token={token}"))
        .await
        .expect(400);
}
