//! `/step-action`: where signed action links lead; `/submit-action.html`: where those of an older system did.

mod answers;
mod visit;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::workflows::{Answered, CodeVerdict, Judgement, Need, Ready};
use heimdall_approval::{Action, ApprovalError, Confirmation, Refusal};
use heimdall_server::{Edge, Form, Problem, Query, same_origin};
use heimdall_token::crypto;
use heimdall_types::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Desk, PageAnswer, see_other};
use crate::refusal::problem;
use crate::{account, opaque};
use answers::{gone, plate, recorded, told};
use visit::Visit;

const PURPOSE: &str = "step-action";
/// A page that lay open for longer must be opened again.
const NONCE_SECONDS: i64 = 30 * 60;
/// A drawn signature is an image.
const SIGN_PAGE_LIMIT: usize = 512 * 1024;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/step-action")
                .app_data(heimdall_server::BodyLimit(SIGN_PAGE_LIMIT))
                .route(web::get().to(open))
                .route(web::post().to(act))
                .route(web::method(Method::HEAD).to(nothing))
                .route(web::method(Method::OPTIONS).to(nothing)),
        )
        .service(
            web::resource("/submit-action.html")
                .route(web::get().to(open_older))
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

/// What a page's form carries instead of the token.
#[derive(Serialize, Deserialize)]
struct Shown {
    token: String,
    /// A link of the older system.
    #[serde(default)]
    older: bool,
    /// The account's session that opened it; empty for mail links.
    session: String,
    /// Decides once.
    once: String,
    until: Timestamp,
}

async fn open(http: HttpRequest, link: Query<Link>) -> PageAnswer {
    let desk = Desk::open(&http)?;
    if let Some(neutral) = looked_at(&desk, &http).await? {
        return Ok(neutral);
    }
    let visit = Visit::of(&desk, &http).await?;
    let token = if link.0.parked.is_empty() {
        link.0.token
    } else {
        let browser = visit.browser.as_deref().unwrap_or_default();
        match desk.deps.workflows.unpark(&link.0.parked, browser).await? {
            Some(token) => token,
            None => return Ok(gone(&desk).await),
        }
    };
    let who = visit.visitor();
    let judged = desk.deps.workflows.judge(&token, who.as_ref()).await;
    match judged.map_err(problem)? {
        Judgement::Ready(ready) => ready_page(&desk, &http, &visit, &ready, token, false).await,
        Judgement::Login => park(&desk, &visit, &token).await,
        other => Ok(told(&desk, &other).await),
    }
}

async fn open_older(http: HttpRequest, link: Query<Link>) -> PageAnswer {
    let desk = Desk::open(&http)?;
    if let Some(neutral) = looked_at(&desk, &http).await? {
        return Ok(neutral);
    }
    let visit = Visit::of(&desk, &http).await?;
    match judge_older(&desk, &visit, &link.0.token).await? {
        Judgement::Ready(ready) => {
            ready_page(&desk, &http, &visit, &ready, link.0.token, true).await
        }
        other => Ok(told(&desk, &other).await),
    }
}

async fn judge_older(desk: &Desk, visit: &Visit, token: &str) -> Result<Judgement, Problem> {
    let Some(legacy) = &desk.deps.legacy else {
        return Ok(Judgement::Invalid);
    };
    let key = legacy.submit_action_key.expose().as_bytes();
    desk.deps
        .workflows
        .judge_legacy(token, key, &legacy.names, visit.visitor().as_ref())
        .await
        .map_err(problem)
}

/// The answer to a program that looks at links for people; a person is counted and goes on.
async fn looked_at(desk: &Desk, http: &HttpRequest) -> Result<Option<HttpResponse>, Problem> {
    if visit::only_looks(http) {
        let (headline, advice) = (
            "An approval waits",
            "Open this link in a browser to see it.",
        );
        return Ok(Some(
            plate(desk, StatusCode::OK, headline, advice, None).await,
        ));
    }
    if let (Some(edge), Some(source)) = (http.app_data::<web::Data<Edge>>(), visit::source_of(http))
    {
        edge.counters().link(source)?;
    }
    Ok(None)
}

// Only this browser may fetch the link again: else a handle would be a link that decides for whoever logs in.
async fn park(desk: &Desk, visit: &Visit, token: &str) -> PageAnswer {
    let browser = visit
        .browser
        .clone()
        .unwrap_or_else(|| crypto::random_token(desk.deps.rng.as_ref(), 32));
    let parked = desk.deps.workflows.park(token, &browser).await?;
    let target = format!("/step-action?parked={parked}");
    let query = serde_urlencoded::to_string([("next", target.as_str())]).unwrap_or_default();
    let mut answer = see_other(&format!("/account/login?{query}"));
    answer
        .add_cookie(&account::browser_cookie(&desk.deps, &Secret::new(browser)))
        .map_err(Problem::internal)?;
    Ok(answer)
}

async fn ready_page(
    desk: &Desk,
    http: &HttpRequest,
    visit: &Visit,
    ready: &Ready,
    token: String,
    older: bool,
) -> PageAnswer {
    let mail = ready.link.sub.is_some();
    if ready.need == Need::Choice
        && mail
        && let Some(url) = &ready.external_url
    {
        return Ok(see_other(url));
    }
    let scanner = visit::source_of(http).is_some_and(|source| {
        let step = format!("{}/{}", ready.link.approval_id, ready.link.step_id);
        desk.deps.scanners.opened(
            source,
            &step,
            ready.link.action.as_str(),
            desk.deps.clock.now(),
        )
    });
    // A live session of the very person needs no further word; so says an API link by its nature. But another site
    // must not be able to send a browser here: then a button asks.
    if ready.need == Need::Nothing && !scanner && visit::was_asked_for(http) && visit.is(ready) {
        let done = carry_out(desk, ready, Answered::default()).await;
        return done.map(|done| done.page);
    }
    let session = visit.who.as_ref().map(|who| who.session.hash.clone());
    let shown = Shown {
        token,
        older,
        session: session.filter(|_| !mail).unwrap_or_default(),
        once: crypto::random_token(desk.deps.rng.as_ref(), 16),
        until: Timestamp::from_seconds(desk.deps.clock.now().seconds() + NONCE_SECONDS),
    };
    let by_itself = mail
        && !scanner
        && visit::is_navigation(http)
        && match confirmation(ready) {
            Confirmation::Auto => true,
            Confirmation::Bound => visit.knows(ready),
            Confirmation::Challenge => false,
        };
    Ok(form(desk, StatusCode::OK, ready, &shown, by_itself, None).await)
}

fn confirmation(ready: &Ready) -> Confirmation {
    ready.confirm.unwrap_or_default()
}

async fn form(
    desk: &Desk,
    status: StatusCode,
    ready: &Ready,
    shown: &Shown,
    by_itself: bool,
    wrong: Option<String>,
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
    let code = ready.link.sub.is_some() && confirmation(ready) == Confirmation::Challenge;
    let context = json!({
        "title": ready.title, "step": ready.step, "action": action, "verb": words.t(&format!("step:{action}")),
        "need": need, "options": options.collect::<Vec<_>>(), "external_url": ready.external_url, "nonce": nonce,
        "auto": if by_itself && ready.need == Need::Nothing { "now" } else { "" }, "code": code,
        "person": ready.person.address().unwrap_or(&ready.person.name), "dig": ready.link.dig,
        "problem": wrong,
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
    code: String,
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
    let desk = Desk::open(&http)?;
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
    let visit = Visit::of(&desk, &http).await?;
    let session = visit.who.as_ref().map(|who| who.session.hash.as_str());
    if !shown.session.is_empty() && session != Some(&shown.session) {
        return Err(Problem::forbidden(
            "bad_nonce",
            "this form belongs to another session",
        ));
    }
    let judged = if shown.older {
        judge_older(&desk, &visit, &shown.token).await?
    } else {
        let who = visit.visitor();
        let judged = desk.deps.workflows.judge(&shown.token, who.as_ref()).await;
        judged.map_err(problem)?
    };
    let Judgement::Ready(ready) = judged else {
        return Ok(told(&desk, &judged).await);
    };
    if let Some(wrong) = wrong_code(&desk, &ready, &given.code).await? {
        return match wrong {
            Some(text) => Ok(again(&desk, &ready, shown, text).await),
            None => Ok(gone(&desk).await),
        };
    }
    let answered = Answered {
        comment: Some(given.comment.clone()).filter(|text| !text.trim().is_empty()),
        options: given.option.parse().into_iter().collect(),
        signature: given.signature(&ready),
        nonce: Some(shown.once.clone()),
    };
    match carry_out(&desk, &ready, answered).await {
        Err(refused) if refused.status() == StatusCode::UNPROCESSABLE_ENTITY => {
            let key = match ready.need {
                Need::Signature => "A signature is missing.",
                Need::Choice => "Choose one of the options.",
                _ => "A comment of 1 to 1,000 characters is needed.",
            };
            let text = desk.words.t(key);
            Ok(again(&desk, &ready, shown, text).await)
        }
        Err(refused) => Err(refused),
        Ok(done) => {
            let mut page = done.page;
            // A script that pressed the button makes no browser known.
            if done.voted && ready.link.sub.is_some() && visit::by_hand(&http) {
                let cookie = visit.learned(&desk, &ready);
                page.add_cookie(&cookie).map_err(Problem::internal)?;
            }
            Ok(page)
        }
    }
}

/// The form once more, with what is wrong and a fresh one-time value.
async fn again(desk: &Desk, ready: &Ready, shown: Shown, wrong: String) -> HttpResponse {
    let shown = Shown {
        once: crypto::random_token(desk.deps.rng.as_ref(), 16),
        ..shown
    };
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    form(desk, status, ready, &shown, false, Some(wrong)).await
}

/// What is wrong with the code, where one is needed: a text, or nothing more to try.
async fn wrong_code(
    desk: &Desk,
    ready: &Ready,
    given: &str,
) -> Result<Option<Option<String>>, Problem> {
    if ready.link.sub.is_none() || confirmation(ready) != Confirmation::Challenge {
        return Ok(None);
    }
    if given.trim().is_empty() {
        return Ok(Some(Some(desk.words.t("Type the code from the mail."))));
    }
    let verdict = desk.deps.workflows.check_code(ready, given).await;
    Ok(match verdict.map_err(problem)? {
        CodeVerdict::Right => None,
        CodeVerdict::Wrong(left) => Some(Some(desk.words.with(
            "The code does not match. Tries left: {count}.",
            &[("count", &left.to_string())],
        ))),
        CodeVerdict::Spent => Some(None),
    })
}

/// The page after a link was followed.
struct Done {
    page: HttpResponse,
    voted: bool,
}

async fn carry_out(desk: &Desk, ready: &Ready, answered: Answered) -> Result<Done, Problem> {
    let now = desk.deps.clock.now();
    let offer = ready
        .link
        .sub
        .as_ref()
        .and_then(|_| ready.person.address())
        .filter(|_| desk.deps.accounts.providers().next().is_some());
    let told = |page, voted| Ok(Done { page, voted });
    match desk.deps.workflows.follow(ready, answered).await {
        Ok(_) => told(recorded(desk, action(ready), now, offer).await, true),
        Err(ApprovalError::Refused(Refusal::AlreadyVoted(action))) => {
            told(recorded(desk, action, now, None).await, false)
        }
        Err(ApprovalError::Refused(
            Refusal::Closed(_) | Refusal::NotActive | Refusal::SeatTaken,
        )) => {
            let late = Judgement::NotActive("decided");
            told(answers::told(desk, &late).await, false)
        }
        Err(ApprovalError::Forbidden) => {
            Err(Problem::forbidden("bad_nonce", "open the link again"))
        }
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
