//! The OpenAPI 3.1 document, made from one table of operations, and a page that lets one try them.

mod operations;
pub mod schemas;

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::PAGE_POLICY;
use serde_json::{Map, Value, json};
use utoipa::openapi::{
    ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths,
};

use operations::{Auth, OPERATIONS, Operation};

/// The document for the default prefix.
pub fn document() -> Value {
    let frame: OpenApi = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Heimdall: tenants, roles, tokens, invites, webhooks")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(
                    LicenseBuilder::new()
                        .name("MIT OR Apache-2.0")
                        .identifier(Some("MIT OR Apache-2.0"))
                        .build(),
                ))
                .contact(None::<ContactBuilder>.map(ContactBuilder::build))
                .build(),
        )
        .paths(Paths::new())
        .build();
    let mut document = serde_json::to_value(frame).unwrap_or_default();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(operation.method.to_ascii_lowercase(), described(operation));
        }
    }
    if let Value::Object(members) = &mut document {
        members.insert("servers".to_owned(), json!([{ "url": "/heimdall" }]));
        members.insert("paths".to_owned(), Value::Object(paths));
        members.insert(
            "components".to_owned(),
            json!({ "schemas": schemas::all(), "responses": refusals(), "securitySchemes": security() }),
        );
    }
    document
}

const ABOUT: &str = "Errors are problem documents (RFC 9457) with a member `error`; token endpoints answer as RFC 6749 \
    wants it. Lists are read page by page with `cursor`. A POST with an `Idempotency-Key` is done once in 24 hours. \
    Changes take `If-Match`. Unknown members are refused, bodies over 64 KB too.";

fn refusals() -> Value {
    json!({
        "Problem": {
            "description": "Refused.",
            "content": { "application/problem+json": { "schema": reference("Problem") } },
        },
        "OAuthError": {
            "description": "Refused (RFC 6749 §5.2).",
            "content": { "application/json": { "schema": reference("OAuthError") } },
        },
    })
}

fn security() -> Value {
    json!({
        "admin_key": { "type": "http", "scheme": "bearer", "description": "An operator's key, `hmk_…`; may do all." },
        "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of the App." },
        "client": { "type": "http", "scheme": "basic", "description": "`client_id` and `client_secret`." },
    })
}

fn described(operation: &Operation) -> Value {
    let mut out = Map::new();
    let name = format!(
        "{} {}",
        operation.method.to_ascii_lowercase(),
        operation.path
    );
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    out.insert("operationId".to_owned(), words.join("_").into());
    out.insert("summary".to_owned(), operation.summary.into());
    out.insert("tags".to_owned(), json!([operation.tag()]));
    out.insert(
        "security".to_owned(),
        match operation.auth {
            Auth::Open => json!([]),
            Auth::Admin => json!([{ "admin_key": [] }]),
            Auth::Holds(_) => json!([{ "token": [] }, { "admin_key": [] }]),
            Auth::Client => json!([{ "client": [] }, { "admin_key": [] }, {}]),
            Auth::Asked => json!([{ "token": [] }, {}]),
        },
    );
    if let Auth::Holds(permission) = operation.auth {
        out.insert(
            "description".to_owned(),
            format!("Needs `{permission}`, or an admin key.").into(),
        );
    }
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = operation.body {
        out.insert("requestBody".to_owned(), request_body(operation, body));
    }
    out.insert("responses".to_owned(), responses(operation));
    Value::Object(out)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn request_body(operation: &Operation, body: &str) -> Value {
    let schema = json!({ "schema": reference(body) });
    let content = match body {
        "Import" => json!({ "application/x-ndjson": { "schema": { "type": "string" } } }),
        _ if operation.is_oauth() => {
            json!({ "application/x-www-form-urlencoded": schema, "application/json": schema })
        }
        _ => json!({ "application/json": schema }),
    };
    json!({ "required": body != "Rotation", "content": content })
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let mut all: Vec<Value> = operation
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    for name in operation.query {
        let schema = query_kind(operation, name);
        all.push(json!({ "name": name, "in": "query", "required": false, "schema": schema }));
    }
    if operation.takes_version() {
        all.push(
            json!({ "name": "If-Match", "in": "header", "required": false,
            "schema": { "type": "string", "pattern": "^(\\*|\"[0-9]{1,18}\")$" } }),
        );
    }
    if operation.method == "POST" && operation.is_once() {
        all.push(
            json!({ "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string", "maxLength": 255, "pattern": "^[ -~]*[!-~][ -~]*$" } }),
        );
    }
    all
}

fn query_kind(operation: &Operation, name: &str) -> Value {
    let one_of = |states: &[&str]| json!({ "type": "string", "enum": states });
    match name {
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
        "since" | "until" if operation.path.ends_with("/audit") => {
            json!({ "type": "string", "format": "date-time" })
        }
        "after" | "since" => {
            json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX, "default": 0 })
        }
        "wait" => json!({ "type": "integer", "minimum": 0, "maximum": 30, "default": 0 }),
        "purge" => json!({ "type": "boolean", "default": false }),
        "state" if operation.path.ends_with("/users") => {
            one_of(&["active", "suspended", "deactivated"])
        }
        "state" => one_of(&["active", "suspended", "archived"]),
        "cursor" => schemas::kind("cursor").unwrap_or_default(),
        _ => schemas::kind("text").unwrap_or_default(),
    }
}

fn responses(operation: &Operation) -> Value {
    let mut all = Map::new();
    let done = match operation.answer {
        Some(name) => {
            let kind = if name == "Jwks" {
                "application/jwk-set+json"
            } else {
                "application/json"
            };
            json!({ "description": "Done.", "content": { kind: { "schema": reference(name) } } })
        }
        None => json!({ "description": "Done." }),
    };
    all.insert(operation.status.to_string(), done);
    let kind = if operation.is_oauth() {
        "OAuthError"
    } else {
        "Problem"
    };
    let refused = json!({ "$ref": format!("#/components/responses/{kind}") });
    let mut statuses = vec!["400", "413", "429", "503"];
    if !matches!(operation.auth, Auth::Open) {
        statuses.extend(["401", "403"]);
    }
    if operation.path.contains('{') {
        statuses.extend(["404", "409", "410"]);
    }
    if operation.body.is_some() {
        statuses.extend(["408", "409", "415", "422"]);
    }
    if operation.method == "POST" {
        // Also what an `Idempotency-Key` may come to.
        statuses.extend(["409", "422"]);
    }
    if operation.query.contains(&"role") {
        statuses.push("422");
    }
    if operation.path.ends_with("/sessions") {
        // 403 is `mfa_required`: the password was right, a second factor is needed.
        statuses.extend(["401", "403"]);
    }
    if operation.path.ends_with("/sessions/mfa") {
        statuses.push("401");
    }
    if operation.takes_version() {
        statuses.push("412");
    }
    for status in statuses {
        all.insert(status.to_owned(), refused.clone());
    }
    Value::Object(all)
}

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// The document as it is written to `docs/openapi/api.json`.
pub fn text() -> &'static str {
    &TEXT
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/openapi.json").route(web::get().to(own)))
        .service(web::resource("/v1/openapi.json").route(web::get().to(own)))
        .service(web::resource("/v1/docs").route(web::get().to(page)))
        .service(web::resource("/docs").route(web::get().to(page)))
        .service(web::resource("/docs/try.js").route(web::get().to(script)))
        .service(web::resource("/v1/docs/try.js").route(web::get().to(script)));
}

async fn own(request: HttpRequest) -> HttpResponse {
    served(&request, &TEXT)
}

/// A document as it is served, with a tag to ask again by.
pub fn served(request: &HttpRequest, text: &'static str) -> HttpResponse {
    let tag = format!(
        "\"{}\"",
        heimdall_token::crypto::sha256_hex(text.as_bytes())
    );
    let known = request.headers().get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return HttpResponse::NotModified()
            .insert_header((header::ETAG, tag))
            .finish();
    }
    HttpResponse::Ok()
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .content_type("application/json")
        .body(text)
}

/// The page on which one tries the operations of the `openapi.json` beside it.
pub async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .content_type("text/html; charset=utf-8")
        .body(include_str!("../assets/docs.html"))
}

/// Its script.
pub async fn script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(include_str!("../assets/try.js"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_points_at_a_schema() {
        let document = document();
        let text = document.to_string();
        let known = document["components"]["schemas"].as_object().unwrap();
        for name in text
            .split("#/components/schemas/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(known.contains_key(name), "{name}");
        }
        assert_eq!(document["openapi"], "3.1.0");
    }

    #[test]
    fn the_committed_document_is_the_present_one() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi/api.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(
            committed == text(),
            "docs/openapi/api.json is old: run this test with UPDATE_DOCS=1"
        );
    }
}
