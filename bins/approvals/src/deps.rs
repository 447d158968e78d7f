use std::path::PathBuf;
use std::sync::Arc;

use heimdall_approval::accounts::{Accounts, Foundation, ProviderSettingsError};
use heimdall_approval::workflows::Workflows;
use heimdall_approval::{Approvals, Portals};
use heimdall_server::{Csrf, Pages, PagesError};
use heimdall_store::Store;
use heimdall_tenant::Tenants;
use heimdall_token::{RootKey, crypto};
use heimdall_types::{Clock, Rng, Secret};
use thiserror::Error;

use crate::conditions::CelConditions;
use crate::external::{External, Hashing, Legacy};
use crate::role_book::Roles;
use crate::scanners::Scanners;

/// What the routes and pages stand on.
#[derive(Clone)]
pub struct Deps {
    /// Users, roles and tokens.
    pub tenants: Tenants,
    /// Requests, decisions, grants.
    pub approvals: Approvals,
    /// Hosts and signature keys.
    pub portals: Portals,
    /// Approvals that programs open.
    pub workflows: Workflows,
    /// Accounts of external approvers.
    pub accounts: Accounts,
    /// The older system whose mail links are still believed.
    pub(crate) legacy: Option<Arc<Legacy>>,
    /// Who opens every link of a mail.
    pub(crate) scanners: Arc<Scanners>,
    /// The database, for users and signals.
    pub store: Arc<Store>,
    /// Seals cookies and nonces.
    pub root_key: Arc<RootKey>,
    /// Form tokens.
    pub csrf: Csrf,
    /// The pages.
    pub pages: Pages,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The address people use, without a slash at its end.
    pub base_url: String,
    /// Where mails lie when there is no mail server: then there is a mailbox page.
    pub mailbox: Option<PathBuf>,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// What the service takes from outside.
#[derive(Clone)]
pub struct Assembly {
    /// Users, roles and tokens.
    pub tenants: Tenants,
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// Seals keys, cookies and nonces.
    pub root_key: RootKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The address people use, without a slash at its end.
    pub base_url: String,
    /// Where mails lie when there is no mail server.
    pub mailbox: Option<PathBuf>,
    /// An operator's own templates and messages.
    pub overrides: Option<PathBuf>,
    /// How people without an App are known.
    pub external: External,
}

/// Why the service cannot be put together.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// A template or message file of the operator is wrong.
    #[error(transparent)]
    Pages(#[from] PagesError),
    /// A log-in provider cannot be used.
    #[error(transparent)]
    Provider(#[from] ProviderSettingsError),
}

impl std::fmt::Debug for Assembly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembly")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// Wires the engine to the store.
///
/// # Errors
/// When a template or message file of the operator is wrong, or a log-in provider cannot be used.
pub fn assemble(from: Assembly) -> Result<Deps, AssemblyError> {
    let Assembly {
        tenants,
        store,
        root_key,
        clock,
        rng,
        base_url,
        mailbox,
        overrides,
        external,
    } = from;
    let roles = Arc::new(Roles::new(tenants.clone(), store.clone()));
    let approvals = Approvals::new(
        store.clone(),
        store.clone(),
        store.clone(),
        roles,
        clock.clone(),
        rng.clone(),
    );
    let portals = Portals::new(store.clone(), root_key.clone(), clock.clone(), rng.clone());
    let conditions = Arc::new(CelConditions);
    let workflows = Workflows::new(
        store.clone(),
        store.clone(),
        conditions,
        portals.clone(),
        root_key.clone(),
        clock.clone(),
        rng.clone(),
    )
    .confirming(external.confirmation);
    let approvals = approvals.knowing(workflows.clone());
    let foundation = Foundation {
        book: store.clone(),
        desk: store.clone(),
        passwords: Arc::new(Hashing(external.passwords)),
        http: external.http,
        approvals: approvals.clone(),
        root_key: root_key.clone(),
        clock: clock.clone(),
        rng: rng.clone(),
        base_url: base_url.clone(),
    };
    let accounts = Accounts::new(foundation, external.providers)?;
    Ok(Deps {
        csrf: Csrf::new(&Secret::new(crypto::hex(
            root_key.derive("portal-csrf").as_slice(),
        ))),
        pages: crate::pages::build(overrides)?,
        root_key: Arc::new(root_key),
        tenants,
        approvals,
        accounts,
        legacy: external.legacy.map(Arc::new),
        workflows,
        scanners: Arc::default(),
        portals,
        store,
        clock,
        rng,
        base_url,
        mailbox,
    })
}
