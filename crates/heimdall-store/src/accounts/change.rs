use diesel::prelude::*;
use heimdall_approval::accounts::ports::{AccountChange, AccountTransition};
use heimdall_approval::accounts::{Account, AccountSession, Failures, Identified, OneTime};

use super::{confirmed, state};
use crate::conn::{Conn, JobResult, Named, one, query};
use crate::journal;
use crate::schema::accounts::{
    account_errands, account_identities, account_sessions, account_tries, accounts,
};

/// Everything of a transition, in this transaction.
pub(super) fn apply(c: &mut Conn<'_>, transition: &AccountTransition) -> JobResult<()> {
    for change in &transition.changes {
        match change {
            AccountChange::Put(account) => put(c, account)?,
            AccountChange::Link(identified) => link(c, identified)?,
            AccountChange::Unlink(account, provider) => {
                query!(c => diesel::delete(account_identities::table
                    .filter(account_identities::account_id.eq(account.as_str()))
                    .filter(account_identities::provider.eq(provider)))
                    .execute(c))?;
            }
            AccountChange::Erase(account) => {
                query!(c => diesel::delete(accounts::table.find(account.as_str())).execute(c))?;
            }
            AccountChange::Begin(session) => begin(c, session)?,
            AccountChange::End(hash) => {
                query!(c => diesel::delete(account_sessions::table.find(hash)).execute(c))?;
            }
            AccountChange::EndAll(account, but) => {
                let but = but.as_deref().unwrap_or_default();
                query!(c => diesel::delete(account_sessions::table
                    .filter(account_sessions::account_id.eq(account.as_str()))
                    .filter(account_sessions::hash.ne(but)))
                    .execute(c))?;
            }
            AccountChange::Keep(pending) => keep(c, pending)?,
            AccountChange::Take(id) => {
                let rows = query!(c => diesel::delete(account_errands::table.find(id)).execute(c))?;
                one(rows)?;
            }
            AccountChange::Count(key, failures) => count(c, key, *failures)?,
        }
    }
    journal::write(c, &transition.journal)
}

fn put(c: &mut Conn<'_>, account: &Account) -> JobResult<()> {
    let password = account.password.as_ref().map(|hash| hash.expose());
    let mutable = (
        accounts::confirmed.eq(confirmed(account.confirmed)),
        accounts::first_name.eq(&account.first_name),
        accounts::last_name.eq(&account.last_name),
        accounts::password.eq(password),
        accounts::state.eq(state(account.state)),
        accounts::version.eq(account.version + 1),
    );
    if account.version == 0 {
        query!(c => diesel::insert_into(accounts::table)
            .values((
                accounts::id.eq(account.id.as_str()),
                accounts::email.eq(account.email.as_str()),
                accounts::created_at.eq(account.created_at.millis()),
                mutable,
            ))
            .execute(c))
        .unique("email")?;
        return Ok(());
    }
    let rows = query!(c => diesel::update(accounts::table
        .find(account.id.as_str())
        .filter(accounts::version.eq(account.version)))
        .set(mutable)
        .execute(c))?;
    one(rows)
}

fn link(c: &mut Conn<'_>, identified: &Identified) -> JobResult<()> {
    query!(c => diesel::insert_into(account_identities::table)
        .values((
            account_identities::provider.eq(&identified.provider),
            account_identities::subject.eq(&identified.subject),
            account_identities::account_id.eq(identified.account.as_str()),
            account_identities::email.eq(&identified.email),
            account_identities::name.eq(&identified.name),
            account_identities::since.eq(identified.since.millis()),
        ))
        .execute(c))
    .unique("identity")?;
    Ok(())
}

fn begin(c: &mut Conn<'_>, session: &AccountSession) -> JobResult<()> {
    query!(c => diesel::insert_into(account_sessions::table)
        .values((
            account_sessions::hash.eq(&session.hash),
            account_sessions::account_id.eq(session.account.as_str()),
            account_sessions::agent.eq(&session.agent),
            account_sessions::since.eq(session.since.millis()),
            account_sessions::until.eq(session.until.millis()),
        ))
        .execute(c))?;
    Ok(())
}

fn keep(c: &mut Conn<'_>, pending: &OneTime) -> JobResult<()> {
    let body = serde_json::to_string(&pending.errand)?;
    query!(c => diesel::insert_into(account_errands::table)
        .values((
            account_errands::id.eq(&pending.id),
            account_errands::until.eq(pending.until.millis()),
            account_errands::body.eq(&body),
        ))
        .execute(c))?;
    Ok(())
}

fn count(c: &mut Conn<'_>, key: &str, failures: Failures) -> JobResult<()> {
    if failures.count == 0 {
        query!(c => diesel::delete(account_tries::table.find(key)).execute(c))?;
        return Ok(());
    }
    let counted = (
        account_tries::count.eq(i64::from(failures.count)),
        account_tries::since.eq(failures.since.millis()),
    );
    query!(c => diesel::insert_into(account_tries::table)
        .values((account_tries::id.eq(key), counted))
        .on_conflict(account_tries::id)
        .do_update()
        .set(counted)
        .execute(c))?;
    Ok(())
}
