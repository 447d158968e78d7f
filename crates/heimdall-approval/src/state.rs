use std::fmt;

use heimdall_types::{AppId, ApprovalId, Email, StepId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::definition::StepSpec;

/// A human as far as the engine knows one: a mail address, an account, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The id of the account or user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What a reader sees.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Person {
    /// Somebody known by address alone.
    pub fn by_email(email: Email) -> Self {
        Self {
            name: String::new(),
            account: None,
            email: Some(email),
        }
    }

    /// Whether both are the same human: the same account or the same address.
    pub fn is(&self, other: &Self) -> bool {
        let same_account = self.account.is_some() && self.account == other.account;
        same_account || (self.email.is_some() && self.email == other.email)
    }

    /// The name, else the address, else the account.
    pub fn label(&self) -> &str {
        if !self.name.is_empty() {
            return &self.name;
        }
        self.email
            .as_ref()
            .map(Email::as_str)
            .or(self.account.as_deref())
            .unwrap_or("somebody")
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What a vote says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Yes, on a step of the verb `approval`.
    Approve,
    /// Yes, on a step of the verb `consent`.
    Consent,
    /// No.
    Reject,
    /// Neither.
    Abstain,
    /// An answer to a poll.
    Vote,
}

impl Action {
    /// Whether it counts as a yes.
    pub fn is_yes(self) -> bool {
        matches!(self, Self::Approve | Self::Consent)
    }
}

/// The way a vote came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The page behind a mail link.
    MailLink,
    /// A signed API link.
    ApiLink,
    /// The bearer API.
    Bearer,
    /// The portal's inbox.
    Portal,
    /// The votes route of `/webapi/v2`.
    Api,
    /// A deadline.
    Timer,
}

/// A signature under a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signature {
    /// A name, typed.
    Typed {
        /// The name.
        name: String,
    },
    /// A drawing.
    Drawn {
        /// The strokes, as JSON.
        strokes: String,
        /// The picture, PNG in base64.
        png: String,
    },
    /// A passkey's assertion over the `dig`.
    Passkey {
        /// The credential.
        credential: String,
        /// The assertion, as JSON.
        assertion: String,
    },
}

/// One vote; never changed once it is cast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who cast it.
    pub actor: Person,
    /// Whose seat it filled, when a delegate cast it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Person>,
    /// What it says.
    pub action: Action,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Chosen options of a poll.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The signature, bound to `dig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// How it came.
    pub channel: Channel,
    /// The `jti` of the link it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// SHA-256 of what was voted on.
    pub dig: String,
    /// When.
    pub at: Timestamp,
}

/// One right to vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Whose right it is.
    pub person: Person,
    /// The vote, once cast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<Vote>,
    /// Reminders sent.
    #[serde(default)]
    pub reminders: u32,
}

/// Why a step was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SkipReason {
    /// Its condition was false.
    Condition,
    /// Enough of its siblings had passed.
    ThresholdMet,
    /// A sibling had failed.
    ParentResolved,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub enum StepState {
    /// Its turn has not come.
    #[default]
    Waiting,
    /// Its condition could not be evaluated; an administrator must look.
    Held,
    /// It takes votes.
    Active,
    /// The poll is closed; its moderator decides.
    Moderating,
    /// Passed.
    Approved,
    /// Failed.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Passed over.
    Skipped(SkipReason),
    /// Ended with its approval.
    Cancelled,
}

impl StepState {
    /// Whether nothing can change it any more in this epoch.
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Waiting | Self::Held | Self::Active | Self::Moderating
        )
    }
}

/// A step of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// The index of the step it lies in.
    pub parent: Option<usize>,
    /// The indexes of the steps inside.
    pub children: Vec<usize>,
    /// What was defined, without the steps inside.
    pub spec: StepSpec,
    /// Where it stands.
    pub state: StepState,
    /// How often it became active; links of an earlier activation are dead.
    pub activation: u32,
    /// When it last became active.
    pub activated_at: Option<Timestamp>,
    /// When its time is up.
    pub deadline: Option<Timestamp>,
    /// Whether its deadline has escalated it already.
    pub escalated: bool,
    /// The rights to vote of this activation.
    pub seats: Vec<Seat>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Being decided.
    Open,
    /// Passed.
    Approved,
    /// Failed.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Called off.
    Cancelled,
}

impl Status {
    /// Whether only a reset can change it.
    pub fn is_final(self) -> bool {
        self != Self::Open
    }
}

/// An approval: the state that the log of its events adds up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The App it belongs to.
    pub app_id: AppId,
    /// Where it stands.
    pub status: Status,
    /// 1, and one more after each reset; links of an earlier epoch are dead.
    pub epoch: u32,
    /// Who asked; never counts unless a step says so.
    pub requester: Person,
    /// SHA-256 of the canonical content that is decided.
    pub dig: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it expires undecided.
    pub deadline: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// All steps, depth first; the first is the root.
    pub steps: Vec<Step>,
}

impl Approval {
    /// The step of this id, with its index.
    pub fn step(&self, id: &StepId) -> Option<(usize, &Step)> {
        self.steps
            .iter()
            .enumerate()
            .find(|(_, step)| step.id == *id)
    }

    /// The earliest moment at which time alone changes something.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.status.is_final() {
            return None;
        }
        let active = self
            .steps
            .iter()
            .filter(|step| matches!(step.state, StepState::Active | StepState::Moderating));
        active
            .filter_map(|step| step.deadline)
            .chain(self.deadline)
            .min()
    }

    /// Whether this person holds an open seat on an active step.
    pub fn waits_for(&self, person: &Person) -> bool {
        !self.status.is_final()
            && self.steps.iter().any(|step| {
                step.state == StepState::Active
                    && step
                        .seats
                        .iter()
                        .any(|s| s.vote.is_none() && s.person.is(person))
            })
    }
}
