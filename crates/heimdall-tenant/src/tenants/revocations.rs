use std::sync::Arc;

use heimdall_types::{AppId, CredentialId, SessionId, Timestamp, UserId};

use crate::authority::{Effective, Model};
use crate::caller::Caller;
use crate::change::Subject;
use crate::entity::{AppState, UserState};
use crate::error::TenantError;
use crate::ports::{AppKey, NumberedNote};
use crate::tenants::Tenants;
use crate::view::{Revocation, Revocations};

/// Most changes in one answer.
const MAX_NOTES: u32 = 500;

impl Tenants {
    /// What changed in an App since number `since`, for verifiers that check tokens themselves.
    ///
    /// Each entry tells how its subject stands now, so a reader that missed some is right again after one answer.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `roles:read`.
    pub async fn revocations(
        &self,
        caller: &Caller,
        app: &str,
        since: i64,
        limit: u32,
    ) -> Result<Revocations, TenantError> {
        let entered = self.enter(caller, app, "roles:read").await?;
        self.revocations_of(entered.id(), since, limit).await
    }

    /// As [`Tenants::revocations`], for a proxy in the same process.
    ///
    /// # Errors
    /// [`TenantError::NotFound`] for an App that was erased.
    pub async fn revocations_of(
        &self,
        app: &AppId,
        since: i64,
        limit: u32,
    ) -> Result<Revocations, TenantError> {
        let model = self
            .model(AppKey::Id(app))
            .await?
            .ok_or(TenantError::NotFound)?;
        let limit = limit.clamp(1, MAX_NOTES);
        let notes = self.ports().authority.notes(app, since, limit).await?;
        let has_more = notes.len() >= limit as usize;
        let seq = notes.last().map_or(since, |last| last.seq);
        let mut data = Vec::with_capacity(notes.len());
        for note in notes {
            data.push(self.standing_of(&model, note).await?);
        }
        Ok(Revocations {
            seq,
            has_more,
            data,
            requestable: model.requestable(),
            portal_host: self.inner.settings.portal_host.clone(),
        })
    }

    /// How a token's holder stands at this moment, for a proxy in the same process: `None` means refuse.
    ///
    /// # Errors
    /// Those of the store, when it is not in memory.
    pub async fn standing(
        &self,
        token: &str,
    ) -> Result<Option<(Arc<Model>, Arc<Effective>)>, TenantError> {
        Ok(self
            .good_token(token)
            .await?
            .map(|good| (good.model, good.effective)))
    }

    /// Forgets change notes and refused tokens that no living token can need; call it now and then.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn prune(&self) -> Result<(), TenantError> {
        // The longest access token lives a day.
        let before = self.now().minus(std::time::Duration::from_secs(25 * 3_600));
        Ok(self.ports().authority.prune(before).await?)
    }

    async fn standing_of(
        &self,
        model: &Arc<Model>,
        numbered: NumberedNote,
    ) -> Result<Revocation, TenantError> {
        let (kind, id) = numbered.note.subject.parts();
        let mut entry = Revocation {
            seq: numbered.seq,
            at: numbered.note.at,
            kind,
            id: id.to_owned(),
            status: "revoked",
            roles: Vec::new(),
            permissions: Vec::new(),
            revoked_before: None,
            until: None,
        };
        match &numbered.note.subject {
            Subject::App => {
                entry.id = model.app.id.to_string();
                entry.status = if model.app.state == AppState::Active {
                    "live"
                } else {
                    "revoked"
                };
            }
            Subject::User(id) => self.describe_user(model, id, &mut entry).await?,
            Subject::Client(id) => self.describe_client(model, id, &mut entry).await?,
            Subject::Session(id) => self.describe_session(model, id, &mut entry).await?,
            Subject::Token(_) => {}
        }
        Ok(entry)
    }

    async fn describe_user(
        &self,
        model: &Arc<Model>,
        id: &UserId,
        entry: &mut Revocation,
    ) -> Result<(), TenantError> {
        let Some(live) = self.live_user(model, id, self.now()).await? else {
            return Ok(());
        };
        if live.row.state == UserState::Active {
            entry.status = "live";
            fill(model, &live.effective, live.row.tokens_after, entry);
            entry.until = live.until;
        }
        Ok(())
    }

    async fn describe_client(
        &self,
        model: &Arc<Model>,
        id: &CredentialId,
        entry: &mut Revocation,
    ) -> Result<(), TenantError> {
        let Some(live) = self.live_client(id).await? else {
            return Ok(());
        };
        if live.credential.app_id == model.app.id {
            entry.status = "live";
            fill(model, &live.effective, live.credential.tokens_after, entry);
        }
        Ok(())
    }

    async fn describe_session(
        &self,
        model: &Model,
        id: &SessionId,
        entry: &mut Revocation,
    ) -> Result<(), TenantError> {
        if self
            .ports()
            .authority
            .session_live(&model.app.id, id, self.now())
            .await?
        {
            entry.status = "live";
        }
        Ok(())
    }
}

fn fill(model: &Model, effective: &Effective, tokens_after: Timestamp, entry: &mut Revocation) {
    entry.roles.clone_from(&effective.roles);
    entry.permissions = model.permissions(effective).map(str::to_owned).collect();
    entry.revoked_before = (tokens_after != Timestamp::default()).then_some(tokens_after);
}
