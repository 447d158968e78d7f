//! External approvers' accounts and what links do for whom, with a provider that says what the test wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use heimdall_approval::accounts::ports::{ProviderAnswer, ProviderHttp, ProviderRequest};
use heimdall_approval::accounts::{
    AtlassianEndpoints, ClaimNames, OAuth2Endpoints, ProviderKind, ProviderSettings,
};
use heimdall_approvals::External;
use heimdall_token::{FetchedJwks, JwksFetch, crypto};
use heimdall_types::Fault;
use serde_json::{Value, json};

use crate::stage::{APPROVER, PASSWORD, REQUESTER, Reply, Stage, encoded};

/// Believes every code: it is the profile itself, in hexadecimal.
struct Talkative;

#[async_trait]
impl ProviderHttp for Talkative {
    async fn ask(&self, request: ProviderRequest) -> Result<ProviderAnswer, Fault> {
        let body = match &request.body {
            Some((_, body)) => {
                let text = body.expose();
                let code = match serde_json::from_str::<Value>(text) {
                    Ok(members) => members["code"].as_str().unwrap_or_default().to_owned(),
                    Err(_) => text
                        .split('&')
                        .find_map(|pair| pair.strip_prefix("code="))
                        .unwrap_or_default()
                        .to_owned(),
                };
                assert!(text.contains("code_verifier"), "PKCE: {text}");
                json!({ "access_token": code, "token_type": "Bearer" })
                    .to_string()
                    .into_bytes()
            }
            None => {
                let bearer = request.authorization.unwrap();
                crypto::from_hex(bearer.expose().strip_prefix("Bearer ").unwrap()).unwrap()
            }
        };
        Ok(ProviderAnswer { status: 200, body })
    }
}

#[async_trait]
impl JwksFetch for Talkative {
    async fn fetch(&self, _: &str) -> Result<FetchedJwks, Fault> {
        Err(Fault::Unavailable("there is none".into()))
    }
}

fn provider(id: &str, kind: ProviderKind) -> ProviderSettings {
    ProviderSettings {
        id: id.to_owned(),
        name: id.to_uppercase(),
        kind,
        client_id: "heimdall".to_owned(),
        client_secret: "secret".into(),
        scopes: Vec::new(),
    }
}

async fn stage() -> Stage {
    Stage::with(|external| External {
        http: Arc::new(Talkative),
        providers: vec![
            provider(
                "corp",
                ProviderKind::OAuth2(OAuth2Endpoints {
                    authorize: "https://corp.example/authorize".to_owned(),
                    token: "https://corp.example/token".to_owned(),
                    profile: "https://corp.example/me".to_owned(),
                    claims: ClaimNames::default(),
                    emails_are_verified: false,
                }),
            ),
            provider(
                "atlassian",
                ProviderKind::Atlassian(AtlassianEndpoints::default()),
            ),
        ],
        ..external
    })
    .await
}

/// A browser with a cookie jar that follows nothing by itself.
struct Browser<'s> {
    stage: &'s Stage,
    jar: BTreeMap<String, String>,
}

impl<'s> Browser<'s> {
    fn new(stage: &'s Stage) -> Self {
        Self {
            stage,
            jar: BTreeMap::new(),
        }
    }

    fn cookies(&self) -> String {
        let pairs: Vec<String> = self.jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, reply: Reply) -> Reply {
        for line in reply.header("set-cookie").lines() {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    async fn get(&mut self, path: &str) -> Reply {
        let cookies = self.cookies();
        let headers = [
            ("cookie", cookies.as_str()),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-user", "?1"),
        ];
        let reply = self.stage.send("GET", path, &headers, "").await;
        self.keep(reply)
    }

    async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let reply = self.stage.form(path, &self.cookies(), fields).await;
        self.keep(reply)
    }

    /// Goes to the provider and comes back as whoever `profile` says; gives the answer of the callback.
    async fn log_in_with(&mut self, id: &str, next: &str, profile: &Value) -> Reply {
        let state = self.begin(id, next).await;
        self.come_back(id, &state, profile).await
    }

    async fn begin(&mut self, id: &str, next: &str) -> String {
        let path = format!("/account/oauth/{id}/start?next={}", encoded(next));
        let away = self.get(&path).await.expect(303);
        let location = away.header("location").to_owned();
        assert!(
            location.contains("code_challenge_method=S256") && !location.contains("secret"),
            "{location}"
        );
        let rest = location.split("state=").nth(1).unwrap();
        rest.split('&').next().unwrap().to_owned()
    }

    async fn come_back(&mut self, id: &str, state: &str, profile: &Value) -> Reply {
        let code = crypto::hex(profile.to_string().as_bytes());
        self.get(&format!(
            "/account/oauth/{id}/callback?code={code}&state={state}"
        ))
        .await
    }

    /// An account by mail: address confirmed, with a password, logged in.
    async fn joined(stage: &'s Stage, email: &str) -> Self {
        let mut browser = Self::new(stage);
        browser
            .form("/account/activate", &[("email", email), ("next", "/")])
            .await
            .expect(200);
        let form = browser.open_mail(email).await;
        let fields = [
            ("csrf", form.hidden("csrf")),
            ("first_name", "Olga".to_owned()),
            ("last_name", "Owner".to_owned()),
            ("password", PASSWORD.to_owned()),
            ("again", PASSWORD.to_owned()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let done = browser.form("/account/activate", &fields).await.expect(303);
        assert_eq!(done.header("location"), "/account/settings/profile");
        assert!(browser.jar.contains_key("heimdall_account"));
        browser
    }

    /// Opens the link of the mail that confirms an address; the page behind it.
    async fn open_mail(&mut self, email: &str) -> Reply {
        let path = live_mail(self.stage, email).await;
        let sent = self.get(&path).await.expect(303);
        assert_eq!(
            sent.header("location"),
            "/account/activate",
            "the token leaves the address"
        );
        self.get("/account/activate").await.expect(200)
    }
}

fn profile(subject: &str, email: &str, verified: bool) -> Value {
    json!({ "sub": subject, "email": email, "email_verified": verified, "given_name": "Olga", "family_name": "Owner" })
}

async fn key(stage: &Stage) -> String {
    let all = [
        "approvals:read",
        "approvals:write",
        "approvals:links",
        "delegations:write",
    ];
    let body = json!({ "app": "acme", "name": "tracker", "privileges": all });
    let made = stage
        .call("POST", "/v1/api-keys", &stage.admin_key, body)
        .await
        .expect(201);
    made.json()["key"].as_str().unwrap().to_owned()
}

async fn open(stage: &Stage, key: &str, approver: Value) -> Value {
    let root = json!({ "name": "Review", "type": "single", "approvers": [approver] });
    let body = json!({ "title": "Rotate the key", "root": root, "requester": REQUESTER });
    stage
        .call("POST", "/webapi/v2/approvals", key, body)
        .await
        .expect(201)
        .json()
}

async fn link(stage: &Stage, key: &str, id: &Value, action: &str) -> String {
    let path = format!("/webapi/v2/approvals/{}/links", id.as_str().unwrap());
    let links = stage
        .call("GET", &path, key, Value::Null)
        .await
        .expect(200)
        .json();
    let all = links["links"].as_array().unwrap();
    let url = all.iter().find(|link| link["action"] == action).unwrap()["url"].clone();
    format!(
        "/step-action{}",
        url.as_str().unwrap().split("/step-action").nth(1).unwrap()
    )
}

async fn state(stage: &Stage, key: &str, id: &Value) -> String {
    let path = format!("/webapi/v2/approvals/{}", id.as_str().unwrap());
    let found = stage.call("GET", &path, key, Value::Null).await.expect(200);
    found.json()["state"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn an_api_link_wants_a_linked_account_and_then_decides_at_once() {
    let stage = stage().await;
    let key = key(&stage).await;
    let approval = open(&stage, &key, json!({ "email": APPROVER })).await;
    let approve = link(&stage, &key, &approval["id"], "approve").await;

    // No session: the token is parked, for this browser, once.
    let mut browser = Browser::new(&stage);
    let sent = browser.get(&approve).await.expect(303);
    let location = sent.header("location").to_owned();
    assert!(
        location.starts_with("/account/login?next=") && !location.contains("token"),
        "{location}"
    );
    let parked = format!(
        "/step-action?parked={}",
        location.split("parked%3D").nth(1).unwrap()
    );
    let mut other = Browser::new(&stage);
    other.get(&parked).await.expect(410);

    // Somebody of the portal is no linked account.
    let cookie = stage.sign_in(REQUESTER).await;
    stage.get(&approve, &cookie).await.expect(403);

    // An account with a password only is not linked.
    let mut owner = Browser::joined(&stage, APPROVER).await;
    owner.get(&approve).await.expect(403);
    assert_eq!(state(&stage, &key, &approval["id"]).await, "Open");

    // Linked: the link that was parked decides right after the log-in.
    let target = parked.as_str();
    let back = browser
        .log_in_with("corp", target, &profile("42", APPROVER, true))
        .await
        .expect(303);
    assert_eq!(back.header("location"), target);
    let done = browser.get(target).await.expect(200);
    assert!(done.text.contains("You approved"), "{}", done.text);
    assert!(done.text.contains("You may close this tab"));
    assert_eq!(state(&stage, &key, &approval["id"]).await, "Approved");
    browser.get(target).await.expect(410);
    let again = browser.get(&approve).await.expect(200);
    assert!(again.text.contains("You approved"));

    // Linked, and somebody else.
    let second = open(&stage, &key, json!({ "email": APPROVER })).await;
    let approve = link(&stage, &key, &second["id"], "approve").await;
    let mut stranger = Browser::joined(&stage, "eve@elsewhere.example").await;
    stranger
        .log_in_with("corp", "/", &profile("66", "eve@elsewhere.example", true))
        .await
        .expect(303);
    stranger.get(&approve).await.expect(403);
    assert_eq!(state(&stage, &key, &second["id"]).await, "Open");

    // Another site sends the browser there: then a button asks.
    let cookies = browser.cookies();
    let lured = [
        ("cookie", cookies.as_str()),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "cross-site"),
    ];
    let page = stage.send("GET", &approve, &lured, "").await.expect(200);
    assert_eq!(state(&stage, &key, &second["id"]).await, "Open");
    let nonce = page.hidden("nonce");
    // The page of one session is worth nothing in another.
    stranger
        .form("/step-action", &[("nonce", &nonce)])
        .await
        .expect(403);
    browser
        .form("/step-action", &[("nonce", &nonce)])
        .await
        .expect(200);
    assert_eq!(state(&stage, &key, &second["id"]).await, "Approved");
}

#[actix_web::test]
async fn a_step_may_name_the_account_of_the_provider() {
    let stage = stage().await;
    let key = key(&stage).await;
    let approval = open(&stage, &key, json!({ "account": "712020:abc" })).await;
    let approve = link(&stage, &key, &approval["id"], "approve").await;
    let mut browser = Browser::new(&stage);
    let me = json!({ "account_id": "712020:abc", "email": "ines@elsewhere.example", "email_verified": true, "name": "Inês Duarte", "account_status": "active" });
    let form = browser.log_in_with("atlassian", "/", &me).await.expect(303);
    assert_eq!(form.header("location"), "/account/activate");
    let page = browser.get("/account/activate").await.expect(200);
    assert!(
        page.text.contains("Inês") && page.text.contains("Duarte"),
        "{}",
        page.text
    );
    let csrf = page.hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("first_name", "Inês"),
        ("last_name", "Duarte"),
        ("password", ""),
        ("link", "on"),
    ];
    browser.form("/account/activate", &fields).await.expect(303);
    let done = browser.get(&approve).await.expect(200);
    assert!(done.text.contains("You approved"), "{}", done.text);
}

#[actix_web::test]
async fn a_linked_account_votes_by_json_from_our_own_pages_only() {
    let stage = stage().await;
    let key = key(&stage).await;
    let approval = open(&stage, &key, json!({ "email": APPROVER })).await;
    let path = format!(
        "/webapi/v2/approvals/{}/steps/{}/votes",
        approval["id"].as_str().unwrap(),
        approval["steps"][0]["id"].as_str().unwrap()
    );
    let mut owner = Browser::joined(&stage, APPROVER).await;
    let body = json!({ "action": "approve" }).to_string();
    let vote = async |cookies: &str, extra: (&str, &str)| {
        let headers = [
            ("cookie", cookies),
            ("content-type", "application/json"),
            extra,
        ];
        stage.send("POST", &path, &headers, &body).await.status
    };
    assert_eq!(vote("", ("x-a", "b")).await, 401);
    assert_eq!(
        vote(&owner.cookies(), ("x-a", "b")).await,
        403,
        "not linked"
    );
    owner
        .log_in_with("corp", "/", &profile("42", APPROVER, true))
        .await
        .expect(303);
    let cookies = owner.cookies();
    assert_eq!(
        vote(&cookies, ("origin", "https://evil.example")).await,
        403
    );
    assert_eq!(vote(&cookies, ("authorization", "Basic YTpi")).await, 401);
    assert_eq!(vote(&cookies, ("x-a", "b")).await, 201);
    assert_eq!(state(&stage, &key, &approval["id"]).await, "Approved");
}

#[actix_web::test]
async fn an_address_that_the_provider_did_not_verify_links_nothing() {
    let stage = stage().await;
    let mut owner = Browser::joined(&stage, APPROVER).await;
    let mut thief = Browser::new(&stage);
    let told = thief
        .log_in_with("corp", "/", &profile("666", APPROVER, false))
        .await
        .expect(200);
    assert!(
        told.text.contains("Look into your mailbox"),
        "{}",
        told.text
    );
    assert!(!thief.jar.contains_key("heimdall_account"));
    let page = owner.get("/account/settings/profile").await.expect(200);
    assert!(page.text.contains("Link CORP") && !page.text.contains("666"));

    // The owner opens the mail in their own browser, and even presses the button: nothing is linked.
    let path = live_mail(&stage, APPROVER).await;
    let mut own = Browser::new(&stage);
    own.get(&path).await.expect(303);
    let form = own.get("/account/activate").await.expect(200);
    assert!(form.text.contains("Is it yours?"), "{}", form.text);
    let csrf = form.hidden("csrf");
    own.form("/account/activate", &[("csrf", &csrf)])
        .await
        .expect(403);
    // The thief has no mail to open; the same link in the browser that asked links.
    let csrf = {
        thief.get(&path).await.expect(303);
        thief
            .get("/account/activate")
            .await
            .expect(200)
            .hidden("csrf")
    };
    thief
        .form("/account/activate", &[("csrf", &csrf)])
        .await
        .expect(303);
    let page = owner.get("/account/settings/profile").await.expect(200);
    assert!(page.text.contains("Unlink CORP"));
    // Used once.
    let mut late = Browser::new(&stage);
    late.get(&path).await.expect(410);
}

/// The link of the mail to this address that was not used yet.
async fn live_mail(stage: &Stage, to: &str) -> String {
    for _ in 0..400 {
        for text in stage.mails_to(to) {
            let words = text.split_whitespace();
            for rest in words.filter_map(|word| word.split("/account/activate?token=").nth(1)) {
                let path = format!("/account/activate?token={rest}");
                if stage.get(&path, "").await.status == 303 {
                    return path;
                }
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("no live mail to {to}");
}

#[actix_web::test]
async fn a_known_verified_and_confirmed_address_links_at_once_and_each_identity_once() {
    let stage = stage().await;
    Browser::joined(&stage, APPROVER).await;
    let mut browser = Browser::new(&stage);
    let back = browser
        .log_in_with("corp", "/", &profile("42", APPROVER, true))
        .await
        .expect(303);
    assert_eq!(back.header("location"), "/account/settings/profile");
    let page = browser.get("/account/settings/profile").await.expect(200);
    assert!(
        page.text.contains("Unlink CORP") && page.text.contains("<code>42</code>"),
        "{}",
        page.text
    );

    // Another identity of the same provider with the same address: one place, and it is taken.
    let mut second = Browser::new(&stage);
    second
        .log_in_with("corp", "/", &profile("43", APPROVER, true))
        .await
        .expect(409);
    // The same identity from another account.
    let mut other = Browser::joined(&stage, "eve@elsewhere.example").await;
    other
        .log_in_with("corp", "/", &profile("42", APPROVER, true))
        .await
        .expect(409);
    let page = other.get("/account/settings/profile").await.expect(200);
    assert!(page.text.contains("Link CORP"));

    // An account that a provider vouched for is no proof towards another provider: a mail asks.
    let fresh = "new@elsewhere.example";
    let mut newcomer = Browser::new(&stage);
    newcomer
        .log_in_with("corp", "/", &profile("77", fresh, true))
        .await
        .expect(303);
    let csrf = newcomer
        .get("/account/activate")
        .await
        .expect(200)
        .hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("first_name", "N"),
        ("last_name", "N"),
        ("password", ""),
        ("link", "on"),
    ];
    newcomer
        .form("/account/activate", &fields)
        .await
        .expect(303);
    let mut elsewhere = Browser::new(&stage);
    let me = json!({ "account_id": "a-77", "email": fresh, "email_verified": true, "name": "N N" });
    let told = elsewhere
        .log_in_with("atlassian", "/", &me)
        .await
        .expect(200);
    assert!(told.text.contains("Look into your mailbox"));
    assert!(!elsewhere.jar.contains_key("heimdall_account"));
}

#[actix_web::test]
async fn a_callback_counts_once_in_its_browser_with_its_state() {
    let stage = stage().await;
    let me = profile("42", APPROVER, true);
    let code = crypto::hex(me.to_string().as_bytes());
    let mut browser = Browser::new(&stage);
    for path in [
        format!("/account/oauth/corp/callback?code={code}"),
        format!("/account/oauth/corp/callback?code={code}&state=made-up"),
        "/account/oauth/corp/callback".to_owned(),
    ] {
        browser.get(&path).await.expect(403);
    }
    let state = browser.begin("corp", "/").await;
    // In another browser, at another provider, then where it belongs, then again.
    let mut other = Browser::new(&stage);
    other.come_back("corp", &state, &me).await.expect(403);
    let state_of_other = other.begin("corp", "/").await;
    browser
        .come_back("corp", &state_of_other, &me)
        .await
        .expect(403);
    browser
        .come_back("atlassian", &state, &me)
        .await
        .expect(403);
    browser.come_back("corp", &state, &me).await.expect(303);
    browser.come_back("corp", &state, &me).await.expect(403);
    browser.get("/account/oauth/nobody/start").await.expect(404);

    // The provider says no.
    let state = browser.begin("corp", "/").await;
    let no = browser
        .get(&format!(
            "/account/oauth/corp/callback?error=access_denied&state={state}"
        ))
        .await
        .expect(403);
    assert!(no.text.contains("The log-in did not work"));
    assert!(!browser.jar.contains_key("heimdall_account"));
}

#[actix_web::test]
async fn after_a_log_in_only_a_path_of_our_own_is_followed() {
    let stage = stage().await;
    Browser::joined(&stage, APPROVER).await;
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "/%2f%2fevil.example",
        "javascript:alert(1)",
        "https://evil.example/",
    ] {
        let mut browser = Browser::new(&stage);
        let fields = [("email", APPROVER), ("password", PASSWORD), ("next", evil)];
        let sent = browser.form("/account/login", &fields).await.expect(303);
        assert_eq!(
            sent.header("location"),
            "/account/settings/profile",
            "{evil}"
        );
        let mut browser = Browser::new(&stage);
        let back = browser
            .log_in_with("corp", evil, &profile("42", APPROVER, true))
            .await
            .expect(303);
        assert_eq!(
            back.header("location"),
            "/account/settings/profile",
            "{evil}"
        );
    }
    let mut browser = Browser::new(&stage);
    let fields = [
        ("email", APPROVER),
        ("password", PASSWORD),
        ("next", "/account/settings/password"),
    ];
    let sent = browser.form("/account/login", &fields).await.expect(303);
    assert_eq!(sent.header("location"), "/account/settings/password");
}

#[actix_web::test]
async fn known_and_unknown_addresses_answer_alike_and_lock_alike() {
    let stage = stage().await;
    Browser::joined(&stage, APPROVER).await;
    let mut texts = std::collections::BTreeSet::new();
    for address in [APPROVER, "nobody@elsewhere.example"] {
        let mut browser = Browser::new(&stage);
        for _ in 0..10 {
            let fields = [("email", address), ("password", "wrong horse battery")];
            let refused = browser.form("/account/login", &fields).await.expect(401);
            texts.insert(refused.text.replace(address, "ADDRESS"));
        }
        let fields = [("email", address), ("password", PASSWORD)];
        let locked = browser.form("/account/login", &fields).await.expect(429);
        texts.insert(locked.text.replace(address, "ADDRESS"));
        let asked = browser
            .form("/account/activate", &[("email", address)])
            .await
            .expect(200);
        texts.insert(asked.text.replace(address, "ADDRESS"));
    }
    assert_eq!(texts.len(), 3, "one text each for wrong, locked and mailed");
}

#[actix_web::test]
async fn forms_of_another_site_or_session_change_nothing_and_no_page_can_be_framed() {
    let stage = stage().await;
    let mut owner = Browser::joined(&stage, APPROVER).await;
    let mut eve = Browser::joined(&stage, "eve@elsewhere.example").await;
    let foreign = eve
        .get("/account/settings/profile")
        .await
        .expect(200)
        .hidden("csrf");
    for token in [foreign.as_str(), "", "made-up"] {
        let fields = [
            ("csrf", token),
            ("first_name", "Mallory"),
            ("last_name", ""),
        ];
        owner
            .form("/account/settings/profile", &fields)
            .await
            .expect(403);
    }
    let own = owner.get("/account/settings/profile").await.expect(200);
    assert!(!own.text.contains("Mallory"));
    let body = format!("csrf={}&first_name=Mallory", encoded(&own.hidden("csrf")));
    let cookies = owner.cookies();
    for extra in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let headers = [
            ("cookie", cookies.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            extra,
        ];
        for path in [
            "/account/settings/profile",
            "/account/login",
            "/account/activate",
        ] {
            let reply = stage.send("POST", path, &headers, &body).await;
            assert!(
                matches!(reply.status, 403 | 422),
                "{path} {extra:?}: {}",
                reply.status
            );
        }
    }
    for path in [
        "/account/login",
        "/account/settings/profile",
        "/account/settings/password",
        "/account/settings/delete",
        "/account/activate",
        "/account/oauth/corp/callback",
    ] {
        let page = owner.get(path).await;
        assert!(
            page.header("content-security-policy")
                .contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert!(
            !page
                .header("content-security-policy")
                .contains("unsafe-inline"),
            "{path}"
        );
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(
            !page.text.contains("style=\"") && !page.text.contains("<script>"),
            "{path}"
        );
    }
    // What somebody is called stays text.
    let fields = [
        ("csrf", own.hidden("csrf")),
        ("first_name", "<img src=x onerror=alert(1)>".to_owned()),
        ("last_name", "{{7*7}}".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    owner
        .form("/account/settings/profile", &fields)
        .await
        .expect(303);
    let page = owner.get("/account/settings/profile").await.expect(200);
    assert!(
        !page.text.contains("<img") && page.text.contains("{{7*7}}"),
        "{}",
        page.text
    );
}

#[actix_web::test]
async fn a_changed_password_needs_the_present_one_and_ends_other_sessions() {
    let stage = stage().await;
    let mut owner = Browser::joined(&stage, APPROVER).await;
    let mut elsewhere = Browser::new(&stage);
    let fields = [("email", APPROVER), ("password", PASSWORD)];
    elsewhere.form("/account/login", &fields).await.expect(303);
    let csrf = owner
        .get("/account/settings/password")
        .await
        .expect(200)
        .hidden("csrf");
    let new = "a much better sentence";
    for (current, new, again) in [
        ("wrong", new, new),
        (PASSWORD, "short", "short"),
        (PASSWORD, new, "another sentence"),
    ] {
        let fields = [
            ("csrf", csrf.as_str()),
            ("current", current),
            ("new", new),
            ("again", again),
        ];
        owner
            .form("/account/settings/password", &fields)
            .await
            .expect(422);
    }
    elsewhere.get("/account/settings/profile").await.expect(200);
    let fields = [
        ("csrf", csrf.as_str()),
        ("current", PASSWORD),
        ("new", new),
        ("again", new),
    ];
    owner
        .form("/account/settings/password", &fields)
        .await
        .expect(303);
    owner.get("/account/settings/profile").await.expect(200);
    elsewhere.get("/account/settings/profile").await.expect(303);
    let old = [("email", APPROVER), ("password", PASSWORD)];
    elsewhere.form("/account/login", &old).await.expect(401);
    // Forgotten: a mail sets a new one.
    let mut lost = Browser::new(&stage);
    lost.form("/account/activate", &[("email", APPROVER)])
        .await
        .expect(200);
    let form = lost.open_mail(APPROVER).await;
    let csrf = form.hidden("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    lost.form("/account/activate", &fields).await.expect(303);
    owner.get("/account/settings/profile").await.expect(303);
    let mut back = Browser::new(&stage);
    back.form("/account/login", &old).await.expect(303);
}

#[actix_web::test]
async fn a_deleted_account_ends_sessions_revokes_links_and_gives_up_seats() {
    let stage = stage().await;
    let key = key(&stage).await;
    let mut owner = Browser::joined(&stage, APPROVER).await;
    owner
        .log_in_with(
            "corp",
            "/account/settings/profile",
            &profile("42", APPROVER, true),
        )
        .await
        .expect(303);
    let root = json!({ "name": "Two", "type": "group", "pass": 1, "approvers": [{ "email": APPROVER }, { "email": REQUESTER }] });
    let body = json!({ "title": "Rotate the key", "root": root });
    let approval = stage
        .call("POST", "/webapi/v2/approvals", &key, body)
        .await
        .expect(201)
        .json();
    let only = open(&stage, &key, json!({ "email": APPROVER })).await;
    let text = stage.mail(APPROVER, "asks for Rotate the key").await;
    let word = text
        .split_whitespace()
        .find(|word| word.contains("/step-action?token="))
        .unwrap()
        .to_owned();
    let mailed = format!("/step-action{}", word.split("/step-action").nth(1).unwrap());
    let api = link(&stage, &key, &approval["id"], "approve").await;

    // Unlinked between link and click: 403.
    let csrf = owner
        .get("/account/settings/profile")
        .await
        .expect(200)
        .hidden("csrf");
    owner
        .form(
            "/account/settings/profile",
            &[("csrf", &csrf), ("unlink", "corp")],
        )
        .await
        .expect(303);
    owner.get(&api).await.expect(403);

    let page = owner.get("/account/settings/delete").await.expect(200);
    assert!(page.text.contains("2 open approvals"), "{}", page.text);
    let csrf = page.hidden("csrf");
    for wrong in [
        vec![("password", "wrong")],
        vec![("password", PASSWORD)],
        vec![("password", "wrong"), ("sure", "on")],
    ] {
        let mut fields = vec![("csrf", csrf.as_str())];
        fields.extend(wrong);
        owner
            .form("/account/settings/delete", &fields)
            .await
            .expect(422);
    }
    let fields = [
        ("csrf", csrf.as_str()),
        ("password", PASSWORD),
        ("sure", "on"),
    ];
    owner
        .form("/account/settings/delete", &fields)
        .await
        .expect(200);
    owner.get("/account/settings/profile").await.expect(303);
    let gone = owner.get(&mailed).await;
    assert_eq!(gone.status, 410, "{}", gone.text);
    let login = [("email", APPROVER), ("password", PASSWORD)];
    owner.form("/account/login", &login).await.expect(401);
    assert_eq!(state(&stage, &key, &approval["id"]).await, "Open");
    assert_eq!(state(&stage, &key, &only["id"]).await, "Rejected");
    // The identity is free again, and the address belongs to nobody.
    let mut again = Browser::new(&stage);
    let back = again
        .log_in_with("corp", "/", &profile("42", APPROVER, true))
        .await
        .expect(303);
    assert_eq!(back.header("location"), "/account/activate");
}
