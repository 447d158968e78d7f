use heimdall_types::{AccountId, Email, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::person::{Identity, Person};

/// How the address of an account came to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmed {
    /// A mail of ours reached it. Only such an address is linked with a further provider without another mail.
    Mail,
    /// The provider by which the account was made says that it verified it.
    Provider,
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Yes.
    Active,
    /// Its owner deleted it: nobody logs in any more, and its seats are being given up.
    Leaving,
}

/// An external approver's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The address, confirmed.
    pub email: Email,
    /// How.
    pub confirmed: Confirmed,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The password's hash (argon2id, PHC form), if there is a password.
    pub password: Option<Secret>,
    /// Whether it can be used.
    pub state: AccountState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows with every change; 0 for a new one.
    pub version: i64,
}

impl Account {
    /// First and last name.
    pub fn name(&self) -> String {
        let name = format!("{} {}", self.first_name, self.last_name);
        let name = name.trim();
        if name.is_empty() {
            self.email.to_string()
        } else {
            name.to_owned()
        }
    }
}

/// An identity at a provider that is mapped to an account. The mapping is unique both ways: an identity has one
/// account, an account at most one identity of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// The provider's id in the configuration.
    pub provider: String,
    /// The account's id at the provider (`sub`).
    pub subject: String,
    /// Our account.
    pub account: AccountId,
    /// The address as the provider gave it when it was linked.
    pub email: Option<String>,
    /// The name as the provider gave it.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a provider says of somebody who logged in there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderProfile {
    /// The provider's id in the configuration.
    pub provider: String,
    /// The account's id at the provider.
    pub subject: String,
    /// The address.
    pub email: Email,
    /// Whether the provider asserts that it verified the address.
    pub verified: bool,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
}

impl ProviderProfile {
    pub(super) fn identified(&self, account: &AccountId, since: Timestamp) -> Identified {
        Identified {
            provider: self.provider.clone(),
            subject: self.subject.clone(),
            account: account.clone(),
            email: Some(self.email.to_string()),
            name: format!("{} {}", self.first_name, self.last_name)
                .trim()
                .to_owned(),
            since,
        }
    }
}

/// A login in one browser. Only the hash of the cookie's value is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSession {
    /// SHA-256 of the cookie's value, in hexadecimal.
    pub hash: String,
    /// Whose.
    pub account: AccountId,
    /// The browser, in its own words, shortened.
    pub agent: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// Wrong passwords for one address within the window, whether there is such an account or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the window began; that of a lock begins with the try that locked.
    pub since: Timestamp,
}

/// Something that waits for its one next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTime {
    /// What it is found by: a hash of what the browser or the mail holds, or half of that.
    pub id: String,
    /// What waits.
    pub errand: Errand,
    /// It is over then.
    pub until: Timestamp,
}

/// What waits for its next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Errand {
    /// A log-in at a provider that was begun.
    Flow {
        /// The provider.
        provider: String,
        /// Hash of the browser's own value: the log-in ends where it began.
        browser: String,
        /// Where to go afterwards.
        next: String,
        /// Who was logged in when it began, to link.
        account: Option<AccountId>,
    },
    /// Somebody unknown came from a provider and fills in the form.
    Unknown {
        /// What the provider said.
        profile: ProviderProfile,
        /// Where to go afterwards.
        next: String,
    },
    /// A mail is to prove an address for which there is no account.
    Join {
        /// The address.
        email: Email,
        /// What was filled in already, and the identity to link.
        #[serde(default)]
        person: Option<Box<Pending>>,
        /// Where to go afterwards.
        next: String,
    },
    /// A mail lets the owner set a password.
    Password {
        /// The account.
        account: AccountId,
    },
    /// A mail asks the owner whether an identity may be linked.
    Link {
        /// The account.
        account: AccountId,
        /// The identity.
        profile: ProviderProfile,
        /// Hash of the value of the browser in which it was asked for.
        browser: String,
        /// Where to go afterwards.
        next: String,
    },
}

/// An activation that waits for a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Hash of the password, if one was chosen.
    pub password: Option<String>,
    /// The identity to link.
    pub profile: Option<ProviderProfile>,
    /// Hash of the value of the browser in which it was filled in.
    pub browser: String,
}

/// Everything by which steps may name the owner of an account: the confirmed address, and the id at each provider,
/// plain (`5f1c…`) and with the provider (`atlassian/5f1c…`).
pub(super) fn person_of(account: &Account, identities: &[Identified]) -> Person {
    let ids = identities.iter().flat_map(|known| {
        [
            Identity::account(&known.subject),
            Identity::account(&format!("{}/{}", known.provider, known.subject)),
        ]
    });
    Person::new(
        account.name(),
        std::iter::once(Identity::email(&account.email)).chain(ids),
    )
}
