use heimdall_types::{Secret, Timestamp};
use serde_json::json;

use super::ports::{AccountChange, AccountTransition};
use super::session::owner;
use super::{
    Account, AccountError, Accounts, Errand, LONGEST_PASSWORD, LoggedIn, MAIL_LIFE, OneTime,
    SHORTEST_PASSWORD, invalid,
};

impl Accounts {
    /// Changes the password; every other browser is logged out.
    ///
    /// # Errors
    /// `Invalid` naming `current`, `new` or `again`.
    pub async fn change_password(
        &self,
        who: &LoggedIn,
        current: Secret,
        new: Secret,
        again: &Secret,
    ) -> Result<(), AccountError> {
        self.prove(who, current, "current").await?;
        let hash = self.chosen(new, again).await?;
        self.set_password(
            &who.account,
            hash,
            vec![AccountChange::EndAll(
                who.account.id.clone(),
                Some(who.session.hash.clone()),
            )],
        )
        .await
    }

    /// Mails the owner a link that lets them set a password.
    ///
    /// # Errors
    /// Storage.
    pub async fn mail_password_link(&self, account: &Account) -> Result<(), AccountError> {
        let id = self.random();
        let mut journal = self.audit(
            owner(account),
            "account.password_link_sent",
            account.id.as_str(),
            json!({}),
        );
        journal.notices.push(self.mail(&account.email, &id, None));
        let changes = vec![AccountChange::Keep(OneTime {
            id,
            errand: Errand::Password {
                account: account.id.clone(),
            },
            until: self.now().plus(MAIL_LIFE),
        })];
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }

    pub(super) async fn set_password(
        &self,
        account: &Account,
        hash: Secret,
        mut changes: Vec<AccountChange>,
    ) -> Result<(), AccountError> {
        let account = Account {
            password: Some(hash),
            ..account.clone()
        };
        let journal = self.audit(
            owner(&account),
            "account.password_changed",
            account.id.as_str(),
            json!({}),
        );
        changes.push(AccountChange::Put(account));
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }

    /// Checks the present password, counting wrong ones as a login does.
    pub(super) async fn prove(
        &self,
        who: &LoggedIn,
        given: Secret,
        field: &'static str,
    ) -> Result<(), AccountError> {
        let key = super::fingerprint(&format!("session {}", who.account.id));
        let (now, failures) = (self.now(), self.on().desk.failures(&key).await?);
        if let Some(wait) = failures.locked(now) {
            return Err(AccountError::Locked(wait));
        }
        let right = self
            .on()
            .passwords
            .verify(given, who.account.password.clone())
            .await?;
        if right {
            return Ok(());
        }
        self.count(key, failures, now, who).await?;
        invalid(field, "is not your current password")
    }

    async fn count(
        &self,
        key: String,
        failures: super::Failures,
        now: Timestamp,
        who: &LoggedIn,
    ) -> Result<(), AccountError> {
        let journal = self.audit(
            owner(&who.account),
            "account.password_refused",
            who.account.id.as_str(),
            json!({}),
        );
        let changes = vec![AccountChange::Count(key, failures.after(now))];
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }

    /// The hash of a password that was typed twice.
    pub(super) async fn chosen(&self, new: Secret, again: &Secret) -> Result<Secret, AccountError> {
        let text = new.expose();
        if text.chars().count() < SHORTEST_PASSWORD {
            return invalid("new", "has fewer than 12 characters");
        }
        if text.len() > LONGEST_PASSWORD {
            return invalid("new", "has more than 1,024 bytes");
        }
        if text.contains('\0') {
            return invalid("new", "must not contain NUL");
        }
        if new != *again {
            return invalid("again", "is not the same");
        }
        Ok(self.on().passwords.hash(new).await?)
    }
}
