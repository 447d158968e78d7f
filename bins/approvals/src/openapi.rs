//! The OpenAPI 3.1 document of this service, made from one table of operations.

mod operations;
mod schemas;

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_api::openapi::{page, script, served};
use serde_json::{Map, Value, json};

use operations::{Auth, OPERATIONS, Operation};

const ABOUT: &str = "Errors are problem documents (RFC 9457) with a member `error`. Lists are read page by page with \
    `cursor`. A POST with an `Idempotency-Key` is done once in 24 hours. Unknown members are refused, bodies over 64 KB too. \
    What is another App's is answered like what does not exist.";

/// The document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(operation.method.to_ascii_lowercase(), described(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Heimdall: requests, approvals, links, just-in-time", "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT, "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(), "securitySchemes": security(),
            "responses": { "Problem": {
                "description": "Refused.",
                "content": { "application/problem+json": { "schema": reference("Problem") } },
            } },
        },
    })
}

fn security() -> Value {
    json!({
        "admin_key": { "type": "http", "scheme": "bearer", "description": "An operator's key, `hmk_…`; may do all." },
        "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of the App." },
        "api_key": { "type": "http", "scheme": "bearer", "description": "A key with privileges, `hak_…`." },
        "application": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "HS256 by the application's signing key; at most 5 minutes." },
        "application_header": { "type": "apiKey", "in": "header", "name": "x-nl3-authorization-token", "description": "The same token, as older clients send it." },
        "mail": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of the mail's link. Cookies are ignored." },
        "session": { "type": "apiKey", "in": "cookie", "name": "heimdall_session" },
        "account": { "type": "apiKey", "in": "cookie", "name": "heimdall_account" },
    })
}

impl Auth {
    fn ways(self) -> Value {
        match self {
            Self::Operator => json!([{ "admin_key": [] }]),
            Self::Own(_) | Self::Holds(_) => json!([{ "token": [] }, { "admin_key": [] }]),
            Self::Key(_) => json!([{ "api_key": [] }, { "token": [] }]),
            Self::Application => json!([{ "application": [] }, { "application_header": [] }]),
            Self::Mail => json!([{ "mail": [] }]),
            Self::Person => json!([{ "token": [] }, { "session": [] }, { "account": [] }]),
        }
    }

    fn needs(self) -> Option<String> {
        match self {
            Self::Own("a user's token") => Some("Needs a user's token.".to_owned()),
            Self::Own(permission) => Some(format!(
                "A user's own; those of others need `{permission}`, or an admin key."
            )),
            Self::Holds(permission) => Some(format!("Needs `{permission}`, or an admin key.")),
            Self::Key(privilege) => Some(format!(
                "Needs an API key with `{privilege}`, or a token that holds it."
            )),
            _ => None,
        }
    }
}

fn described(operation: &Operation) -> Value {
    let name = format!("{} {}", operation.method, operation.path).to_ascii_lowercase();
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    let mut out = json!({
        "operationId": words.join("_"), "summary": operation.summary, "tags": [operation.tag()],
        "security": operation.auth.ways(), "responses": responses(operation),
    });
    let parameters = parameters(operation);
    if let Value::Object(members) = &mut out {
        if let Some(text) = operation.auth.needs() {
            members.insert("description".to_owned(), text.into());
        }
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = operation.body {
            let content = json!({ "application/json": { "schema": reference(body) } });
            members.insert(
                "requestBody".to_owned(),
                json!({ "required": true, "content": content }),
            );
        }
    }
    out
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let within = operation.path.split('{').skip(1);
    let mut all: Vec<Value> = within
        .filter_map(|rest| rest.split('}').next())
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    for name in operation.query {
        let schema = match *name {
            "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
            "ttlHours" => json!({ "type": "integer", "minimum": 1, "maximum": 24, "default": 24 }),
            "active" => json!({ "type": "boolean" }),
            "state" if operation.path.contains("/requests") => reference("RequestState"),
            "state" => reference("ApprovalState"),
            _ => json!({ "type": "string" }),
        };
        all.push(json!({ "name": name, "in": "query", "required": false, "schema": schema }));
    }
    if operation.is_once() {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        all.push(json!({ "name": "Idempotency-Key", "in": "header", "required": false, "schema": schema }));
    }
    if operation.is_stream() {
        all.push(json!({ "name": "Last-Event-ID", "in": "header", "required": false, "schema": { "type": "string" } }));
    }
    all
}

fn responses(operation: &Operation) -> Value {
    let done = match operation.answer {
        Some(name) => {
            json!({ "description": "Done.", "content": { "application/json": { "schema": reference(name) } } })
        }
        None if operation.is_stream() => json!({
            "description": "Events with `id` and `data`.",
            "content": { "text/event-stream": { "schema": { "type": "string" } } },
        }),
        None => json!({ "description": "Done." }),
    };
    let mut all = Map::new();
    if operation.path == "/v1/settings/smtp/test" {
        all.insert("202".to_owned(), done.clone());
    }
    all.insert(operation.status.to_string(), done);
    let mut statuses = vec![400, 401, 429, 503];
    statuses.extend(operation.also);
    if !matches!(
        operation.auth,
        Auth::Application | Auth::Mail | Auth::Person | Auth::Own(_)
    ) {
        statuses.push(403);
    }
    if operation.path.contains('{') && operation.auth != Auth::Mail {
        statuses.push(404);
    }
    if operation.body.is_some() {
        statuses.extend([408, 409, 413, 415, 422]);
    }
    if operation.is_once() {
        // What an `Idempotency-Key` may come to.
        statuses.extend([409, 422]);
    }
    for status in statuses {
        all.insert(
            status.to_string(),
            json!({ "$ref": "#/components/responses/Problem" }),
        );
    }
    Value::Object(all)
}

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// The document as it is written to `docs/openapi/approvals.json`.
pub fn text() -> &'static str {
    &TEXT
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/openapi.json", web::get().to(own))
        .route("/docs", web::get().to(page))
        .route("/docs/try.js", web::get().to(script));
}

async fn own(request: HttpRequest) -> HttpResponse {
    served(&request, text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_points_at_a_schema_and_every_schema_is_used() {
        let document = document();
        let text = document.to_string();
        let known = document["components"]["schemas"].as_object().unwrap();
        let named: Vec<&str> = text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        for name in &named {
            assert!(known.contains_key(*name), "{name}");
        }
        for name in known.keys() {
            assert!(named.contains(&name.as_str()), "{name} is used nowhere");
        }
    }

    #[test]
    fn the_committed_document_is_the_present_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/openapi/approvals.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, text()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text(),
            "docs/openapi/approvals.json is old: run this test with UPDATE_DOCS=1"
        );
    }
}
