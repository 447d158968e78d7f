use serde_json::json;

use crate::client::{Api, Reply};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A browser at the console: one cookie, and the form token of the page it saw last.
struct Browser<'a> {
    api: &'a Api,
    cookie: String,
    csrf: String,
}

impl<'a> Browser<'a> {
    async fn sign_in(api: &'a Api, form: &str) -> Result<Self, Reply> {
        let reply = api
            .send("POST", "/heimdall/console/signin", &[FORM], form.as_bytes())
            .await;
        let Some(cookie) = reply
            .headers
            .get("set-cookie")
            .filter(|_| reply.status == 303)
        else {
            return Err(reply);
        };
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self {
            api,
            cookie,
            csrf: String::new(),
        })
    }

    async fn get(&mut self, path: &str) -> Reply {
        let reply = self
            .api
            .send(
                "GET",
                &format!("/heimdall/console{path}"),
                &[("cookie", &self.cookie)],
                b"",
            )
            .await;
        if let Some((_, rest)) = reply.text.split_once("name=\"csrf\" value=\"") {
            self.csrf = rest.split('"').next().unwrap_or_default().to_owned();
        }
        reply
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        let body = format!("csrf={}&{form}", self.csrf);
        self.api
            .send(
                "POST",
                &format!("/heimdall/console{path}"),
                &[FORM, ("cookie", &self.cookie)],
                body.as_bytes(),
            )
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sets_up_an_app_by_hand() {
    let api = Api::start().await;
    let mut browser = Browser::sign_in(&api, &format!("key={}", api.admin))
        .await
        .ok()
        .unwrap();
    assert!(browser.get("/apps").await.text.contains("No app yet"));
    assert_eq!(
        browser
            .post("/apps", "name=acme&display_name=%3Cb%3EAcme")
            .await
            .status,
        303
    );
    let page = browser.get("/apps/acme").await;
    assert!(
        page.text.contains("&lt;b&gt;Acme") && !page.text.contains("<b>Acme"),
        "names are escaped"
    );
    assert!(page.headers["content-security-policy"].contains("default-src 'none'"));
    assert_eq!(
        browser
            .post(
                "/apps/acme/roles",
                "name=clerk&permissions=billing%3Aread%0D%0Abilling%3Awrite"
            )
            .await
            .status,
        303
    );
    assert!(
        browser
            .get("/apps/acme/roles/clerk")
            .await
            .text
            .contains("value=\"billing:write\" aria-label=\"billing:write\" checked")
    );
    let once_more = browser
        .post(
            "/apps/acme/roles/clerk",
            "action=save&permissions=billing%3Aread",
        )
        .await;
    assert!(
        once_more.text.contains("Nothing is saved yet"),
        "{}",
        once_more.text
    );
    assert_eq!(
        browser
            .post(
                "/apps/acme/roles/clerk",
                "action=save&sure=yes&permissions=billing%3Aread&requestable=yes&max_minutes=60"
            )
            .await
            .status,
        303
    );
    assert!(
        browser
            .get("/apps/acme/roles")
            .await
            .text
            .contains("At most 60 minutes")
    );
    let made = browser
        .post(
            "/apps/acme/users",
            "email=ada%40example.org&display_name=Ada&password=correct+horse&roles=clerk",
        )
        .await;
    assert_eq!(made.status, 303);
    let user = made.headers["location"]
        .trim_start_matches("/heimdall/console")
        .to_owned();
    assert!(
        browser
            .get(&user)
            .await
            .text
            .contains("Remove<span class=\"vh\"> clerk")
    );
    assert_eq!(
        browser
            .post(&user, "action=unassign&role=clerk")
            .await
            .status,
        303
    );
    assert!(
        !browser
            .get(&user)
            .await
            .text
            .contains("Remove<span class=\"vh\"> clerk")
    );
    assert!(
        browser
            .post(
                "/apps/acme/credentials",
                "action=create&name=robot&roles=clerk"
            )
            .await
            .text
            .contains("hcs_")
    );
    assert!(
        !browser
            .get("/apps/acme/credentials")
            .await
            .text
            .contains("hcs_"),
        "a secret is shown once"
    );
    let invite = browser
        .post("/apps/acme/invites", "action=create&roles=clerk")
        .await
        .text;
    let address = invite
        .split("&#x2f;heimdall&#x2f;invites&#x2f;")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    for (place, sign) in [
        ("invites", "Open"),
        ("webhooks", "No webhook yet"),
        ("keys", "Active"),
        ("audit", "role.created"),
        ("users", "Ada"),
    ] {
        let page = browser.get(&format!("/apps/acme/{place}")).await;
        assert!(
            page.status == 200 && page.text.contains(sign),
            "{place}: {} {}",
            page.status,
            page.text
        );
    }
    let offer = api
        .send("GET", &format!("/heimdall/invites/{address}"), &[], b"")
        .await;
    assert!(offer.text.contains("Your name"), "{}", offer.text);
    let joined = api
        .send(
            "POST",
            &format!("/heimdall/invites/{address}"),
            &[FORM],
            b"display_name=Bo&email=bo%40example.org&password=correct+horse",
        )
        .await;
    assert!(joined.text.contains("You have joined"), "{}", joined.text);
    let again = api
        .send("GET", &format!("/heimdall/invites/{address}"), &[], b"")
        .await;
    assert_eq!(again.status, 410);
    assert!(browser.get("/admin-keys").await.text.contains("tests"));
    assert_eq!(browser.post("/signout", "").await.status, 303);
    assert_eq!(
        browser.get("/apps").await.status,
        303,
        "the session is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_the_own_app_only_and_what_the_rights_allow() {
    let api = Api::start().await;
    api.tenant("acme").await;
    api.tenant("globex").await;
    api.post(
        "/apps/acme/users",
        &api.admin,
        json!({"email": "eve@example.org", "display_name": "Eve", "password": "correct horse"}),
    )
    .await
    .expect(201);
    let mut eve = Browser::sign_in(
        &api,
        "app=acme&email=eve%40example.org&password=correct+horse",
    )
    .await
    .ok()
    .unwrap();
    assert_eq!(eve.get("/apps/acme/users").await.status, 403);
    let mut root = Browser::sign_in(
        &api,
        "app=acme&email=root%40example.org&password=correct+horse",
    )
    .await
    .ok()
    .unwrap();
    assert_eq!(root.get("/apps/acme/users").await.status, 200);
    assert_eq!(root.get("/apps/acme").await.status, 200);
    assert_eq!(
        root.get("/apps").await.status,
        403,
        "the list of Apps is the operator's"
    );
    let (foreign, absent) = (
        root.get("/apps/globex/users").await,
        root.get("/apps/nowhere/users").await,
    );
    assert_eq!((foreign.status, absent.status), (404, 404));
    assert_eq!(foreign.text, absent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_session_or_site_changes_nothing() {
    let api = Api::start().await;
    let key = format!("key={}", api.admin);
    let mut one = Browser::sign_in(&api, &key).await.ok().unwrap();
    let mut two = Browser::sign_in(&api, &key).await.ok().unwrap();
    one.get("/apps").await;
    two.get("/apps").await;
    two.csrf.clone_from(&one.csrf);
    assert_eq!(
        two.post("/apps", "name=acme&display_name=Acme")
            .await
            .status,
        403
    );
    let body = format!("csrf={}&name=acme&display_name=Acme", one.csrf);
    let cross = [
        FORM,
        ("cookie", one.cookie.as_str()),
        ("origin", "https://evil.example"),
    ];
    assert_eq!(
        api.send("POST", "/heimdall/console/apps", &cross, body.as_bytes())
            .await
            .status,
        403
    );
    assert!(one.get("/apps").await.text.contains("No app yet"));
    let bare = api.send("GET", "/heimdall/console/apps", &[], b"").await;
    assert_eq!(
        (bare.status, bare.headers["location"].as_str()),
        (303, "/heimdall/console/signin")
    );
    let wrong = Browser::sign_in(&api, "key=hmk_wrong").await.err().unwrap();
    assert_eq!(wrong.status, 401);
}
