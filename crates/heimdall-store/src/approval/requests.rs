use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::Person;
use heimdall_approval::ports::{RequestFilter, Requests};
use heimdall_approval::request::Request;
use heimdall_types::{AppId, ApprovalId, Fault, Page, PageRequest, RequestId};

use crate::conn::{JobResult, Scope, query};
use crate::schema::approval::{approval_waits, requests};
use crate::store::Store;

fn parse(body: &str) -> JobResult<Request> {
    Ok(serde_json::from_str(body)?)
}

fn page_of(rows: Vec<String>, limit: u32) -> JobResult<Page<Request>> {
    let all = rows
        .iter()
        .map(|body| parse(body))
        .collect::<JobResult<Vec<_>>>()?;
    Ok(Page::cut(all, limit, |request| request.id.to_string()))
}

#[async_trait]
impl Requests for Store {
    async fn request(&self, app: &AppId, id: &RequestId) -> Result<Option<Request>, Fault> {
        let (own, id) = (app.clone(), id.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => requests::table
                .find((own.as_str(), id.as_str()))
                .select(requests::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn session(&self, session_id: i64) -> Result<Option<Request>, Fault> {
        self.read(Scope::System, move |c| {
            let body: Option<String> = query!(c => requests::table
                .filter(requests::session_id.eq(session_id))
                .select(requests::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn request_of(
        &self,
        app: &AppId,
        approval: &ApprovalId,
    ) -> Result<Option<Request>, Fault> {
        let (own, approval) = (app.clone(), approval.clone());
        self.read(app, move |c| {
            let body: Option<String> = query!(c => requests::table
                .filter(requests::app_id.eq(own.as_str()))
                .filter(requests::approval_id.eq(approval.as_str()))
                .select(requests::body)
                .first(c)
                .optional())?;
            body.map(|body| parse(&body)).transpose()
        })
        .await
    }

    async fn requests(
        &self,
        app: &AppId,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<Request>, Fault> {
        let (own, filter, page) = (app.clone(), filter.clone(), page.clone());
        self.read(app, move |c| {
            let rows: Vec<String> = query!(c => {
                let mut q = requests::table.filter(requests::app_id.eq(own.as_str())).into_boxed::<Backend>();
                if let Some(user) = &filter.requester {
                    q = q.filter(requests::requester_id.eq(user.as_str()));
                }
                if let Some(state) = filter.state {
                    q = q.filter(requests::state.eq(state.as_str()));
                }
                if let Some(cursor) = &page.cursor {
                    q = q.filter(requests::id.lt(cursor.key()));
                }
                q.order(requests::id.desc()).limit(i64::from(page.limit) + 1).select(requests::body).load(c)
            })?;
            page_of(rows, page.limit)
        })
        .await
    }

    async fn inbox(
        &self,
        app: &AppId,
        person: &Person,
        page: &PageRequest,
    ) -> Result<Page<Request>, Fault> {
        let (own, page) = (app.clone(), page.clone());
        let holders: Vec<String> = person.identities.iter().map(ToString::to_string).collect();
        self.read(app, move |c| {
            let waiting = approval_waits::table
                .filter(approval_waits::app_id.eq(own.as_str()))
                .filter(approval_waits::holder.eq_any(&holders))
                .select(approval_waits::approval_id);
            let rows: Vec<String> = query!(c => {
                let mut q = requests::table
                    .filter(requests::app_id.eq(own.as_str()))
                    .filter(requests::approval_id.eq_any(waiting))
                    .into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    q = q.filter(requests::id.gt(cursor.key()));
                }
                q.order(requests::id).limit(i64::from(page.limit) + 1).select(requests::body).load(c)
            })?;
            page_of(rows, page.limit)
        })
        .await
    }
}
