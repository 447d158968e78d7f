use std::time::Duration;

use heimdall_types::{Actor, AppId, Email, Journal, Secret, Timestamp};
use serde_json::json;

use super::account::person_of;
use super::ports::{AccountChange, AccountTransition};
use super::{
    Account, AccountError, AccountSession, AccountState, Accounts, Failures, Identified,
    fingerprint,
};
use crate::person::Person;

/// A login ends after this, whatever happens.
pub(super) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// So many wrong passwords within the window lock an address for another window.
const TRIES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(15 * 60);
const LONGEST_AGENT: usize = 200;

/// Who follows a link, as far as a live session says.
#[derive(Debug, Clone, PartialEq)]
pub struct Visitor {
    /// By every identity that is known.
    pub person: Person,
    /// An identity of a provider is mapped to the account.
    pub linked: bool,
}

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedIn {
    /// The account.
    pub account: Account,
    /// Its identities.
    pub identities: Vec<Identified>,
    /// The session.
    pub session: AccountSession,
}

impl LoggedIn {
    /// The person, for the engine.
    pub fn person(&self) -> Person {
        person_of(&self.account, &self.identities)
    }

    /// The same, with what matters for links.
    pub fn visitor(&self) -> Visitor {
        Visitor {
            person: self.person(),
            linked: !self.identities.is_empty(),
        }
    }

    /// Who stands in audit rows of an App: the same pseudonym as for mail links to the address.
    pub fn pseudonym(&self, app: &AppId) -> Option<String> {
        let person = self.person();
        person
            .identities
            .first()
            .map(|who| who.opaque(app.as_str()))
    }
}

impl Accounts {
    /// Logs in by password; gives the value for the cookie. Takes the same time and says the same for an address
    /// without an account, and locks such an address alike.
    ///
    /// # Errors
    /// `WrongCredentials`, `Locked`.
    pub async fn log_in(
        &self,
        email: &str,
        password: Secret,
        agent: &str,
    ) -> Result<Secret, AccountError> {
        let email: Option<Email> = email.trim().parse().ok();
        let key = fingerprint(email.as_ref().map_or("", Email::as_str));
        let now = self.now();
        let failures = self.on().desk.failures(&key).await?;
        if let Some(wait) = failures.locked(now) {
            return Err(AccountError::Locked(wait));
        }
        let account = match &email {
            Some(email) => self.on().book.account_by_email(email).await?,
            None => None,
        };
        let account = account.filter(|account| account.state == AccountState::Active);
        let stored = account
            .as_ref()
            .and_then(|account| account.password.clone());
        let right = self.on().passwords.verify(password, stored).await?;
        let Some(account) = account.filter(|_| right) else {
            let journal = self.audit(
                Actor::Anonymous,
                "account.login_failed",
                &key,
                json!({ "failures": failures.count.saturating_add(1) }),
            );
            let changes = vec![AccountChange::Count(key, failures.after(now))];
            self.on()
                .desk
                .change(AccountTransition { changes, journal })
                .await?;
            return Err(AccountError::WrongCredentials);
        };
        self.begin(
            &account,
            agent,
            "password",
            vec![AccountChange::Count(key, Failures::default())],
        )
        .await
    }

    /// Begins a session together with other changes.
    pub(super) async fn begin(
        &self,
        account: &Account,
        agent: &str,
        way: &str,
        changes: Vec<AccountChange>,
    ) -> Result<Secret, AccountError> {
        self.begin_with(account, agent, way, changes, Journal::default())
            .await
    }

    /// The same with what else is written down.
    pub(super) async fn begin_with(
        &self,
        account: &Account,
        agent: &str,
        way: &str,
        mut changes: Vec<AccountChange>,
        mut journal: Journal,
    ) -> Result<Secret, AccountError> {
        let value = self.random();
        let now = self.now();
        changes.push(AccountChange::Begin(AccountSession {
            hash: fingerprint(&value),
            account: account.id.clone(),
            agent: agent
                .chars()
                .filter(|c| !c.is_control())
                .take(LONGEST_AGENT)
                .collect(),
            since: now,
            until: now.plus(SESSION_LIFE),
        }));
        journal.extend(self.audit(
            owner(account),
            "account.logged_in",
            account.id.as_str(),
            json!({ "by": way }),
        ));
        self.on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?;
        Ok(value.into())
    }

    /// Who holds the cookie with this value, if the session is not over.
    ///
    /// # Errors
    /// Storage.
    pub async fn session(&self, cookie: &str) -> Result<Option<LoggedIn>, AccountError> {
        let session = self.on().desk.login(&fingerprint(cookie)).await?;
        let now = self.now();
        // A clock that was set back revives nothing that began in what is now the future.
        let live = |session: &AccountSession| session.since <= now && now < session.until;
        let Some(session) = session.filter(live) else {
            return Ok(None);
        };
        let account = self.on().book.account(&session.account).await?;
        let Some(account) = account.filter(|account| account.state == AccountState::Active) else {
            return Ok(None);
        };
        let identities = self.on().book.identities(&account.id).await?;
        Ok(Some(LoggedIn {
            account,
            identities,
            session,
        }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Storage.
    pub async fn log_out(&self, who: &LoggedIn) -> Result<(), AccountError> {
        let journal = self.audit(
            owner(&who.account),
            "account.logged_out",
            who.account.id.as_str(),
            json!({}),
        );
        let changes = vec![AccountChange::End(who.session.hash.clone())];
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }

    /// The live sessions of an account, newest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn sessions(&self, who: &LoggedIn) -> Result<Vec<AccountSession>, AccountError> {
        let now = self.now();
        let mut all = self.on().desk.logins(&who.account.id).await?;
        all.retain(|session| now < session.until);
        Ok(all)
    }
}

pub(super) fn owner(account: &Account) -> Actor {
    Actor::Account {
        id: account.id.to_string(),
    }
}

impl Failures {
    pub(super) fn locked(self, now: Timestamp) -> Option<Duration> {
        let end = self.since.plus(WINDOW);
        (self.count >= TRIES && now < end).then(|| end.since(now))
    }

    pub(super) fn after(self, now: Timestamp) -> Self {
        if self.count == 0 || now >= self.since.plus(WINDOW) {
            return Self {
                count: 1,
                since: now,
            };
        }
        let count = self.count.saturating_add(1);
        Self {
            count,
            since: if count == TRIES { now } else { self.since },
        }
    }
}
