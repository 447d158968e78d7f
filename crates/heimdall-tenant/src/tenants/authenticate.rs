use std::collections::HashSet;
use std::sync::Arc;

use heimdall_token::{AccessClaims, Policy, Verifier, crypto};
use heimdall_types::{AppId, CredentialId, SessionId, Timestamp, TokenId, UserId};

use crate::authority::{Effective, Model};
use crate::cache::{LiveClient, LiveUser, Verified};
use crate::caller::{Caller, Identity, Principal};
use crate::entity::{AppState, UserState};
use crate::error::TenantError;
use crate::ports::{AppKey, StandingRow};
use crate::secrets::ADMIN_KEY_PREFIX;
use crate::tenants::Tenants;

/// A token that is good at this moment, and what its holder may do.
pub(crate) struct Good {
    pub(crate) verified: Arc<Verified>,
    pub(crate) model: Arc<Model>,
    pub(crate) effective: Arc<Effective>,
}

impl Tenants {
    /// Who sends this bearer credential: an admin key or an access token of ours.
    ///
    /// # Errors
    /// [`TenantError::Unauthenticated`] for anything that is neither, or no longer.
    pub async fn caller(&self, bearer: &str) -> Result<Caller, TenantError> {
        if bearer.starts_with(ADMIN_KEY_PREFIX) {
            return self.admin_caller(bearer).await;
        }
        self.holder(bearer, None).await
    }

    /// As [`Tenants::caller`], for a token that came with a DPoP proof, verified by the channel, of the key with the
    /// thumbprint `jkt`. A bound token without its proof is refused by both.
    ///
    /// # Errors
    /// [`TenantError::Unauthenticated`], also for a token that is bound to another key or to none.
    pub async fn caller_with_proof(&self, token: &str, jkt: &str) -> Result<Caller, TenantError> {
        self.holder(token, Some(jkt)).await
    }

    async fn holder(&self, token: &str, jkt: Option<&str>) -> Result<Caller, TenantError> {
        let good = self
            .good_token(token)
            .await?
            .ok_or(TenantError::Unauthenticated)?;
        // Else whoever steals a bound token could use it as a plain one (RFC 9449 §7.2).
        if good
            .verified
            .claims
            .cnf
            .as_ref()
            .map(|bound| bound.jkt.as_str())
            != jkt
        {
            return Err(TenantError::Unauthenticated);
        }
        Ok(Caller::Principal(Arc::new(Principal {
            app_id: good.verified.app_id.clone(),
            identity: good.verified.identity.clone(),
            claims: Arc::clone(&good.verified.claims),
            effective: good.effective,
            model: good.model,
        })))
    }

    async fn admin_caller(&self, key: &str) -> Result<Caller, TenantError> {
        let hash = self.inner.secrets.admin_hash(key);
        let now = self.now();
        if let Some(id) = self.inner.caches.admin_key(&hash, now) {
            return Ok(Caller::AdminKey(id));
        }
        let ticket = self.inner.caches.ticket();
        let record = self
            .ports()
            .apps
            .admin_key(&hash)
            .await?
            .ok_or(TenantError::Unauthenticated)?;
        self.inner.caches.keep_admin_key(
            &hash,
            &record.id,
            ticket,
            now.plus(self.inner.settings.cache_age),
        );
        Ok(Caller::AdminKey(record.id))
    }

    /// What `token` is worth at this moment; `None` when nothing.
    pub(crate) async fn good_token(&self, token: &str) -> Result<Option<Good>, TenantError> {
        let now = self.now();
        let Some(verified) = self.verified(token, now) else {
            return Ok(None);
        };
        let Some(model) = self.model(AppKey::Id(&verified.app_id)).await? else {
            return Ok(None);
        };
        if model.app.state != AppState::Active
            || self
                .denied(&verified.app_id, now)
                .await?
                .contains(&verified.id)
        {
            return Ok(None);
        }
        let effective = match &verified.identity {
            Identity::User(id) => {
                let Some(live) = self.live_user(&model, id, now).await? else {
                    return Ok(None);
                };
                if live.row.state != UserState::Active
                    || !issued_after(&verified.claims, live.row.tokens_after)
                {
                    return Ok(None);
                }
                if !self.session_holds(&verified, now).await? {
                    return Ok(None);
                }
                Arc::clone(&live.effective)
            }
            Identity::Client(id) => {
                let Some(live) = self.live_client(id).await? else {
                    return Ok(None);
                };
                let same_app = live.model.app.id == verified.app_id;
                if !same_app || !issued_after(&verified.claims, live.credential.tokens_after) {
                    return Ok(None);
                }
                Arc::clone(&live.effective)
            }
        };
        let effective = match &verified.claims.scope {
            Some(scope) => Arc::new(within_scope(&model, &effective, scope)),
            None => effective,
        };
        Ok(Some(Good {
            verified,
            model,
            effective,
        }))
    }

    /// Signature, shape and time; from memory when the same token was seen before.
    fn verified(&self, token: &str, now: Timestamp) -> Option<Arc<Verified>> {
        let digest = crypto::sha256(token.as_bytes());
        let keys = &self.ports().keys;
        let epoch = keys.epoch();
        let verified = match self.inner.caches.token(&digest, epoch) {
            Some(verified) => verified,
            None => {
                let policy = Policy::new(AccessClaims::TYP)
                    .issuer(&self.inner.settings.issuer)
                    .any_audience();
                let claims =
                    AccessClaims::verify(&Verifier::new(policy), token, &keys.public(), now)
                        .ok()?;
                let verified = Arc::new(understand(claims, epoch)?);
                self.inner.caches.keep_token(digest, &verified);
                verified
            }
        };
        // We issue and check by clocks of one installation: no leeway but the second that `exp` is cut to.
        (now.seconds() < verified.claims.exp).then_some(verified)
    }

    async fn denied(
        &self,
        app: &AppId,
        now: Timestamp,
    ) -> Result<Arc<HashSet<TokenId>>, TenantError> {
        if let Some(denied) = self.inner.caches.denied(app, now) {
            return Ok(denied);
        }
        let ticket = self.inner.caches.ticket();
        let denied: Arc<HashSet<TokenId>> = Arc::new(
            self.ports()
                .authority
                .denied(app, now)
                .await?
                .into_iter()
                .collect(),
        );
        self.inner.caches.keep_denied(
            app,
            &denied,
            ticket,
            now.plus(self.inner.settings.cache_age),
        );
        Ok(denied)
    }

    async fn session_holds(
        &self,
        verified: &Verified,
        now: Timestamp,
    ) -> Result<bool, TenantError> {
        let Some(id) = &verified.session else {
            return Ok(true);
        };
        if self.inner.caches.session_live(id, now) {
            return Ok(true);
        }
        let ticket = self.inner.caches.ticket();
        let live = self
            .ports()
            .authority
            .session_live(&verified.app_id, id, now)
            .await?;
        if live {
            self.inner
                .caches
                .keep_session(id, ticket, now.plus(self.inner.settings.cache_age));
        }
        Ok(live)
    }

    /// A user's authority at `now`; `None` when there is no such user.
    pub(crate) async fn live_user(
        &self,
        model: &Arc<Model>,
        id: &UserId,
        now: Timestamp,
    ) -> Result<Option<Arc<LiveUser>>, TenantError> {
        if let Some(live) = self.inner.caches.user(&model.app.id, id) {
            let present =
                Arc::ptr_eq(&live.model, model) && live.until.is_none_or(|until| now < until);
            if present && now < live.keep_until {
                return Ok(Some(live));
            }
        }
        let ticket = self.inner.caches.ticket();
        let Some(row) = self
            .ports()
            .authority
            .standing(&model.app.id, id, now)
            .await?
        else {
            return Ok(None);
        };
        let (effective, until) = weigh(model, &row, now);
        let live = Arc::new(LiveUser {
            model: Arc::clone(model),
            row,
            effective: Arc::new(effective),
            until,
            keep_until: now.plus(self.inner.settings.cache_age),
        });
        self.inner.caches.keep_user(id, &live, ticket);
        Ok(Some(live))
    }

    /// A credential's authority; `None` when there is no such credential.
    pub(crate) async fn live_client(
        &self,
        id: &CredentialId,
    ) -> Result<Option<Arc<LiveClient>>, TenantError> {
        let now = self.now();
        if let Some(live) = self.inner.caches.client(id) {
            let model = self.inner.caches.model(AppKey::Id(&live.model.app.id), now);
            if now < live.keep_until && model.is_some_and(|model| Arc::ptr_eq(&model, &live.model))
            {
                return Ok(Some(live));
            }
        }
        let ticket = self.inner.caches.ticket();
        let Some(credential) = self.ports().credentials.credential(id).await? else {
            return Ok(None);
        };
        let Some(model) = self.model(AppKey::Id(&credential.app_id)).await? else {
            return Ok(None);
        };
        let effective = model.effective(&credential.roles, []);
        let fixed_claims = self.fixed_client_claims(&model, &credential, &effective)?;
        let live = Arc::new(LiveClient {
            model,
            credential,
            effective: Arc::new(effective),
            fixed_claims,
            keep_until: now.plus(self.inner.settings.cache_age),
        });
        self.inner.caches.keep_client(&live, ticket);
        Ok(Some(live))
    }
}

/// What a standing is worth at `now`, and until when.
pub(crate) fn weigh(
    model: &Model,
    row: &StandingRow,
    now: Timestamp,
) -> (Effective, Option<Timestamp>) {
    if row.state != UserState::Active {
        return (Effective::default(), None);
    }
    let running = row
        .windows
        .iter()
        .filter(|window| window.starts_at <= now && now < window.ends_at);
    let effective = model.effective(&row.roles, running.map(|window| window.role.as_str()));
    let edges = row
        .windows
        .iter()
        .flat_map(|window| [window.starts_at, window.ends_at]);
    (effective, edges.filter(|edge| *edge > now).min())
}

/// What is left of `effective` when a token was asked for with this `scope`.
pub(crate) fn within_scope(model: &Model, effective: &Effective, scope: &str) -> Effective {
    let wanted: HashSet<&str> = scope.split(' ').collect();
    effective.narrowed(model, |permission| wanted.contains(permission))
}

// `iat` has seconds: a token of the second of the revocation counts as older, and issuing moves past that second.
fn issued_after(claims: &AccessClaims, tokens_after: Timestamp) -> bool {
    tokens_after == Timestamp::default() || claims.iat > tokens_after.seconds()
}

fn understand(claims: AccessClaims, keys: u64) -> Option<Verified> {
    let app_id = claims.app_id.parse().ok()?;
    let id = claims.jti.parse().ok()?;
    let session: Option<SessionId> = match &claims.sid {
        Some(sid) => Some(sid.parse().ok()?),
        None => None,
    };
    let identity = match &claims.user_id {
        Some(user) if *user == claims.sub => Identity::User(user.parse().ok()?),
        Some(_) => return None,
        None => Identity::Client(claims.sub.parse().ok()?),
    };
    Some(Verified {
        claims: Arc::new(claims),
        app_id,
        identity,
        session,
        id,
        keys,
    })
}

#[cfg(test)]
mod tests {
    use heimdall_types::{RoleId, SeededRng};

    use super::*;
    use crate::entity::{App, Role};
    use crate::ports::{AppRecord, Window};
    use crate::settings::AppSettings;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn model() -> Model {
        let app = App {
            id: AppId::generate(NOW, &SeededRng::new(1)),
            name: "acme".to_owned(),
            display_name: "Acme".to_owned(),
            state: AppState::Active,
            settings: AppSettings::default(),
            created_at: NOW,
            updated_at: NOW,
            version: 1,
        };
        let role = Role {
            app_id: app.id.clone(),
            id: RoleId::generate(NOW, &SeededRng::new(2)),
            name: "billing-admin".to_owned(),
            display_name: String::new(),
            description: String::new(),
            permissions: vec!["users:read".parse().unwrap()],
            includes: Vec::new(),
            requestable: None,
            notification_configs: Vec::new(),
            created_at: NOW,
            updated_at: NOW,
            version: 1,
        };
        Model::compile(AppRecord {
            app,
            authority: 0,
            roles: vec![role],
            catalogue: Vec::new(),
        })
    }

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(std::time::Duration::from_secs(seconds))
    }

    fn granted(windows: &[(u64, u64)]) -> StandingRow {
        let window = |(from, to): &(u64, u64)| Window {
            role: "billing-admin".to_owned(),
            starts_at: later(*from),
            ends_at: later(*to),
        };
        StandingRow {
            state: UserState::Active,
            tokens_after: Timestamp::default(),
            roles: Vec::new(),
            windows: windows.iter().map(window).collect(),
            changed_seq: 0,
            changed_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_grant_counts_from_its_start_until_its_end() {
        let (model, row) = (model(), granted(&[(10, 20)]));
        for (at, holds, until) in [
            (0, false, Some(10)),
            (10, true, Some(20)),
            (19, true, Some(20)),
            (20, false, None),
        ] {
            let (effective, next) = weigh(&model, &row, later(at));
            assert_eq!(model.allows(&effective, "users:read"), holds, "at {at}");
            assert_eq!(next, until.map(later), "at {at}");
        }
    }

    #[test]
    fn overlapping_grants_are_united() {
        let (model, row) = (model(), granted(&[(0, 10), (5, 20)]));
        assert!(model.allows(&weigh(&model, &row, later(15)).0, "users:read"));
    }

    #[test]
    fn who_is_not_active_holds_nothing() {
        let (model, row) = (
            model(),
            StandingRow {
                state: UserState::Suspended,
                ..granted(&[(0, 10)])
            },
        );
        assert_eq!(weigh(&model, &row, later(1)), (Effective::default(), None));
    }
}
