use heimdall_types::Fault;
use serde_json::json;

use super::ports::{AccountChange, AccountTransition};
use super::session::owner;
use super::{Account, AccountError, Accounts, LONGEST_NAME, LoggedIn, invalid};

/// A name as it is kept: trimmed, bounded, one line.
pub(super) fn name(field: &'static str, given: &str) -> Result<String, AccountError> {
    let given = given.trim();
    if given.chars().count() > LONGEST_NAME {
        return invalid(field, "has more than 100 characters");
    }
    if given.chars().any(char::is_control) {
        return invalid(field, "must not contain control characters");
    }
    Ok(given.to_owned())
}

impl Accounts {
    /// Changes the names.
    ///
    /// # Errors
    /// `Invalid` naming `first_name` or `last_name`.
    pub async fn rename(
        &self,
        who: &LoggedIn,
        first_name: &str,
        last_name: &str,
    ) -> Result<(), AccountError> {
        let account = Account {
            first_name: name("first_name", first_name)?,
            last_name: name("last_name", last_name)?,
            ..who.account.clone()
        };
        let journal = self.audit(
            owner(&account),
            "account.renamed",
            account.id.as_str(),
            json!({}),
        );
        let changes = vec![AccountChange::Put(account)];
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }

    /// Ends the link with a provider. API links work no more until there is one again.
    ///
    /// # Errors
    /// `Invalid` naming `provider` when it is the only way left to log in.
    pub async fn unlink(&self, who: &LoggedIn, provider: &str) -> Result<(), AccountError> {
        let linked = who
            .identities
            .iter()
            .any(|known| known.provider == provider);
        if !linked {
            return Ok(());
        }
        if who.account.password.is_none() && who.identities.len() == 1 {
            return invalid(
                "provider",
                "is your only way to log in: set a password first",
            );
        }
        let journal = self.audit(
            owner(&who.account),
            "account.unlinked",
            who.account.id.as_str(),
            json!({ "provider": provider }),
        );
        let changes = vec![AccountChange::Unlink(
            who.account.id.clone(),
            provider.to_owned(),
        )];
        Ok(self
            .on()
            .desk
            .change(AccountTransition { changes, journal })
            .await?)
    }
}

/// What a taken mapping or address means to whoever asked.
pub(super) fn taken(fault: Fault) -> AccountError {
    match fault {
        Fault::Duplicate(_) => AccountError::LinkedElsewhere,
        // Somebody took what was waiting a moment earlier.
        Fault::Conflict => AccountError::Ended,
        other => AccountError::Fault(other),
    }
}
