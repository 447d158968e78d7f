use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_tenant::entity::{Credential, Invite, InviteState, Webhook};
use heimdall_tenant::ports::{Credentials, Invites, Webhooks};
use heimdall_types::{
    AppId, CredentialId, Fault, InviteId, Page, PageRequest, Timestamp, WebhookId,
};

use super::{parse, parse_all};
use crate::conn::{JobResult, Scope, query};
use crate::schema::foundation::webhooks;
use crate::schema::tenant::{credentials, invites};
use crate::store::Store;

#[async_trait]
impl Credentials for Store {
    async fn credential(&self, id: &CredentialId) -> Result<Option<Credential>, Fault> {
        let id = id.clone();
        self.read(Scope::System, move |c| {
            let body: Option<String> = query!(c => credentials::table
                .filter(credentials::id.eq(id.as_str()))
                .select(credentials::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn credentials(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<Credential>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        self.read(app, move |c| {
            let bodies: Vec<String> = query!(c => {
                let mut q = credentials::table.filter(credentials::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(credentials::id.gt(cursor.key()));
                }
                q.order(credentials::id).limit(i64::from(page.limit) + 1).select(credentials::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |credential: &Credential| credential.id.to_string()))
        })
        .await
    }
}

pub(super) fn invite_state(state: InviteState) -> JobResult<String> {
    Ok(serde_json::to_value(state)?
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[async_trait]
impl Invites for Store {
    async fn invite(&self, app: &AppId, id: &InviteId) -> Result<Option<Invite>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => invites::table
                .find((own.as_str(), id.as_str()))
                .select(invites::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn invite_by_token(&self, hash: &str) -> Result<Option<Invite>, Fault> {
        let hash = hash.to_owned();
        self.read(Scope::System, move |c| {
            let body: Option<String> = query!(c => invites::table
                .filter(invites::token_hash.eq(&hash))
                .select(invites::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn invites(&self, app: &AppId, page: &PageRequest) -> Result<Page<Invite>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        self.read(app, move |c| {
            let bodies: Vec<String> = query!(c => {
                let mut q = invites::table.filter(invites::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(invites::id.lt(cursor.key()));
                }
                q.order(invites::id.desc()).limit(i64::from(page.limit) + 1).select(invites::body).load(c)
            })?;
            Ok(Page::cut(parse_all(bodies)?, page.limit, |invite: &Invite| invite.id.to_string()))
        })
        .await
    }

    async fn expired_invites(&self, now: Timestamp, limit: u32) -> Result<Vec<Invite>, Fault> {
        self.read(Scope::System, move |c| {
            let open = invite_state(InviteState::Open)?;
            let bodies: Vec<String> = query!(c => invites::table
                .filter(invites::state.eq(&open))
                .filter(invites::expires_at.le(now.millis()))
                .order(invites::expires_at)
                .limit(i64::from(limit))
                .select(invites::body)
                .load(c))?;
            parse_all(bodies)
        })
        .await
    }
}

#[async_trait]
impl Webhooks for Store {
    async fn webhook(&self, app: &AppId, id: &WebhookId) -> Result<Option<Webhook>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let row: Option<(i64, bool, String)> = query!(c => webhooks::table
                .find((own.as_str(), id.as_str()))
                .select((webhooks::version, webhooks::enabled, webhooks::body))
                .first(c)
                .optional())?;
            row.map(endpoint).transpose()
        })
        .await
    }

    async fn webhooks(&self, app: &AppId, page: &PageRequest) -> Result<Page<Webhook>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        self.read(app, move |c| {
            let rows: Vec<(i64, bool, String)> = query!(c => {
                let mut q = webhooks::table.filter(webhooks::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(webhooks::id.gt(cursor.key()));
                }
                q.order(webhooks::id)
                    .limit(i64::from(page.limit) + 1)
                    .select((webhooks::version, webhooks::enabled, webhooks::body))
                    .load(c)
            })?;
            let all = rows.into_iter().map(endpoint).collect::<JobResult<Vec<_>>>()?;
            Ok(Page::cut(all, page.limit, |webhook| webhook.id.to_string()))
        })
        .await
    }

    async fn receivers(&self, app: &AppId) -> Result<Vec<Webhook>, Fault> {
        let own = app.clone();
        self.read(app, move |c| {
            let rows: Vec<(i64, bool, String)> = query!(c => webhooks::table
                .filter(webhooks::app_id.eq(own.as_str()))
                .filter(webhooks::enabled.eq(true))
                .order(webhooks::id)
                .select((webhooks::version, webhooks::enabled, webhooks::body))
                .load(c))?;
            rows.into_iter().map(endpoint).collect()
        })
        .await
    }
}

// The deliveries' side disables an endpoint by the column, so the column wins over the body.
fn endpoint((version, enabled, body): (i64, bool, String)) -> JobResult<Webhook> {
    let mut webhook: Webhook = parse(&body)?;
    webhook.version = version;
    webhook.enabled = enabled;
    Ok(webhook)
}
