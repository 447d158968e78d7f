//! A service with an App, a requester, an administrator and a requestable role, and a client that hides nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use heimdall_api::{HashingPool, Options, Outside};
use heimdall_approvals::{Assembly, Deps, External, Workers, app, assemble, edge, mailer};
use heimdall_notifier::{Language, Messages};
use heimdall_server::{LimitSettings, ListenSettings, Running, Server, Sources, SystemClock};
use heimdall_store::Store;
use heimdall_tenant::input::{NewAdminKey, NewApp, NewRole, NewUser};
use heimdall_tenant::ports::Directory as _;
use heimdall_tenant::{Caller, Hasher};
use heimdall_token::{RootKey, SystemRng};
use heimdall_types::{Rng, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const REQUESTER: &str = "mara@acme.example";
pub(crate) const COLLEAGUE: &str = "jo@acme.example";
pub(crate) const ADMIN: &str = "ada@acme.example";
pub(crate) const APPROVER: &str = "owner@elsewhere.example";

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The answer, when the status is the expected one.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    pub(crate) fn field(&self) -> String {
        self.json()["error"]["details"][0]["field"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The value of a hidden field of the page.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let marker = format!("name=\"{name}\" value=\"");
        let rest = self
            .text
            .split(&marker)
            .nth(1)
            .unwrap_or_else(|| panic!("no field `{name}`: {}", self.text));
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(crate) struct Stage {
    pub(crate) deps: Deps,
    pub(crate) admin_key: String,
    address: SocketAddr,
    mails: PathBuf,
    _running: Running,
    _workers: Workers,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.mails);
    }
}

static STAGES: AtomicU32 = AtomicU32::new(0);

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|external| external).await
    }

    /// A stage whose people without an App are known like this.
    pub(crate) async fn with(external: impl FnOnce(External) -> External) -> Self {
        Self::built(Arc::new(SystemRng), external).await
    }

    /// A stage whose numbers come from `rng`.
    pub(crate) async fn drawing(rng: Arc<dyn Rng>) -> Self {
        Self::built(rng, |external| external).await
    }

    async fn built(rng: Arc<dyn Rng>, external: impl FnOnce(External) -> External) -> Self {
        let (store, clock) = (Arc::new(Store::memory().unwrap()), Arc::new(SystemClock));
        let root_key = RootKey::generate(rng.as_ref());
        let passwords = Arc::new(HashingPool::new(Hasher::weak(), rng.clone()));
        let external = external(External::new(passwords.clone()).unwrap());
        let outside = Outside {
            store: store.clone(),
            root_key: root_key.clone(),
            clock: clock.clone(),
            passwords: passwords.clone(),
            rng: rng.clone(),
        };
        let tenants = heimdall_api::assemble(outside, Options::at("http://api.example"))
            .await
            .unwrap()
            .tenants;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let number = STAGES.fetch_add(1, Ordering::SeqCst);
        let mails =
            std::env::temp_dir().join(format!("heimdall-portal-{}-{number}", std::process::id()));
        let deps = assemble(Assembly {
            tenants,
            store,
            root_key,
            clock,
            rng,
            base_url: format!("http://{address}"),
            mailbox: Some(mails.clone()),
            overrides: None,
            external,
        })
        .unwrap();
        let url = Secret::new(format!("file://{}", mails.display()));
        let mailer = mailer(&url, "Heimdall <heimdall@acme.example>").unwrap();
        let workers = Workers::start(
            &deps,
            mailer,
            Arc::new(Messages::new(Language::English, "acme.example").unwrap()),
        );
        let settings = ListenSettings {
            workers: 1,
            ..ListenSettings::default()
        };
        let edge = edge(&LimitSettings::off(), Sources::default(), false);
        let running = Server::listen(listener, &settings, edge, app(deps.clone())).unwrap();
        let admin_key = deps
            .tenants
            .create_admin_key(
                &Caller::System,
                NewAdminKey {
                    name: "tests".into(),
                },
            )
            .await;
        let stage = Self {
            admin_key: admin_key.unwrap().key,
            deps,
            address,
            mails,
            _running: running,
            _workers: workers,
        };
        stage.furnish("acme").await;
        stage
    }

    /// An App with its people and roles, and an open portal.
    pub(crate) async fn furnish(&self, name: &str) {
        let (tenants, system) = (&self.deps.tenants, Caller::System);
        let new = NewApp {
            name: name.to_owned(),
            display_name: None,
        };
        let app = tenants.create_app(&system, new).await.unwrap();
        let roles = [
            json!({ "name": "reader", "permissions": ["billing:read"] }),
            json!({ "name": "admin", "permissions": ["settings:write", "approvals:read", "approvals:write", "roles:assign"] }),
            json!({
                "name": "billing-admin", "description": "Change invoices", "permissions": ["billing:write"],
                "requestable": { "max_minutes": 240, "approval": {
                    "name": "Owner", "type": "single", "approvers": [{ "email": APPROVER }],
                } },
            }),
            json!({
                "name": "auditor", "permissions": ["billing:read"],
                "requestable": { "max_minutes": 60, "approval": {
                    "name": "Administrator", "type": "single", "approvers": [{ "email": ADMIN }],
                } },
            }),
        ];
        for role in roles {
            let role: NewRole = serde_json::from_value(role).unwrap();
            tenants.create_role(&system, name, role).await.unwrap();
        }
        let people = [
            (REQUESTER, "Mara Lindqvist", "reader"),
            (COLLEAGUE, "Jo", "reader"),
            (ADMIN, "Ada Admin", "admin"),
        ];
        for (email, shown, role) in people {
            let user = json!({ "email": email, "display_name": shown, "password": PASSWORD, "role": role });
            let user: NewUser = serde_json::from_value(user).unwrap();
            tenants.create_user(&system, name, user).await.unwrap();
        }
        self.deps
            .portals
            .ensure(&app.id, &self.deps.base_url)
            .await
            .unwrap();
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream
            .write_all(format!("{head}\r\n{body}").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        parse(&String::from_utf8_lossy(&answer))
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Reply {
        self.send("GET", path, &[("cookie", cookie)], "").await
    }

    pub(crate) async fn form(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Reply {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookie),
        ];
        self.send("POST", path, &headers, &body.join("&")).await
    }

    /// A call with a bearer token; `Null` sends no body.
    pub(crate) async fn call(&self, method: &str, path: &str, bearer: &str, body: Value) -> Reply {
        let authorization = format!("Bearer {bearer}");
        let mut headers = vec![("authorization", authorization.as_str())];
        if body.is_null() {
            return self.send(method, path, &headers, "").await;
        }
        headers.push(("content-type", "application/json"));
        self.send(method, path, &headers, &body.to_string()).await
    }

    /// Signs in by the form; gives the cookie.
    pub(crate) async fn sign_in(&self, email: &str) -> String {
        let fields = [
            ("next", "/"),
            ("app", "acme"),
            ("email", email),
            ("password", PASSWORD),
        ];
        let reply = self.form("/login", "", &fields).await.expect(303);
        let cookie = reply
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(cookie.starts_with("heimdall_session="), "{cookie}");
        cookie
    }

    /// An access token of a user of the App.
    pub(crate) async fn token(&self, app: &str, email: &str) -> String {
        let login =
            serde_json::from_value(json!({ "email": email, "password": PASSWORD })).unwrap();
        match self.deps.tenants.login(app, login, None).await.unwrap() {
            heimdall_tenant::LoggedIn::Done(tokens) => tokens.access_token,
            heimdall_tenant::LoggedIn::SecondStep(_) => panic!("{email} has a second factor"),
        }
    }

    /// A mail that was given up.
    pub(crate) async fn bury(&self, app: &heimdall_types::AppId, to: &str, why: &str) -> String {
        let deps = &self.deps;
        let (now, outbox): (_, &dyn heimdall_notifier::Outbox) =
            (deps.clock.now(), deps.store.as_ref());
        let notice = heimdall_types::Notice {
            id: heimdall_types::NoticeId::generate(now, deps.rng.as_ref()),
            app_id: Some(app.clone()),
            kind: "test".to_owned(),
            recipient: to.to_owned(),
            data: json!({}),
            // Nobody sends it before it is given up.
            due: now.plus(Duration::from_secs(3600)),
        };
        let id = notice.id.clone();
        let notices = vec![notice];
        let entry = heimdall_types::AuditEntry {
            app_id: Some(app.clone()),
            at: now,
            actor: heimdall_types::Actor::System,
            action: "test".to_owned(),
            target: id.to_string(),
            data: json!({}),
        };
        let audit = vec![entry];
        let journal = heimdall_types::Journal {
            audit,
            notices,
            ..Default::default()
        };
        deps.store.record(journal).await.unwrap();
        outbox.bury(&id, now, why).await.unwrap();
        id.to_string()
    }

    /// Ends every session and token of a user.
    pub(crate) async fn revoke_sessions(&self, email: &str) {
        let (tenants, system) = (&self.deps.tenants, Caller::System);
        let app = tenants.app(&system, "acme").await.unwrap();
        let email = email.parse().unwrap();
        let user = self.deps.store.user_by_email(&app.id, &email).await;
        let user = user.unwrap().unwrap();
        tenants
            .revoke_user_sessions(&system, "acme", user.id.as_str())
            .await
            .unwrap();
    }

    /// Asks for roles by JSON; gives the request.
    pub(crate) async fn ask(&self, roles: &[&str]) -> Value {
        let token = self.token("acme", REQUESTER).await;
        let body =
            json!({ "roles": roles, "justification": "INC-7: refund", "duration_minutes": 60 });
        self.call("POST", "/v1/apps/acme/requests", &token, body)
            .await
            .expect(201)
            .json()
    }

    /// Waits for a mail to this address whose subject has `subject`; gives its text without soft line breaks.
    pub(crate) async fn mail(&self, to: &str, subject: &str) -> String {
        for _ in 0..400 {
            let entries = std::fs::read_dir(&self.mails)
                .into_iter()
                .flatten()
                .flatten();
            for path in entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "eml"))
            {
                let raw = std::fs::read_to_string(path).unwrap_or_default();
                let read = heimdall_transport::read_mail(&raw);
                if let Some(mail) =
                    read.filter(|mail| mail.to == to && mail.subject.contains(subject))
                {
                    return mail.text;
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no mail to {to} about {subject}");
    }

    /// The texts of all mails to this address so far.
    pub(crate) fn mails_to(&self, to: &str) -> Vec<String> {
        let entries = std::fs::read_dir(&self.mails)
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .filter_map(|raw| heimdall_transport::read_mail(&raw))
            .filter(|mail| mail.to == to)
            .map(|mail| mail.text)
            .collect()
    }

    /// The token of the approver's mail about a request.
    pub(crate) async fn mail_token(&self) -> String {
        let text = self.mail(APPROVER, "asks for").await;
        let rest = text
            .split("/external-approval?token=")
            .nth(1)
            .unwrap_or_else(|| panic!("no link: {text}"));
        rest.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) async fn state_of(&self, id: &Value) -> String {
        let token = self.token("acme", REQUESTER).await;
        let path = format!("/v1/apps/acme/requests/{}", id.as_str().unwrap());
        let found = self
            .call("GET", &path, &token, Value::Null)
            .await
            .expect(200)
            .json();
        found["state"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let known = headers.entry(name.to_ascii_lowercase()).or_default();
        // Only cookies come several times.
        if !known.is_empty() {
            known.push('\n');
        }
        known.push_str(value);
    }
    let chunked = headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding == "chunked");
    let text = if chunked {
        unchunked(body)
    } else {
        body.to_owned()
    };
    Reply {
        status: status.unwrap_or(0),
        headers,
        text,
    }
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        let Some((chunk, after)) = rest.split_at_checked(size) else {
            break;
        };
        out.push_str(chunk);
        body = after.trim_start_matches("\r\n");
    }
    out
}
