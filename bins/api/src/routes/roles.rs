//! `…/roles`, `…/permissions`

use actix_web::{HttpRequest, web};
use heimdall_server::{Json, Query};
use heimdall_tenant::input::{NewPermission, NewRole, RolePatch, RolePermissions};

use crate::answer::{created, done, shown};
use crate::paging::{PageQuery, listing};
use crate::refusal::{if_match, problem};
use crate::routes::{Answer, With};
use crate::who::Who;

type InApp = web::Path<(String, String)>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/roles")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/apps/{app}/roles/{role}")
                .route(web::get().to(show))
                .route(web::patch().to(update))
                .route(web::delete().to(remove)),
        )
        .service(
            web::resource("/apps/{app}/roles/{role}/permissions").route(web::put().to(replace)),
        )
        .service(
            web::resource("/apps/{app}/permissions")
                .route(web::get().to(catalogue))
                .route(web::post().to(describe)),
        )
        .service(
            web::resource("/apps/{app}/permissions/{permission}").route(web::delete().to(forget)),
        );
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<NewRole>) -> Answer {
    let role = deps
        .tenants
        .create_role(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    Ok(created(
        &role,
        format!("{}/v1/apps/{app}/roles/{}", deps.prefix, role.name),
        role.version,
    ))
}

async fn list(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Answer {
    let page = query.0.request()?;
    Ok(listing(
        &request,
        deps.tenants
            .roles(&who.0, &app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: InApp) -> Answer {
    let role = deps
        .tenants
        .role(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&role, role.version))
}

async fn update(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    body: Json<RolePatch>,
) -> Answer {
    let expected = if_match(&request);
    let role = deps
        .tenants
        .update_role(&who.0, &path.0, &path.1, body.0, expected)
        .await
        .map_err(problem)?;
    Ok(shown(&role, role.version))
}

async fn replace(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    body: Json<RolePermissions>,
) -> Answer {
    let (wanted, expected) = (body.0.permissions, if_match(&request));
    let changed = deps
        .tenants
        .set_role_permissions(&who.0, &path.0, &path.1, wanted, expected)
        .await;
    let role = changed.map_err(problem)?;
    Ok(shown(&role, role.version))
}

async fn remove(deps: With, who: Who, path: InApp, request: HttpRequest) -> Answer {
    deps.tenants
        .delete_role(&who.0, &path.0, &path.1, if_match(&request))
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn catalogue(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Answer {
    let page = query.0.request()?;
    Ok(listing(
        &request,
        deps.tenants
            .permissions(&who.0, &app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn describe(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: Json<NewPermission>,
) -> Answer {
    let entry = deps
        .tenants
        .add_permission(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    Ok(actix_web::HttpResponse::Created().json(entry))
}

async fn forget(deps: With, who: Who, path: InApp) -> Answer {
    deps.tenants
        .remove_permission(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(done())
}
