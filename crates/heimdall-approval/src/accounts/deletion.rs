use std::time::Duration;

use heimdall_types::Secret;
use serde_json::json;

use super::account::person_of;
use super::ports::{AccountChange, AccountTransition};
use super::session::owner;
use super::{Account, AccountError, AccountState, Accounts, LoggedIn};

/// Without a password the login itself is the proof, while it is this young.
const YOUNG: Duration = Duration::from_secs(10 * 60);
/// Approvals that are looked at in one go.
const AT_ONCE: u32 = 100;
/// Most that a page counts.
const COUNTED: u32 = 1000;

impl Accounts {
    /// How many open approvals wait for this person; at most 1000.
    ///
    /// # Errors
    /// Storage.
    pub async fn open_steps(&self, who: &LoggedIn) -> Result<usize, AccountError> {
        let mut all = std::collections::BTreeSet::new();
        for identity in &who.person().identities {
            let waiting = self.on().book.waiting_for(identity, COUNTED).await?;
            all.extend(
                waiting
                    .into_iter()
                    .map(|(app, id)| (app.to_string(), id.to_string())),
            );
        }
        Ok(all.len())
    }

    /// Deletes the account: nobody logs in with it any more from this moment, all sessions end, its seats are given up
    /// and the steps judged anew, so that every link to them is revoked; then its row is erased. The audit keeps what
    /// was decided under a pseudonym.
    ///
    /// A crash in between is made up for by [`Accounts::tidy`].
    ///
    /// # Errors
    /// `Invalid` naming `password`; `Stale` for an account without one whose login is older than ten minutes.
    pub async fn delete(&self, who: &LoggedIn, password: Secret) -> Result<(), AccountError> {
        if who.account.password.is_some() {
            self.prove(who, password, "password").await?;
        } else if self.now().since(who.session.since) > YOUNG {
            return Err(AccountError::Stale);
        }
        let account = Account {
            state: AccountState::Leaving,
            ..who.account.clone()
        };
        let journal = self.audit(
            owner(&account),
            "account.deleted",
            account.id.as_str(),
            json!({}),
        );
        let changes = vec![
            AccountChange::EndAll(account.id.clone(), None),
            AccountChange::Put(account.clone()),
        ];
        self.on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?;
        self.finish_leaving(&account).await
    }

    pub(super) async fn finish_leaving(&self, account: &Account) -> Result<(), AccountError> {
        let identities = self.on().book.identities(&account.id).await?;
        let person = person_of(account, &identities);
        for identity in &person.identities {
            loop {
                let waiting = self.on().book.waiting_for(identity, AT_ONCE).await?;
                for (app, id) in &waiting {
                    self.on().approvals.leave(app, id, identity).await?;
                }
                if waiting.len() < AT_ONCE as usize {
                    break;
                }
            }
        }
        let journal = self.audit(
            owner(account),
            "account.erased",
            account.id.as_str(),
            json!({}),
        );
        let changes = vec![AccountChange::Erase(account.id.clone())];
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }
}
