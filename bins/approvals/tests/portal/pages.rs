use crate::stage::{ADMIN, APPROVER, PASSWORD, REQUESTER, Stage};

#[actix_web::test]
async fn pages_lead_to_the_login_and_back() {
    let stage = Stage::new().await;
    for path in [
        "/",
        "/requests/new?role=billing-admin",
        "/inbox",
        "/history",
        "/settings",
    ] {
        let reply = stage.get(path, "").await.expect(303);
        assert!(
            reply.header("location").starts_with("/login?next="),
            "{path}"
        );
    }
    let login = stage
        .get("/login?next=%2Frequests%2Fnew", "")
        .await
        .expect(200);
    assert!(
        login.text.contains("&#x2f;requests&#x2f;new"),
        "{}",
        login.text
    );
    let fields = [
        ("next", "/requests/new"),
        ("app", "acme"),
        ("email", REQUESTER),
        ("password", PASSWORD),
    ];
    let inside = stage.form("/login", "", &fields).await.expect(303);
    assert_eq!(inside.header("location"), "/requests/new");
    let cookie = inside.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "https:evil",
        "javascript:alert(1)",
    ] {
        let fields = [
            ("next", evil),
            ("app", "acme"),
            ("email", REQUESTER),
            ("password", PASSWORD),
        ];
        let reply = stage.form("/login", "", &fields).await.expect(303);
        assert_eq!(reply.header("location"), "/", "{evil}");
    }
}

#[actix_web::test]
async fn a_wrong_login_does_not_say_which_part_was_wrong() {
    let stage = Stage::new().await;
    let mut bodies = Vec::new();
    for (app, email, password) in [
        ("acme", REQUESTER, "wrong"),
        ("acme", "nobody@acme.example", PASSWORD),
        ("nowhere", REQUESTER, PASSWORD),
    ] {
        let fields = [
            ("next", "/"),
            ("app", app),
            ("email", email),
            ("password", password),
        ];
        let reply = stage.form("/login", "", &fields).await;
        assert!((400..500).contains(&reply.status), "{}", reply.status);
        assert_eq!(reply.header("set-cookie"), "");
        bodies.push(reply.text.replace(email, "").replace(app, ""));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[actix_web::test]
async fn the_request_form_asks_and_its_page_shows_it() {
    let stage = Stage::new().await;
    let cookie = stage.sign_in(REQUESTER).await;
    let form = stage
        .get("/requests/new?role=billing-admin", &cookie)
        .await
        .expect(200);
    let csrf = form.hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("roles", "billing-admin"),
        ("justification", "INC-9"),
        ("duration_minutes", "60"),
        ("duration_other", ""),
        ("start", "on_approval"),
        ("start_at", ""),
        ("resource", ""),
    ];
    let sent = stage
        .form("/requests/new", &cookie, &fields)
        .await
        .expect(303);
    let place = sent.header("location").to_owned();
    assert!(place.starts_with("/requests/req_"), "{place}");
    let page = stage.get(&place, &cookie).await.expect(200);
    assert!(
        page.text.contains("INC-9")
            && page.text.contains("billing-admin")
            && page.text.contains("data-events")
    );
    let home = stage.get("/", &cookie).await.expect(200);
    assert!(home.text.contains("billing-admin") && home.text.contains("Waiting"));
    stage
        .mail(APPROVER, "Mara Lindqvist asks for billing-admin")
        .await;

    let mut silent = fields;
    silent[2] = ("justification", "  ");
    let refused = stage
        .form("/requests/new", &cookie, &silent)
        .await
        .expect(422);
    assert!(
        refused.text.contains("role=\"alert\"") && refused.text.contains("href=\"#why\""),
        "{}",
        refused.text
    );

    let csrf = page.hidden("csrf");
    stage
        .form(&format!("{place}/cancel"), &cookie, &[("csrf", &csrf)])
        .await
        .expect(303);
    assert!(
        stage
            .get(&place, &cookie)
            .await
            .expect(200)
            .text
            .contains("Cancelled")
    );
}

#[actix_web::test]
async fn forms_need_their_token_and_their_origin() {
    let stage = Stage::new().await;
    let cookie = stage.sign_in(ADMIN).await;
    let asked = stage.ask(&["auditor"]).await;
    let approve = format!("/requests/{}/approve", asked["id"].as_str().unwrap());
    let csrf = stage
        .get("/inbox", &cookie)
        .await
        .expect(200)
        .hidden("csrf");
    let foreign = stage
        .get("/", &stage.sign_in(REQUESTER).await)
        .await
        .expect(200)
        .hidden("csrf");
    stage
        .form(&approve, &cookie, &[("csrf", "")])
        .await
        .expect(403);
    stage
        .form(&approve, &cookie, &[("csrf", &foreign)])
        .await
        .expect(403);
    let body = format!("csrf={csrf}");
    for origin in ["https://evil.example", "null"] {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookie.as_str()),
            ("origin", origin),
        ];
        assert_eq!(
            stage.send("POST", &approve, &headers, &body).await.status,
            403,
            "{origin}"
        );
    }
    let plain = [("content-type", "text/plain"), ("cookie", cookie.as_str())];
    assert!((400..500).contains(&stage.send("POST", &approve, &plain, &body).await.status));
    assert_eq!(stage.state_of(&asked["id"]).await, "CREATED");
    stage
        .form(&approve, &cookie, &[("csrf", &csrf)])
        .await
        .expect(303);
    assert_eq!(stage.state_of(&asked["id"]).await, "APPROVED");
}

#[actix_web::test]
async fn signing_out_and_a_foreign_app_end_what_can_be_seen() {
    let stage = Stage::new().await;
    stage.furnish("other").await;
    let asked = stage.ask(&["auditor"]).await;
    let place = format!("/requests/{}", asked["id"].as_str().unwrap());
    let fields = [
        ("next", "/"),
        ("app", "other"),
        ("email", ADMIN),
        ("password", PASSWORD),
    ];
    let reply = stage.form("/login", "", &fields).await.expect(303);
    let foreign = reply
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    stage.get(&place, &foreign).await.expect(404);
    assert!(
        !stage
            .get("/inbox", &foreign)
            .await
            .expect(200)
            .text
            .contains("Mara")
    );

    let cookie = stage.sign_in(REQUESTER).await;
    let csrf = stage.get("/", &cookie).await.expect(200).hidden("csrf");
    let out = stage
        .form("/logout", &cookie, &[("csrf", &csrf)])
        .await
        .expect(303);
    assert!(
        out.header("set-cookie").contains("Max-Age=0"),
        "{}",
        out.header("set-cookie")
    );
}

#[actix_web::test]
async fn german_browsers_read_german_and_basic_opens_the_portal() {
    let stage = Stage::new().await;
    let page = stage
        .send(
            "GET",
            "/login",
            &[("accept-language", "de-AT,en;q=0.5")],
            "",
        )
        .await
        .expect(200);
    assert!(
        page.text.contains("lang=\"de\"") && page.text.contains("Passwort"),
        "{}",
        page.text
    );
    let basic = heimdall_token::crypto::base64(format!("acme/{REQUESTER}:{PASSWORD}").as_bytes());
    let authorization = format!("Basic {basic}");
    stage
        .send("GET", "/", &[("authorization", &authorization)], "")
        .await
        .expect(200);
}
