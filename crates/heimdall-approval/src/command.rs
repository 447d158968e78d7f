use std::collections::BTreeMap;

use heimdall_types::{AppId, ApprovalId, DelegationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::definition::FrozenStep;
use crate::person::{Identity, Person};

/// What a vote says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Yes, to an approval.
    Approve,
    /// Yes, to a consent.
    Consent,
    /// No.
    Reject,
    /// Neither.
    Abstain,
    /// A choice in a poll.
    Vote,
}

impl Action {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Consent => "consent",
            Self::Reject => "reject",
            Self::Abstain => "abstain",
            Self::Vote => "vote",
        }
    }

    /// Approve or consent.
    pub fn is_yes(self) -> bool {
        matches!(self, Self::Approve | Self::Consent)
    }
}

/// The way a vote came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A link in a mail.
    MailLink,
    /// A link handed out over the API.
    ApiLink,
    /// The bearer API of the mail's token.
    Bearer,
    /// The portal's inbox.
    #[default]
    Inbox,
    /// The JSON API.
    Api,
}

/// How surely the voter is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Holds a link that was mailed to the address.
    #[default]
    Mailbox,
    /// Logged in.
    LoggedIn,
}

/// A vote on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// What it says.
    pub action: Action,
    /// Why, as typed.
    pub comment: Option<String>,
    /// Indices of the chosen options of a poll.
    pub options: Vec<u32>,
    /// A signature, as the sign page or a passkey made it.
    pub signature: Option<serde_json::Value>,
    /// The way it came.
    pub channel: Channel,
    /// How surely the voter is known.
    pub level: Level,
    /// The link it came by.
    pub link: Option<String>,
    /// The round it was meant for: epoch and activation.
    pub round: Option<(u32, u32)>,
}

impl Ballot {
    /// A bare vote.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            comment: None,
            options: Vec::new(),
            signature: None,
            channel: Channel::default(),
            level: Level::default(),
            link: None,
            round: None,
        }
    }

    /// The same with a comment.
    #[must_use]
    pub fn comment(mut self, comment: Option<String>) -> Self {
        self.comment = comment;
        self
    }

    /// The same, having come by `channel` from somebody known as surely as `level` says.
    #[must_use]
    pub fn by(mut self, channel: Channel, level: Level) -> Self {
        self.channel = channel;
        self.level = level;
        self
    }
}

/// A stand-in for a time. No chains: the delegate votes for `from` only where `from` has a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Its id.
    pub id: DelegationId,
    /// Whose seats.
    pub from: Identity,
    /// Who may use them.
    pub to: Identity,
    /// Only for approvals whose title or id is this.
    #[serde(default)]
    pub scope: Option<String>,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when, this moment excluded.
    pub ends_at: Timestamp,
}

/// What the outside world knows at this moment and the engine cannot look up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Members of the groups that steps name.
    pub groups: BTreeMap<String, Vec<Identity>>,
    /// Conditions by their text, evaluated; an error holds the step.
    pub conditions: BTreeMap<String, Result<bool, String>>,
    /// Delegations that might matter.
    pub delegations: Vec<Delegation>,
}

/// What an approval begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The App it belongs to.
    pub app_id: AppId,
    /// Its id.
    pub id: ApprovalId,
    /// For people.
    pub title: String,
    /// Who asks.
    #[serde(default)]
    pub requester: Person,
    /// SHA-256 of the canonical content, lower-case hexadecimal.
    #[serde(default)]
    pub dig: String,
    /// When it ends undecided.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// Where the thing that is approved can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_url: Option<String>,
    /// What conditions and people look at.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
    /// The definition it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<heimdall_types::DefinitionId>,
    /// The frozen tree.
    pub steps: Vec<FrozenStep>,
}

impl Opening {
    /// An approval without requester, digest or deadline.
    pub fn new(
        app_id: AppId,
        id: ApprovalId,
        title: impl Into<String>,
        steps: Vec<FrozenStep>,
    ) -> Self {
        Self {
            app_id,
            id,
            title: title.into(),
            requester: Person::default(),
            dig: String::new(),
            deadline: None,
            external_url: None,
            data: serde_json::Value::Null,
            definition: None,
            steps,
        }
    }

    /// Asked for by `requester`.
    #[must_use]
    pub fn requester(mut self, requester: Person) -> Self {
        self.requester = requester;
        self
    }

    /// About the content with this digest.
    #[must_use]
    pub fn dig(mut self, dig: impl Into<String>) -> Self {
        self.dig = dig.into();
        self
    }

    /// Ending undecided at `deadline`.
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Timestamp>) -> Self {
        self.deadline = deadline;
        self
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Intent {
    /// Begin.
    Open(Box<Opening>),
    /// Vote on one step, or on every active step where the person may.
    Vote {
        /// Index of the step; `None` for every one.
        step: Option<usize>,
        /// The vote.
        ballot: Box<Ballot>,
    },
    /// Withdraw. Whether the actor may is decided outside.
    Cancel,
    /// Begin a new epoch. Whether the actor may is decided outside.
    Reset,
    /// A hook answered, or an administrator resolves a step that is held.
    Answer {
        /// Index of the step.
        step: usize,
        /// Pass or fail.
        pass: bool,
    },
    /// Somebody is gone: their open seats close.
    Leave(Identity),
    /// Only apply what is due.
    Tick,
}

/// Something that somebody wants to happen to an approval.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Who; nobody for timers.
    pub actor: Person,
    /// What.
    pub intent: Intent,
    /// What is known outside.
    pub facts: Facts,
}

impl Command {
    /// Begin an approval.
    pub fn open(opening: Opening) -> Self {
        Self::of(Person::default(), Intent::Open(Box::new(opening)))
    }

    /// Vote.
    pub fn vote(actor: Person, step: Option<usize>, ballot: Ballot) -> Self {
        Self::of(
            actor,
            Intent::Vote {
                step,
                ballot: Box::new(ballot),
            },
        )
    }

    /// Apply timers.
    pub fn tick() -> Self {
        Self::of(Person::default(), Intent::Tick)
    }

    /// Any command without facts.
    pub fn of(actor: Person, intent: Intent) -> Self {
        Self {
            actor,
            intent,
            facts: Facts::default(),
        }
    }

    /// The same, knowing these facts.
    #[must_use]
    pub fn knowing(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }
}
