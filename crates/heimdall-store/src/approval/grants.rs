use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::ports::{GrantFilter, Grants};
use heimdall_approval::request::{Grant, GrantState};
use heimdall_types::{AppId, Fault, GrantId, Page, PageRequest, RequestId, Timestamp};

use crate::conn::{JobResult, Scope, query};
use crate::schema::approval::grants;
use crate::store::Store;

#[derive(Queryable, Selectable)]
#[diesel(table_name = grants)]
struct GrantRow {
    app_id: String,
    id: String,
    version: i64,
    user_id: String,
    role: String,
    state: String,
    starts_at: i64,
    ends_at: i64,
    request_id: String,
}

impl GrantRow {
    fn grant(self) -> JobResult<Grant> {
        Ok(Grant {
            app_id: self.app_id.parse()?,
            id: self.id.parse()?,
            version: self.version,
            user_id: self.user_id.parse()?,
            role: self.role,
            state: serde_json::from_value::<GrantState>(self.state.into())?,
            starts_at: Timestamp::from_millis(self.starts_at),
            ends_at: Timestamp::from_millis(self.ends_at),
            request_id: self.request_id.parse()?,
        })
    }
}

fn all(rows: Vec<GrantRow>) -> JobResult<Vec<Grant>> {
    rows.into_iter().map(GrantRow::grant).collect()
}

#[async_trait]
impl Grants for Store {
    async fn grant(&self, app: &AppId, id: &GrantId) -> Result<Option<Grant>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let row = query!(c => grants::table
                .find((own.as_str(), id.as_str()))
                .select(GrantRow::as_select())
                .first(c)
                .optional())?;
            row.map(GrantRow::grant).transpose()
        })
        .await
    }

    async fn grants(
        &self,
        app: &AppId,
        filter: &GrantFilter,
        page: &PageRequest,
    ) -> Result<Page<Grant>, Fault> {
        let (own, filter, page) = (app.clone(), filter.clone(), page.clone());
        self.read(app, move |c| {
            let rows = query!(c => {
                let mut q = grants::table.filter(grants::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(user) = &filter.user {
                    q = q.filter(grants::user_id.eq(user.as_str()));
                }
                if let Some(live) = filter.active {
                    q = q.filter(grants::live.eq(live));
                }
                if let Some(cursor) = &page.cursor {
                    q = q.filter(grants::id.lt(cursor.key()));
                }
                q.order(grants::id.desc()).limit(i64::from(page.limit) + 1).select(GrantRow::as_select()).load(c)
            })?;
            Ok(Page::cut(all(rows)?, page.limit, |grant| grant.id.to_string()))
        })
        .await
    }

    async fn grants_of(&self, app: &AppId, request: &RequestId) -> Result<Vec<Grant>, Fault> {
        let (own, request) = (app.clone(), request.clone());
        self.read(app, move |c| {
            let rows = query!(c => grants::table
                .filter(grants::app_id.eq(own.as_str()))
                .filter(grants::request_id.eq(request.as_str()))
                .order(grants::id)
                .select(GrantRow::as_select())
                .load(c))?;
            all(rows)
        })
        .await
    }

    async fn due_grants(&self, now: Timestamp, limit: u32) -> Result<Vec<Grant>, Fault> {
        self.read(Scope::System, move |c| {
            let rows = query!(c => grants::table
                .filter(grants::due.le(now.millis()))
                .order(grants::due)
                .limit(i64::from(limit))
                .select(GrantRow::as_select())
                .load(c))?;
            all(rows)
        })
        .await
    }
}
