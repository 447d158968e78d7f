use std::time::Duration;

use heimdall_token::crypto;
use heimdall_types::{AppId, Email, Page, PageRequest, SessionId};
use serde_json::json;

use crate::authority::Model;
use crate::caller::Caller;
use crate::change::{Change, Subject, Transition};
use crate::entity::{AppState, Session, User, UserState};
use crate::error::TenantError;
use crate::input::{Login, TokenRequest};
use crate::password::{Failures, MAX_PASSWORD_BYTES};
use crate::ports::Verdict;
use crate::tenants::issue::Shape;
use crate::tenants::tokens::answer;
use crate::tenants::{Authenticated, LoggedIn, Tenants, again};
use crate::view::{self, SessionView, TokenAnswer};

const MAX_USER_AGENT: usize = 200;

impl Tenants {
    /// A login by password; a user with a second factor is asked for it, see [`Tenants::finish_login`].
    ///
    /// Unknown account, wrong password, no password and suspended account look and last the same.
    ///
    /// # Errors
    /// [`TenantError::Unauthenticated`]; [`TenantError::Throttled`] after too many failures, for unknown accounts too.
    pub async fn login(
        &self,
        app: &str,
        login: Login,
        user_agent: Option<&str>,
    ) -> Result<LoggedIn, TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let user = self.check_login(&model, login).await?;
        if let Some(step) = self.ask_second(&model, &user).await? {
            return Ok(LoggedIn::SecondStep(Box::new(step)));
        }
        self.open_session(&model, &user, user_agent, &Caller::Anonymous)
            .await
            .map(LoggedIn::Done)
    }

    /// As [`Tenants::login`], but only says who it is: for pages and HTTP Basic, which keep their own session. See
    /// [`Tenants::finish_authentication`].
    ///
    /// # Errors
    /// As [`Tenants::login`].
    pub async fn authenticate(
        &self,
        app: &str,
        login: Login,
    ) -> Result<Authenticated, TenantError> {
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        let user = self.check_login(&model, login).await?;
        Ok(match self.ask_second(&model, &user).await? {
            Some(step) => Authenticated::SecondStep(Box::new(step)),
            None => Authenticated::Done(model.app.id.clone(), user.id),
        })
    }

    pub(crate) async fn check_login(
        &self,
        model: &Model,
        login: Login,
    ) -> Result<User, TenantError> {
        let policy = &model.app.settings.lockout;
        let window = Duration::from_secs(policy.seconds.into());
        let account = account(&model.app.id, &login.email);
        let before = self.inner.caches.failures(&account);
        if let Some(retry_after) = before.locked(policy.attempts, window, self.now()) {
            return Err(TenantError::Throttled { retry_after });
        }
        let user = match login.email.parse::<Email>() {
            Ok(email) => {
                self.ports()
                    .directory
                    .user_by_email(&model.app.id, &email)
                    .await?
            }
            Err(_) => None,
        };
        let stored = user.as_ref().and_then(|user| user.password.clone());
        let verdict = if login.password.expose().len() > MAX_PASSWORD_BYTES {
            Verdict::Wrong
        } else {
            self.ports()
                .passwords
                .verify(login.password.clone(), stored)
                .await?
        };
        let able =
            |user: &User| user.state == UserState::Active && model.app.state == AppState::Active;
        let user = user.filter(|user| verdict != Verdict::Wrong && able(user));
        let Some(user) = user else {
            // Read again: others may have failed while this one was hashed.
            let failures =
                self.inner
                    .caches
                    .failures(&account)
                    .after(policy.attempts, window, self.now());
            self.inner.caches.keep_failures(account, failures);
            self.note_failure(model, failures).await?;
            return Err(TenantError::Unauthenticated);
        };
        self.inner
            .caches
            .keep_failures(account, Failures::default());
        if verdict == Verdict::RightButOld {
            self.rehash(&user, login).await?;
        }
        Ok(user)
    }

    // One row a lock, not one a failure: an attacker must not be able to fill the disk.
    async fn note_failure(&self, model: &Model, failures: Failures) -> Result<(), TenantError> {
        if failures.count != model.app.settings.lockout.attempts {
            return Ok(());
        }
        let app = &model.app.id;
        let mut transition = Transition::default();
        transition.journal.audit.push(self.audit(
            Some(app),
            &Caller::Anonymous,
            "login.locked",
            app.as_str(),
            json!({"failures": failures.count}),
        ));
        Ok(self.apply(transition).await?)
    }

    async fn rehash(&self, user: &User, login: Login) -> Result<(), TenantError> {
        let password = self.ports().passwords.hash(login.password).await?;
        let renewed = User {
            password: Some(password),
            updated_at: self.now(),
            ..user.clone()
        };
        let mut transition = Transition::of([Change::User(Box::new(renewed))]);
        transition.journal.audit.push(self.audit(
            Some(&user.app_id),
            &Caller::System,
            "user.rehashed",
            user.id.as_str(),
            json!({"user_id": user.id}),
        ));
        match self.apply(transition).await {
            // Somebody changed the user meanwhile; the next login tries again.
            Err(heimdall_types::Fault::Conflict) | Ok(()) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Opens a session for a user who proved to be it.
    pub(crate) async fn open_session(
        &self,
        model: &std::sync::Arc<Model>,
        user: &User,
        user_agent: Option<&str>,
        caller: &Caller,
    ) -> Result<TokenAnswer, TenantError> {
        let now = self.now();
        let live = self
            .live_user(model, &user.id, now)
            .await?
            .ok_or(TenantError::Unauthenticated)?;
        let lifetimes = &model.app.settings.lifetimes;
        let session = Session {
            app_id: model.app.id.clone(),
            id: SessionId::generate(now, self.rng()),
            user_id: user.id.clone(),
            created_at: now,
            refreshed_at: now,
            expires_at: now.plus(Duration::from_secs(lifetimes.session_seconds.into())),
            generation: 0,
            nonce: crypto::random_token(self.rng(), 16),
            revoked_at: None,
            user_agent: user_agent.map(|text| {
                text.chars()
                    .filter(|c| !c.is_control())
                    .take(MAX_USER_AGENT)
                    .collect()
            }),
            version: 0,
        };
        let shape = Shape {
            session: Some(session.id.clone()),
            ..Shape::default()
        };
        let issued = self.issue_to_user(&live, &user.id, lifetimes.user_token_seconds, shape)?;
        let refresh = self
            .inner
            .secrets
            .refresh_token(&session.id, &session.nonce, 0);
        let mut transition = Transition::of([Change::Session(Box::new(session.clone()))]);
        let actor = match caller {
            Caller::Anonymous => heimdall_types::Actor::User {
                id: user.id.to_string(),
            },
            known => known.actor(),
        };
        let entry = self.audit(
            Some(&model.app.id),
            caller,
            "session.created",
            session.id.as_str(),
            json!({"user_id": user.id}),
        );
        transition
            .journal
            .audit
            .push(heimdall_types::AuditEntry { actor, ..entry });
        self.apply(transition).await?;
        Ok(answer(issued, &TokenRequest::default(), Some(refresh)))
    }

    /// The caller's own sessions.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] for a machine.
    pub async fn my_sessions(
        &self,
        caller: &Caller,
        app: &str,
        page: &PageRequest,
    ) -> Result<Page<SessionView>, TenantError> {
        let entered = self.visit(caller, app).await?;
        let user = caller.user().ok_or_else(no_person)?;
        let current = match caller {
            Caller::Principal(principal) => principal.claims.sid.clone(),
            _ => None,
        };
        let sessions = self
            .ports()
            .sessions
            .sessions(entered.id(), user, self.now(), page)
            .await?;
        Ok(sessions.map(|session| view::session(&session, current.as_deref())))
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] for another's.
    pub async fn revoke_my_session(
        &self,
        caller: &Caller,
        app: &str,
        session: &str,
    ) -> Result<(), TenantError> {
        let entered = self.visit(caller, app).await?;
        let user = caller.user().ok_or_else(no_person)?;
        let id: SessionId = session.parse().map_err(|_| TenantError::NotFound)?;
        let session = self.ports().sessions.session(entered.id(), &id).await?;
        let session = session
            .filter(|session| session.user_id == *user)
            .ok_or(TenantError::NotFound)?;
        self.end_session(caller, &session, "ended by its user")
            .await
    }

    /// Ends a session; nothing happens when it is over already.
    pub(crate) async fn end_session(
        &self,
        caller: &Caller,
        session: &Session,
        reason: &str,
    ) -> Result<(), TenantError> {
        again!({
            let found = self
                .ports()
                .sessions
                .session(&session.app_id, &session.id)
                .await?;
            let Some(mut session) = found.filter(|session| session.revoked_at.is_none()) else {
                return Ok(());
            };
            session.revoked_at = Some(self.now());
            let app = session.app_id.clone();
            let mut transition = Transition::of([Change::Session(Box::new(session.clone()))]);
            transition.note(&app, Subject::Session(session.id.clone()), self.now());
            let data =
                json!({"user_id": session.user_id, "session_id": session.id, "reason": reason});
            self.record(
                &mut transition.journal,
                &app,
                caller,
                "session.revoked",
                session.id.as_str(),
                data,
            );
            Ok(self.apply(transition).await?)
        })
    }
}

// Whatever is typed, known or not, counts alike; the address' canonical form is lower case.
pub(crate) fn account(app: &AppId, email: &str) -> String {
    crypto::hex(&crypto::sha256(
        format!("{app}\n{}", email.to_ascii_lowercase()).as_bytes(),
    ))
}

pub(crate) fn no_person() -> TenantError {
    TenantError::Forbidden {
        missing: vec!["a user's token".to_owned()],
    }
}
