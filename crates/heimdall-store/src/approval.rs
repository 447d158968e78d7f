//! The approvals' tables: approvals with their logs, portal requests, grants.

mod apply;
mod grants;
mod requests;

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::ports::{ApprovalStore, Stored, Transition};
use heimdall_types::{AppId, ApprovalId, Fault, Timestamp};

use crate::conn::{Conn, JobResult, Scope, query};
use crate::schema::approval::{approvals, grants as grant_rows};
use crate::store::Store;

#[async_trait]
impl ApprovalStore for Store {
    async fn approval(&self, app: &AppId, id: &ApprovalId) -> Result<Option<Stored>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let row: Option<(i64, String)> = query!(c => approvals::table
                .find((own.as_str(), id.as_str()))
                .select((approvals::version, approvals::body))
                .first(c)
                .optional())?;
            row.map(stored).transpose()
        })
        .await
    }

    async fn due_approvals(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored>, Fault> {
        self.read(Scope::System, move |c| {
            let rows: Vec<(i64, String)> = query!(c => approvals::table
                .filter(approvals::due.le(now.millis()))
                .order(approvals::due)
                .limit(i64::from(limit))
                .select((approvals::version, approvals::body))
                .load(c))?;
            rows.into_iter().map(stored).collect()
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Fault> {
        self.read(Scope::System, |c| {
            Ok(earliest(c)?.map(Timestamp::from_millis))
        })
        .await
    }

    async fn apply(&self, transition: Transition) -> Result<(), Fault> {
        let Some(app) = apply::app_of(&transition) else {
            return Ok(());
        };
        self.write(app, move |c| apply::apply(c, &transition)).await
    }
}

fn stored((version, body): (i64, String)) -> JobResult<Stored> {
    Ok(Stored {
        approval: serde_json::from_str(&body)?,
        version,
    })
}

fn earliest(c: &mut Conn<'_>) -> JobResult<Option<i64>> {
    let approval: Option<i64> = query!(c => approvals::table
        .filter(approvals::due.is_not_null())
        .select(diesel::dsl::min(approvals::due))
        .first(c))?;
    let grant: Option<i64> = query!(c => grant_rows::table
        .filter(grant_rows::due.is_not_null())
        .select(diesel::dsl::min(grant_rows::due))
        .first(c))?;
    Ok(approval.into_iter().chain(grant).min())
}
