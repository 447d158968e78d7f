//! `…/users`

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use heimdall_server::{BodyLimit, Json, Problem, Query, strict_json};
use heimdall_tenant::entity::UserState;
use heimdall_tenant::input::{ImportedUser, NewUser, RoleName, UserPatch};
use heimdall_tenant::view::ImportLine;
use heimdall_tenant::{TenantError, UserQuery};
use serde::Deserialize;

use crate::answer::{created, done, shown};
use crate::paging::{listing, page_request};
use crate::refusal::{if_match, problem};
use crate::routes::apps::Purge;
use crate::routes::{Answer, With};
use crate::who::Who;

type InApp = web::Path<(String, String)>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/apps/{app}/users:import").route(web::post().to(import)))
        .service(
            web::resource("/apps/{app}/users")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/apps/{app}/users/{user}")
                .route(web::get().to(show))
                .route(web::patch().to(update))
                .route(web::delete().to(remove)),
        )
        .service(web::resource("/apps/{app}/users/{user}/suspend").route(web::post().to(suspend)))
        .service(
            web::resource("/apps/{app}/users/{user}/reactivate").route(web::post().to(reactivate)),
        )
        .service(
            web::resource("/apps/{app}/users/{user}/sessions/revoke")
                .route(web::post().to(revoke_sessions)),
        )
        .service(
            web::resource("/apps/{app}/users/{user}/factors/reset")
                .route(web::post().to(reset_factors)),
        )
        .service(
            web::resource("/apps/{app}/users/{user}/roles")
                .route(web::get().to(roles))
                .route(web::post().to(assign)),
        )
        .service(
            web::resource("/apps/{app}/users/{user}/roles/{role}")
                .route(web::delete().to(unassign)),
        );
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<NewUser>) -> Answer {
    let user = deps
        .tenants
        .create_user(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    Ok(created(
        &user,
        format!("{}/v1/apps/{app}/users/{}", deps.prefix, user.id),
        user.version,
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    state: Option<UserState>,
    role: Option<String>,
    email: Option<String>,
}

async fn list(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    query: Query<UsersQuery>,
) -> Answer {
    let page = page_request(query.0.limit, query.0.cursor.as_deref())?;
    let UsersQuery {
        state, role, email, ..
    } = query.0;
    let wanted = UserQuery { state, role, email };
    Ok(listing(
        &request,
        deps.tenants
            .users(&who.0, &app, wanted, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: InApp) -> Answer {
    let user = deps
        .tenants
        .user(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&user, user.version))
}

async fn update(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    body: Json<UserPatch>,
) -> Answer {
    let expected = if_match(&request);
    let user = deps
        .tenants
        .update_user(&who.0, &path.0, &path.1, body.0, expected)
        .await
        .map_err(problem)?;
    Ok(shown(&user, user.version))
}

async fn remove(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    query: Query<Purge>,
) -> Answer {
    let expected = if_match(&request);
    deps.tenants
        .delete_user(&who.0, &path.0, &path.1, query.0.purge, expected)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn suspend(deps: With, who: Who, path: InApp) -> Answer {
    let user = deps
        .tenants
        .suspend_user(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&user, user.version))
}

async fn reactivate(deps: With, who: Who, path: InApp) -> Answer {
    let user = deps
        .tenants
        .reactivate_user(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&user, user.version))
}

async fn revoke_sessions(deps: With, who: Who, path: InApp) -> Answer {
    deps.tenants
        .revoke_user_sessions(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn reset_factors(deps: With, who: Who, path: InApp) -> Answer {
    deps.tenants
        .reset_factors(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn roles(deps: With, who: Who, path: InApp) -> Answer {
    let roles = deps
        .tenants
        .user_roles(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "data": roles })))
}

async fn assign(deps: With, who: Who, path: InApp, body: Json<RoleName>) -> Answer {
    let user = deps
        .tenants
        .assign_role(&who.0, &path.0, &path.1, &body.0.role)
        .await
        .map_err(problem)?;
    Ok(shown(&user, user.version))
}

async fn unassign(deps: With, who: Who, path: web::Path<(String, String, String)>) -> Answer {
    deps.tenants
        .unassign_role(&who.0, &path.0, &path.1, &path.2)
        .await
        .map_err(problem)?;
    Ok(done())
}

// One user a line, each in a transaction of its own: a line that is refused says so and the rest goes on.
async fn import(deps: With, who: Who, app: web::Path<String>, mut payload: Payload) -> Answer {
    deps.tenants.operates(&who.0, &app).await.map_err(problem)?;
    let mut pending = Vec::new();
    let mut lines = Vec::new();
    loop {
        let chunk = payload.next().await.transpose();
        let chunk =
            chunk.map_err(|_| Problem::bad_request("bad_body", "the body did not arrive whole"))?;
        let ended = chunk.is_none();
        pending.extend_from_slice(&chunk.unwrap_or_default());
        while let Some(end) = pending
            .iter()
            .position(|b| *b == b'\n')
            .or((ended && !pending.is_empty()).then_some(pending.len()))
        {
            let line: Vec<u8> = pending.drain(..(end + 1).min(pending.len())).collect();
            let line = line.trim_ascii();
            if !line.is_empty() {
                lines.push(import_line(&deps, &who, &app, lines.len() + 1, line).await?);
            }
        }
        if pending.len() > BodyLimit::DEFAULT.0 {
            return Err(Problem::too_large(BodyLimit::DEFAULT.0));
        }
        if ended {
            return Ok(HttpResponse::Ok().json(serde_json::json!({ "data": lines })));
        }
    }
}

async fn import_line(
    deps: &With,
    who: &Who,
    app: &str,
    number: usize,
    line: &[u8],
) -> Result<ImportLine, Problem> {
    let read = strict_json::decode::<ImportedUser>(line).map_err(|reason| {
        match reason.details().first() {
            Some(first) => format!("{} {}", first.field, first.reason),
            None => reason.message().to_owned(),
        }
    });
    let refused = |error: String| {
        Ok(ImportLine {
            line: number,
            id: None,
            error: Some(error),
        })
    };
    match read {
        Err(reason) => refused(reason),
        Ok(user) => match deps.tenants.import_user(&who.0, app, user).await {
            Ok(id) => Ok(ImportLine {
                line: number,
                id: Some(id),
                error: None,
            }),
            // These are about the caller or the App, not about the line.
            Err(
                error @ (TenantError::Unauthenticated
                | TenantError::Forbidden { .. }
                | TenantError::NotFound
                | TenantError::Fault(_)),
            ) => Err(problem(error)),
            Err(error) => refused(error.to_string()),
        },
    }
}
