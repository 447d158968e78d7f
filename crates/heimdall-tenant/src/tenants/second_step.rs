//! The second step of a login: a code, a recovery code or a passkey.

use std::time::Duration;

use heimdall_token::crypto;
use heimdall_token::webauthn::{Demand, Passkey, RelyingParty};
use heimdall_types::{AppId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::authority::Model;
use crate::caller::Caller;
use crate::entity::{AppState, SecondFactors, User, UserState};
use crate::error::TenantError;
use crate::input::SecondProof;
use crate::tenants::{Tenants, again};
use crate::view::{SecondStep, TokenAnswer};

/// How long somebody may look for the second factor.
const PATIENCE: Duration = Duration::from_secs(300);
/// Wrong second factors within the window that lock it: of a million codes three are right at a time.
const ATTEMPTS: u32 = 5;
/// Window and length of that lock.
const LOCK: Duration = Duration::from_secs(900);
const STEP: &str = "login";

/// What a right password leads to.
#[derive(Debug, Clone)]
pub enum LoggedIn {
    /// A session.
    Done(TokenAnswer),
    /// The question for the second factor.
    SecondStep(Box<SecondStep>),
}

/// As [`LoggedIn`], for channels that keep a session of their own.
#[derive(Debug, Clone)]
pub enum Authenticated {
    /// Who it is.
    Done(AppId, UserId),
    /// The question for the second factor.
    SecondStep(Box<SecondStep>),
}

/// What the caller carries from the first step to the second, sealed.
#[derive(Serialize, Deserialize)]
struct Pending {
    app: AppId,
    user: UserId,
    until: Timestamp,
    challenge: String,
    password: String,
}

impl Tenants {
    /// The second step of [`Tenants::login`].
    ///
    /// # Errors
    /// [`TenantError::Unauthenticated`] for a wrong or spent proof and for a token of the first step that is over;
    /// [`TenantError::Throttled`] after five wrong proofs, for a quarter of an hour.
    pub async fn finish_login(
        &self,
        app: &str,
        proof: SecondProof,
        user_agent: Option<&str>,
    ) -> Result<TokenAnswer, TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let user = self.second_step(&model, &proof).await?;
        self.open_session(&model, &user, user_agent, &Caller::Anonymous)
            .await
    }

    /// The second step of [`Tenants::authenticate`].
    ///
    /// # Errors
    /// As [`Tenants::finish_login`].
    pub async fn finish_authentication(
        &self,
        app: &str,
        proof: SecondProof,
    ) -> Result<(AppId, UserId), TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let user = self.second_step(&model, &proof).await?;
        Ok((model.app.id.clone(), user.id))
    }

    /// The question for the second factor; `None` for a user who has none.
    pub(crate) async fn ask_second(
        &self,
        model: &Model,
        user: &User,
    ) -> Result<Option<SecondStep>, TenantError> {
        let factors = self.factors(&model.app.id, &user.id).await?;
        if !factors.required() {
            return Ok(None);
        }
        let now = self.now();
        let challenge = crypto::random_token(self.rng(), 32);
        let passkeys: Vec<Passkey> = factors
            .passkeys
            .iter()
            .map(|stored| stored.passkey.clone())
            .collect();
        let site = self.site(model).filter(|_| !passkeys.is_empty());
        let passkey = site
            .map(|site| site.request_options(challenge.as_bytes(), &passkeys, Demand::Presence));
        let mut methods = Vec::new();
        methods.extend(factors.totp.is_some().then_some("totp"));
        methods.extend(passkey.is_some().then_some("passkey"));
        methods.extend((!factors.recovery.is_empty()).then_some("recovery_code"));
        let pending = Pending {
            app: model.app.id.clone(),
            user: user.id.clone(),
            until: now.plus(PATIENCE),
            challenge,
            password: fingerprint(user),
        };
        Ok(Some(SecondStep {
            mfa_token: self.inner.secrets.seal_step(STEP, &pending, self.rng()),
            mfa_methods: methods,
            expires_in: PATIENCE.as_secs(),
            passkey,
        }))
    }

    async fn second_step(&self, model: &Model, proof: &SecondProof) -> Result<User, TenantError> {
        let now = self.now();
        let pending = self
            .inner
            .secrets
            .open_step::<Pending>(STEP, proof.mfa_token.expose())
            .filter(|pending| pending.app == model.app.id && now < pending.until)
            .ok_or(TenantError::Unauthenticated)?;
        let user = self
            .ports()
            .directory
            .user(&pending.app, &pending.user)
            .await?
            .filter(|user| {
                // A password that was changed meanwhile makes the first step void.
                user.state == UserState::Active
                    && model.app.state == AppState::Active
                    && fingerprint(user) == pending.password
            })
            .ok_or(TenantError::Unauthenticated)?;
        self.spend_proof(model, &pending, proof).await?;
        Ok(user)
    }

    // Every answer, right or wrong, is one compare-and-swap of the user's row: of many at once each counts.
    async fn spend_proof(
        &self,
        model: &Model,
        pending: &Pending,
        proof: &SecondProof,
    ) -> Result<(), TenantError> {
        again!({
            let now = self.now();
            let before = self.factors(&pending.app, &pending.user).await?;
            if !before.required() {
                return Err(TenantError::Unauthenticated);
            }
            unlocked(&before, now)?;
            let mut factors = before.clone();
            let method = self
                .proves(
                    self.site(model),
                    &mut factors,
                    &pending.challenge,
                    proof,
                    now,
                )
                .filter(|_| factors.spend(digest(&pending.challenge), pending.until, now));
            let action = match method {
                Some(_) => {
                    factors.failures = Default::default();
                    "login.second_factor"
                }
                None => {
                    factors = failed(before, now);
                    "login.second_factor_refused"
                }
            };
            let data = json!({"user_id": pending.user, "method": method});
            self.put_factors(&Caller::Anonymous, factors, action, data)
                .await?;
            method.map(drop).ok_or(TenantError::Unauthenticated)
        })
    }

    fn proves(
        &self,
        site: Option<RelyingParty>,
        factors: &mut SecondFactors,
        challenge: &str,
        proof: &SecondProof,
        now: Timestamp,
    ) -> Option<&'static str> {
        match (&proof.code, &proof.recovery_code, &proof.passkey) {
            (Some(code), None, None) => {
                let user = factors.user_id.clone();
                let totp = factors.totp.as_mut()?;
                let secret = self.inner.secrets.open_totp(&user, &totp.sealed)?;
                let code = without_spaces(code.expose());
                totp.last_step = Some(secret.accept(&code, now, totp.last_step)?);
                Some("totp")
            }
            (None, Some(code), None) => {
                let hash = self
                    .inner
                    .secrets
                    .recovery_hash(&factors.user_id, code.expose());
                let left = factors.recovery.len();
                factors
                    .recovery
                    .retain(|known| !crypto::constant_time_eq(known.as_bytes(), hash.as_bytes()));
                (factors.recovery.len() < left).then_some("recovery_code")
            }
            (None, None, Some(answer)) => {
                let stored = factors
                    .passkeys
                    .iter_mut()
                    .find(|stored| stored.passkey.id == answer.id)?;
                let asserted = site?
                    .check(
                        challenge.as_bytes(),
                        &stored.passkey,
                        answer,
                        Demand::Presence,
                    )
                    .ok()?;
                stored.passkey.counter = asserted.counter;
                stored.used_at = Some(now);
                Some("passkey")
            }
            _ => None,
        }
    }

    /// The site that passkeys of this App are bound to.
    pub(crate) fn site(&self, model: &Model) -> Option<RelyingParty> {
        let (first, more) = self.inner.settings.passkey_origins.split_first()?;
        let site = RelyingParty::of_origin(&model.app.display_name, first)?;
        Some(more.iter().fold(site, |site, origin| site.also(origin)))
    }
}

/// The refusal while second factors are locked.
pub(crate) fn unlocked(factors: &SecondFactors, now: Timestamp) -> Result<(), TenantError> {
    match factors.failures.locked(ATTEMPTS, LOCK, now) {
        Some(retry_after) => Err(TenantError::Throttled { retry_after }),
        None => Ok(()),
    }
}

/// One more wrong proof.
pub(crate) fn failed(factors: SecondFactors, now: Timestamp) -> SecondFactors {
    SecondFactors {
        failures: factors.failures.after(ATTEMPTS, LOCK, now),
        ..factors
    }
}

pub(crate) fn digest(challenge: &str) -> String {
    crypto::sha256_hex(challenge.as_bytes())
}

// As people copy it: `123 456`.
pub(crate) fn without_spaces(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

fn fingerprint(user: &User) -> String {
    let hash = user.password.as_ref().map_or("", |hash| hash.0.as_str());
    crypto::sha256_hex(format!("{hash}\n{}", user.tokens_after.millis()).as_bytes())
}
