use std::sync::Arc;

use heimdall_token::AccessClaims;
use heimdall_types::{Actor, AdminKeyId, AppId, CredentialId, UserId};

use crate::authority::{Effective, Model};

/// Who calls. Made by [`crate::Tenants::caller`] out of a bearer token; every method of the service that needs rights
/// takes one and checks it itself, so that all channels obey the same rules.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Caller {
    /// Nobody known.
    Anonymous,
    /// The operator. May do all.
    AdminKey(AdminKeyId),
    /// The system itself: the command line on the machine, the seed of an example. May do all.
    System,
    /// The holder of an access token, with the rights it has at this moment.
    Principal(Arc<Principal>),
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A person.
    User(UserId),
    /// A service.
    Client(CredentialId),
}

/// The holder of a verified token of an App and what it may do now.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The App.
    pub app_id: AppId,
    /// Who.
    pub identity: Identity,
    /// What the token says.
    pub claims: Arc<AccessClaims>,
    /// What its holder holds at this moment, narrowed by the token's scope.
    pub effective: Arc<Effective>,
    /// The App's roles as of now.
    pub model: Arc<Model>,
}

impl Principal {
    /// Whether `permission` is held at this moment.
    pub fn may(&self, permission: &str) -> bool {
        self.model.allows(&self.effective, permission)
    }
}

impl Caller {
    /// Who goes into the audit.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Anonymous => Actor::Anonymous,
            Self::System => Actor::System,
            Self::AdminKey(id) => Actor::AdminKey { id: id.to_string() },
            Self::Principal(principal) => match &principal.identity {
                Identity::User(id) => Actor::User { id: id.to_string() },
                Identity::Client(id) => Actor::Client { id: id.to_string() },
            },
        }
    }

    /// The operator or the system.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::AdminKey(_) | Self::System)
    }

    /// The user, when it is one.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::Principal(principal) => match &principal.identity {
                Identity::User(id) => Some(id),
                Identity::Client(_) => None,
            },
            _ => None,
        }
    }
}
