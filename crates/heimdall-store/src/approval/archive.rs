use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::Event;
use heimdall_approval::archive::{Archive, Gone, Record, RecordKind};
use heimdall_types::{AppId, ApprovalId, Fault, Page, PageRequest, Timestamp};

use crate::conn::{Conn, JobResult, Named, Scope, one, query};
use crate::schema::approval::{approval_events, approvals, requests};
use crate::schema::records::records;
use crate::store::Store;

#[derive(Queryable, Selectable)]
#[diesel(table_name = records)]
struct Row {
    app_id: String,
    id: String,
    version: i64,
    lookup: Option<String>,
    body: String,
    until: Option<i64>,
}

impl Row {
    fn read(self, kind: RecordKind) -> JobResult<Record> {
        Ok(Record {
            app_id: self.app_id.parse()?,
            kind,
            id: self.id,
            lookup: self.lookup,
            version: self.version,
            body: serde_json::from_str(&self.body)?,
            until: self.until.map(Timestamp::from_millis),
        })
    }
}

pub(super) fn put(c: &mut Conn<'_>, record: &Record) -> JobResult<()> {
    let body = record.body.to_string();
    let mutable = (
        records::version.eq(record.version + 1),
        records::lookup.eq(&record.lookup),
        records::body.eq(&body),
        records::until.eq(record.until.map(Timestamp::millis)),
    );
    let (app, kind, id) = (
        record.app_id.as_str(),
        record.kind.as_str(),
        record.id.as_str(),
    );
    if record.version == 0 {
        query!(c => diesel::insert_into(records::table)
            .values((records::app_id.eq(app), records::kind.eq(kind), records::id.eq(id), mutable))
            .execute(c))
        .unique("name")?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(records::table.find((app, kind, id)).filter(records::version.eq(record.version)))
        .set(mutable)
        .execute(c))
    .unique("name")?;
    one(rows)
}

pub(super) fn delete(c: &mut Conn<'_>, gone: &Gone) -> JobResult<()> {
    query!(c => diesel::delete(records::table.find((gone.app_id.as_str(), gone.kind.as_str(), gone.id.as_str()))).execute(c))?;
    Ok(())
}

#[async_trait]
impl Archive for Store {
    async fn record(
        &self,
        app: &AppId,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<Record>, Fault> {
        let (own, id) = (app.clone(), id.to_owned());
        self.read(app, move |c| {
            let row: Option<Row> = query!(c => records::table
                .find((own.as_str(), kind.as_str(), id.as_str()))
                .select(Row::as_select())
                .first(c)
                .optional())?;
            row.map(|row| row.read(kind)).transpose()
        })
        .await
    }

    async fn found(&self, kind: RecordKind, lookup: &str) -> Result<Option<Record>, Fault> {
        let lookup = lookup.to_owned();
        self.read(Scope::System, move |c| {
            let row: Option<Row> = query!(c => records::table
                .filter(records::kind.eq(kind.as_str()))
                .filter(records::lookup.eq(&lookup))
                .select(Row::as_select())
                .first(c)
                .optional())?;
            row.map(|row| row.read(kind)).transpose()
        })
        .await
    }

    async fn anywhere(&self, kind: RecordKind, id: &str) -> Result<Option<Record>, Fault> {
        let id = id.to_owned();
        self.read(Scope::System, move |c| {
            let row: Option<Row> = query!(c => records::table
                .filter(records::kind.eq(kind.as_str()))
                .filter(records::id.eq(&id))
                .select(Row::as_select())
                .first(c)
                .optional())?;
            row.map(|row| row.read(kind)).transpose()
        })
        .await
    }

    async fn records(
        &self,
        app: &AppId,
        kind: RecordKind,
        page: &PageRequest,
    ) -> Result<Page<Record>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        self.read(app, move |c| {
            let rows: Vec<Row> = query!(c => {
                let mut q = records::table
                    .filter(records::app_id.eq(own.as_str()))
                    .filter(records::kind.eq(kind.as_str()))
                    .into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(records::id.gt(cursor.key()));
                }
                q.order(records::id).limit(i64::from(page.limit) + 1).select(Row::as_select()).load(c)
            })?;
            let rows = rows.into_iter().map(|row| row.read(kind)).collect::<JobResult<Vec<_>>>()?;
            Ok(Page::cut(rows, page.limit, |record| record.id.clone()))
        })
        .await
    }

    async fn approvals(
        &self,
        app: &AppId,
        state: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<ApprovalId>, Fault> {
        let (own, state, page) = (app.clone(), state.map(str::to_owned), page.clone());
        self.read(app, move |c| {
            let asked = requests::table.filter(requests::app_id.eq(own.as_str())).select(requests::approval_id);
            let rows: Vec<String> = query!(c => {
                let mut q = approvals::table
                    .filter(approvals::app_id.eq(own.as_str()))
                    .filter(approvals::id.ne_all(asked))
                    .into_boxed::<Backend>();
                if let Some(state) = &state {
                    q = q.filter(approvals::state.eq(state));
                }
                if let Some(cursor) = &page.cursor {
                    q = q.filter(approvals::id.lt(cursor.key()));
                }
                q.order(approvals::id.desc()).limit(i64::from(page.limit) + 1).select(approvals::id).load(c)
            })?;
            let ids = rows.iter().map(|id| Ok(id.parse()?)).collect::<JobResult<Vec<ApprovalId>>>()?;
            Ok(Page::cut(ids, page.limit, ToString::to_string))
        })
        .await
    }

    async fn app_of(&self, id: &ApprovalId) -> Result<Option<AppId>, Fault> {
        let id = id.clone();
        self.read(Scope::System, move |c| {
            let app: Option<String> = query!(c => approvals::table
                .filter(approvals::id.eq(id.as_str()))
                .select(approvals::app_id)
                .first(c)
                .optional())?;
            Ok(app.map(|app| app.parse()).transpose()?)
        })
        .await
    }

    async fn forget(&self, now: Timestamp) -> Result<(), Fault> {
        self.write(Scope::System, move |c| {
            query!(c => diesel::delete(records::table.filter(records::until.le(now.millis()))).execute(c))?;
            Ok(())
        })
        .await
    }

    async fn log(&self, app: &AppId, id: &ApprovalId) -> Result<Vec<Event>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let rows: Vec<String> = query!(c => approval_events::table
                .filter(approval_events::app_id.eq(own.as_str()))
                .filter(approval_events::approval_id.eq(id.as_str()))
                .order(approval_events::seq)
                .select(approval_events::body)
                .load(c))?;
            rows.iter()
                .map(|body| Ok(serde_json::from_str(body)?))
                .collect()
        })
        .await
    }
}
