//! The approvals' tables: approvals with their logs, portal requests, grants.

mod apply;
mod archive;
mod grants;
mod notification;
mod requests;

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::ports::{ApprovalStore, Stored, Transition};
use heimdall_approval::{Event, Person, replay};
use heimdall_types::{AppId, ApprovalId, Fault, Page, PageRequest, Timestamp};

use crate::conn::{Conn, JobResult, Scope, query};
use crate::schema::approval::{
    approval_events, approval_waits, approvals, grants as grant_rows, requests as request_rows,
};
use crate::store::Store;

#[async_trait]
impl ApprovalStore for Store {
    async fn approval(&self, app: &AppId, id: &ApprovalId) -> Result<Option<Stored>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| stored(c, own.as_str(), id.as_str()))
            .await
    }

    async fn due_approvals(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored>, Fault> {
        self.read(Scope::System, move |c| {
            let rows: Vec<(String, String)> = query!(c => approvals::table
                .filter(approvals::due.le(now.millis()))
                .order(approvals::due)
                .limit(i64::from(limit))
                .select((approvals::app_id, approvals::id))
                .load(c))?;
            let mut all = Vec::with_capacity(rows.len());
            for (app, id) in rows {
                all.extend(stored(c, &app, &id)?);
            }
            Ok(all)
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Fault> {
        self.read(Scope::System, |c| {
            Ok(earliest(c)?.map(Timestamp::from_millis))
        })
        .await
    }

    async fn waiting(
        &self,
        app: &AppId,
        person: &Person,
        page: &PageRequest,
    ) -> Result<Page<ApprovalId>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        let holders: Vec<String> = person.identities.iter().map(ToString::to_string).collect();
        self.read(app, move |c| {
            let asked = request_rows::table
                .filter(request_rows::app_id.eq(own.as_str()))
                .filter(request_rows::approval_id.eq(approval_waits::approval_id))
                .select(request_rows::approval_id);
            let rows: Vec<String> = query!(c => {
                let mut q = approval_waits::table
                    .filter(approval_waits::app_id.eq(own.as_str()))
                    .filter(approval_waits::holder.eq_any(&holders))
                    .filter(diesel::dsl::not(diesel::dsl::exists(asked)))
                    .into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(approval_waits::approval_id.gt(cursor.key()));
                }
                q.order(approval_waits::approval_id)
                    .select(approval_waits::approval_id)
                    .distinct()
                    .limit(i64::from(page.limit) + 1)
                    .load(c)
            })?;
            let ids = rows
                .iter()
                .map(|id| Ok(id.parse()?))
                .collect::<JobResult<Vec<ApprovalId>>>()?;
            Ok(Page::cut(ids, page.limit, ToString::to_string))
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

// The log is the truth; the row beside it is what lists and timers look at.
fn stored(c: &mut Conn<'_>, app: &str, id: &str) -> JobResult<Option<Stored>> {
    let bodies: Vec<String> = query!(c => approval_events::table
        .filter(approval_events::app_id.eq(app))
        .filter(approval_events::approval_id.eq(id))
        .order(approval_events::seq)
        .select(approval_events::body)
        .load(c))?;
    if bodies.is_empty() {
        return Ok(None);
    }
    let events = bodies
        .iter()
        .map(|body| serde_json::from_str(body))
        .collect::<Result<Vec<Event>, _>>()?;
    Ok(Some(Stored {
        app_id: app.parse()?,
        id: id.parse()?,
        version: i64::try_from(events.len()).unwrap_or(i64::MAX),
        state: replay(&events),
    }))
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
