use std::collections::BTreeSet;

use diesel::prelude::*;
use heimdall_approval::ports::{Append, Transition};
use heimdall_approval::request::{Grant, Request};
use heimdall_types::AppId;

use crate::conn::{Conn, JobResult, one, query};
use crate::journal;
use crate::schema::approval::{approval_events, approval_waits, approvals, grants, requests};

/// The one App that a transition is about.
pub(super) fn app_of(transition: &Transition) -> Option<AppId> {
    let approval = transition.approval.iter().map(|append| &append.app_id);
    let requests = transition.requests.iter().map(|request| &request.app_id);
    let grants = transition.grants.iter().map(|grant| &grant.app_id);
    let records = transition.records.iter().map(|record| &record.app_id);
    let gone = transition.gone.iter().map(|gone| &gone.app_id);
    approval
        .chain(requests)
        .chain(grants)
        .chain(records)
        .chain(gone)
        .next()
        .cloned()
}

/// Everything of a transition, in this transaction.
pub(super) fn apply(c: &mut Conn<'_>, transition: &Transition) -> JobResult<()> {
    if let Some(append) = &transition.approval {
        put_approval(c, append)?;
    }
    for request in &transition.requests {
        put_request(c, request)?;
    }
    for grant in &transition.grants {
        put_grant(c, grant)?;
    }
    for record in &transition.records {
        super::archive::put(c, record)?;
    }
    for gone in &transition.gone {
        super::archive::delete(c, gone)?;
    }
    for (app, user, at) in &transition.authority {
        crate::tenant::note_user(c, app, user, *at)?;
    }
    journal::write(c, &transition.journal)
}

fn put_approval(c: &mut Conn<'_>, append: &Append) -> JobResult<()> {
    let (app, id, expected) = (append.app_id.as_str(), append.id.as_str(), append.expected);
    let version = expected + i64::try_from(append.events.len()).unwrap_or(i64::MAX);
    let due = append.due.map(heimdall_types::Timestamp::millis);
    let mutable = (
        approvals::version.eq(version),
        approvals::state.eq(append.state.as_str()),
        approvals::due.eq(due),
    );
    if expected == 0 {
        query!(c => diesel::insert_into(approvals::table)
            .values((approvals::app_id.eq(app), approvals::id.eq(id), mutable))
            .execute(c))?;
    } else {
        let rows = query!(c => diesel::update(approvals::table.find((app, id)).filter(approvals::version.eq(expected)))
            .set(mutable)
            .execute(c))?;
        one(rows)?;
    }
    for (seq, event) in (expected + 1..).zip(&append.events) {
        let body = serde_json::to_string(event)?;
        query!(c => diesel::insert_into(approval_events::table)
            .values((
                approval_events::app_id.eq(app),
                approval_events::approval_id.eq(id),
                approval_events::seq.eq(seq),
                approval_events::body.eq(&body),
            ))
            .execute(c))?;
    }
    // The inbox reads this instead of replaying every approval.
    query!(c => diesel::delete(
        approval_waits::table.filter(approval_waits::app_id.eq(app)).filter(approval_waits::approval_id.eq(id)),
    )
    .execute(c))?;
    for holder in append.waits.iter().collect::<BTreeSet<_>>() {
        query!(c => diesel::insert_into(approval_waits::table)
            .values((
                approval_waits::app_id.eq(app),
                approval_waits::holder.eq(holder.as_str()),
                approval_waits::approval_id.eq(id),
            ))
            .execute(c))?;
    }
    Ok(())
}

fn put_request(c: &mut Conn<'_>, request: &Request) -> JobResult<()> {
    let mut next = request.clone();
    next.version += 1;
    let body = serde_json::to_string(&next)?;
    if request.version == 0 {
        query!(c => diesel::insert_into(requests::table)
            .values((
                requests::app_id.eq(request.app_id.as_str()),
                requests::id.eq(request.id.as_str()),
                requests::version.eq(1),
                requests::session_id.eq(request.session_id),
                requests::approval_id.eq(request.approval_id.as_str()),
                requests::requester_id.eq(request.requester.id.as_str()),
                requests::state.eq(request.state.as_str()),
                requests::body.eq(&body),
            ))
            .execute(c))?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(
        requests::table
            .find((request.app_id.as_str(), request.id.as_str()))
            .filter(requests::version.eq(request.version)),
    )
    .set((
        requests::version.eq(next.version),
        requests::state.eq(request.state.as_str()),
        requests::body.eq(&body),
    ))
    .execute(c))?;
    one(rows)
}

fn put_grant(c: &mut Conn<'_>, grant: &Grant) -> JobResult<()> {
    let due = grant.next_due().map(heimdall_types::Timestamp::millis);
    let mutable = (
        grants::state.eq(grant.state.as_str()),
        grants::live.eq(grant.state.is_live()),
        grants::starts_at.eq(grant.starts_at.millis()),
        grants::ends_at.eq(grant.ends_at.millis()),
        grants::due.eq(due),
    );
    if grant.version == 0 {
        query!(c => diesel::insert_into(grants::table)
            .values((
                grants::app_id.eq(grant.app_id.as_str()),
                grants::id.eq(grant.id.as_str()),
                grants::version.eq(1),
                grants::user_id.eq(grant.user_id.as_str()),
                grants::role.eq(&grant.role),
                grants::request_id.eq(grant.request_id.as_str()),
                mutable,
            ))
            .execute(c))?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(
        grants::table.find((grant.app_id.as_str(), grant.id.as_str())).filter(grants::version.eq(grant.version)),
    )
    .set((grants::version.eq(grant.version + 1), mutable))
    .execute(c))?;
    one(rows)
}
