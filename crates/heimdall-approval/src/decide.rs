//! `decide` turns a command into events or a refusal; `evolve` turns a state and an event into the next state.
//! Both are total and know neither clock nor I/O.

use std::collections::BTreeMap;

use heimdall_types::{AppId, ApprovalId, StepId, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::definition::{ApproverRef, CommentRule, OnTimeout, StepKind, StepSpec, Verb};
use crate::quorum::{Count, Tally, count};
use crate::state::{
    Action, Approval, Channel, Person, Seat, Signature, SkipReason, Status, Step, StepState, Vote,
};

/// Longest comment, in Unicode scalar values after trimming.
pub const LONGEST_COMMENT: usize = 1000;

/// What the engine cannot know by itself, looked up before it is asked.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The members of each group that a definition names.
    pub groups: BTreeMap<String, Vec<Person>>,
    /// Account references, resolved.
    pub accounts: BTreeMap<String, Person>,
    /// The conditions, evaluated: `None` where one failed to evaluate.
    pub conditions: BTreeMap<String, Option<bool>>,
}

/// A vote as it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// The step.
    pub step: StepId,
    /// The activation that the voter saw, where the channel carries one.
    pub activation: Option<u32>,
    /// The epoch that the voter saw, where the channel carries one.
    pub epoch: Option<u32>,
    /// Who votes.
    pub actor: Person,
    /// Whose seat a delegate fills; the delegation was checked against scope and window at `now`.
    pub on_behalf_of: Option<Person>,
    /// What it says.
    pub action: Action,
    /// Why.
    pub comment: Option<String>,
    /// Chosen options of a poll.
    pub options: Vec<String>,
    /// The signature.
    pub signature: Option<Signature>,
    /// How it came.
    pub channel: Channel,
    /// The link's `jti`.
    pub link: Option<String>,
}

/// What can be asked of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Cast a vote.
    Vote(Box<Ballot>),
    /// Call it off.
    Cancel,
    /// Open a new epoch: all votes and links of the old one are void.
    Reset,
    /// A held or hook step's answer came.
    Answer {
        /// The step.
        step: StepId,
        /// Whether it passes.
        pass: bool,
    },
    /// Nothing: apply what time alone changes.
    Tick,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A step became active.
    Activated {
        /// Its index.
        step: usize,
        /// When.
        at: Timestamp,
        /// Until when.
        deadline: Option<Timestamp>,
        /// Who may vote.
        seats: Vec<Person>,
    },
    /// A vote was cast.
    Voted {
        /// The step's index.
        step: usize,
        /// The seat's index.
        seat: usize,
        /// The vote.
        vote: Box<Vote>,
    },
    /// A step reached another state.
    Moved {
        /// Its index.
        step: usize,
        /// The state.
        to: StepState,
        /// When.
        at: Timestamp,
    },
    /// A step's deadline asked more people.
    Escalated {
        /// Its index.
        step: usize,
        /// Who was added.
        seats: Vec<Person>,
        /// The new deadline.
        deadline: Option<Timestamp>,
    },
    /// Somebody was reminded.
    Reminded {
        /// The step's index.
        step: usize,
        /// The seat's index.
        seat: usize,
    },
    /// The approval was decided or ended.
    Resolved {
        /// How.
        to: Status,
        /// When.
        at: Timestamp,
    },
    /// A new epoch began.
    Reset {
        /// Its number.
        epoch: u32,
        /// When.
        at: Timestamp,
    },
}

/// Why a command changes nothing. An answer, not a fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such step.
    #[error("there is no such step")]
    UnknownStep,
    /// The approval has been decided.
    #[error("the approval is {0:?} already")]
    Decided(Status),
    /// The step does not take votes now.
    #[error("the step is {0:?}")]
    NotActive(StepState),
    /// The link belongs to an earlier activation or epoch.
    #[error("the link belongs to an earlier round")]
    EarlierRound,
    /// This person has no seat here.
    #[error("this person may not decide here")]
    NotEligible,
    /// The requester never decides.
    #[error("nobody decides what he asked for himself")]
    FourEyes,
    /// The seat was used; holds what was recorded.
    #[error("this person has voted already")]
    AlreadyVoted(Box<Vote>),
    /// The step takes no such action.
    #[error("the step takes no `{0:?}`")]
    WrongAction(Action),
    /// A comment is missing, too long or not taken.
    #[error("the comment {0}")]
    Comment(&'static str),
    /// A signature is missing.
    #[error("the step must be signed")]
    Unsigned,
    /// The options chosen are not among those offered.
    #[error("the options are not those of the poll")]
    Options,
    /// Nothing to do.
    #[error("there is nothing to do")]
    Nothing,
}

/// Opens an approval of a checked definition and activates its first steps.
#[expect(
    clippy::too_many_arguments,
    reason = "an approval is born of all of these and none has a default"
)]
pub fn open(
    id: ApprovalId,
    app_id: AppId,
    root: &StepSpec,
    requester: Person,
    dig: String,
    deadline: Option<Timestamp>,
    now: Timestamp,
    facts: &Facts,
    mut new_step_id: impl FnMut() -> StepId,
) -> (Approval, Vec<Event>) {
    let mut steps = Vec::new();
    flatten(root, None, &mut steps, &mut new_step_id);
    let born = Approval {
        id,
        app_id,
        status: Status::Open,
        epoch: 1,
        requester,
        dig,
        opened_at: now,
        deadline,
        resolved_at: None,
        steps,
    };
    let mut draft = Draft {
        state: born.clone(),
        events: Vec::new(),
        now,
        facts,
    };
    draft.activate(0);
    draft.settle();
    (born, draft.events)
}

fn flatten(
    spec: &StepSpec,
    parent: Option<usize>,
    steps: &mut Vec<Step>,
    new_step_id: &mut impl FnMut() -> StepId,
) -> usize {
    let index = steps.len();
    let mut own = spec.clone();
    let inside = std::mem::take(&mut own.children);
    steps.push(Step {
        id: new_step_id(),
        parent,
        children: Vec::new(),
        spec: own,
        state: StepState::Waiting,
        activation: 0,
        activated_at: None,
        deadline: None,
        escalated: false,
        seats: Vec::new(),
        resolved_at: None,
    });
    let children: Vec<usize> = inside
        .iter()
        .map(|child| flatten(child, Some(index), steps, new_step_id))
        .collect();
    if let Some(step) = steps.get_mut(index) {
        step.children = children;
    }
    index
}

/// Decides a command: first what time alone changes, then the command itself.
///
/// # Errors
/// A [`Refusal`]. Events that are due by time are lost with it; a [`Command::Tick`] brings them.
pub fn decide(
    state: &Approval,
    command: &Command,
    now: Timestamp,
    facts: &Facts,
) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft {
        state: state.clone(),
        events: Vec::new(),
        now,
        facts,
    };
    draft.apply_timers();
    match command {
        Command::Vote(ballot) => draft.vote(ballot)?,
        Command::Cancel => draft.cancel()?,
        Command::Reset => draft.reset(),
        Command::Answer { step, pass } => draft.answer(step, *pass)?,
        Command::Tick => {}
    }
    draft.settle();
    if draft.events.is_empty() {
        Err(Refusal::Nothing)
    } else {
        Ok(draft.events)
    }
}

/// The state after an event.
pub fn evolve(mut state: Approval, event: &Event) -> Approval {
    apply(&mut state, event);
    state
}

fn apply(state: &mut Approval, event: &Event) {
    let dig = state.dig.clone();
    match event {
        Event::Activated {
            step,
            at,
            deadline,
            seats,
        } => {
            if let Some(step) = state.steps.get_mut(*step) {
                step.state = StepState::Active;
                step.activation += 1;
                step.activated_at = Some(*at);
                step.deadline = *deadline;
                step.seats = seats.iter().map(seat).collect();
            }
        }
        Event::Voted { step, seat, vote } => {
            debug_assert_eq!(vote.dig, dig, "one content for all votes");
            let seats = state.steps.get_mut(*step).map(|step| &mut step.seats);
            if let Some(seat) = seats.and_then(|seats| seats.get_mut(*seat)) {
                seat.vote = Some((**vote).clone());
            }
        }
        Event::Moved { step, to, at } => {
            if let Some(step) = state.steps.get_mut(*step) {
                step.state = *to;
                step.resolved_at = to.is_final().then_some(*at);
            }
        }
        Event::Escalated {
            step,
            seats,
            deadline,
        } => {
            if let Some(step) = state.steps.get_mut(*step) {
                step.escalated = true;
                step.deadline = *deadline;
                step.seats.extend(seats.iter().map(seat));
            }
        }
        Event::Reminded { step, seat } => {
            let seats = state.steps.get_mut(*step).map(|step| &mut step.seats);
            if let Some(seat) = seats.and_then(|seats| seats.get_mut(*seat)) {
                seat.reminders += 1;
            }
        }
        Event::Resolved { to, at } => {
            state.status = *to;
            state.resolved_at = Some(*at);
        }
        Event::Reset { epoch, .. } => {
            state.epoch = *epoch;
            state.status = Status::Open;
            state.resolved_at = None;
            for step in &mut state.steps {
                step.state = StepState::Waiting;
                step.seats.clear();
                step.deadline = None;
                step.escalated = false;
                step.resolved_at = None;
            }
        }
    }
}

fn seat(person: &Person) -> Seat {
    Seat {
        person: person.clone(),
        vote: None,
        reminders: 0,
    }
}

// A state that runs ahead of the events collected so far.
struct Draft<'a> {
    state: Approval,
    events: Vec<Event>,
    now: Timestamp,
    facts: &'a Facts,
}

impl Draft<'_> {
    fn emit(&mut self, event: Event) {
        apply(&mut self.state, &event);
        self.events.push(event);
    }

    fn move_to(&mut self, step: usize, to: StepState) {
        let at = self.now;
        self.emit(Event::Moved { step, to, at });
    }

    fn step(&self, index: usize) -> Option<&Step> {
        self.state.steps.get(index)
    }

    fn activate(&mut self, index: usize) {
        let Some(step) = self.step(index) else { return };
        let spec = step.spec.clone();
        let children = step.children.clone();
        if let Some(condition) = &spec.condition {
            match self.facts.conditions.get(condition).copied().flatten() {
                Some(true) => {}
                Some(false) => {
                    return self.move_to(index, StepState::Skipped(SkipReason::Condition));
                }
                // A condition in error never opens a door: hold, and let an administrator answer.
                None => return self.move_to(index, StepState::Held),
            }
        }
        self.start(index, &spec, &children);
    }

    fn start(&mut self, index: usize, spec: &StepSpec, children: &[usize]) {
        let hours = |hours: u32| std::time::Duration::from_secs(u64::from(hours) * 3600);
        let deadline = spec.deadline_hours.map(|h| self.now.plus(hours(h)));
        let seats = if spec.asks() {
            self.people(&spec.approvers, spec.self_approval, &[])
        } else {
            Vec::new()
        };
        let at = self.now;
        self.emit(Event::Activated {
            step: index,
            at,
            deadline,
            seats,
        });
        match spec.kind {
            StepKind::Parallel => children.iter().for_each(|child| self.activate(*child)),
            StepKind::Sequence => {
                if let Some(first) = children.first() {
                    self.activate(*first);
                }
            }
            StepKind::Notify => self.move_to(index, StepState::Approved),
            StepKind::Single | StepKind::Group | StepKind::Vote | StepKind::Hook => {}
        }
    }

    // One human, one seat; the requester gets none unless the step says so.
    fn people(&self, refs: &[ApproverRef], self_approval: bool, present: &[Seat]) -> Vec<Person> {
        let mut found: Vec<Person> = Vec::new();
        let mut take = |person: &Person| {
            let own = !self_approval && person.is(&self.state.requester);
            let again =
                found.iter().any(|p| p.is(person)) || present.iter().any(|s| s.person.is(person));
            if !own && !again {
                found.push(person.clone());
            }
        };
        for reference in refs {
            match reference {
                ApproverRef::Email(email) => take(&Person::by_email(email.clone())),
                ApproverRef::Account(id) => match self.facts.accounts.get(id) {
                    Some(person) => take(person),
                    None => take(&Person {
                        email: None,
                        account: Some(id.clone()),
                        name: String::new(),
                    }),
                },
                ApproverRef::Group(name) => {
                    self.facts
                        .groups
                        .get(name)
                        .into_iter()
                        .flatten()
                        .for_each(&mut take);
                }
            }
        }
        found
    }

    fn vote(&mut self, ballot: &Ballot) -> Result<(), Refusal> {
        let (index, step) = self.state.step(&ballot.step).ok_or(Refusal::UnknownStep)?;
        let holder = ballot.on_behalf_of.as_ref().unwrap_or(&ballot.actor);
        if let Some(vote) = step
            .seats
            .iter()
            .filter_map(|s| s.vote.as_ref())
            .find(|v| v.actor.is(&ballot.actor))
        {
            return Err(Refusal::AlreadyVoted(Box::new(vote.clone())));
        }
        if ballot.epoch.is_some_and(|epoch| epoch != self.state.epoch)
            || ballot
                .activation
                .is_some_and(|activation| activation != step.activation)
        {
            return Err(Refusal::EarlierRound);
        }
        if self.state.status.is_final() {
            return Err(Refusal::Decided(self.state.status));
        }
        if step.state != StepState::Active && step.state != StepState::Moderating {
            return Err(Refusal::NotActive(step.state));
        }
        let spec = step.spec.clone();
        if ballot.actor.is(&self.state.requester) && !spec.self_approval {
            return Err(Refusal::FourEyes);
        }
        if step.state == StepState::Moderating {
            return self.moderate(index, &spec, ballot);
        }
        let seat = step
            .seats
            .iter()
            .position(|s| s.person.is(holder))
            .ok_or(Refusal::NotEligible)?;
        if let Some(vote) = step.seats.get(seat).and_then(|seat| seat.vote.as_ref()) {
            return Err(Refusal::AlreadyVoted(Box::new(vote.clone())));
        }
        check_ballot(&spec, ballot)?;
        self.record(index, seat, ballot);
        Ok(())
    }

    fn record(&mut self, step: usize, seat: usize, ballot: &Ballot) {
        let vote = Vote {
            actor: ballot.actor.clone(),
            on_behalf_of: ballot.on_behalf_of.clone(),
            action: ballot.action,
            comment: trimmed(ballot.comment.as_deref()),
            options: ballot.options.clone(),
            signature: ballot.signature.clone(),
            channel: ballot.channel,
            link: ballot.link.clone(),
            dig: self.state.dig.clone(),
            at: self.now,
        };
        self.emit(Event::Voted {
            step,
            seat,
            vote: Box::new(vote),
        });
    }

    // The poll is closed: its moderator says what it comes to.
    fn moderate(&mut self, index: usize, spec: &StepSpec, ballot: &Ballot) -> Result<(), Refusal> {
        let moderators = spec
            .moderator
            .clone()
            .map(|m| self.people(&[m], spec.self_approval, &[]))
            .unwrap_or_default();
        if !moderators.iter().any(|person| person.is(&ballot.actor)) {
            return Err(Refusal::NotEligible);
        }
        let to = match ballot.action {
            Action::Approve | Action::Consent => StepState::Approved,
            Action::Reject => StepState::Rejected,
            Action::Abstain | Action::Vote => return Err(Refusal::WrongAction(ballot.action)),
        };
        check_comment(spec, ballot)?;
        self.move_to(index, to);
        Ok(())
    }

    fn answer(&mut self, id: &StepId, pass: bool) -> Result<(), Refusal> {
        let (index, step) = self.state.step(id).ok_or(Refusal::UnknownStep)?;
        let (spec, children) = (step.spec.clone(), step.children.clone());
        match step.state {
            StepState::Held if pass => self.start(index, &spec, &children),
            StepState::Held => self.move_to(index, StepState::Skipped(SkipReason::Condition)),
            StepState::Active if spec.kind == StepKind::Hook => {
                self.move_to(
                    index,
                    if pass {
                        StepState::Approved
                    } else {
                        StepState::Rejected
                    },
                );
            }
            other => return Err(Refusal::NotActive(other)),
        }
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), Refusal> {
        if self.state.status.is_final() {
            return Err(Refusal::Decided(self.state.status));
        }
        self.finish(Status::Cancelled);
        Ok(())
    }

    fn reset(&mut self) {
        let (epoch, at) = (self.state.epoch + 1, self.now);
        self.emit(Event::Reset { epoch, at });
        self.activate(0);
    }

    fn finish(&mut self, to: Status) {
        let open: Vec<usize> = (0..self.state.steps.len())
            .filter(|index| self.step(*index).is_some_and(|step| !step.state.is_final()))
            .collect();
        for index in open {
            let state = if to == Status::Expired {
                StepState::Expired
            } else {
                StepState::Cancelled
            };
            self.move_to(index, state);
        }
        let at = self.now;
        self.emit(Event::Resolved { to, at });
    }

    fn apply_timers(&mut self) {
        if self.state.status.is_final() {
            return;
        }
        if self
            .state
            .deadline
            .is_some_and(|deadline| deadline <= self.now)
        {
            return self.finish(Status::Expired);
        }
        for index in 0..self.state.steps.len() {
            self.remind(index);
            self.time_out(index);
        }
        self.settle();
    }

    fn remind(&mut self, index: usize) {
        let Some(step) = self.step(index) else { return };
        let (Some(began), Some(deadline), StepState::Active) =
            (step.activated_at, step.deadline, step.state)
        else {
            return;
        };
        if step.spec.reminders == 0 || deadline <= self.now {
            return;
        }
        let pause = deadline.since(began) / (step.spec.reminders + 1);
        let due: Vec<usize> = step
            .seats
            .iter()
            .enumerate()
            .filter(|(_, s)| s.vote.is_none() && s.reminders < step.spec.reminders)
            .filter(|(_, s)| began.plus(pause * (s.reminders + 1)) <= self.now)
            .map(|(seat, _)| seat)
            .collect();
        for seat in due {
            self.emit(Event::Reminded { step: index, seat });
        }
    }

    fn time_out(&mut self, index: usize) {
        let Some(step) = self.step(index) else { return };
        let running = matches!(step.state, StepState::Active | StepState::Moderating);
        if !running || step.deadline.is_none_or(|deadline| deadline > self.now) {
            return;
        }
        let spec = step.spec.clone();
        match spec.on_timeout {
            OnTimeout::Escalate if !step.escalated => {
                let seats = self.people(&spec.escalate_to, spec.self_approval, &step.seats);
                let more = std::time::Duration::from_secs(
                    u64::from(spec.deadline_hours.unwrap_or(24)) * 3600,
                );
                let deadline = Some(self.now.plus(more));
                self.emit(Event::Escalated {
                    step: index,
                    seats,
                    deadline,
                });
            }
            OnTimeout::Expire | OnTimeout::Escalate => self.move_to(index, StepState::Expired),
            OnTimeout::Reject => self.move_to(index, StepState::Rejected),
            OnTimeout::Approve => self.move_to(index, StepState::Approved),
        }
    }

    // Carries what was decided upwards until nothing moves any more. Every round moves at least one step to a final
    // state or activates one, so it ends.
    fn settle(&mut self) {
        while !self.state.status.is_final() && self.settle_once() {}
    }

    fn settle_once(&mut self) -> bool {
        for index in (0..self.state.steps.len()).rev() {
            if self.settle_step(index) {
                return true;
            }
        }
        let status = match self.step(0).map(|root| root.state) {
            Some(StepState::Approved | StepState::Skipped(_)) => Status::Approved,
            Some(StepState::Rejected) => Status::Rejected,
            Some(StepState::Expired) => Status::Expired,
            _ => return false,
        };
        self.finish(status);
        true
    }

    fn settle_step(&mut self, index: usize) -> bool {
        let Some(step) = self.step(index) else {
            return false;
        };
        if step.state != StepState::Active {
            return false;
        }
        match step.spec.kind {
            StepKind::Single | StepKind::Group => self.settle_votes(index),
            StepKind::Vote => {
                let closed = step.seats.iter().all(|seat| seat.vote.is_some());
                if closed {
                    self.move_to(index, StepState::Moderating);
                }
                closed
            }
            StepKind::Sequence => self.settle_sequence(index),
            StepKind::Parallel => self.settle_parallel(index),
            StepKind::Notify | StepKind::Hook => false,
        }
    }

    fn settle_votes(&mut self, index: usize) -> bool {
        let Some(step) = self.step(index) else {
            return false;
        };
        let to = match count(&step.spec, tally(step)) {
            Count::Open => return false,
            Count::Passed => StepState::Approved,
            Count::Failed | Count::NoVoters => StepState::Rejected,
        };
        self.move_to(index, to);
        true
    }

    fn settle_sequence(&mut self, index: usize) -> bool {
        let Some(step) = self.step(index) else {
            return false;
        };
        let states: Vec<(usize, StepState)> = step
            .children
            .iter()
            .filter_map(|child| Some((*child, self.step(*child)?.state)))
            .collect();
        for (child, state) in states {
            match state {
                StepState::Approved | StepState::Skipped(_) => {}
                StepState::Waiting => {
                    self.activate(child);
                    return true;
                }
                StepState::Rejected | StepState::Expired | StepState::Cancelled => {
                    self.close_children(index, SkipReason::ParentResolved);
                    self.move_to(index, state);
                    return true;
                }
                StepState::Active | StepState::Moderating | StepState::Held => return false,
            }
        }
        self.move_to(index, StepState::Approved);
        true
    }

    fn settle_parallel(&mut self, index: usize) -> bool {
        let Some(step) = self.step(index) else {
            return false;
        };
        let children: Vec<&Step> = step
            .children
            .iter()
            .filter_map(|child| self.step(*child))
            .collect();
        let skipped = children
            .iter()
            .filter(|c| c.state == StepState::Skipped(SkipReason::Condition))
            .count();
        let total = u32::try_from(children.len() - skipped).unwrap_or(u32::MAX);
        let number = |wanted: fn(StepState) -> bool| {
            u32::try_from(children.iter().filter(|child| wanted(child.state)).count())
                .unwrap_or(u32::MAX)
        };
        let passed = number(|state| state == StepState::Approved);
        let failed = number(|state| {
            matches!(
                state,
                StepState::Rejected | StepState::Expired | StepState::Cancelled
            )
        });
        let expired = number(|state| state == StepState::Expired);
        let needed = step.spec.pass_of(total).min(total);
        let required: Vec<&&Step> = children
            .iter()
            .filter(|c| step.spec.required.contains(&c.spec.name))
            .collect();
        let required_lost = required
            .iter()
            .any(|c| matches!(c.state, StepState::Rejected | StepState::Expired));
        let required_won = required
            .iter()
            .all(|c| matches!(c.state, StepState::Approved | StepState::Skipped(_)));
        let lost = failed >= step.spec.fail_of(total) || total - failed < needed || required_lost;
        if total > 0 && failed > 0 && lost {
            let to = if expired == failed {
                StepState::Expired
            } else {
                StepState::Rejected
            };
            self.close_children(index, SkipReason::ParentResolved);
            self.move_to(index, to);
            return true;
        }
        if passed >= needed && required_won {
            self.close_children(index, SkipReason::ThresholdMet);
            self.move_to(index, StepState::Approved);
            return true;
        }
        false
    }

    fn close_children(&mut self, index: usize, reason: SkipReason) {
        let Some(step) = self.step(index) else { return };
        for child in step.children.clone() {
            if self.step(child).is_some_and(|step| !step.state.is_final()) {
                self.close_children(child, reason);
                self.move_to(child, StepState::Skipped(reason));
            }
        }
    }
}

fn tally(step: &Step) -> Tally {
    let votes = step.seats.iter().filter_map(|seat| seat.vote.as_ref());
    let mut tally = Tally {
        seats: u32::try_from(step.seats.len()).unwrap_or(u32::MAX),
        ..Tally::default()
    };
    for vote in votes {
        match vote.action {
            Action::Approve | Action::Consent => tally.approve += 1,
            Action::Reject => tally.reject += 1,
            Action::Abstain | Action::Vote => tally.abstain += 1,
        }
    }
    tally
}

fn check_ballot(spec: &StepSpec, ballot: &Ballot) -> Result<(), Refusal> {
    let taken = match ballot.action {
        Action::Approve => spec.kind != StepKind::Vote && spec.verb == Verb::Approval,
        Action::Consent => spec.kind != StepKind::Vote && spec.verb == Verb::Consent,
        Action::Reject => spec.kind != StepKind::Vote,
        Action::Abstain => spec.abstain != crate::definition::Abstain::Off,
        Action::Vote => spec.kind == StepKind::Vote,
    };
    if !taken {
        return Err(Refusal::WrongAction(ballot.action));
    }
    if ballot.action == Action::Vote
        && (ballot.options.is_empty()
            || !ballot
                .options
                .iter()
                .all(|option| spec.options.contains(option)))
    {
        return Err(Refusal::Options);
    }
    if spec.signature && ballot.action.is_yes() && ballot.signature.is_none() {
        return Err(Refusal::Unsigned);
    }
    check_comment(spec, ballot)
}

fn check_comment(spec: &StepSpec, ballot: &Ballot) -> Result<(), Refusal> {
    let rule = match ballot.action {
        Action::Reject => spec.comment_reject,
        _ => spec.comment_approve,
    };
    let comment = trimmed(ballot.comment.as_deref());
    match (&comment, rule) {
        (None, CommentRule::Required) => Err(Refusal::Comment("is missing")),
        (Some(_), CommentRule::Off) => Err(Refusal::Comment("is not taken here")),
        (Some(text), _) if text.chars().count() > LONGEST_COMMENT => {
            Err(Refusal::Comment("is longer than 1,000 characters"))
        }
        _ => Ok(()),
    }
}

fn trimmed(comment: Option<&str>) -> Option<String> {
    comment
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}
