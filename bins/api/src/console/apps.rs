use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use heimdall_tenant::UserQuery;
use heimdall_tenant::entity::AppState;
use heimdall_tenant::input::NewApp;
use heimdall_types::PageRequest;
use serde_json::json;

use super::desk::{Desk, rows, steps};
use super::fields::Fields;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("", web::get().to(home))
        .service(
            web::resource("/apps")
                .route(web::get().to(list))
                .route(web::post().to(create)),
        )
        .service(
            web::resource("/apps/{app}")
                .route(web::get().to(show))
                .route(web::post().to(change)),
        );
}

async fn home(request: HttpRequest) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let path = desk
            .home()
            .map_or("/apps".to_owned(), |app| format!("/apps/{app}"));
        Ok(desk.to(&path))
    })
}

async fn list(request: HttpRequest) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let query = Fields::read(request.query_string().as_bytes())
            .map_err(actix_web::HttpResponse::from_error)?;
        let archived = query.get("state") == Some("archived");
        let state = archived.then_some(AppState::Archived);
        let page = desk
            .deps
            .tenants
            .apps(&desk.caller, state, &desk.wanted(&query))
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.page(
            "apps.html",
            "apps",
            None,
            json!({"list": rows(page), "archived": archived}),
        ))
    })
}

async fn create(request: HttpRequest, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let new = NewApp {
            name: fields.get("name").unwrap_or_default().to_owned(),
            display_name: fields.get("display_name").map(str::to_owned),
        };
        let app = desk
            .deps
            .tenants
            .create_app(&desk.caller, new)
            .await
            .map_err(|e| desk.refused(e))?;
        Ok(desk.to(&format!("/apps/{}", app.name)))
    })
}

async fn show(request: HttpRequest, app: web::Path<String>) -> HttpResponse {
    steps!({
        let desk = Desk::of(&request).await?;
        let tenants = &desk.deps.tenants;
        let first = PageRequest {
            limit: PageRequest::MAX_LIMIT,
            cursor: None,
        };
        // Whoever may not count something sees no figure for it.
        let users = tenants
            .users(&desk.caller, &app, UserQuery::default(), &first)
            .await;
        let roles = tenants.roles(&desk.caller, &app, &first).await;
        let credentials = tenants.credentials(&desk.caller, &app, &first).await;
        let (state, display) = match tenants.app(&desk.caller, &app).await {
            Ok(view) => (json!(view.state), view.display_name),
            Err(error) if desk.home() != Some(app.as_str()) => return Err(desk.refused(error)),
            Err(_) => (json!("active"), app.clone()),
        };
        let count = |(len, more): (usize, bool)| {
            if more {
                format!("{len} and more")
            } else {
                len.to_string()
            }
        };
        let counts = json!({
            "users": users.ok().map(|page| count((page.data.len(), page.next_cursor.is_some()))),
            "roles": roles.ok().map(|page| count((page.data.len(), page.next_cursor.is_some()))),
            "credentials": credentials.ok().map(|page| count((page.data.len(), page.next_cursor.is_some()))),
        });
        let context = json!({"display_name": display, "state": state, "counts": counts, "issuer": desk.deps.issuer()});
        Ok(desk.page("app.html", "overview", Some(&app), context))
    })
}

async fn change(request: HttpRequest, app: web::Path<String>, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, fields) = Desk::posted(&request, &body).await?;
        let tenants = &desk.deps.tenants;
        let outcome = match fields.get("action") {
            Some("suspend") => tenants.suspend_app(&desk.caller, &app).await.map(|_| ()),
            Some("restore") => tenants.restore_app(&desk.caller, &app).await.map(|_| ()),
            Some("archive") => tenants.delete_app(&desk.caller, &app, false, None).await,
            _ => Ok(()),
        };
        outcome.map_err(|e| desk.refused(e))?;
        Ok(desk.to(&format!("/apps/{app}")))
    })
}
