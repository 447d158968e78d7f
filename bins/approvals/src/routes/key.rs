//! Who calls `/webapi/v2`: the holder of an API key, or an App token or admin key with the same rights.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use heimdall_approval::workflows::{API_KEY_PREFIX, ApiKey, Privilege};
use heimdall_server::{Authorization, Edge, Problem};
use heimdall_types::{Actor, AppId, Secret};

use crate::deps::Deps;
use crate::refusal::tenant;
use crate::who::{Who, deps};

/// The caller of the approvals API.
#[derive(Debug, Clone)]
pub(crate) enum Key {
    /// An API key, in its App.
    Api(ApiKey),
    /// A token of an App.
    Token(Who, AppId),
}

impl FromRequest for Key {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let deps = deps(&request)?;
            let Some(Authorization::Bearer(token)) = Authorization::of(&request)? else {
                return Err(Problem::unauthorized("an API key is needed"));
            };
            if token.expose().starts_with(API_KEY_PREFIX) {
                return valid(&deps, &request, &token)
                    .await?
                    .map(Self::Api)
                    .ok_or_else(|| Problem::unauthorized("the key is not valid"));
            }
            let caller = deps.tenants.caller(token.expose()).await.map_err(tenant)?;
            match &caller {
                heimdall_tenant::Caller::Principal(principal) => {
                    let app = principal.app_id.clone();
                    Ok(Self::Token(Who(caller), app))
                }
                _ => Err(Problem::forbidden(
                    "api_key_needed",
                    "this acts in the App of an API key or App token",
                )),
            }
        }
        .boxed_local()
    }
}

/// The API key that this token is, if it may be used now and from where the request came.
pub(crate) async fn valid(
    deps: &Deps,
    request: &HttpRequest,
    token: &Secret,
) -> Result<Option<ApiKey>, Problem> {
    let edge = request.app_data::<web::Data<Edge>>();
    let peer = || request.peer_addr().map(|peer| peer.ip());
    let source = edge.map(|edge| edge.source_of(request)).or_else(peer);
    let source = source.ok_or_else(|| Problem::internal("a request without a source"))?;
    Ok(deps.workflows.api_key(token.expose(), source).await?)
}

impl Key {
    /// The App that it acts in, when it may do this.
    pub(crate) fn must(&self, privilege: Privilege) -> Result<&AppId, Problem> {
        let (app, permission) = match self {
            Self::Api(key) if key.may(privilege) => return Ok(&key.app_id),
            Self::Api(_) => {
                return Err(Problem::forbidden(
                    "forbidden",
                    "the key does not have this privilege",
                ));
            }
            Self::Token(_, app) => match privilege {
                Privilege::Read => (app, "approvals:read"),
                _ => (app, "approvals:write"),
            },
        };
        match self {
            Self::Token(who, _) => who.must(permission).map(|()| app),
            Self::Api(_) => Ok(app),
        }
    }

    /// Who goes into the audit.
    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Api(key) => Actor::ApiKey {
                id: key.id.to_string(),
            },
            Self::Token(who, _) => who.actor(),
        }
    }
}
