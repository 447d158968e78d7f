use std::sync::Arc;

use heimdall_types::{Email, StepId, nearest};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::person::Identity;
use crate::quorum::Quorum;

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// One person.
    Single,
    /// Several people and a quorum.
    Group,
    /// Children at the same time.
    Parallel,
    /// Children one after the other.
    Sequence,
    /// A poll, and a moderator who decides on it.
    Vote,
    /// Tells people and goes on.
    Notify,
    /// Asks a program and waits.
    Hook,
}

impl StepKind {
    /// Whether it has children instead of seats.
    pub fn is_container(self) -> bool {
        matches!(self, Self::Parallel | Self::Sequence)
    }

    /// Whether people vote in it.
    pub fn has_seats(self) -> bool {
        matches!(self, Self::Single | Self::Group | Self::Vote)
    }

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Group => "group",
            Self::Parallel => "parallel",
            Self::Sequence => "sequence",
            Self::Vote => "vote",
            Self::Notify => "notify",
            Self::Hook => "hook",
        }
    }
}

/// What a yes is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// `approve`.
    #[default]
    Approval,
    /// `consent`.
    Consent,
}

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approver {
    /// Whoever reads this address.
    Email(Email),
    /// The account that a provider knows by this id.
    Account(String),
    /// Every member of a group, by its name or id.
    Group(String),
}

/// How many votes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PassText", into = "PassText")]
pub enum Pass {
    /// Every one.
    All,
    /// So many.
    Count(u32),
    /// So many in a hundred, rounded up; 1 to 100.
    Percent(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PassText {
    Count(u32),
    Text(String),
}

impl TryFrom<PassText> for Pass {
    type Error = &'static str;

    fn try_from(text: PassText) -> Result<Self, Self::Error> {
        const WRONG: &str = "a whole number from 1, `all`, or a percentage such as `50%`";
        match text {
            PassText::Count(count @ 1..) => Ok(Self::Count(count)),
            PassText::Text(text) if text == "all" => Ok(Self::All),
            PassText::Text(text) => match text
                .strip_suffix('%')
                .and_then(|digits| digits.parse().ok())
            {
                Some(percent @ 1..=100) => Ok(Self::Percent(percent)),
                _ => Err(WRONG),
            },
            PassText::Count(_) => Err(WRONG),
        }
    }
}

impl From<Pass> for PassText {
    fn from(pass: Pass) -> Self {
        match pass {
            Pass::All => Self::Text("all".to_owned()),
            Pass::Count(count) => Self::Count(count),
            Pass::Percent(percent) => Self::Text(format!("{percent}%")),
        }
    }
}

impl Pass {
    /// What it means among `n`; at least 1.
    pub fn of(self, n: u32) -> u32 {
        match self {
            Self::All => n.max(1),
            Self::Count(count) => count,
            Self::Percent(percent) => (n.saturating_mul(percent)).div_ceil(100).max(1),
        }
    }
}

/// What an abstention means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AbstainMode {
    /// Helps a yes along once everybody voted.
    #[default]
    Silent,
    /// As if the seat were not there.
    Recuse,
    /// Counts for being there only.
    Presence,
}

/// Whether a comment goes with a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommentRule {
    /// None.
    Off,
    /// If they like.
    #[default]
    Optional,
    /// It must.
    Required,
}

/// The rules for a yes and for a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommentRules {
    /// With a yes.
    #[serde(default)]
    pub approve: CommentRule,
    /// With a no.
    #[serde(default)]
    pub reject: CommentRule,
}

/// What happens when nobody decided in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// The step expires.
    #[default]
    Expire,
    /// The step is rejected.
    Reject,
    /// Others are asked too, once.
    Escalate,
    /// The step is approved; needs `auto_approve`.
    Approve,
}

/// A step as people write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDefinition {
    /// For people.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// What a yes is called.
    #[serde(default)]
    pub verb: Verb,
    /// Who decides.
    #[serde(default)]
    pub approvers: Vec<Approver>,
    /// P: votes to pass. Default: all.
    #[serde(default)]
    pub pass: Option<Pass>,
    /// F: votes to fail. Default: 1.
    #[serde(default)]
    pub fail: Option<Pass>,
    /// Whether one may abstain, and what that means.
    #[serde(default)]
    pub abstain: Option<AbstainMode>,
    /// Yes votes there must be beside abstentions. Default: 1.
    #[serde(default)]
    pub min_explicit: Option<u32>,
    /// Q of the abstain mode `presence`.
    #[serde(default)]
    pub presence: Option<u32>,
    /// Comments.
    #[serde(default)]
    pub comment: CommentRules,
    /// Whether a yes must be signed.
    #[serde(default)]
    pub signature: bool,
    /// How a link of a mail is confirmed. Default: that of the installation.
    #[serde(default)]
    pub confirm: Option<Confirmation>,
    /// Hours until it times out, 1 to 8760.
    #[serde(default)]
    pub deadline_hours: Option<u32>,
    /// What happens then.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// Who is asked when it escalates.
    #[serde(default)]
    pub escalate_to: Vec<Approver>,
    /// Hours between reminders.
    #[serde(default)]
    pub remind_hours: Option<u32>,
    /// Reminders a seat gets at most. Default: 3.
    #[serde(default)]
    pub remind_at_most: Option<u32>,
    /// Only needed when this CEL expression over `data` is true.
    #[serde(default)]
    pub condition: Option<String>,
    /// The choices of a poll.
    #[serde(default)]
    pub options: Vec<String>,
    /// Who decides on a poll.
    #[serde(default)]
    pub moderator: Option<Approver>,
    /// Whether a parallel parent cannot pass without it.
    #[serde(default)]
    pub required: bool,
    /// Whether the requester may vote too.
    #[serde(default)]
    pub requester_may_vote: bool,
    /// Approves by itself, at once or, with `on_timeout: approve`, at the deadline.
    #[serde(default)]
    pub auto_approve: bool,
    /// Children of a container.
    #[serde(default)]
    pub children: Vec<StepDefinition>,
}

/// How the page of a mail's link is confirmed. Some programs that look at mails open links, and some run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// The page's script posts by itself.
    #[default]
    Auto,
    /// By itself only in a browser that this approver used before, else by one click.
    Bound,
    /// By a click and a code that stands in the mail.
    Challenge,
}

/// A step, frozen into an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its id.
    pub id: StepId,
    /// Index of the container it stands in.
    pub parent: Option<usize>,
    /// For people.
    pub name: String,
    /// What it is.
    pub kind: StepKind,
    /// What a yes is called.
    pub verb: Verb,
    /// Who decides.
    pub approvers: Vec<Approver>,
    /// When votes suffice.
    pub quorum: Quorum,
    /// Whether one may abstain.
    pub may_abstain: bool,
    /// Comments.
    pub comment: CommentRules,
    /// Whether a yes must be signed.
    pub signature: bool,
    /// How a link of a mail is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirmation>,
    /// Hours until it times out.
    pub deadline_hours: Option<u32>,
    /// What happens then.
    pub on_timeout: OnTimeout,
    /// Who is asked when it escalates.
    pub escalate_to: Vec<Approver>,
    /// Hours between reminders, and how many.
    pub remind: Option<(u32, u32)>,
    /// When it is needed.
    pub condition: Option<String>,
    /// The choices of a poll.
    pub options: Vec<String>,
    /// Who decides on a poll.
    pub moderator: Option<Identity>,
    /// Whether a parallel parent cannot pass without it.
    pub required: bool,
    /// Whether the requester may vote too.
    pub requester_may_vote: bool,
    /// Approves by itself.
    pub auto_approve: bool,
}

/// A frozen step, shared between states.
pub type FrozenStep = Arc<Spec>;

/// Why a definition makes no sense; `field` is a path such as `root.children[1].pass`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}`: {reason}")]
pub struct DefinitionError {
    /// Where.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Turns what people write into what is frozen.
#[derive(Debug)]
pub struct Definition;

const MAX_STEPS: usize = 200;
const MAX_DEPTH: usize = 8;

impl Definition {
    /// Validates a tree and flattens it, depth first. `id` makes step ids.
    ///
    /// # Errors
    /// The first thing that makes no sense, by its field.
    pub fn compile(
        root: &StepDefinition,
        mut id: impl FnMut() -> StepId,
    ) -> Result<Vec<FrozenStep>, DefinitionError> {
        let mut flat = Vec::new();
        flatten(root, None, "root", 1, &mut id, &mut flat)?;
        Ok(flat)
    }

    /// Reads a definition out of JSON, naming the field that is wrong.
    ///
    /// # Errors
    /// A member that is unknown, missing or of a wrong type.
    pub fn read(root: &serde_json::Value) -> Result<StepDefinition, DefinitionError> {
        serde_json::from_value(root.clone()).map_err(|error| DefinitionError {
            field: "root".to_owned(),
            reason: hint(&error.to_string()),
        })
    }
}

const MEMBERS: [&str; 23] = [
    "name",
    "type",
    "verb",
    "approvers",
    "pass",
    "fail",
    "abstain",
    "min_explicit",
    "presence",
    "comment",
    "signature",
    "confirm",
    "deadline_hours",
    "on_timeout",
    "escalate_to",
    "remind_hours",
    "condition",
    "options",
    "moderator",
    "required",
    "requester_may_vote",
    "auto_approve",
    "children",
];

fn hint(message: &str) -> String {
    let unknown = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    match unknown {
        Some(name) => match nearest(name, MEMBERS) {
            Some(near) => format!("unknown member `{name}`, did you mean `{near}`?"),
            None => format!("unknown member `{name}`"),
        },
        None => message.to_owned(),
    }
}

fn wrong<T>(path: &str, field: &str, reason: &str) -> Result<T, DefinitionError> {
    let field = if field.is_empty() {
        path.to_owned()
    } else {
        format!("{path}.{field}")
    };
    Err(DefinitionError {
        field,
        reason: reason.to_owned(),
    })
}

fn flatten(
    step: &StepDefinition,
    parent: Option<usize>,
    path: &str,
    depth: usize,
    id: &mut impl FnMut() -> StepId,
    flat: &mut Vec<FrozenStep>,
) -> Result<(), DefinitionError> {
    if depth > MAX_DEPTH || flat.len() >= MAX_STEPS {
        return wrong(path, "", "at most 8 levels and 200 steps");
    }
    check(step, path)?;
    let index = flat.len();
    flat.push(Arc::new(freeze(step, parent, path, id())?));
    for (number, child) in step.children.iter().enumerate() {
        flatten(
            child,
            Some(index),
            &format!("{path}.children[{number}]"),
            depth + 1,
            id,
            flat,
        )?;
    }
    Ok(())
}

fn check(step: &StepDefinition, path: &str) -> Result<(), DefinitionError> {
    let named = step.name.trim().chars().count();
    if named == 0 || named > 200 {
        return wrong(path, "name", "1 to 200 characters");
    }
    if step.kind.is_container() {
        if step.children.is_empty() {
            return wrong(path, "children", "a container needs at least one");
        }
        if !step.approvers.is_empty() {
            return wrong(path, "approvers", "belong to the children of a container");
        }
    } else if !step.children.is_empty() {
        return wrong(
            path,
            "children",
            "only `parallel` and `sequence` have children",
        );
    }
    if step.kind.has_seats() && step.approvers.is_empty() && !step.auto_approve {
        return wrong(path, "approvers", "at least one is needed");
    }
    let single = step.kind == StepKind::Single;
    if single
        && (step.approvers.len() > 1
            || step
                .approvers
                .iter()
                .any(|who| matches!(who, Approver::Group(_))))
    {
        return wrong(
            path,
            "approvers",
            "a single step has exactly one person; use `group` for more",
        );
    }
    let repeated = step
        .approvers
        .iter()
        .enumerate()
        .any(|(n, who)| step.approvers.iter().take(n).any(|other| other == who));
    if repeated {
        return wrong(path, "approvers", "nobody has two seats");
    }
    if step.kind == StepKind::Vote && !(2..=20).contains(&step.options.len()) {
        return wrong(path, "options", "a poll has 2 to 20 options");
    }
    if step.kind != StepKind::Vote && !(step.options.is_empty() && step.moderator.is_none()) {
        return wrong(
            path,
            "options",
            "only `vote` steps have options and a moderator",
        );
    }
    if step
        .deadline_hours
        .is_some_and(|hours| !(1..=8760).contains(&hours))
    {
        return wrong(path, "deadline_hours", "1 to 8760");
    }
    if step
        .remind_hours
        .is_some_and(|hours| !(1..=8760).contains(&hours))
    {
        return wrong(path, "remind_hours", "1 to 8760");
    }
    if step.on_timeout == OnTimeout::Approve && !step.auto_approve {
        return wrong(path, "on_timeout", "`approve` needs `auto_approve: true`");
    }
    if step.on_timeout == OnTimeout::Escalate && step.escalate_to.is_empty() {
        return wrong(
            path,
            "escalate_to",
            "`escalate` needs somebody to escalate to",
        );
    }
    if step
        .condition
        .as_ref()
        .is_some_and(|text| text.trim().is_empty() || text.len() > 4096)
    {
        return wrong(path, "condition", "an expression of at most 4096 bytes");
    }
    check_counts(step, path)
}

// Thresholds can be checked only where the number of seats is known now: groups open theirs at activation.
fn check_counts(step: &StepDefinition, path: &str) -> Result<(), DefinitionError> {
    let known = match step.kind {
        kind if kind.is_container() => step.children.len(),
        _ if step
            .approvers
            .iter()
            .any(|who| matches!(who, Approver::Group(_))) =>
        {
            return Ok(());
        }
        _ => step.approvers.len(),
    };
    let too_many = |pass: Option<Pass>| matches!(pass, Some(Pass::Count(count)) if count as usize > known.max(1));
    if too_many(step.pass) {
        return wrong(path, "pass", "more than there are votes");
    }
    if too_many(step.fail) {
        return wrong(path, "fail", "more than there are votes");
    }
    Ok(())
}

fn freeze(
    step: &StepDefinition,
    parent: Option<usize>,
    path: &str,
    id: StepId,
) -> Result<Spec, DefinitionError> {
    let moderator = match &step.moderator {
        None => None,
        Some(Approver::Email(email)) => Some(Identity::email(email)),
        Some(Approver::Account(account)) => Some(Identity::account(account)),
        Some(Approver::Group(_)) => return wrong(path, "moderator", "one person, not a group"),
    };
    let defaults = Quorum::default();
    Ok(Spec {
        id,
        parent,
        name: step.name.trim().to_owned(),
        kind: step.kind,
        verb: step.verb,
        approvers: step.approvers.clone(),
        quorum: Quorum {
            pass: step.pass.unwrap_or(defaults.pass),
            fail: step.fail.unwrap_or(defaults.fail),
            abstain: step.abstain.unwrap_or_default(),
            min_explicit: step.min_explicit.unwrap_or(defaults.min_explicit),
            presence: step.presence.unwrap_or(defaults.presence),
        },
        may_abstain: step.abstain.is_some(),
        comment: step.comment,
        signature: step.signature,
        confirm: step.confirm,
        deadline_hours: step.deadline_hours,
        on_timeout: step.on_timeout,
        escalate_to: step.escalate_to.clone(),
        remind: step
            .remind_hours
            .map(|hours| (hours, step.remind_at_most.unwrap_or(3))),
        condition: step.condition.clone(),
        options: step.options.clone(),
        moderator,
        required: step.required,
        requester_may_vote: step.requester_may_vote,
        auto_approve: step.auto_approve,
    })
}

#[cfg(test)]
mod tests {
    use heimdall_types::{SeededRng, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn refused(step: Value) -> String {
        let rng = SeededRng::new(1);
        let compiled = Definition::read(&step).and_then(|root| {
            Definition::compile(&root, || StepId::generate(Timestamp::from_millis(1), &rng))
        });
        compiled.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_definition_names_its_field() {
        let ada = json!({"email": "ada@example.org"});
        for (step, said) in [
            (json!({"name": "a", "type": "group"}), "`root.approvers`"),
            (
                json!({"name": "a", "type": "parallel", "children": [{"name": " ", "type": "notify"}]}),
                "`root.children[0].name`",
            ),
            (
                json!({"name": "a", "type": "group", "approvers": [ada], "pass": 2}),
                "`root.pass`",
            ),
            (
                json!({"name": "a", "type": "group", "approvers": [ada], "pass": "101%"}),
                "percentage",
            ),
            (
                json!({"name": "a", "type": "group", "approvers": [ada], "on_timeout": "approve"}),
                "`root.on_timeout`",
            ),
            (
                json!({"name": "a", "type": "group", "approver": [ada]}),
                "did you mean `approvers`",
            ),
            (
                json!({"name": "a", "type": "vote", "approvers": [ada]}),
                "`root.options`",
            ),
            (
                json!({"name": "a", "type": "group", "approvers": [ada, ada]}),
                "two seats",
            ),
        ] {
            let text = refused(step.clone());
            assert!(text.contains(said), "{step}: {text}");
        }
    }
}
