//! `/v1/admin-keys`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Json, Query};
use heimdall_tenant::input::NewAdminKey;

use crate::answer::done;
use crate::paging::{PageQuery, listing};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/admin-keys")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(web::resource("/admin-keys/{id}").route(web::delete().to(revoke)));
}

async fn create(deps: With, who: Who, body: Json<NewAdminKey>) -> Answer {
    let made = deps
        .tenants
        .create_admin_key(&who.0, body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(made))
}

async fn list(deps: With, who: Who, request: HttpRequest, query: Query<PageQuery>) -> Answer {
    let page = query.0.request()?;
    Ok(listing(
        &request,
        deps.tenants
            .admin_keys(&who.0, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn revoke(deps: With, who: Who, id: web::Path<String>) -> Answer {
    deps.tenants
        .revoke_admin_key(&who.0, &id)
        .await
        .map_err(problem)?;
    Ok(done())
}
