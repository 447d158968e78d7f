use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use heimdall_token::crypto;
use heimdall_types::{
    Actor, AppId, ApprovalId, AuditEntry, Clock, Email, EventId, Fault, FeedEvent, GrantId,
    Journal, Notice, NoticeId, Page, PageRequest, RequestId, Rng, StepId, Timestamp, UserId,
};
use serde_json::{Value, json};

use crate::chronicle::Chronicle;
use crate::command::{Action, Ballot, Channel, Command, Facts, Intent, Level, Opening};
use crate::decide::{decide, next_due};
use crate::definition::{Definition, StepDefinition};
use crate::error::ApprovalError;
use crate::event::Event;
use crate::evolve::evolve;
use crate::person::{Identity, Person};
use crate::ports::{
    Append, ApprovalStore, GrantFilter, Grants, NotRequestable, RequestFilter, RequestableRole,
    Requests, RoleBook, Stored, Transition,
};
use crate::refusal::Refusal;
use crate::request::{Grant, GrantState, Request, RequestState, RequestedRole, Requester, Start};
use crate::state::State;
use crate::workflows::Workflows;

/// How long people may take to decide when nothing else is said.
pub const TIME_TO_DECIDE: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_ROLES: usize = 20;
const LONGEST_JUSTIFICATION: usize = 1000;
const LONGEST_RESOURCE: usize = 200;
const LONGEST_COMMENT: usize = 1000;
const RETRIES: usize = 8;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Role names.
    pub roles: Vec<String>,
    /// Why.
    pub justification: String,
    /// For how long, in minutes.
    pub minutes: u32,
    /// From when.
    pub start: Start,
    /// On what.
    pub resource: Option<String>,
}

/// A decision on a whole portal session, as far as it is this person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who decides.
    pub person: Person,
    /// A comment on a yes, the reason of a no.
    pub verdict: Verdict,
    /// How it came.
    pub channel: Channel,
    /// How surely the person is known.
    pub level: Level,
    /// The link's `jti`.
    pub link: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, with a comment.
    Approve(Option<String>),
    /// No, with its reason.
    Deny(String),
}

/// The approvals service: loads, lets the engine decide, applies. Cheap to clone.
#[derive(Clone)]
pub struct Approvals {
    store: Arc<dyn ApprovalStore>,
    requests: Arc<dyn Requests>,
    grants: Arc<dyn Grants>,
    roles: Arc<dyn RoleBook>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    workflows: Option<Workflows>,
}

impl Approvals {
    /// A service over its ports.
    pub fn new(
        store: Arc<dyn ApprovalStore>,
        requests: Arc<dyn Requests>,
        grants: Arc<dyn Grants>,
        roles: Arc<dyn RoleBook>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            store,
            requests,
            grants,
            roles,
            clock,
            rng,
            workflows: None,
        }
    }

    /// The same, knowing the groups, delegations and conditions that `workflows` keeps.
    #[must_use]
    pub fn knowing(mut self, workflows: Workflows) -> Self {
        self.workflows = Some(workflows);
        self
    }

    async fn facts(&self, app: &AppId, opening: &Opening) -> Result<Facts, Fault> {
        match &self.workflows {
            Some(workflows) => workflows.facts(app, &opening.steps, &opening.data).await,
            None => Ok(Facts::default()),
        }
    }

    async fn facts_of(&self, app: &AppId, state: &State) -> Result<Facts, Fault> {
        match state.opening.as_deref() {
            Some(opening) => self.facts(app, opening).await,
            None => Ok(Facts::default()),
        }
    }

    /// Asks for roles.
    ///
    /// # Errors
    /// `Invalid` naming the field; nothing is recorded then.
    pub async fn ask(
        &self,
        app: &AppId,
        requester: Requester,
        ask: Ask,
    ) -> Result<Request, ApprovalError> {
        // The number of a session is drawn: now and then another request has it already, and another one is drawn.
        for _ in 0..RETRIES {
            match self.ask_once(app, requester.clone(), ask.clone()).await {
                Err(ApprovalError::Fault(Fault::Conflict)) => {}
                outcome => return outcome,
            }
        }
        Err(Fault::Conflict.into())
    }

    async fn ask_once(
        &self,
        app: &AppId,
        requester: Requester,
        ask: Ask,
    ) -> Result<Request, ApprovalError> {
        let roles = self.check(app, &ask).await?;
        let now = self.clock.now();
        let children = roles.iter().map(|role| StepDefinition {
            name: role.name.clone(),
            ..role.step.clone()
        });
        let root = StepDefinition {
            children: children.collect(),
            ..session_root()?
        };
        let content = json!({
            "app": app, "requester": requester.id, "roles": ask.roles, "justification": ask.justification.trim(),
            "minutes": ask.minutes, "start": ask.start, "resource": ask.resource,
        });
        let dig = crypto::sha256_hex(content.to_string().as_bytes());
        let expires_at = now.plus(TIME_TO_DECIDE);
        let id = ApprovalId::generate(now, self.rng.as_ref());
        let steps = Definition::compile(&root, || StepId::generate(now, self.rng.as_ref()))
            .map_err(|error| {
                ApprovalError::invalid("roles", format!("cannot be asked for: {error}"))
            })?;
        let opening = Opening::new(app.clone(), id.clone(), "Portal session", steps)
            .requester(requester.person())
            .dig(dig)
            .deadline(Some(expires_at));
        let facts = self.facts(app, &opening).await?;
        let events = decide(
            &State::default(),
            &Command::open(opening).knowing(facts),
            now,
        )?;
        let approval = events.iter().fold(State::default(), evolve);
        let mut request = Request {
            id: RequestId::generate(now, self.rng.as_ref()),
            app_id: app.clone(),
            session_id: self.session_id(),
            approval_id: id.clone(),
            requester,
            roles: roles.iter().map(requested).collect(),
            justification: ask.justification.trim().to_owned(),
            minutes: ask.minutes,
            start: ask.start,
            resource: ask.resource.filter(|text| !text.trim().is_empty()),
            state: RequestState::Created,
            passages: Vec::new(),
            created_at: now,
            expires_at,
            denial: None,
            version: 0,
        };
        request.enter(RequestState::Created, now);
        request.follow(&approval, now);
        let mut journal = Journal::default();
        let actor = Actor::User {
            id: request.requester.id.to_string(),
        };
        self.note(
            &mut journal,
            &request,
            actor,
            "approval.requested",
            request.id.as_str(),
            about(&request),
            now,
        );
        self.tell_approvers(&mut journal, &request, &approval, &events, now);
        for email in roles
            .iter()
            .flat_map(|role| &role.informed)
            .collect::<BTreeSet<_>>()
        {
            self.notice(
                &mut journal,
                &request,
                "approval-requested",
                email,
                json!({"link": false}),
                now,
            );
        }
        let mut transition = Transition {
            approval: Some(append(app, &id, 0, &approval, events)),
            journal,
            ..Transition::default()
        };
        self.outcome(&mut transition, &mut request, now);
        transition.requests.push(request.clone());
        self.store.apply(transition).await?;
        request.version = 1;
        Ok(request)
    }

    async fn check(&self, app: &AppId, ask: &Ask) -> Result<Vec<RequestableRole>, ApprovalError> {
        if ask.roles.is_empty() || ask.roles.len() > MAX_ROLES {
            return Err(ApprovalError::invalid(
                "roles",
                format!("must name 1 to {MAX_ROLES} roles"),
            ));
        }
        let mut roles: Vec<RequestableRole> = Vec::new();
        for (index, name) in ask.roles.iter().enumerate() {
            let field = format!("roles.{index}");
            if roles.iter().any(|role| role.name == *name) {
                return Err(ApprovalError::invalid(
                    field,
                    format!("names `{name}` a second time"),
                ));
            }
            let found = self.roles.requestable(app, name).await?;
            roles.push(found.map_err(|why| {
                let reason = match why {
                    NotRequestable::Unknown => format!("names `{name}`, which is no role of this App"),
                    NotRequestable::Closed => format!("names `{name}`, which is not open for requests"),
                    NotRequestable::NobodyDecides => {
                        format!("names `{name}`, for which nobody decides: an administrator must name approvers")
                    }
                };
                ApprovalError::invalid(field, reason)
            })?);
        }
        let length = ask.justification.trim().chars().count();
        if length == 0 {
            return Err(ApprovalError::invalid(
                "justification",
                "is missing: say why you need it",
            ));
        }
        if length > LONGEST_JUSTIFICATION {
            return Err(ApprovalError::invalid(
                "justification",
                "is longer than 1,000 characters",
            ));
        }
        if ask.minutes == 0 {
            return Err(ApprovalError::invalid(
                "duration_minutes",
                "must be at least 1",
            ));
        }
        if let Some(strict) = roles
            .iter()
            .filter(|role| ask.minutes > role.max_minutes)
            .min_by_key(|r| r.max_minutes)
        {
            let reason = format!(
                "is over the {} minutes that `{}` allows",
                strict.max_minutes, strict.name
            );
            return Err(ApprovalError::invalid("duration_minutes", reason));
        }
        if ask
            .resource
            .as_ref()
            .is_some_and(|text| text.chars().count() > LONGEST_RESOURCE)
        {
            return Err(ApprovalError::invalid(
                "resource",
                "is longer than 200 characters",
            ));
        }
        let now = self.clock.now();
        if matches!(ask.start, Start::At(at) if at < now || at > now.plus(Duration::from_secs(366 * 86_400)))
        {
            return Err(ApprovalError::invalid(
                "start",
                "must lie in the future, within a year",
            ));
        }
        Ok(roles)
    }

    // Eight digits: nobody guesses a neighbour's, and everybody can read one out.
    fn session_id(&self) -> i64 {
        let mut bytes = [0u8; 8];
        self.rng.fill(&mut bytes);
        10_000_000 + i64::try_from(u64::from_be_bytes(bytes) % 90_000_000).unwrap_or_default()
    }

    /// One request of the App.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn request(&self, app: &AppId, id: &RequestId) -> Result<Request, ApprovalError> {
        self.requests
            .request(app, id)
            .await?
            .ok_or(ApprovalError::NotFound)
    }

    /// The request with this number, over all Apps.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn session(&self, session_id: i64) -> Result<Request, ApprovalError> {
        self.requests
            .session(session_id)
            .await?
            .ok_or(ApprovalError::NotFound)
    }

    /// Requests, newest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn requests(
        &self,
        app: &AppId,
        filter: &RequestFilter,
        page: &PageRequest,
    ) -> Result<Page<Request>, ApprovalError> {
        Ok(self.requests.requests(app, filter, page).await?)
    }

    /// Requests that wait for this person.
    ///
    /// # Errors
    /// Storage.
    pub async fn inbox(
        &self,
        app: &AppId,
        who: &Person,
        page: &PageRequest,
    ) -> Result<Page<Request>, ApprovalError> {
        Ok(self.requests.inbox(app, who, page).await?)
    }

    /// The approval behind a request.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn approval(&self, app: &AppId, id: &ApprovalId) -> Result<Stored, ApprovalError> {
        self.store
            .approval(app, id)
            .await?
            .ok_or(ApprovalError::NotFound)
    }

    /// The grants of a request.
    ///
    /// # Errors
    /// Storage.
    pub async fn grants_of(
        &self,
        app: &AppId,
        request: &RequestId,
    ) -> Result<Vec<Grant>, ApprovalError> {
        Ok(self.grants.grants_of(app, request).await?)
    }

    /// Grants, newest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn grants(
        &self,
        app: &AppId,
        filter: &GrantFilter,
        page: &PageRequest,
    ) -> Result<Page<Grant>, ApprovalError> {
        Ok(self.grants.grants(app, filter, page).await?)
    }

    /// Decides everything of a session that is this person's to decide. `true` when the same person had said the same
    /// before and nothing was recorded again.
    ///
    /// # Errors
    /// `Decided` when the session is decided otherwise, `Refused` when the engine refuses, `Forbidden` when nothing of
    /// it is this person's.
    pub async fn decide(
        &self,
        request: &Request,
        decision: &Decision,
    ) -> Result<(Request, bool), ApprovalError> {
        if let Verdict::Deny(reason) = &decision.verdict {
            let length = reason.trim().chars().count();
            if length == 0 {
                return Err(ApprovalError::invalid(
                    "denialReason",
                    "is missing: the requester reads it",
                ));
            }
            if length > LONGEST_COMMENT {
                return Err(ApprovalError::invalid(
                    "denialReason",
                    "is longer than 1,000 characters",
                ));
            }
        }
        for _ in 0..RETRIES {
            match self
                .try_decide(&request.app_id, &request.id, decision)
                .await
            {
                Err(ApprovalError::Fault(Fault::Conflict)) => {}
                outcome => return outcome,
            }
        }
        Err(Fault::Conflict.into())
    }

    async fn try_decide(
        &self,
        app: &AppId,
        id: &RequestId,
        decision: &Decision,
    ) -> Result<(Request, bool), ApprovalError> {
        let mut request = self.request(app, id).await?;
        let stored = self.approval(app, &request.approval_id).await?;
        let now = self.clock.now();
        let (action, comment) = match &decision.verdict {
            Verdict::Approve(comment) => (Action::Approve, comment.clone()),
            Verdict::Deny(reason) => (Action::Reject, Some(reason.clone())),
        };
        let ballot = Ballot {
            link: decision.link.clone(),
            ..Ballot::new(action)
        }
        .comment(comment)
        .by(decision.channel, decision.level);
        let facts = self.facts_of(app, &stored.state).await?;
        let command = Command::vote(decision.person.clone(), None, ballot).knowing(facts);
        let events = match decide(&stored.state, &command, now) {
            Ok(events) => events,
            Err(Refusal::AlreadyVoted(past)) if past.is_yes() == action.is_yes() => {
                return Ok((request, true));
            }
            Err(Refusal::AlreadyVoted(_) | Refusal::SeatTaken) => {
                return Err(ApprovalError::Decided(request.state));
            }
            Err(Refusal::NotEligible) => return Err(ApprovalError::Forbidden),
            // Decided meanwhile, or a deadline has passed that nobody has looked at yet: say where it stands now.
            Err(Refusal::Closed(_) | Refusal::NotActive) => {
                self.tick_approval(stored, now).await?;
                let fresh = self.request(app, id).await?;
                return Err(ApprovalError::Decided(fresh.state));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let approval = events.iter().fold(stored.state, evolve);
        if let Verdict::Deny(reason) = &decision.verdict {
            request.denial = Some((reason.trim().to_owned(), decision.person.clone()));
        }
        let actor = actor_of(app, &decision.person);
        let transition = self
            .follow(&mut request, stored.version, approval, events, actor, now)
            .await?;
        self.store.apply(transition).await?;
        Ok((request, false))
    }

    // What a request does when its approval moved: state, grants, journal.
    async fn follow(
        &self,
        request: &mut Request,
        version: i64,
        approval: State,
        events: Vec<Event>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Transition, ApprovalError> {
        let mut journal = Journal::default();
        let before = request.state;
        request.follow(&approval, now);
        for event in &events {
            self.describe(&mut journal, request, &approval, event, &actor, now);
        }
        self.tell_approvers(&mut journal, request, &approval, &events, now);
        let mut transition = Transition {
            approval: Some(append(
                &request.app_id,
                &request.approval_id,
                version,
                &approval,
                events,
            )),
            journal,
            ..Transition::default()
        };
        if before != request.state {
            self.outcome(&mut transition, request, now);
        }
        transition.requests.push(request.clone());
        Ok(transition)
    }

    fn describe(
        &self,
        journal: &mut Journal,
        request: &Request,
        approval: &State,
        event: &Event,
        actor: &Actor,
        now: Timestamp,
    ) {
        let step_id = |index: &usize| {
            approval
                .steps
                .get(*index)
                .map(|step| step.spec.id.to_string())
                .unwrap_or_default()
        };
        let id = &request.approval_id;
        match event {
            Event::Voted { step, vote, .. } => {
                let data = json!({
                    "approval_id": id, "request_id": request.id, "step_id": step_id(step), "action": vote.action,
                    "channel": vote.channel, "link": vote.link, "dig": vote.dig,
                });
                self.note(
                    journal,
                    request,
                    actor.clone(),
                    "approval.vote_cast",
                    &step_id(step),
                    data,
                    now,
                );
            }
            Event::StepEnded { step, ending, .. } => {
                let data = json!({
                    "approval_id": id, "request_id": request.id, "step_id": step_id(step), "state": ending,
                });
                self.note(
                    journal,
                    request,
                    Actor::System,
                    "approval.step_resolved",
                    &step_id(step),
                    data,
                    now,
                );
            }
            Event::Ended { state, .. } => {
                let data = json!({
                    "approval_id": id, "request_id": request.id, "state": state.as_str(),
                    "request_state": request.state.as_str(), "user_id": request.requester.id,
                });
                self.note(
                    journal,
                    request,
                    actor.clone(),
                    "approval.resolved",
                    id.as_str(),
                    data,
                    now,
                );
            }
            _ => {}
        }
    }

    // Grants and the mail to the requester, once the request has left `CREATED`.
    fn outcome(&self, transition: &mut Transition, request: &mut Request, now: Timestamp) {
        let kind = match request.state {
            RequestState::Created => return,
            RequestState::Approved => {
                let starts_at = match request.start {
                    Start::At(at) if at > now => at,
                    Start::At(_) | Start::OnApproval => now,
                };
                let ends_at = starts_at.plus(Duration::from_secs(u64::from(request.minutes) * 60));
                for role in &request.roles {
                    if role.state != RequestState::Approved {
                        continue;
                    }
                    let grant = Grant {
                        id: GrantId::generate(now, self.rng.as_ref()),
                        app_id: request.app_id.clone(),
                        user_id: request.requester.id.clone(),
                        role: role.name.clone(),
                        state: if starts_at > now {
                            GrantState::Scheduled
                        } else {
                            GrantState::Active
                        },
                        starts_at,
                        ends_at,
                        request_id: request.id.clone(),
                        version: 0,
                    };
                    if grant.state == GrantState::Active {
                        self.note_grant(
                            &mut transition.journal,
                            &grant,
                            Actor::System,
                            "grant.started",
                            now,
                        );
                    }
                    transition.grants.push(grant);
                }
                transition.authority.push((
                    request.app_id.clone(),
                    request.requester.id.clone(),
                    now,
                ));
                "decided"
            }
            RequestState::Denied => "denied",
            RequestState::Canceled | RequestState::Expired | RequestState::Terminated => "closed",
        };
        let email = request.requester.email.clone();
        self.notice(
            &mut transition.journal,
            request,
            kind,
            &email,
            json!({}),
            now,
        );
    }

    fn tell_approvers(
        &self,
        journal: &mut Journal,
        request: &Request,
        approval: &State,
        events: &[Event],
        now: Timestamp,
    ) {
        let mut told: BTreeSet<(&str, Email)> = BTreeSet::new();
        for event in events {
            let (kind, people): (&str, Vec<&Identity>) = match event {
                Event::Activated { seats, .. } => ("approval-requested", seats.iter().collect()),
                Event::Escalated { seats, .. } => ("escalated", seats.iter().collect()),
                Event::Reminded { step, seat, .. } => {
                    let seat = approval
                        .steps
                        .get(*step)
                        .and_then(|step| step.seats.get(*seat));
                    (
                        "reminder",
                        seat.map(|seat| &seat.holder).into_iter().collect(),
                    )
                }
                _ => continue,
            };
            told.extend(
                people
                    .into_iter()
                    .filter_map(|who| Some((kind, who.address()?.parse().ok()?))),
            );
        }
        for (kind, email) in told {
            self.notice(journal, request, kind, &email, json!({"link": true}), now);
        }
    }

    fn notice(
        &self,
        journal: &mut Journal,
        request: &Request,
        kind: &str,
        to: &Email,
        more: Value,
        now: Timestamp,
    ) {
        let mut data = json!({"request_id": request.id});
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        journal.notices.push(Notice {
            id: NoticeId::generate(now, self.rng.as_ref()),
            app_id: Some(request.app_id.clone()),
            kind: kind.to_owned(),
            recipient: to.to_string(),
            data,
            due: now,
        });
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "an audit row is made of all of these"
    )]
    fn note(
        &self,
        journal: &mut Journal,
        request: &Request,
        actor: Actor,
        action: &str,
        target: &str,
        mut data: Value,
        now: Timestamp,
    ) {
        journal.audit.push(AuditEntry {
            app_id: Some(request.app_id.clone()),
            at: now,
            actor,
            action: action.to_owned(),
            target: target.to_owned(),
            data: data.clone(),
        });
        if let Some(members) = data.as_object_mut() {
            members.insert("app_id".to_owned(), json!(request.app_id));
            members
                .entry("user_id")
                .or_insert_with(|| json!(request.requester.id));
        }
        self.event(journal, &request.app_id, action, data, now);
    }

    fn note_grant(
        &self,
        journal: &mut Journal,
        grant: &Grant,
        actor: Actor,
        action: &str,
        now: Timestamp,
    ) {
        let data = json!({
            "app_id": grant.app_id, "user_id": grant.user_id, "grant_id": grant.id, "role": grant.role,
            "request_id": grant.request_id, "state": grant.state, "starts_at": grant.starts_at.to_rfc3339(),
            "ends_at": grant.ends_at.to_rfc3339(),
        });
        journal.audit.push(AuditEntry {
            app_id: Some(grant.app_id.clone()),
            at: now,
            actor,
            action: action.to_owned(),
            target: grant.id.to_string(),
            data: data.clone(),
        });
        self.event(journal, &grant.app_id, action, data, now);
    }

    fn event(&self, journal: &mut Journal, app: &AppId, kind: &str, data: Value, now: Timestamp) {
        journal.events.push(FeedEvent {
            id: EventId::generate(now, self.rng.as_ref()),
            app_id: app.clone(),
            at: now,
            kind: kind.to_owned(),
            data,
        });
    }

    /// Calls a request off; only while it is being decided.
    ///
    /// # Errors
    /// `NotFound`, `Decided`.
    pub async fn cancel(
        &self,
        app: &AppId,
        id: &RequestId,
        actor: &Actor,
    ) -> Result<Request, ApprovalError> {
        for _ in 0..RETRIES {
            let mut request = self.request(app, id).await?;
            if request.state == RequestState::Canceled {
                return Ok(request);
            }
            let stored = self.approval(app, &request.approval_id).await?;
            let now = self.clock.now();
            let withdraw = Command::of(request.requester.person(), Intent::Cancel);
            let events = match decide(&stored.state, &withdraw, now) {
                Ok(events) => events,
                Err(_) => return Err(ApprovalError::Decided(request.state)),
            };
            let approval = events.iter().fold(stored.state, evolve);
            let transition = self
                .follow(
                    &mut request,
                    stored.version,
                    approval,
                    events,
                    actor.clone(),
                    now,
                )
                .await?;
            match self.store.apply(transition).await {
                Err(Fault::Conflict) => {}
                outcome => return outcome.map(|()| request).map_err(Into::into),
            }
        }
        Err(Fault::Conflict.into())
    }

    /// Asks for the roles of a running request for longer: a request of its own, decided by the same people, whose
    /// grants begin where the present ones end.
    ///
    /// # Errors
    /// `NotFound`; `Decided` when nothing of the request runs; `Invalid` naming the field.
    pub async fn extend(
        &self,
        app: &AppId,
        id: &RequestId,
        minutes: u32,
        justification: Option<String>,
    ) -> Result<Request, ApprovalError> {
        let request = self.request(app, id).await?;
        let grants = self.grants.grants_of(app, id).await?;
        let ends = grants
            .iter()
            .filter(|grant| grant.state.is_live())
            .map(|grant| grant.ends_at)
            .max();
        let Some(ends) = ends else {
            return Err(ApprovalError::Decided(request.state));
        };
        let ask = Ask {
            roles: request.roles.iter().map(|role| role.name.clone()).collect(),
            justification: justification.unwrap_or(request.justification),
            minutes,
            start: Start::At(ends),
            resource: request.resource,
        };
        self.ask(app, request.requester, ask).await
    }

    /// Ends every live grant of an approved request before its time.
    ///
    /// # Errors
    /// `NotFound`, `Decided` when nothing of it runs.
    pub async fn terminate(
        &self,
        app: &AppId,
        id: &RequestId,
        actor: &Actor,
    ) -> Result<Request, ApprovalError> {
        for _ in 0..RETRIES {
            let mut request = self.request(app, id).await?;
            if request.state == RequestState::Terminated {
                return Ok(request);
            }
            let live: Vec<Grant> = self
                .grants
                .grants_of(app, id)
                .await?
                .into_iter()
                .filter(|grant| grant.state.is_live())
                .collect();
            if request.state != RequestState::Approved || live.is_empty() {
                return Err(ApprovalError::Decided(request.state));
            }
            let now = self.clock.now();
            let mut transition = Transition::default();
            for grant in live {
                self.end(
                    &mut transition,
                    grant,
                    GrantState::Terminated,
                    actor.clone(),
                    now,
                );
            }
            request.enter(RequestState::Terminated, now);
            self.outcome(&mut transition, &mut request, now);
            transition.requests.push(request.clone());
            match self.store.apply(transition).await {
                Err(Fault::Conflict) => {}
                outcome => return outcome.map(|()| request).map_err(Into::into),
            }
        }
        Err(Fault::Conflict.into())
    }

    /// Takes a grant away before its time; idempotent.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke(
        &self,
        app: &AppId,
        id: &GrantId,
        own: Option<&UserId>,
        actor: &Actor,
    ) -> Result<Grant, ApprovalError> {
        for _ in 0..RETRIES {
            let grant = self
                .grants
                .grant(app, id)
                .await?
                .ok_or(ApprovalError::NotFound)?;
            if own.is_some_and(|user| *user != grant.user_id) {
                return Err(ApprovalError::NotFound);
            }
            if !grant.state.is_live() {
                return Ok(grant);
            }
            let now = self.clock.now();
            let mut transition = Transition::default();
            let to = if own.is_some() {
                GrantState::Terminated
            } else {
                GrantState::Revoked
            };
            let ended = self.end(&mut transition, grant, to, actor.clone(), now);
            match self.store.apply(transition).await {
                Err(Fault::Conflict) => {}
                outcome => return outcome.map(|()| ended).map_err(Into::into),
            }
        }
        Err(Fault::Conflict.into())
    }

    fn end(
        &self,
        transition: &mut Transition,
        mut grant: Grant,
        to: GrantState,
        actor: Actor,
        now: Timestamp,
    ) -> Grant {
        grant.state = to;
        grant.ends_at = grant.ends_at.min(now);
        grant.starts_at = grant.starts_at.min(grant.ends_at);
        self.note_grant(&mut transition.journal, &grant, actor, "grant.ended", now);
        transition
            .authority
            .push((grant.app_id.clone(), grant.user_id.clone(), now));
        transition.grants.push(grant.clone());
        grant
    }

    /// Applies what time alone changes; says when to be called next.
    ///
    /// # Errors
    /// Storage.
    pub async fn tick(&self) -> Result<Option<Timestamp>, ApprovalError> {
        let now = self.clock.now();
        for stored in self.store.due_approvals(now, 100).await? {
            self.tick_approval(stored, now).await?;
        }
        for grant in self.grants.due_grants(now, 100).await? {
            self.tick_grant(grant, now).await?;
        }
        Ok(self.store.next_due().await?)
    }

    async fn tick_approval(&self, stored: Stored, now: Timestamp) -> Result<(), ApprovalError> {
        let facts = self.facts_of(&stored.app_id, &stored.state).await?;
        let Ok(events) = decide(&stored.state, &Command::tick().knowing(facts), now) else {
            return Ok(());
        };
        if events.is_empty() {
            return Ok(());
        }
        let transition = self.moved(stored, events, now).await?;
        self.settle_race(transition).await
    }

    // What follows when an approval moved without anybody's vote, with a request behind it or without.
    async fn moved(
        &self,
        stored: Stored,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<Transition, ApprovalError> {
        let approval = events.iter().fold(stored.state, evolve);
        match self.requests.request_of(&stored.app_id, &stored.id).await? {
            Some(mut request) => {
                self.follow(
                    &mut request,
                    stored.version,
                    approval,
                    events,
                    Actor::System,
                    now,
                )
                .await
            }
            None => {
                let (app, rng) = (&stored.app_id, self.rng.as_ref());
                let chronicle = Chronicle {
                    app,
                    approval: &stored.id,
                    actor: Actor::System,
                    now,
                    rng,
                };
                Ok(Transition {
                    journal: chronicle.of(&events, &approval),
                    approval: Some(append(app, &stored.id, stored.version, &approval, events)),
                    ..Transition::default()
                })
            }
        }
    }

    /// Somebody is gone: their open seats of this approval close, and its steps are judged anew.
    ///
    /// # Errors
    /// Storage.
    pub async fn leave(
        &self,
        app: &AppId,
        id: &ApprovalId,
        who: &Identity,
    ) -> Result<(), ApprovalError> {
        for _ in 0..RETRIES {
            let Some(stored) = self.store.approval(app, id).await? else {
                return Ok(());
            };
            let (now, facts) = (self.clock.now(), self.facts_of(app, &stored.state).await?);
            let command = Command::of(Person::default(), Intent::Leave(who.clone())).knowing(facts);
            let events = match decide(&stored.state, &command, now) {
                Ok(events) if !events.is_empty() => events,
                // It has ended meanwhile.
                _ => return Ok(()),
            };
            let transition = self.moved(stored, events, now).await?;
            match self.store.apply(transition).await {
                Err(Fault::Conflict) => {}
                outcome => return outcome.map_err(Into::into),
            }
        }
        Err(Fault::Conflict.into())
    }

    async fn tick_grant(&self, mut grant: Grant, now: Timestamp) -> Result<(), ApprovalError> {
        let mut transition = Transition::default();
        if grant.ends_at <= now {
            grant.state = GrantState::Expired;
            self.note_grant(
                &mut transition.journal,
                &grant,
                Actor::System,
                "grant.ended",
                now,
            );
        } else {
            grant.state = GrantState::Active;
            self.note_grant(
                &mut transition.journal,
                &grant,
                Actor::System,
                "grant.started",
                now,
            );
        }
        transition
            .authority
            .push((grant.app_id.clone(), grant.user_id.clone(), now));
        transition.grants.push(grant);
        self.settle_race(transition).await
    }

    // Another instance was faster: its result stands, and the next tick sees what is left.
    async fn settle_race(&self, transition: Transition) -> Result<(), ApprovalError> {
        match self.store.apply(transition).await {
            Ok(()) | Err(Fault::Conflict) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn requested(role: &RequestableRole) -> RequestedRole {
    RequestedRole {
        name: role.name.clone(),
        description: role.description.clone(),
        state: RequestState::Created,
    }
}

fn about(request: &Request) -> Value {
    json!({
        "request_id": request.id, "approval_id": request.approval_id, "session_id": request.session_id,
        "roles": request.roles.iter().map(|role| &role.name).collect::<Vec<_>>(), "minutes": request.minutes,
    })
}

fn session_root() -> Result<StepDefinition, ApprovalError> {
    Definition::read(&json!({"name": "Portal session", "type": "parallel"}))
        .map_err(|error| Fault::Corrupt(error.to_string()).into())
}

pub(crate) fn actor_of(app: &AppId, person: &Person) -> Actor {
    let user = person
        .identities
        .iter()
        .find_map(|who| who.as_str().strip_prefix("user:"));
    match (user, person.identities.first()) {
        (Some(id), _) => Actor::User { id: id.to_owned() },
        (None, Some(who)) => Actor::Approver {
            id: who.opaque(app.as_str()),
        },
        (None, None) => Actor::Anonymous,
    }
}

pub(crate) fn append(
    app: &AppId,
    id: &ApprovalId,
    expected: i64,
    state: &State,
    events: Vec<Event>,
) -> Append {
    let open = state
        .active()
        .flat_map(|(_, step)| &step.seats)
        .filter(|seat| seat.vote.is_none() && !seat.vacant);
    Append {
        app_id: app.clone(),
        id: id.clone(),
        expected,
        events,
        state: state.state,
        due: next_due(state),
        waits: open.map(|seat| seat.holder.clone()).collect(),
    }
}
