//! Just-in-time: `/v1/apps/{app}/jit/…` for administrators, `/v1/jit/requests…` for applications.

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use heimdall_approval::workflows::{Application, NewJit, TemplateChange};
use heimdall_server::{Authorization, Json, Problem, Query, sse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::listing::{listing, wanted};
use crate::refusal::problem;
use crate::routes::webapi::{History, last_seen};
use crate::routes::{Answer, With};
use crate::who::Who;

const PERMISSION: &str = "settings:write";

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/apps/{app}/jit/templates")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/apps/{app}/jit/templates/{key}")
                .route(web::get().to(show))
                .route(web::patch().to(change))
                .route(web::delete().to(delete)),
        )
        .service(
            web::resource("/v1/apps/{app}/jit/applications")
                .route(web::post().to(new_application))
                .route(web::get().to(applications)),
        )
        .service(
            web::resource("/v1/apps/{app}/jit/applications/{iss}")
                .route(web::delete().to(end_application)),
        )
        .service(
            web::resource("/v1/apps/{app}/jit/applications/{iss}/keys")
                .route(web::post().to(new_key))
                .route(web::get().to(keys)),
        )
        .service(
            web::resource("/v1/apps/{app}/jit/applications/{iss}/keys/{key}")
                .route(web::delete().to(end_key)),
        )
        .service(web::resource("/v1/jit/requests").route(web::post().to(ask)))
        .service(web::resource("/v1/jit/requests/{id}").route(web::get().to(poll)))
        .service(web::resource("/v1/jit/requests/{id}/events").route(web::get().to(events)))
        .service(web::resource("/v1/jit/requests/{id}/cancel").route(web::post().to(cancel)));
}

async fn create(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: Json<TemplateChange>,
) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let template = deps
        .workflows
        .save_template(&app, &who.actor(), None, body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(template))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn list(deps: With, who: Who, app: web::Path<String>, query: Query<PageQuery>) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    Ok(listing(
        deps.workflows
            .templates(&app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    Ok(HttpResponse::Ok().json(
        deps.workflows
            .template(&app, &path.1)
            .await
            .map_err(problem)?,
    ))
}

async fn change(
    deps: With,
    who: Who,
    path: web::Path<(String, String)>,
    body: Json<TemplateChange>,
) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    let template = deps
        .workflows
        .save_template(&app, &who.actor(), Some(&path.1), body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(template))
}

async fn delete(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    deps.workflows
        .drop_template(&app, &who.actor(), &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApplication {
    iss: String,
}

async fn new_application(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: Json<NewApplication>,
) -> Answer {
    given_key(&deps, &who, &app, &body.0.iss).await
}

async fn new_key(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    given_key(&deps, &who, &path.0, &path.1).await
}

async fn given_key(deps: &With, who: &Who, app: &str, iss: &str) -> Answer {
    let app = who.app(deps, app).await?;
    who.must(PERMISSION)?;
    let (id, key) = deps
        .workflows
        .application_key(&app, &who.actor(), iss)
        .await
        .map_err(problem)?;
    let shown = json!({ "iss": iss, "id": id, "key": key.expose() });
    Ok(HttpResponse::Created()
        .insert_header(("cache-control", "no-store"))
        .json(shown))
}

async fn applications(
    deps: With,
    who: Who,
    app: web::Path<String>,
    query: Query<PageQuery>,
) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    let found = deps
        .workflows
        .applications(&app, &page)
        .await
        .map_err(problem)?;
    Ok(listing(found.map(
        |application| json!({ "iss": application.iss, "keys": keys_view(&application) }),
    )))
}

fn keys_view(application: &Application) -> Vec<Value> {
    let keys = application.keys.iter();
    keys.map(|key| json!({ "id": key.id, "created_at": key.created_at.to_rfc3339() }))
        .collect()
}

async fn keys(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    let application = deps.workflows.application_of(&app, &path.1).await;
    Ok(HttpResponse::Ok().json(json!({ "data": keys_view(&application.map_err(problem)?) })))
}

async fn end_key(deps: With, who: Who, path: web::Path<(String, String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    deps.workflows
        .drop_application_key(&app, &who.actor(), &path.1, &path.2)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}

async fn end_application(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    deps.workflows
        .drop_application(&app, &who.actor(), &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Who an application token speaks for: the application and the user. It comes as a bearer or in the header that older
/// clients send.
pub(crate) async fn application(
    deps: &With,
    http: &HttpRequest,
) -> Result<(Application, String), Problem> {
    let older = http
        .headers()
        .get("x-nl3-authorization-token")
        .and_then(|value| value.to_str().ok());
    let token = match (Authorization::of(http)?, older) {
        (Some(Authorization::Bearer(token)), _) => token.expose().to_owned(),
        (None, Some(token)) => token.trim_start_matches("Bearer ").to_owned(),
        _ => return Err(Problem::unauthorized("an application token is needed")),
    };
    let known = deps.workflows.application(&token, &deps.base_url).await?;
    let (application, token) =
        known.ok_or_else(|| Problem::unauthorized("the token is not valid"))?;
    Ok((application, token.sub))
}

async fn ask(deps: With, http: HttpRequest, body: Result<Json<NewJit>, Problem>) -> Answer {
    // Who shows no token hears of nothing else.
    let (application, user) = application(&deps, &http).await?;
    let body = body?;
    let (request, state) = deps
        .workflows
        .ask(&application, &user, body.0)
        .await
        .map_err(problem)?;
    let location = format!("/v1/jit/requests/{}", request.id);
    Ok(HttpResponse::Accepted()
        .insert_header(("location", location))
        .json(request.view(&state)))
}

async fn poll(deps: With, http: HttpRequest, id: web::Path<String>) -> Answer {
    let (application, _) = application(&deps, &http).await?;
    let (request, state) = deps
        .workflows
        .jit(&application, &id)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(request.view(&state)))
}

async fn cancel(deps: With, http: HttpRequest, id: web::Path<String>) -> Answer {
    let (application, _) = application(&deps, &http).await?;
    let (request, _) = deps
        .workflows
        .jit(&application, &id)
        .await
        .map_err(problem)?;
    let actor = heimdall_types::Actor::Client {
        id: application.iss.clone(),
    };
    let state = deps
        .workflows
        .cancel(&application.app_id, &request.approval_id, &actor)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(request.view(&state)))
}

async fn events(deps: With, http: HttpRequest, id: web::Path<String>) -> Answer {
    let (application, _) = application(&deps, &http).await?;
    let (request, _) = deps
        .workflows
        .jit(&application, &id)
        .await
        .map_err(problem)?;
    let history = History {
        signals: deps.store.subscribe(),
        sent: last_seen(&http),
        app: application.app_id.clone(),
        id: request.approval_id.clone(),
        deps,
    };
    Ok(sse::answer(stream::unfold((history, request), next)))
}

// Two states at most: asked, and decided.
async fn next(
    (mut history, request): (History, heimdall_approval::workflows::JitRequest),
) -> Option<(
    sse::Event,
    (History, heimdall_approval::workflows::JitRequest),
)> {
    loop {
        let stored = history
            .deps
            .workflows
            .approval(&history.app, &history.id)
            .await
            .ok()?;
        let reached = if stored.state.is_open() { 1 } else { 2 };
        if history.sent < reached {
            history.sent = reached;
            let data = request.view(&stored.state).to_string();
            return Some((
                sse::Event {
                    id: Some(reached.to_string()),
                    kind: None,
                    data,
                },
                (history, request),
            ));
        }
        if reached == 2 {
            return None;
        }
        super::events::wait(&mut history.signals).await?;
    }
}
