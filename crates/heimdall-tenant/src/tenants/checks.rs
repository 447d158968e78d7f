use std::collections::BTreeSet;

use heimdall_token::AccessClaims;
use heimdall_types::Secret;
use serde::Serialize;

use crate::caller::Caller;
use crate::error::TenantError;
use crate::input::TokenRequest;
use crate::permission::Permission;
use crate::tenants::Tenants;
use crate::tenants::authenticate::Good;
use crate::tenants::tokens::ClientAuth;
use crate::view::{Decision, PermissionDecision};

/// Most questions in one batch.
const MAX_QUESTIONS: usize = 100;

/// What a token is worth at this moment (RFC 7662 §2.2). `roles` and `permissions` are live, not those of its issuance.
#[derive(Debug, Clone, Serialize)]
pub struct Introspection {
    /// Whether it is good. Nothing else is said of a token that is not.
    pub active: bool,
    /// How it is presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Its claims, with live authority.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub claims: Option<AccessClaims>,
}

impl Introspection {
    const INACTIVE: Self = Self {
        active: false,
        token_type: None,
        claims: None,
    };

    fn of(good: &Good) -> Self {
        let mut claims = AccessClaims::clone(&good.verified.claims);
        claims.roles.clone_from(&good.effective.roles);
        claims.permissions = good
            .model
            .permissions(&good.effective)
            .map(str::to_owned)
            .collect();
        let token_type = if claims.cnf.is_some() {
            "DPoP"
        } else {
            "Bearer"
        };
        Self {
            active: true,
            token_type: Some(token_type),
            claims: Some(claims),
        }
    }
}

impl Tenants {
    /// Whether the holder of `token` holds every one of `permissions` at this moment.
    ///
    /// # Errors
    /// [`TenantError::Unauthenticated`] for a bad token, [`TenantError::NotFound`] for one of another App,
    /// [`TenantError::Invalid`] for no permission or one that is none.
    pub async fn authorize(
        &self,
        app: &str,
        token: &Secret,
        permissions: &[String],
    ) -> Result<Decision, TenantError> {
        let good = self.token_of(app, token).await?;
        if permissions.is_empty() {
            return Err(TenantError::invalid("permission", "is missing"));
        }
        if permissions.len() > MAX_QUESTIONS {
            return Err(TenantError::invalid("permissions", "are more than 100"));
        }
        let mut missing = BTreeSet::new();
        for permission in permissions {
            concrete(permission)?;
            if !good.model.allows(&good.effective, permission) {
                missing.insert(permission.clone());
            }
        }
        Ok(Decision {
            authorized: missing.is_empty(),
            missing_permissions: missing.into_iter().collect(),
        })
    }

    /// One decision for each of up to 100 permissions.
    ///
    /// # Errors
    /// As [`Tenants::authorize`].
    pub async fn authorize_batch(
        &self,
        app: &str,
        token: &Secret,
        permissions: &[String],
    ) -> Result<Vec<PermissionDecision>, TenantError> {
        let good = self.token_of(app, token).await?;
        if permissions.is_empty() || permissions.len() > MAX_QUESTIONS {
            return Err(TenantError::invalid("permissions", "must be 1 to 100"));
        }
        permissions
            .iter()
            .map(|permission| {
                concrete(permission)?;
                let authorized = good.model.allows(&good.effective, permission);
                Ok(PermissionDecision {
                    permission: permission.clone(),
                    authorized,
                })
            })
            .collect()
    }

    /// What a token is worth, for anybody who has it; a bad one is not an error, and neither is one of another App.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verify(&self, app: &str, token: &Secret) -> Result<Introspection, TenantError> {
        // Nobody learns from a token of his own whether there is such an App.
        let Some(model) = self.model_of(app).await? else {
            return Ok(Introspection::INACTIVE);
        };
        let good = self
            .good_token(token.expose())
            .await?
            .filter(|good| good.model.app.id == model.app.id);
        Ok(good
            .as_ref()
            .map_or(Introspection::INACTIVE, Introspection::of))
    }

    /// RFC 7662, for a client about tokens of its own App and for the operator about all.
    ///
    /// # Errors
    /// [`TenantError::OAuth`] when the client does not authenticate itself.
    pub async fn introspect(
        &self,
        caller: &Caller,
        app: Option<&str>,
        auth: &ClientAuth,
        request: &TokenRequest,
        token: &Secret,
    ) -> Result<Introspection, TenantError> {
        let (_, within) = self.token_desk(caller, app, auth, request).await?;
        let good = self.good_token(token.expose()).await?;
        let good = good.filter(|good| within.as_ref().is_none_or(|app| *app == good.model.app.id));
        Ok(good
            .as_ref()
            .map_or(Introspection::INACTIVE, Introspection::of))
    }

    async fn token_of(&self, app: &str, token: &Secret) -> Result<Good, TenantError> {
        let good = self
            .good_token(token.expose())
            .await?
            .ok_or(TenantError::Unauthenticated)?;
        let own = &good.model.app;
        if own.name == app || own.id.as_str() == app {
            Ok(good)
        } else {
            Err(TenantError::NotFound)
        }
    }
}

fn concrete(permission: &str) -> Result<(), TenantError> {
    permission
        .parse::<Permission>()
        .map(|_| ())
        .map_err(|error| TenantError::invalid("permission", error.to_string()))
}
