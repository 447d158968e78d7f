//! Who may vote on what, and how a vote is recorded.

use heimdall_types::Timestamp;

use super::Draft;
use crate::command::{Action, Ballot, Delegation};
use crate::definition::{CommentRule, StepKind, Verb};
use crate::event::Event;
use crate::person::{Identity, Person};
use crate::refusal::Refusal;
use crate::state::{Step, StepState, Vote};

/// Longest comment, in Unicode scalar values after trimming.
const MAX_COMMENT: usize = 1000;

/// A seat that somebody may use, and for whom when it is not their own.
struct Right {
    seat: usize,
    on_behalf: Option<Identity>,
}

impl Draft<'_> {
    pub(super) fn vote(
        &mut self,
        actor: &Person,
        step: Option<usize>,
        ballot: &Ballot,
    ) -> Result<(), Refusal> {
        if let Some(step) = step {
            return self.vote_on(step, actor, ballot);
        }
        let active: Vec<usize> = self.state.active().map(|(index, _)| index).collect();
        if active.is_empty() {
            self.recorded(actor)?;
            return self.must_be_open().and(Err(Refusal::NotActive));
        }
        let (mut counted, mut refusal) = (false, None);
        for index in active {
            // An earlier vote of this loop may have ended the step, or all of them.
            let live = self
                .state
                .steps
                .get(index)
                .is_some_and(|step| !step.state.has_ended());
            if !live {
                continue;
            }
            match self.vote_on(index, actor, ballot) {
                Ok(()) => counted = true,
                Err(why) => refusal = worse(refusal, why),
            }
        }
        match refusal {
            Some(why) if !counted => {
                if why == Refusal::NotEligible {
                    self.recorded(actor)?;
                }
                Err(why)
            }
            _ => Ok(()),
        }
    }

    /// Refuses with the vote this person cast already in this epoch, if there is one.
    fn recorded(&self, actor: &Person) -> Result<(), Refusal> {
        let cast = self
            .state
            .votes()
            .filter(|(_, _, vote)| vote.actor.same_as(actor))
            .last();
        cast.map_or(Ok(()), |(_, _, vote)| {
            Err(Refusal::AlreadyVoted(vote.action))
        })
    }

    fn vote_on(&mut self, index: usize, actor: &Person, ballot: &Ballot) -> Result<(), Refusal> {
        let step = self.state.steps.get(index).ok_or(Refusal::UnknownStep)?;
        if ballot
            .round
            .is_some_and(|round| round != (self.state.epoch, step.activation))
        {
            return Err(Refusal::Stale);
        }
        if let Some(vote) = step
            .vote_of(actor)
            .filter(|_| step.state != StepState::Moderating)
        {
            return Err(Refusal::AlreadyVoted(vote.action));
        }
        self.must_be_open()?;
        if !matches!(step.state, StepState::Active | StepState::Moderating)
            || step.spec.kind.is_container()
        {
            return Err(Refusal::NotActive);
        }
        let right = self.right(step, actor)?;
        let comment = check_action(step, ballot, &self.state.dig)?;
        let vote = Vote {
            actor: actor.clone(),
            on_behalf: right.on_behalf,
            action: ballot.action,
            comment,
            options: ballot.options.clone(),
            signature: ballot.signature.clone(),
            channel: ballot.channel,
            level: ballot.level,
            link: ballot.link.clone(),
            dig: self.state.dig.clone(),
            at: self.now,
        };
        self.emit(Event::Voted {
            step: index,
            seat: right.seat,
            vote: Box::new(vote),
        });
        self.judge(index);
        Ok(())
    }

    fn right(&self, step: &Step, actor: &Person) -> Result<Right, Refusal> {
        let requester = self
            .state
            .requester()
            .is_some_and(|requester| requester.same_as(actor));
        if requester && !step.spec.requester_may_vote {
            return Err(Refusal::FourEyes);
        }
        // Only the moderator has a word once the poll is closed, and the moderator's seat is the last.
        let first = if step.state == StepState::Moderating {
            step.seats.len().saturating_sub(1)
        } else {
            0
        };
        let seats = || {
            step.seats
                .iter()
                .enumerate()
                .skip(first)
                .filter(|(_, seat)| !seat.vacant)
        };
        let mut taken = false;
        for (index, seat) in seats().filter(|(_, seat)| actor.is(&seat.holder)) {
            if seat.vote.is_none() {
                return Ok(Right {
                    seat: index,
                    on_behalf: None,
                });
            }
            taken = true;
        }
        for (index, seat) in seats() {
            let stands_in = self.facts.delegations.iter().any(|delegation| {
                delegation.from == seat.holder
                    && actor.is(&delegation.to)
                    && self.holds(delegation, self.now)
            });
            if stands_in && seat.vote.is_none() {
                return Ok(Right {
                    seat: index,
                    on_behalf: Some(seat.holder.clone()),
                });
            }
            taken |= stands_in;
        }
        Err(if taken {
            Refusal::SeatTaken
        } else {
            Refusal::NotEligible
        })
    }

    fn holds(&self, delegation: &Delegation, now: Timestamp) -> bool {
        let scope = delegation.scope.as_deref();
        let fits = |opening: &crate::command::Opening| {
            scope.is_none_or(|scope| opening.title == scope || opening.id.as_str() == scope)
        };
        let in_scope = self.state.opening.as_deref().is_some_and(fits);
        in_scope && delegation.starts_at <= now && now < delegation.ends_at
    }
}

// Of several refusals the person hears the one that tells most about them.
fn worse(known: Option<Refusal>, new: Refusal) -> Option<Refusal> {
    let rank = |refusal: &Refusal| match refusal {
        Refusal::NotEligible => 0,
        Refusal::SeatTaken => 1,
        Refusal::AlreadyVoted(_) => 2,
        _ => 3,
    };
    match known {
        Some(known) if rank(&known) >= rank(&new) => Some(known),
        _ => Some(new),
    }
}

fn check_action(step: &Step, ballot: &Ballot, dig: &str) -> Result<Option<String>, Refusal> {
    let spec = &step.spec;
    let moderating = step.state == StepState::Moderating;
    let fits = match ballot.action {
        Action::Vote => spec.kind == StepKind::Vote && !moderating,
        Action::Approve => {
            spec.verb == Verb::Approval && (spec.kind != StepKind::Vote || moderating)
        }
        Action::Consent => {
            spec.verb == Verb::Consent && (spec.kind != StepKind::Vote || moderating)
        }
        Action::Reject => spec.kind != StepKind::Vote || moderating,
        Action::Abstain => spec.may_abstain && !moderating,
    };
    if !fits {
        return Err(Refusal::WrongAction);
    }
    if ballot.action == Action::Vote {
        let known = ballot
            .options
            .iter()
            .all(|option| (*option as usize) < spec.options.len());
        if ballot.options.is_empty() || !known {
            return Err(Refusal::BadOptions);
        }
    }
    // A signature of something else is none.
    let signed = ballot.signature.as_ref().and_then(|given| given.get("dig"));
    if spec.signature && ballot.action.is_yes() && signed.is_none_or(|signed| signed != dig) {
        return Err(Refusal::SignatureRequired);
    }
    let rule = match ballot.action {
        Action::Approve | Action::Consent => spec.comment.approve,
        Action::Reject => spec.comment.reject,
        Action::Abstain | Action::Vote => CommentRule::Optional,
    };
    check_comment(rule, ballot.comment.as_deref())
}

fn check_comment(rule: CommentRule, comment: Option<&str>) -> Result<Option<String>, Refusal> {
    let comment = comment.map(str::trim).filter(|text| !text.is_empty());
    match (rule, comment) {
        (CommentRule::Required, None) => Err(Refusal::CommentRequired),
        (CommentRule::Off, Some(_)) => Err(Refusal::CommentRefused),
        (_, Some(text)) if text.chars().count() > MAX_COMMENT => Err(Refusal::CommentRefused),
        (_, comment) => Ok(comment.map(str::to_owned)),
    }
}
