use std::collections::HashSet;
use std::sync::Arc;

use heimdall_token::{
    Claims, Policy, PublicKeys, RemoteJwks, RemoteJwksSettings, Unverified, Verifier,
};
use heimdall_types::CredentialId;
use serde_json::json;

use crate::cache::LiveClient;
use crate::caller::Identity;
use crate::error::{OAuthCode, TenantError};
use crate::input::TokenRequest;
use crate::tenants::Tenants;
use crate::tenants::issue::Shape;
use crate::tenants::tokens::{
    ClientAuth, answer, client_of, invalid_client, invalid_grant, invalid_request, shape,
};
use crate::view::TokenAnswer;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// An assertion must not live longer: it is a proof of the moment (RFC 7523 §3).
const MAX_ASSERTION_SECONDS: i64 = 300;

impl Tenants {
    /// RFC 8693: a client acts for the user whose token it holds, with no more than both may do.
    pub(crate) async fn exchange(
        &self,
        app: Option<&str>,
        auth: &ClientAuth,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, TenantError> {
        let client = self.client(app, auth, request).await?;
        let subject = request
            .subject_token
            .as_ref()
            .ok_or_else(|| invalid_request("`subject_token` is missing"))?;
        let known =
            |kind: &Option<String>| kind.as_deref().is_none_or(|kind| kind == ACCESS_TOKEN_TYPE);
        if request.subject_token_type.is_none()
            || !known(&request.subject_token_type)
            || !known(&request.requested_token_type)
        {
            return Err(invalid_request(
                "only access tokens can be exchanged, for access tokens",
            ));
        }
        if request.actor_token.is_some() {
            return Err(invalid_request(
                "the client is the actor; `actor_token` is not supported",
            ));
        }
        let good = self
            .good_token(subject.expose())
            .await?
            .ok_or_else(invalid_grant)?;
        let Identity::User(user) = &good.verified.identity else {
            return Err(invalid_grant());
        };
        let bound = good.verified.claims.cnf.as_ref().map(|bound| &bound.jkt);
        let proved = bound.is_none() || bound == request.dpop_jkt.as_ref();
        if good.verified.app_id != client.model.app.id || !proved {
            return Err(invalid_grant());
        }
        let live = self
            .live_user(&good.model, user, self.now())
            .await?
            .ok_or_else(invalid_grant)?;
        let both: Vec<&str> = good
            .model
            .permissions(&good.effective)
            .filter(|permission| client.model.allows(&client.effective, permission))
            .collect();
        let wanted: HashSet<&str> = request
            .scope
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .filter(|it| !it.is_empty())
            .collect();
        if wanted.iter().any(|wanted| !both.contains(wanted)) {
            return Err(TenantError::oauth(
                OAuthCode::InvalidScope,
                "the scope exceeds what both may do",
            ));
        }
        let granted: Vec<&str> = both
            .into_iter()
            .filter(|it| wanted.is_empty() || wanted.contains(it))
            .collect();
        if granted.is_empty() {
            return Err(TenantError::oauth(
                OAuthCode::InvalidScope,
                "user and client have no permission in common",
            ));
        }
        let mut act = json!({"sub": client.credential.id});
        if let (Some(earlier), Some(members)) = (&good.verified.claims.act, act.as_object_mut()) {
            members.insert("act".to_owned(), earlier.clone());
        }
        let scope = granted.join(" ");
        let narrowed = Shape {
            scope: Some(scope.clone()),
            act: Some(act),
            session: good.verified.session.clone(),
            client_id: Some(client.credential.id.to_string()),
            not_after: Some(good.verified.claims.expires_at()),
            ..shape(request)?
        };
        let seconds = good.model.app.settings.lifetimes.user_token_seconds;
        let issued = self.issue_to_user(&live, user, seconds, narrowed)?;
        Ok(TokenAnswer {
            scope: Some(scope),
            issued_token_type: Some(ACCESS_TOKEN_TYPE),
            ..answer(issued, request, None)
        })
    }

    /// RFC 7523 §2.1: a client's own signed assertion instead of its secret, as a grant.
    pub(crate) async fn bearer_assertion(
        &self,
        app: Option<&str>,
        request: &TokenRequest,
    ) -> Result<TokenAnswer, TenantError> {
        let assertion = request
            .assertion
            .as_ref()
            .ok_or_else(|| invalid_request("`assertion` is missing"))?;
        let client = self
            .asserted(app, assertion.expose())
            .await?
            .ok_or_else(invalid_grant)?;
        let issued = self.issue_to_client(&client, shape(request)?)?;
        Ok(answer(issued, request, None))
    }

    /// RFC 7523 §2.2: `private_key_jwt`.
    pub(crate) async fn client_by_assertion(
        &self,
        app: Option<&str>,
        request: &TokenRequest,
    ) -> Result<Arc<LiveClient>, TenantError> {
        if request.client_assertion_type.as_deref() != Some(ASSERTION_TYPE) {
            return Err(invalid_request(
                "`client_assertion_type` is missing or unknown",
            ));
        }
        let assertion = request
            .client_assertion
            .as_ref()
            .ok_or_else(|| invalid_request("`client_assertion` is missing"))?;
        let client = self
            .asserted(app, assertion.expose())
            .await?
            .ok_or_else(invalid_client)?;
        if request
            .client_id
            .as_ref()
            .is_some_and(|id| id != client.credential.id.as_str())
        {
            return Err(invalid_client());
        }
        Ok(client)
    }

    async fn asserted(
        &self,
        app: Option<&str>,
        assertion: &str,
    ) -> Result<Option<Arc<LiveClient>>, TenantError> {
        let Some(id) = claimed_client(assertion) else {
            return Ok(None);
        };
        let Some(live) = self.live_client(&id).await? else {
            return Ok(None);
        };
        let kid = Unverified::parse(assertion)
            .ok()
            .and_then(|it| it.kid().ok().flatten().map(str::to_owned));
        let Some(keys) = self.keys_of(&live, kid.as_deref()).await? else {
            return Ok(None);
        };
        let now = self.now();
        let issuer = &self.inner.settings.issuer;
        let policy = Policy::new("JWT")
            .any_type()
            .key_id_optional()
            .issuer(id.as_str())
            .audience(issuer)
            .audience(format!("{issuer}/v1/tokens"))
            .audience(format!("{issuer}/v1/apps/{}/tokens", live.model.app.name))
            .require("jti")
            .require("sub");
        let Ok(claims) = Verifier::new(policy).verify(assertion, &keys, now) else {
            return Ok(None);
        };
        let own = claims.subject() == Some(id.as_str());
        let short = claims
            .expires_at()
            .is_some_and(|exp| exp.seconds() - now.seconds() <= MAX_ASSERTION_SECONDS);
        let Some(jti) = claims
            .token_id()
            .filter(|jti| own && short && jti.len() <= 128)
        else {
            return Ok(None);
        };
        if !self
            .inner
            .caches
            .first_use(&id, jti, claims.expires_at().unwrap_or(now), now)
        {
            return Ok(None);
        }
        Ok(client_of(live, app).ok())
    }

    async fn keys_of(
        &self,
        live: &LiveClient,
        kid: Option<&str>,
    ) -> Result<Option<Arc<PublicKeys>>, TenantError> {
        if let Some(set) = &live.credential.jwks {
            return Ok(PublicKeys::parse(set.to_string().as_bytes())
                .ok()
                .map(Arc::new));
        }
        let (Some(uri), Some(fetch)) = (&live.credential.jwks_uri, &self.ports().client_keys)
        else {
            return Ok(None);
        };
        let remote = self.inner.caches.key_set(uri, || {
            let clock = Arc::clone(&self.ports().clock);
            RemoteJwks::new(uri, Arc::clone(fetch), clock, RemoteJwksSettings::default())
        });
        let keys = match kid {
            Some(kid) => remote.keys_with(kid).await,
            None => remote.keys().await,
        };
        // A set that cannot be had is the client's trouble, not ours: it does not authenticate.
        Ok(keys.ok())
    }
}

// Only to know whose keys to ask; nothing of it is trusted before the signature holds.
fn claimed_client(assertion: &str) -> Option<CredentialId> {
    let claims: Claims = Unverified::parse(assertion).ok()?.claims().ok()?;
    claims.issuer()?.parse().ok()
}
