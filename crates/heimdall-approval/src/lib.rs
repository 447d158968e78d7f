//! The approval engine: people ask for something they may not do yet, others decide, and the yes becomes time-boxed
//! access.
//!
//! The core is pure: [`decide`] turns a [`State`] and a [`Command`] into [`Event`]s or a [`Refusal`], [`evolve`] folds
//! an event into the state. It knows no clock, no randomness and no storage. [`Approvals`] drives it over the
//! [`ports`], so that a mail link, an API link, the inbox and the bearer API all end in the same command.
//!
//! ```
//! use heimdall_approval::{Action, Ballot, Command, Definition, Identity, Opening, Person, State, decide, replay};
//! use heimdall_types::{AppId, ApprovalId, SeededRng, StepId, Timestamp};
//!
//! let (now, rng) = (Timestamp::from_millis(1_000), SeededRng::new(1));
//! let root = serde_json::from_value(serde_json::json!({
//!     "name": "billing", "type": "group", "approvers": [{"email": "ada@example.org"}],
//! }))?;
//! let frozen = Definition::compile(&root, || StepId::generate(now, &rng))?;
//! let requester = Person::new("Jo", [Identity::email(&"jo@example.org".parse()?)]);
//! let opening = Opening::new(AppId::generate(now, &rng), ApprovalId::generate(now, &rng), "billing", frozen).requester(requester);
//! let opened = decide(&State::default(), &Command::open(opening), now)?;
//!
//! let ada = Person::new("Ada", [Identity::email(&"ada@example.org".parse()?)]);
//! let open = replay(&opened);
//! let voted = decide(&open, &Command::vote(ada, None, Ballot::new(Action::Approve)), now)?;
//! assert!(voted.iter().fold(open, heimdall_approval::evolve).is_approved());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod accounts;
mod approvals;
pub mod archive;
mod chronicle;
mod command;
mod data_schema;
mod decide;
mod definition;
mod error;
mod event;
mod evolve;
mod notification;
mod person;
mod portal;
pub mod ports;
mod quorum;
mod refusal;
/// Portal requests and the grants that follow from them.
pub mod request;
pub mod signature;
mod state;
pub mod workflows;

pub use approvals::{Approvals, Ask, Decision, TIME_TO_DECIDE, Verdict};
pub use command::{Action, Ballot, Channel, Command, Delegation, Facts, Intent, Level, Opening};
pub use data_schema::{DataField, DataSchema, FieldKind};
pub use decide::{decide, next_due};
pub use definition::{
    AbstainMode, Approver, CommentRule, CommentRules, Confirmation, Definition, DefinitionError,
    FrozenStep, OnTimeout, Pass, Spec, StepDefinition, StepKind, Verb,
};
pub use error::ApprovalError;
pub use event::{Ending, Event};
pub use evolve::{evolve, replay};
pub use notification::{NotificationConfig, NotificationConfigs, NotificationInput};
pub use person::{Identity, Person};
pub use portal::{Portal, PortalChange, PortalKey, Portals};
pub use quorum::{Quorum, Tally, Verdict as Count};
pub use refusal::Refusal;
pub use state::{ApprovalState, Seat, State, Step, StepState, Vote};
