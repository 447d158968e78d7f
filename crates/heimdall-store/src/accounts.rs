//! Accounts of external approvers. They belong to no App, so every job runs for the system.

mod change;

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_approval::Identity;
use heimdall_approval::accounts::ports::{AccountBook, AccountDesk, AccountTransition};
use heimdall_approval::accounts::{
    Account, AccountSession, AccountState, Confirmed, Failures, Identified, OneTime,
};
use heimdall_types::{AccountId, AppId, ApprovalId, Email, Fault, Secret, Timestamp};

use crate::conn::{JobResult, Scope, query};
use crate::schema::accounts::{
    account_errands, account_identities, account_sessions, account_tries, accounts,
};
use crate::schema::approval::approval_waits;
use crate::store::Store;

/// Counted tries are of no interest after a day.
const TRIES_KEPT: std::time::Duration = std::time::Duration::from_secs(86_400);

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
struct Row {
    id: String,
    email: String,
    confirmed: String,
    first_name: String,
    last_name: String,
    password: Option<String>,
    state: String,
    created_at: i64,
    version: i64,
}

impl Row {
    fn account(self) -> JobResult<Account> {
        let corrupt = |what: &str| Fault::Corrupt(format!("account `{}`: {what}", self.id));
        Ok(Account {
            email: self
                .email
                .parse::<Email>()
                .map_err(|_| corrupt("its address"))?,
            confirmed: match self.confirmed.as_str() {
                "mail" => Confirmed::Mail,
                "provider" => Confirmed::Provider,
                _ => return Err(corrupt("how it was confirmed").into()),
            },
            state: match self.state.as_str() {
                "active" => AccountState::Active,
                "leaving" => AccountState::Leaving,
                _ => return Err(corrupt("its state").into()),
            },
            id: self.id.parse()?,
            first_name: self.first_name,
            last_name: self.last_name,
            password: self.password.map(Secret::new),
            created_at: Timestamp::from_millis(self.created_at),
            version: self.version,
        })
    }
}

pub(super) fn confirmed(confirmed: Confirmed) -> &'static str {
    match confirmed {
        Confirmed::Mail => "mail",
        Confirmed::Provider => "provider",
    }
}

pub(super) fn state(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Leaving => "leaving",
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = account_identities)]
struct IdentityRow {
    provider: String,
    subject: String,
    account_id: String,
    email: Option<String>,
    name: String,
    since: i64,
}

impl IdentityRow {
    fn identified(self) -> JobResult<Identified> {
        Ok(Identified {
            provider: self.provider,
            subject: self.subject,
            account: self.account_id.parse()?,
            email: self.email,
            name: self.name,
            since: Timestamp::from_millis(self.since),
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = account_sessions)]
struct SessionRow {
    hash: String,
    account_id: String,
    agent: String,
    since: i64,
    until: i64,
}

impl SessionRow {
    fn session(self) -> JobResult<AccountSession> {
        Ok(AccountSession {
            hash: self.hash,
            account: self.account_id.parse()?,
            agent: self.agent,
            since: Timestamp::from_millis(self.since),
            until: Timestamp::from_millis(self.until),
        })
    }
}

#[async_trait]
impl AccountBook for Store {
    async fn account(&self, id: &AccountId) -> Result<Option<Account>, Fault> {
        let id = id.clone();
        self.read(Scope::System, move |c| {
            let row: Option<Row> = query!(c => accounts::table
                .find(id.as_str())
                .select(Row::as_select())
                .first(c)
                .optional())?;
            row.map(Row::account).transpose()
        })
        .await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>, Fault> {
        let email = email.clone();
        self.read(Scope::System, move |c| {
            let row: Option<Row> = query!(c => accounts::table
                .filter(accounts::email.eq(email.as_str()))
                .select(Row::as_select())
                .first(c)
                .optional())?;
            row.map(Row::account).transpose()
        })
        .await
    }

    async fn identity(&self, provider: &str, subject: &str) -> Result<Option<Identified>, Fault> {
        let (provider, subject) = (provider.to_owned(), subject.to_owned());
        self.read(Scope::System, move |c| {
            let row: Option<IdentityRow> = query!(c => account_identities::table
                .find((&provider, &subject))
                .select(IdentityRow::as_select())
                .first(c)
                .optional())?;
            row.map(IdentityRow::identified).transpose()
        })
        .await
    }

    async fn identities(&self, account: &AccountId) -> Result<Vec<Identified>, Fault> {
        let account = account.clone();
        self.read(Scope::System, move |c| {
            let rows: Vec<IdentityRow> = query!(c => account_identities::table
                .filter(account_identities::account_id.eq(account.as_str()))
                .order(account_identities::provider)
                .select(IdentityRow::as_select())
                .load(c))?;
            rows.into_iter().map(IdentityRow::identified).collect()
        })
        .await
    }

    async fn leaving(&self, limit: u32) -> Result<Vec<Account>, Fault> {
        self.read(Scope::System, move |c| {
            let rows: Vec<Row> = query!(c => accounts::table
                .filter(accounts::state.ne("active"))
                .order(accounts::id)
                .limit(i64::from(limit))
                .select(Row::as_select())
                .load(c))?;
            rows.into_iter().map(Row::account).collect()
        })
        .await
    }

    async fn waiting_for(
        &self,
        holder: &Identity,
        limit: u32,
    ) -> Result<Vec<(AppId, ApprovalId)>, Fault> {
        let holder = holder.clone();
        self.read(Scope::System, move |c| {
            let rows: Vec<(String, String)> = query!(c => approval_waits::table
                .filter(approval_waits::holder.eq(holder.as_str()))
                .order((approval_waits::app_id, approval_waits::approval_id))
                .limit(i64::from(limit))
                .select((approval_waits::app_id, approval_waits::approval_id))
                .load(c))?;
            rows.iter()
                .map(|(app, id)| Ok((app.parse()?, id.parse()?)))
                .collect()
        })
        .await
    }
}

#[async_trait]
impl AccountDesk for Store {
    async fn login(&self, hash: &str) -> Result<Option<AccountSession>, Fault> {
        let hash = hash.to_owned();
        self.read(Scope::System, move |c| {
            let row: Option<SessionRow> = query!(c => account_sessions::table
                .find(&hash)
                .select(SessionRow::as_select())
                .first(c)
                .optional())?;
            row.map(SessionRow::session).transpose()
        })
        .await
    }

    async fn logins(&self, account: &AccountId) -> Result<Vec<AccountSession>, Fault> {
        let account = account.clone();
        self.read(Scope::System, move |c| {
            let rows: Vec<SessionRow> = query!(c => account_sessions::table
                .filter(account_sessions::account_id.eq(account.as_str()))
                .order(account_sessions::since.desc())
                .select(SessionRow::as_select())
                .load(c))?;
            rows.into_iter().map(SessionRow::session).collect()
        })
        .await
    }

    async fn pending(&self, id: &str) -> Result<Option<OneTime>, Fault> {
        let id = id.to_owned();
        self.read(Scope::System, move |c| {
            let row: Option<(i64, String)> = query!(c => account_errands::table
                .find(&id)
                .select((account_errands::until, account_errands::body))
                .first(c)
                .optional())?;
            let Some((until, body)) = row else {
                return Ok(None);
            };
            Ok(Some(OneTime {
                id: id.clone(),
                errand: serde_json::from_str(&body)?,
                until: Timestamp::from_millis(until),
            }))
        })
        .await
    }

    async fn failures(&self, key: &str) -> Result<Failures, Fault> {
        let key = key.to_owned();
        self.read(Scope::System, move |c| {
            let row: Option<(i64, i64)> = query!(c => account_tries::table
                .find(&key)
                .select((account_tries::count, account_tries::since))
                .first(c)
                .optional())?;
            let (count, since) = row.unwrap_or_default();
            Ok(Failures {
                count: u32::try_from(count).unwrap_or(u32::MAX),
                since: Timestamp::from_millis(since),
            })
        })
        .await
    }

    async fn prune(&self, now: Timestamp) -> Result<(), Fault> {
        self.write(Scope::System, move |c| {
            query!(c => diesel::delete(account_sessions::table.filter(account_sessions::until.le(now.millis()))).execute(c))?;
            query!(c => diesel::delete(account_errands::table.filter(account_errands::until.le(now.millis()))).execute(c))?;
            let old = now.minus(TRIES_KEPT).millis();
            query!(c => diesel::delete(account_tries::table.filter(account_tries::since.lt(old))).execute(c))?;
            Ok(())
        })
        .await
    }

    async fn change(&self, transition: AccountTransition) -> Result<(), Fault> {
        self.write(Scope::System, move |c| change::apply(c, &transition))
            .await
    }
}
