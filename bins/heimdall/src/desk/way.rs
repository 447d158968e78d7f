//! How a question reaches a service: over the network, or in this process on its database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Service as _, ServiceResponse};
use actix_web::{App, test};
use heimdall_api::{HashingPool, Options, Outside};
use heimdall_pipeline::{Http, HttpRequest};
use heimdall_server::SystemClock;
use heimdall_store::{Store, StoreSettings};
use heimdall_tenant::Hasher;
use heimdall_token::{RootKey, SystemRng};
use heimdall_transport::HttpClient;
use heimdall_transport::tls::client_config;
use heimdall_types::Secret;
use serde_json::Value;

use super::{Call, Service, Target};
use crate::data::{DATABASE_FILE, ROOT_KEY_FILE};
use crate::up::folder;

/// Rows of one page.
const PAGE: usize = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

pub(super) enum Way {
    Network { base: String, key: Secret },
    Here { api: heimdall_api::Deps },
}

struct Reply {
    status: u16,
    body: Vec<u8>,
}

impl Way {
    pub(super) async fn open(target: &Target, call: &Call) -> Result<Self, String> {
        match (&target.api, call.service) {
            (Some(api), Service::Api) => Ok(Self::Network {
                base: format!("{}/v1", api.trim_end_matches('/')),
                key: admin_key(target)?,
            }),
            (_, Service::Approvals) => {
                let base = target.approvals.as_ref().ok_or(
                    "approvals and grants are asked of a running service: name it by --approvals URL",
                )?;
                Ok(Self::Network {
                    base: format!("{}/v1", base.trim_end_matches('/')),
                    key: admin_key(target)?,
                })
            }
            (None, Service::Api) => Ok(Self::Here {
                api: here(target, call.changes()).await?,
            }),
        }
    }

    /// The answer of a call; of a list all rows, page by page.
    pub(super) async fn answer(&self, call: &Call) -> Result<Value, String> {
        let super::table::Shape::Rows(_) = call.shape else {
            return self.ask(call, &[]).await;
        };
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = PAGE.min(call.limit - rows.len()).to_string();
            let mut more = vec![("limit", limit)];
            more.extend(cursor.take().map(|it| ("cursor", it)));
            let mut page = self
                .ask(call, if call.limit == 0 { &[] } else { &more })
                .await?;
            let Some(Value::Array(data)) = page.get_mut("data").map(Value::take) else {
                return Ok(page);
            };
            rows.extend(data);
            cursor = page
                .pointer("/pagination/next_cursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() || rows.len() >= call.limit {
                return Ok(Value::Array(rows));
            }
        }
    }

    async fn ask(&self, call: &Call, more: &[(&str, String)]) -> Result<Value, String> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &call.query {
            query.append_pair(name, value);
        }
        for (name, value) in more {
            query.append_pair(name, value);
        }
        let query = query.finish();
        let path = match query.as_str() {
            "" => call.path.clone(),
            query => format!("{}?{query}", call.path),
        };
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let reply = match self {
            Self::Network { base, key } => network(base, key, call, &path, body).await?,
            Self::Here { api } => in_process(api.clone(), call, &path, body).await?,
        };
        understood(reply)
    }
}

fn understood(reply: Reply) -> Result<Value, String> {
    let value: Value = if reply.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&reply.body)
            .map_err(|_| format!("the answer ({}) is no JSON: is this the address of a Heimdall, with its path `/heimdall`?", reply.status))?
    };
    if (200..300).contains(&reply.status) {
        return Ok(value);
    }
    let message = value
        .pointer("/error/message")
        .or_else(|| value.get("detail"))
        .and_then(Value::as_str)
        .unwrap_or("refused");
    let mut text = match reply.status {
        401 => "the admin key is not valid: set HEIMDALL_ADMIN_KEY or --admin-key-file".to_owned(),
        404 => "there is no such thing (404)".to_owned(),
        status => format!("{message} ({status})"),
    };
    let details = value.pointer("/error/details").and_then(Value::as_array);
    for detail in details.into_iter().flatten() {
        let part = |name| detail.get(name).and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!("\n  `{}` {}", part("field"), part("reason")));
    }
    Err(text)
}

fn admin_key(target: &Target) -> Result<Secret, String> {
    let text = match &target.admin_key_file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?,
        None => std::env::var("HEIMDALL_ADMIN_KEY").map_err(|_| {
            "a running service wants an admin key: set HEIMDALL_ADMIN_KEY, or give --admin-key-file FILE".to_owned()
        })?,
    };
    Ok(Secret::from(text.trim()))
}

async fn network(
    base: &str,
    key: &Secret,
    call: &Call,
    path: &str,
    body: String,
) -> Result<Reply, String> {
    let authorities = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let tls = client_config(authorities.as_deref()).map_err(|error| error.to_string())?;
    let mut headers = vec![(
        "Authorization".to_owned(),
        format!("Bearer {}", key.expose()),
    )];
    if call.body.is_some() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let request = HttpRequest {
        method: call.method.to_owned(),
        url: format!("{base}{path}"),
        headers,
        body: body.into_bytes(),
        timeout: PATIENCE,
        max_body: LARGEST_ANSWER,
    };
    let answer = HttpClient::new(tls)
        .send(request)
        .await
        .map_err(|error| format!("no answer from {base}: {error}"))?;
    Ok(Reply {
        status: answer.status,
        body: answer.body,
    })
}

// The same routes as the server's, for a caller that holds the database itself.
async fn in_process(
    deps: heimdall_api::Deps,
    call: &Call,
    path: &str,
    body: String,
) -> Result<Reply, String> {
    let prefix = deps.prefix.clone();
    let service = test::init_service(App::new().configure(heimdall_api::operator_app(deps))).await;
    let method = actix_web::http::Method::from_bytes(call.method.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut request = test::TestRequest::with_uri(&format!("{prefix}/v1{path}")).method(method);
    if call.body.is_some() {
        request = request
            .insert_header(("content-type", "application/json"))
            .set_payload(body);
    }
    let answer: ServiceResponse<_> = service
        .call(request.to_request())
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = actix_web::body::to_bytes_limited(answer.into_body(), LARGEST_ANSWER)
        .await
        .map_err(|_| "the answer is too large".to_owned())?
        .map_err(|_| "the answer broke off".to_owned())?;
    Ok(Reply {
        status,
        body: body.to_vec(),
    })
}

impl Target {
    /// The data folder.
    pub(super) fn home(&self) -> PathBuf {
        let given = self.data.clone();
        given.unwrap_or_else(|| PathBuf::from("./heimdall-data"))
    }
}

/// The database that is meant.
pub(super) fn opened(
    target: &Target,
    home: &Path,
    changes: bool,
    root_key: &RootKey,
) -> Result<Store, String> {
    let url = match &target.database {
        Some(url) => Secret::from(url.as_str()),
        None => {
            let file = home.join(DATABASE_FILE);
            if !changes && !file.exists() {
                return Err(format!(
                    "there is no database in `{}`: name a folder by --data DIR, a database by --database URL or a running service by --api URL",
                    home.display()
                ));
            }
            Secret::new(format!("sqlite://{}", file.display()))
        }
    };
    let mut storage = StoreSettings::new(url);
    storage.read_only = !changes;
    storage.manage_schema = changes;
    storage.root_key = Some(Arc::new(root_key.clone()));
    Store::open(&storage).map_err(|error| match error {
        heimdall_store::OpenError::Locked { path } => format!(
            "a running Heimdall owns `{path}`, so changes go through it: give --api URL and HEIMDALL_ADMIN_KEY"
        ),
        other => other.to_string(),
    })
}

async fn here(target: &Target, changes: bool) -> Result<heimdall_api::Deps, String> {
    let home = target.home();
    let root_key = root_key(target, &home, changes)?;
    let store = opened(target, &home, changes, &root_key)?;
    let rng = Arc::new(SystemRng);
    let root_key = store
        .unlock(&root_key, rng.as_ref())
        .await
        .map_err(|error| error.to_string())?;
    let outside = Outside {
        store: Arc::new(store),
        root_key,
        clock: Arc::new(SystemClock),
        passwords: Arc::new(HashingPool::new(Hasher::default(), rng.clone())),
        rng,
    };
    let options = Options {
        look_only: !changes,
        ..Options::at("http://127.0.0.1:8080")
    };
    heimdall_api::assemble(outside, options)
        .await
        .map_err(|error| error.to_string())
}

/// The root key that the operator holds.
pub(super) fn root_key(target: &Target, home: &Path, may_make: bool) -> Result<RootKey, String> {
    let wrong =
        |what: String| move |error: heimdall_token::RootKeyError| format!("{what}: {error}");
    if let Some(file) = &target.root_key_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
        return RootKey::from_base64(text.trim()).map_err(wrong(file.display().to_string()));
    }
    if let Ok(text) = std::env::var("HEIMDALL_ROOT_KEY") {
        return RootKey::from_base64(text.trim()).map_err(wrong("HEIMDALL_ROOT_KEY".to_owned()));
    }
    let file = home.join(ROOT_KEY_FILE);
    if may_make && target.database.is_none() {
        let home = folder::make(home).map_err(|error| format!("{}: {error}", home.display()))?;
        return folder::root_key(&home, &SystemRng).map_err(|error| error.to_string());
    }
    let text = std::fs::read_to_string(&file).map_err(|error| {
        format!(
            "the root key is needed: give --root-key-file FILE or HEIMDALL_ROOT_KEY (`{}`: {error})",
            file.display()
        )
    })?;
    RootKey::from_base64(text.trim()).map_err(wrong(file.display().to_string()))
}
