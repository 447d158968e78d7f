//! What the clock alone causes.

use heimdall_types::Timestamp;

use super::Draft;
use super::tree::hours;
use crate::definition::{OnTimeout, StepKind};
use crate::event::{Ending, Event};
use crate::state::{ApprovalState, State, Step, StepState};

/// When the clock will next cause something; `None` when it never will.
pub fn next_due(state: &State) -> Option<Timestamp> {
    if !state.is_open() {
        return None;
    }
    let steps = state
        .steps
        .iter()
        .filter(|step| matches!(step.state, StepState::Active | StepState::Moderating));
    let timers = steps.flat_map(|step| step.deadline.into_iter().chain(next_reminder(step)));
    timers.chain(state.deadline).min()
}

fn reminder_of(step: &Step, reminded: u32) -> Option<Timestamp> {
    let (every, at_most) = step.spec.remind?;
    (reminded < at_most).then(|| {
        step.active_since
            .plus(hours(every.saturating_mul(reminded + 1)))
    })
}

fn next_reminder(step: &Step) -> Option<Timestamp> {
    let open = step
        .seats
        .iter()
        .filter(|seat| seat.vote.is_none() && !seat.vacant);
    open.filter_map(|seat| reminder_of(step, seat.reminded))
        .min()
}

impl Draft<'_> {
    pub(super) fn timers(&mut self) {
        while self.state.is_open() {
            if self
                .state
                .deadline
                .is_some_and(|deadline| deadline <= self.now)
            {
                self.close_open_steps(&Ending::Expired);
                self.emit(Event::Ended {
                    state: ApprovalState::Expired,
                    at: self.now,
                });
                return;
            }
            let now = self.now;
            let late = self.state.steps.iter().position(|step| {
                matches!(step.state, StepState::Active)
                    && step.deadline.is_some_and(|deadline| deadline <= now)
            });
            match late {
                Some(step) => self.time_out(step),
                None => break,
            }
        }
        self.remind();
    }

    fn time_out(&mut self, index: usize) {
        let Some(step) = self.state.steps.get(index) else {
            return;
        };
        let (spec, escalated) = (step.spec.clone(), step.escalated);
        if spec.kind == StepKind::Vote && step.tally().approvals > 0 {
            return self.close_poll(index);
        }
        match spec.on_timeout {
            OnTimeout::Approve => self.end(index, Ending::Approved),
            OnTimeout::Reject => self.end(index, Ending::Rejected("TIMEOUT".to_owned())),
            OnTimeout::Escalate if !escalated && !spec.kind.is_container() => {
                let mut seats = self.people(&spec.escalate_to, spec.requester_may_vote);
                let taken = self
                    .state
                    .steps
                    .get(index)
                    .map(|step| step.seats.clone())
                    .unwrap_or_default();
                seats.retain(|who| taken.iter().all(|seat| seat.holder != *who));
                let deadline = spec.deadline_hours.map(|count| self.now.plus(hours(count)));
                self.emit(Event::Escalated {
                    step: index,
                    seats,
                    deadline,
                    at: self.now,
                });
            }
            OnTimeout::Expire | OnTimeout::Escalate => self.end(index, Ending::Expired),
        }
    }

    fn remind(&mut self) {
        let mut due = Vec::new();
        if !self.state.is_open() {
            return;
        }
        for (index, step) in self
            .state
            .active()
            .filter(|(_, step)| step.spec.remind.is_some())
        {
            for (seat, holder) in step.seats.iter().enumerate() {
                let open = holder.vote.is_none() && !holder.vacant;
                if open && reminder_of(step, holder.reminded).is_some_and(|at| at <= self.now) {
                    due.push((index, seat));
                }
            }
        }
        for (step, seat) in due {
            self.emit(Event::Reminded {
                step,
                seat,
                at: self.now,
            });
        }
    }
}
