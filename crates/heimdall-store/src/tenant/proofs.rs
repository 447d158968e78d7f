use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_tenant::entity::{PasswordReset, SecondFactors};
use heimdall_tenant::ports::Proofs;
use heimdall_types::{AppId, Fault, Timestamp, UserId};

use super::parse;
use crate::conn::{Conn, JobResult, Named, one, query};
use crate::schema::tenant::{password_resets, second_factors};
use crate::store::Store;

#[async_trait]
impl Proofs for Store {
    async fn second_factors(
        &self,
        app: &AppId,
        user: &UserId,
    ) -> Result<Option<SecondFactors>, Fault> {
        let (own, user) = (app.clone(), user.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => second_factors::table
                .find((own.as_str(), user.as_str()))
                .select(second_factors::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn password_reset(
        &self,
        app: &AppId,
        user: &UserId,
    ) -> Result<Option<PasswordReset>, Fault> {
        let (own, user) = (app.clone(), user.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => password_resets::table
                .find((own.as_str(), user.as_str()))
                .select(password_resets::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn password_reset_by_token(
        &self,
        app: &AppId,
        hash: &str,
    ) -> Result<Option<PasswordReset>, Fault> {
        let (own, hash) = (app.clone(), hash.to_owned());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => password_resets::table
                .filter(password_resets::app_id.eq(own.as_str()))
                .filter(password_resets::token_hash.eq(&hash))
                .select(password_resets::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }
}

pub(super) fn put_factors(c: &mut Conn<'_>, factors: &SecondFactors) -> JobResult<()> {
    let mut next = factors.clone();
    next.version += 1;
    let (body, version) = (serde_json::to_string(&next)?, next.version);
    let (app, user) = (factors.app_id.as_str(), factors.user_id.as_str());
    if factors.version == 0 {
        // Two at once meet here: the later one decides again on what the first one wrote.
        let rows = query!(c => diesel::insert_into(second_factors::table)
            .values((
                second_factors::app_id.eq(app),
                second_factors::user_id.eq(user),
                second_factors::version.eq(version),
                second_factors::body.eq(&body),
            ))
            .on_conflict_do_nothing()
            .execute(c))
        .reference("user")?;
        return one(rows);
    }
    let rows = query!(c => diesel::update(
        second_factors::table.find((app, user)).filter(second_factors::version.eq(factors.version)),
    )
    .set((second_factors::version.eq(version), second_factors::body.eq(&body)))
    .execute(c))?;
    one(rows)
}

pub(super) fn put_reset(c: &mut Conn<'_>, reset: &PasswordReset) -> JobResult<()> {
    let (app, user) = (reset.app_id.as_str(), reset.user_id.as_str());
    query!(c => diesel::delete(password_resets::table.find((app, user))).execute(c))?;
    let body = serde_json::to_string(reset)?;
    query!(c => diesel::insert_into(password_resets::table)
        .values((
            password_resets::app_id.eq(app),
            password_resets::user_id.eq(user),
            password_resets::token_hash.eq(&reset.token_hash),
            password_resets::expires_at.eq(reset.expires_at.millis()),
            password_resets::body.eq(&body),
        ))
        .execute(c))
    .reference("user")?;
    Ok(())
}

pub(super) fn use_reset(
    c: &mut Conn<'_>,
    app: &AppId,
    user: &UserId,
    token_hash: &str,
) -> JobResult<()> {
    let rows = query!(c => diesel::delete(
        password_resets::table
            .find((app.as_str(), user.as_str()))
            .filter(password_resets::token_hash.eq(token_hash)),
    )
    .execute(c))?;
    one(rows)
}

/// Forgets resets that ended before `before`.
pub(super) fn prune(c: &mut Conn<'_>, before: Timestamp) -> JobResult<()> {
    query!(c => diesel::delete(password_resets::table.filter(password_resets::expires_at.lt(before.millis())))
        .execute(c))?;
    Ok(())
}
