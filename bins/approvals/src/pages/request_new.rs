use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::request::Start;
use heimdall_approval::{ApprovalError, Ask};
use heimdall_server::Problem;
use heimdall_types::Timestamp;
use serde_json::{Value, json};

use super::home::{allows, held, roles};
use super::{Desk, PageAnswer, see_other};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/requests/new")
            .route(web::get().to(show))
            .route(web::post().to(send)),
    );
}

const CHOICES: [u32; 4] = [30, 60, 240, 480];

/// What somebody typed, as it was typed, so that an error loses nothing.
#[derive(Debug, Default)]
struct Typed {
    csrf: String,
    roles: Vec<String>,
    justification: String,
    duration: String,
    other: String,
    start: String,
    start_at: String,
    resource: String,
}

impl Typed {
    // `roles` comes once a checked box, which no derived reader takes.
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|_| Problem::bad_request("form", "the form cannot be read"))?;
        let mut typed = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "csrf" => typed.csrf = value,
                "role" | "roles" => typed.roles.push(value),
                "justification" => typed.justification = value,
                "duration_minutes" => typed.duration = value,
                "duration_other" => typed.other = value,
                "start" => typed.start = value,
                "start_at" => typed.start_at = value,
                "resource" => typed.resource = value,
                other => {
                    return Err(Problem::bad_field(
                        other.to_owned(),
                        "is no field of this form",
                    ));
                }
            }
        }
        Ok(typed)
    }

    fn ask(&self) -> Result<Ask, ApprovalError> {
        let wrong = |field: &str, reason: &str| ApprovalError::Invalid {
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        let minutes = if self.duration == "other" {
            &self.other
        } else {
            &self.duration
        };
        let minutes = minutes
            .trim()
            .parse()
            .map_err(|_| wrong("duration_minutes", "must be a number of minutes"))?;
        let start = match self.start.as_str() {
            "at" => {
                let text = format!("{}:00Z", self.start_at.trim());
                Start::At(
                    Timestamp::parse_rfc3339(&text)
                        .ok_or_else(|| wrong("start", "must be a date and a time"))?,
                )
            }
            _ => Start::OnApproval,
        };
        let resource = Some(self.resource.clone()).filter(|text| !text.trim().is_empty());
        Ok(Ask {
            roles: self.roles.clone(),
            justification: self.justification.clone(),
            minutes,
            start,
            resource,
        })
    }
}

async fn show(request: HttpRequest) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let typed = Typed {
        duration: "60".to_owned(),
        ..Typed::read(request.query_string().as_bytes())?
    };
    form(&desk, StatusCode::OK, &typed, None).await
}

async fn send(request: HttpRequest, body: web::Bytes) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let typed = Typed::read(&body)?;
    desk.check(&request, &typed.csrf)?;
    let viewer = desk.viewer()?;
    let outcome = match typed.ask() {
        Ok(ask) => {
            desk.deps
                .approvals
                .ask(&viewer.app_id, viewer.requester(), ask)
                .await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(made) => Ok(see_other(&format!("/requests/{}", made.id))),
        Err(ApprovalError::Invalid { field, reason }) => {
            form(
                &desk,
                StatusCode::UNPROCESSABLE_ENTITY,
                &typed,
                Some((&field, &reason)),
            )
            .await
        }
        Err(error) => Err(problem(error)),
    }
}

async fn form(
    desk: &Desk,
    status: StatusCode,
    typed: &Typed,
    error: Option<(&str, &str)>,
) -> Result<HttpResponse, Problem> {
    let all = roles(desk).await?;
    let (own, grants) = held(desk).await?;
    let open: Vec<Value> = all
        .iter()
        .filter_map(|role| {
            let requestable = role.requestable.as_ref()?;
            let holds = own.contains(&role.name) || grants.iter().any(|grant| grant.role == role.name);
            Some(json!({
                "name": role.name, "allows": allows(role), "at_most": desk.words.duration(requestable.max_minutes),
                "permissions": role.effective_permissions, "held": holds && !typed.roles.contains(&role.name),
                "chosen": typed.roles.contains(&role.name),
            }))
        })
        .collect();
    let longest = all
        .iter()
        .filter_map(|role| Some(role.requestable.as_ref()?.max_minutes))
        .max()
        .unwrap_or(480);
    let durations: Vec<Value> = CHOICES
        .iter()
        .filter(|minutes| **minutes <= longest)
        .map(|minutes| {
            let chosen = typed.duration == minutes.to_string();
            json!({"minutes": minutes, "text": desk.words.duration(*minutes), "chosen": chosen})
        })
        .collect();
    let errors: Vec<Value> = error
        .map(|(field, reason)| {
            let anchor = match field.split('.').next() {
                Some("roles") => "roles",
                Some("justification") => "why",
                Some("duration_minutes") => "duration",
                Some("start") => "at",
                _ => "res",
            };
            json!({"anchor": anchor, "text": format!("{field} {reason}")})
        })
        .into_iter()
        .collect();
    let other = if typed.duration == "other" {
        typed.other.as_str()
    } else {
        ""
    };
    let start_at = if typed.start == "at" {
        typed.start_at.as_str()
    } else {
        ""
    };
    let context = json!({
        "roles": open, "durations": durations, "errors": errors, "justification": typed.justification,
        "duration_other": other, "start_at": start_at, "resource": typed.resource,
    });
    Ok(desk
        .page(status, "request-new.html", "access", context)
        .await)
}
