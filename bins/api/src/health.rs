use std::sync::Arc;

use heimdall_server::{Check, Health};
use heimdall_store::Store;

use crate::deps::Deps;

/// What must hold before a service on this database is ready: it answers, and what others commit is heard of. A
/// process that hears nothing keeps nothing in memory either; it is right, but slow.
pub fn database_checks(store: &Arc<Store>) -> Vec<Check> {
    let (asked, hearing) = (store.clone(), store.clone());
    let database = Check::new("database", move || {
        let store = asked.clone();
        async move { store.ping().await.map_err(|fault| fault.to_string()) }
    });
    let changes = Check::new("changes", move || {
        let hears = hearing.hears();
        let deaf = || "changes of other processes are not heard of".to_owned();
        async move { hears.then_some(()).ok_or_else(deaf) }
    });
    vec![database, changes]
}

/// The checks of the api: the database's, and a key that can sign.
pub(crate) fn health(deps: &Deps) -> Health {
    let mut checks = database_checks(&deps.store);
    let keys = deps.keys.clone();
    checks.push(Check::new("keys", move || {
        let outcome = keys.signer().map(drop).map_err(|error| error.to_string());
        async move { outcome }
    }));
    Health::new(checks)
}
