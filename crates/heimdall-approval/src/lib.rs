//! The approval engine: people ask, others decide, a yes becomes a role for a time.
//!
//! The core is pure: [`decide::decide`] turns a state and a command into events or a [`decide::Refusal`],
//! [`decide::evolve`] turns a state and an event into the next state. Neither knows a clock or does I/O, so every rule
//! is tested without a database and holds on every channel: mail link, page, bearer API, command line.
//!
//! [`Approvals`] drives the core over the ports in [`ports`]: it loads, lets the engine decide and applies the
//! transition (state, log, grants, audit, notices) in one transaction; when somebody else was faster it loads again.
//!
//! ```
//! use heimdall_approval::decide::{Ballot, Command, Facts, decide, evolve, open};
//! use heimdall_approval::definition::{ApproverRef, StepKind, StepSpec};
//! use heimdall_approval::state::{Action, Channel, Person, Status};
//! use heimdall_types::{AppId, ApprovalId, Email, SeededRng, StepId, Timestamp};
//!
//! let (now, rng) = (Timestamp::from_seconds(1_800_000_000), SeededRng::new(1));
//! let mut step = StepSpec::new("Owner", StepKind::Single);
//! step.approvers = vec![ApproverRef::Email("owner@example.org".parse::<Email>()?)];
//! step.check()?;
//! let asker = Person::by_email("asker@example.org".parse()?);
//! let (born, events) = open(
//!     ApprovalId::generate(now, &rng), AppId::generate(now, &rng), &step, asker, "dig".to_owned(), None, now,
//!     &Facts::default(), || StepId::generate(now, &rng),
//! );
//! let state = events.iter().fold(born, evolve);
//!
//! let ballot = Ballot {
//!     step: state.steps[0].id.clone(), activation: None, epoch: None,
//!     actor: Person::by_email("owner@example.org".parse()?), on_behalf_of: None, action: Action::Approve,
//!     comment: None, options: Vec::new(), signature: None, channel: Channel::MailLink, link: None,
//! };
//! let events = decide(&state, &Command::Vote(Box::new(ballot)), now, &Facts::default())?;
//! assert_eq!(events.iter().fold(state, evolve).status, Status::Approved);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod approvals;
pub mod decide;
pub mod definition;
mod error;
pub mod ports;
pub mod quorum;
pub mod request;
pub mod state;

pub use approvals::{Approvals, Ask, Decision, TIME_TO_DECIDE, Verdict, approver_id, is_open};
pub use error::ApprovalError;
