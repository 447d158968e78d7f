//! `/manage/…`: what the administrators of an App set up.

mod applications;
mod dead_letters;
mod notifications;
mod templates;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use heimdall_approval::{ApprovalError, Approver};
use heimdall_types::Fault;
use serde_json::{Value, json};

use super::settings::desk_of;
use super::{Desk, PageAnswer, see_other};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/manage", web::get().to(first));
    for routes in [
        templates::routes,
        applications::routes,
        notifications::routes,
        dead_letters::routes,
    ] {
        routes(config);
    }
}

async fn first() -> HttpResponse {
    see_other("/manage/templates")
}

/// The desk of whoever may manage, or what everybody else gets.
macro_rules! managing {
    ($request:expr) => {
        match super::desk_of($request).await? {
            Ok(desk) => desk,
            Err(answer) => return Ok(answer),
        }
    };
}
use managing;

/// What is wrong with a form, by the ids of its fields.
#[derive(Debug, Default)]
struct Wrong(Vec<(String, String)>);

impl Wrong {
    fn at(anchor: &str, text: impl Into<String>) -> Self {
        Self(vec![(anchor.to_owned(), text.into())])
    }

    /// What the service says, as far as it is about the form.
    fn of(error: ApprovalError) -> Result<Self, ApprovalError> {
        match error {
            ApprovalError::Invalid { field, reason } => {
                let anchor = field.split(['.', '[']).next().unwrap_or_default();
                Ok(Self::at(anchor, format!("{field}: {reason}")))
            }
            ApprovalError::Fault(Fault::Duplicate(what)) => Ok(Self::at(what, "is taken already")),
            other => Err(other),
        }
    }

    fn status(&self) -> StatusCode {
        if self.0.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }

    fn shown(&self) -> Value {
        let all = self
            .0
            .iter()
            .map(|(anchor, text)| json!({ "anchor": anchor, "text": text }));
        all.collect()
    }
}

async fn page(
    desk: &Desk,
    status: StatusCode,
    name: &str,
    place: &str,
    context: Value,
) -> HttpResponse {
    let mut context = context;
    if let Some(members) = context.as_object_mut() {
        members.insert("place".to_owned(), place.into());
        members.entry("errors").or_insert_with(|| json!([]));
    }
    desk.page(status, name, "manage", context).await
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Approvers as people read them.
fn approvers_text(approvers: &[Approver]) -> String {
    let one = |approver: &Approver| match approver {
        Approver::Email(email) => email.to_string(),
        Approver::Account(account) => account.clone(),
        Approver::Group(group) => group.clone(),
    };
    approvers.iter().map(one).collect::<Vec<_>>().join(", ")
}

async fn refused(desk: &Desk, error: ApprovalError) -> PageAnswer {
    Ok(desk.refused(error).await)
}
