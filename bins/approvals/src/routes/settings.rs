//! `/v1/apps/{app}/settings/portal` and `/v1/settings/smtp`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use heimdall_approval::{Portal, PortalChange};
use heimdall_notifier::{Language, Mail, Messages};
use heimdall_server::{Json, Problem};
use heimdall_tenant::Caller;
use heimdall_types::{Actor, AuditEntry, Email, Journal, Notice, NoticeId, Secret, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::deps::Deps;
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::smtp;
use crate::who::Who;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/apps/{app}/settings/portal", web::get().to(portal))
        .route(
            "/v1/apps/{app}/settings/portal",
            web::put().to(change_portal),
        )
        .route(
            "/v1/apps/{app}/settings/portal/signature-key/generate",
            web::post().to(generate),
        )
        .route("/v1/settings/smtp", web::get().to(mail_server))
        .route("/v1/settings/smtp", web::put().to(change_mail_server))
        .route("/v1/settings/smtp/test", web::post().to(test_mail));
}

const PERMISSION: &str = "settings:write";

/// What may be told about a portal: its keys by name only.
fn view(portal: &Portal) -> Value {
    let newest = portal.keys.len().saturating_sub(1);
    let keys = portal.keys.iter().enumerate().map(|(index, key)| {
        json!({
            "id": key.id, "created_at": key.created_at.to_rfc3339(), "signs": index == newest,
            "fingerprint": key.fingerprint.get(..16).unwrap_or_default(),
        })
    });
    json!({
        "enabled": portal.enabled, "portal_host": portal.host, "signature_keys": keys.collect::<Vec<_>>(),
    })
}

async fn portal(deps: With, who: Who, app: web::Path<String>) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    Ok(HttpResponse::Ok().json(view(&deps.portals.of(&app).await.map_err(problem)?)))
}

/// A key in full, or as a secret reference: `username` names the secret, `password` is its value.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum GivenKey {
    Text(Secret),
    Named(NamedKey),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedKey {
    #[expect(dead_code, reason = "names the secret for people; the value counts")]
    username: String,
    password: Secret,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortalSettings {
    enabled: Option<bool>,
    portal_host: Option<String>,
    signature_key: Option<GivenKey>,
}

async fn change_portal(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: Json<PortalSettings>,
) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let change = PortalChange {
        enabled: body.0.enabled,
        host: body.0.portal_host,
        signature_key: body.0.signature_key.map(|key| match key {
            GivenKey::Text(text) => text,
            GivenKey::Named(named) => named.password,
        }),
    };
    let portal = deps
        .portals
        .change(&app, &who.actor(), change)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&portal)))
}

async fn generate(deps: With, who: Who, app: web::Path<String>) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let portal = deps
        .portals
        .generate_key(&app, &who.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&portal)))
}

fn operator(who: &Who) -> Result<(), Problem> {
    match &who.0 {
        Caller::AdminKey(_) | Caller::System => Ok(()),
        _ => Err(Problem::forbidden(
            "forbidden",
            "the mail server is the installation's: use an admin key",
        )),
    }
}

async fn mail_server(deps: With, who: Who) -> Answer {
    operator(&who)?;
    let found = smtp::load(&deps.store).await?;
    let body = match found {
        Some((stored, _)) => mail_view(&stored),
        None => json!({ "url": null, "from": null, "username": null, "password_set": false }),
    };
    Ok(HttpResponse::Ok().json(body))
}

fn mail_view(stored: &smtp::Stored) -> Value {
    json!({
        "url": stored.url, "from": stored.from, "username": stored.username,
        "password_set": stored.username.is_some(),
    })
}

async fn change_mail_server(deps: With, who: Who, body: Json<smtp::New>) -> Answer {
    operator(&who)?;
    let data = json!({ "url": body.0.url, "from": body.0.from });
    let journal = audited(who.actor(), deps.clock.now(), "smtp.changed", data);
    let saved = smtp::save(
        &deps.store,
        &deps.root_key,
        deps.rng.as_ref(),
        &body.0,
        journal,
    )
    .await?;
    let stored = saved.map_err(|error| {
        let field = if matches!(error, heimdall_transport::MailSettingsError::From) {
            "from"
        } else {
            "url"
        };
        Problem::unprocessable(field, error.to_string())
    })?;
    Ok(HttpResponse::Ok().json(mail_view(&stored)))
}

fn audited(actor: Actor, at: Timestamp, action: &str, data: Value) -> Journal {
    let entry = AuditEntry {
        app_id: None,
        at,
        actor,
        action: action.to_owned(),
        target: "smtp".to_owned(),
        data,
    };
    Journal {
        audit: vec![entry],
        ..Journal::default()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestMail {
    to: String,
}

/// Sends at once where the mail server was set here; where only the configuration names one, the outbox takes the
/// mail, and a failure stands among its dead letters.
async fn test_mail(deps: With, who: Who, body: Json<TestMail>) -> Answer {
    operator(&who)?;
    let to: Email = body
        .0
        .to
        .parse()
        .map_err(|_| Problem::unprocessable("to", "is not an e-mail address"))?;
    match smtp::stored_mailer(&deps.store, &deps.root_key).await? {
        Some(mailer) => {
            let mail = compose(&deps, &to)?;
            mailer.send(&mail).await.map_err(|error| {
                Problem::new(StatusCode::BAD_GATEWAY, "mail_not_taken", error.to_string())
            })?;
            Ok(HttpResponse::Ok().json(json!({ "accepted": true })))
        }
        None => {
            let now = deps.clock.now();
            let id = NoticeId::generate(now, deps.rng.as_ref());
            let notice = Notice {
                id: id.clone(),
                app_id: None,
                kind: "test".to_owned(),
                recipient: to.to_string(),
                data: context(&deps, &to),
                due: now,
            };
            let journal = audited(who.actor(), now, "smtp.tested", json!({ "notice_id": id }));
            deps.store
                .record(Journal {
                    notices: vec![notice],
                    ..journal
                })
                .await?;
            Ok(HttpResponse::Accepted().json(json!({ "accepted": false, "queued": true })))
        }
    }
}

fn context(deps: &Deps, to: &Email) -> Value {
    json!({
        "app_name": "Heimdall", "sent_at": deps.clock.now().to_rfc3339(), "recipient": to,
        "link": null, "number": null, "actions": [],
    })
}

fn compose(deps: &Deps, to: &Email) -> Result<Mail, Problem> {
    let host = deps
        .base_url
        .split_once("://")
        .map_or("localhost", |(_, host)| host);
    let host = host.split(':').next().unwrap_or("localhost");
    let messages = Messages::new(Language::English, host).map_err(Problem::internal)?;
    let rendered = messages
        .render("test", context(deps, to))
        .map_err(Problem::internal)?;
    let id = NoticeId::generate(deps.clock.now(), deps.rng.as_ref());
    Ok(Mail {
        to: to.to_string(),
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
        message_id: messages.message_id(id.as_str()),
    })
}

#[cfg(test)]
pub(crate) fn audited_for_test() -> AuditEntry {
    AuditEntry {
        app_id: None,
        at: Timestamp::from_seconds(1),
        actor: Actor::System,
        action: "smtp.changed".to_owned(),
        target: "smtp".to_owned(),
        data: Value::Null,
    }
}
