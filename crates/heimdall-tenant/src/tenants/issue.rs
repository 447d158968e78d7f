use std::sync::Arc;

use heimdall_token::{AccessClaims, Confirmation, Signer, TokenError};
use heimdall_types::{Fault, SessionId, Timestamp, TokenId, UserId};
use serde_json::Value;

use crate::authority::{Effective, Model};
use crate::cache::{LiveClient, LiveUser};
use crate::entity::Credential;
use crate::error::{OAuthCode, TenantError};
use crate::tenants::Tenants;
use crate::tenants::authenticate::within_scope;

/// A longer token would not fit into the headers that servers take.
const MAX_TOKEN_BYTES: usize = 7 * 1024;

/// The `client_id` in tokens of logins.
pub(crate) const SESSIONS_CLIENT: &str = "sessions";

/// What one token carries besides its subject's authority.
#[derive(Debug, Default, Clone)]
pub(crate) struct Shape {
    pub(crate) scope: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) jkt: Option<String>,
    pub(crate) act: Option<Value>,
    pub(crate) session: Option<SessionId>,
    pub(crate) client_id: Option<String>,
    pub(crate) not_after: Option<Timestamp>,
}

/// A token and how long it lives, in seconds.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) expires_in: u32,
}

impl Shape {
    fn plain(&self) -> bool {
        self.scope.is_none()
            && self.audiences.is_empty()
            && self.jkt.is_none()
            && self.act.is_none()
            && self.not_after.is_none()
    }
}

impl Tenants {
    pub(crate) fn issue_to_user(
        &self,
        live: &LiveUser,
        user: &UserId,
        seconds: u32,
        shape: Shape,
    ) -> Result<Issued, TenantError> {
        let effective = narrow(&live.model, &live.effective, shape.scope.as_deref())?;
        let client_id = shape
            .client_id
            .clone()
            .unwrap_or_else(|| SESSIONS_CLIENT.to_owned());
        self.issue(
            &live.model,
            user.as_str(),
            Some(user.as_str()),
            client_id,
            &effective,
            live.row.tokens_after,
            seconds,
            true,
            shape,
        )
    }

    pub(crate) fn issue_to_client(
        &self,
        live: &LiveClient,
        shape: Shape,
    ) -> Result<Issued, TenantError> {
        let credential = &live.credential;
        let seconds = live.model.app.settings.lifetimes.machine_token_seconds;
        if shape.plain() {
            return self.issue_plainly(live, seconds);
        }
        let effective = narrow(&live.model, &live.effective, shape.scope.as_deref())?;
        let id = credential.id.to_string();
        self.issue(
            &live.model,
            &id,
            None,
            id.clone(),
            &effective,
            credential.tokens_after,
            seconds,
            !credential.roles_only,
            shape,
        )
    }

    // An App whose algorithm has lost its key is served by the installation's: better than by none.
    fn signer(&self, model: &Model) -> Result<Signer, TenantError> {
        let keys = &self.ports().keys;
        let own = model.app.settings.algorithm;
        own.and_then(|algorithm| keys.signer_for(algorithm))
            .or_else(|| keys.signer())
            .ok_or_else(no_key)
    }

    /// The hot path: everything but times and `jti` was written down when the credential was loaded.
    fn issue_plainly(&self, live: &LiveClient, seconds: u32) -> Result<Issued, TenantError> {
        let now = self.now();
        let iat = issued_at(now, live.credential.tokens_after);
        let exp = iat + i64::from(seconds);
        let jti = TokenId::generate(now, self.rng());
        let claims = format!(
            r#"{{"iat":{iat},"nbf":{nbf},"exp":{exp},"jti":"{jti}"{fixed}}}"#,
            nbf = now.seconds(),
            fixed = live.fixed_claims,
        );
        let signer = self.signer(&live.model)?;
        let token = signer
            .sign_json(Some(AccessClaims::TYP), &claims)
            .map_err(unsigned)?;
        sized(token, seconds)
    }

    pub(crate) fn fixed_client_claims(
        &self,
        model: &Model,
        credential: &Credential,
        effective: &Effective,
    ) -> Result<String, TenantError> {
        let id = credential.id.as_str();
        let permissions: Vec<&str> = if credential.roles_only {
            Vec::new()
        } else {
            model.permissions(effective).collect()
        };
        let members = serde_json::json!({
            "iss": self.inner.settings.issuer, "aud": model.app.name, "sub": id, "app_id": model.app.id, "client_id": id,
            "roles": effective.roles, "permissions": permissions,
        });
        let text =
            serde_json::to_string(&members).map_err(|error| Fault::Corrupt(error.to_string()))?;
        // `{"a":1}` → `,"a":1`
        Ok(format!(
            ",{}",
            text.trim_start_matches('{')
                .strip_suffix('}')
                .unwrap_or_default()
        ))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one private place where claims are put together"
    )]
    fn issue(
        &self,
        model: &Arc<Model>,
        sub: &str,
        user_id: Option<&str>,
        client_id: String,
        effective: &Effective,
        tokens_after: Timestamp,
        seconds: u32,
        with_permissions: bool,
        shape: Shape,
    ) -> Result<Issued, TenantError> {
        let now = self.now();
        let iat = issued_at(now, tokens_after);
        let exp = iat.saturating_add(i64::from(seconds));
        let exp = shape.not_after.map_or(exp, |end| exp.min(end.seconds()));
        let mut aud = vec![model.app.name.clone()];
        aud.extend(
            shape
                .audiences
                .into_iter()
                .filter(|audience| *audience != model.app.name),
        );
        let permissions = if with_permissions {
            model.permissions(effective).map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        let claims = AccessClaims {
            iss: self.inner.settings.issuer.clone(),
            aud,
            sub: sub.to_owned(),
            user_id: user_id.map(str::to_owned),
            app_id: model.app.id.to_string(),
            client_id,
            iat,
            nbf: now.seconds(),
            exp,
            jti: TokenId::generate(now, self.rng()).to_string(),
            sid: shape.session.map(String::from),
            roles: effective.roles.clone(),
            permissions,
            scope: shape.scope,
            cnf: shape.jkt.map(|jkt| Confirmation { jkt }),
            act: shape.act,
        };
        let signer = self.signer(model)?;
        let token = claims.issue(&signer).map_err(unsigned)?;
        sized(token, u32::try_from(exp - iat).unwrap_or(0))
    }
}

// Tokens of the second in which all older ones were revoked must be told from them; see `issued_after`.
fn issued_at(now: Timestamp, tokens_after: Timestamp) -> i64 {
    if tokens_after == Timestamp::default() {
        now.seconds()
    } else {
        now.seconds().max(tokens_after.seconds() + 1)
    }
}

fn narrow(
    model: &Model,
    effective: &Effective,
    scope: Option<&str>,
) -> Result<Effective, TenantError> {
    let Some(scope) = scope else {
        return Ok(effective.clone());
    };
    let held = scope
        .split(' ')
        .all(|wanted| model.allows(effective, wanted));
    if scope.is_empty() || !held {
        return Err(TenantError::oauth(
            OAuthCode::InvalidScope,
            "the scope names a permission that is not held",
        ));
    }
    Ok(within_scope(model, effective, scope))
}

fn sized(token: String, expires_in: u32) -> Result<Issued, TenantError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TenantError::oauth(
            OAuthCode::TokenTooLarge,
            "the token would exceed 7 KB: ask for a scope, or set roles_only",
        ));
    }
    Ok(Issued { token, expires_in })
}

fn no_key() -> TenantError {
    TenantError::Fault(Fault::Unavailable(
        "there is no active signing key".to_owned(),
    ))
}

fn unsigned(error: TokenError) -> TenantError {
    TenantError::Fault(Fault::Unavailable(error.to_string()))
}
