//! The decisions: which events a command causes.

mod timers;
mod tree;
mod voting;

use heimdall_types::Timestamp;

use crate::command::{Command, Facts, Intent};
use crate::event::{Ending, Event};
use crate::evolve::apply;
use crate::person::{Identity, Person};
use crate::refusal::Refusal;
use crate::state::{ApprovalState, State, StepState};

pub use timers::next_due;

/// Decides what a command causes at `now`. Timers that are due are applied first, so that nothing counts at or after
/// a deadline however late anybody looked at the clock.
///
/// # Errors
/// A [`Refusal`]: nothing happens, not even the timers.
pub fn decide(state: &State, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    let mut draft = Draft {
        state: state.clone(),
        events: Vec::new(),
        facts: &command.facts,
        now,
    };
    draft.timers();
    match &command.intent {
        Intent::Open(opening) => {
            if state.opening.is_some() || opening.steps.is_empty() {
                return Err(Refusal::NotOpen);
            }
            draft.emit(Event::Opened {
                opening: opening.clone(),
                at: now,
            });
            draft.activate(0);
        }
        Intent::Vote { step, ballot } => draft.vote(&command.actor, *step, ballot)?,
        Intent::Cancel => {
            draft.must_be_open()?;
            draft.close_open_steps(&Ending::Cancelled);
            draft.emit(Event::Ended {
                state: ApprovalState::Cancelled,
                at: now,
            });
        }
        Intent::Reset => draft.reset(&command.actor)?,
        Intent::Answer { step, pass } => draft.answer(*step, *pass)?,
        Intent::Leave(identity) => draft.leave(identity),
        Intent::Tick => {}
    }
    Ok(draft.events)
}

/// The state as it will be, and the events that make it so.
struct Draft<'a> {
    state: State,
    events: Vec<Event>,
    facts: &'a Facts,
    now: Timestamp,
}

impl Draft<'_> {
    fn emit(&mut self, event: Event) {
        apply(&mut self.state, &event);
        self.events.push(event);
    }

    fn must_be_open(&self) -> Result<(), Refusal> {
        match self.state.state {
            ApprovalState::Open => Ok(()),
            ApprovalState::New => Err(Refusal::NotOpen),
            closed => Err(Refusal::Closed(closed)),
        }
    }

    fn reset(&mut self, by: &Person) -> Result<(), Refusal> {
        if self.state.opening.is_none() {
            return Err(Refusal::NotOpen);
        }
        self.emit(Event::Reset {
            epoch: self.state.epoch + 1,
            by: by.clone(),
            at: self.now,
        });
        self.activate(0);
        Ok(())
    }

    fn answer(&mut self, step: usize, pass: bool) -> Result<(), Refusal> {
        self.must_be_open()?;
        let found = self.state.steps.get(step).ok_or(Refusal::UnknownStep)?;
        let held = matches!(found.state, StepState::Held(_));
        let hook = found.state == StepState::Active
            && !found.spec.kind.has_seats()
            && !found.spec.kind.is_container();
        match (held, hook, pass) {
            // What was held is let in or skipped over; whether it passes is still for its people to say.
            (true, _, true) => self.begin(step),
            (true, _, false) => self.end(step, Ending::Skipped("CONDITION".to_owned())),
            (_, true, true) => self.end(step, Ending::Approved),
            (_, true, false) => self.end(step, Ending::Rejected("HOOK".to_owned())),
            _ => return Err(Refusal::NotActive),
        }
        Ok(())
    }

    fn leave(&mut self, identity: &Identity) {
        if !self.state.is_open() {
            return;
        }
        let seats: Vec<(usize, usize)> = self
            .state
            .active()
            .flat_map(|(index, step)| {
                let theirs = step.seats.iter().enumerate().filter(|(_, seat)| {
                    seat.holder == *identity && seat.vote.is_none() && !seat.vacant
                });
                theirs
                    .map(move |(seat, _)| (index, seat))
                    .collect::<Vec<_>>()
            })
            .collect();
        for (step, seat) in seats {
            self.emit(Event::Vacated {
                step,
                seat,
                at: self.now,
            });
            self.judge(step);
        }
    }
}
