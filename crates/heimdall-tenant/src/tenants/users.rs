use heimdall_types::{AppId, Email, Page, PageRequest, RoleId, Secret, UserId};
use serde_json::json;

use crate::authority::Model;
use crate::caller::Caller;
use crate::change::{Change, Subject, Transition};
use crate::entity::{PasswordHash, User, UserState};
use crate::error::TenantError;
use crate::input::{ImportedUser, NewUser, UserPatch};
use crate::name;
use crate::password::{check_password, importable};
use crate::ports::UserFilter;
use crate::tenants::roles::{ASSIGN, named, patterns_in, user_id};
use crate::tenants::{Entered, Tenants, again, expect};
use crate::view::{self, UserView};

/// Which users are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Only in this state.
    pub state: Option<UserState>,
    /// Only with the role of this name.
    pub role: Option<String>,
    /// Only whose address begins so.
    pub email: Option<String>,
}

impl Tenants {
    /// Makes a user, with roles.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:write`, or when the caller lacks what the roles hold; [`TenantError::Taken`] for a known address.
    pub async fn create_user(
        &self,
        caller: &Caller,
        app: &str,
        new: NewUser,
    ) -> Result<UserView, TenantError> {
        let entered = self.enter(caller, app, "users:write").await?;
        let names: Vec<String> = new.role.into_iter().chain(new.roles).collect();
        if let Some(password) = &new.password {
            check_password(&entered.app().settings.password, password.expose())?;
        }
        let user = self.blank_user(entered.id(), &new.email, new.display_name)?;
        let roles = named(&entered.model, "role", &names)?;
        entered.may_grant(patterns_in(&entered.model, &roles))?;
        let password = match new.password {
            Some(password) => Some(self.ports().passwords.hash(password).await?),
            None => None,
        };
        self.insert_user(
            caller,
            &entered.model,
            User { password, ..user },
            &roles,
            Transition::default(),
        )
        .await
    }

    /// Users by id.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:read`.
    pub async fn users(
        &self,
        caller: &Caller,
        app: &str,
        query: UserQuery,
        page: &PageRequest,
    ) -> Result<Page<UserView>, TenantError> {
        let entered = self.enter(caller, app, "users:read").await?;
        let role = match &query.role {
            Some(name) => Some(
                entered
                    .model
                    .role(name)
                    .ok_or_else(|| TenantError::invalid("role", "is no role of the App"))?
                    .role
                    .id
                    .clone(),
            ),
            None => None,
        };
        let filter = UserFilter {
            state: query.state,
            role,
            email_prefix: query.email.map(|email| email.to_ascii_lowercase()),
        };
        let users = self
            .ports()
            .directory
            .users(entered.id(), &filter, page)
            .await?;
        let ids: Vec<UserId> = users.data.iter().map(|user| user.id.clone()).collect();
        let mut roles = self
            .ports()
            .directory
            .roles_of(entered.id(), &ids)
            .await?
            .into_iter();
        Ok(users.map(|user| view::user(&entered.model, &user, &roles.next().unwrap_or_default())))
    }

    /// One user.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:read`, unless it is the caller itself.
    pub async fn user(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
    ) -> Result<UserView, TenantError> {
        let own = caller.user().is_some_and(|own| own.as_str() == user);
        let entered = if own {
            self.visit(caller, app).await?
        } else {
            self.enter(caller, app, "users:read").await?
        };
        let user = self
            .ports()
            .directory
            .user(entered.id(), &user_id(user)?)
            .await?
            .ok_or(TenantError::NotFound)?;
        let roles = self.roles_held(entered.id(), &user.id).await?;
        Ok(view::user(&entered.model, &user, &roles))
    }

    /// Changes a user. A new password ends every session.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:write`, or when a new address or password would give the caller the
    /// account of somebody who holds more.
    pub async fn update_user(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
        patch: UserPatch,
        expected: Option<i64>,
    ) -> Result<UserView, TenantError> {
        let entered = self.enter(caller, app, "users:write").await?;
        let id = user_id(user)?;
        if let Some(password) = &patch.password {
            check_password(&entered.app().settings.password, password.expose())?;
        }
        if let Some(display_name) = &patch.display_name {
            name::line("display_name", display_name, name::MAX_DISPLAY_NAME)?;
        }
        let email = patch
            .email
            .as_deref()
            .map(str::parse::<Email>)
            .transpose()?;
        if patch.password.is_some() || email.is_some() {
            self.must_outrank(&entered, &id).await?;
        }
        let password = match patch.password.clone() {
            Some(password) => Some(self.ports().passwords.hash(password).await?),
            None => None,
        };
        self.change_user(
            caller,
            &entered,
            &id,
            "user.updated",
            expected,
            Transition::default(),
            |user| {
                if let Some(display_name) = &patch.display_name {
                    user.display_name.clone_from(display_name);
                }
                if let Some(email) = &email {
                    user.email.clone_from(email);
                }
                if let Some(password) = &password {
                    user.password = Some(password.clone());
                }
                Ok(password.is_some())
            },
        )
        .await
    }

    /// Locks a user out until it is reactivated.
    ///
    /// # Errors
    /// [`TenantError::LastHolder`]; [`TenantError::State`] when it is deactivated.
    pub async fn suspend_user(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
    ) -> Result<UserView, TenantError> {
        let entered = self.enter(caller, app, "users:write").await?;
        self.change_user(
            caller,
            &entered,
            &user_id(user)?,
            "user.suspended",
            None,
            Transition::default(),
            |user| match user.state {
                UserState::Deactivated => Err(TenantError::State("the user is deactivated")),
                _ => {
                    user.state = UserState::Suspended;
                    Ok(true)
                }
            },
        )
        .await
    }

    /// Lets a suspended or deactivated user log in again.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] when the caller lacks what the user holds.
    pub async fn reactivate_user(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
    ) -> Result<UserView, TenantError> {
        let entered = self.enter(caller, app, "users:write").await?;
        let id = user_id(user)?;
        self.must_outrank(&entered, &id).await?;
        self.change_user(
            caller,
            &entered,
            &id,
            "user.reactivated",
            None,
            Transition::default(),
            |user| {
                user.state = UserState::Active;
                Ok(false)
            },
        )
        .await
    }

    /// Deletes a user so that it can be reactivated; with `purge` erases it. The audit stays: it names ids only, which
    /// then point to nobody.
    ///
    /// # Errors
    /// [`TenantError::LastHolder`]; another version than `expected`.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
        purge: bool,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "users:write").await?;
        let id = user_id(user)?;
        if purge {
            return self.purge_user(caller, &entered, &id, expected).await;
        }
        let done = self.change_user(
            caller,
            &entered,
            &id,
            "user.deactivated",
            expected,
            Transition::default(),
            |user| {
                user.state = UserState::Deactivated;
                Ok(true)
            },
        );
        done.await.map(|_| ())
    }

    async fn purge_user(
        &self,
        caller: &Caller,
        entered: &Entered,
        id: &UserId,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        again!({
            let model = self.fresh(entered.id()).await?;
            let user = self
                .ports()
                .directory
                .user(entered.id(), id)
                .await?
                .ok_or(TenantError::NotFound)?;
            expect(user.version, expected)?;
            let mut transition = Transition::of([Change::EraseUser {
                app_id: entered.id().clone(),
                id: id.clone(),
            }]);
            if user.state == UserState::Active {
                transition = self.guard_holder(transition, &model, id).await?;
            }
            transition.note(entered.id(), Subject::User(id.clone()), self.now());
            self.record(
                &mut transition.journal,
                entered.id(),
                caller,
                "user.deleted",
                id.as_str(),
                json!({"user_id": id}),
            );
            Ok(self.apply(transition).await?)
        })
    }

    /// Ends every session of a user; its tokens are refused from now on.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:write`, unless it is the caller itself.
    pub async fn revoke_user_sessions(
        &self,
        caller: &Caller,
        app: &str,
        user: &str,
    ) -> Result<(), TenantError> {
        let own = caller.user().is_some_and(|own| own.as_str() == user);
        let entered = if own {
            self.visit(caller, app).await?
        } else {
            self.enter(caller, app, "users:write").await?
        };
        let id = user_id(user)?;
        let done = self.change_user(
            caller,
            &entered,
            &id,
            "user.sessions_revoked",
            None,
            Transition::default(),
            |_| Ok(true),
        );
        done.await.map(|_| ())
    }

    /// Makes a user out of a line of another system's export. For the operator.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub async fn import_user(
        &self,
        caller: &Caller,
        app: &str,
        new: ImportedUser,
    ) -> Result<UserId, TenantError> {
        self.operator(caller)?;
        let entered = self.visit(caller, app).await?;
        if new
            .password_hash
            .as_deref()
            .is_some_and(|hash| !importable(hash))
        {
            return Err(TenantError::invalid(
                "password_hash",
                "is not of a kind that can be checked here",
            ));
        }
        let roles = named(&entered.model, "roles", &new.roles)?;
        let user = self.blank_user(entered.id(), &new.email, new.display_name)?;
        let user = User {
            password: new.password_hash.map(PasswordHash),
            ..user
        };
        let made = self
            .insert_user(caller, &entered.model, user, &roles, Transition::default())
            .await?;
        Ok(made.id)
    }

    pub(crate) fn blank_user(
        &self,
        app: &AppId,
        email: &str,
        display_name: Option<String>,
    ) -> Result<User, TenantError> {
        let email: Email = email.parse()?;
        let display_name = display_name.unwrap_or_else(|| email.to_string());
        name::line("display_name", &display_name, name::MAX_DISPLAY_NAME)?;
        let now = self.now();
        Ok(User {
            app_id: app.clone(),
            id: UserId::generate(now, self.rng()),
            email,
            display_name,
            state: UserState::Active,
            password: None,
            tokens_after: heimdall_types::Timestamp::default(),
            created_at: now,
            updated_at: now,
            version: 0,
        })
    }

    /// Writes a new user with its roles, beside whatever `transition` holds already.
    pub(crate) async fn insert_user(
        &self,
        caller: &Caller,
        model: &Model,
        user: User,
        roles: &[RoleId],
        mut transition: Transition,
    ) -> Result<UserView, TenantError> {
        let app = &model.app.id;
        transition = transition.with(Change::User(Box::new(user.clone())));
        self.record(
            &mut transition.journal,
            app,
            caller,
            "user.created",
            user.id.as_str(),
            json!({"user_id": user.id}),
        );
        for id in roles {
            let role = model.role_by_id(id).ok_or(TenantError::InUse)?;
            transition = transition.with(Change::Assign {
                app_id: app.clone(),
                user_id: user.id.clone(),
                role_id: id.clone(),
                at: user.created_at,
            });
            self.record_role(
                &mut transition.journal,
                app,
                caller,
                "role.assigned",
                &user.id,
                &role.role,
            );
        }
        self.apply(transition).await?;
        Ok(view::user(model, &User { version: 1, ..user }, roles))
    }

    /// A login as somebody is a way to get all that he holds.
    pub(super) async fn must_outrank(
        &self,
        entered: &Entered,
        user: &UserId,
    ) -> Result<(), TenantError> {
        if entered.held.is_none() {
            return Ok(());
        }
        let now = self.now();
        let row = self
            .ports()
            .authority
            .standing(entered.id(), user, now)
            .await?
            .ok_or(TenantError::NotFound)?;
        let names = row
            .windows
            .iter()
            .filter(|window| now < window.ends_at)
            .map(|window| window.role.as_str());
        let theirs = entered.model.effective(&row.roles, names);
        entered.may_grant(&theirs.patterns)
    }

    /// The user's own change of password, the present one given.
    ///
    /// # Errors
    /// [`TenantError::Invalid`] when the present password is wrong.
    pub async fn change_password(
        &self,
        caller: &Caller,
        app: &str,
        present: Secret,
        new: Secret,
    ) -> Result<(), TenantError> {
        let entered = self.visit(caller, app).await?;
        let id = caller
            .user()
            .ok_or(TenantError::Forbidden {
                missing: vec!["a user's token".to_owned()],
            })?
            .clone();
        check_password(&entered.app().settings.password, new.expose())?;
        let user = self
            .ports()
            .directory
            .user(entered.id(), &id)
            .await?
            .ok_or(TenantError::NotFound)?;
        if self
            .ports()
            .passwords
            .verify(present, user.password)
            .await?
            == crate::ports::Verdict::Wrong
        {
            return Err(TenantError::invalid("present_password", "is wrong"));
        }
        let password = self.ports().passwords.hash(new).await?;
        let done = self.change_user(
            caller,
            &entered,
            &id,
            "user.updated",
            None,
            Transition::default(),
            |user| {
                user.password = Some(password.clone());
                Ok(true)
            },
        );
        done.await.map(|_| ())
    }

    /// Changes a user, beside whatever `with` holds already; `change` says whether its sessions and tokens end.
    #[expect(
        clippy::too_many_arguments,
        reason = "what is changed, by whom, under which name and condition: each caller says all of it"
    )]
    pub(super) async fn change_user(
        &self,
        caller: &Caller,
        entered: &Entered,
        id: &UserId,
        action: &str,
        expected: Option<i64>,
        with: Transition,
        change: impl Fn(&mut User) -> Result<bool, TenantError>,
    ) -> Result<UserView, TenantError> {
        again!({
            let app = entered.id();
            let now = self.now();
            let before = self
                .ports()
                .directory
                .user(app, id)
                .await?
                .ok_or(TenantError::NotFound)?;
            expect(before.version, expected)?;
            let mut user = before.clone();
            let ends = change(&mut user)?;
            user.updated_at = now;
            let mut transition = with.clone();
            if ends {
                user.tokens_after = now;
                transition = transition.with(Change::RevokeSessions {
                    app_id: app.clone(),
                    user_id: id.clone(),
                    at: now,
                });
            }
            let data = json!({"user_id": id, "state": user.state});
            if ends || before.state != user.state {
                transition.note(app, Subject::User(id.clone()), now);
            }
            if before.state == UserState::Active && user.state != UserState::Active {
                let model = self.fresh(app).await?;
                transition = self.guard_holder(transition, &model, id).await?;
            }
            transition = transition.with(Change::User(Box::new(user.clone())));
            // These are no types of the feed.
            transition.journal.audit.push(self.audit(
                Some(app),
                caller,
                action,
                id.as_str(),
                data.clone(),
            ));
            let kind = match action {
                "user.suspended" | "user.password_reset" => "user.updated",
                "user.sessions_revoked" => "session.revoked",
                other => other,
            };
            transition.journal.events.push(self.event(app, kind, data));
            self.apply(transition).await?;
            user.version += 1;
            let roles = self.roles_held(app, id).await?;
            Ok(view::user(&entered.model, &user, &roles))
        })
    }

    async fn guard_holder(
        &self,
        transition: Transition,
        model: &Model,
        leaver: &UserId,
    ) -> Result<Transition, TenantError> {
        let held = self.roles_held(&model.app.id, leaver).await?;
        if !model.allows(&model.effective(&held, []), ASSIGN) {
            return Ok(transition);
        }
        self.keep_a_holder(model, &model.roles_holding(ASSIGN), Some(leaver))
            .await?;
        Ok(transition.with(Change::Authority {
            app_id: model.app.id.clone(),
            expected: model.authority,
        }))
    }
}
