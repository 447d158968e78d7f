//! Setting up and taking away what a user shows beside the password.

use std::time::Duration;

use heimdall_token::crypto;
use heimdall_token::otp::TotpSecret;
use heimdall_token::webauthn::{Demand, Passkey, PasskeyUser, Registration};
use heimdall_types::{AppId, PasskeyId, Secret, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::{SecondFactors, StoredPasskey, StoredTotp, User};
use crate::error::TenantError;
use crate::input::{Login, NewPasskey};
use crate::name;
use crate::secrets::Secrets;
use crate::tenants::roles::user_id;
use crate::tenants::second_step::{digest, failed, unlocked, without_spaces};
use crate::tenants::sessions::no_person;
use crate::tenants::{Entered, Tenants, again};
use crate::view::{
    FactorsView, NewPasskeyView, PasskeyOffer, PasskeyView, RecoveryCodes, TotpOffer,
};

/// How long an offer is good.
const PATIENCE: Duration = Duration::from_secs(900);
const MAX_PASSKEYS: usize = 20;
const MAX_PASSKEY_NAME: usize = 60;
const RECOVERY_CODES: usize = 10;
const STEP: &str = "passkey";

/// What the caller carries from the question for a passkey to its answer, sealed.
#[derive(Serialize, Deserialize)]
struct Offer {
    app: AppId,
    user: UserId,
    until: Timestamp,
    challenge: String,
}

/// A user at the own settings.
struct Own {
    entered: Entered,
    user: User,
}

impl Tenants {
    /// What the caller has set up.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] for a machine.
    pub async fn my_factors(&self, caller: &Caller, app: &str) -> Result<FactorsView, TenantError> {
        let own = self.own(caller, app).await?;
        let factors = self.factors(own.entered.id(), &own.user.id).await?;
        Ok(FactorsView {
            totp: factors.totp.is_some(),
            totp_since: factors.totp.as_ref().map(|totp| totp.created_at),
            recovery_codes_left: factors.recovery.len(),
            passkeys: factors.passkeys.iter().map(passkey_view).collect(),
        })
    }

    /// Offers an authenticator app a secret; it counts once [`Tenants::confirm_totp`] saw a code of it. The one in use
    /// stays in use until then.
    ///
    /// # Errors
    /// [`TenantError::Invalid`] naming `password` when it is wrong, [`TenantError::Throttled`] when it was wrong too
    /// often.
    pub async fn offer_totp(
        &self,
        caller: &Caller,
        app: &str,
        password: Secret,
    ) -> Result<TotpOffer, TenantError> {
        let own = self.own(caller, app).await?;
        self.same_person(&own, password).await?;
        let secret = TotpSecret::generate(self.rng());
        let sealed = self
            .inner
            .secrets
            .seal_totp(&own.user.id, &secret, self.rng());
        again!({
            let now = self.now();
            let mut factors = self.factors(own.entered.id(), &own.user.id).await?;
            factors.offered = Some(StoredTotp {
                sealed: sealed.clone(),
                created_at: now,
                last_step: None,
            });
            let data = json!({"user_id": own.user.id, "factor": "totp"});
            self.put_factors(caller, factors, "factor.offered", data)
                .await
        })?;
        let issuer = &own.entered.app().display_name;
        Ok(TotpOffer {
            secret: secret.to_base32().to_string(),
            otpauth_uri: secret.uri(issuer, own.user.email.as_str()).to_string(),
        })
    }

    /// Takes the offered authenticator app into use, and gives recovery codes when there were none.
    ///
    /// # Errors
    /// [`TenantError::State`] without an offer, [`TenantError::Invalid`] naming `code` for a wrong one,
    /// [`TenantError::Throttled`] after too many.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        app: &str,
        code: Secret,
    ) -> Result<RecoveryCodes, TenantError> {
        let own = self.own(caller, app).await?;
        again!({
            let now = self.now();
            let before = self.factors(own.entered.id(), &own.user.id).await?;
            unlocked(&before, now)?;
            let offered = before
                .offered
                .as_ref()
                .filter(|offer| now < offer.created_at.plus(PATIENCE))
                .ok_or(TenantError::State(
                    "no authenticator app was offered lately",
                ))?;
            let step = self
                .inner
                .secrets
                .open_totp(&own.user.id, &offered.sealed)
                .and_then(|secret| secret.accept(&without_spaces(code.expose()), now, None));
            let Some(step) = step else {
                let data = json!({"user_id": own.user.id, "method": "totp"});
                self.put_factors(
                    caller,
                    failed(before, now),
                    "login.second_factor_refused",
                    data,
                )
                .await?;
                return Err(TenantError::invalid("code", "is wrong"));
            };
            let totp = StoredTotp {
                last_step: Some(step),
                created_at: now,
                ..offered.clone()
            };
            let mut factors = SecondFactors {
                totp: Some(totp),
                offered: None,
                ..before
            };
            let codes = self.first_codes(&mut factors);
            let data = json!({"user_id": own.user.id, "factor": "totp"});
            self.put_factors(caller, factors, "factor.added", data)
                .await?;
            Ok(codes)
        })
    }

    /// Takes the authenticator app away.
    ///
    /// # Errors
    /// As [`Tenants::offer_totp`]; [`TenantError::NotFound`] when there is none.
    pub async fn remove_totp(
        &self,
        caller: &Caller,
        app: &str,
        password: Secret,
    ) -> Result<(), TenantError> {
        let own = self.own(caller, app).await?;
        self.same_person(&own, password).await?;
        let data = json!({"user_id": own.user.id, "factor": "totp"});
        self.change_factors(caller, &own, "factor.removed", data, |factors| {
            factors.totp.take().map(drop)
        })
        .await
    }

    /// What a browser is asked in order to make a passkey.
    ///
    /// # Errors
    /// As [`Tenants::offer_totp`]; [`TenantError::State`] when there are twenty already, or when this service has no
    /// address that passkeys can be bound to.
    pub async fn offer_passkey(
        &self,
        caller: &Caller,
        app: &str,
        password: Secret,
    ) -> Result<PasskeyOffer, TenantError> {
        let own = self.own(caller, app).await?;
        let site = self.site(&own.entered.model).ok_or(TenantError::State(
            "passkeys need an address with a host name",
        ))?;
        self.same_person(&own, password).await?;
        let factors = self.factors(own.entered.id(), &own.user.id).await?;
        room(&factors)?;
        let challenge = crypto::random_token(self.rng(), 32);
        let known: Vec<Passkey> = factors
            .passkeys
            .iter()
            .map(|stored| stored.passkey.clone())
            .collect();
        let user = PasskeyUser {
            id: own.user.id.as_str(),
            name: own.user.email.as_str(),
            display_name: &own.user.display_name,
        };
        let options = site.creation_options(challenge.as_bytes(), user, &known);
        let offer = Offer {
            app: own.entered.id().clone(),
            user: own.user.id.clone(),
            until: self.now().plus(PATIENCE),
            challenge,
        };
        Ok(PasskeyOffer {
            passkey_token: self.inner.secrets.seal_step(STEP, &offer, self.rng()),
            options,
        })
    }

    /// Keeps the passkey that a browser made, and gives recovery codes when there were none.
    ///
    /// # Errors
    /// [`TenantError::Invalid`] naming `passkey` or `passkey_token`, [`TenantError::Taken`] for a device that is
    /// known already.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        app: &str,
        new: NewPasskey,
    ) -> Result<NewPasskeyView, TenantError> {
        let own = self.own(caller, app).await?;
        name::line("name", &new.name, MAX_PASSKEY_NAME)?;
        let now = self.now();
        let offer = self
            .inner
            .secrets
            .open_step::<Offer>(STEP, new.passkey_token.expose())
            .filter(|offer| {
                offer.app == *own.entered.id() && offer.user == own.user.id && now < offer.until
            })
            .ok_or_else(|| TenantError::invalid("passkey_token", "is not valid any more"))?;
        let passkey = self.made(&own, &offer, &new.passkey)?;
        again!({
            let now = self.now();
            let mut factors = self.factors(own.entered.id(), &own.user.id).await?;
            room(&factors)?;
            if factors
                .passkeys
                .iter()
                .any(|known| known.passkey.id == passkey.id)
            {
                return Err(TenantError::Taken("passkey"));
            }
            if !factors.spend(digest(&offer.challenge), offer.until, now) {
                return Err(TenantError::invalid("passkey_token", "was used already"));
            }
            let stored = StoredPasskey {
                id: PasskeyId::generate(now, self.rng()),
                name: new.name.clone(),
                passkey: passkey.clone(),
                created_at: now,
                used_at: None,
            };
            let passkey = passkey_view(&stored);
            factors.passkeys.push(stored);
            let codes = self.first_codes(&mut factors);
            let data = json!({"user_id": own.user.id, "factor": passkey.id});
            self.put_factors(caller, factors, "factor.added", data)
                .await?;
            Ok(NewPasskeyView {
                passkey,
                recovery_codes: codes.recovery_codes,
            })
        })
    }

    fn made(
        &self,
        own: &Own,
        offer: &Offer,
        answer: &Registration,
    ) -> Result<Passkey, TenantError> {
        let site = self.site(&own.entered.model).ok_or(TenantError::State(
            "passkeys need an address with a host name",
        ))?;
        site.register(offer.challenge.as_bytes(), answer, Demand::Presence)
            .map_err(|error| TenantError::invalid("passkey", error.to_string()))
    }

    /// Takes a passkey away.
    ///
    /// # Errors
    /// As [`Tenants::offer_totp`]; [`TenantError::NotFound`] when there is no such passkey.
    pub async fn remove_passkey(
        &self,
        caller: &Caller,
        app: &str,
        passkey: &str,
        password: Secret,
    ) -> Result<(), TenantError> {
        let own = self.own(caller, app).await?;
        let id: PasskeyId = passkey.parse().map_err(|_| TenantError::NotFound)?;
        self.same_person(&own, password).await?;
        let data = json!({"user_id": own.user.id, "factor": id});
        self.change_factors(caller, &own, "factor.removed", data, |factors| {
            let at = factors.passkeys.iter().position(|known| known.id == id)?;
            factors.passkeys.remove(at);
            Some(())
        })
        .await
    }

    /// New recovery codes in place of those that are left.
    ///
    /// # Errors
    /// As [`Tenants::offer_totp`]; [`TenantError::State`] without a second factor.
    pub async fn new_recovery_codes(
        &self,
        caller: &Caller,
        app: &str,
        password: Secret,
    ) -> Result<RecoveryCodes, TenantError> {
        let own = self.own(caller, app).await?;
        self.same_person(&own, password).await?;
        again!({
            let mut factors = self.factors(own.entered.id(), &own.user.id).await?;
            if !factors.required() {
                return Err(TenantError::State("there is no second factor to recover"));
            }
            factors.recovery.clear();
            let codes = self.first_codes(&mut factors);
            let data = json!({"user_id": own.user.id});
            self.put_factors(caller, factors, "factor.codes_renewed", data)
                .await?;
            Ok(codes)
        })
    }

    /// Takes every second factor of a user away, for somebody who lost them all.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:write`, or when the user holds what the caller lacks.
    pub async fn reset_factors(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "users:write").await?;
        let id = user_id(user)?;
        let user = self
            .ports()
            .directory
            .user(entered.id(), &id)
            .await?
            .ok_or(TenantError::NotFound)?;
        self.must_outrank(&entered, &id).await?;
        let data = json!({"user_id": id});
        let own = Own { entered, user };
        self.change_factors(caller, &own, "factor.reset", data, |factors| {
            factors.totp = None;
            factors.offered = None;
            factors.passkeys.clear();
            factors.failures = Default::default();
            Some(())
        })
        .await
    }

    /// What a user has set up, [`SecondFactors::none`] at first.
    pub(crate) async fn factors(
        &self,
        app: &AppId,
        user: &UserId,
    ) -> Result<SecondFactors, TenantError> {
        let stored = self.ports().proofs.second_factors(app, user).await?;
        Ok(stored.unwrap_or_else(|| SecondFactors::none(app.clone(), user.clone())))
    }

    /// Writes them, with an audit row.
    pub(crate) async fn put_factors(
        &self,
        caller: &Caller,
        factors: SecondFactors,
        action: &str,
        data: Value,
    ) -> Result<(), TenantError> {
        let (app, user) = (factors.app_id.clone(), factors.user_id.to_string());
        let mut transition = Transition::of([Change::SecondFactors(Box::new(factors))]);
        let entry = self.audit(Some(&app), caller, action, &user, data);
        transition.journal.audit.push(entry);
        Ok(self.apply(transition).await?)
    }

    // `change` gives `None` where there is nothing to change.
    async fn change_factors(
        &self,
        caller: &Caller,
        own: &Own,
        action: &str,
        data: Value,
        change: impl Fn(&mut SecondFactors) -> Option<()>,
    ) -> Result<(), TenantError> {
        again!({
            let mut factors = self.factors(own.entered.id(), &own.user.id).await?;
            change(&mut factors).ok_or(TenantError::NotFound)?;
            factors.tidy();
            self.put_factors(caller, factors, action, data.clone())
                .await
        })
    }

    fn first_codes(&self, factors: &mut SecondFactors) -> RecoveryCodes {
        if !factors.recovery.is_empty() {
            return RecoveryCodes {
                recovery_codes: Vec::new(),
            };
        }
        let codes: Vec<String> = (0..RECOVERY_CODES)
            .map(|_| Secrets::new_recovery_code(self.rng()))
            .collect();
        let hash = |code: &String| self.inner.secrets.recovery_hash(&factors.user_id, code);
        factors.recovery = codes.iter().map(hash).collect();
        RecoveryCodes {
            recovery_codes: codes,
        }
    }

    async fn own(&self, caller: &Caller, app: &str) -> Result<Own, TenantError> {
        let entered = self.visit(caller, app).await?;
        let id = caller.user().ok_or_else(no_person)?;
        let user = self
            .ports()
            .directory
            .user(entered.id(), id)
            .await?
            .ok_or(TenantError::NotFound)?;
        Ok(Own { entered, user })
    }

    // A stolen token must not be enough to lock its owner out.
    async fn same_person(&self, own: &Own, password: Secret) -> Result<(), TenantError> {
        let login = Login {
            email: own.user.email.to_string(),
            password,
        };
        match self.check_login(&own.entered.model, login).await {
            Ok(_) => Ok(()),
            Err(TenantError::Unauthenticated) => Err(TenantError::invalid("password", "is wrong")),
            Err(error) => Err(error),
        }
    }
}

fn room(factors: &SecondFactors) -> Result<(), TenantError> {
    if factors.passkeys.len() < MAX_PASSKEYS {
        Ok(())
    } else {
        Err(TenantError::State("there are twenty passkeys already"))
    }
}

fn passkey_view(stored: &StoredPasskey) -> PasskeyView {
    PasskeyView {
        id: stored.id.clone(),
        name: stored.name.clone(),
        synced: stored.passkey.synced,
        created_at: stored.created_at,
        last_used_at: stored.used_at,
    }
}
