use std::sync::Arc;

use crate::event::{Ending, Event};
use crate::person::Identity;
use crate::state::{ApprovalState, Seat, State, Step, StepState};

/// Folds one event into the state. Total: an event that does not fit changes nothing.
pub fn evolve(mut state: State, event: &Event) -> State {
    apply(&mut state, event);
    state
}

/// The state after a whole log.
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    let mut state = State::default();
    for event in events {
        apply(&mut state, event);
    }
    state
}

fn seat(holder: &Identity) -> Seat {
    Seat {
        holder: holder.clone(),
        vote: None,
        reminded: 0,
        vacant: false,
    }
}

pub(crate) fn apply(state: &mut State, event: &Event) {
    match event {
        Event::Opened { opening, at } => {
            *state = State {
                state: ApprovalState::Open,
                epoch: 1,
                opened_at: *at,
                deadline: opening.deadline,
                ended_at: None,
                dig: opening.dig.as_str().into(),
                steps: opening
                    .steps
                    .iter()
                    .map(|frozen| fresh(Arc::clone(frozen)))
                    .collect(),
                opening: Some(Arc::new((**opening).clone())),
            };
        }
        Event::Ended { state: end, at } => {
            state.state = *end;
            state.ended_at = Some(*at);
        }
        Event::Reset { epoch, at, .. } => reset(state, *epoch, *at),
        Event::Activated { step, .. }
        | Event::Held { step, .. }
        | Event::Voted { step, .. }
        | Event::Moderating { step, .. }
        | Event::Escalated { step, .. }
        | Event::Reminded { step, .. }
        | Event::Vacated { step, .. }
        | Event::StepEnded { step, .. } => {
            if let Some(step) = state.steps.get_mut(*step) {
                apply_to_step(step, event);
            }
        }
    }
}

fn fresh(spec: Arc<crate::definition::Spec>) -> Step {
    Step {
        spec,
        state: StepState::Waiting,
        activation: 0,
        active_since: heimdall_types::Timestamp::default(),
        deadline: None,
        seats: Vec::new(),
        escalated: false,
        ended_at: None,
    }
}

fn reset(state: &mut State, epoch: u32, at: heimdall_types::Timestamp) {
    let whole = state.deadline.map(|end| end.since(state.opened_at));
    state.state = ApprovalState::Open;
    state.epoch = epoch;
    state.ended_at = None;
    state.opened_at = at;
    state.deadline = whole.map(|length| at.plus(length));
    for step in &mut state.steps {
        // Activations keep counting, so that a link of an earlier epoch never fits a later one.
        *step = Step {
            activation: step.activation,
            ..fresh(Arc::clone(&step.spec))
        };
    }
}

fn apply_to_step(step: &mut Step, event: &Event) {
    match event {
        Event::Activated {
            activation,
            at,
            deadline,
            seats,
            ..
        } => {
            step.state = StepState::Active;
            step.activation = *activation;
            step.active_since = *at;
            step.deadline = *deadline;
            step.seats = seats.iter().map(seat).collect();
            step.ended_at = None;
        }
        Event::Held { reason, .. } => step.state = StepState::Held(reason.clone()),
        Event::Voted { seat, vote, .. } => {
            if let Some(seat) = step.seats.get_mut(*seat) {
                seat.vote = Some(Arc::new((**vote).clone()));
            }
        }
        Event::Moderating {
            seat: moderator, ..
        } => {
            step.state = StepState::Moderating;
            step.deadline = None;
            step.seats.push(seat(moderator));
        }
        Event::Escalated {
            seats, deadline, ..
        } => {
            step.escalated = true;
            step.deadline = *deadline;
            step.seats.extend(seats.iter().map(seat));
        }
        Event::Reminded { seat, .. } => {
            if let Some(seat) = step.seats.get_mut(*seat) {
                seat.reminded += 1;
            }
        }
        Event::Vacated { seat, .. } => {
            if let Some(seat) = step.seats.get_mut(*seat) {
                seat.vacant = true;
            }
        }
        Event::StepEnded { ending, at, .. } => {
            step.ended_at = Some(*at);
            step.deadline = None;
            step.state = match ending {
                Ending::Approved => StepState::Approved,
                Ending::Rejected(reason) => StepState::Rejected(reason.clone()),
                Ending::Expired => StepState::Expired,
                Ending::Skipped(reason) => StepState::Skipped(reason.clone()),
                Ending::Cancelled => StepState::Cancelled,
            };
        }
        Event::Opened { .. } | Event::Ended { .. } | Event::Reset { .. } => {}
    }
}
