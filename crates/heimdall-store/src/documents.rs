//! Settings: small JSON documents with a version, by scope and key.

use diesel::prelude::*;
use heimdall_types::{AppId, Fault, Journal};
use serde_json::Value;

use crate::conn::{Conn, JobResult, Scope, one, query};
use crate::journal;
use crate::schema::foundation::settings;
use crate::store::Store;

/// A settings document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Grows by one with each change; 1 for the first.
    pub version: i64,
    /// The content.
    pub body: Value,
}

fn scope_of(app: Option<&AppId>) -> (Scope, String) {
    match app {
        Some(app) => (Scope::from(app), app.to_string()),
        None => (Scope::System, String::new()),
    }
}

impl Store {
    /// The document under `key` of an App, or of the installation for `None`.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn document(
        &self,
        app: Option<&AppId>,
        key: &str,
    ) -> Result<Option<Document>, Fault> {
        let ((scope, owner), key) = (scope_of(app), key.to_owned());
        self.read(scope, move |c| find(c, &owner, &key)).await
    }

    /// Writes the document with what the journal tells about it. `expected` is the version it was read at, `None` for
    /// a document that is new. Returns the new version.
    ///
    /// # Errors
    /// [`Fault::Conflict`] when somebody else was faster.
    pub async fn put_document(
        &self,
        app: Option<&AppId>,
        key: &str,
        expected: Option<i64>,
        body: &Value,
        journal: Journal,
    ) -> Result<i64, Fault> {
        let ((scope, owner), key, body) = (scope_of(app), key.to_owned(), body.to_string());
        let app = app.cloned();
        self.write(scope, move |c| {
            let version = put(c, &owner, &key, expected, &body)?;
            journal::write(c, &journal)?;
            c.touched.of(app.as_ref()).targets.push(key.clone());
            Ok(version)
        })
        .await
    }
}

/// The document under `key`; `owner` is the App's id, or empty for the installation.
pub(crate) fn find(c: &mut Conn<'_>, owner: &str, key: &str) -> JobResult<Option<Document>> {
    let row: Option<(i64, String)> = query!(c => settings::table
        .find((owner, key))
        .select((settings::version, settings::body))
        .first(c)
        .optional())?;
    row.map(|(version, body)| {
        Ok(Document {
            version,
            body: serde_json::from_str(&body)?,
        })
    })
    .transpose()
}

/// Writes a document from inside another job; see [`Store::put_document`].
pub(crate) fn put(
    c: &mut Conn<'_>,
    owner: &str,
    key: &str,
    expected: Option<i64>,
    body: &str,
) -> JobResult<i64> {
    let Some(expected) = expected else {
        let row = (
            settings::scope.eq(owner),
            settings::key.eq(key),
            settings::version.eq(1),
            settings::body.eq(body),
        );
        query!(c => diesel::insert_into(settings::table).values(row).execute(c))?;
        return Ok(1);
    };
    let rows = query!(c => diesel::update(settings::table.find((owner, key)).filter(settings::version.eq(expected)))
        .set((settings::version.eq(expected + 1), settings::body.eq(body)))
        .execute(c))?;
    one(rows)?;
    Ok(expected + 1)
}
