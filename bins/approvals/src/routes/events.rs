//! `/v1/apps/{app}/requests/{id}/events`: each state of a request once, in order, resumable.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use heimdall_approval::request::{Passage, Request, RequestState};
use heimdall_server::{Authorization, Problem, sse};
use heimdall_store::Committed;
use heimdall_types::RequestId;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::refusal::{problem, tenant};
use crate::routes::requests::visible;
use crate::routes::{Answer, With};
use crate::who::{Viewer, Who};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route(
        "/v1/apps/{app}/requests/{id}/events",
        web::get().to(by_token_or_cookie),
    );
}

async fn by_token_or_cookie(
    deps: With,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Answer {
    let found = match Authorization::of(&request)? {
        Some(Authorization::Bearer(token)) => {
            let who = Who(deps.tenants.caller(token.expose()).await.map_err(tenant)?);
            visible(&deps, &who, &path.0, &path.1).await?
        }
        _ => {
            let viewer = Viewer::of(&request)
                .await?
                .ok_or_else(|| Problem::unauthorized("sign in first"))?;
            if viewer.app != path.0 && viewer.app_id.as_str() != path.0 {
                return Err(Problem::not_found());
            }
            portal_request(&deps, &viewer, &path.1).await?
        }
    };
    Ok(portal_events(&deps, &request, found))
}

async fn portal_request(deps: &With, viewer: &Viewer, id: &str) -> Result<Request, Problem> {
    let id: RequestId = id.parse().map_err(|_| Problem::not_found())?;
    let found = deps
        .approvals
        .request(&viewer.app_id, &id)
        .await
        .map_err(problem)?;
    if found.requester.id == viewer.user.id {
        Ok(found)
    } else {
        Err(Problem::not_found())
    }
}

struct Watch {
    deps: With,
    signals: Receiver<Committed>,
    request: Request,
    sent: usize,
}

/// The events of a request from where the reader says it was.
pub(crate) fn portal_events(deps: &With, request: &HttpRequest, found: Request) -> HttpResponse {
    let last = request
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let sent = last
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or_default();
    // Listening begins before the state is read again, so nothing falls between.
    let watch = Watch {
        deps: deps.clone(),
        signals: deps.store.subscribe(),
        request: found,
        sent,
    };
    sse::answer(stream::unfold(watch, next))
}

async fn next(mut watch: Watch) -> Option<(sse::Event, Watch)> {
    loop {
        if let Some(passage) = watch.request.passages.get(watch.sent) {
            watch.sent += 1;
            let id = Some(watch.sent.to_string());
            return Some((
                sse::Event {
                    id,
                    kind: None,
                    data: data(passage).to_string(),
                },
                watch,
            ));
        }
        if watch.request.state != RequestState::Created {
            return None;
        }
        wait(&mut watch.signals).await?;
        let fresh = watch
            .deps
            .approvals
            .request(&watch.request.app_id, &watch.request.id)
            .await;
        watch.request = fresh.ok()?;
    }
}

fn data(passage: &Passage) -> Value {
    let roles: Vec<Value> = passage
        .roles
        .iter()
        .map(|role| json!({"name": role.name, "state": role.state.as_str()}))
        .collect();
    json!({"state": passage.state.as_str(), "roles": roles, "at": passage.at.to_rfc3339()})
}

// Until something about approvals was committed, or a while has passed: a signal may be lost with a connection.
pub(super) async fn wait(signals: &mut Receiver<Committed>) -> Option<()> {
    let looked = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match signals.recv().await {
                Ok(told)
                    if told.everything
                        || told.events.iter().any(|kind| kind.starts_with("approval.")) =>
                {
                    return Some(());
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    });
    looked.await.unwrap_or(Some(()))
}
