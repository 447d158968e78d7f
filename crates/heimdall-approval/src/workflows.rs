//! Approvals that programs open: definitions, approvals of several steps, votes, and the links that decide them.

mod applications;
mod books;
mod jit;
mod keys;
mod links;
mod templates;
mod view;

use std::sync::Arc;

use heimdall_token::{RootKey, crypto};
use heimdall_types::{
    Actor, AppId, ApprovalId, AuditEntry, Clock, DefinitionId, Fault, Journal, Page, PageRequest,
    Rng, StepId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use applications::{Application, ApplicationKey};
pub use books::{DelegationInput, Group, GroupInput};
pub use jit::{JitRequest, NewJit};
pub use keys::{API_KEY_PREFIX, ApiKey, ApiKeyChange, ApiKeyInput, Privilege};
pub use links::{Answered, CodeVerdict, Judgement, LinkEntry, Need, Ready, actions};
pub use templates::{JitTemplate, TemplateChange, TemplateKind};
pub use view::view;

use crate::approvals::append;
use crate::archive::{Archive, Gone, Record, RecordKind};
use crate::chronicle::Chronicle;
use crate::command::{Ballot, Command, Facts, Intent, Opening};
use crate::decide::decide;
use crate::definition::{Approver, Confirmation, Definition, FrozenStep};
use crate::error::ApprovalError;
use crate::event::Event;
use crate::evolve::evolve;
use crate::person::{Identity, Person};
use crate::portal::Portals;
use crate::ports::{ApprovalStore, Stored, Transition};
use crate::state::State;

const RETRIES: usize = 8;
/// So many delegations an App may have; all of them are looked at when somebody votes.
const MOST_DELEGATIONS: usize = 1000;

/// Evaluates the conditions of steps over an approval's data.
pub trait Conditions: Send + Sync {
    /// Whether `expression` holds over `data`; an error holds the step.
    fn holds(&self, expression: &str, data: &Value) -> Result<bool, String>;
}

/// What an approval is made of when it is opened by a program.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApproval {
    /// A definition by its id or name; its latest version is frozen in.
    #[serde(default)]
    pub definition: Option<String>,
    /// Or the tree itself.
    #[serde(default)]
    pub root: Option<Value>,
    /// For people, 1 to 200 characters.
    pub title: String,
    /// The address of whoever asks: it never votes.
    #[serde(default)]
    pub requester: Option<heimdall_types::Email>,
    /// Where the thing that is approved can be seen.
    #[serde(default)]
    pub external_url: Option<String>,
    /// What conditions and people look at.
    #[serde(default)]
    pub data: Value,
}

/// A stored definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredDefinition {
    /// Its id.
    pub id: DefinitionId,
    /// Its name, unique in the App.
    pub name: String,
    /// Grows when the same name is defined again.
    pub version: i64,
    /// The tree.
    pub root: Value,
    /// Earlier trees, oldest first.
    #[serde(default)]
    pub earlier: Vec<Value>,
}

/// The service of approvals that programs open. Cheap to clone.
#[derive(Clone)]
pub struct Workflows {
    pub(crate) store: Arc<dyn ApprovalStore>,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) conditions: Arc<dyn Conditions>,
    pub(crate) portals: Portals,
    pub(crate) root: RootKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) confirm: Confirmation,
}

impl Workflows {
    /// A service over its ports.
    pub fn new(
        store: Arc<dyn ApprovalStore>,
        archive: Arc<dyn Archive>,
        conditions: Arc<dyn Conditions>,
        portals: Portals,
        root: RootKey,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            store,
            archive,
            conditions,
            portals,
            root,
            clock,
            rng,
            confirm: Confirmation::default(),
        }
    }

    /// The same, with this way of confirming links of mails where a step says nothing.
    #[must_use]
    pub fn confirming(mut self, confirm: Confirmation) -> Self {
        self.confirm = confirm;
        self
    }

    /// The App of an approval.
    ///
    /// # Errors
    /// Storage.
    pub async fn app_of(&self, id: &ApprovalId) -> Result<Option<AppId>, Fault> {
        self.archive.app_of(id).await
    }

    /// Forgets parked links and used one-time values whose time is over.
    ///
    /// # Errors
    /// Storage.
    pub async fn tidy(&self) -> Result<(), Fault> {
        self.archive.forget(self.clock.now()).await
    }

    /// Keeps a definition; the same name again makes its next version.
    ///
    /// # Errors
    /// `Invalid` naming the field.
    pub async fn define(
        &self,
        app: &AppId,
        actor: &Actor,
        name: &str,
        root: Value,
    ) -> Result<StoredDefinition, ApprovalError> {
        let name = text("name", name, 200)?;
        self.compiled(&root)?;
        let lookup = format!("{app}/{name}");
        for _ in 0..RETRIES {
            let known = self.archive.found(RecordKind::Definition, &lookup).await?;
            let (record, definition) = match known {
                None => {
                    let id = DefinitionId::generate(self.clock.now(), self.rng.as_ref());
                    let fresh = StoredDefinition {
                        id,
                        name: name.clone(),
                        version: 1,
                        root: root.clone(),
                        earlier: Vec::new(),
                    };
                    (
                        Record::new(app, RecordKind::Definition, fresh.id.as_str(), &fresh)?
                            .found_by(&lookup),
                        fresh,
                    )
                }
                Some(record) => {
                    let mut next: StoredDefinition = record.read()?;
                    next.version += 1;
                    next.earlier
                        .push(std::mem::replace(&mut next.root, root.clone()));
                    (record.with(&next)?, next)
                }
            };
            let journal = self.audit(
                app,
                actor,
                "definition.saved",
                definition.id.as_str(),
                json!({ "name": name, "version": definition.version }),
            );
            match self.put(vec![record], journal).await {
                Err(Fault::Conflict | Fault::Duplicate(_)) => {}
                outcome => return outcome.map(|()| definition).map_err(Into::into),
            }
        }
        Err(Fault::Conflict.into())
    }

    /// A definition by its id or its name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn definition(
        &self,
        app: &AppId,
        key: &str,
    ) -> Result<StoredDefinition, ApprovalError> {
        let by_id = self
            .archive
            .record(app, RecordKind::Definition, key)
            .await?;
        let found = match by_id {
            Some(record) => Some(record),
            None => {
                self.archive
                    .found(RecordKind::Definition, &format!("{app}/{key}"))
                    .await?
            }
        };
        Ok(found.ok_or(ApprovalError::NotFound)?.read()?)
    }

    /// Definitions by id.
    ///
    /// # Errors
    /// Storage.
    pub async fn definitions(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<StoredDefinition>, ApprovalError> {
        self.list(app, RecordKind::Definition, page).await
    }

    /// Opens an approval.
    ///
    /// # Errors
    /// `Invalid` naming the field.
    pub async fn create(
        &self,
        app: &AppId,
        actor: &Actor,
        new: NewApproval,
    ) -> Result<(ApprovalId, State), ApprovalError> {
        let title = text("title", &new.title, 200)?;
        let (root, definition) = match (&new.definition, &new.root) {
            (Some(key), None) => {
                let found = self
                    .definition(app, key)
                    .await
                    .map_err(|error| match error {
                        ApprovalError::NotFound => {
                            ApprovalError::invalid("definition", "names no definition of this App")
                        }
                        other => other,
                    })?;
                (found.root, Some(found.id))
            }
            (None, Some(root)) => (root.clone(), None),
            _ => {
                return Err(ApprovalError::invalid(
                    "root",
                    "either `definition` or `root` must be given, not both",
                ));
            }
        };
        if new.external_url.as_ref().is_some_and(|url| {
            url.len() > 2000 || !(url.starts_with("https://") || url.starts_with("http://"))
        }) {
            return Err(ApprovalError::invalid(
                "external_url",
                "is an http or https address",
            ));
        }
        let steps = self.compiled(&root)?;
        let requester = new
            .requester
            .as_ref()
            .map(|email| Person::new(email.as_str(), [Identity::email(email)]));
        let content = json!({ "app": app, "title": title, "root": root, "requester": new.requester, "external_url": new.external_url, "data": new.data });
        let opening = Opening {
            external_url: new.external_url,
            data: new.data,
            definition,
            ..Opening::new(
                app.clone(),
                ApprovalId::generate(self.clock.now(), self.rng.as_ref()),
                title,
                steps,
            )
            .requester(requester.unwrap_or_default())
            .dig(crypto::sha256_hex(content.to_string().as_bytes()))
        };
        self.open(app, actor, opening, Vec::new()).await
    }

    /// Opens an approval together with records that belong to it.
    pub(crate) async fn open(
        &self,
        app: &AppId,
        actor: &Actor,
        opening: Opening,
        records: Vec<Record>,
    ) -> Result<(ApprovalId, State), ApprovalError> {
        let (id, now) = (opening.id.clone(), self.clock.now());
        let facts = self.facts(app, &opening.steps, &opening.data).await?;
        let events = decide(
            &State::default(),
            &Command::open(opening).knowing(facts),
            now,
        )?;
        let state = events.iter().fold(State::default(), evolve);
        self.apply(app, &id, 0, actor, events, &state, records)
            .await?;
        Ok((id, state))
    }

    /// An approval, with everything that is due by now applied to it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn approval(&self, app: &AppId, id: &ApprovalId) -> Result<Stored, ApprovalError> {
        self.store
            .approval(app, id)
            .await?
            .ok_or(ApprovalError::NotFound)
    }

    /// Ids of approvals, newest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn approvals(
        &self,
        app: &AppId,
        state: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<ApprovalId>, ApprovalError> {
        Ok(self.archive.approvals(app, state, page).await?)
    }

    /// Approvals without a portal request that wait for this person, oldest first.
    ///
    /// # Errors
    /// Storage.
    pub async fn waiting(
        &self,
        app: &AppId,
        person: &Person,
        page: &PageRequest,
    ) -> Result<Page<(ApprovalId, State)>, ApprovalError> {
        let ids = self.store.waiting(app, person, page).await?;
        let mut data = Vec::with_capacity(ids.data.len());
        for id in ids.data {
            let state = self.approval(app, &id).await?.state;
            data.push((id, state));
        }
        Ok(Page {
            data,
            next_cursor: ids.next_cursor,
        })
    }

    /// Withdraws an approval.
    ///
    /// # Errors
    /// `NotFound`, `Refused` when it is closed.
    pub async fn cancel(
        &self,
        app: &AppId,
        id: &ApprovalId,
        actor: &Actor,
    ) -> Result<State, ApprovalError> {
        self.command(app, id, actor, Person::default(), &Intent::Cancel)
            .await
    }

    /// Begins an approval anew: votes and links of earlier epochs count no more.
    ///
    /// # Errors
    /// `NotFound`; `Refused` for an approval that a portal request is behind and that gave a grant.
    pub async fn reset(
        &self,
        app: &AppId,
        id: &ApprovalId,
        actor: &Actor,
    ) -> Result<State, ApprovalError> {
        self.command(app, id, actor, Person::default(), &Intent::Reset)
            .await
    }

    /// Votes.
    ///
    /// # Errors
    /// `NotFound`, `Refused`.
    pub async fn vote(
        &self,
        app: &AppId,
        id: &ApprovalId,
        step: &str,
        person: &Person,
        ballot: Ballot,
    ) -> Result<State, ApprovalError> {
        self.vote_with(app, id, step, person, ballot, Vec::new())
            .await
    }

    /// Votes, together with records that stand or fall with the vote.
    pub(crate) async fn vote_with(
        &self,
        app: &AppId,
        id: &ApprovalId,
        step: &str,
        person: &Person,
        ballot: Ballot,
        records: Vec<Record>,
    ) -> Result<State, ApprovalError> {
        let stored = self.approval(app, id).await?;
        let step = stored.state.step_of(step).ok_or(ApprovalError::NotFound)?;
        let actor = crate::approvals::actor_of(app, person);
        let intent = Intent::Vote {
            step: Some(step),
            ballot: Box::new(ballot),
        };
        self.command_with(app, id, &actor, person.clone(), &intent, &records)
            .await
    }

    /// Answers for a hook, or lets in (`pass`) or skips a step that is held.
    ///
    /// # Errors
    /// `NotFound`, `Refused`.
    pub async fn answer(
        &self,
        app: &AppId,
        id: &ApprovalId,
        step: &str,
        pass: bool,
        actor: &Actor,
    ) -> Result<State, ApprovalError> {
        let stored = self.approval(app, id).await?;
        let step = stored.state.step_of(step).ok_or(ApprovalError::NotFound)?;
        self.command(
            app,
            id,
            actor,
            Person::default(),
            &Intent::Answer { step, pass },
        )
        .await
    }

    async fn command(
        &self,
        app: &AppId,
        id: &ApprovalId,
        actor: &Actor,
        person: Person,
        intent: &Intent,
    ) -> Result<State, ApprovalError> {
        self.command_with(app, id, actor, person, intent, &[]).await
    }

    async fn command_with(
        &self,
        app: &AppId,
        id: &ApprovalId,
        actor: &Actor,
        person: Person,
        intent: &Intent,
        records: &[Record],
    ) -> Result<State, ApprovalError> {
        for _ in 0..RETRIES {
            let stored = self.approval(app, id).await?;
            let (frozen, data) = about(&stored.state);
            let facts = self.facts(app, &frozen, &data).await?;
            let now = self.clock.now();
            let command = Command::of(person.clone(), intent.clone()).knowing(facts);
            let events = decide(&stored.state, &command, now)?;
            let state = events.iter().fold(stored.state, evolve);
            match self
                .apply(
                    app,
                    id,
                    stored.version,
                    actor,
                    events,
                    &state,
                    records.to_vec(),
                )
                .await
            {
                Err(Fault::Conflict) => {}
                outcome => return outcome.map(|()| state).map_err(Into::into),
            }
        }
        Err(Fault::Conflict.into())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a transition is made of all of these"
    )]
    async fn apply(
        &self,
        app: &AppId,
        id: &ApprovalId,
        version: i64,
        actor: &Actor,
        events: Vec<Event>,
        state: &State,
        records: Vec<Record>,
    ) -> Result<(), Fault> {
        if events.is_empty() {
            return Ok(());
        }
        let chronicle = Chronicle {
            app,
            approval: id,
            actor: actor.clone(),
            now: self.clock.now(),
            rng: self.rng.as_ref(),
        };
        let journal = chronicle.of(&events, state);
        let approval = Some(append(app, id, version, state, events));
        self.store
            .apply(Transition {
                approval,
                records,
                journal,
                ..Transition::default()
            })
            .await
    }

    fn compiled(&self, root: &Value) -> Result<Vec<FrozenStep>, ApprovalError> {
        let now = self.clock.now();
        let read = Definition::read(root).and_then(|root| {
            Definition::compile(&root, || StepId::generate(now, self.rng.as_ref()))
        });
        read.map_err(|error| ApprovalError::invalid(error.field, error.reason))
    }

    /// Everything outside that the engine may ask about for these steps.
    pub(crate) async fn facts(
        &self,
        app: &AppId,
        steps: &[FrozenStep],
        data: &Value,
    ) -> Result<Facts, Fault> {
        let mut facts = Facts {
            delegations: self.all_delegations(app).await?,
            ..Facts::default()
        };
        for step in steps {
            for approver in step.approvers.iter().chain(&step.escalate_to) {
                if let Approver::Group(name) = approver
                    && !facts.groups.contains_key(name)
                {
                    facts
                        .groups
                        .insert(name.clone(), self.members(app, name).await?);
                }
            }
            if let Some(condition) = &step.condition {
                facts
                    .conditions
                    .entry(condition.clone())
                    .or_insert_with(|| self.conditions.holds(condition, data));
            }
        }
        Ok(facts)
    }

    pub(crate) fn audit(
        &self,
        app: &AppId,
        actor: &Actor,
        action: &str,
        target: &str,
        data: Value,
    ) -> Journal {
        let entry = AuditEntry {
            app_id: Some(app.clone()),
            at: self.clock.now(),
            actor: actor.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            data,
        };
        Journal {
            audit: vec![entry],
            ..Journal::default()
        }
    }

    pub(crate) async fn put(&self, records: Vec<Record>, journal: Journal) -> Result<(), Fault> {
        self.store
            .apply(Transition {
                records,
                journal,
                ..Transition::default()
            })
            .await
    }

    pub(crate) async fn drop_record(
        &self,
        app: &AppId,
        kind: RecordKind,
        id: &str,
        journal: Journal,
    ) -> Result<(), Fault> {
        let gone = vec![Gone {
            app_id: app.clone(),
            kind,
            id: id.to_owned(),
        }];
        self.store
            .apply(Transition {
                gone,
                journal,
                ..Transition::default()
            })
            .await
    }

    pub(crate) async fn list<T: serde::de::DeserializeOwned>(
        &self,
        app: &AppId,
        kind: RecordKind,
        page: &PageRequest,
    ) -> Result<Page<T>, ApprovalError> {
        let rows = self.archive.records(app, kind, page).await?;
        let data = rows
            .data
            .iter()
            .map(Record::read)
            .collect::<Result<_, _>>()?;
        Ok(Page {
            data,
            next_cursor: rows.next_cursor,
        })
    }

    /// The present moment, by the service's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The frozen tree and the data of an approval.
fn about(state: &State) -> (Vec<FrozenStep>, Value) {
    match state.opening.as_deref() {
        Some(opening) => (opening.steps.clone(), opening.data.clone()),
        None => (Vec::new(), Value::Null),
    }
}

/// A text for people: trimmed, 1 to `most` characters, no control characters.
pub(crate) fn text(field: &str, given: &str, most: usize) -> Result<String, ApprovalError> {
    let given = given.trim();
    let length = given.chars().count();
    if length == 0 || length > most {
        return Err(ApprovalError::invalid(
            field,
            format!("must have 1 to {most} characters"),
        ));
    }
    if given.chars().any(char::is_control) {
        return Err(ApprovalError::invalid(
            field,
            "must have no control characters",
        ));
    }
    Ok(given.to_owned())
}
