use std::fmt;
use std::sync::Arc;

use heimdall_types::{Email, UserId};
use serde::{Deserialize, Serialize};

/// One way to know a person: a mail address, a user of the App, an account at a provider.
///
/// Written `email:jo@example.org`, `user:usr_…`, `account:…`; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(Arc<str>);

impl Identity {
    /// Known by a mail address.
    pub fn email(email: &Email) -> Self {
        Self(format!("email:{email}").into())
    }

    /// Known as a user of the App.
    pub fn user(id: &UserId) -> Self {
        Self(format!("user:{id}").into())
    }

    /// Known by the id that a provider gave the account.
    pub fn account(id: &str) -> Self {
        Self(format!("account:{id}").into())
    }

    /// The written form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, when it is one.
    pub fn address(&self) -> Option<&str> {
        self.0.strip_prefix("email:")
    }

    /// What stands in mail links and audit rows for this person in this App: it names nobody to those who do not know
    /// the address already.
    pub fn opaque(&self, app: &str) -> String {
        let digest = heimdall_token::crypto::sha256_hex(format!("{app}\n{}", self.0).as_bytes());
        format!("apr_{}", digest.get(..32).unwrap_or_default())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A human being, by every identity we know to be theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// For people.
    pub name: String,
    /// Never empty for somebody who acts.
    pub identities: Vec<Identity>,
}

impl Person {
    /// Somebody with these identities.
    pub fn new(name: impl Into<String>, identities: impl IntoIterator<Item = Identity>) -> Self {
        Self {
            name: name.into(),
            identities: identities.into_iter().collect(),
        }
    }

    /// Whether `identity` is theirs.
    pub fn is(&self, identity: &Identity) -> bool {
        self.identities.contains(identity)
    }

    /// Whether both are the same human, as far as is known.
    pub fn same_as(&self, other: &Self) -> bool {
        self.identities.iter().any(|identity| other.is(identity))
    }

    /// A mail address of theirs.
    pub fn address(&self) -> Option<&str> {
        self.identities.iter().find_map(Identity::address)
    }
}
