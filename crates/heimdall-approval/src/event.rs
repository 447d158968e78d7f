use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::command::Opening;
use crate::person::{Identity, Person};
use crate::state::{ApprovalState, Vote};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ending", content = "reason")]
pub enum Ending {
    /// Passed.
    Approved,
    /// Failed; `NO_VOTERS`, `TIMEOUT` or empty.
    Rejected(String),
    /// Its time ran out.
    Expired,
    /// Was not needed; `THRESHOLD_MET`, `CONDITION`, `EMPTY`.
    Skipped(String),
    /// Ended with what surrounds it.
    Cancelled,
}

/// One thing that happened to an approval. The log of these is the truth; state follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// It began.
    Opened {
        /// With what.
        opening: Box<Opening>,
        /// When.
        at: Timestamp,
    },
    /// A step became active.
    Activated {
        /// Index of the step.
        step: usize,
        /// Counts the activations of this step, from 1.
        activation: u32,
        /// When.
        at: Timestamp,
        /// When it times out.
        deadline: Option<Timestamp>,
        /// One right to vote each.
        seats: Vec<Identity>,
    },
    /// A condition could not be evaluated: the step waits for an administrator.
    Held {
        /// Index of the step.
        step: usize,
        /// What went wrong.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody voted.
    Voted {
        /// Index of the step.
        step: usize,
        /// Index of the seat.
        seat: usize,
        /// The vote.
        vote: Box<Vote>,
    },
    /// The poll is closed; its moderator decides.
    Moderating {
        /// Index of the step.
        step: usize,
        /// The moderator's seat.
        seat: Identity,
        /// When.
        at: Timestamp,
    },
    /// Nobody decided in time: others may now, too.
    Escalated {
        /// Index of the step.
        step: usize,
        /// Seats that are new.
        seats: Vec<Identity>,
        /// When it times out for good.
        deadline: Option<Timestamp>,
        /// When.
        at: Timestamp,
    },
    /// Somebody was reminded.
    Reminded {
        /// Index of the step.
        step: usize,
        /// Index of the seat.
        seat: usize,
        /// When.
        at: Timestamp,
    },
    /// Open seats of somebody who is gone were closed.
    Vacated {
        /// Index of the step.
        step: usize,
        /// Index of the seat.
        seat: usize,
        /// When.
        at: Timestamp,
    },
    /// A step ended.
    StepEnded {
        /// Index of the step.
        step: usize,
        /// How.
        #[serde(flatten)]
        ending: Ending,
        /// When.
        at: Timestamp,
    },
    /// The whole ended.
    Ended {
        /// How.
        state: ApprovalState,
        /// When.
        at: Timestamp,
    },
    /// A new epoch began.
    Reset {
        /// Its number.
        epoch: u32,
        /// Who began it.
        by: Person,
        /// When.
        at: Timestamp,
    },
}

impl Event {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Opened { at, .. }
            | Self::Activated { at, .. }
            | Self::Held { at, .. }
            | Self::Moderating { at, .. }
            | Self::Escalated { at, .. }
            | Self::Reminded { at, .. }
            | Self::Vacated { at, .. }
            | Self::StepEnded { at, .. }
            | Self::Ended { at, .. }
            | Self::Reset { at, .. } => *at,
            Self::Voted { vote, .. } => vote.at,
        }
    }
}
