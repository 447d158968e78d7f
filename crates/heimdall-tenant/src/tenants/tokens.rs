use std::sync::Arc;

use heimdall_token::crypto;
use heimdall_types::{CredentialId, Secret, UserId};
use serde_json::json;

use crate::cache::LiveClient;
use crate::caller::Caller;
use crate::change::{Change, Subject, Transition};
use crate::entity::{AppState, UserState};
use crate::error::{OAuthCode, TenantError};
use crate::input::TokenRequest;
use crate::ports::AppKey;
use crate::secrets::RefreshToken;
use crate::tenants::issue::{Issued, Shape};
use crate::tenants::{Tenants, again};
use crate::view::TokenAnswer;

/// How long after a rotation the same successor is answered again: a lost answer must not end a session.
const ROTATION_WINDOW: std::time::Duration = std::time::Duration::from_secs(10);
/// Longest life of a token that an operator mints for a user, in seconds.
const MINT_SECONDS: u32 = 900;

/// How a client proves itself, outside the parameters.
#[derive(Debug, Clone, Default)]
pub struct ClientAuth {
    /// User name and password of HTTP Basic, form-decoded (RFC 6749 §2.3.1).
    pub basic: Option<(String, Secret)>,
}

/// The grants of the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// `client_credentials`
    ClientCredentials,
    /// `refresh_token`
    RefreshToken,
    /// `urn:ietf:params:oauth:grant-type:token-exchange`
    TokenExchange,
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer`
    JwtBearer,
    /// `urn:heimdall:grant:user`
    MintForUser,
}

impl Grant {
    /// Every grant with its name on the wire, for discovery.
    pub const ALL: [(&'static str, Self); 5] = [
        ("client_credentials", Self::ClientCredentials),
        ("refresh_token", Self::RefreshToken),
        (
            "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::TokenExchange,
        ),
        (
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            Self::JwtBearer,
        ),
        ("urn:heimdall:grant:user", Self::MintForUser),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(name, _)| *name == text)
            .map(|(_, grant)| grant)
    }
}

impl Tenants {
    /// The token endpoint: of one App, or with `None` the one for all.
    ///
    /// # Errors
    /// [`TenantError::OAuth`] as RFC 6749 §5.2 wants it; [`TenantError::NotFound`] for a token of another App.
    pub async fn token(
        &self,
        caller: &Caller,
        app: Option<&str>,
        auth: &ClientAuth,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, TenantError> {
        let grant = request
            .grant_type
            .as_deref()
            .ok_or_else(|| invalid_request("`grant_type` is missing"))?;
        let grant = Grant::parse(grant).ok_or(TenantError::oauth(
            OAuthCode::UnsupportedGrantType,
            "this grant type is not supported",
        ))?;
        // An App that does not exist is answered as one where the caller is nobody.
        if let Some(app) = app {
            self.belongs(caller, app)?;
        }
        match grant {
            Grant::ClientCredentials => {
                let client = self.client(app, auth, request).await?;
                let issued = self.issue_to_client(&client, shape(request)?)?;
                Ok(answer(issued, request, None))
            }
            Grant::RefreshToken => self.refresh(app, request).await,
            Grant::TokenExchange => self.exchange(app, auth, request).await,
            Grant::JwtBearer => self.bearer_assertion(app, request).await,
            Grant::MintForUser => self.mint(caller, app, request).await,
        }
    }

    /// The client that authenticates itself, of a working App.
    pub(crate) async fn client(
        &self,
        app: Option<&str>,
        auth: &ClientAuth,
        request: &TokenRequest,
    ) -> Result<Arc<LiveClient>, TenantError> {
        if request.client_assertion.is_some() || request.client_assertion_type.is_some() {
            return self.client_by_assertion(app, request).await;
        }
        let (id, secret) = match (&auth.basic, &request.client_secret) {
            (Some(_), Some(_)) => {
                return Err(invalid_request("the client authenticates in two ways"));
            }
            (Some((id, secret)), None) => {
                if request.client_id.as_ref().is_some_and(|other| other != id) {
                    return Err(invalid_request("two different client ids"));
                }
                (id.as_str(), secret)
            }
            (None, Some(secret)) => (
                request
                    .client_id
                    .as_deref()
                    .ok_or_else(|| invalid_request("`client_id` is missing"))?,
                secret,
            ),
            (None, None) => return Err(invalid_client()),
        };
        let presented = self.inner.secrets.client_hash(secret.expose());
        let live = match id.parse::<CredentialId>() {
            Ok(id) => self.live_client(&id).await?,
            Err(_) => None,
        };
        let Some(live) = live else {
            return Err(invalid_client());
        };
        let mut right = false;
        for stored in &live.credential.secrets {
            right |= crypto::constant_time_eq(stored.hash.as_bytes(), presented.as_bytes());
        }
        if !right {
            return Err(invalid_client());
        }
        client_of(live, app)
    }

    async fn refresh(
        &self,
        app: Option<&str>,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, TenantError> {
        let presented = request
            .refresh_token
            .as_ref()
            .ok_or_else(|| invalid_request("`refresh_token` is missing"))?;
        let presented = RefreshToken::parse(presented.expose()).ok_or_else(invalid_grant)?;
        again!({
            let now = self.now();
            let found = self
                .ports()
                .sessions
                .session_anywhere(&presented.session)
                .await?;
            let Some(session) = found
                .filter(|session| self.inner.secrets.refresh_holds(&presented, &session.nonce))
            else {
                return Err(invalid_grant());
            };
            let model = self
                .model(AppKey::Id(&session.app_id))
                .await?
                .ok_or_else(invalid_grant)?;
            let here = app.is_none_or(|app| model.app.name == app || model.app.id.as_str() == app);
            if !here
                || session.revoked_at.is_some()
                || now >= session.expires_at
                || model.app.state != AppState::Active
            {
                return Err(invalid_grant());
            }
            let behind = session.generation - presented.generation;
            let repeated = behind == 1 && now < session.refreshed_at.plus(ROTATION_WINDOW);
            if behind != 0 && !repeated {
                // Somebody holds a token that was replaced: thief or victim, nobody can tell (RFC 9700 §4.14.2).
                self.end_session(&Caller::Anonymous, &session, "reuse of a refresh token")
                    .await?;
                return Err(invalid_grant());
            }
            let live = self
                .live_user(&model, &session.user_id, now)
                .await?
                .ok_or_else(invalid_grant)?;
            if live.row.state != UserState::Active {
                return Err(invalid_grant());
            }
            let shape = Shape {
                session: Some(session.id.clone()),
                ..shape(request)?
            };
            let seconds = model.app.settings.lifetimes.user_token_seconds;
            let issued = self.issue_to_user(&live, &session.user_id, seconds, shape)?;
            let mut next = session;
            if !repeated {
                next.generation += 1;
                next.refreshed_at = now;
                self.apply(Transition::of([Change::Session(Box::new(next.clone()))]))
                    .await?;
            }
            let token = self
                .inner
                .secrets
                .refresh_token(&next.id, &next.nonce, next.generation);
            Ok(answer(issued, request, Some(token)))
        })
    }

    async fn mint(
        &self,
        caller: &Caller,
        app: Option<&str>,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, TenantError> {
        self.operator(caller)?;
        let app = app.ok_or_else(|| invalid_request("this grant belongs to an App"))?;
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let user: UserId = request
            .user_id
            .as_deref()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| invalid_request("`user_id` is missing or no id"))?;
        let live = self
            .live_user(&model, &user, self.now())
            .await?
            .ok_or_else(invalid_grant)?;
        if live.row.state != UserState::Active || model.app.state != AppState::Active {
            return Err(invalid_grant());
        }
        let seconds = MINT_SECONDS.min(model.app.settings.lifetimes.user_token_seconds);
        let issued = self.issue_to_user(
            &live,
            &user,
            seconds,
            Shape {
                client_id: Some("admin".to_owned()),
                ..shape(request)?
            },
        )?;
        let mut transition = Transition::default();
        transition.journal.audit.push(self.audit(
            Some(&model.app.id),
            caller,
            "token.minted",
            user.as_str(),
            json!({"user_id": user, "seconds": seconds}),
        ));
        self.apply(transition).await?;
        Ok(answer(issued, request, None))
    }

    /// RFC 7009: revokes an access or a refresh token of the client's App. An unknown token is no error.
    ///
    /// # Errors
    /// [`TenantError::OAuth`] when the client does not authenticate itself.
    pub async fn revoke(
        &self,
        caller: &Caller,
        app: Option<&str>,
        auth: &ClientAuth,
        request: &TokenRequest,
        token: &Secret,
    ) -> Result<(), TenantError> {
        let (actor, within) = self.token_desk(caller, app, auth, request).await?;
        if let Some(refresh) = RefreshToken::parse(token.expose()) {
            let session = self
                .ports()
                .sessions
                .session_anywhere(&refresh.session)
                .await?;
            if let Some(session) =
                session.filter(|session| self.inner.secrets.refresh_holds(&refresh, &session.nonce))
                && within.as_ref().is_none_or(|app| *app == session.app_id)
            {
                self.end_session(&actor, &session, "revoked by a client")
                    .await?;
            }
            return Ok(());
        }
        let Some(good) = self.good_token(token.expose()).await? else {
            return Ok(());
        };
        let verified = &good.verified;
        if within.as_ref().is_some_and(|app| *app != verified.app_id) {
            return Ok(());
        }
        if let Some(id) = &verified.session
            && let Some(session) = self.ports().sessions.session(&verified.app_id, id).await?
        {
            return self
                .end_session(&actor, &session, "revoked by a client")
                .await;
        }
        let app_id = &verified.app_id;
        let deny = Change::DenyToken {
            app_id: app_id.clone(),
            id: verified.id.clone(),
            until: verified.claims.expires_at(),
        };
        let mut transition = Transition::of([deny]);
        transition.note(app_id, Subject::Token(verified.id.clone()), self.now());
        let data = json!({"sub": verified.claims.sub});
        transition.journal.audit.push(self.audit(
            Some(app_id),
            &actor,
            "token.revoked",
            verified.id.as_str(),
            data,
        ));
        Ok(self.apply(transition).await?)
    }

    /// Who may ask about tokens, and of which App: the operator about all, a client about those of its App.
    pub(crate) async fn token_desk(
        &self,
        caller: &Caller,
        app: Option<&str>,
        auth: &ClientAuth,
        request: &TokenRequest,
    ) -> Result<(Caller, Option<heimdall_types::AppId>), TenantError> {
        if caller.is_operator() {
            let within = match app {
                Some(app) => Some(
                    self.model_of(app)
                        .await?
                        .ok_or(TenantError::NotFound)?
                        .app
                        .id
                        .clone(),
                ),
                None => None,
            };
            return Ok((caller.clone(), within));
        }
        if let Some(app) = app {
            self.belongs(caller, app)?;
        }
        let client = self.client(app, auth, request).await?;
        let app_id = client.model.app.id.clone();
        let good = crate::caller::Principal {
            app_id: app_id.clone(),
            identity: crate::caller::Identity::Client(client.credential.id.clone()),
            claims: Arc::new(nobody(&client)),
            effective: Arc::clone(&client.effective),
            model: Arc::clone(&client.model),
        };
        Ok((Caller::Principal(Arc::new(good)), Some(app_id)))
    }
}

// A client that proved itself by its secret has no token; its principal carries the least that a token would.
fn nobody(client: &LiveClient) -> heimdall_token::AccessClaims {
    heimdall_token::AccessClaims {
        iss: String::new(),
        aud: Vec::new(),
        sub: client.credential.id.to_string(),
        user_id: None,
        app_id: client.model.app.id.to_string(),
        client_id: client.credential.id.to_string(),
        iat: 0,
        nbf: 0,
        exp: 0,
        jti: String::new(),
        sid: None,
        roles: Vec::new(),
        permissions: Vec::new(),
        scope: None,
        cnf: None,
        act: None,
    }
}

pub(crate) fn client_of(
    live: Arc<LiveClient>,
    app: Option<&str>,
) -> Result<Arc<LiveClient>, TenantError> {
    let own = &live.model.app;
    let here = app.is_none_or(|app| own.name == app || own.id.as_str() == app);
    if here && own.state == AppState::Active {
        Ok(live)
    } else {
        Err(invalid_client())
    }
}

pub(crate) fn shape(request: &TokenRequest) -> Result<Shape, TenantError> {
    let mut audiences = Vec::new();
    for target in [&request.resource, &request.audience].into_iter().flatten() {
        let plain = !target.is_empty()
            && target.len() <= 512
            && target.bytes().all(|c| c.is_ascii_graphic());
        if !plain {
            return Err(TenantError::oauth(
                OAuthCode::InvalidTarget,
                "`resource` and `audience` are names without spaces",
            ));
        }
        audiences.push(target.clone());
    }
    Ok(Shape {
        scope: request.scope.clone(),
        audiences,
        jkt: request.dpop_jkt.clone(),
        ..Shape::default()
    })
}

pub(crate) fn answer(
    issued: Issued,
    request: &TokenRequest,
    refresh_token: Option<String>,
) -> TokenAnswer {
    TokenAnswer {
        access_token: issued.token,
        token_type: if request.dpop_jkt.is_some() {
            "DPoP"
        } else {
            "Bearer"
        },
        expires_in: issued.expires_in,
        refresh_token,
        scope: request.scope.clone(),
        issued_token_type: None,
    }
}

pub(crate) fn invalid_request(description: &'static str) -> TenantError {
    TenantError::oauth(OAuthCode::InvalidRequest, description)
}

pub(crate) fn invalid_client() -> TenantError {
    TenantError::oauth(
        OAuthCode::InvalidClient,
        "the client could not be authenticated",
    )
}

pub(crate) fn invalid_grant() -> TenantError {
    TenantError::oauth(
        OAuthCode::InvalidGrant,
        "the grant is invalid, expired, revoked or another client's",
    )
}
