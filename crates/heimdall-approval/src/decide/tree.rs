//! Activation of steps, and how the end of one becomes the end of what contains it.

use std::time::Duration;

use super::Draft;
use crate::definition::{Approver, StepKind};
use crate::event::{Ending, Event};
use crate::person::{Identity, Person};
use crate::quorum::{Tally, Verdict};
use crate::state::{ApprovalState, StepState};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn hours(count: u32) -> Duration {
    HOUR.saturating_mul(count)
}

impl Draft<'_> {
    /// Lets a waiting step in, if its condition wants it.
    pub(super) fn activate(&mut self, index: usize) {
        let Some(step) = self.state.steps.get(index) else {
            return;
        };
        let Some(condition) = step.spec.condition.clone() else {
            return self.begin(index);
        };
        match self.facts.conditions.get(&condition) {
            Some(Ok(true)) => self.begin(index),
            Some(Ok(false)) => self.end(index, Ending::Skipped("CONDITION".to_owned())),
            Some(Err(reason)) => self.emit(Event::Held {
                step: index,
                reason: reason.clone(),
                at: self.now,
            }),
            // Not evaluated is not "true": somebody has to look.
            None => self.emit(Event::Held {
                step: index,
                reason: "the condition was not evaluated".to_owned(),
                at: self.now,
            }),
        }
    }

    pub(super) fn begin(&mut self, index: usize) {
        let Some(step) = self.state.steps.get(index) else {
            return;
        };
        let spec = step.spec.clone();
        let activation = step.activation + 1;
        let seats = if spec.kind.has_seats() || spec.kind == StepKind::Notify {
            self.people(&spec.approvers, spec.requester_may_vote)
        } else {
            Vec::new()
        };
        let nobody = seats.is_empty();
        let deadline = spec.deadline_hours.map(|count| self.now.plus(hours(count)));
        self.emit(Event::Activated {
            step: index,
            activation,
            at: self.now,
            deadline,
            seats,
        });
        match spec.kind {
            StepKind::Parallel => {
                let children: Vec<usize> = self.state.children(index).collect();
                for child in children {
                    // A sibling that failed at once has ended all of them.
                    if self
                        .state
                        .steps
                        .get(child)
                        .is_some_and(|step| step.state == StepState::Waiting)
                        && self.is_active(index)
                    {
                        self.activate(child);
                    }
                }
            }
            StepKind::Sequence => self.advance(index),
            StepKind::Notify => self.end(index, Ending::Approved),
            StepKind::Hook => {}
            StepKind::Single | StepKind::Group | StepKind::Vote => {
                if spec.auto_approve && spec.on_timeout != crate::definition::OnTimeout::Approve {
                    self.end(index, Ending::Approved);
                } else if nobody {
                    self.end(index, Ending::Rejected("NO_VOTERS".to_owned()));
                }
            }
        }
    }

    pub(super) fn is_active(&self, index: usize) -> bool {
        self.state
            .steps
            .get(index)
            .is_some_and(|step| step.state == StepState::Active)
    }

    /// Who these approvers are, each once, and never the requester unless the definition says so.
    pub(super) fn people(&self, approvers: &[Approver], requester_too: bool) -> Vec<Identity> {
        let mut people: Vec<Identity> = Vec::with_capacity(approvers.len());
        let none = Vec::new();
        for approver in approvers {
            let (one, many) = match approver {
                Approver::Email(email) => (Some(Identity::email(email)), &none),
                Approver::Account(account) => (Some(Identity::account(account)), &none),
                Approver::Group(group) => (None, self.facts.groups.get(group).unwrap_or(&none)),
            };
            for identity in one.into_iter().chain(many.iter().cloned()) {
                let requester = self
                    .state
                    .requester()
                    .is_some_and(|who: &Person| who.is(&identity));
                if !people.contains(&identity) && (requester_too || !requester) {
                    people.push(identity);
                }
            }
        }
        people
    }

    /// Judges the votes of a leaf.
    pub(super) fn judge(&mut self, index: usize) {
        let Some(step) = self.state.steps.get(index) else {
            return;
        };
        if step.spec.kind == StepKind::Vote {
            return self.judge_poll(index);
        }
        match step.spec.quorum.judge(step.tally()) {
            Some(Verdict::Approved) => self.end(index, Ending::Approved),
            Some(Verdict::Rejected) => self.end(index, Ending::Rejected(String::new())),
            Some(Verdict::NoVoters) => self.end(index, Ending::Rejected("NO_VOTERS".to_owned())),
            None => {}
        }
    }

    /// Closes a poll once everybody voted; its moderator, if there is one, has the word then.
    pub(super) fn judge_poll(&mut self, index: usize) {
        let Some(step) = self.state.steps.get(index) else {
            return;
        };
        if step.state == StepState::Active && step.tally().open == 0 {
            self.close_poll(index);
        } else if step.state == StepState::Moderating {
            let word = step
                .seats
                .last()
                .and_then(|seat| seat.vote.as_deref())
                .map(|vote| vote.action.is_yes());
            match word {
                Some(true) => self.end(index, Ending::Approved),
                Some(false) => self.end(index, Ending::Rejected(String::new())),
                None => {}
            }
        }
    }

    pub(super) fn close_poll(&mut self, index: usize) {
        let Some(step) = self.state.steps.get(index) else {
            return;
        };
        match step.spec.moderator.clone() {
            Some(seat) => self.emit(Event::Moderating {
                step: index,
                seat,
                at: self.now,
            }),
            None if step.tally().approvals > 0 => self.end(index, Ending::Approved),
            None => self.end(index, Ending::Rejected("NO_VOTERS".to_owned())),
        }
    }

    /// Ends a step and carries that upwards.
    pub(super) fn end(&mut self, index: usize, ending: Ending) {
        let ended = self
            .state
            .steps
            .get(index)
            .is_none_or(|step| step.state.has_ended());
        if ended || !self.state.is_open() {
            return;
        }
        self.emit(Event::StepEnded {
            step: index,
            ending: ending.clone(),
            at: self.now,
        });
        self.close_children(index, &Ending::Cancelled);
        match self
            .state
            .steps
            .get(index)
            .and_then(|step| step.spec.parent)
        {
            None => self.finish(&ending),
            Some(parent) => match self.state.steps.get(parent).map(|step| step.spec.kind) {
                Some(StepKind::Sequence) => self.advance(parent),
                _ => self.judge_parallel(parent),
            },
        }
    }

    fn finish(&mut self, ending: &Ending) {
        let state = match ending {
            Ending::Approved => ApprovalState::Approved,
            Ending::Expired => ApprovalState::Expired,
            Ending::Cancelled => ApprovalState::Cancelled,
            // Nobody said yes, so it is no yes.
            Ending::Rejected(_) | Ending::Skipped(_) => ApprovalState::Rejected,
        };
        self.close_open_steps(&Ending::Cancelled);
        self.emit(Event::Ended {
            state,
            at: self.now,
        });
    }

    fn advance(&mut self, parent: usize) {
        let mut approved = false;
        let children: Vec<usize> = self.state.children(parent).collect();
        for child in children {
            let state = self.state.steps.get(child).map(|step| step.state.clone());
            match state {
                Some(StepState::Approved) => approved = true,
                Some(StepState::Skipped(_)) | None => {}
                Some(StepState::Rejected(_) | StepState::Cancelled) => {
                    return self.end(parent, Ending::Rejected(String::new()));
                }
                Some(StepState::Expired) => return self.end(parent, Ending::Expired),
                // Ending the child comes back here for the next one.
                Some(StepState::Waiting) => return self.activate(child),
                Some(StepState::Active | StepState::Moderating | StepState::Held(_)) => return,
            }
        }
        let ending = if approved {
            Ending::Approved
        } else {
            Ending::Skipped("EMPTY".to_owned())
        };
        self.end(parent, ending);
    }

    fn judge_parallel(&mut self, parent: usize) {
        let Some(container) = self.state.steps.get(parent) else {
            return;
        };
        let spec = container.spec.clone();
        let mut tally = Tally::default();
        let (mut required_failed, mut required_open, mut expired, mut rejected) =
            (false, false, false, false);
        for child in self
            .state
            .children(parent)
            .filter_map(|child| self.state.steps.get(child))
        {
            match child.state {
                StepState::Approved => tally.approvals += 1,
                StepState::Skipped(_) => {}
                StepState::Rejected(_) | StepState::Expired | StepState::Cancelled => {
                    tally.rejections += 1;
                    required_failed |= child.spec.required;
                    expired |= child.state == StepState::Expired;
                    rejected |= child.state != StepState::Expired;
                }
                _ => {
                    tally.open += 1;
                    required_open |= child.spec.required;
                }
            }
        }
        let failed = if expired && !rejected {
            Ending::Expired
        } else {
            Ending::Rejected(String::new())
        };
        if tally.seats() == 0 {
            return self.end(parent, Ending::Skipped("EMPTY".to_owned()));
        }
        match spec.quorum.judge(tally) {
            _ if required_failed => self.end(parent, failed),
            Some(Verdict::Approved) if !required_open => {
                self.close_children(parent, &Ending::Skipped("THRESHOLD_MET".to_owned()));
                self.end(parent, Ending::Approved);
            }
            Some(Verdict::Rejected | Verdict::NoVoters) => self.end(parent, failed),
            _ => {}
        }
    }

    /// Ends everything open below a step, without looking upwards.
    fn close_children(&mut self, parent: usize, ending: &Ending) {
        let open: Vec<usize> = self
            .state
            .children(parent)
            .filter(|child| {
                self.state
                    .steps
                    .get(*child)
                    .is_some_and(|step| !step.state.has_ended())
            })
            .collect();
        for child in open {
            self.emit(Event::StepEnded {
                step: child,
                ending: ending.clone(),
                at: self.now,
            });
            self.close_children(child, ending);
        }
    }

    pub(super) fn close_open_steps(&mut self, ending: &Ending) {
        let open: Vec<usize> = (0..self.state.steps.len())
            .filter(|index| {
                self.state
                    .steps
                    .get(*index)
                    .is_some_and(|step| !step.state.has_ended())
            })
            .collect();
        for step in open {
            self.emit(Event::StepEnded {
                step,
                ending: ending.clone(),
                at: self.now,
            });
        }
    }
}
