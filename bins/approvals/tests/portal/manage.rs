//! What administrators set up on pages.

use heimdall_notifier::Outbox;
use serde_json::{Value, json};

use crate::stage::{ADMIN, APPROVER, REQUESTER, Stage};

async fn token_of(stage: &Stage, page: &str, cookie: &str) -> String {
    stage.get(page, cookie).await.expect(200).hidden("csrf")
}

#[actix_web::test]
async fn only_who_may_change_settings_manages() {
    let stage = Stage::new().await;
    let cookie = stage.sign_in(REQUESTER).await;
    for page in [
        "templates",
        "new-template",
        "applications",
        "notifications",
        "undelivered",
    ] {
        let path = format!("/manage/{page}");
        stage.get(&path, &cookie).await.expect(403);
        assert!(
            stage
                .get(&path, "")
                .await
                .expect(303)
                .header("location")
                .starts_with("/login")
        );
    }
}

#[actix_web::test]
async fn a_template_is_made_changed_and_switched_off() {
    let stage = Stage::new().await;
    let cookie = stage.sign_in(ADMIN).await;
    let page = stage
        .get("/manage/new-template?type=sign_and_approve", &cookie)
        .await
        .expect(200);
    assert!(page.text.contains("Sign and Approve"));
    let csrf = page.hidden("csrf");
    let schema = r#"{"type": "object", "required": ["run"], "properties": {"run": {"type": "string", "title": "Payment run"}}}"#;
    let filled = |schema: &str, approvers: &str| -> Vec<(&'static str, String)> {
        vec![
            ("csrf", csrf.clone()),
            ("type", "sign_and_approve".to_owned()),
            ("key", "wire".to_owned()),
            ("name", "Wire <b>transfer</b>".to_owned()),
            ("title", "sign payment run {{run}}".to_owned()),
            ("approvers", approvers.to_owned()),
            ("groups", String::new()),
            ("pass", "1".to_owned()),
            ("fail", "1".to_owned()),
            ("deadline_hours", "4".to_owned()),
            ("data_schema", schema.to_owned()),
            ("metadata", "cost_centre = 4410".to_owned()),
        ]
    };
    let post = async |path: &str, fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        stage.form(path, &cookie, &fields).await
    };
    for (schema, approvers, said) in [
        ("{", APPROVER, "is no JSON"),
        (r#"{"run": {"type": "dat"}}"#, APPROVER, "is no type"),
        (schema, "ops@acme,example", "line 1"),
        (schema, "", "must name at least one"),
    ] {
        let reply = post("/manage/new-template", filled(schema, approvers))
            .await
            .expect(422);
        assert!(reply.text.contains(said), "{said}: {}", reply.text);
    }
    let made = post("/manage/new-template", filled(schema, APPROVER))
        .await
        .expect(303);
    assert_eq!(made.header("location"), "/manage/templates");
    let again = post("/manage/new-template", filled(schema, APPROVER))
        .await
        .expect(422);
    assert!(again.text.contains("#key"), "{}", again.text);

    let list = stage.get("/manage/templates", &cookie).await.expect(200);
    assert!(
        list.text.contains("Wire &lt;b&gt;transfer"),
        "{}",
        list.text
    );
    let shown = stage
        .get("/manage/templates/wire", &cookie)
        .await
        .expect(200);
    assert!(shown.text.contains("Payment run") && shown.text.contains("version 1"));
    post("/manage/templates/wire", filled(schema, APPROVER))
        .await
        .expect(303);
    let switch = [("csrf", csrf.as_str()), ("on", "false")];
    stage
        .form("/manage/templates/wire/switch", &cookie, &switch)
        .await
        .expect(303);
    let admin = stage.token("acme", ADMIN).await;
    let kept = stage
        .call(
            "GET",
            "/v1/apps/acme/jit/templates/wire",
            &admin,
            Value::Null,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &kept["enabled"],
            &kept["version"],
            &kept["metadata"]["cost_centre"],
            &kept["deadline_hours"]
        ),
        (&json!(false), &json!(3), &json!("4410"), &json!(4))
    );
}

#[actix_web::test]
async fn a_key_of_an_application_is_shown_once_and_two_are_good() {
    let stage = Stage::new().await;
    let cookie = stage.sign_in(ADMIN).await;
    let csrf = token_of(&stage, "/manage/applications", &cookie).await;
    let make = [("csrf", csrf.as_str()), ("iss", "treasury-desk")];
    let made = stage
        .form("/manage/applications", &cookie, &make)
        .await
        .expect(200);
    let shown = made.text.split("<code>").find_map(|rest| {
        let text = rest.split("</code>").next()?;
        let text = text.replace("&#x2f;", "/").replace("&#x3d;", "=");
        (text.len() == 88).then_some(text)
    });
    let secret = shown.unwrap();
    assert_eq!(made.header("cache-control"), "no-store");
    let later = stage.get("/manage/applications", &cookie).await.expect(200);
    assert!(!later.text.contains(&secret[..20]) && later.text.contains("treasury-desk"));

    stage
        .form("/manage/applications", &cookie, &make)
        .await
        .expect(200);
    let admin = stage.token("acme", ADMIN).await;
    let path = "/v1/apps/acme/jit/applications/treasury-desk/keys";
    let keys = stage
        .call("GET", path, &admin, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(keys["data"].as_array().map(Vec::len), Some(2));
    let older = keys["data"][0]["id"].as_str().unwrap();
    let end = [
        ("csrf", csrf.as_str()),
        ("iss", "treasury-desk"),
        ("key", older),
    ];
    stage
        .form("/manage/applications/end-key", &cookie, &end)
        .await
        .expect(303);
    stage
        .form("/manage/applications/end-key", &cookie, &end)
        .await
        .expect(404);
    let keys = stage
        .call("GET", path, &admin, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(keys["data"].as_array().map(Vec::len), Some(1));
    stage
        .call("DELETE", &format!("{path}/nonsense"), &admin, Value::Null)
        .await
        .expect(404);
}

#[actix_web::test]
async fn a_notification_config_is_kept_by_its_form() {
    let stage = Stage::new().await;
    let cookie = stage.sign_in(ADMIN).await;
    let csrf = token_of(&stage, "/manage/notifications", &cookie).await;
    let form = |recipients: &'static str| {
        [
            ("csrf", csrf.clone()),
            ("id", String::new()),
            ("name", "Owners".to_owned()),
            ("recipients", recipients.to_owned()),
            ("use_for_external_approvals", "on".to_owned()),
        ]
    };
    let post = async |recipients: &'static str| {
        let fields = form(recipients);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        stage.form("/manage/notifications", &cookie, &fields).await
    };
    let wrong = post("a@acme.example\nops@acme,example").await.expect(422);
    assert!(wrong.text.contains("line 2"), "{}", wrong.text);
    post("a@acme.example").await.expect(303);
    let list = stage
        .get("/manage/notifications", &cookie)
        .await
        .expect(200);
    assert!(list.text.contains("a@acme.example") && list.text.contains("Yes, with links"));
}

#[actix_web::test]
async fn a_mail_that_was_given_up_is_seen_and_sent_again_by_its_own_app_only() {
    let stage = Stage::new().await;
    stage.furnish("other").await;
    let store = stage.deps.store.clone();
    let outbox: &dyn Outbox = store.as_ref();
    let app = |name: &'static str| {
        let tenants = stage.deps.tenants.clone();
        async move {
            let app = tenants.app(&heimdall_tenant::Caller::System, name).await;
            app.unwrap().id
        }
    };
    let mut ids = Vec::new();
    for name in ["acme", "other"] {
        ids.push(
            stage
                .bury(
                    &app(name).await,
                    "nobody@elsewhere.example",
                    "550 no such user",
                )
                .await,
        );
    }
    let cookie = stage.sign_in(ADMIN).await;
    let page = stage.get("/manage/undelivered", &cookie).await.expect(200);
    assert!(page.text.contains("550 no such user"));
    assert_eq!(
        page.text.matches("nobody@elsewhere.example").count(),
        2,
        "one row"
    );
    let csrf = page.hidden("csrf");
    let resend = |id: &str| [("csrf", csrf.clone()), ("id", id.to_owned())];
    for (id, status) in [(&ids[1], 404), (&ids[0], 303), (&ids[0], 404)] {
        let fields = resend(id);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        stage
            .form("/manage/undelivered/resend", &cookie, &fields)
            .await
            .expect(status);
    }
    stage.mail("nobody@elsewhere.example", "").await;
    let first = heimdall_types::PageRequest::first();
    assert!(
        outbox
            .dead(Some(&app("acme").await), &first)
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert_eq!(
        outbox
            .dead(Some(&app("other").await), &first)
            .await
            .unwrap()
            .data
            .len(),
        1
    );
}
