//! Just-in-time requests: applications ask by a template.

use std::time::Duration;

use heimdall_token::crypto;
use heimdall_types::{Actor, AppId, ApprovalId, JitId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Application, Workflows, text};
use crate::archive::{Record, RecordKind};
use crate::command::Opening;
use crate::data_schema::{DataSchema, titled};
use crate::error::ApprovalError;
use crate::person::{Identity, Person};
use crate::state::{ApprovalState, State};

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

impl Workflows {
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
        DataSchema::read(&template.data_schema)?.check(&new.data)?;
        let user = text("user", new.user.as_deref().unwrap_or(user), 254)?;
        let title = titled(&template.title, &new.data);
        let root = template.root(&title);
        let now = self.clock.now();
        let until = now.plus(Duration::from_secs(u64::from(template.hours()) * 3600));
        let content = json!({ "app": app, "key": template.key, "title": title, "user": user, "data": new.data, "metadata": new.metadata });
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
                &title,
                self.compiled(&root)?,
            )
            .requester(Person::new(&user, requester))
            .dig(crypto::sha256_hex(content.to_string().as_bytes()))
            .deadline(Some(until))
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
        let record = Record::new(app, RecordKind::Jit, request.id.as_str(), &request)?
            .found_by(request.approval_id.as_str());
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

    /// The data of an approval as people read it: by the titles of the template's schema where a template is behind it.
    ///
    /// # Errors
    /// Storage.
    pub async fn shown_data(
        &self,
        app: &AppId,
        id: &ApprovalId,
        state: &State,
    ) -> Result<Vec<(String, String)>, ApprovalError> {
        let found = self.archive.found(RecordKind::Jit, id.as_str()).await?;
        let key = match found {
            Some(record) if record.app_id == *app => Some(record.read::<JitRequest>()?.key),
            _ => None,
        };
        let schema = match key {
            Some(key) => match self.template(app, &key).await {
                Ok(template) => DataSchema::read(&template.data_schema).unwrap_or_default(),
                Err(_) => DataSchema::default(),
            },
            None => DataSchema::default(),
        };
        let data = state.opening.as_deref().map(|opening| &opening.data);
        Ok(data.map(|data| schema.shown(data)).unwrap_or_default())
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
