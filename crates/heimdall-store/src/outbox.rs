//! The notifier's outbox.

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_notifier::{DeadLetter, Leased, Outbox};
use heimdall_types::{AppId, Fault, Notice, NoticeId, Page, PageRequest, Timestamp};

use crate::conn::{Conn, Db, JobError, JobResult, Scope, one, query};
use crate::schema::foundation::outbox;
use crate::store::Store;

/// The state of a row that is to be sent.
pub(crate) const WAITING: &str = "waiting";
/// The state of a row that was given up.
pub(crate) const DEAD: &str = "dead";

#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct NoticeRow {
    id: String,
    app_id: Option<String>,
    kind: String,
    recipient: String,
    data: String,
    due: i64,
    attempts: i64,
    died_at: Option<i64>,
    error: Option<String>,
}

impl NoticeRow {
    fn attempts(&self) -> u32 {
        u32::try_from(self.attempts).unwrap_or(u32::MAX)
    }

    fn notice(self) -> JobResult<Notice> {
        Ok(Notice {
            id: self.id.parse()?,
            app_id: self.app_id.map(|id| id.parse()).transpose()?,
            kind: self.kind,
            recipient: self.recipient,
            data: serde_json::from_str(&self.data)?,
            due: Timestamp::from_millis(self.due),
        })
    }

    fn leased(self) -> JobResult<Leased> {
        Ok(Leased {
            attempts: self.attempts(),
            notice: self.notice()?,
        })
    }

    fn dead(self) -> JobResult<DeadLetter> {
        Ok(DeadLetter {
            attempts: self.attempts(),
            at: Timestamp::from_millis(self.died_at.unwrap_or_default()),
            error: self.error.clone().unwrap_or_default(),
            notice: self.notice()?,
        })
    }
}

#[async_trait]
impl Outbox for Store {
    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Leased>, Fault> {
        // Most times nothing waits; asking a reader keeps the writer out of it.
        if !self
            .read(Scope::System, move |c| Ok(any_due(c, now)?))
            .await?
        {
            return Ok(Vec::new());
        }
        self.write(Scope::System, move |c| {
            let rows = due(c, now, limit)?;
            for row in &rows {
                query!(c => diesel::update(outbox::table.find(&row.id))
                    .set(outbox::leased_until.eq(until.millis()))
                    .execute(c))?;
            }
            rows.into_iter().map(NoticeRow::leased).collect()
        })
        .await
    }

    async fn sent(&self, id: &NoticeId, _now: Timestamp) -> Result<(), Fault> {
        let id = id.clone();
        self.write(Scope::System, move |c| {
            query!(c => diesel::delete(outbox::table.find(id.as_str())).execute(c))?;
            Ok(())
        })
        .await
    }

    async fn retry(&self, id: &NoticeId, next: Timestamp, error: &str) -> Result<(), Fault> {
        let (id, error) = (id.clone(), error.to_owned());
        self.write(Scope::System, move |c| {
            let rows = query!(c => diesel::update(outbox::table.find(id.as_str()))
                .set((
                    outbox::attempts.eq(outbox::attempts + 1),
                    outbox::due.eq(next.millis()),
                    outbox::leased_until.eq(0),
                    outbox::error.eq(&error),
                ))
                .execute(c))?;
            one(rows)
        })
        .await
    }

    async fn bury(&self, id: &NoticeId, now: Timestamp, error: &str) -> Result<(), Fault> {
        let (id, error) = (id.clone(), error.to_owned());
        self.write(Scope::System, move |c| {
            let rows = query!(c => diesel::update(outbox::table.find(id.as_str()))
                .set((
                    outbox::attempts.eq(outbox::attempts + 1),
                    outbox::state.eq(DEAD),
                    outbox::died_at.eq(now.millis()),
                    outbox::leased_until.eq(0),
                    outbox::error.eq(&error),
                ))
                .execute(c))?;
            one(rows)
        })
        .await
    }

    async fn dead(
        &self,
        app: Option<&AppId>,
        page: &PageRequest,
    ) -> Result<Page<DeadLetter>, Fault> {
        let (app, page) = (app.cloned(), page.clone());
        let scope = app.as_ref().map_or(Scope::System, Scope::from);
        self.read(scope, move |c| {
            let rows = buried(c, app.as_ref(), &page)?;
            let rows = rows
                .into_iter()
                .map(NoticeRow::dead)
                .collect::<JobResult<Vec<_>>>()?;
            Ok(Page::cut(rows, page.limit, |letter| {
                letter.notice.id.to_string()
            }))
        })
        .await
    }

    async fn resend(&self, id: &NoticeId, now: Timestamp) -> Result<bool, Fault> {
        let id = id.clone();
        self.write(Scope::System, move |c| {
            let rows = query!(c => diesel::update(outbox::table.find(id.as_str()).filter(outbox::state.eq(DEAD)))
                .set((
                    outbox::state.eq(WAITING),
                    outbox::due.eq(now.millis()),
                    outbox::attempts.eq(0),
                    outbox::died_at.eq(None::<i64>),
                ))
                .execute(c))?;
            c.touched.of(None).outbox = true;
            Ok(rows == 1)
        })
        .await
    }
}

fn any_due(c: &mut Conn<'_>, now: Timestamp) -> QueryResult<bool> {
    let now = now.millis();
    query!(c => diesel::select(diesel::dsl::exists(
        outbox::table.filter(outbox::state.eq(WAITING).and(outbox::due.le(now)).and(outbox::leased_until.le(now))),
    ))
    .get_result(c))
}

/// Due rows that nobody holds. On PostgreSQL rows that another worker is taking at this moment are passed over.
fn due(c: &mut Conn<'_>, now: Timestamp, limit: u32) -> QueryResult<Vec<NoticeRow>> {
    let now = now.millis();
    let free = outbox::table
        .filter(
            outbox::state
                .eq(WAITING)
                .and(outbox::due.le(now))
                .and(outbox::leased_until.le(now)),
        )
        .order((outbox::due, outbox::id))
        .limit(limit.into())
        .select(outbox::id);
    let ids: Vec<String> = match &mut c.db {
        Db::Sqlite(c) => free.load(&mut **c)?,
        Db::Postgres(c) => free.for_update().skip_locked().load(&mut **c)?,
    };
    query!(c => outbox::table
        .filter(outbox::id.eq_any(&ids))
        .order((outbox::due, outbox::id))
        .select(NoticeRow::as_select())
        .load(c))
}

fn buried(
    c: &mut Conn<'_>,
    app: Option<&AppId>,
    page: &PageRequest,
) -> Result<Vec<NoticeRow>, JobError> {
    Ok(query!(c => {
        let mut rows = outbox::table.filter(outbox::state.eq(DEAD)).into_boxed::<Backend>();
        if let Some(app) = app {
            rows = rows.filter(outbox::app_id.eq(app.as_str()));
        }
        if let Some(cursor) = &page.cursor {
            rows = rows.filter(outbox::id.lt(cursor.key()));
        }
        rows.order(outbox::id.desc())
            .limit(i64::from(page.limit) + 1)
            .select(NoticeRow::as_select())
            .load(c)
    })?)
}
