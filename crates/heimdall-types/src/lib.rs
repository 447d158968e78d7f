//! The ground every Heimdall crate stands on: ids, time, randomness, e-mail addresses,
//! secrets, pages, and the journal that a decision leaves behind.
//!
//! Nothing here does I/O. Time and randomness are traits ([`Clock`], [`Rng`]) that the
//! binaries hand in, so every rule can be tested without waiting and without luck.
//!
//! ```
//! use heimdall_types::{AppId, Clock, Email, ManualClock, SeededRng, Timestamp};
//!
//! let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
//! let id = AppId::generate(clock.now(), &SeededRng::new(7));
//! assert!(id.as_str().starts_with("app_"));
//! assert_eq!("Jo@Example.ORG".parse::<Email>()?.as_str(), "jo@example.org");
//! # Ok::<(), heimdall_types::EmailError>(())
//! ```

mod clock;
mod email;
mod fault;
mod id;
pub mod journal;
mod page;
mod rng;
mod secret;
mod suggest;

pub use clock::{Clock, ManualClock, Timestamp};
pub use email::{Email, EmailError};
pub use fault::Fault;
pub use id::{
    AccountId, AdminKeyId, ApiKeyId, AppId, ApprovalId, CredentialId, DefinitionId, DelegationId,
    DeliveryId, EventId, GrantId, GroupId, IdError, InviteId, JitId, KeyId, LinkId, NoticeId,
    NotificationConfigId, PasskeyId, RefreshId, RequestId, RoleId, SecretId, ServiceKeyId,
    SessionId, StepId, TemplateId, TokenId, UserId, WebhookId,
};
pub use journal::{Actor, AuditEntry, FeedEvent, Journal, Notice};
pub use page::{Cursor, CursorError, Page, PageRequest};
pub use rng::{Rng, SeededRng};
pub use secret::Secret;
pub use suggest::nearest;
