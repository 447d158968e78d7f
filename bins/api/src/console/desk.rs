use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use heimdall_server::{Problem, cookie};
use heimdall_tenant::input::TokenRequest;
use heimdall_tenant::{Caller, Class, ClientAuth, TenantError};
use heimdall_types::{Cursor, Page, PageRequest, Secret};
use serde::Serialize;
use serde_json::{Value, json};

use super::fields::Fields;
use super::{COOKIE, Console, Held};
use crate::deps::Deps;
use crate::refusal::problem;

/// One signed-in person at one page.
pub(super) struct Desk {
    pub(super) deps: web::Data<Deps>,
    pub(super) console: web::Data<Console>,
    pub(super) caller: Caller,
    session: String,
    name: String,
    home: Option<String>,
}

/// An answer, or the answer that stands in its way.
pub(super) type Step<T> = Result<T, HttpResponse>;

pub(super) fn dependencies(request: &HttpRequest) -> Step<(web::Data<Deps>, web::Data<Console>)> {
    let deps = request.app_data::<web::Data<Deps>>().cloned();
    let console = request.app_data::<web::Data<Console>>().cloned();
    deps.zip(console)
        .ok_or_else(|| Problem::internal("the application has no dependencies").error_response())
}

impl Desk {
    /// Who asks for a page; without a session the answer is the way to sign in.
    pub(super) async fn of(request: &HttpRequest) -> Step<Self> {
        let (deps, console) = dependencies(request)?;
        let away = || see_other(&format!("{}/console/signin", deps.prefix));
        let cookie = cookie::read(request, COOKIE, console.encrypted).ok_or_else(away)?;
        let (session, name, held) = console.find(&cookie, deps.clock.now()).ok_or_else(away)?;
        let home = match &held {
            Held::Key(_) => None,
            Held::User { app, .. } => Some(app.clone()),
        };
        let caller = match who(&deps, &console, &session, held).await {
            Ok(caller) => caller,
            Err(TenantError::Fault(fault)) => return Err(Problem::from(fault).error_response()),
            Err(_) => {
                console.close(&session);
                return Err(away());
            }
        };
        Ok(Self {
            deps,
            console,
            caller,
            session,
            name,
            home,
        })
    }

    /// As [`Desk::of`], for a posted form, whose token is checked.
    pub(super) async fn posted(request: &HttpRequest, body: &[u8]) -> Step<(Self, Fields)> {
        let desk = Self::of(request).await?;
        let fields = Fields::read(body).map_err(|problem| problem.error_response())?;
        let given = fields.get("csrf").unwrap_or_default();
        if desk
            .console
            .csrf
            .check(request, &desk.session, given)
            .is_err()
        {
            let advice = "This form is not valid any more. Open the page again.";
            return Err(desk.message(
                StatusCode::FORBIDDEN,
                "Nothing was changed",
                advice,
                "/console",
            ));
        }
        Ok((desk, fields))
    }

    /// The App that a user belongs to; operators have none.
    pub(super) fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    pub(super) fn sign_out(&self) -> HttpResponse {
        self.console.close(&self.session);
        let mut away = self.to("/signin");
        // A cookie that cannot be written is one the browser keeps; the session behind it is gone all the same.
        let _ = away.add_cookie(&cookie::forget(COOKIE, self.console.encrypted));
        away
    }

    /// A page, with what every page shows around it.
    pub(super) fn page(
        &self,
        name: &str,
        section: &str,
        app: Option<&str>,
        context: Value,
    ) -> HttpResponse {
        self.answer(StatusCode::OK, name, section, app, context)
    }

    pub(super) fn answer(
        &self,
        status: StatusCode,
        name: &str,
        section: &str,
        app: Option<&str>,
        mut context: Value,
    ) -> HttpResponse {
        if let Some(members) = context.as_object_mut() {
            let viewer = json!({
                "name": self.name, "operator": self.home.is_none(), "csrf": self.console.csrf.token(&self.session),
            });
            members.insert("viewer".to_owned(), viewer);
            members.insert("section".to_owned(), section.into());
            members.insert("app".to_owned(), app.into());
        }
        render(&self.deps, &self.console, status, name, context)
    }

    /// A page of one sentence.
    pub(super) fn message(
        &self,
        status: StatusCode,
        headline: &str,
        advice: &str,
        back: &str,
    ) -> HttpResponse {
        let context = json!({"status": status.as_u16(), "headline": headline, "advice": advice, "back": back});
        self.answer(status, "message.html", "", None, context)
    }

    /// The page of a secret that is shown once.
    pub(super) fn once(
        &self,
        app: Option<&str>,
        headline: &str,
        secrets: &[(&str, &str)],
        advice: &str,
        back: &str,
    ) -> HttpResponse {
        let secrets: Vec<Value> = secrets
            .iter()
            .map(|(label, text)| json!({"label": label, "text": text}))
            .collect();
        let context =
            json!({"headline": headline, "secrets": secrets, "advice": advice, "back": back});
        self.page("once.html", "", app, context)
    }

    /// The page of a refusal.
    pub(super) fn refused(&self, error: TenantError) -> HttpResponse {
        let (class, text) = (error.class(), error.to_string());
        let status = problem(error).status();
        let advice = match class {
            Class::NotFound => "There is nothing at this address.".to_owned(),
            Class::Forbidden => "You lack a permission for this. Ask an administrator.".to_owned(),
            Class::Unavailable | Class::Internal => {
                "It did not work this time. Try again in a minute.".to_owned()
            }
            _ => format!("Refused: {text}."),
        };
        let headline = if class == Class::NotFound {
            "Not found"
        } else {
            "Nothing was changed"
        };
        self.message(status, headline, &advice, "/console")
    }

    /// What a form leads to.
    pub(super) fn to(&self, path: &str) -> HttpResponse {
        see_other(&format!("{}/console{path}", self.deps.prefix))
    }

    /// The part of a list that the query names.
    pub(super) fn wanted(&self, fields: &Fields) -> PageRequest {
        let cursor = fields
            .get("cursor")
            .and_then(|text| Cursor::decode(text).ok());
        PageRequest {
            limit: PageRequest::DEFAULT_LIMIT,
            cursor,
        }
    }
}

async fn who(
    deps: &Deps,
    console: &Console,
    session: &str,
    held: Held,
) -> Result<Caller, TenantError> {
    let (app, access, refresh) = match held {
        Held::Key(key) => return deps.tenants.caller(key.expose()).await,
        Held::User {
            app,
            access,
            refresh,
        } => (app, access, refresh),
    };
    match (deps.tenants.caller(access.expose()).await, refresh) {
        (Err(TenantError::Unauthenticated), Some(refresh)) => {
            let request = TokenRequest {
                grant_type: Some("refresh_token".to_owned()),
                refresh_token: Some(refresh),
                ..TokenRequest::default()
            };
            let answer = deps
                .tenants
                .token(
                    &Caller::Anonymous,
                    Some(&app),
                    &ClientAuth::default(),
                    &request,
                )
                .await?;
            let access = Secret::new(answer.access_token);
            let caller = deps.tenants.caller(access.expose()).await?;
            console.renew(
                session,
                Held::User {
                    app,
                    access,
                    refresh: answer.refresh_token.map(Secret::new),
                },
            );
            Ok(caller)
        }
        (outcome, _) => outcome,
    }
}

pub(super) fn render(
    deps: &Deps,
    console: &Console,
    status: StatusCode,
    name: &str,
    mut context: Value,
) -> HttpResponse {
    if let Some(members) = context.as_object_mut() {
        members.insert("prefix".to_owned(), deps.prefix.as_str().into());
        members.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        members.entry("viewer").or_insert(Value::Null);
        members.entry("section").or_insert(Value::Null);
        members.entry("app").or_insert(Value::Null);
    }
    console.pages.answer(status, name, "en", context)
}

pub(super) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path.to_owned()))
        .finish()
}

/// A list as templates want it.
pub(super) fn rows<T: Serialize>(page: Page<T>) -> Value {
    let data: Vec<Value> = page
        .data
        .into_iter()
        .filter_map(|row| serde_json::to_value(row).ok())
        .collect();
    json!({"rows": data, "next": page.next_cursor})
}

/// Either of both is the answer.
pub(super) fn settled(step: Step<HttpResponse>) -> HttpResponse {
    step.unwrap_or_else(|answer| answer)
}

/// Runs a handler's steps; each may end it with an answer of its own.
macro_rules! steps {
    ($body:block) => {{
        let outcome: $crate::console::desk::Step<actix_web::HttpResponse> = async { $body }.await;
        $crate::console::desk::settled(outcome)
    }};
}
pub(super) use steps;
