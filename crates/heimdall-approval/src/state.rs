use std::sync::Arc;

use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::command::{Action, Channel, Level, Opening};
use crate::definition::Spec;
use crate::person::{Identity, Person};
use crate::quorum::Tally;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ApprovalState {
    /// Not begun.
    #[default]
    New,
    /// Being decided.
    Open,
    /// Yes.
    Approved,
    /// No.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Withdrawn.
    Cancelled,
}

impl ApprovalState {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Open => "Open",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason")]
pub enum StepState {
    /// Its turn has not come.
    #[default]
    Waiting,
    /// Its condition could not be evaluated.
    Held(String),
    /// Votes count.
    Active,
    /// The poll is closed, the moderator decides.
    Moderating,
    /// Passed.
    Approved,
    /// Failed.
    Rejected(String),
    /// Its time ran out.
    Expired,
    /// Was not needed.
    Skipped(String),
    /// Ended with what surrounds it.
    Cancelled,
}

impl StepState {
    /// Whether it takes part no more.
    pub fn has_ended(&self) -> bool {
        !matches!(
            self,
            Self::Waiting | Self::Held(_) | Self::Active | Self::Moderating
        )
    }

    /// Its wire name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Held(_) => "Held",
            Self::Active => "Active",
            Self::Moderating => "Moderating",
            Self::Approved => "Approved",
            Self::Rejected(_) => "Rejected",
            Self::Expired => "Expired",
            Self::Skipped(_) => "Skipped",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// A vote: never changed, never taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// Who voted.
    pub actor: Person,
    /// For whom, when a delegate did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf: Option<Identity>,
    /// What it says.
    pub action: Action,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Indices of the chosen options of a poll.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<u32>,
    /// The signature, bound to `dig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<serde_json::Value>,
    /// The way it came.
    pub channel: Channel,
    /// How surely the voter is known.
    pub level: Level,
    /// The link it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Digest of what was voted about.
    pub dig: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// One right to vote.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Whose.
    pub holder: Identity,
    /// The vote, once cast.
    pub vote: Option<Arc<Vote>>,
    /// How often its holder was reminded.
    pub reminded: u32,
    /// Its holder is gone; it counts no more.
    pub vacant: bool,
}

/// One step of the tree, by its place in the flat list.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What was frozen at the opening.
    pub spec: Arc<Spec>,
    /// Where it stands.
    pub state: StepState,
    /// How often it was activated.
    pub activation: u32,
    /// Since when it is active.
    pub active_since: Timestamp,
    /// When it times out.
    pub deadline: Option<Timestamp>,
    /// Rights to vote.
    pub seats: Vec<Seat>,
    /// It was escalated already.
    pub escalated: bool,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Step {
    /// How its seats stand.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for seat in self.seats.iter().filter(|seat| !seat.vacant) {
            match seat.vote.as_deref().map(|vote| vote.action) {
                Some(Action::Approve | Action::Consent | Action::Vote) => tally.approvals += 1,
                Some(Action::Reject) => tally.rejections += 1,
                Some(Action::Abstain) => tally.abstentions += 1,
                None => tally.open += 1,
            }
        }
        tally
    }

    /// Votes cast, with their seats.
    pub fn votes(&self) -> impl Iterator<Item = (&Seat, &Vote)> {
        self.seats
            .iter()
            .filter_map(|seat| Some((seat, seat.vote.as_deref()?)))
    }

    /// The vote this person cast here, under whatever identity.
    pub fn vote_of(&self, person: &Person) -> Option<&Vote> {
        self.votes()
            .map(|(_, vote)| vote)
            .find(|vote| vote.actor.same_as(person))
    }
}

/// An approval, as its events made it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// What it began with; `None` before.
    pub opening: Option<Arc<Opening>>,
    /// Where it stands.
    pub state: ApprovalState,
    /// Counts the resets, from 1.
    pub epoch: u32,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ends undecided.
    pub deadline: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What is voted about.
    pub dig: Arc<str>,
    /// The tree, depth first, containers included; index 0 is the root.
    pub steps: Vec<Step>,
}

impl State {
    /// Being decided.
    pub fn is_open(&self) -> bool {
        self.state == ApprovalState::Open
    }

    /// Decided with yes.
    pub fn is_approved(&self) -> bool {
        self.state == ApprovalState::Approved
    }

    /// Who asked; nobody before the opening.
    pub fn requester(&self) -> Option<&Person> {
        self.opening.as_deref().map(|opening| &opening.requester)
    }

    /// Index of the step with this id.
    pub fn step_of(&self, id: &str) -> Option<usize> {
        self.steps
            .iter()
            .position(|step| step.spec.id.as_str() == id)
    }

    /// Indices of the children of a step.
    pub fn children(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        self.steps
            .iter()
            .enumerate()
            .filter(move |(_, child)| child.spec.parent == Some(step))
            .map(|(index, _)| index)
    }

    /// Active steps with seats, with their indices.
    pub fn active(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().filter(|(_, step)| {
            matches!(step.state, StepState::Active | StepState::Moderating)
                && !step.spec.kind.is_container()
        })
    }

    /// Every vote of the present epoch.
    pub fn votes(&self) -> impl Iterator<Item = (usize, &Seat, &Vote)> {
        self.steps
            .iter()
            .enumerate()
            .flat_map(|(index, step)| step.votes().map(move |(seat, vote)| (index, seat, vote)))
    }
}
