//! A service for one test and a client that hides nothing of what is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use heimdall_api::{HashingPool, Options, Outside, Workers, app, assemble, edge};
use heimdall_server::{LimitSettings, ListenSettings, Running, Server, Sources, SystemClock};
use heimdall_store::{Store, StoreSettings};
use heimdall_tenant::input::NewAdminKey;
use heimdall_tenant::{Caller, Hasher};
use heimdall_token::{RootKey, SystemRng};
use heimdall_transport::WebhookPoster;
use heimdall_transport::address::{AddressPolicy, SystemResolver};
use heimdall_transport::tls::client_config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The body, when the status is the expected one.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    pub(crate) fn field(&self) -> String {
        self.json()["error"]["details"][0]["field"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) admin: String,
    _running: Running,
    _workers: Workers,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(LimitSettings::off()).await
    }

    pub(crate) async fn start_with(limits: LimitSettings) -> Self {
        let rng = Arc::new(SystemRng);
        let root_key = RootKey::generate(&*rng);
        let mut storage = StoreSettings::new("sqlite::memory:");
        storage.root_key = Some(Arc::new(root_key.clone()));
        let outside = Outside {
            store: Arc::new(Store::open(&storage).unwrap()),
            root_key,
            clock: Arc::new(SystemClock),
            passwords: Arc::new(HashingPool::new(Hasher::weak(), rng.clone())),
            rng,
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = Options::at(format!("http://{address}"));
        options.allow_private_webhooks = true;
        let deps = assemble(outside, options).await.unwrap();
        let made = deps
            .tenants
            .create_admin_key(
                &Caller::System,
                NewAdminKey {
                    name: "tests".to_owned(),
                },
            )
            .await
            .unwrap();
        let tls = Arc::new(client_config(None).unwrap());
        let poster = WebhookPoster::new(tls, Arc::new(SystemResolver), AddressPolicy::Any);
        let workers = Workers::start(&deps, Some(Arc::new(poster)));
        let settings = ListenSettings {
            workers: 1,
            ..ListenSettings::default()
        };
        let edge = edge(&limits, Sources::default(), false);
        let running = Server::listen(listener, &settings, edge, app(deps)).unwrap();
        Self {
            address,
            admin: made.key,
            _running: running,
            _workers: workers,
        }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
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
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // A refusal may come before the whole body was taken.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        parse(&String::from_utf8_lossy(&answer))
    }

    pub(crate) async fn call(&self, method: &str, path: &str, bearer: &str, body: Value) -> Reply {
        let authorization = format!("Bearer {bearer}");
        let mut headers = vec![("content-type", "application/json")];
        if !bearer.is_empty() {
            headers.push(("authorization", authorization.as_str()));
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(
            method,
            &format!("/heimdall/v1{path}"),
            &headers,
            body.as_bytes(),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, bearer: &str, body: Value) -> Reply {
        self.call("POST", path, bearer, body).await
    }

    pub(crate) async fn get(&self, path: &str, bearer: &str) -> Reply {
        self.call("GET", path, bearer, Value::Null).await
    }

    pub(crate) async fn form(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send(
            "POST",
            &format!("/heimdall/v1{path}"),
            &all,
            body.as_bytes(),
        )
        .await
    }

    /// An App with the role `admin`, which holds everything, and one user who has it. Answers the user's token.
    pub(crate) async fn tenant(&self, name: &str) -> String {
        let key = &self.admin;
        self.post("/apps", key, json!({"name": name, "display_name": name}))
            .await
            .expect(201);
        let role = json!({"name": "admin", "display_name": "Admin", "permissions": ["*"]});
        self.post(&format!("/apps/{name}/roles"), key, role)
            .await
            .expect(201);
        let user = json!({"email": "root@example.org", "display_name": "Root", "password": "correct horse", "role": "admin"});
        self.post(&format!("/apps/{name}/users"), key, user)
            .await
            .expect(201);
        self.login(name, "root@example.org").await
    }

    pub(crate) async fn login(&self, app: &str, email: &str) -> String {
        let login = json!({"email": email, "password": "correct horse"});
        let tokens = self
            .post(&format!("/apps/{app}/sessions"), "", login)
            .await
            .expect(201);
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    /// A credential with these roles: its id and secret.
    pub(crate) async fn credential(&self, app: &str, roles: &[&str]) -> (String, String) {
        let made = self
            .post(
                &format!("/apps/{app}/credentials"),
                &self.admin,
                json!({"name": "svc", "roles": roles}),
            )
            .await;
        let made = made.expect(201);
        (
            made["client_id"].as_str().unwrap().to_owned(),
            made["client_secret"].as_str().unwrap().to_owned(),
        )
    }
}

fn parse(answer: &str) -> Reply {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let headers = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
        .collect();
    Reply {
        status,
        headers,
        text: body.to_owned(),
    }
}
