//! Just-in-time approvals: templates that administrators make, applications that ask by them.

use std::time::Duration;

use heimdall_token::crypto;
use heimdall_token::link::ApplicationToken;
use heimdall_types::{
    Actor, AppId, ApprovalId, Fault, JitId, Page, PageRequest, Rng as _, Secret, ServiceKeyId,
    TemplateId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Workflows, text};
use crate::archive::{Record, RecordKind};
use crate::command::Opening;
use crate::definition::Approver;
use crate::error::ApprovalError;
use crate::person::{Identity, Person};
use crate::state::{ApprovalState, State};

/// Live keys of an application: one, and the one it replaces.
const MOST_KEYS: usize = 2;

/// What an approver does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// A click.
    Approve,
    /// A signature.
    SignAndApprove,
}

/// A template of just-in-time approvals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JitTemplate {
    /// Its id.
    pub id: TemplateId,
    /// The approval key that applications name; unique in the App.
    pub key: String,
    /// For administrators.
    pub name: String,
    /// For approvers.
    pub title: String,
    /// What an approver does.
    #[serde(rename = "type")]
    pub kind: TemplateKind,
    /// The members that `data` has: `{name: {type, title?, required?}}`.
    #[serde(default)]
    pub data_schema: Value,
    /// Anything.
    #[serde(default)]
    pub metadata: Value,
    /// Who decides.
    pub approvers: Vec<Approver>,
    /// Whether it can be used.
    pub enabled: bool,
}

/// What a template is made of or changed to; absent members stay.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateChange {
    /// The approval key; only for a new one.
    #[serde(default)]
    pub key: Option<String>,
    /// For administrators.
    #[serde(default)]
    pub name: Option<String>,
    /// For approvers.
    #[serde(default)]
    pub title: Option<String>,
    /// What an approver does.
    #[serde(default, rename = "type")]
    pub kind: Option<TemplateKind>,
    /// The members of `data`.
    #[serde(default)]
    pub data_schema: Option<Value>,
    /// Anything.
    #[serde(default)]
    pub metadata: Option<Value>,
    /// Who decides.
    #[serde(default)]
    pub approvers: Option<Vec<Approver>>,
    /// Whether it can be used.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// A signing key of an application; never shown after it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationKey {
    /// Its id.
    pub id: ServiceKeyId,
    /// The 64 bytes, sealed under the root key, base64.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An application that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The `iss` of its tokens; unique over all Apps.
    pub iss: String,
    /// The App.
    pub app_id: AppId,
    /// Live keys, oldest first.
    pub keys: Vec<ApplicationKey>,
}

/// What an application asks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJit {
    /// The template's approval key.
    pub key: String,
    /// What is approved.
    #[serde(default)]
    pub data: Value,
    /// Anything.
    #[serde(default)]
    pub metadata: Value,
    /// For whom, when it is not the token's user.
    #[serde(default)]
    pub user: Option<String>,
}

/// A just-in-time request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JitRequest {
    /// Its id.
    pub id: JitId,
    /// The App.
    pub app_id: AppId,
    /// The application.
    pub iss: String,
    /// The template's approval key.
    pub key: String,
    /// For whom.
    pub user: String,
    /// Anything.
    pub metadata: Value,
    /// The approval that decides it.
    pub approval_id: ApprovalId,
}

impl JitRequest {
    /// The request as its application sees it.
    pub fn view(&self, state: &State) -> Value {
        let word = match state.state {
            ApprovalState::New | ApprovalState::Open => "pending",
            ApprovalState::Approved => "approved",
            ApprovalState::Rejected => "rejected",
            ApprovalState::Expired => "expired",
            ApprovalState::Cancelled => "cancelled",
        };
        let decided = state.votes().last().map(|(_, _, vote)| {
            json!({ "by": vote.actor.name, "action": vote.action, "comment": vote.comment, "signature": vote.signature, "at": vote.at.to_rfc3339() })
        });
        json!({
            "requestId": self.id, "state": word, "key": self.key, "user": self.user, "metadata": self.metadata,
            "dig": state.dig, "data": state.opening.as_deref().map(|opening| &opening.data), "decision": decided,
        })
    }
}

fn key_text(key: &str) -> Result<String, ApprovalError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if key.is_empty() || key.len() > 64 || !key.chars().all(plain) {
        return Err(ApprovalError::invalid(
            "key",
            "has 1 to 64 of the characters a-z A-Z 0-9 - _ .",
        ));
    }
    Ok(key.to_owned())
}

fn check_data(schema: &Value, data: &Value) -> Result<(), ApprovalError> {
    let (Some(schema), given) = (schema.as_object(), data.as_object()) else {
        return Ok(());
    };
    let none = serde_json::Map::new();
    let given = match (given, data.is_null()) {
        (Some(given), _) => given,
        (None, true) => &none,
        (None, false) => return Err(ApprovalError::invalid("data", "must be an object")),
    };
    if let Some(unknown) = given.keys().find(|name| !schema.contains_key(*name)) {
        return Err(ApprovalError::invalid(
            format!("data.{unknown}"),
            "is not in the template's schema",
        ));
    }
    for (name, rule) in schema {
        let kind = rule.get("type").and_then(Value::as_str).unwrap_or("string");
        let required = rule
            .get("required")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let fits = match given.get(name) {
            None | Some(Value::Null) if required => {
                return Err(ApprovalError::invalid(format!("data.{name}"), "is missing"));
            }
            None | Some(Value::Null) => true,
            Some(value) => match kind {
                "number" => value.is_number(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                "string" => value.is_string(),
                _ => true,
            },
        };
        if !fits {
            return Err(ApprovalError::invalid(
                format!("data.{name}"),
                format!("must be a {kind}"),
            ));
        }
    }
    Ok(())
}

impl Workflows {
    fn template_lookup(app: &AppId, key: &str) -> String {
        format!("{app}/{key}")
    }

    /// Makes a template (`key` absent) or changes one.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` naming the field, `Fault::Duplicate` for a taken key.
    pub async fn save_template(
        &self,
        app: &AppId,
        actor: &Actor,
        key: Option<&str>,
        change: TemplateChange,
    ) -> Result<JitTemplate, ApprovalError> {
        let missing = |field: &str| ApprovalError::invalid(field, "is missing");
        let (record, mut template) = match key {
            Some(key) => {
                let record = self
                    .archive
                    .found(RecordKind::Template, &Self::template_lookup(app, key))
                    .await?
                    .ok_or(ApprovalError::NotFound)?;
                if change.key.as_deref().is_some_and(|other| other != key) {
                    return Err(ApprovalError::invalid(
                        "key",
                        "cannot be changed: applications name it",
                    ));
                }
                let template = record.read()?;
                (Some(record), template)
            }
            None => {
                let template = JitTemplate {
                    id: TemplateId::generate(self.clock.now(), self.rng.as_ref()),
                    key: key_text(change.key.as_deref().ok_or_else(|| missing("key"))?)?,
                    name: text(
                        "name",
                        change.name.as_deref().ok_or_else(|| missing("name"))?,
                        200,
                    )?,
                    title: text(
                        "title",
                        change.title.as_deref().ok_or_else(|| missing("title"))?,
                        200,
                    )?,
                    kind: change.kind.ok_or_else(|| missing("type"))?,
                    data_schema: Value::Null,
                    metadata: Value::Null,
                    approvers: Vec::new(),
                    enabled: true,
                };
                (None, template)
            }
        };
        if let Some(name) = &change.name {
            template.name = text("name", name, 200)?;
        }
        if let Some(title) = &change.title {
            template.title = text("title", title, 200)?;
        }
        template.kind = change.kind.unwrap_or(template.kind);
        template.data_schema = change.data_schema.unwrap_or(template.data_schema);
        template.metadata = change.metadata.unwrap_or(template.metadata);
        template.approvers = change.approvers.unwrap_or(template.approvers);
        template.enabled = change.enabled.unwrap_or(template.enabled);
        if !(template.data_schema.is_null() || template.data_schema.is_object()) {
            return Err(ApprovalError::invalid(
                "data_schema",
                "is an object of members",
            ));
        }
        if template.approvers.is_empty() {
            return Err(ApprovalError::invalid(
                "approvers",
                "must name at least one",
            ));
        }
        let record = match record {
            Some(record) => record.with(&template)?,
            None => Record::new(app, RecordKind::Template, template.id.as_str(), &template)?
                .found_by(Self::template_lookup(app, &template.key)),
        };
        let journal = self.audit(
            app,
            actor,
            "template.saved",
            template.id.as_str(),
            json!({ "key": template.key, "enabled": template.enabled }),
        );
        self.put(vec![record], journal).await?;
        Ok(template)
    }

    /// A template by its approval key.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn template(&self, app: &AppId, key: &str) -> Result<JitTemplate, ApprovalError> {
        let found = self
            .archive
            .found(RecordKind::Template, &Self::template_lookup(app, key))
            .await?;
        Ok(found.ok_or(ApprovalError::NotFound)?.read()?)
    }

    /// Templates by id.
    ///
    /// # Errors
    /// Storage.
    pub async fn templates(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<JitTemplate>, ApprovalError> {
        self.list(app, RecordKind::Template, page).await
    }

    /// Deletes a template; requests that were made by it go on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_template(
        &self,
        app: &AppId,
        actor: &Actor,
        key: &str,
    ) -> Result<(), ApprovalError> {
        let template = self.template(app, key).await?;
        let journal = self.audit(
            app,
            actor,
            "template.deleted",
            template.id.as_str(),
            json!({ "key": key }),
        );
        Ok(self
            .drop_record(app, RecordKind::Template, template.id.as_str(), journal)
            .await?)
    }

    /// Makes an application, or a further key for it: its two newest keys are good. The key is given out here only.
    ///
    /// # Errors
    /// `Invalid` for a name that is another App's.
    pub async fn application_key(
        &self,
        app: &AppId,
        actor: &Actor,
        iss: &str,
    ) -> Result<(ServiceKeyId, Secret), ApprovalError> {
        let iss = text("iss", iss, 100)?;
        let found = self.archive.found(RecordKind::Application, &iss).await?;
        let mut application = match &found {
            Some(record) if record.app_id != *app => {
                return Err(ApprovalError::invalid("iss", "is taken"));
            }
            Some(record) => record.read()?,
            None => Application {
                iss: iss.clone(),
                app_id: app.clone(),
                keys: Vec::new(),
            },
        };
        let mut bytes = [0u8; 64];
        self.rng.fill(&mut bytes);
        let id = ServiceKeyId::generate(self.clock.now(), self.rng.as_ref());
        let sealed = self
            .root
            .seal(&format!("application-key/{id}"), &bytes, self.rng.as_ref());
        application.keys.push(ApplicationKey {
            id: id.clone(),
            sealed: crypto::base64(&sealed),
            created_at: self.clock.now(),
        });
        let surplus = application.keys.len().saturating_sub(MOST_KEYS);
        application.keys.drain(..surplus);
        let record = match found {
            Some(record) => record.with(&application)?,
            None => Record::new(app, RecordKind::Application, &iss, &application)?.found_by(&iss),
        };
        let journal = self.audit(
            app,
            actor,
            "application.key_created",
            id.as_str(),
            json!({ "iss": iss }),
        );
        self.put(vec![record], journal).await?;
        Ok((id, Secret::new(crypto::base64(&bytes))))
    }

    /// Applications by name.
    ///
    /// # Errors
    /// Storage.
    pub async fn applications(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<Application>, ApprovalError> {
        self.list(app, RecordKind::Application, page).await
    }

    /// Ends an application: its tokens are refused from now on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_application(
        &self,
        app: &AppId,
        actor: &Actor,
        iss: &str,
    ) -> Result<(), ApprovalError> {
        self.archive
            .record(app, RecordKind::Application, iss)
            .await?
            .ok_or(ApprovalError::NotFound)?;
        let journal = self.audit(app, actor, "application.deleted", iss, json!({}));
        Ok(self
            .drop_record(app, RecordKind::Application, iss, journal)
            .await?)
    }

    /// Who an application token speaks for: the application and the user. `audience` is the address of this service.
    ///
    /// # Errors
    /// Storage.
    pub async fn application(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<Option<(Application, ApplicationToken)>, Fault> {
        let Some(iss) = ApplicationToken::peek(token) else {
            return Ok(None);
        };
        let Some(record) = self.archive.found(RecordKind::Application, &iss).await? else {
            return Ok(None);
        };
        let application: Application = record.read()?;
        let mut keys = Vec::new();
        for key in &application.keys {
            let damaged = || Fault::Corrupt(format!("application key `{}`", key.id));
            let sealed = crypto::from_base64(&key.sealed).ok_or_else(damaged)?;
            keys.push(
                self.root
                    .open(&format!("application-key/{}", key.id), &sealed)
                    .map_err(|_| damaged())?
                    .to_vec(),
            );
        }
        Ok(
            ApplicationToken::open(token, &keys, &application.iss, audience, self.clock.now())
                .ok()
                .map(|token| (application, token)),
        )
    }

    /// Asks.
    ///
    /// # Errors
    /// `Invalid` naming the field.
    pub async fn ask(
        &self,
        application: &Application,
        user: &str,
        new: NewJit,
    ) -> Result<(JitRequest, State), ApprovalError> {
        let app = &application.app_id;
        let template = self
            .template(app, &new.key)
            .await
            .ok()
            .filter(|template| template.enabled);
        let template = template
            .ok_or_else(|| ApprovalError::invalid("key", "names no template that is enabled"))?;
        check_data(&template.data_schema, &new.data)?;
        let user = text("user", new.user.as_deref().unwrap_or(user), 254)?;
        let sign = template.kind == TemplateKind::SignAndApprove;
        let root = json!({ "name": template.title, "type": "group", "approvers": template.approvers, "pass": 1, "signature": sign });
        let now = self.clock.now();
        let content = json!({ "app": app, "key": template.key, "title": template.title, "user": user, "data": new.data, "metadata": new.metadata });
        let requester: Vec<Identity> = user
            .parse()
            .ok()
            .as_ref()
            .map(Identity::email)
            .into_iter()
            .collect();
        let opening = Opening {
            data: new.data,
            ..Opening::new(
                app.clone(),
                ApprovalId::generate(now, self.rng.as_ref()),
                &template.title,
                self.compiled(&root)?,
            )
            .requester(Person::new(&user, requester))
            .dig(crypto::sha256_hex(content.to_string().as_bytes()))
            .deadline(Some(now.plus(Duration::from_secs(86_400))))
        };
        let request = JitRequest {
            id: JitId::generate(now, self.rng.as_ref()),
            app_id: app.clone(),
            iss: application.iss.clone(),
            key: template.key,
            user,
            metadata: new.metadata,
            approval_id: opening.id.clone(),
        };
        let record = Record::new(app, RecordKind::Jit, request.id.as_str(), &request)?;
        let (_, state) = self
            .open(
                app,
                &Actor::Client {
                    id: application.iss.clone(),
                },
                opening,
                vec![record],
            )
            .await?;
        Ok((request, state))
    }

    /// A request of this application.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn jit(
        &self,
        application: &Application,
        id: &str,
    ) -> Result<(JitRequest, State), ApprovalError> {
        let record = self
            .archive
            .record(&application.app_id, RecordKind::Jit, id)
            .await?
            .ok_or(ApprovalError::NotFound)?;
        let request: JitRequest = record.read()?;
        if request.iss != application.iss {
            return Err(ApprovalError::NotFound);
        }
        let stored = self
            .approval(&application.app_id, &request.approval_id)
            .await?;
        Ok((request, stored.state))
    }
}
