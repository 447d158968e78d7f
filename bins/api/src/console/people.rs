use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use heimdall_tenant::UserQuery;
use heimdall_tenant::entity::UserState;
use heimdall_tenant::input::NewUser;
use heimdall_types::{PageRequest, Secret};
use serde_json::json;

use super::desk::{Desk, rows, steps};
use super::fields::Fields;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/users")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/apps/{app}/users/{user}")
                .route(web::get().to(show))
                .route(web::post().to(change)),
        );
}

async fn list(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(HttpResponse::from_error)?;
        let state = match query.get("state") {
            Some("active") => Some(UserState::Active),
            Some("suspended") => Some(UserState::Suspended),
            Some("deactivated") => Some(UserState::Deactivated),
            _ => None,
        };
        let wanted = UserQuery {
            state,
            role: query.get("role").map(str::to_owned),
            email: query.get("email").map(str::to_owned),
        };
        let filter =
            json!({"state": query.get("state"), "role": wanted.role, "email": wanted.email});
        let page = desk
            .deps
            .tenants
            .users(&desk.caller, &app, wanted, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "users.html",
            "users",
            Some(&app),
            json!({"list": rows(page), "filter": filter}),
        ))
    })
}

async fn create(request: HttpRequest, app: web::Path<String>, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let password = fields.raw("password");
        let new = NewUser {
            email: fields.get("email").unwrap_or_default().to_owned(),
            display_name: fields.get("display_name").map(str::to_owned),
            password: (!password.is_empty()).then(|| Secret::new(password)),
            role: None,
            roles: fields.words("roles"),
        };
        let user = desk
            .deps
            .tenants
            .create_user(&desk.caller, &app, new)
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.to(&format!("/apps/{app}/users/{}", user.id)))
    })
}

async fn show(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let (app, id) = path.into_inner();
        let user = desk
            .deps
            .tenants
            .user(&desk.caller, &app, &id)
            .await
            .map_err(|e| desk.refused(e))?;
        let first = PageRequest {
            limit: PageRequest::MAX_LIMIT,
            cursor: None,
        };
        let roles = desk
            .deps
            .tenants
            .roles(&desk.caller, &app, &first)
            .await
            .map(|page| page.data)
            .unwrap_or_default();
        let free: Vec<&str> = roles
            .iter()
            .map(|role| role.name.as_str())
            .filter(|name| !user.roles.iter().any(|held| held == name))
            .collect();
        Ok(desk.page(
            "user.html",
            "users",
            Some(&app),
            json!({"user": user, "free": free}),
        ))
    })
}

async fn change(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: Bytes,
) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let (app, id) = path.into_inner();
        let (tenants, caller) = (&desk.deps.tenants, &desk.caller);
        let role = fields.get("role").unwrap_or_default();
        let outcome = match fields.get("action") {
            Some("assign") => tenants
                .assign_role(caller, &app, &id, role)
                .await
                .map(|_| ()),
            Some("unassign") => tenants.unassign_role(caller, &app, &id, role).await,
            Some("suspend") => tenants.suspend_user(caller, &app, &id).await.map(|_| ()),
            Some("reactivate") => tenants.reactivate_user(caller, &app, &id).await.map(|_| ()),
            Some("sessions") => tenants.revoke_user_sessions(caller, &app, &id).await,
            Some("deactivate") => tenants.delete_user(caller, &app, &id, false, None).await,
            _ => Ok(()),
        };
        outcome.map_err(|e| desk.refused(e))?;
        Ok(desk.to(&format!("/apps/{app}/users/{id}")))
    })
}
