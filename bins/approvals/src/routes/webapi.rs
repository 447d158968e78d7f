//! `/webapi/v2`: definitions, approvals, steps, votes, links, delegations.

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use heimdall_approval::workflows::{DelegationInput, NewApproval, Privilege, view};
use heimdall_approval::{Action, Ballot, Channel, Delegation, Identity, Level, Person};
use heimdall_server::{Json, Problem, Query, same_origin, sse};
use heimdall_tenant::ports::Directory;
use heimdall_types::{AppId, ApprovalId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::listing::{listing, wanted};
use crate::refusal::problem;
use crate::routes::key::Key;
use crate::routes::{Answer, With};
use crate::who::{Viewer, Who};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let two = |path: &str| web::resource(format!("/webapi/v2{path}"));
    config
        .service(
            two("/definitions")
                .route(web::post().to(define))
                .route(web::get().to(definitions)),
        )
        .service(two("/definitions/{id}").route(web::get().to(definition)))
        .service(
            two("/approvals")
                .route(web::post().to(create))
                .route(web::get().to(approvals)),
        )
        .service(two("/approvals/{id}").route(web::get().to(show)))
        .service(two("/approvals/{id}/cancel").route(web::post().to(cancel)))
        .service(two("/approvals/{id}/reset").route(web::post().to(reset)))
        .service(two("/approvals/{id}/events").route(web::get().to(events)))
        .service(two("/approvals/{id}/links").route(web::get().to(links)))
        .service(two("/approvals/{id}/links/{link}/revoke").route(web::post().to(revoke_link)))
        .service(two("/approvals/{id}/steps").route(web::get().to(steps)))
        .service(two("/approvals/{id}/steps/{step}").route(web::get().to(step)))
        .service(two("/approvals/{id}/steps/{step}/links").route(web::get().to(step_links)))
        .service(two("/approvals/{id}/steps/{step}/answer").route(web::post().to(answer)))
        .service(
            two("/approvals/{id}/steps/{step}/votes")
                .route(web::post().to(vote))
                .route(web::get().to(votes)),
        )
        .service(
            two("/delegations")
                .route(web::post().to(delegate))
                .route(web::get().to(delegations)),
        )
        .service(two("/delegations/{id}").route(web::delete().to(end_delegation)));
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDefinition {
    name: String,
    root: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn define(deps: With, key: Key, body: Json<NewDefinition>) -> Answer {
    let app = key.must(Privilege::Write)?;
    let definition = deps
        .workflows
        .define(app, &key.actor(), &body.0.name, body.0.root)
        .await
        .map_err(problem)?;
    let location = format!("/webapi/v2/definitions/{}", definition.id);
    Ok(HttpResponse::Created()
        .insert_header(("location", location))
        .json(definition))
}

async fn definitions(deps: With, key: Key, query: Query<PageQuery>) -> Answer {
    let app = key.must(Privilege::Read)?;
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    Ok(listing(
        deps.workflows
            .definitions(app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn definition(deps: With, key: Key, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Read)?;
    Ok(HttpResponse::Ok().json(deps.workflows.definition(app, &id).await.map_err(problem)?))
}

async fn create(deps: With, key: Key, body: Json<NewApproval>) -> Answer {
    let app = key.must(Privilege::Write)?;
    let (id, state) = deps
        .workflows
        .create(app, &key.actor(), body.0)
        .await
        .map_err(problem)?;
    let location = format!("/webapi/v2/approvals/{id}");
    Ok(HttpResponse::Created()
        .insert_header(("location", location))
        .json(view(&id, &state)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalsQuery {
    state: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn approvals(deps: With, key: Key, query: Query<ApprovalsQuery>) -> Answer {
    let app = key.must(Privilege::Read)?;
    let state = query.0.state.as_deref();
    if state.is_some_and(|state| {
        !["Open", "Approved", "Rejected", "Expired", "Cancelled"].contains(&state)
    }) {
        return Err(Problem::bad_field(
            "state",
            "is Open, Approved, Rejected, Expired or Cancelled",
        ));
    }
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    let ids = deps
        .workflows
        .approvals(app, state, &page)
        .await
        .map_err(problem)?;
    let mut data = Vec::with_capacity(ids.data.len());
    for id in &ids.data {
        let stored = deps.workflows.approval(app, id).await.map_err(problem)?;
        data.push(view(id, &stored.state));
    }
    Ok(listing(heimdall_types::Page {
        data,
        next_cursor: ids.next_cursor,
    }))
}

fn id_of(text: &str) -> Result<ApprovalId, Problem> {
    // A malformed id is as unknown as any other.
    text.parse().map_err(|_| Problem::not_found())
}

async fn show(deps: With, key: Key, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Read)?;
    Ok(HttpResponse::Ok().json(
        deps.workflows
            .view(app, &id_of(&id)?)
            .await
            .map_err(problem)?,
    ))
}

async fn cancel(deps: With, key: Key, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Write)?;
    let id = own(&deps, app, &id).await?;
    let state = deps
        .workflows
        .cancel(app, &id, &key.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&id, &state)))
}

async fn reset(deps: With, key: Key, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Write)?;
    let id = own(&deps, app, &id).await?;
    let state = deps
        .workflows
        .reset(app, &id, &key.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&id, &state)))
}

// A portal request moves together with its approval, so it is ended on its own routes only.
async fn own(deps: &With, app: &AppId, id: &str) -> Result<ApprovalId, Problem> {
    let id = id_of(id)?;
    match heimdall_approval::ports::Requests::request_of(deps.store.as_ref(), app, &id).await? {
        None => Ok(id),
        Some(_) => Err(Problem::conflict(
            "portal_request",
            "a portal request is decided and ended on its own routes",
        )),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinksQuery {
    #[serde(rename = "ttlHours")]
    ttl_hours: Option<String>,
}

impl LinksQuery {
    fn hours(&self) -> Result<i64, Problem> {
        let wrong = || Problem::bad_field("ttlHours", "must be 1 to 24");
        let hours = self
            .ttl_hours
            .as_deref()
            .unwrap_or("24")
            .parse::<i64>()
            .map_err(|_| wrong())?;
        if (1..=24).contains(&hours) {
            Ok(hours)
        } else {
            Err(wrong())
        }
    }
}

async fn links(deps: With, key: Key, id: web::Path<String>, query: Query<LinksQuery>) -> Answer {
    given_links(&deps, &key, &id, None, &query.0).await
}

async fn step_links(
    deps: With,
    key: Key,
    path: web::Path<(String, String)>,
    query: Query<LinksQuery>,
) -> Answer {
    given_links(&deps, &key, &path.0, Some(&path.1), &query.0).await
}

async fn given_links(
    deps: &With,
    key: &Key,
    id: &str,
    step: Option<&str>,
    query: &LinksQuery,
) -> Answer {
    let app = key.must(Privilege::Links)?;
    let hours = query.hours()?;
    let links = deps
        .workflows
        .links(app, &id_of(id)?, step, hours)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(json!({ "links": links })))
}

async fn revoke_link(deps: With, key: Key, path: web::Path<(String, String)>) -> Answer {
    let app = key.must(Privilege::Links)?;
    deps.workflows
        .revoke_link(app, &key.actor(), &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}

async fn shown(deps: &With, app: &AppId, id: &str) -> Result<Value, Problem> {
    let id = id_of(id)?;
    let stored = deps.workflows.approval(app, &id).await.map_err(problem)?;
    Ok(view(&id, &stored.state))
}

async fn steps(deps: With, key: Key, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Read)?;
    let shown = shown(&deps, app, &id).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": shown.get("steps") })))
}

async fn one_step(deps: &With, key: &Key, path: &(String, String)) -> Result<Value, Problem> {
    let shown = shown(deps, key.must(Privilege::Read)?, &path.0).await?;
    let mut steps = shown
        .get("steps")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let found = steps.find(|step| step.get("id").and_then(Value::as_str) == Some(&path.1));
    found.cloned().ok_or_else(Problem::not_found)
}

async fn step(deps: With, key: Key, path: web::Path<(String, String)>) -> Answer {
    Ok(HttpResponse::Ok().json(one_step(&deps, &key, &path).await?))
}

async fn votes(deps: With, key: Key, path: web::Path<(String, String)>) -> Answer {
    let step = one_step(&deps, &key, &path).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": step.get("votes") })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HookAnswer {
    pass: bool,
}

async fn answer(
    deps: With,
    key: Key,
    path: web::Path<(String, String)>,
    body: Json<HookAnswer>,
) -> Answer {
    let app = key.must(Privilege::Write)?;
    let id = id_of(&path.0)?;
    let state = deps
        .workflows
        .answer(app, &id, &path.1, body.0.pass, &key.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&id, &state)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewVote {
    action: Action,
    comment: Option<String>,
    #[serde(default)]
    options: Vec<u32>,
    signature: Option<Value>,
}

async fn vote(
    deps: With,
    http: HttpRequest,
    path: web::Path<(String, String)>,
    body: Result<Json<NewVote>, Problem>,
) -> Answer {
    // Who is nobody hears of nothing else.
    let (app, person, channel) = voter(&deps, &http, &path.0).await?;
    let body = body?;
    let id = own(&deps, &app, &path.0).await?;
    let given = body.0;
    let signature = match &given.signature {
        None => None,
        Some(signature) => {
            let stored = deps.workflows.approval(&app, &id).await.map_err(problem)?;
            let bound = heimdall_approval::signature::bound(signature, &stored.state.dig);
            Some(bound.map_err(|refusal| problem(refusal.into()))?)
        }
    };
    let ballot = Ballot {
        options: given.options,
        signature,
        ..Ballot::new(given.action)
    };
    let ballot = ballot.comment(given.comment).by(channel, Level::LoggedIn);
    let state = deps
        .workflows
        .vote(&app, &id, &path.1, &person, ballot)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(view(&id, &state)))
}

// A user of the App, by token or by portal session; a session counts only from a page of our own.
async fn voter(
    deps: &With,
    http: &HttpRequest,
    approval: &str,
) -> Result<(AppId, Person, Channel), Problem> {
    if let Some(heimdall_server::Authorization::Bearer(token)) =
        heimdall_server::Authorization::of(http)?
    {
        let who = Who(deps
            .tenants
            .caller(token.expose())
            .await
            .map_err(crate::refusal::tenant)?);
        let heimdall_tenant::Caller::Principal(principal) = &who.0 else {
            return Err(users_only());
        };
        let id = who.user().ok_or_else(users_only)?;
        let user = deps
            .store
            .user(&principal.app_id, id)
            .await?
            .ok_or_else(Problem::not_found)?;
        let ways = [Identity::user(&user.id), Identity::email(&user.email)];
        return Ok((
            principal.app_id.clone(),
            Person::new(&user.display_name, ways),
            Channel::Api,
        ));
    }
    if let Some(found) = approver(deps, http, approval).await? {
        return Ok(found);
    }
    let viewer = Viewer::of(http)
        .await?
        .ok_or_else(|| Problem::unauthorized("sign in first"))?;
    if !same_origin(http) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this came from another site",
        ));
    }
    Ok((viewer.app_id.clone(), viewer.person(), Channel::Inbox))
}

// The owner of an external account, in the App of the approval; as with links, only a linked one.
async fn approver(
    deps: &With,
    http: &HttpRequest,
    approval: &str,
) -> Result<Option<(AppId, Person, Channel)>, Problem> {
    if heimdall_server::Authorization::of(http)?.is_some() {
        return Ok(None);
    }
    let Some(who) = crate::account::logged_in(deps, http).await? else {
        return Ok(None);
    };
    if !same_origin(http) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this came from another site",
        ));
    }
    let visitor = who.visitor();
    if !visitor.linked {
        let why = "link the account with a log-in provider first";
        return Err(Problem::forbidden("not_linked", why));
    }
    let id = id_of(approval)?;
    let app = deps.workflows.app_of(&id).await?;
    let app = app.ok_or_else(Problem::not_found)?;
    Ok(Some((app, visitor.person, Channel::Api)))
}

fn users_only() -> Problem {
    Problem::forbidden("users_only", "only a person votes")
}

fn delegation_view(delegation: &Delegation) -> Value {
    json!({
        "id": delegation.id, "from": delegation.from, "to": delegation.to, "scope": delegation.scope,
        "starts_at": delegation.starts_at.to_rfc3339(), "ends_at": delegation.ends_at.to_rfc3339(),
    })
}

async fn delegate(deps: With, key: Key, body: Json<DelegationInput>) -> Answer {
    let app = key.must(Privilege::Delegations)?;
    let delegation = deps
        .workflows
        .delegate(app, &key.actor(), body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(delegation_view(&delegation)))
}

async fn delegations(deps: With, key: Key, query: Query<PageQuery>) -> Answer {
    let app = key.must(Privilege::Read)?;
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    let found = deps
        .workflows
        .delegations(app, &page)
        .await
        .map_err(problem)?;
    Ok(listing(
        found.map(|delegation| delegation_view(&delegation)),
    ))
}

async fn end_delegation(deps: With, key: Key, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Delegations)?;
    deps.workflows
        .drop_delegation(app, &key.actor(), &id)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a stream of an approval's history needs.
pub(super) struct History {
    pub(super) deps: With,
    pub(super) signals: tokio::sync::broadcast::Receiver<heimdall_store::Committed>,
    pub(super) app: AppId,
    pub(super) id: ApprovalId,
    pub(super) sent: usize,
}

async fn events(deps: With, key: Key, http: HttpRequest, id: web::Path<String>) -> Answer {
    let app = key.must(Privilege::Read)?.clone();
    let id = id_of(&id)?;
    deps.workflows.approval(&app, &id).await.map_err(problem)?;
    let sent = last_seen(&http);
    let history = History {
        signals: deps.store.subscribe(),
        deps,
        app,
        id,
        sent,
    };
    Ok(sse::answer(stream::unfold(history, next)))
}

pub(super) fn last_seen(http: &HttpRequest) -> usize {
    let last = http
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    last.and_then(|text| text.parse().ok()).unwrap_or_default()
}

async fn next(mut history: History) -> Option<(sse::Event, History)> {
    loop {
        let stored = history
            .deps
            .workflows
            .approval(&history.app, &history.id)
            .await
            .ok()?;
        let entries = history
            .deps
            .workflows
            .history(&history.app, &history.id, &stored.state)
            .await
            .ok()?;
        if let Some(entry) = entries.get(history.sent) {
            history.sent += 1;
            let event = sse::Event {
                id: Some(history.sent.to_string()),
                kind: None,
                data: entry.to_string(),
            };
            return Some((event, history));
        }
        if !stored.state.is_open() {
            return None;
        }
        super::events::wait(&mut history.signals).await?;
    }
}
