use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use heimdall_server::Problem;
use heimdall_store::AuditFilter;
use heimdall_tenant::input::NewAdminKey;
use serde_json::{Value, json};

use super::desk::{Desk, rows, steps};
use super::fields::Fields;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/apps/{app}/keys", web::get().to(keys))
        .route("/apps/{app}/audit", web::get().to(audit))
        .service(
            web::resource("/admin-keys")
                .route(web::get().to(admin_keys))
                .route(web::post().to(change_admin_keys)),
        );
}

async fn keys(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        desk.deps
            .tenants
            .may(&desk.caller, &app, "keys:read")
            .await
            .map_err(|e| desk.refused(e))?;
        let keys: Vec<Value> = desk
            .deps
            .keys
            .keys()
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid, "algorithm": key.algorithm.as_str(), "state": key.state,
                    "created_at": key.created_at.to_rfc3339(), "activates_at": key.activates_at.to_rfc3339(),
                    "removes_at": key.removes_at.map(|at| at.to_rfc3339()),
                })
            })
            .collect();
        Ok(desk.page("keys.html", "keys", Some(&app), json!({"keys": keys})))
    })
}

async fn audit(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let id = desk
            .deps
            .tenants
            .may(&desk.caller, &app, "audit:read")
            .await
            .map_err(|e| desk.refused(e))?;
        let filter = AuditFilter {
            action: query.get("action").map(str::to_owned),
            target: query.get("target").map(str::to_owned),
            actor: query.get("actor").map(str::to_owned),
            ..AuditFilter::default()
        };
        let shown =
            json!({"action": filter.action, "target": filter.target, "actor": filter.actor});
        let page = desk
            .deps
            .store
            .audit(Some(&id), &filter, &desk.wanted(&query))
            .await;
        let page = page.map_err(|fault| Problem::from(fault).error_response())?;
        Ok(desk.page(
            "audit.html",
            "audit",
            Some(&app),
            json!({"list": rows(page), "filter": shown}),
        ))
    })
}

async fn admin_keys(request: HttpRequest) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let page = desk
            .deps
            .tenants
            .admin_keys(&desk.caller, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "admin-keys.html",
            "admin-keys",
            None,
            json!({"list": rows(page)}),
        ))
    })
}

async fn change_admin_keys(request: HttpRequest, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let tenants = &desk.deps.tenants;
        match fields.get("action") {
            Some("create") => {
                let new = NewAdminKey {
                    name: fields.get("name").unwrap_or_default().to_owned(),
                };
                let made = tenants
                    .create_admin_key(&desk.caller, new)
                    .await
                    .map_err(|e| desk.refused(e))?;
                let advice = "Copy it now. It is not shown again. It may do everything.";
                Ok(desk.once(
                    None,
                    "New operator key",
                    &[("Key", &made.key)],
                    advice,
                    "/console/admin-keys",
                ))
            }
            Some("revoke") => {
                let id = fields.get("id").unwrap_or_default();
                tenants
                    .revoke_admin_key(&desk.caller, id)
                    .await
                    .map_err(|e| desk.refused(e))?;
                Ok(desk.to("/admin-keys"))
            }
            _ => Ok(desk.to("/admin-keys")),
        }
    })
}
