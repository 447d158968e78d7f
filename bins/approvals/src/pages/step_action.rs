//! `/step-action`: where signed action links lead.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::workflows::{Judgement, Need, Ready};
use heimdall_approval::{Action, ApprovalError, Person, Refusal};
use heimdall_server::{Edge, Form, Problem, Query, same_origin};
use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Desk, PageAnswer, see_other};
use crate::opaque;
use crate::refusal::problem;
use crate::who::Viewer;

const PURPOSE: &str = "step-action";
/// A page that lay open for longer must be opened again.
const NONCE_SECONDS: i64 = 30 * 60;
/// A drawn signature is an image.
const SIGN_PAGE_LIMIT: usize = 512 * 1024;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/step-action")
            .app_data(heimdall_server::BodyLimit(SIGN_PAGE_LIMIT))
            .route(web::get().to(open))
            .route(web::post().to(act))
            .route(web::method(Method::HEAD).to(nothing))
            .route(web::method(Method::OPTIONS).to(nothing)),
    );
}

async fn nothing() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

#[derive(Debug, Default, Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
    /// Where a token waits for its reader to log in.
    #[serde(default)]
    parked: String,
}

/// Programs that look at links for people: what they send is not a decision.
const LOOKERS: [&str; 14] = [
    "bot",
    "preview",
    "crawler",
    "spider",
    "scanner",
    "facebookexternalhit",
    "whatsapp",
    "slack",
    "skypeuripreview",
    "googleimageproxy",
    "mimecast",
    "barracuda",
    "proofpoint",
    "safelinks",
];

fn field<'a>(http: &'a HttpRequest, name: &str) -> &'a str {
    http.headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn only_looks(http: &HttpRequest) -> bool {
    let ahead = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .iter()
        .any(|name| {
            let value = field(http, name);
            value.contains("prefetch") || value.contains("preview") || value.contains("prerender")
        });
    let agent = field(http, "user-agent").to_ascii_lowercase();
    ahead || LOOKERS.iter().any(|looker| agent.contains(looker))
}

/// A person who followed a link in a browser. Whoever does not say so gets a button to press.
fn is_navigation(http: &HttpRequest) -> bool {
    field(http, "sec-fetch-mode") == "navigate" && field(http, "sec-fetch-dest") == "document"
}

/// What a page's form carries instead of the token.
#[derive(Serialize, Deserialize)]
struct Shown {
    token: String,
    /// The portal session that opened it; empty for mail links.
    session: String,
    until: Timestamp,
}

async fn open(http: HttpRequest, link: Query<Link>) -> PageAnswer {
    let mut desk = Desk::open(&http)?;
    if only_looks(&http) {
        return Ok(plate(
            &desk,
            StatusCode::OK,
            "An approval waits",
            "Open this link in a browser to see it.",
            None,
        )
        .await);
    }
    if let (Some(edge), Some(source)) = (http.app_data::<web::Data<Edge>>(), source_of(&http)) {
        edge.counters().link(source)?;
    }
    let token = if link.0.parked.is_empty() {
        link.0.token
    } else {
        match desk.deps.workflows.unpark(&link.0.parked).await? {
            Some(token) => token,
            None => return Ok(gone(&desk).await),
        }
    };
    desk.viewer = Viewer::of(&http).await?;
    let who = desk.viewer.as_ref().map(Viewer::person);
    let judged = desk
        .deps
        .workflows
        .judge(&token, who.as_ref())
        .await
        .map_err(problem)?;
    match judged {
        Judgement::Ready(ready) => ready_page(&desk, &http, &ready, token).await,
        Judgement::Login => {
            let parked = desk.deps.workflows.park(&token).await?;
            let target = format!("/step-action?parked={parked}");
            let query =
                serde_urlencoded::to_string([("next", target.as_str())]).unwrap_or_default();
            Ok(see_other(&format!("/login?{query}")))
        }
        other => Ok(told(&desk, &other).await),
    }
}

fn source_of(http: &HttpRequest) -> Option<std::net::IpAddr> {
    let edge = http.app_data::<web::Data<Edge>>();
    edge.map(|edge| edge.source_of(http))
        .or_else(|| http.peer_addr().map(|peer| peer.ip()))
}

async fn ready_page(desk: &Desk, http: &HttpRequest, ready: &Ready, token: String) -> PageAnswer {
    let mail = ready.link.sub.is_some();
    if ready.need == Need::Choice
        && mail
        && let Some(url) = &ready.external_url
    {
        return Ok(see_other(url));
    }
    let both = source_of(http).is_some_and(|source| {
        let step = format!("{}/{}", ready.link.approval_id, ready.link.step_id);
        desk.deps.scanners.opened(
            source,
            &step,
            ready.link.action.as_str(),
            desk.deps.clock.now(),
        )
    });
    let real = is_navigation(http) && !both;
    let session = desk
        .viewer
        .as_ref()
        .map(|viewer| viewer.session.clone())
        .unwrap_or_default();
    // A live session of the very person needs no further word; so says an API link by its nature.
    let known = desk
        .viewer
        .as_ref()
        .is_some_and(|viewer| viewer.person().same_as(&ready.person));
    if ready.need == Need::Nothing && real && known {
        return carry_out(desk, ready, None, Vec::new(), None).await;
    }
    let shown = Shown {
        token,
        session: if mail { String::new() } else { session },
        until: Timestamp::from_seconds(desk.deps.clock.now().seconds() + NONCE_SECONDS),
    };
    Ok(form(desk, StatusCode::OK, ready, &shown, real && mail, None).await)
}

async fn form(
    desk: &Desk,
    status: StatusCode,
    ready: &Ready,
    shown: &Shown,
    by_itself: bool,
    wrong: Option<&str>,
) -> HttpResponse {
    let words = &desk.words;
    let need = match ready.need {
        Need::Nothing => "nothing",
        Need::Comment => "comment",
        Need::Choice => "choice",
        Need::Signature => "signature",
    };
    let nonce = opaque::seal(&desk.deps.root_key, PURPOSE, shown, desk.deps.rng.as_ref());
    let action = ready.link.action.as_str();
    let options = ready
        .options
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "index": index, "text": text }));
    let context = json!({
        "title": ready.title, "step": ready.step, "action": action, "verb": words.t(&format!("step:{action}")),
        "need": need, "options": options.collect::<Vec<_>>(), "external_url": ready.external_url, "nonce": nonce,
        "auto": if by_itself && ready.need == Need::Nothing { "now" } else { "" },
        "person": ready.person.address().unwrap_or(&ready.person.name), "dig": ready.link.dig,
        "problem": wrong.map(|key| words.t(key)),
    });
    desk.page(status, "step.html", "", context).await
}

#[derive(Debug, Default, Deserialize)]
struct Pressed {
    nonce: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    option: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    typed: String,
    #[serde(default)]
    strokes: String,
    #[serde(default)]
    png: String,
}

impl Pressed {
    /// The signature that was given: a typed name, or a drawing.
    fn signature(&self, ready: &Ready) -> Option<Value> {
        let dig = &ready.link.dig;
        if self.kind == "drawn" {
            let image = self.png.strip_prefix("data:image/png;base64,")?;
            let strokes: Value = serde_json::from_str(&self.strokes).ok()?;
            let drawn = strokes.as_array().is_some_and(|all| !all.is_empty()) && !image.is_empty();
            return drawn
                .then(|| json!({ "kind": "drawn", "strokes": strokes, "png": image, "dig": dig }));
        }
        let name = self.typed.trim();
        let fits = (1..=200).contains(&name.chars().count());
        fits.then(|| json!({ "kind": "typed", "name": name, "dig": dig }))
    }
}

async fn act(http: HttpRequest, given: Form<Pressed>) -> PageAnswer {
    let mut desk = Desk::open(&http)?;
    if !same_origin(&http) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this form belongs to another site",
        ));
    }
    let given = given.0;
    let Some(shown) = opaque::open::<Shown>(&desk.deps.root_key, PURPOSE, &given.nonce) else {
        return Err(Problem::forbidden("bad_nonce", "open the link again"));
    };
    if shown.until <= desk.deps.clock.now() {
        return Ok(gone(&desk).await);
    }
    desk.viewer = Viewer::of(&http).await?;
    if !shown.session.is_empty()
        && desk
            .viewer
            .as_ref()
            .is_none_or(|viewer| viewer.session != shown.session)
    {
        return Err(Problem::forbidden(
            "bad_nonce",
            "this form belongs to another session",
        ));
    }
    let who: Option<Person> = desk.viewer.as_ref().map(Viewer::person);
    let judged = desk
        .deps
        .workflows
        .judge(&shown.token, who.as_ref())
        .await
        .map_err(problem)?;
    let Judgement::Ready(ready) = judged else {
        return Ok(told(&desk, &judged).await);
    };
    let options: Vec<u32> = given.option.parse().into_iter().collect();
    let signature = given.signature(&ready);
    let comment = Some(given.comment.clone()).filter(|text| !text.trim().is_empty());
    match carry_out(&desk, &ready, comment, options, signature).await {
        Err(refused) if refused.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            let key = match ready.need {
                Need::Signature => "A signature is missing.",
                Need::Choice => "Choose one of the options.",
                _ => "A comment of 1 to 1,000 characters is needed.",
            };
            Ok(form(
                &desk,
                StatusCode::UNPROCESSABLE_ENTITY,
                &ready,
                &shown,
                false,
                Some(key),
            )
            .await)
        }
        outcome => outcome,
    }
}

async fn carry_out(
    desk: &Desk,
    ready: &Ready,
    comment: Option<String>,
    options: Vec<u32>,
    signature: Option<Value>,
) -> PageAnswer {
    match desk
        .deps
        .workflows
        .follow(ready, comment, options, signature)
        .await
    {
        Ok(_) => {
            let done = Judgement::Recorded {
                action: action(ready),
                at: desk.deps.clock.now(),
            };
            Ok(told(desk, &done).await)
        }
        Err(ApprovalError::Refused(Refusal::AlreadyVoted(action))) => Ok(told(
            desk,
            &Judgement::Recorded {
                action,
                at: desk.deps.clock.now(),
            },
        )
        .await),
        Err(ApprovalError::Refused(
            Refusal::Closed(_) | Refusal::NotActive | Refusal::SeatTaken,
        )) => Ok(told(desk, &Judgement::NotActive("decided")).await),
        Err(error) => Err(problem(error)),
    }
}

fn action(ready: &Ready) -> Action {
    match ready.link.action.as_str() {
        "reject" => Action::Reject,
        "consent" => Action::Consent,
        "abstain" => Action::Abstain,
        "vote" => Action::Vote,
        _ => Action::Approve,
    }
}

async fn gone(desk: &Desk) -> HttpResponse {
    plate(
        desk,
        StatusCode::GONE,
        "This link has ended",
        "Nothing was recorded. Open the link from the mail again.",
        None,
    )
    .await
}

async fn told(desk: &Desk, judged: &Judgement) -> HttpResponse {
    let conflict = StatusCode::CONFLICT;
    match judged {
        Judgement::Invalid => {
            desk.page(StatusCode::BAD_REQUEST, "link-invalid.html", "", json!({}))
                .await
        }
        Judgement::Recorded { action, at } => {
            let headline = format!("step:done:{}", action.as_str());
            let time = desk.words.when(*at);
            let seal = desk.words.with(
                "Recorded {time}. You may close this tab.",
                &[("time", &time)],
            );
            let tone = if *action == Action::Reject {
                "no"
            } else {
                "ok"
            };
            plate(
                desk,
                StatusCode::OK,
                &headline,
                "Your decision is stored and cannot be changed.",
                Some((tone, seal)),
            )
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

fn nothing_recorded(desk: &Desk) -> Option<(&'static str, String)> {
    Some(("gone", desk.words.t("Nothing was recorded.")))
}

async fn plate(
    desk: &Desk,
    status: StatusCode,
    headline: &str,
    advice: &str,
    seal: Option<(&str, String)>,
) -> HttpResponse {
    let (tone, seal) = seal.unwrap_or_default();
    let context = json!({
        "headline": desk.words.t(headline), "advice": desk.words.t(advice), "seal": seal, "tone": tone,
    });
    desk.page(status, "step-told.html", "", context).await
}
