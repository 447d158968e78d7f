//! A new password for somebody who forgot the present one.

use std::time::Duration;

use heimdall_token::crypto;
use heimdall_types::{Email, Notice, NoticeId, Secret};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::{AppState, PasswordReset, UserState};
use crate::error::TenantError;
use crate::password::{Failures, check_password};
use crate::ports::AppKey;
use crate::tenants::sessions::account;
use crate::tenants::{Entered, Tenants};

/// How long the mailed link works.
const LIFETIME: Duration = Duration::from_secs(3_600);
/// A second mail to the same person has to wait so long.
const PAUSE: Duration = Duration::from_secs(60);

/// The kind of its notice.
const NOTICE: &str = "password-reset";

impl Tenants {
    /// Mails a link to choose a new password to whoever has this address, if somebody has. The answer never tells; a
    /// channel that must not tell by time either answers before it calls this.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] for an unknown App, and those of the store.
    pub async fn ask_password_reset(&self, app: &str, email: &str) -> Result<(), TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let Ok(email) = email.parse::<Email>() else {
            return Ok(());
        };
        let app = &model.app.id;
        let user = self.ports().directory.user_by_email(app, &email).await?;
        let able = model.app.state == AppState::Active;
        let Some(user) = user.filter(|user| able && user.state == UserState::Active) else {
            return Ok(());
        };
        let now = self.now();
        let known = self.ports().proofs.password_reset(app, &user.id).await?;
        if known
            .as_ref()
            .is_some_and(|known| now < known.created_at.plus(PAUSE))
        {
            return Ok(());
        }
        let nonce = crypto::random_token(self.rng(), 32);
        let token = self.inner.secrets.reset_token(app, &user.id, &nonce);
        let reset = PasswordReset {
            app_id: app.clone(),
            user_id: user.id.clone(),
            token_hash: self.inner.secrets.reset_hash(&token),
            nonce,
            created_at: now,
            expires_at: now.plus(LIFETIME),
            version: 0,
        };
        let data = json!({"user_id": user.id});
        let mut transition = Transition::of([Change::PasswordReset(Box::new(reset))]);
        transition.journal.audit.push(self.audit(
            Some(app),
            &Caller::Anonymous,
            "password_reset.asked",
            user.id.as_str(),
            data.clone(),
        ));
        transition.journal.notices.push(Notice {
            id: NoticeId::generate(now, self.rng()),
            app_id: Some(app.clone()),
            kind: NOTICE.to_owned(),
            recipient: user.email.to_string(),
            data,
            due: now,
        });
        Ok(self.apply(transition).await?)
    }

    /// Whether a mailed token still works.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] for an unknown or used one, [`TenantError::Gone`] for one that expired.
    pub async fn preview_password_reset(&self, app: &str, token: &str) -> Result<(), TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        self.good_reset(&model.app.id, token).await.map(drop)
    }

    /// Sets a new password by a mailed token. Every session of the user ends, and the token is spent.
    ///
    /// # Errors
    /// As [`Tenants::preview_password_reset`]; [`TenantError::Invalid`] naming `password` when the policy refuses it,
    /// then the token still works.
    pub async fn reset_password(
        &self,
        app: &str,
        token: &str,
        password: Secret,
    ) -> Result<(), TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let reset = self.good_reset(&model.app.id, token).await?;
        check_password(&model.app.settings.password, password.expose())?;
        let hash = self.ports().passwords.hash(password).await?;
        let spent = Transition::of([Change::UsePasswordReset {
            app_id: reset.app_id.clone(),
            user_id: reset.user_id.clone(),
            token_hash: reset.token_hash.clone(),
        }]);
        let entered = Entered { model, held: None };
        let view = self
            .change_user(
                &Caller::Anonymous,
                &entered,
                &reset.user_id,
                "user.password_reset",
                None,
                spent,
                |user| {
                    if user.state != UserState::Active {
                        return Err(TenantError::NotFound);
                    }
                    user.password = Some(hash.clone());
                    Ok(true)
                },
            )
            .await;
        match view {
            // Somebody else spent it a moment ago.
            Err(TenantError::Fault(heimdall_types::Fault::Conflict)) => Err(TenantError::NotFound),
            Err(error) => Err(error),
            Ok(view) => {
                let account = account(entered.id(), view.email.as_str());
                self.inner
                    .caches
                    .keep_failures(account, Failures::default());
                Ok(())
            }
        }
    }

    async fn good_reset(
        &self,
        app: &heimdall_types::AppId,
        token: &str,
    ) -> Result<PasswordReset, TenantError> {
        let hash = self.inner.secrets.reset_hash(token);
        let reset = self
            .ports()
            .proofs
            .password_reset_by_token(app, &hash)
            .await?
            .ok_or(TenantError::NotFound)?;
        if self.now() < reset.expires_at {
            Ok(reset)
        } else {
            Err(TenantError::Gone("the link has expired"))
        }
    }

    /// What the mails of this crate's notices say, links and their tokens included: looked up, and made, when a mail
    /// is sent. `None` for a mail that has no point any more, and for notices of others.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn particulars(&self, notice: &Notice) -> Result<Option<Value>, TenantError> {
        match notice.kind.as_str() {
            NOTICE => self.reset_particulars(notice).await,
            "invite" => self.invite_particulars(notice).await,
            _ => Ok(None),
        }
    }

    async fn reset_particulars(&self, notice: &Notice) -> Result<Option<Value>, TenantError> {
        let user = notice.data.get("user_id").and_then(Value::as_str);
        let user = user.and_then(|id| id.parse().ok());
        let (Some(app), Some(user)) = (&notice.app_id, user) else {
            return Ok(None);
        };
        let Some(model) = self.model(AppKey::Id(app)).await? else {
            return Ok(None);
        };
        let reset = self.ports().proofs.password_reset(app, &user).await?;
        let now = self.now();
        let Some(reset) = reset.filter(|reset| now < reset.expires_at) else {
            return Ok(None);
        };
        let token = self.inner.secrets.reset_token(app, &user, &reset.nonce);
        Ok(Some(json!({
            "recipient": notice.recipient,
            "app_name": model.app.display_name,
            "expires_at": reset.expires_at.to_rfc3339(),
            "link": format!("{}/password/{}/{token}", self.inner.settings.issuer, model.app.name),
        })))
    }
}
