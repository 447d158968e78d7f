//! Applications that ask for just-in-time approvals, and the keys they sign their tokens with.

use heimdall_token::crypto;
use heimdall_token::link::ApplicationToken;
use heimdall_types::{
    Actor, AppId, Fault, Page, PageRequest, Rng as _, Secret, ServiceKeyId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Workflows, text};
use crate::archive::{Record, RecordKind};
use crate::error::ApprovalError;

/// Live keys of an application: one, and the one it replaces.
const MOST_KEYS: usize = 2;

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

impl Workflows {
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

    /// One application of the App.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn application_of(
        &self,
        app: &AppId,
        iss: &str,
    ) -> Result<Application, ApprovalError> {
        let found = self
            .archive
            .record(app, RecordKind::Application, iss)
            .await?;
        Ok(found.ok_or(ApprovalError::NotFound)?.read()?)
    }

    /// Ends a signing key of an application: what it signed is refused from now on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_application_key(
        &self,
        app: &AppId,
        actor: &Actor,
        iss: &str,
        key: &str,
    ) -> Result<(), ApprovalError> {
        let found = self
            .archive
            .record(app, RecordKind::Application, iss)
            .await?;
        let record = found.ok_or(ApprovalError::NotFound)?;
        let mut application: Application = record.read()?;
        let before = application.keys.len();
        application.keys.retain(|known| known.id.as_str() != key);
        if application.keys.len() == before {
            return Err(ApprovalError::NotFound);
        }
        let data = json!({ "iss": iss });
        let journal = self.audit(app, actor, "application.key_deleted", key, data);
        let record = record.with(&application)?;
        Ok(self.put(vec![record], journal).await?)
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
}
