//! What an approval without a portal request leaves behind: audit rows, feed events, notices to its people.

use std::collections::BTreeSet;

use heimdall_types::{
    Actor, AppId, ApprovalId, AuditEntry, EventId, FeedEvent, Journal, Notice, NoticeId, Rng,
    Timestamp,
};
use serde_json::{Value, json};

use crate::event::Event;
use crate::state::State;

/// Where and by whom something was done.
pub(crate) struct Chronicle<'a> {
    pub(crate) app: &'a AppId,
    pub(crate) approval: &'a ApprovalId,
    pub(crate) actor: Actor,
    pub(crate) now: Timestamp,
    pub(crate) rng: &'a dyn Rng,
}

impl Chronicle<'_> {
    /// The journal of these events, which made `state`.
    pub(crate) fn of(&self, events: &[Event], state: &State) -> Journal {
        let mut journal = Journal::default();
        let mut told: BTreeSet<(&str, usize, String)> = BTreeSet::new();
        for event in events {
            self.note(&mut journal, event, state);
            let mut tell =
                |kind, step: usize, seats: &mut dyn Iterator<Item = &crate::Identity>| {
                    told.extend(
                        seats.filter_map(|seat| Some((kind, step, seat.address()?.to_owned()))),
                    );
                };
            match event {
                Event::Activated { step, seats, .. } => {
                    tell("approval-requested", *step, &mut seats.iter())
                }
                Event::Escalated { step, seats, .. } => tell("escalated", *step, &mut seats.iter()),
                Event::Moderating { step, seat, .. } => {
                    tell("approval-requested", *step, &mut std::iter::once(seat))
                }
                Event::Reminded { step, seat, .. } => {
                    let seat = state
                        .steps
                        .get(*step)
                        .and_then(|step| step.seats.get(*seat));
                    tell(
                        "reminder",
                        *step,
                        &mut seat.map(|seat| &seat.holder).into_iter(),
                    );
                }
                _ => {}
            }
        }
        for (kind, index, address) in told {
            if let Some(step) = state.steps.get(index) {
                let data = json!({
                    "approval_id": self.approval, "step_id": step.spec.id, "activation": step.activation,
                    "epoch": state.epoch, "link": step.spec.kind.has_seats(),
                });
                self.notice(&mut journal, kind, address, data);
            }
        }
        journal
    }

    fn note(&self, journal: &mut Journal, event: &Event, state: &State) {
        let step_id = |index: usize| {
            state
                .steps
                .get(index)
                .map(|step| step.spec.id.to_string())
                .unwrap_or_default()
        };
        let (action, target, data) = match event {
            Event::Opened { opening, .. } => (
                "approval.requested",
                self.approval.to_string(),
                json!({ "title": opening.title, "dig": opening.dig }),
            ),
            Event::Voted { step, vote, .. } => (
                "approval.vote_cast",
                step_id(*step),
                json!({ "step_id": step_id(*step), "action": vote.action, "channel": vote.channel, "link": vote.link, "dig": vote.dig }),
            ),
            Event::StepEnded { step, ending, .. } => (
                "approval.step_resolved",
                step_id(*step),
                json!({ "step_id": step_id(*step), "state": ending }),
            ),
            Event::Ended { state, .. } => (
                "approval.resolved",
                self.approval.to_string(),
                json!({ "state": state.as_str() }),
            ),
            Event::Reset { epoch, .. } => (
                "approval.reset",
                self.approval.to_string(),
                json!({ "epoch": epoch }),
            ),
            Event::Held { step, reason, .. } => (
                "approval.step_held",
                step_id(*step),
                json!({ "step_id": step_id(*step), "reason": reason }),
            ),
            Event::Activated {
                step, activation, ..
            } => (
                "approval.step_activated",
                step_id(*step),
                json!({ "step_id": step_id(*step), "activation": activation }),
            ),
            Event::Escalated { step, .. } => (
                "approval.step_escalated",
                step_id(*step),
                json!({ "step_id": step_id(*step) }),
            ),
            Event::Moderating { step, .. } => (
                "approval.poll_closed",
                step_id(*step),
                json!({ "step_id": step_id(*step) }),
            ),
            Event::Reminded { step, seat, .. } => (
                "approval.reminded",
                step_id(*step),
                json!({ "step_id": step_id(*step), "seat": seat }),
            ),
            Event::Vacated { step, seat, .. } => (
                "approval.seat_vacated",
                step_id(*step),
                json!({ "step_id": step_id(*step), "seat": seat }),
            ),
        };
        self.audit(journal, action, target, data.clone());
        let public = matches!(
            event,
            Event::Opened { .. }
                | Event::Voted { .. }
                | Event::StepEnded { .. }
                | Event::Ended { .. }
        );
        if let (true, Value::Object(mut members)) = (public, data) {
            members.insert("app_id".to_owned(), json!(self.app));
            members.insert("approval_id".to_owned(), json!(self.approval));
            self.event(journal, action, Value::Object(members));
        }
    }

    fn audit(&self, journal: &mut Journal, action: &str, target: String, data: Value) {
        let data = match data {
            Value::Object(mut members) => {
                members.insert("approval_id".to_owned(), json!(self.approval));
                Value::Object(members)
            }
            other => other,
        };
        journal.audit.push(AuditEntry {
            app_id: Some(self.app.clone()),
            at: self.now,
            actor: self.actor.clone(),
            action: action.to_owned(),
            target,
            data,
        });
    }

    fn event(&self, journal: &mut Journal, kind: &str, data: Value) {
        journal.events.push(FeedEvent {
            id: EventId::generate(self.now, self.rng),
            app_id: self.app.clone(),
            at: self.now,
            kind: kind.to_owned(),
            data,
        });
    }

    fn notice(&self, journal: &mut Journal, kind: &str, recipient: String, data: Value) {
        journal.notices.push(Notice {
            id: NoticeId::generate(self.now, self.rng),
            app_id: Some(self.app.clone()),
            kind: kind.to_owned(),
            recipient,
            data,
            due: self.now,
        });
    }
}
