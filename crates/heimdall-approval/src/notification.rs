use std::collections::BTreeSet;
use std::sync::Arc;

use heimdall_types::{
    Actor, AppId, AuditEntry, Clock, Email, Journal, NotificationConfigId, Page, PageRequest, Rng,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::ApprovalError;
use crate::ports::NotificationBook;

const LONGEST_NAME: usize = 100;
const MOST_RECIPIENTS: usize = 50;

/// People to tell, and whether they decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationConfig {
    /// The App.
    pub app_id: AppId,
    /// Its id.
    pub id: NotificationConfigId,
    /// For people; unique in the App.
    pub name: String,
    /// Who gets the mails.
    pub recipients: Vec<Email>,
    /// Whether its recipients decide requests for roles that carry it and have no approval step of their own.
    pub use_for_external_approvals: bool,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

/// What a config is to be; in a change `None` leaves a member as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationInput {
    /// 1 to 100 characters.
    pub name: Option<String>,
    /// 1 to 50 addresses.
    pub recipients: Option<Vec<String>>,
    /// Whether its recipients decide; `false` for a new one that does not say.
    pub use_for_external_approvals: Option<bool>,
}

/// The notification configs of all Apps. Cheap to clone.
#[derive(Clone)]
pub struct NotificationConfigs {
    book: Arc<dyn NotificationBook>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl NotificationConfigs {
    /// A service over its port.
    pub fn new(book: Arc<dyn NotificationBook>, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { book, clock, rng }
    }

    /// One config.
    ///
    /// # Errors
    /// `NotFound`, also for a malformed id.
    pub async fn config(&self, app: &AppId, id: &str) -> Result<NotificationConfig, ApprovalError> {
        let id = id.parse().map_err(|_| ApprovalError::NotFound)?;
        self.book
            .config(app, &id)
            .await?
            .ok_or(ApprovalError::NotFound)
    }

    /// The configs of an App.
    ///
    /// # Errors
    /// Storage.
    pub async fn configs(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<NotificationConfig>, ApprovalError> {
        Ok(self.book.configs(app, page).await?)
    }

    /// Makes a config.
    ///
    /// # Errors
    /// `Invalid` naming the member, `Fault::Duplicate` for a name that is taken.
    pub async fn create(
        &self,
        app: &AppId,
        actor: &Actor,
        input: &NotificationInput,
    ) -> Result<NotificationConfig, ApprovalError> {
        let config = NotificationConfig {
            app_id: app.clone(),
            id: NotificationConfigId::generate(self.clock.now(), self.rng.as_ref()),
            name: named(input.name.as_deref().unwrap_or_default())?,
            recipients: addressed(input.recipients.as_deref().unwrap_or_default())?,
            use_for_external_approvals: input.use_for_external_approvals.unwrap_or(false),
            version: 0,
        };
        self.put(config, actor, "notification_config.created").await
    }

    /// Changes a config.
    ///
    /// # Errors
    /// As [`NotificationConfigs::create`], and `NotFound`.
    pub async fn change(
        &self,
        app: &AppId,
        actor: &Actor,
        id: &str,
        input: &NotificationInput,
    ) -> Result<NotificationConfig, ApprovalError> {
        let mut config = self.config(app, id).await?;
        if let Some(name) = &input.name {
            config.name = named(name)?;
        }
        if let Some(recipients) = &input.recipients {
            config.recipients = addressed(recipients)?;
        }
        config.use_for_external_approvals = input
            .use_for_external_approvals
            .unwrap_or(config.use_for_external_approvals);
        self.put(config, actor, "notification_config.changed").await
    }

    /// Deletes a config. A role that carries it tells nobody through it from then on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(&self, app: &AppId, actor: &Actor, id: &str) -> Result<(), ApprovalError> {
        let config = self.config(app, id).await?;
        let journal = self.audited(&config, actor, "notification_config.deleted");
        Ok(self.book.drop_config(app, &config.id, journal).await?)
    }

    async fn put(
        &self,
        config: NotificationConfig,
        actor: &Actor,
        action: &str,
    ) -> Result<NotificationConfig, ApprovalError> {
        let journal = self.audited(&config, actor, action);
        self.book.put_config(&config, journal).await?;
        Ok(NotificationConfig {
            version: config.version + 1,
            ..config
        })
    }

    fn audited(&self, config: &NotificationConfig, actor: &Actor, action: &str) -> Journal {
        let entry = AuditEntry {
            app_id: Some(config.app_id.clone()),
            at: self.clock.now(),
            actor: actor.clone(),
            action: action.to_owned(),
            target: config.id.to_string(),
            data: json!({
                "name": config.name, "recipients": config.recipients.len(),
                "use_for_external_approvals": config.use_for_external_approvals,
            }),
        };
        Journal {
            audit: vec![entry],
            ..Journal::default()
        }
    }
}

fn named(text: &str) -> Result<String, ApprovalError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control)
    {
        return Err(ApprovalError::invalid(
            "name",
            "must have 1 to 100 characters and no control character",
        ));
    }
    Ok(text.to_owned())
}

fn addressed(texts: &[String]) -> Result<Vec<Email>, ApprovalError> {
    if texts.is_empty() || texts.len() > MOST_RECIPIENTS {
        return Err(ApprovalError::invalid(
            "recipients",
            "must name 1 to 50 addresses",
        ));
    }
    let mut seen = BTreeSet::new();
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let field = format!("recipients.{index}");
            let email: Email = text
                .parse()
                .map_err(|_| ApprovalError::invalid(&field, "is not an e-mail address"))?;
            // One person would get the same mail twice.
            if seen.insert(email.clone()) {
                Ok(email)
            } else {
                Err(ApprovalError::invalid(field, "stands there twice"))
            }
        })
        .collect()
}
