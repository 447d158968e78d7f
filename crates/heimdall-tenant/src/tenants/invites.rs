use std::time::Duration;

use heimdall_token::crypto;
use heimdall_types::{Actor, Email, InviteId, Notice, NoticeId, Page, PageRequest};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::{AppState, Invite, InviteState};
use crate::error::TenantError;
use crate::input::{Acceptance, NewInvite};
use crate::password::check_password;
use crate::ports::AppKey;
use crate::tenants::roles::{named, patterns_in};
use crate::tenants::{Entered, Tenants, again, working};
use crate::view::{self, Accepted, InvitePreview, InviteView, NewInviteView};

const DEFAULT_HOURS: i64 = 72;
const MAX_HOURS: i64 = 8_760;
const MAX_USES: i64 = 10_000;

impl Tenants {
    /// Invites somebody to become a user with certain roles.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:invite`, or when the caller lacks what the roles hold.
    pub async fn create_invite(
        &self,
        caller: &Caller,
        app: &str,
        new: NewInvite,
    ) -> Result<NewInviteView, TenantError> {
        let entered = self.enter(caller, app, "users:invite").await?;
        working(entered.app())?;
        if !entered.app().settings.invites_enabled {
            return Err(TenantError::State("invites are switched off"));
        }
        let hours = range(
            "expires_in_hours",
            new.expires_in_hours.unwrap_or(DEFAULT_HOURS),
            MAX_HOURS,
        )?;
        let max_uses = range("max_uses", new.max_uses.unwrap_or(1), MAX_USES)?;
        let email = new.email.as_deref().map(str::parse::<Email>).transpose()?;
        if email.is_some() && max_uses > 1 {
            return Err(TenantError::invalid(
                "max_uses",
                "must be 1 for an invite to one address",
            ));
        }
        let names: Vec<String> = new.role.into_iter().chain(new.roles).collect();
        let roles = named(&entered.model, "role", &names)?;
        entered.may_grant(patterns_in(&entered.model, &roles))?;
        let now = self.now();
        let id = InviteId::generate(now, self.rng());
        let nonce = crypto::random_token(self.rng(), 32);
        let token = self.inner.secrets.invite_token(&id, &nonce);
        let invite = Invite {
            app_id: entered.id().clone(),
            id,
            token_hash: self.inner.secrets.invite_hash(&token),
            nonce,
            email,
            roles,
            max_uses,
            uses: 0,
            state: InviteState::Open,
            expires_at: now.plus(Duration::from_secs(hours.unsigned_abs() * 3_600)),
            created_by: caller.actor(),
            created_at: now,
            version: 0,
        };
        let mut transition = Transition::of([Change::Invite(Box::new(invite.clone()))]);
        let data = json!({"invite_id": invite.id, "roles": view::role_names(&entered.model, &invite.roles), "max_uses": max_uses});
        self.record(
            &mut transition.journal,
            entered.id(),
            caller,
            "invite.created",
            invite.id.as_str(),
            data,
        );
        if new.send_email {
            let recipient = invite
                .email
                .as_ref()
                .ok_or_else(|| TenantError::invalid("email", "is missing"))?;
            transition
                .journal
                .notices
                .push(self.invite_notice(&invite, recipient));
        }
        self.apply(transition).await?;
        let invite_url = format!("{}{token}", self.inner.settings.invite_base);
        Ok(NewInviteView {
            invite: view::invite(
                &entered.model,
                &Invite {
                    version: 1,
                    ..invite
                },
                now,
            ),
            invite_url,
            token,
        })
    }

    /// Invites, newest first.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:invite`.
    pub async fn invites(
        &self,
        caller: &Caller,
        app: &str,
        page: &PageRequest,
    ) -> Result<Page<InviteView>, TenantError> {
        let entered = self.enter(caller, app, "users:invite").await?;
        let now = self.now();
        Ok(self
            .ports()
            .invites
            .invites(entered.id(), page)
            .await?
            .map(|invite| view::invite(&entered.model, &invite, now)))
    }

    /// One invite.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:invite`.
    pub async fn invite(
        &self,
        caller: &Caller,
        app: &str,
        invite: &str,
    ) -> Result<InviteView, TenantError> {
        let entered = self.enter(caller, app, "users:invite").await?;
        Ok(view::invite(
            &entered.model,
            &self.stored_invite(&entered, invite).await?,
            self.now(),
        ))
    }

    /// Withdraws an invite; nothing happens when it is withdrawn already.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `users:invite`.
    pub async fn revoke_invite(
        &self,
        caller: &Caller,
        app: &str,
        invite: &str,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "users:invite").await?;
        again!({
            let stored = self.stored_invite(&entered, invite).await?;
            if stored.state == InviteState::Revoked {
                return Ok(());
            }
            self.put_invite(
                caller,
                Invite {
                    state: InviteState::Revoked,
                    ..stored
                },
                "invite.revoked",
            )
            .await
            .map(|_| ())
        })
    }

    /// Gives an invite a new token, and mails it where it names an address; the old token is worth nothing any more.
    ///
    /// # Errors
    /// [`TenantError::Gone`] when it is used up, expired or withdrawn; [`TenantError::Forbidden`] as for a new one.
    pub async fn resend_invite(
        &self,
        caller: &Caller,
        app: &str,
        invite: &str,
    ) -> Result<NewInviteView, TenantError> {
        let entered = self.enter(caller, app, "users:invite").await?;
        again!({
            let now = self.now();
            let stored = self.stored_invite(&entered, invite).await?;
            usable(&stored, now)?;
            // The new token is handed to the caller, so this hands out the roles once more.
            entered.may_grant(patterns_in(&entered.model, &stored.roles))?;
            let nonce = crypto::random_token(self.rng(), 32);
            let token = self.inner.secrets.invite_token(&stored.id, &nonce);
            let renewed = self
                .put_invite(
                    caller,
                    Invite {
                        token_hash: self.inner.secrets.invite_hash(&token),
                        nonce,
                        ..stored
                    },
                    "invite.resent",
                )
                .await?;
            let invite_url = format!("{}{token}", self.inner.settings.invite_base);
            Ok(NewInviteView {
                invite: view::invite(&entered.model, &renewed, now),
                invite_url,
                token,
            })
        })
    }

    /// What the holder of an invite's token may see of it.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] for an unknown token, [`TenantError::Gone`] for one that is over.
    pub async fn preview_invite(&self, token: &str) -> Result<InvitePreview, TenantError> {
        let hash = self.inner.secrets.invite_hash(token);
        let invite = self
            .ports()
            .invites
            .invite_by_token(&hash)
            .await?
            .ok_or(TenantError::NotFound)?;
        let model = self
            .model(AppKey::Id(&invite.app_id))
            .await?
            .ok_or(TenantError::NotFound)?;
        if model.app.state != AppState::Active {
            return Err(TenantError::NotFound);
        }
        usable(&invite, self.now())?;
        Ok(InvitePreview {
            app: model.app.name.clone(),
            app_display_name: model.app.display_name.clone(),
            roles: view::role_names(&model, &invite.roles),
            email: invite.email,
            expires_at: invite.expires_at,
        })
    }

    /// Accepts an invite: makes the user with the invite's roles and logs it in.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] for an unknown token, [`TenantError::Gone`] for one that is over,
    /// [`TenantError::Taken`] when the address has a user already.
    pub async fn accept_invite(
        &self,
        token: &str,
        acceptance: Acceptance,
    ) -> Result<Accepted, TenantError> {
        let hash = self.inner.secrets.invite_hash(token);
        let mut password = None;
        // Everybody who loses a race for the last use finds it used up at the next look.
        let (model, user, made) = again!({
            let now = self.now();
            let invite = self
                .ports()
                .invites
                .invite_by_token(&hash)
                .await?
                .ok_or(TenantError::NotFound)?;
            let model = self.fresh(&invite.app_id).await?;
            if model.app.state != AppState::Active {
                return Err(TenantError::NotFound);
            }
            usable(&invite, now)?;
            let email = match (&invite.email, &acceptance.email) {
                (Some(email), None) => email.to_string(),
                (Some(email), Some(given))
                    if given.parse::<Email>().is_ok_and(|given| given == *email) =>
                {
                    given.clone()
                }
                (Some(_), Some(_)) => {
                    return Err(TenantError::invalid("email", "is not the invited address"));
                }
                (None, Some(given)) => given.clone(),
                (None, None) => return Err(TenantError::invalid("email", "is missing")),
            };
            if invite.roles.iter().any(|id| model.role_by_id(id).is_none()) {
                return Err(TenantError::Gone("a role of the invite is gone"));
            }
            check_password(&model.app.settings.password, acceptance.password.expose())?;
            let mut user = self.blank_user(
                &invite.app_id,
                &email,
                Some(acceptance.display_name.clone()),
            )?;
            if password.is_none() {
                password = Some(
                    self.ports()
                        .passwords
                        .hash(acceptance.password.clone())
                        .await?,
                );
            }
            user.password.clone_from(&password);
            let mut transition = Transition::of([Change::UseInvite {
                app_id: invite.app_id.clone(),
                id: invite.id.clone(),
                at: now,
            }]);
            let data = json!({"invite_id": invite.id, "user_id": user.id});
            let made = {
                self.record(
                    &mut transition.journal,
                    &invite.app_id,
                    &Caller::Anonymous,
                    "invite.accepted",
                    invite.id.as_str(),
                    data,
                );
                self.insert_user(
                    &Caller::Anonymous,
                    &model,
                    user.clone(),
                    &invite.roles,
                    transition,
                )
                .await?
            };
            Ok((model, user, made))
        })?;
        let tokens = self
            .open_session(&model, &user, None, &Caller::Anonymous)
            .await?;
        Ok(Accepted { user: made, tokens })
    }

    /// Says `invite.expired` of invites that ran out; call it every few minutes. Gives how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn expire_invites(&self) -> Result<usize, TenantError> {
        let expired = self
            .ports()
            .invites
            .expired_invites(self.now(), 100)
            .await?;
        let count = expired.len();
        for invite in expired {
            let written = self
                .put_invite(
                    &Caller::System,
                    Invite {
                        state: InviteState::Expired,
                        ..invite
                    },
                    "invite.expired",
                )
                .await;
            match written {
                Ok(_) | Err(TenantError::Fault(heimdall_types::Fault::Conflict)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    async fn stored_invite(&self, entered: &Entered, invite: &str) -> Result<Invite, TenantError> {
        let id: InviteId = invite.parse().map_err(|_| TenantError::NotFound)?;
        self.ports()
            .invites
            .invite(entered.id(), &id)
            .await?
            .ok_or(TenantError::NotFound)
    }

    async fn put_invite(
        &self,
        caller: &Caller,
        invite: Invite,
        action: &str,
    ) -> Result<Invite, TenantError> {
        let app = &invite.app_id;
        let mut transition = Transition::of([Change::Invite(Box::new(invite.clone()))]);
        let data = json!({"invite_id": invite.id});
        transition.journal.audit.push(self.audit(
            Some(app),
            caller,
            action,
            invite.id.as_str(),
            data.clone(),
        ));
        if action != "invite.resent" {
            transition
                .journal
                .events
                .push(self.event(app, action, data));
        } else if let Some(recipient) = &invite.email {
            transition
                .journal
                .notices
                .push(self.invite_notice(&invite, recipient));
        }
        self.apply(transition).await?;
        Ok(Invite {
            version: invite.version + 1,
            ..invite
        })
    }

    /// What the mail of an invite says; `None` once it is over, or was made by a release whose tokens cannot be made
    /// again.
    pub(crate) async fn invite_particulars(
        &self,
        notice: &Notice,
    ) -> Result<Option<Value>, TenantError> {
        let id = notice.data.get("invite_id").and_then(Value::as_str);
        let id: Option<InviteId> = id.and_then(|id| id.parse().ok());
        let (Some(app), Some(id)) = (&notice.app_id, id) else {
            return Ok(None);
        };
        let invite = self.ports().invites.invite(app, &id).await?;
        let now = self.now();
        let good = |invite: &Invite| !invite.nonce.is_empty() && usable(invite, now).is_ok();
        let Some(invite) = invite.filter(good) else {
            return Ok(None);
        };
        let Some(model) = self.model(AppKey::Id(app)).await? else {
            return Ok(None);
        };
        let inviter = match &invite.created_by {
            Actor::User { id } => {
                let id = id.parse().map_err(|_| TenantError::NotFound)?;
                let user = self.ports().directory.user(app, &id).await?;
                user.map(|user| user.display_name)
            }
            _ => None,
        };
        let token = self.inner.secrets.invite_token(&invite.id, &invite.nonce);
        Ok(Some(json!({
            "recipient": notice.recipient,
            "app_name": model.app.display_name,
            "inviter": inviter.unwrap_or_else(|| model.app.display_name.clone()),
            "roles": view::role_names(&model, &invite.roles),
            "expires_at": invite.expires_at.to_rfc3339(),
            "link": format!("{}{token}", self.inner.settings.invite_base),
        })))
    }

    fn invite_notice(&self, invite: &Invite, recipient: &Email) -> Notice {
        let now = self.now();
        Notice {
            id: NoticeId::generate(now, self.rng()),
            app_id: Some(invite.app_id.clone()),
            kind: "invite".to_owned(),
            recipient: recipient.to_string(),
            data: json!({"invite_id": invite.id, "app": invite.app_id}),
            due: now,
        }
    }
}

fn usable(invite: &Invite, now: heimdall_types::Timestamp) -> Result<(), TenantError> {
    match invite.state {
        InviteState::Revoked => Err(TenantError::Gone("the invite was withdrawn")),
        _ if invite.uses >= invite.max_uses => Err(TenantError::Gone("the invite was used")),
        InviteState::Expired => Err(TenantError::Gone("the invite has expired")),
        InviteState::Open if now >= invite.expires_at => {
            Err(TenantError::Gone("the invite has expired"))
        }
        InviteState::Open => Ok(()),
    }
}

fn range(field: &'static str, value: i64, most: i64) -> Result<i64, TenantError> {
    if (1..=most).contains(&value) {
        Ok(value)
    } else {
        Err(TenantError::malformed(
            field,
            format!("must be 1 to {most}"),
        ))
    }
}
