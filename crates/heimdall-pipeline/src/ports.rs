//! What the pipeline needs of the world, besides [`Http`](crate::Http) and [`Timer`](crate::Timer).

use std::sync::Arc;

use async_trait::async_trait;
use heimdall_types::{Clock, Rng, Timestamp};

use crate::{Files, Http, Timer};

/// Whose token is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer<'a> {
    /// The App, `app_…`.
    pub app: &'a str,
    /// `sub` of the token.
    pub subject: &'a str,
    /// `sid`, where the token belongs to a session.
    pub session: Option<&'a str>,
    /// `client_id` of the token.
    pub client: Option<&'a str>,
    /// When it was issued.
    pub issued_at: Timestamp,
}

/// What has become of a token's authority since it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing changed: the claims hold.
    Current,
    /// Something changed after `iat`: judge by these instead of the claims.
    Live {
        /// Names of the roles held now.
        roles: Arc<[String]>,
        /// Concrete permissions held now.
        permissions: Arc<[String]>,
    },
    /// Session, user, client or App is revoked.
    Revoked,
    /// The feed is too old to tell: deny.
    Unknown,
}

/// Where a denied caller may ask for what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hints {
    /// Roles that carry the permission and may be requested.
    pub requestable_roles: Vec<String>,
    /// Origin of the portal, without a slash at the end.
    pub portal_host: Option<String>,
}

/// The subscription to changes of authorisation, as a snapshot in memory.
#[async_trait]
pub trait Liveness: Send + Sync {
    /// What has become of a token's authority. Never waits.
    fn standing(&self, bearer: &Bearer<'_>) -> Standing;

    /// As [`Self::standing`], asked where that is [`Standing::Unknown`]: waits for the next answer of the API, a few
    /// seconds at most. So the first token of an App is judged, not refused, while its subscription starts.
    async fn standing_after_news(&self, bearer: &Bearer<'_>) -> Standing {
        self.standing(bearer)
    }

    /// Which requestable roles of an App carry a permission.
    fn hints_for_permission(&self, app: &str, permission: &str) -> Hints;

    /// Whether a role of an App may be requested, and where.
    fn hints_for_role(&self, app: &str, role: &str) -> Hints;
}

/// Opens the subscription for an authenticator `heimdall`. The binary keeps one for each API.
pub trait Apis: Send + Sync {
    /// The base address of the API that is meant when a configuration names none (`heimdall up`).
    fn default_api(&self) -> Option<String>;

    /// The feed of `api`, limited to one App where `app` names one.
    fn liveness(&self, api: &str, app: Option<&str>) -> Arc<dyn Liveness>;
}

/// Everything the pipeline is given. Cheap to clone.
#[derive(Clone)]
pub struct Deps {
    /// Sends requests to endpoints.
    pub http: Arc<dyn Http>,
    /// Waits between repeated calls.
    pub timer: Arc<dyn Timer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for `jti`.
    pub rng: Arc<dyn Rng>,
    /// Files named by the configuration.
    pub files: Arc<dyn Files>,
    /// Subscriptions of the authenticator `heimdall`; `None` refuses that type at load.
    pub apis: Option<Arc<dyn Apis>>,
}
