//! The tenants' tables: Apps, roles, users, credentials, sessions, invites, webhooks, admin keys.

mod apply;
mod apps;
mod authority;
mod directory;
mod proofs;
mod registry;

pub(crate) use authority::note_user;

use async_trait::async_trait;
use heimdall_tenant::change::Transition;
use heimdall_tenant::ports::Ledger;
use heimdall_types::Fault;
use serde::de::DeserializeOwned;

use crate::conn::JobResult;
use crate::store::Store;

#[async_trait]
impl Ledger for Store {
    async fn apply(&self, transition: Transition) -> Result<(), Fault> {
        let scope = apply::scope_of(&transition);
        self.write(scope, move |c| apply::apply(c, &transition))
            .await
    }
}

fn parse<T: DeserializeOwned>(body: &str) -> JobResult<T> {
    Ok(serde_json::from_str(body)?)
}

fn parse_all<T: DeserializeOwned>(bodies: Vec<String>) -> JobResult<Vec<T>> {
    bodies.iter().map(|body| parse(body)).collect()
}
