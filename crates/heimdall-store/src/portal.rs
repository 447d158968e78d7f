//! Portal settings, in the documents of their App.

use async_trait::async_trait;
use heimdall_approval::Portal;
use heimdall_approval::ports::PortalBook;
use heimdall_types::{AppId, Fault, Journal};
use serde_json::json;

use crate::conn::{Conn, JobResult, Scope};
use crate::documents::{find, put};
use crate::journal;
use crate::store::Store;

const KEY: &str = "portal";

#[async_trait]
impl PortalBook for Store {
    async fn portal(&self, app: &AppId) -> Result<Option<Portal>, Fault> {
        let owner = app.to_string();
        self.read(Scope::from(app), move |c| {
            let Some(document) = find(c, &owner, KEY)? else {
                return Ok(None);
            };
            let portal: Portal = serde_json::from_value(document.body)?;
            Ok(Some(Portal {
                version: document.version,
                ..portal
            }))
        })
        .await
    }

    async fn put_portal(
        &self,
        app: &AppId,
        portal: &Portal,
        journal: Journal,
    ) -> Result<i64, Fault> {
        let (app, portal) = (app.clone(), portal.clone());
        // Across Apps: a key must not be another App's.
        self.write(Scope::System, move |c| {
            claim(c, &app, &portal)?;
            let expected = (portal.version > 0).then_some(portal.version);
            let body = serde_json::to_string(&portal)?;
            let version = put(c, app.as_str(), KEY, expected, &body)?;
            journal::write(c, &journal)?;
            c.touched.of(Some(&app)).targets.push(KEY.to_owned());
            Ok(version)
        })
        .await
    }
}

// Two Apps with one key could sign each other's links. A key stays its App's for good, also after it was replaced:
// links that it signed may still be about.
fn claim(c: &mut Conn<'_>, app: &AppId, portal: &Portal) -> JobResult<()> {
    for key in &portal.keys {
        let name = format!("{KEY}-key/{}", key.fingerprint);
        match find(c, "", &name)? {
            Some(owner) if owner.body != json!({ "app": app }) => {
                return Err(Fault::Duplicate("signature_key").into());
            }
            Some(_) => {}
            None => {
                put(c, "", &name, None, &json!({ "app": app }).to_string())?;
            }
        }
    }
    Ok(())
}

impl Store {
    /// Writes a journal that belongs to no other change, such as a test mail that somebody asked for.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn record(&self, journal: Journal) -> Result<(), Fault> {
        self.write(Scope::System, move |c| journal::write(c, &journal))
            .await
    }
}
