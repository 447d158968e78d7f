//! The portal's pages, a file a page.

mod account;
mod approval;
mod external;
mod history;
mod home;
mod inbox;
mod mailbox;
mod manage;
mod request;
mod request_new;
mod settings;
mod signin;
mod step_action;
mod wording;

use std::path::PathBuf;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use heimdall_approval::ApprovalError;
use heimdall_approval::ports::ApprovalStore as _;
use heimdall_server::{Pages, PagesError, Problem};
use heimdall_types::PageRequest;
use serde_json::{Value, json};

use crate::deps::Deps;
use crate::who::{Viewer, deps};
use wording::Wording;

/// What a page gives.
pub(crate) type PageAnswer = Result<HttpResponse, Problem>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for routes in [
        account::routes,
        signin::routes,
        home::routes,
        request_new::routes,
        request::routes,
        inbox::routes,
        history::routes,
        external::routes,
        mailbox::routes,
        settings::routes,
        manage::routes,
        approval::routes,
        step_action::routes,
    ] {
        routes(config);
    }
}

/// What is not there: a page for a browser that looks for one, a problem for everybody else.
pub(crate) async fn missing(request: HttpRequest) -> PageAnswer {
    let accept = request.headers().get(header::ACCEPT);
    let browser = accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if request.method() != Method::GET || !browser {
        return Err(Problem::not_found());
    }
    Ok(Desk::open(&request)?.not_found().await)
}

macro_rules! embedded {
    ($builder:expr, $($name:literal),* $(,)?) => {
        $builder$(.template($name, include_str!(concat!("../templates/", $name))))*
    };
}

/// Every page, embedded; an operator's folder wins.
pub(crate) fn build(folder: Option<PathBuf>) -> Result<Pages, PagesError> {
    embedded!(
        Pages::builder(),
        "account-activate.html",
        "account-delete.html",
        "account-login.html",
        "account-password.html",
        "account-profile.html",
        "account-tabs.html",
        "account-told.html",
        "approval.html",
        "base.html",
        "error.html",
        "external-done.html",
        "external.html",
        "history.html",
        "home.html",
        "inbox.html",
        "link-ended.html",
        "link-invalid.html",
        "mailbox.html",
        "manage-applications.html",
        "manage-notifications.html",
        "manage-template.html",
        "manage-templates.html",
        "manage-undelivered.html",
        "manage.html",
        "mark.html",
        "request-new.html",
        "request.html",
        "settings.html",
        "signin-code.html",
        "signin.html",
        "step-told.html",
        "step.html",
    )
    .messages("en", include_str!("../messages/en.yaml"))
    .messages("de", include_str!("../messages/de.yaml"))
    .folder(folder)
    .build()
}

/// A page of one viewer (or of nobody) in one language.
pub(crate) struct Desk {
    pub(crate) deps: web::Data<Deps>,
    pub(crate) words: Wording,
    pub(crate) viewer: Option<Viewer>,
}

impl Desk {
    /// For pages that need no session.
    pub(crate) fn open(request: &HttpRequest) -> Result<Self, Problem> {
        let deps = deps(request)?;
        let language = deps.pages.language(request);
        let words = Wording::new(&deps, language);
        Ok(Self {
            deps,
            words,
            viewer: None,
        })
    }

    /// For pages that need one; without it the answer is the way to sign in.
    pub(crate) async fn of(request: &HttpRequest) -> Result<Result<Self, HttpResponse>, Problem> {
        let mut desk = Self::open(request)?;
        desk.viewer = Viewer::of(request).await?;
        if desk.viewer.is_some() {
            return Ok(Ok(desk));
        }
        let next = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
        Ok(Err(see_other(&format!("/login?{query}"))))
    }

    /// The viewer with everybody whom they stand in for now: what waits for any of these waits for the viewer.
    pub(crate) async fn person(&self) -> Result<heimdall_approval::Person, Problem> {
        let viewer = self.viewer()?;
        let own = viewer.person();
        let others = self
            .deps
            .workflows
            .stands_in_for(&viewer.app_id, &own)
            .await;
        let others = others.map_err(crate::refusal::problem)?;
        let all = own.identities.iter().cloned().chain(others);
        Ok(heimdall_approval::Person::new(own.name.clone(), all))
    }

    /// How much waits for the viewer; at most a page of each kind is counted.
    async fn waiting(&self, viewer: &Viewer) -> usize {
        let Ok(person) = self.person().await else {
            return 0;
        };
        let (app, first) = (&viewer.app_id, PageRequest::first());
        let requests = self.deps.approvals.inbox(app, &person, &first).await;
        let approvals = self.deps.store.waiting(app, &person, &first).await;
        requests.map(|page| page.data.len()).unwrap_or_default()
            + approvals.map(|page| page.data.len()).unwrap_or_default()
    }

    pub(crate) fn viewer(&self) -> Result<&Viewer, Problem> {
        self.viewer
            .as_ref()
            .ok_or_else(|| Problem::unauthorized("sign in first"))
    }

    /// The page, with what every page of the portal shows around it.
    pub(crate) async fn page(
        &self,
        status: StatusCode,
        name: &str,
        section: &str,
        mut context: Value,
    ) -> HttpResponse {
        let viewer = match &self.viewer {
            Some(viewer) => {
                let waiting = self.waiting(viewer).await;
                let manages = settings::may_change(self).await.unwrap_or(false);
                json!({
                    "app": viewer.app, "name": viewer.user.display_name, "waiting": waiting, "manages": manages,
                    "csrf": self.deps.csrf.token(&viewer.session),
                })
            }
            None => Value::Null,
        };
        if let Some(members) = context.as_object_mut() {
            members.insert("viewer".to_owned(), viewer);
            members.insert("section".to_owned(), section.into());
            members.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
            members.entry("note").or_insert(Value::Null);
        }
        self.deps
            .pages
            .answer(status, name, &self.words.language, context)
    }

    /// A page that says what went wrong and that nothing was changed.
    pub(crate) async fn error(
        &self,
        status: StatusCode,
        headline: &str,
        advice: &str,
    ) -> HttpResponse {
        let (headline, advice) = (self.words.t(headline), self.words.t(advice));
        let context = json!({"status": status.as_u16(), "headline": headline, "advice": advice});
        self.page(status, "error.html", "", context).await
    }

    /// The page for a refusal of the service.
    pub(crate) async fn refused(&self, error: ApprovalError) -> HttpResponse {
        match error {
            ApprovalError::NotFound => self.not_found().await,
            ApprovalError::Forbidden => {
                let advice = "Ask an administrator for the permission.";
                self.error(StatusCode::FORBIDDEN, "You may not do this", advice)
                    .await
            }
            other => crate::refusal::problem(other).error_response(),
        }
    }

    pub(crate) async fn not_found(&self) -> HttpResponse {
        let advice = "It was removed, was never here, or is not yours to see.";
        self.error(StatusCode::NOT_FOUND, "Nothing is at this address", advice)
            .await
    }

    /// Refuses a form that did not come from a page of this session.
    pub(crate) fn check(&self, request: &HttpRequest, token: &str) -> Result<(), Problem> {
        self.deps
            .csrf
            .check(request, &self.viewer()?.session, token)
    }
}

/// Onwards after a form: a reload of the next page repeats nothing.
pub(crate) fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to.to_owned()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

/// A way within this very portal, whatever was asked for: never another host.
pub(crate) fn own_path(wanted: &str) -> &str {
    let inside = wanted.starts_with('/')
        && !wanted.starts_with("//")
        && !wanted.contains(['\\', '\r', '\n', '\t'])
        && !wanted.to_ascii_lowercase().starts_with("/%2f")
        && !wanted.to_ascii_lowercase().starts_with("/%5c");
    if inside { wanted } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_our_own_is_followed_after_signing_in() {
        for evil in [
            "//evil",
            "/\\evil",
            "https:evil",
            "/%2f%2fevil",
            "javascript:alert(1)",
            "",
            "/a\r\nX: y",
            "/%5Cevil",
        ] {
            assert_eq!(own_path(evil), "/", "{evil}");
        }
        assert_eq!(
            own_path("/requests/new?role=billing-admin"),
            "/requests/new?role=billing-admin"
        );
    }

    #[test]
    fn every_page_and_message_file_parses() {
        build(None).unwrap();
    }
}
