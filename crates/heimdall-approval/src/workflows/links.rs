//! Signed action links: giving them out, judging one that is opened, and doing what it says.

use std::time::Duration;

use heimdall_token::crypto;
use heimdall_token::link::{ActionLink, LegacyLink, LegacyNames, LinkAction};
use heimdall_types::{AppId, ApprovalId, Fault, LinkId, Notice, StepId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Workflows;
use crate::accounts::Visitor;
use crate::archive::{Record, RecordKind};
use crate::command::{Action, Ballot, Channel, Level};
use crate::decide::decide;
use crate::definition::{CommentRule, Confirmation, Spec, StepKind, Verb};
use crate::error::ApprovalError;
use crate::event::Event;
use crate::person::{Identity, Person};
use crate::ports::Stored;
use crate::refusal::Refusal;
use crate::state::{ApprovalState, Seat, State, Step, StepState, Vote};

/// The longest life of a link in a mail, and the usual one.
const MAIL_AT_MOST: Duration = Duration::from_secs(7 * 86_400);
/// A link waits so long for its reader to log in.
const PARKED: Duration = Duration::from_secs(15 * 60);
const MAIL_DEFAULT: Duration = Duration::from_secs(86_400);
/// So many codes may be typed for a seat.
const CODE_TRIES: u64 = 5;
/// A used one-time value is remembered for longer than any page of it can be used.
const NONCE_KEPT: Duration = Duration::from_secs(86_400);

/// A link as the API gives it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkEntry {
    /// The step.
    pub step_id: StepId,
    /// What it does.
    pub action: Action,
    /// Its address.
    pub url: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// What is kept of a link that the API gave out; never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredLink {
    pub(crate) approval_id: ApprovalId,
    pub(crate) step_id: StepId,
    pub(crate) action: Action,
    pub(crate) expires_at: Timestamp,
    #[serde(default)]
    pub(crate) revoked_at: Option<Timestamp>,
}

/// What a link still needs before it can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A comment of 1 to 1000 characters.
    Comment,
    /// A choice among the options.
    Choice,
    /// A signature.
    Signature,
}

/// A link that can be followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// What the token says.
    pub link: ActionLink,
    /// The App.
    pub app_id: AppId,
    /// The approval.
    pub approval: ApprovalId,
    /// Title of the approval.
    pub title: String,
    /// Name of the step.
    pub step: String,
    /// The host's page about it.
    pub external_url: Option<String>,
    /// The options of a poll.
    pub options: Vec<String>,
    /// What is still needed.
    pub need: Need,
    /// Who would vote.
    pub person: Person,
    /// How a mail's link is confirmed, where the step says so.
    pub confirm: Option<Confirmation>,
}

/// What a code from the mail was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeVerdict {
    /// It is the one.
    Right,
    /// It is not; so many tries are left.
    Wrong(u32),
    /// Too many wrong ones: the seat's links decide nothing any more.
    Spent,
}

/// Somebody's answer to a link, as the page brought it.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// Why.
    pub comment: Option<String>,
    /// Indices of the chosen options.
    pub options: Vec<u32>,
    /// The signature.
    pub signature: Option<Value>,
    /// The one-time value of the page: it decides once.
    pub nonce: Option<String>,
}

/// What a link that was opened is worth, in the order in which the cases are judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// No link of ours: one page for every reason.
    Invalid,
    /// Used by the same person already: what they said, and when.
    Recorded {
        /// What.
        action: Action,
        /// When.
        at: Timestamp,
    },
    /// Used already, by somebody else than who is logged in.
    NotYours,
    /// Its time is over.
    Expired,
    /// Taken back.
    Revoked,
    /// Of an earlier activation or epoch.
    Stale,
    /// The step is `decided`, `waiting`, `skipped` or `closed`.
    NotActive(&'static str),
    /// Somebody must log in first.
    Login,
    /// Whoever is logged in may not.
    NotEligible,
    /// Whoever is logged in is known by no provider.
    NotLinked,
    /// It can be followed.
    Ready(Box<Ready>),
}

fn action_of(action: LinkAction) -> Option<Action> {
    match action {
        LinkAction::Approve => Some(Action::Approve),
        LinkAction::Consent => Some(Action::Consent),
        LinkAction::Reject => Some(Action::Reject),
        LinkAction::Abstain => Some(Action::Abstain),
        LinkAction::Vote => Some(Action::Vote),
        _ => None,
    }
}

fn link_action(action: Action) -> LinkAction {
    match action {
        Action::Approve => LinkAction::Approve,
        Action::Consent => LinkAction::Consent,
        Action::Reject => LinkAction::Reject,
        Action::Abstain => LinkAction::Abstain,
        Action::Vote => LinkAction::Vote,
    }
}

/// What may be said about an active step.
/// What somebody with an open seat of this active step may do.
pub fn actions(step: &Step) -> Vec<Action> {
    let spec: &Spec = &step.spec;
    let poll = spec.kind == StepKind::Vote && step.state == StepState::Active;
    let yes = if spec.verb == Verb::Consent {
        Action::Consent
    } else {
        Action::Approve
    };
    let mut actions = if poll {
        vec![Action::Vote]
    } else {
        vec![yes, Action::Reject]
    };
    if spec.may_abstain && !poll && step.state == StepState::Active {
        actions.push(Action::Abstain);
    }
    actions
}

fn need(spec: &Spec, action: Action) -> Need {
    let rule = match action {
        Action::Approve | Action::Consent => spec.comment.approve,
        Action::Reject => spec.comment.reject,
        Action::Abstain | Action::Vote => CommentRule::Optional,
    };
    match action {
        Action::Vote => Need::Choice,
        action if action.is_yes() && spec.signature => Need::Signature,
        _ if rule == CommentRule::Required => Need::Comment,
        _ => Need::Nothing,
    }
}

impl Workflows {
    /// Links of the active steps of an approval, or of one step.
    ///
    /// # Errors
    /// `NotFound`; `Refused(NotActive)` for a step that is not active; `Invalid` for a life outside 1 to 24 hours.
    pub async fn links(
        &self,
        app: &AppId,
        id: &ApprovalId,
        step: Option<&str>,
        ttl_hours: i64,
    ) -> Result<Vec<LinkEntry>, ApprovalError> {
        if !(1..=24).contains(&ttl_hours) {
            return Err(ApprovalError::invalid("ttlHours", "must be 1 to 24"));
        }
        let stored = self.approval(app, id).await?;
        let only = step
            .map(|step| stored.state.step_of(step).ok_or(ApprovalError::NotFound))
            .transpose()?;
        let active: Vec<(usize, &Step)> = stored
            .state
            .active()
            .filter(|(index, step)| {
                only.is_none_or(|only| only == *index) && !step.seats.is_empty()
            })
            .collect();
        if only.is_some() && active.is_empty() {
            return Err(Refusal::NotActive.into());
        }
        let now = self.clock.now();
        let expires_at = Timestamp::from_seconds(now.seconds()).plus(Duration::from_secs(
            u64::try_from(ttl_hours).unwrap_or(1) * 3600,
        ));
        let (mut entries, mut records) = (Vec::new(), Vec::new());
        for (_, step) in active {
            for action in actions(step) {
                let jti = LinkId::generate(now, self.rng.as_ref());
                let link = self.link_of(
                    id,
                    &stored.state,
                    step,
                    action,
                    jti.to_string(),
                    expires_at,
                    None,
                );
                let url = self.portals.action_link(app, link).await?;
                let kept = StoredLink {
                    approval_id: id.clone(),
                    step_id: step.spec.id.clone(),
                    action,
                    expires_at,
                    revoked_at: None,
                };
                records.push(Record::new(app, RecordKind::Link, jti.as_str(), &kept)?);
                entries.push(LinkEntry {
                    step_id: step.spec.id.clone(),
                    action,
                    url,
                    expires_at: expires_at.to_rfc3339(),
                });
            }
        }
        if !records.is_empty() {
            let actor = heimdall_types::Actor::System;
            let journal = self.audit(
                app,
                &actor,
                "approval.links_issued",
                id.as_str(),
                json!({ "count": records.len(), "ttl_hours": ttl_hours }),
            );
            self.put(records, journal).await?;
        }
        Ok(entries)
    }

    #[expect(clippy::too_many_arguments, reason = "a link is made of all of these")]
    fn link_of(
        &self,
        id: &ApprovalId,
        state: &State,
        step: &Step,
        action: Action,
        jti: String,
        expires_at: Timestamp,
        sub: Option<String>,
    ) -> ActionLink {
        ActionLink {
            iss: String::new(),
            aud: String::new(),
            jti,
            iat: self.clock.now().seconds(),
            exp: expires_at.seconds(),
            host_id: String::new(),
            approval_id: id.to_string(),
            step_id: step.spec.id.to_string(),
            act_no: step.activation,
            epoch: state.epoch,
            action: link_action(action),
            login_required: sub.is_none(),
            dig: state.dig.to_string(),
            sub,
        }
    }

    /// What a notice about an approval of ours becomes as a mail: its context, with links minted now under ids that
    /// follow from the notice. `None` when there is nothing to tell any more.
    ///
    /// # Errors
    /// Storage.
    pub async fn particulars(&self, notice: &Notice) -> Result<Option<Value>, Fault> {
        let text = |name: &str| notice.data.get(name).and_then(Value::as_str);
        let number = |name: &str| notice.data.get(name).and_then(Value::as_u64);
        let (Some(app), Some(Ok(id)), Some(step_id)) = (
            &notice.app_id,
            text("approval_id").map(str::parse::<ApprovalId>),
            text("step_id"),
        ) else {
            return Ok(None);
        };
        let Some(stored) = self.store.approval(app, &id).await? else {
            return Ok(None);
        };
        let state = &stored.state;
        let (Some(step), Some(opening)) = (
            state
                .step_of(step_id)
                .and_then(|index| state.steps.get(index)),
            state.opening.as_deref(),
        ) else {
            return Ok(None);
        };
        let of_now = number("activation") == Some(u64::from(step.activation))
            && number("epoch") == Some(u64::from(state.epoch));
        let seat = step
            .seats
            .iter()
            .find(|seat| seat.holder.address() == Some(&notice.recipient));
        let asks = notice
            .data
            .get("link")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if asks
            && (!of_now
                || !matches!(step.state, StepState::Active | StepState::Moderating)
                || seat.is_none_or(|seat| seat.vote.is_some() || seat.vacant))
        {
            return Ok(None);
        }
        let (mut links, mut code) = (Vec::new(), None);
        if let Some(seat) = seat.filter(|_| asks) {
            let now = self.clock.now();
            if self.confirm_of(&step.spec) == Confirmation::Challenge {
                let sub = seat.holder.opaque(app.as_str());
                code = Some(self.code(&id, step_id, (state.epoch, step.activation), &sub));
            }
            let until = step
                .deadline
                .unwrap_or(now.plus(MAIL_DEFAULT))
                .min(now.plus(MAIL_AT_MOST));
            for action in actions(step) {
                let jti = format!("{}.{}", notice.id, action.as_str());
                let link = self.link_of(
                    &id,
                    state,
                    step,
                    action,
                    jti,
                    until,
                    Some(seat.holder.opaque(app.as_str())),
                );
                match self.portals.action_link(app, link).await {
                    Ok(url) => links.push(json!({ "label": label(action), "url": url, "does": "Opens a page that does this." })),
                    Err(ApprovalError::Fault(fault)) => return Err(fault),
                    // The portal was closed meanwhile: the mail goes without links.
                    Err(_) => break,
                }
            }
        }
        let requester = opening.requester.address().unwrap_or("a program");
        Ok(Some(json!({
            "requester": { "name": if opening.requester.name.is_empty() { requester } else { &opening.requester.name }, "email": requester },
            "roles": [{ "name": opening.title, "description": step.spec.name }],
            "justification": step.spec.name, "resource": opening.external_url, "recipient": notice.recipient,
            "asked_at": state.opened_at.to_rfc3339(), "decide_until": step.deadline.or(state.deadline).map(Timestamp::to_rfc3339),
            "actions": links, "code": code,
        })))
    }

    /// Judges a link that was opened by `who`, the person of a live session if there is one. Records nothing.
    ///
    /// # Errors
    /// Storage.
    pub async fn judge(
        &self,
        token: &str,
        who: Option<&Visitor>,
    ) -> Result<Judgement, ApprovalError> {
        let Ok(opened) = self.portals.open_action(token).await? else {
            return Ok(Judgement::Invalid);
        };
        let expired = opened.is_expired();
        self.weigh(opened.into_inner(), expired, who).await
    }

    /// Judges a mail link of the older system: it counts as one of the step's present activation.
    ///
    /// # Errors
    /// Storage.
    pub async fn judge_legacy(
        &self,
        token: &str,
        key: &[u8],
        names: &LegacyNames,
        who: Option<&Visitor>,
    ) -> Result<Judgement, ApprovalError> {
        let Ok(opened) = LegacyLink::open(token, key, names, self.clock.now()) else {
            return Ok(Judgement::Invalid);
        };
        let expired = opened.is_expired();
        let old = opened.into_inner();
        let Ok(id) = old.approval_id.parse::<ApprovalId>() else {
            return Ok(Judgement::Invalid);
        };
        let Some(app) = self.archive.app_of(&id).await? else {
            return Ok(Judgement::Invalid);
        };
        let Some(stored) = self.store.approval(&app, &id).await? else {
            return Ok(Judgement::Invalid);
        };
        let Some((index, step)) = stored
            .state
            .step_of(&old.step_id)
            .and_then(|index| Some((index, stored.state.steps.get(index)?)))
        else {
            return Ok(Judgement::Invalid);
        };
        let events = self.archive.log(&app, &id).await?;
        let named = |holder: &Identity| {
            holder.opaque(app.as_str()) == old.user_id
                || holder.as_str().strip_prefix("account:") == Some(&old.user_id)
                || holder
                    .address()
                    .is_some_and(|address| address.eq_ignore_ascii_case(&old.user_id))
        };
        let Some(holder) = holders(&events, index).find(|holder| named(holder)) else {
            return Ok(Judgement::Invalid);
        };
        let link = ActionLink {
            iss: String::new(),
            aud: String::new(),
            // The older tokens have no id; one token is one link.
            jti: format!("old.{}", crypto::sha256_hex(token.as_bytes())),
            iat: 0,
            exp: old.exp,
            host_id: app.to_string(),
            approval_id: id.to_string(),
            step_id: old.step_id,
            act_no: step.activation,
            epoch: stored.state.epoch,
            action: old.action,
            login_required: false,
            dig: stored.state.dig.to_string(),
            sub: Some(holder.opaque(app.as_str())),
        };
        self.weigh(link, expired, who).await
    }

    fn confirm_of(&self, spec: &Spec) -> Confirmation {
        spec.confirm.unwrap_or(self.confirm)
    }

    // Follows from the root key: the mail says it, the database does not hold it.
    fn code(&self, id: &ApprovalId, step: &str, round: (u32, u32), sub: &str) -> String {
        let text = format!("{id}/{step}/{}/{}/{sub}", round.0, round.1);
        let key = self.root.derive("link-challenge");
        let [a, b, c, d, ..] = crypto::hmac_sha256(key.as_slice(), text.as_bytes());
        format!("{:06}", u32::from_be_bytes([a, b, c, d]) % 1_000_000)
    }

    /// Judges the code that was typed for a link of a mail, counting wrong ones.
    ///
    /// # Errors
    /// Storage.
    pub async fn check_code(
        &self,
        ready: &Ready,
        given: &str,
    ) -> Result<CodeVerdict, ApprovalError> {
        let link = &ready.link;
        let sub = link.sub.as_deref().unwrap_or_default();
        let right = self.code(
            &ready.approval,
            &link.step_id,
            (link.epoch, link.act_no),
            sub,
        );
        let place = format!(
            "{}/{}/{}/{}/{sub}",
            ready.approval, link.step_id, link.epoch, link.act_no
        );
        let id = crypto::sha256_hex(place.as_bytes());
        for _ in 0..super::RETRIES {
            let known = self
                .archive
                .record(&ready.app_id, RecordKind::Challenge, &id)
                .await?;
            let tries = known
                .as_ref()
                .and_then(|record| record.body.get("tries"))
                .and_then(Value::as_u64)
                .unwrap_or_default();
            if tries >= CODE_TRIES {
                return Ok(CodeVerdict::Spent);
            }
            let body = json!({ "tries": tries + 1 });
            let record = match known {
                Some(record) => record.with(&body)?,
                None => Record::new(&ready.app_id, RecordKind::Challenge, &id, &body)?
                    .until(self.clock.now().plus(MAIL_AT_MOST)),
            };
            // Counted before it is compared, so that many at once get no more tries than one after the other.
            match self
                .put(vec![record], heimdall_types::Journal::default())
                .await
            {
                Err(Fault::Conflict | Fault::Duplicate(_)) => continue,
                outcome => outcome?,
            }
            let digits: String = given.chars().filter(|c| !c.is_whitespace()).collect();
            if crypto::constant_time_eq(digits.as_bytes(), right.as_bytes()) {
                return Ok(CodeVerdict::Right);
            }
            let left = u32::try_from(CODE_TRIES - tries - 1).unwrap_or_default();
            return Ok(if left == 0 {
                CodeVerdict::Spent
            } else {
                CodeVerdict::Wrong(left)
            });
        }
        Err(Fault::Conflict.into())
    }

    async fn weigh(
        &self,
        link: ActionLink,
        expired: bool,
        who: Option<&Visitor>,
    ) -> Result<Judgement, ApprovalError> {
        let (Ok(app), Ok(id), Some(action)) = (
            link.host_id.parse::<AppId>(),
            link.approval_id.parse::<ApprovalId>(),
            action_of(link.action),
        ) else {
            return Ok(Judgement::Invalid);
        };
        let Some(stored) = self.store.approval(&app, &id).await? else {
            return Ok(Judgement::Invalid);
        };
        let Some(index) = stored.state.step_of(&link.step_id) else {
            return Ok(Judgement::Invalid);
        };
        let events = self.archive.log(&app, &id).await?;
        let holder = link
            .sub
            .as_deref()
            .map(|sub| holder_of(&events, index, sub, &app));
        let person = match holder {
            Some(None) => return Ok(Judgement::Invalid),
            Some(Some(holder)) => Some(Person::new(
                holder.address().unwrap_or_default().to_owned(),
                [holder],
            )),
            None => who.map(|who| who.person.clone()),
        };
        let linked = link.sub.is_some() || who.is_some_and(|who| who.linked);
        if let Some(vote) = used(&events, index, &link.jti) {
            let theirs = person
                .as_ref()
                .is_some_and(|person| person.same_as(&vote.actor));
            let foreign_session =
                link.sub.is_some() && who.is_some_and(|who| !who.person.same_as(&vote.actor));
            if foreign_session {
                return Ok(Judgement::NotYours);
            }
            if theirs {
                return Ok(Judgement::Recorded {
                    action: vote.action,
                    at: vote.at,
                });
            }
        }
        self.weigh_now(link, expired, &stored, index, action, person, linked)
            .await
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the cases of the order of judgement look at all of these"
    )]
    async fn weigh_now(
        &self,
        link: ActionLink,
        expired: bool,
        stored: &Stored,
        index: usize,
        action: Action,
        person: Option<Person>,
        linked: bool,
    ) -> Result<Judgement, ApprovalError> {
        let state = &stored.state;
        let Some(step) = state.steps.get(index) else {
            return Ok(Judgement::Invalid);
        };
        let current = link.epoch == state.epoch && link.act_no == step.activation;
        if let Some(vote) = person
            .as_ref()
            .and_then(|person| step.vote_of(person))
            .filter(|_| current && step.state != StepState::Moderating)
        {
            return Ok(Judgement::Recorded {
                action: vote.action,
                at: vote.at,
            });
        }
        if expired {
            return Ok(Judgement::Expired);
        }
        let record = self
            .archive
            .record(&stored.app_id, RecordKind::Link, &link.jti)
            .await?;
        if let Some(kept) = record
            .map(|record| record.read::<StoredLink>())
            .transpose()?
            && kept.revoked_at.is_some()
        {
            return Ok(Judgement::Revoked);
        }
        // Whoever deleted the account gave up the seat: links to it are revoked.
        if let Some(sub) = link.sub.as_deref().filter(|_| current)
            && step
                .seats
                .iter()
                .any(|seat| seat.vacant && seat.holder.opaque(stored.app_id.as_str()) == sub)
        {
            return Ok(Judgement::Revoked);
        }
        if !current || link.dig != *state.dig {
            return Ok(Judgement::Stale);
        }
        if let Some(word) = inactive(state, step, self.clock.now()) {
            return Ok(Judgement::NotActive(word));
        }
        let Some(person) = person else {
            return Ok(Judgement::Login);
        };
        if !linked {
            return Ok(Judgement::NotLinked);
        }
        let need = need(&step.spec, action);
        let (frozen, data) = super::about(state);
        let facts = self.facts(&stored.app_id, &frozen, &data).await?;
        let trial =
            crate::Command::vote(person.clone(), Some(index), trial(step, action, &state.dig))
                .knowing(facts);
        match decide(state, &trial, self.clock.now()) {
            Ok(_) => {}
            Err(Refusal::FourEyes | Refusal::NotEligible | Refusal::SeatTaken) => {
                return Ok(Judgement::NotEligible);
            }
            Err(Refusal::AlreadyVoted(action)) => {
                return Ok(Judgement::Recorded {
                    action,
                    at: self.clock.now(),
                });
            }
            Err(_) => return Ok(Judgement::NotActive("closed")),
        }
        let opening = state.opening.as_deref();
        Ok(Judgement::Ready(Box::new(Ready {
            app_id: stored.app_id.clone(),
            approval: stored.id.clone(),
            title: opening
                .map(|opening| opening.title.clone())
                .unwrap_or_default(),
            external_url: opening.and_then(|opening| opening.external_url.clone()),
            step: step.spec.name.clone(),
            options: step.spec.options.clone(),
            need,
            person,
            link,
            confirm: Some(self.confirm_of(&step.spec)),
        })))
    }

    /// Does what a link says.
    ///
    /// # Errors
    /// `Refused` as the engine says; it judges everything anew.
    pub async fn follow(&self, ready: &Ready, answered: Answered) -> Result<State, ApprovalError> {
        let action = action_of(ready.link.action).ok_or(ApprovalError::NotFound)?;
        let mail = ready.link.sub.is_some();
        let (channel, level) = if mail {
            (Channel::MailLink, Level::Mailbox)
        } else {
            (Channel::ApiLink, Level::LoggedIn)
        };
        let ballot = Ballot {
            options: answered.options,
            signature: answered.signature,
            link: Some(ready.link.jti.clone()),
            round: Some((ready.link.epoch, ready.link.act_no)),
            ..Ballot::new(action)
        };
        let ballot = ballot.comment(answered.comment).by(channel, level);
        let used = answered
            .nonce
            .map(|nonce| {
                Record::new(&ready.app_id, RecordKind::Nonce, nonce, &json!({}))
                    .map(|record| record.until(self.clock.now().plus(NONCE_KEPT)))
            })
            .transpose()?;
        let voted = self
            .vote_with(
                &ready.app_id,
                &ready.approval,
                &ready.link.step_id,
                &ready.person,
                ballot,
                used.into_iter().collect(),
            )
            .await;
        match voted {
            // The one-time value decided something already.
            Err(ApprovalError::Fault(Fault::Duplicate(_))) => Err(ApprovalError::Forbidden),
            outcome => outcome,
        }
    }

    /// Keeps a link while its reader logs in; gives the one-time handle, which only the same `browser` may use.
    ///
    /// # Errors
    /// Storage; `Corrupt` for a token that names no App.
    pub async fn park(&self, token: &str, browser: &str) -> Result<String, Fault> {
        let app = ActionLink::peek(token).and_then(|peek| peek.host_id.parse::<AppId>().ok());
        let app = app.ok_or_else(|| Fault::Corrupt("a link without an App".to_owned()))?;
        let handle = crypto::random_token(self.rng.as_ref(), 24);
        let id = crypto::sha256_hex(handle.as_bytes());
        let sealed = crypto::base64(&self.root.seal(
            &format!("parked/{id}"),
            token.as_bytes(),
            self.rng.as_ref(),
        ));
        let until = self.clock.now().plus(PARKED);
        let record = Record::new(
            &app,
            RecordKind::Parked,
            &id,
            &json!({ "sealed": sealed, "until": until, "browser": crypto::sha256_hex(browser.as_bytes()) }),
        )?
        .found_by(&id)
        .until(until);
        self.put(vec![record], heimdall_types::Journal::default())
            .await?;
        Ok(handle)
    }

    /// The link behind a handle; a second time there is none.
    ///
    /// # Errors
    /// Storage.
    pub async fn unpark(&self, handle: &str, browser: &str) -> Result<Option<String>, Fault> {
        let id = crypto::sha256_hex(handle.as_bytes());
        let Some(record) = self.archive.found(RecordKind::Parked, &id).await? else {
            return Ok(None);
        };
        let bound = record.body.get("browser").and_then(Value::as_str);
        if bound != Some(crypto::sha256_hex(browser.as_bytes()).as_str()) {
            return Ok(None);
        }
        self.drop_record(
            &record.app_id,
            RecordKind::Parked,
            &id,
            heimdall_types::Journal::default(),
        )
        .await?;
        let fresh = record
            .body
            .get("until")
            .and_then(Value::as_i64)
            .is_some_and(|until| self.clock.now().millis() < until);
        let sealed = record
            .body
            .get("sealed")
            .and_then(Value::as_str)
            .and_then(crypto::from_base64);
        let token = sealed.and_then(|sealed| self.root.open(&format!("parked/{id}"), &sealed).ok());
        Ok(token
            .filter(|_| fresh)
            .and_then(|token| String::from_utf8(token.to_vec()).ok()))
    }

    /// Takes back a link that the API gave out.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_link(
        &self,
        app: &AppId,
        actor: &heimdall_types::Actor,
        jti: &str,
    ) -> Result<(), ApprovalError> {
        let record = self
            .archive
            .record(app, RecordKind::Link, jti)
            .await?
            .ok_or(ApprovalError::NotFound)?;
        let mut kept: StoredLink = record.read()?;
        kept.revoked_at = kept.revoked_at.or(Some(self.clock.now()));
        let journal = self.audit(
            app,
            actor,
            "approval.link_revoked",
            jti,
            json!({ "approval_id": kept.approval_id }),
        );
        Ok(self.put(vec![record.with(&kept)?], journal).await?)
    }
}

// A vote that only asks whether the person may: everything else about it is filled in.
fn trial(step: &Step, action: Action, dig: &str) -> Ballot {
    let rule = if action == Action::Reject {
        step.spec.comment.reject
    } else {
        step.spec.comment.approve
    };
    Ballot {
        comment: (rule == CommentRule::Required).then(|| "-".to_owned()),
        options: if action == Action::Vote {
            vec![0]
        } else {
            Vec::new()
        },
        signature: step.spec.signature.then(|| json!({ "dig": dig })),
        ..Ballot::new(action)
    }
}

fn inactive(state: &State, step: &Step, now: Timestamp) -> Option<&'static str> {
    let late = |deadline: Option<Timestamp>| deadline.is_some_and(|deadline| deadline <= now);
    match step.state {
        StepState::Waiting | StepState::Held(_) => Some("waiting"),
        StepState::Skipped(_) => Some("skipped"),
        StepState::Approved | StepState::Rejected(_) => Some("decided"),
        StepState::Expired | StepState::Cancelled => Some("closed"),
        StepState::Active | StepState::Moderating if state.state != ApprovalState::Open => {
            Some("closed")
        }
        StepState::Active | StepState::Moderating if late(state.deadline) => Some("closed"),
        StepState::Active | StepState::Moderating => None,
    }
}

/// The seat's holder whom a mail link names, in whatever round it was made for.
fn holder_of(events: &[Event], step: usize, sub: &str, app: &AppId) -> Option<Identity> {
    holders(events, step)
        .find(|holder| holder.opaque(app.as_str()) == sub)
        .cloned()
}

/// Everybody who ever had a seat of a step.
fn holders(events: &[Event], step: usize) -> impl Iterator<Item = &Identity> {
    let seats = events.iter().filter_map(move |event| match event {
        Event::Activated {
            step: of, seats, ..
        }
        | Event::Escalated {
            step: of, seats, ..
        } if *of == step => Some(seats.as_slice()),
        Event::Moderating { step: of, seat, .. } if *of == step => Some(std::slice::from_ref(seat)),
        _ => None,
    });
    seats.flatten()
}

fn used<'a>(events: &'a [Event], step: usize, jti: &str) -> Option<&'a Vote> {
    events.iter().find_map(|event| match event {
        Event::Voted { step: of, vote, .. } if *of == step && vote.link.as_deref() == Some(jti) => {
            Some(&**vote)
        }
        _ => None,
    })
}

fn label(action: Action) -> &'static str {
    match action {
        Action::Approve => "Approve",
        Action::Consent => "Consent",
        Action::Reject => "Reject",
        Action::Abstain => "Abstain",
        Action::Vote => "Vote",
    }
}

/// Open seats of a step, for lists of whom it waits for.
pub(crate) fn waiting(step: &Step) -> impl Iterator<Item = &Seat> {
    step.seats
        .iter()
        .filter(|seat| seat.vote.is_none() && !seat.vacant)
}
