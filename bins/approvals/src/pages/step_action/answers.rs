use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use heimdall_approval::Action;
use heimdall_approval::workflows::Judgement;
use heimdall_types::Timestamp;
use serde_json::{Value, json};

use crate::pages::Desk;

pub(super) async fn gone(desk: &Desk) -> HttpResponse {
    plate(
        desk,
        StatusCode::GONE,
        "This link has ended",
        "Nothing was recorded. Open the link from the mail again.",
        None,
    )
    .await
}

pub(super) async fn told(desk: &Desk, judged: &Judgement) -> HttpResponse {
    let conflict = StatusCode::CONFLICT;
    match judged {
        Judgement::Invalid => {
            desk.page(StatusCode::BAD_REQUEST, "link-invalid.html", "", json!({}))
                .await
        }
        Judgement::Recorded { action, at } => recorded(desk, *action, *at, None).await,
        Judgement::NotLinked => {
            let advice = "This link needs an approver account that is linked with a log-in provider. Log in with one, then open the link again.";
            let context = json!({
                "headline": desk.words.t("You cannot decide this step"), "advice": desk.words.t(advice),
                "seal": desk.words.t("Nothing was recorded."), "tone": "gone", "panel": "link", "email": "",
            });
            desk.page(StatusCode::FORBIDDEN, "step-told.html", "", context)
                .await
        }
        Judgement::NotYours | Judgement::NotEligible => {
            let advice =
                "You are not an approver of this step, or the link was made for somebody else.";
            plate(
                desk,
                StatusCode::FORBIDDEN,
                "You cannot decide this step",
                advice,
                nothing_recorded(desk),
            )
            .await
        }
        Judgement::Expired | Judgement::Revoked => gone(desk).await,
        Judgement::Stale => {
            let advice = "The step was opened again since. A newer mail has a newer link.";
            plate(
                desk,
                conflict,
                "This link is of an earlier round",
                advice,
                nothing_recorded(desk),
            )
            .await
        }
        Judgement::NotActive("waiting") => {
            plate(
                desk,
                conflict,
                "This step waits",
                "Other steps come first.",
                nothing_recorded(desk),
            )
            .await
        }
        Judgement::NotActive("skipped") => {
            plate(
                desk,
                conflict,
                "This step was skipped",
                "No decision is needed any more.",
                nothing_recorded(desk),
            )
            .await
        }
        Judgement::NotActive("decided") => {
            plate(
                desk,
                conflict,
                "This step is decided",
                "Your link came too late and has changed nothing.",
                nothing_recorded(desk),
            )
            .await
        }
        _ => {
            plate(
                desk,
                conflict,
                "This step is closed",
                "No decision is needed any more.",
                nothing_recorded(desk),
            )
            .await
        }
    }
}

/// What was recorded; to whoever came by mail and is not linked, an account is offered.
pub(super) async fn recorded(
    desk: &Desk,
    action: Action,
    at: Timestamp,
    offer: Option<&str>,
) -> HttpResponse {
    let time = desk.words.when(at);
    let seal = desk.words.with(
        "Recorded {time}. You may close this tab.",
        &[("time", &time)],
    );
    let headline = desk.words.t(&format!("step:done:{}", action.as_str()));
    let tone = if action == Action::Reject { "no" } else { "ok" };
    let advice = desk
        .words
        .t("Your decision is stored and cannot be changed.");
    let context = json!({
        "headline": headline, "advice": advice, "seal": seal, "tone": tone,
        "panel": offer.map(|_| "offer"), "email": offer,
    });
    desk.page(StatusCode::OK, "step-told.html", "", context)
        .await
}

fn nothing_recorded(desk: &Desk) -> Option<(&'static str, String)> {
    Some(("gone", desk.words.t("Nothing was recorded.")))
}

pub(super) async fn plate(
    desk: &Desk,
    status: StatusCode,
    headline: &str,
    advice: &str,
    seal: Option<(&str, String)>,
) -> HttpResponse {
    let (tone, seal) = seal.unwrap_or_default();
    let context = json!({
        "headline": desk.words.t(headline), "advice": desk.words.t(advice), "seal": seal, "tone": tone,
        "panel": Value::Null, "email": "",
    });
    desk.page(status, "step-told.html", "", context).await
}
