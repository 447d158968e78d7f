//! Approvals as JSON.

use heimdall_types::{AppId, ApprovalId, Timestamp};
use serde_json::{Value, json};

use super::Workflows;
use super::links::{actions, waiting};
use crate::error::ApprovalError;
use crate::event::Event;
use crate::state::{State, Step, StepState};

fn reason(state: &StepState) -> Option<&str> {
    match state {
        StepState::Held(reason) | StepState::Rejected(reason) | StepState::Skipped(reason)
            if !reason.is_empty() =>
        {
            Some(reason)
        }
        _ => None,
    }
}

fn step_view(state: &State, step: &Step) -> Value {
    let votes: Vec<Value> = step
        .votes()
        .map(|(seat, vote)| {
            json!({
                "approver": seat.holder, "actor": vote.actor.identities.first(), "name": vote.actor.name, "on_behalf": vote.on_behalf,
                "action": vote.action, "comment": vote.comment, "options": vote.options, "signature": vote.signature,
                "channel": vote.channel, "level": vote.level, "link": vote.link, "dig": vote.dig, "at": vote.at.to_rfc3339(),
            })
        })
        .collect();
    let active = matches!(step.state, StepState::Active | StepState::Moderating)
        && !step.spec.kind.is_container();
    json!({
        "id": step.spec.id,
        "parent": step.spec.parent.and_then(|parent| state.steps.get(parent)).map(|parent| &parent.spec.id),
        "name": step.spec.name, "type": step.spec.kind, "verb": step.spec.verb, "state": step.state.as_str(),
        "reason": reason(&step.state), "activation": step.activation, "required": step.spec.required,
        "pass": step.spec.quorum.pass, "fail": step.spec.quorum.fail, "options": step.spec.options,
        "deadline": step.deadline.map(Timestamp::to_rfc3339), "ended_at": step.ended_at.map(Timestamp::to_rfc3339),
        "actions": if active { actions(step) } else { Vec::new() },
        "waiting_for": waiting(step).filter(|_| active).map(|seat| &seat.holder).collect::<Vec<_>>(),
        "votes": votes,
    })
}

/// An approval as JSON: its members are those that the API promises.
pub fn view(id: &ApprovalId, state: &State) -> Value {
    let opening = state.opening.as_deref();
    json!({
        "id": id, "state": state.state, "epoch": state.epoch,
        "title": opening.map(|opening| &opening.title),
        "requester": opening.and_then(|opening| opening.requester.address()),
        "external_url": opening.and_then(|opening| opening.external_url.as_ref()),
        "data": opening.map(|opening| &opening.data), "definition": opening.and_then(|opening| opening.definition.as_ref()),
        "dig": state.dig, "created_at": state.opened_at.to_rfc3339(), "ended_at": state.ended_at.map(Timestamp::to_rfc3339),
        "steps": state.steps.iter().map(|step| step_view(state, step)).collect::<Vec<_>>(),
    })
}

/// One event of an approval's history as JSON; steps by their ids.
pub(super) fn entry(event: &Event, state: &State) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.remove("opening");
        members.insert("at".to_owned(), json!(event.at().to_rfc3339()));
        let step = members
            .get("step")
            .and_then(Value::as_u64)
            .and_then(|index| state.steps.get(usize::try_from(index).ok()?));
        if let Some(step) = step {
            members.insert("step".to_owned(), json!(step.spec.id));
        }
        if let Some(vote) = members.get_mut("vote").and_then(Value::as_object_mut)
            && let Some(at) = vote.get("at").and_then(Value::as_i64)
        {
            vote.insert(
                "at".to_owned(),
                json!(Timestamp::from_millis(at).to_rfc3339()),
            );
        }
        if let Some(deadline) = members.get("deadline").and_then(Value::as_i64) {
            members.insert(
                "deadline".to_owned(),
                json!(Timestamp::from_millis(deadline).to_rfc3339()),
            );
        }
    }
    value
}

impl Workflows {
    /// One approval with its history and the states of its links.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn view(&self, app: &AppId, id: &ApprovalId) -> Result<Value, ApprovalError> {
        let stored = self.approval(app, id).await?;
        let mut shown = view(id, &stored.state);
        let history = self.history(app, id, &stored.state).await?;
        if let Some(members) = shown.as_object_mut() {
            members.insert("history".to_owned(), Value::Array(history));
        }
        Ok(shown)
    }

    /// Everything that happened to an approval, in order; each entry's place is its position, from 1.
    ///
    /// # Errors
    /// Storage.
    pub async fn history(
        &self,
        app: &AppId,
        id: &ApprovalId,
        state: &State,
    ) -> Result<Vec<Value>, ApprovalError> {
        Ok(self
            .archive
            .log(app, id)
            .await?
            .iter()
            .map(|event| entry(event, state))
            .collect())
    }
}
