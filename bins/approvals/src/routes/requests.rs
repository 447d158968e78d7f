//! `/v1/apps/{app}/requests`

use actix_web::{HttpResponse, web};
use heimdall_approval::Ask;
use heimdall_approval::ports::RequestFilter;
use heimdall_approval::request::{Request, RequestState, Requester, Start};
use heimdall_server::{Json, Problem, Query};
use heimdall_tenant::ports::Directory;
use heimdall_types::{AppId, RequestId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::deps::Deps;
use crate::listing::{listing, wanted};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/apps/{app}/requests")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .route("/v1/apps/{app}/requests/{id}", web::get().to(show))
        .route(
            "/v1/apps/{app}/requests/{id}/cancel",
            web::post().to(cancel),
        )
        .route(
            "/v1/apps/{app}/requests/{id}/extend",
            web::post().to(extend),
        )
        .route(
            "/v1/apps/{app}/requests/{id}/terminate",
            web::post().to(terminate),
        );
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRequest {
    #[serde(default)]
    roles: Vec<String>,
    justification: Option<String>,
    duration_minutes: Option<i64>,
    #[serde(default)]
    start: Start,
    resource: Option<String>,
}

/// A request as callers see it.
pub(super) fn view(request: &Request) -> Value {
    let roles: Vec<Value> = request
        .roles
        .iter()
        .map(|role| json!({"name": role.name, "state": role.state.as_str()}))
        .collect();
    json!({
        "id": request.id, "session_id": request.session_id, "state": request.state.as_str(), "roles": roles,
        "approval_id": request.approval_id, "expires_at": request.expires_at.to_rfc3339(),
        "created_at": request.created_at.to_rfc3339(), "justification": request.justification,
        "duration_minutes": request.minutes, "start": request.start, "resource": request.resource,
        "requester": {"id": request.requester.id, "email": request.requester.email, "name": request.requester.name},
        "denial_reason": request.denial.as_ref().map(|(reason, _)| reason),
    })
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<NewRequest>) -> Answer {
    let app_id = who.app(&deps, &app).await?;
    let requester = requester(&deps, &who, &app_id).await?;
    let new = body.0;
    let minutes = new
        .duration_minutes
        .ok_or_else(|| Problem::unprocessable("duration_minutes", "is missing"))?;
    let minutes = u32::try_from(minutes)
        .map_err(|_| Problem::unprocessable("duration_minutes", "must be at least 1"))?;
    let ask = Ask {
        roles: new.roles,
        justification: new.justification.unwrap_or_default(),
        minutes,
        start: new.start,
        resource: new.resource,
    };
    let request = deps
        .approvals
        .ask(&app_id, requester, ask)
        .await
        .map_err(problem)?;
    let location = format!("/v1/apps/{app}/requests/{}", request.id);
    Ok(HttpResponse::Created()
        .insert_header(("location", location))
        .json(view(&request)))
}

async fn requester(deps: &Deps, who: &Who, app: &AppId) -> Result<Requester, Problem> {
    let id = who
        .user()
        .ok_or_else(|| Problem::forbidden("users_only", "only a user of the App asks for roles"))?;
    let user = deps
        .store
        .user(app, id)
        .await?
        .ok_or_else(Problem::not_found)?;
    Ok(Requester {
        id: user.id,
        email: user.email,
        name: user.display_name,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn list(deps: With, who: Who, app: web::Path<String>, query: Query<ListQuery>) -> Answer {
    let app_id = who.app(&deps, &app).await?;
    let requester = match who.user() {
        Some(id) if !who.may("approvals:read") => Some(id.clone()),
        _ => {
            who.must("approvals:read")?;
            None
        }
    };
    let state = match &query.0.state {
        Some(text) => Some(RequestState::parse(text).ok_or_else(|| {
            Problem::bad_field(
                "state",
                "is CREATED, APPROVED, DENIED, CANCELED, TERMINATED or EXPIRED",
            )
        })?),
        None => None,
    };
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    let found = deps
        .approvals
        .requests(&app_id, &RequestFilter { requester, state }, &page)
        .await
        .map_err(problem)?;
    Ok(listing(found.map(|request| view(&request))))
}

/// A request that the caller may see; a malformed or foreign id is as unknown as any other.
pub(super) async fn visible(
    deps: &Deps,
    who: &Who,
    app: &str,
    id: &str,
) -> Result<Request, Problem> {
    let app_id = who.app(deps, app).await?;
    let id: RequestId = id.parse().map_err(|_| Problem::not_found())?;
    let request = deps
        .approvals
        .request(&app_id, &id)
        .await
        .map_err(problem)?;
    let own = who.user() == Some(&request.requester.id);
    if own || who.may("approvals:read") {
        Ok(request)
    } else {
        Err(Problem::not_found())
    }
}

async fn show(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let request = visible(&deps, &who, &path.0, &path.1).await?;
    Ok(HttpResponse::Ok().json(view(&request)))
}

async fn cancel(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let request = own(&deps, &who, &path.0, &path.1).await?;
    let ended = deps
        .approvals
        .cancel(&request.app_id, &request.id, &who.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&ended)))
}

async fn terminate(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let request = own(&deps, &who, &path.0, &path.1).await?;
    let ended = deps
        .approvals
        .terminate(&request.app_id, &request.id, &who.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&ended)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Longer {
    duration_minutes: i64,
    justification: Option<String>,
}

async fn extend(
    deps: With,
    who: Who,
    path: web::Path<(String, String)>,
    body: Json<Longer>,
) -> Answer {
    let request = visible(&deps, &who, &path.0, &path.1).await?;
    if who.user() != Some(&request.requester.id) {
        return Err(Problem::forbidden(
            "not_yours",
            "only its requester asks for longer",
        ));
    }
    let minutes = u32::try_from(body.0.duration_minutes)
        .map_err(|_| Problem::unprocessable("duration_minutes", "must be at least 1"))?;
    let longer = deps
        .approvals
        .extend(&request.app_id, &request.id, minutes, body.0.justification)
        .await;
    let mut shown = view(&longer.map_err(problem)?);
    if let Some(members) = shown.as_object_mut() {
        members.insert("extends".to_owned(), json!(request.id));
    }
    Ok(HttpResponse::Created().json(shown))
}

// Its requester, or whoever may end what others have.
async fn own(deps: &Deps, who: &Who, app: &str, id: &str) -> Result<Request, Problem> {
    let request = visible(deps, who, app, id).await?;
    if who.user() != Some(&request.requester.id) {
        who.must("approvals:write")?;
    }
    Ok(request)
}
