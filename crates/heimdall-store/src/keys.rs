//! Signing keys, sealed before they come here.

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_token::{KeyChange, KeyRecord, KeyState, KeyStore, KeyTransition};
use heimdall_types::{AppId, EventId, Fault, FeedEvent};
use serde_json::json;

use crate::conn::{Conn, JobResult, Scope, one, query};
use crate::journal::{self, Derived};
use crate::schema::foundation::signing_keys;
use crate::schema::tenant::apps;
use crate::store::Store;

#[async_trait]
impl KeyStore for Store {
    async fn load(&self) -> Result<Vec<KeyRecord>, Fault> {
        self.read(Scope::System, |c| {
            let rows: Vec<(String, Option<Vec<u8>>)> = query!(c => signing_keys::table
                .order(signing_keys::kid)
                .select((signing_keys::body, signing_keys::sealed))
                .load(c))?;
            let records = rows.into_iter().map(|(body, sealed)| {
                let record: KeyRecord = serde_json::from_str(&body)?;
                Ok(KeyRecord {
                    sealed: sealed.unwrap_or_default(),
                    ..record
                })
            });
            let records = records.collect::<JobResult<Vec<_>>>()?;
            Ok(records
                .into_iter()
                .filter(|record| record.state != KeyState::Removed)
                .collect())
        })
        .await
    }

    async fn apply(&self, transition: KeyTransition) -> Result<(), Fault> {
        self.write(Scope::System, move |c| {
            let mut journal = transition.journal.clone();
            for change in &transition.changes {
                put(c, change)?;
                journal.events.extend(told(c, change)?);
            }
            journal::write(c, &journal)?;
            c.touched.of(None).targets.extend(
                transition
                    .changes
                    .iter()
                    .map(|change| change.record.kid.clone()),
            );
            Ok(())
        })
        .await
    }
}

/// A key that follows another is told to every App: its receivers may fetch it before it signs.
fn told(c: &mut Conn<'_>, change: &KeyChange) -> JobResult<Vec<FeedEvent>> {
    let record = &change.record;
    if change.expected.is_some() || record.state != KeyState::Pending {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = query!(c => apps::table.select(apps::app_id).load(c))?;
    ids.iter()
        .map(|id| {
            let luck = Derived::new(&["key.rotated", &record.kid, id]);
            let app_id: AppId = id.parse()?;
            let data = json!({
                "app_id": id, "kid": record.kid, "algorithm": record.algorithm,
                "activates_at": record.activates_at.to_rfc3339(),
            });
            Ok(FeedEvent {
                id: EventId::generate(record.created_at, &luck),
                app_id,
                at: record.created_at,
                kind: "key.rotated".to_owned(),
                data,
            })
        })
        .collect()
}

fn put(c: &mut Conn<'_>, change: &KeyChange) -> JobResult<()> {
    let record = &change.record;
    let body = serde_json::to_string(&KeyRecord {
        sealed: Vec::new(),
        ..record.clone()
    })?;
    let row = (
        signing_keys::version.eq(record.version),
        signing_keys::sealed.eq(Some(&record.sealed)),
        signing_keys::body.eq(&body),
    );
    match change.expected {
        // It exists although none was expected: a violated key is `Conflict`.
        None => query!(c => diesel::insert_into(signing_keys::table)
            .values((signing_keys::kid.eq(&record.kid), row))
            .execute(c))
        .map_err(Into::into)
        .and_then(one),
        Some(expected) => {
            let rows = query!(c => diesel::update(
                signing_keys::table.find(&record.kid).filter(signing_keys::version.eq(expected)),
            )
            .set(row)
            .execute(c))?;
            one(rows)
        }
    }
}
