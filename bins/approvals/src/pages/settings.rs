use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::{ApprovalError, Portal, PortalChange};
use heimdall_server::{Form, Problem};
use heimdall_types::{AuditEntry, Journal, Notice, NoticeId, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer, home};
use crate::smtp;

const PERMISSION: &str = "settings:write";

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/settings", web::get().to(show))
        .route("/settings", web::post().to(change));
}

/// Whether the viewer may change settings, by a role for good or a live grant.
pub(super) async fn may_change(desk: &Desk) -> Result<bool, Problem> {
    let (own, grants) = home::held(desk).await?;
    let roles = home::roles(desk).await?;
    let held = |name: &String| {
        own.contains(name)
            || grants
                .iter()
                .any(|grant| grant.role == *name && grant.starts_at <= desk.deps.clock.now())
    };
    let mut mine = roles.iter().filter(|role| held(&role.name));
    Ok(mine.any(|role| {
        role.effective_permissions
            .iter()
            .any(|permission| permission == PERMISSION)
    }))
}

/// The desk of whoever may change settings, or what everybody else gets.
pub(super) async fn desk_of(request: &HttpRequest) -> Result<Result<Desk, HttpResponse>, Problem> {
    let desk = match Desk::of(request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(Err(signin)),
    };
    if may_change(&desk).await? {
        return Ok(Ok(desk));
    }
    Ok(Err(desk.refused(ApprovalError::Forbidden).await))
}

async fn show(request: HttpRequest) -> PageAnswer {
    match desk_of(&request).await? {
        Ok(desk) => page(&desk, StatusCode::OK, Value::Null, Vec::new()).await,
        Err(answer) => Ok(answer),
    }
}

async fn page(desk: &Desk, status: StatusCode, note: Value, errors: Vec<Value>) -> PageAnswer {
    let viewer = desk.viewer()?;
    let portal = desk
        .deps
        .portals
        .of(&viewer.app_id)
        .await
        .map_err(crate::refusal::problem)?;
    let mail = smtp::load(&desk.deps.store)
        .await?
        .map(|(stored, _)| json!({"url": stored.url, "from": stored.from}));
    let context = json!({
        "enabled": portal.enabled, "host": portal.host, "keys": keys(desk, &portal), "mail": mail,
        "address": viewer.user.email, "note": note, "errors": errors, "place": "settings",
    });
    Ok(desk.page(status, "settings.html", "manage", context).await)
}

fn keys(desk: &Desk, portal: &Portal) -> Vec<Value> {
    let newest = portal.keys.len().saturating_sub(1);
    let row = |(index, key): (usize, &heimdall_approval::PortalKey)| {
        json!({
            "id": key.id, "signs": index == newest, "since": desk.words.when(key.created_at),
            "since_at": key.created_at.to_rfc3339(),
        })
    };
    let mut rows: Vec<Value> = portal.keys.iter().enumerate().map(row).collect();
    rows.reverse();
    rows
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    csrf: String,
    act: Act,
    enabled: Option<String>,
    host: Option<String>,
    key: Option<Secret>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Gate,
    Generate,
    Key,
    Test,
}

async fn change(request: HttpRequest, form: Form<Posted>) -> PageAnswer {
    let desk = match desk_of(&request).await? {
        Ok(desk) => desk,
        Err(answer) => return Ok(answer),
    };
    let Posted {
        csrf,
        act,
        enabled,
        host,
        key,
    } = form.0;
    desk.check(&request, &csrf)?;
    let viewer = desk.viewer()?;
    let (app, actor, portals) = (&viewer.app_id, viewer.actor(), &desk.deps.portals);
    let done = match act {
        Act::Gate => {
            let change = PortalChange {
                enabled: Some(enabled.is_some()),
                host,
                signature_key: None,
            };
            portals
                .change(app, &actor, change)
                .await
                .map(|_| "The gate and the host were saved.")
        }
        Act::Key => {
            let text = key.map_or_else(|| Secret::new(""), |key| Secret::new(key.expose().trim()));
            let change = PortalChange {
                signature_key: Some(text),
                ..PortalChange::default()
            };
            portals
                .change(app, &actor, change)
                .await
                .map(|_| "The key was set. Links already sent stay valid.")
        }
        Act::Generate => portals
            .generate_key(app, &actor)
            .await
            .map(|_| "A key was generated. Links already sent stay valid."),
        Act::Test => test(&desk).await.map(|()| "The test mail is on its way."),
    };
    match done {
        Ok(text) => {
            let note = json!({"tone": "ok", "text": desk.words.t(text)});
            page(&desk, StatusCode::OK, note, Vec::new()).await
        }
        Err(ApprovalError::Invalid { field, reason }) => {
            let anchor = if field == "portal_host" {
                "host"
            } else {
                "key"
            };
            let label = desk.words.t(if anchor == "host" {
                "Portal host"
            } else {
                "Key"
            });
            let errors = vec![json!({"anchor": anchor, "text": format!("{label}: {reason}")})];
            page(&desk, StatusCode::UNPROCESSABLE_ENTITY, Value::Null, errors).await
        }
        Err(other) => Ok(desk.refused(other).await),
    }
}

async fn test(desk: &Desk) -> Result<(), ApprovalError> {
    let deps = &desk.deps;
    let Ok(viewer) = desk.viewer() else {
        return Err(ApprovalError::Forbidden);
    };
    let now = deps.clock.now();
    let id = NoticeId::generate(now, deps.rng.as_ref());
    let notice = Notice {
        id: id.clone(),
        app_id: Some(viewer.app_id.clone()),
        kind: "test".to_owned(),
        recipient: viewer.user.email.to_string(),
        data: json!({}),
        due: now,
    };
    let entry = AuditEntry {
        app_id: Some(viewer.app_id.clone()),
        at: now,
        actor: viewer.actor(),
        action: "smtp.tested".to_owned(),
        target: id.to_string(),
        data: json!({}),
    };
    deps.store
        .record(Journal {
            audit: vec![entry],
            notices: vec![notice],
            ..Journal::default()
        })
        .await?;
    Ok(())
}
