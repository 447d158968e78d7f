//! Templates of just-in-time approvals, as administrators make them.

use heimdall_types::{Actor, AppId, Page, PageRequest, TemplateId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Workflows, text};
use crate::archive::{Record, RecordKind};
use crate::data_schema::DataSchema;
use crate::definition::Approver;
use crate::error::ApprovalError;

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
    /// What `data` looks like, as [`DataSchema::read`] takes it.
    #[serde(default)]
    pub data_schema: Value,
    /// Anything.
    #[serde(default)]
    pub metadata: Value,
    /// Who decides.
    pub approvers: Vec<Approver>,
    /// Yes votes that are needed; 1 when absent.
    #[serde(default)]
    pub pass: Option<u32>,
    /// No votes that end it; 1 when absent.
    #[serde(default)]
    pub fail: Option<u32>,
    /// Hours to decide, 1 to 8760; 24 when absent.
    #[serde(default)]
    pub deadline_hours: Option<u32>,
    /// Whether it can be used.
    pub enabled: bool,
    /// Grows when it is changed. Requests that are open keep what they began with.
    #[serde(default)]
    pub version: u32,
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
    /// Yes votes that are needed.
    #[serde(default)]
    pub pass: Option<u32>,
    /// No votes that end it.
    #[serde(default)]
    pub fail: Option<u32>,
    /// Hours to decide.
    #[serde(default)]
    pub deadline_hours: Option<u32>,
    /// Whether it can be used.
    #[serde(default)]
    pub enabled: Option<bool>,
}

impl JitTemplate {
    fn take(&mut self, change: TemplateChange) -> Result<(), ApprovalError> {
        if let Some(name) = &change.name {
            self.name = text("name", name, 200)?;
        }
        if let Some(title) = &change.title {
            self.title = text("title", title, 200)?;
        }
        self.kind = change.kind.unwrap_or(self.kind);
        if let Some(schema) = change.data_schema {
            DataSchema::read(&schema)?;
            self.data_schema = schema;
        }
        self.metadata = change.metadata.unwrap_or(self.metadata.take());
        self.approvers = change
            .approvers
            .unwrap_or(std::mem::take(&mut self.approvers));
        self.pass = change.pass.or(self.pass);
        self.fail = change.fail.or(self.fail);
        self.deadline_hours = change.deadline_hours.or(self.deadline_hours);
        self.enabled = change.enabled.unwrap_or(self.enabled);
        self.version += 1;
        if self.approvers.is_empty() {
            return Err(ApprovalError::invalid(
                "approvers",
                "must name at least one",
            ));
        }
        Ok(())
    }

    /// Hours that people have to decide.
    pub fn hours(&self) -> u32 {
        self.deadline_hours.unwrap_or(24)
    }

    /// The tree that a request by this template compiles to.
    pub(crate) fn root(&self, title: &str) -> Value {
        json!({
            "name": title, "type": "group", "approvers": self.approvers, "pass": self.pass.unwrap_or(1),
            "fail": self.fail.unwrap_or(1), "signature": self.kind == TemplateKind::SignAndApprove,
            "deadline_hours": self.hours(),
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
                    pass: None,
                    fail: None,
                    deadline_hours: None,
                    enabled: true,
                    version: 0,
                };
                (None, template)
            }
        };
        template.take(change)?;
        self.compiled(&template.root(&template.title))
            .map_err(below_root)?;
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
            json!({ "key": template.key, "enabled": template.enabled, "version": template.version }),
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
}

// The template's own members are named, not those of the tree it compiles to.
fn below_root(error: ApprovalError) -> ApprovalError {
    match error {
        ApprovalError::Invalid { field, reason } => {
            let own = field.strip_prefix("root.").unwrap_or(&field).to_owned();
            ApprovalError::Invalid { field: own, reason }
        }
        other => other,
    }
}
