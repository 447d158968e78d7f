use heimdall_types::{AppId, ApprovalId, GrantId, RequestId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::person::{Identity, Person};
use crate::state::{ApprovalState, State, StepState};

/// Where a request stands, in the portal's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RequestState {
    /// Being decided.
    Created,
    /// Approved; its grants run, or will.
    Approved,
    /// Denied.
    Denied,
    /// Called off by whoever asked.
    Canceled,
    /// Approved, and ended before its time.
    Terminated,
    /// Nobody decided in time.
    Expired,
}

impl RequestState {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Approved => "APPROVED",
            Self::Denied => "DENIED",
            Self::Canceled => "CANCELED",
            Self::Terminated => "TERMINATED",
            Self::Expired => "EXPIRED",
        }
    }

    /// Reads a wire name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Created,
            Self::Approved,
            Self::Denied,
            Self::Canceled,
            Self::Terminated,
            Self::Expired,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// When the access begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the last approval.
    #[default]
    OnApproval,
    /// At a time; with the last approval if that comes later.
    At(Timestamp),
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OnApproval => serializer.serialize_str("on_approval"),
            Self::At(at) => serializer.serialize_str(&at.to_rfc3339()),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "on_approval" {
            return Ok(Self::OnApproval);
        }
        Timestamp::parse_rfc3339(&text)
            .map(Self::At)
            .ok_or_else(|| {
                serde::de::Error::custom(
                    "is `on_approval` or a time such as `2026-03-09T06:00:00Z`",
                )
            })
    }
}

/// A user of the App who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requester {
    /// The user's id.
    pub id: UserId,
    /// The address that outcomes are mailed to.
    pub email: heimdall_types::Email,
    /// The name that approvers see.
    pub name: String,
}

impl Requester {
    /// The same human for the engine.
    pub fn person(&self) -> Person {
        Person::new(
            &self.name,
            [Identity::user(&self.id), Identity::email(&self.email)],
        )
    }
}

/// A role of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedRole {
    /// The role's name.
    pub name: String,
    /// What it allows, for people.
    #[serde(default)]
    pub description: String,
    /// Where it stands.
    pub state: RequestState,
}

/// A state that a request reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The state.
    pub state: RequestState,
    /// When.
    pub at: Timestamp,
    /// The roles at that moment.
    pub roles: Vec<RequestedRole>,
}

/// A portal session: somebody asks for roles for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The App.
    pub app_id: AppId,
    /// The number that people and the bearer API use.
    pub session_id: i64,
    /// The approval that decides it.
    pub approval_id: ApprovalId,
    /// Who asks.
    pub requester: Requester,
    /// For what; each is one child step, in the same order.
    pub roles: Vec<RequestedRole>,
    /// Why.
    pub justification: String,
    /// For how long.
    pub minutes: u32,
    /// From when.
    pub start: Start,
    /// On what, if it was said.
    #[serde(default)]
    pub resource: Option<String>,
    /// Where it stands.
    pub state: RequestState,
    /// Every state it reached, in order.
    pub passages: Vec<Passage>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires undecided.
    pub expires_at: Timestamp,
    /// Why it was denied, and by whom.
    #[serde(default)]
    pub denial: Option<(String, Person)>,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

impl Request {
    /// Takes over what the approval says; `true` when the state or a role's state changed.
    pub(crate) fn follow(&mut self, approval: &State, now: Timestamp) -> bool {
        let before = (self.state, self.roles.clone());
        let state = match approval.state {
            ApprovalState::New | ApprovalState::Open => RequestState::Created,
            ApprovalState::Approved => RequestState::Approved,
            ApprovalState::Rejected => RequestState::Denied,
            ApprovalState::Expired => RequestState::Expired,
            ApprovalState::Cancelled => RequestState::Canceled,
        };
        for (role, child) in self.roles.iter_mut().zip(approval.children(0)) {
            role.state = match approval.steps.get(child).map(|step| &step.state) {
                Some(StepState::Approved) => RequestState::Approved,
                Some(StepState::Rejected(_)) => RequestState::Denied,
                Some(StepState::Expired) => RequestState::Expired,
                Some(StepState::Cancelled | StepState::Skipped(_)) => RequestState::Canceled,
                None
                | Some(
                    StepState::Waiting
                    | StepState::Held(_)
                    | StepState::Active
                    | StepState::Moderating,
                ) => RequestState::Created,
            };
        }
        if state != self.state {
            self.enter(state, now);
        }
        before != (self.state, self.roles.clone())
    }

    pub(crate) fn enter(&mut self, state: RequestState, now: Timestamp) {
        self.state = state;
        self.passages.push(Passage {
            state,
            at: now,
            roles: self.roles.clone(),
        });
    }
}

/// Where a grant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GrantState {
    /// Begins later.
    Scheduled,
    /// Being carried out by somebody else.
    Activating,
    /// Runs.
    Active,
    /// Ended by its time.
    Expired,
    /// Taken away.
    Revoked,
    /// Given back.
    Terminated,
    /// Could not be carried out; tried again.
    Failed,
}

impl GrantState {
    /// The name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Activating => "Activating",
            Self::Active => "Active",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
            Self::Terminated => "Terminated",
            Self::Failed => "Failed",
        }
    }

    /// Whether it runs or will.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Scheduled | Self::Activating | Self::Active | Self::Failed
        )
    }
}

/// A role for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The App.
    pub app_id: AppId,
    /// Whose.
    pub user_id: UserId,
    /// The role's name.
    pub role: String,
    /// Where it stands.
    pub state: GrantState,
    /// From when.
    pub starts_at: Timestamp,
    /// Until when, this moment excluded.
    pub ends_at: Timestamp,
    /// The request it follows from.
    pub request_id: RequestId,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

impl Grant {
    /// When time alone changes it.
    pub fn next_due(&self) -> Option<Timestamp> {
        match self.state {
            GrantState::Scheduled => Some(self.starts_at),
            GrantState::Active | GrantState::Activating | GrantState::Failed => Some(self.ends_at),
            GrantState::Expired | GrantState::Revoked | GrantState::Terminated => None,
        }
    }
}
