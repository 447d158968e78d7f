use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use heimdall_approval::ports::{GrantFilter, RequestFilter};
use heimdall_approval::request::{Grant, GrantState, Request};
use heimdall_server::{Form, Problem};
use heimdall_tenant::Caller;
use heimdall_tenant::view::RoleView;
use heimdall_types::{GrantId, PageRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer, see_other};
use crate::refusal::{problem, tenant};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(show))
        .route("/grants/{id}/give-back", web::post().to(give_back));
}

/// Every role of the viewer's App.
pub(super) async fn roles(desk: &Desk) -> Result<Vec<RoleView>, Problem> {
    let app = desk.viewer()?.app_id.clone();
    let page = PageRequest {
        limit: PageRequest::MAX_LIMIT,
        cursor: None,
    };
    Ok(desk
        .deps
        .tenants
        .roles(&Caller::System, app.as_str(), &page)
        .await
        .map_err(tenant)?
        .data)
}

pub(super) fn allows(role: &RoleView) -> String {
    if role.description.is_empty() {
        role.display_name.clone()
    } else {
        role.description.clone()
    }
}

/// What the viewer holds: names of roles for good, and live grants.
pub(super) async fn held(desk: &Desk) -> Result<(Vec<String>, Vec<Grant>), Problem> {
    let viewer = desk.viewer()?;
    let (app, user) = (viewer.app_id.as_str(), viewer.user.id.as_str());
    let own = desk
        .deps
        .tenants
        .user_roles(&Caller::System, app, user)
        .await
        .map_err(tenant)?;
    let filter = GrantFilter {
        user: Some(viewer.user.id.clone()),
        active: Some(true),
    };
    let grants = desk
        .deps
        .approvals
        .grants(&viewer.app_id, &filter, &PageRequest::first())
        .await
        .map_err(problem)?;
    Ok((own, grants.data))
}

async fn show(request: HttpRequest) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let viewer = desk.viewer()?;
    let roles = roles(&desk).await?;
    let (own, grants) = held(&desk).await?;
    let filter = RequestFilter {
        requester: Some(viewer.user.id.clone()),
        state: None,
    };
    let page = PageRequest {
        limit: 10,
        cursor: None,
    };
    let requests = desk
        .deps
        .approvals
        .requests(&viewer.app_id, &filter, &page)
        .await
        .map_err(problem)?
        .data;
    let meaning = |name: &str| {
        roles
            .iter()
            .find(|role| role.name == name)
            .map(allows)
            .unwrap_or_default()
    };
    let mut rows: Vec<Value> = Vec::new();
    for grant in &grants {
        let asked = desk
            .deps
            .approvals
            .request(&viewer.app_id, &grant.request_id)
            .await
            .ok();
        rows.push(grant_row(
            &desk,
            grant,
            asked.as_ref(),
            meaning(&grant.role),
        ));
    }
    rows.extend(
        own.iter().map(
            |name| json!({"role": name, "active": true, "allows": meaning(name), "grant": null}),
        ),
    );
    let open = roles.iter().filter_map(|role| {
        let requestable = role.requestable.as_ref()?;
        let at_most = desk.words.duration(requestable.max_minutes);
        Some(json!({"name": role.name, "allows": allows(role), "at_most": at_most}))
    });
    let context = json!({
        "as_of": desk.words.now(), "held": rows, "requestable": open.collect::<Vec<_>>(),
        "requests": requests.iter().map(|request| desk.words.row(request)).collect::<Vec<_>>(),
    });
    Ok(desk
        .page(StatusCode::OK, "home.html", "access", context)
        .await)
}

fn grant_row(desk: &Desk, grant: &Grant, asked: Option<&Request>, allows: String) -> Value {
    let active = grant.state == GrantState::Active;
    let total = grant.ends_at.since(grant.starts_at).as_secs() / 60;
    let (left_minutes, left) = desk.words.left(grant.ends_at);
    let low = left_minutes < 15 || left_minutes * 5 < total;
    json!({
        "role": grant.role, "active": active, "allows": allows, "grant": grant.id, "total_minutes": total,
        "left_minutes": left_minutes, "left": left, "low": low,
        "duration": desk.words.duration(u32::try_from(total).unwrap_or(u32::MAX)),
        "state_text": desk.words.grant(grant.state), "ends_at": grant.ends_at.to_rfc3339(),
        "ends": desk.words.when(grant.ends_at), "request": grant.request_id,
        "number": asked.map(|request| request.session_id),
    })
}

#[derive(Debug, Deserialize)]
struct GiveBack {
    csrf: String,
}

async fn give_back(
    request: HttpRequest,
    id: web::Path<String>,
    given: Form<GiveBack>,
) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let Ok(id) = id.parse::<GrantId>() else {
        return Ok(desk.not_found().await);
    };
    let own = Some(&viewer.user.id);
    match desk
        .deps
        .approvals
        .revoke(&viewer.app_id, &id, own, &viewer.actor())
        .await
    {
        Ok(_) => Ok(see_other("/")),
        Err(error) => Ok(desk.refused(error).await),
    }
}
