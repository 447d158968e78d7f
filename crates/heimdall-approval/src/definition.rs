use std::collections::BTreeSet;

use heimdall_types::Email;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// One person decides.
    #[default]
    Single,
    /// Several people vote; a quorum decides.
    Group,
    /// Children run side by side.
    Parallel,
    /// Children run one after the other.
    Sequence,
    /// A poll whose moderator decides.
    Vote,
    /// Tells people and goes on.
    Notify,
    /// Tells a program and goes on when it answers.
    Hook,
}

/// What the people of a step say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Approve or reject.
    #[default]
    Approval,
    /// Consent or reject.
    Consent,
}

/// Whom a step asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApproverRef {
    /// Whoever reads this mailbox.
    Email(Email),
    /// The account of this provider id, or the App's user of this id.
    Account(String),
    /// Every member of the App's group of this name, looked up when the step becomes active.
    Group(String),
}

/// What an abstention counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Abstain {
    /// Nobody may abstain.
    #[default]
    Off,
    /// Counts neither for nor against until nobody is left; then it fills up to the threshold.
    Silent,
    /// Whoever abstains leaves the circle; thresholds are taken anew over who remains.
    Recuse,
    /// As silent, but so many must have taken part first.
    Presence(u32),
}

/// A number of votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// Everyone.
    All,
    /// So many.
    Count(u32),
    /// This share of all, rounded up.
    Percent(u8),
}

impl Threshold {
    /// How many of `n` this is.
    pub fn of(self, n: u32) -> u32 {
        match self {
            Self::All => n,
            Self::Count(count) => count,
            Self::Percent(share) => (u64::from(n) * u64::from(share))
                .div_ceil(100)
                .try_into()
                .unwrap_or(u32::MAX),
        }
    }

    // A plain number stays what it is when people leave the circle.
    fn is_relative(self) -> bool {
        !matches!(self, Self::Count(_))
    }
}

/// Whether a vote needs a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum CommentRule {
    /// None is taken.
    Off,
    /// As the voter likes.
    #[default]
    Optional,
    /// 1 to 1,000 characters after trimming.
    Required,
}

/// What happens when nobody decided in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// The step expires, and with it the approval.
    #[default]
    Expire,
    /// Silence is a no.
    Reject,
    /// The step asks the people of `escalate_to` too, once, with as much time again.
    Escalate,
    /// Silence is a yes. Only with `allow_silent_approval`.
    Approve,
}

/// One step of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Its name, 1 to 200 characters.
    pub name: String,
    /// What it is.
    #[serde(rename = "type", default)]
    pub kind: StepKind,
    /// What its people say.
    #[serde(default)]
    pub verb: Verb,
    /// Whom it asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<ApproverRef>,
    /// Votes (or children) it takes to pass; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Threshold>,
    /// Votes (or children) it takes to fail; one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Threshold>,
    /// Whether its people may abstain, and what that counts for.
    #[serde(default)]
    pub abstain: Abstain,
    /// Votes that must be an outspoken yes, however many abstain; 1 by default.
    #[serde(default = "one")]
    pub min_explicit: u32,
    /// Comment on a yes.
    #[serde(default)]
    pub comment_approve: CommentRule,
    /// Comment on a no.
    #[serde(default)]
    pub comment_reject: CommentRule,
    /// Whether a yes must be signed.
    #[serde(default)]
    pub signature: bool,
    /// Hours from activation to the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_hours: Option<u32>,
    /// What the deadline does.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// Whom `escalate` asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate_to: Vec<ApproverRef>,
    /// Must be set for `on_timeout: approve`: silence as consent is never an accident.
    #[serde(default)]
    pub allow_silent_approval: bool,
    /// Reminders a seat gets at most, evenly spread over the time to the deadline.
    #[serde(default)]
    pub reminders: u32,
    /// A CEL expression; the step is skipped where it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Choices of a poll.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Who closes a poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moderator: Option<ApproverRef>,
    /// Children that must pass whatever the threshold says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Whether the requester may vote here.
    #[serde(default)]
    pub self_approval: bool,
    /// The steps inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<StepSpec>,
}

fn one() -> u32 {
    1
}

/// Why a definition cannot be: the path of the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}` {reason}")]
pub struct DefinitionError {
    /// Such as `children.0.pass`.
    pub field: String,
    /// What to change.
    pub reason: &'static str,
}

const MAX_STEPS: usize = 200;
const MAX_DEPTH: usize = 8;

impl StepSpec {
    /// A step of this name and kind with every default.
    pub fn new(name: impl Into<String>, kind: StepKind) -> Self {
        Self {
            name: name.into(),
            kind,
            verb: Verb::default(),
            approvers: Vec::new(),
            pass: None,
            fail: None,
            abstain: Abstain::default(),
            min_explicit: 1,
            comment_approve: CommentRule::default(),
            comment_reject: CommentRule::default(),
            signature: false,
            deadline_hours: None,
            on_timeout: OnTimeout::default(),
            escalate_to: Vec::new(),
            allow_silent_approval: false,
            reminders: 0,
            condition: None,
            options: Vec::new(),
            moderator: None,
            required: Vec::new(),
            self_approval: false,
            children: Vec::new(),
        }
    }

    /// Whether it holds steps rather than people.
    pub fn is_container(&self) -> bool {
        matches!(self.kind, StepKind::Parallel | StepKind::Sequence)
    }

    /// Whether it asks people for votes.
    pub fn asks(&self) -> bool {
        matches!(
            self.kind,
            StepKind::Single | StepKind::Group | StepKind::Vote
        )
    }

    pub(crate) fn pass_of(&self, n: u32) -> u32 {
        self.pass.unwrap_or(Threshold::All).of(n)
    }

    pub(crate) fn fail_of(&self, n: u32) -> u32 {
        self.fail.unwrap_or(Threshold::Count(1)).of(n).max(1)
    }

    pub(crate) fn pass_of_remaining(&self, seats: u32, remaining: u32) -> u32 {
        let pass = self.pass.unwrap_or(Threshold::All);
        if pass.is_relative() {
            pass.of(remaining)
        } else {
            pass.of(seats)
        }
    }

    /// Checks the whole tree.
    ///
    /// # Errors
    /// The first field that is wrong, by its path.
    pub fn check(&self) -> Result<(), DefinitionError> {
        let mut count = 0;
        self.check_at("", 1, &mut count)
    }

    fn check_at(&self, path: &str, depth: usize, count: &mut usize) -> Result<(), DefinitionError> {
        let wrong = |field: &str, reason| {
            Err(DefinitionError {
                field: format!("{path}{field}"),
                reason,
            })
        };
        *count += 1;
        if *count > MAX_STEPS || depth > MAX_DEPTH {
            return wrong(
                "children",
                "holds more than 200 steps or nests deeper than 8",
            );
        }
        if self.name.trim().is_empty() || self.name.chars().count() > 200 {
            return wrong("name", "has 1 to 200 characters");
        }
        if self.is_container() != !self.children.is_empty() {
            return wrong(
                "children",
                "belong to `parallel` and `sequence`, which need at least one",
            );
        }
        if self.asks() && self.approvers.is_empty() {
            return wrong("approvers", "must name at least one person or group");
        }
        if self.kind == StepKind::Single && self.approvers.len() != 1 {
            return wrong("approvers", "of a `single` step is exactly one");
        }
        if self.kind == StepKind::Vote && (self.options.len() < 2 || self.moderator.is_none()) {
            return wrong(
                "options",
                "of a `vote` step are at least two, and it needs a `moderator`",
            );
        }
        if self.on_timeout == OnTimeout::Approve && !self.allow_silent_approval {
            return wrong(
                "on_timeout",
                "may be `approve` only with `allow_silent_approval`",
            );
        }
        if self.on_timeout == OnTimeout::Escalate && self.escalate_to.is_empty() {
            return wrong("escalate_to", "must name whom to ask");
        }
        if self
            .deadline_hours
            .is_some_and(|hours| hours == 0 || hours > 24 * 365)
        {
            return wrong("deadline_hours", "is 1 to 8760");
        }
        let zero = |threshold: Option<Threshold>| {
            matches!(
                threshold,
                Some(Threshold::Count(0) | Threshold::Percent(0 | 101..))
            )
        };
        if zero(self.pass) {
            return wrong("pass", "is at least 1, or 1 to 100 percent");
        }
        if zero(self.fail) {
            return wrong("fail", "is at least 1, or 1 to 100 percent");
        }
        if self.kind == StepKind::Parallel {
            let most = u32::try_from(self.children.len()).unwrap_or(u32::MAX);
            if self.pass_of(most) > most {
                return wrong("pass", "is more than there are children");
            }
        }
        let names: BTreeSet<&str> = self
            .children
            .iter()
            .map(|child| child.name.as_str())
            .collect();
        if self
            .required
            .iter()
            .any(|name| !names.contains(name.as_str()))
        {
            return wrong("required", "names a step that is no child of this one");
        }
        for (index, child) in self.children.iter().enumerate() {
            child.check_at(&format!("{path}children.{index}."), depth + 1, count)?;
        }
        Ok(())
    }
}
