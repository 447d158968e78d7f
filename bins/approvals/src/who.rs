//! Who calls: an App token or admin key in JSON routes, a session cookie or Basic in the portal.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use heimdall_approval::request::Requester;
use heimdall_approval::{Identity, Person};
use heimdall_server::{Authorization, Edge, Problem, cookie};
use heimdall_tenant::entity::{User, UserState};
use heimdall_tenant::input::{Login, SecondProof};
use heimdall_tenant::ports::Directory;
use heimdall_tenant::view::SecondStep;
use heimdall_tenant::{Authenticated, Caller, TenantError};
use heimdall_types::{Actor, AppId, Secret, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::deps::Deps;
use crate::opaque;
use crate::refusal::tenant;

const PURPOSE: &str = "portal-session";
const COOKIE: &str = "heimdall_session";
/// A portal session ends after this, in seconds.
const SESSION_SECONDS: i64 = 8 * 3600;

/// The holder of a token in a JSON route. Cookies are never looked at.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Caller);

impl FromRequest for Who {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let deps = deps(&request)?;
            match Authorization::of(&request)? {
                Some(Authorization::Bearer(token)) => deps
                    .tenants
                    .caller(token.expose())
                    .await
                    .map(Self)
                    .map_err(tenant),
                _ => Err(Problem::unauthorized("a bearer token is needed")),
            }
        }
        .boxed_local()
    }
}

pub(crate) fn deps(request: &HttpRequest) -> Result<web::Data<Deps>, Problem> {
    request
        .app_data::<web::Data<Deps>>()
        .cloned()
        .ok_or_else(|| Problem::internal("no dependencies"))
}

impl Who {
    /// The App that the path names, when the caller belongs to it or is the operator.
    pub(crate) async fn app(&self, deps: &Deps, app: &str) -> Result<AppId, Problem> {
        match &self.0 {
            Caller::Principal(principal)
                if principal.model.app.name == app || principal.app_id.as_str() == app =>
            {
                Ok(principal.app_id.clone())
            }
            Caller::AdminKey(_) | Caller::System => {
                Ok(deps.tenants.app(&self.0, app).await.map_err(tenant)?.id)
            }
            _ => Err(Problem::not_found()),
        }
    }

    pub(crate) fn may(&self, permission: &str) -> bool {
        match &self.0 {
            Caller::AdminKey(_) | Caller::System => true,
            Caller::Principal(principal) => principal.may(permission),
            _ => false,
        }
    }

    pub(crate) fn must(&self, permission: &str) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        let message = format!("this needs the permission `{permission}`");
        Err(Problem::forbidden("forbidden", message)
            .extension("missing_permissions", vec![permission]))
    }

    pub(crate) fn user(&self) -> Option<&UserId> {
        self.0.user()
    }

    pub(crate) fn actor(&self) -> Actor {
        self.0.actor()
    }
}

/// A user of the portal.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) app_id: AppId,
    pub(crate) app: String,
    pub(crate) user: User,
    /// What form tokens are bound to.
    pub(crate) session: String,
}

#[derive(Serialize, Deserialize)]
struct Cookie {
    app: AppId,
    user: UserId,
    iat: Timestamp,
    id: String,
}

impl Viewer {
    pub(crate) fn requester(&self) -> Requester {
        Requester {
            id: self.user.id.clone(),
            email: self.user.email.clone(),
            name: self.user.display_name.clone(),
        }
    }

    pub(crate) fn person(&self) -> Person {
        let ways = [
            Identity::user(&self.user.id),
            Identity::email(&self.user.email),
        ];
        Person::new(&self.user.display_name, ways)
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::User {
            id: self.user.id.to_string(),
        }
    }

    /// The viewer of a request: by cookie, else by Basic with `app/e-mail` as the user name.
    pub(crate) async fn of(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let deps = deps(request)?;
        if let Some(viewer) = Self::by_cookie(&deps, request).await? {
            return Ok(Some(viewer));
        }
        let Ok(Some(Authorization::Basic { user, password })) = Authorization::of(request) else {
            return Ok(None);
        };
        let Some((app, email)) = user.split_once('/') else {
            return Ok(None);
        };
        match log_in(&deps, request, app, email, password).await {
            Ok(Entry::In(viewer, _)) => Ok(Some(*viewer)),
            Err(TenantError::Fault(fault)) => Err(fault.into()),
            // Basic has no place for a second factor: who has one signs in on the page.
            Ok(Entry::SecondStep(_)) | Err(_) => Ok(None),
        }
    }

    async fn by_cookie(deps: &Deps, request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let Some(text) = cookie::read(request, COOKIE, encrypted(deps)) else {
            return Ok(None);
        };
        let Some(cookie) = opaque::open::<Cookie>(&deps.root_key, PURPOSE, &text) else {
            return Ok(None);
        };
        let age = deps.clock.now().seconds() - cookie.iat.seconds();
        if !(0..SESSION_SECONDS).contains(&age) {
            return Ok(None);
        }
        let Some(user) = deps.store.user(&cookie.app, &cookie.user).await? else {
            return Ok(None);
        };
        // A changed password, a suspended user or revoked sessions end the portal's sessions too.
        if user.state != UserState::Active || cookie.iat <= user.tokens_after {
            return Ok(None);
        }
        let app = match deps.tenants.app(&Caller::System, cookie.app.as_str()).await {
            Ok(app) => app.name,
            Err(TenantError::Fault(fault)) => return Err(fault.into()),
            Err(_) => return Ok(None),
        };
        Ok(Some(Self {
            app_id: cookie.app,
            app,
            user,
            session: cookie.id,
        }))
    }
}

/// What a right password leads to.
pub(crate) enum Entry {
    /// The viewer and the value of the session cookie.
    In(Box<Viewer>, String),
    /// The question for the second factor.
    SecondStep(Box<SecondStep>),
}

/// Checks a password.
pub(crate) async fn log_in(
    deps: &Deps,
    request: &HttpRequest,
    app: &str,
    email: &str,
    password: Secret,
) -> Result<Entry, TenantError> {
    counted(request, &format!("{app}/{email}"))?;
    let login = Login {
        email: email.to_owned(),
        password,
    };
    match deps.tenants.authenticate(app, login).await? {
        Authenticated::SecondStep(step) => Ok(Entry::SecondStep(step)),
        Authenticated::Done(app_id, user_id) => enter(deps, app, app_id, user_id).await,
    }
}

/// Checks the second factor.
pub(crate) async fn log_in_second(
    deps: &Deps,
    request: &HttpRequest,
    app: &str,
    proof: SecondProof,
) -> Result<Entry, TenantError> {
    counted(request, proof.mfa_token.expose())?;
    let (app_id, user_id) = deps.tenants.finish_authentication(app, proof).await?;
    enter(deps, app, app_id, user_id).await
}

fn counted(request: &HttpRequest, account: &str) -> Result<(), TenantError> {
    let edge = request.app_data::<web::Data<Edge>>();
    let counted = edge.map_or(Ok(()), |edge| {
        edge.counters().login(edge.source_of(request), account)
    });
    counted.map_err(|_| TenantError::Throttled {
        retry_after: std::time::Duration::from_secs(60),
    })
}

async fn enter(
    deps: &Deps,
    app: &str,
    app_id: AppId,
    user_id: UserId,
) -> Result<Entry, TenantError> {
    let user = deps
        .store
        .user(&app_id, &user_id)
        .await?
        .ok_or(TenantError::Unauthenticated)?;
    let mut random = [0u8; 16];
    deps.rng.fill(&mut random);
    let id = heimdall_token::crypto::base64url(&random);
    let cookie = Cookie {
        app: app_id.clone(),
        user: user_id,
        iat: deps.clock.now(),
        id: id.clone(),
    };
    let text = opaque::seal(&deps.root_key, PURPOSE, &cookie, deps.rng.as_ref());
    let viewer = Viewer {
        app_id,
        app: app.to_owned(),
        user,
        session: id,
    };
    Ok(Entry::In(Box::new(viewer), text))
}

/// The session cookie with this value.
pub(crate) fn session_cookie(deps: &Deps, value: String) -> actix_web::cookie::Cookie<'static> {
    cookie::session(COOKIE, value, encrypted(deps), Some(SESSION_SECONDS))
}

/// A cookie that ends the session.
pub(crate) fn no_session(deps: &Deps) -> actix_web::cookie::Cookie<'static> {
    cookie::forget(COOKIE, encrypted(deps))
}

fn encrypted(deps: &Deps) -> bool {
    deps.base_url.starts_with("https://")
}
