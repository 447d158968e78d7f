use std::sync::Arc;

use heimdall_token::{Algorithm, JwksFetch, PublicKeys, RootKey, Signer};
use heimdall_types::{
    AppId, AuditEntry, Clock, EventId, Fault, FeedEvent, Journal, Rng, Timestamp,
};
use serde_json::{Value, json};

use crate::authority::{Effective, Model, may_grant};
use crate::cache::Caches;
use crate::caller::Caller;
use crate::change::{Change, Subject, Transition};
use crate::entity::{App, AppState};
use crate::error::TenantError;
use crate::permission::Pattern;
use crate::ports::{
    Addresses, AppKey, Apps, Authority, Credentials, Directory, Invites, Ledger,
    NotificationConfigs, Passwords, Proofs, Sessions, Webhooks,
};
use crate::secrets::Secrets;
use crate::settings::TenantSettings;

mod admin_keys;
mod apps;
mod authenticate;
mod checks;
mod credentials;
mod exchange;
mod invites;
mod issue;
mod password_resets;
mod revocations;
mod roles;
mod second_factors;
mod second_step;
mod sessions;
mod tokens;
mod users;
mod webhooks;

pub use checks::Introspection;
pub use second_step::{Authenticated, LoggedIn};
pub use tokens::{ClientAuth, Grant};
pub use users::UserQuery;

/// How often a decision that met another writer is made again.
const ATTEMPTS: usize = 8;

/// The keys that sign and verify access tokens: `heimdall_token::KeyRing`, as far as this crate needs it.
pub trait SigningKeys: Send + Sync {
    /// The signer of the active key; `None` when there is none, then nothing is issued.
    fn signer(&self) -> Option<Signer>;
    /// The signer of the active key of this algorithm.
    fn signer_for(&self, algorithm: Algorithm) -> Option<Signer>;
    /// Every key whose tokens may still live.
    fn public(&self) -> Arc<PublicKeys>;
    /// Grows whenever the set changes.
    fn epoch(&self) -> u64;
}

/// Everything [`Tenants`] stands on.
#[derive(Clone)]
pub struct TenantPorts {
    /// Apps and admin keys.
    pub apps: Arc<dyn Apps>,
    /// Users.
    pub directory: Arc<dyn Directory>,
    /// Live authority.
    pub authority: Arc<dyn Authority>,
    /// Service credentials.
    pub credentials: Arc<dyn Credentials>,
    /// Logins.
    pub sessions: Arc<dyn Sessions>,
    /// Second factors and password resets.
    pub proofs: Arc<dyn Proofs>,
    /// Invites.
    pub invites: Arc<dyn Invites>,
    /// Webhook endpoints.
    pub webhooks: Arc<dyn Webhooks>,
    /// The way anything changes.
    pub ledger: Arc<dyn Ledger>,
    /// Hashing of passwords.
    pub passwords: Arc<dyn Passwords>,
    /// Keys of access tokens.
    pub keys: Arc<dyn SigningKeys>,
    /// Notification configs of the approvals service; without it their ids are not checked.
    pub notification_configs: Option<Arc<dyn NotificationConfigs>>,
    /// Fetches `jwks_uri`s; without it such clients cannot authenticate.
    pub client_keys: Option<Arc<dyn JwksFetch>>,
    /// Looks at the addresses of webhooks and `jwks_uri`s when they are registered; without it only their spelling is.
    pub addresses: Option<Arc<dyn Addresses>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

/// Apps, users, roles, credentials, tokens, invites, webhooks: the rules of a tenant, over its ports.
///
/// Cheap to clone. Every method takes the [`Caller`] and checks what it may do, so a channel only decodes and encodes.
/// An App of another tenant, and one that does not exist, are the same [`TenantError::NotFound`].
#[derive(Clone)]
pub struct Tenants {
    inner: Arc<Inner>,
}

struct Inner {
    ports: TenantPorts,
    settings: TenantSettings,
    secrets: Secrets,
    caches: Caches,
}

/// An App that a caller may act in, as of now.
#[derive(Clone)]
struct Entered {
    model: Arc<Model>,
    // `None`: the operator, who may do all.
    held: Option<Arc<Effective>>,
}

impl Entered {
    fn id(&self) -> &AppId {
        &self.model.app.id
    }

    fn app(&self) -> &App {
        &self.model.app
    }

    /// The escalation rule for what this caller would hand out.
    fn may_grant<'a>(
        &self,
        granted: impl IntoIterator<Item = &'a Pattern>,
    ) -> Result<(), TenantError> {
        match &self.held {
            None => Ok(()),
            Some(held) => {
                may_grant(held, granted).map_err(|missing| TenantError::Forbidden { missing })
            }
        }
    }
}

impl Tenants {
    /// The service over these ports. `root` gives the keys under which secrets are hashed and sealed.
    pub fn new(ports: TenantPorts, settings: TenantSettings, root: RootKey) -> Self {
        let caches = Caches::new(&settings);
        Self {
            inner: Arc::new(Inner {
                ports,
                caches,
                secrets: Secrets::new(root),
                settings,
            }),
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &TenantSettings {
        &self.inner.settings
    }

    /// What another writer committed: whatever is kept in memory about it is dropped. `targets` are the ids that its
    /// audit rows name. Call it for every commit signal, also of this process; with `everything` when signals were
    /// missed.
    pub fn committed<'a>(
        &self,
        app: Option<&AppId>,
        users: impl IntoIterator<Item = &'a heimdall_types::UserId>,
        targets: impl IntoIterator<Item = &'a str>,
        everything: bool,
    ) {
        self.inner.caches.committed(app, users, targets, everything);
    }

    fn ports(&self) -> &TenantPorts {
        &self.inner.ports
    }

    fn now(&self) -> Timestamp {
        self.inner.ports.clock.now()
    }

    fn rng(&self) -> &dyn Rng {
        &*self.inner.ports.rng
    }

    /// The App that `app` names, for a caller who holds `permission` in it: for channels that read what this crate
    /// does not keep, such as the feed and the audit.
    ///
    /// # Errors
    /// As every method: unauthenticated, forbidden, or the one answer for an App that is absent or another tenant's.
    pub async fn may(
        &self,
        caller: &Caller,
        app: &str,
        permission: &str,
    ) -> Result<AppId, TenantError> {
        Ok(self.enter(caller, app, permission).await?.id().clone())
    }

    /// The App that `app` names, for the operator.
    ///
    /// # Errors
    /// Unauthenticated, forbidden for any token, or not found.
    pub async fn operates(&self, caller: &Caller, app: &str) -> Result<AppId, TenantError> {
        let entered = self.visit(caller, app).await?;
        self.operator(caller)?;
        Ok(entered.id().clone())
    }

    /// The App that `app` names, for a caller who holds `permission` in it.
    async fn enter(
        &self,
        caller: &Caller,
        app: &str,
        permission: &str,
    ) -> Result<Entered, TenantError> {
        let entered = self.visit(caller, app).await?;
        match &entered.held {
            Some(held) if !entered.model.allows(held, permission) => Err(TenantError::Forbidden {
                missing: vec![permission.to_owned()],
            }),
            _ => Ok(entered),
        }
    }

    /// The App that `app` names, for a caller who belongs to it.
    async fn visit(&self, caller: &Caller, app: &str) -> Result<Entered, TenantError> {
        let held = match caller {
            Caller::Anonymous => return Err(TenantError::Unauthenticated),
            Caller::AdminKey(_) | Caller::System => None,
            Caller::Principal(principal) => {
                self.belongs(caller, app)?;
                Some(Arc::clone(&principal.effective))
            }
        };
        let model = self.model_of(app).await?.ok_or(TenantError::NotFound)?;
        Ok(Entered { model, held })
    }

    /// Refuses a caller whose token belongs to another App, as if there were no such App; for what needs no token.
    ///
    /// # Errors
    /// [`TenantError::NotFound`].
    pub fn belongs(&self, caller: &Caller, app: &str) -> Result<(), TenantError> {
        match caller {
            Caller::Principal(principal)
                if principal.model.app.name != app && principal.model.app.id.as_str() != app =>
            {
                Err(TenantError::NotFound)
            }
            _ => Ok(()),
        }
    }

    /// Refuses everybody but operators.
    ///
    /// # Errors
    /// Unauthenticated, or forbidden for any token of an App.
    pub fn operator(&self, caller: &Caller) -> Result<(), TenantError> {
        match caller {
            Caller::Anonymous => Err(TenantError::Unauthenticated),
            Caller::AdminKey(_) | Caller::System => Ok(()),
            Caller::Principal(_) => Err(TenantError::Forbidden {
                missing: vec!["admin key".to_owned()],
            }),
        }
    }

    /// An App by name or id, from memory where it can be; archived ones too.
    async fn model_of(&self, key: &str) -> Result<Option<Arc<Model>>, TenantError> {
        match key.parse::<AppId>() {
            Ok(id) => self.model(AppKey::Id(&id)).await,
            Err(_) => self.model(AppKey::Name(key)).await,
        }
    }

    async fn model(&self, key: AppKey<'_>) -> Result<Option<Arc<Model>>, TenantError> {
        let now = self.now();
        if let Some(model) = self.inner.caches.model(key, now) {
            return Ok(Some(model));
        }
        let ticket = self.inner.caches.ticket();
        let Some(record) = self.ports().apps.app(key).await? else {
            return Ok(None);
        };
        let model = Arc::new(Model::compile(record));
        self.inner
            .caches
            .keep_model(&model, ticket, now.plus(self.inner.settings.cache_age));
        Ok(Some(model))
    }

    /// The App as stored at this moment, for a decision.
    async fn fresh(&self, id: &AppId) -> Result<Arc<Model>, TenantError> {
        let record = self
            .ports()
            .apps
            .app(AppKey::Id(id))
            .await?
            .ok_or(TenantError::NotFound)?;
        Ok(Arc::new(Model::compile(record)))
    }

    /// Applies and tells our own memory at once; other processes hear of it by the commit signal.
    async fn apply(&self, transition: Transition) -> Result<(), Fault> {
        let mut told: Vec<(Option<AppId>, String)> = transition
            .journal
            .audit
            .iter()
            .map(|entry| (entry.app_id.clone(), entry.target.clone()))
            .collect();
        told.extend(transition.notes.iter().map(|note| {
            let (_, id) = note.subject.parts();
            (
                Some(note.app_id.clone()),
                if id.is_empty() {
                    note.app_id.to_string()
                } else {
                    id.to_owned()
                },
            )
        }));
        let outcome = self.ports().ledger.apply(transition).await;
        for (app, target) in &told {
            self.inner
                .caches
                .committed(app.as_ref(), [], [target.as_str()], false);
        }
        outcome
    }

    fn audit(
        &self,
        app: Option<&AppId>,
        caller: &Caller,
        action: &str,
        target: &str,
        data: Value,
    ) -> AuditEntry {
        AuditEntry {
            app_id: app.cloned(),
            at: self.now(),
            actor: caller.actor(),
            action: action.to_owned(),
            target: target.to_owned(),
            data,
        }
    }

    fn event(&self, app: &AppId, kind: &str, mut data: Value) -> FeedEvent {
        let at = self.now();
        if let Some(members) = data.as_object_mut() {
            members.insert("app_id".to_owned(), json!(app));
        }
        FeedEvent {
            id: EventId::generate(at, self.rng()),
            app_id: app.clone(),
            at,
            kind: kind.to_owned(),
            data,
        }
    }

    /// An audit row and the event of the same name and target.
    fn record(
        &self,
        journal: &mut Journal,
        app: &AppId,
        caller: &Caller,
        kind: &str,
        target: &str,
        data: Value,
    ) {
        journal
            .audit
            .push(self.audit(Some(app), caller, kind, target, data.clone()));
        journal.events.push(self.event(app, kind, data));
    }
}

/// What `If-Match` demands.
fn expect(version: i64, expected: Option<i64>) -> Result<(), TenantError> {
    match expected {
        Some(expected) if expected != version => Err(TenantError::Precondition),
        _ => Ok(()),
    }
}

/// Makes a decision again while another writer is in the way.
macro_rules! again {
    ($body:block) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            let outcome: Result<_, TenantError> = async { $body }.await;
            match outcome {
                Err(TenantError::Fault(heimdall_types::Fault::Conflict))
                    if attempt < $crate::tenants::ATTEMPTS => {}
                other => break other,
            }
        }
    }};
}
use again;

impl Transition {
    fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    fn app_note(&mut self, app: &AppId, at: Timestamp) {
        self.note(app, Subject::App, at);
    }
}

/// A working App, or the refusal of whoever wants a token of it.
fn working(app: &App) -> Result<(), TenantError> {
    if app.state == AppState::Active {
        Ok(())
    } else {
        Err(TenantError::State("the App is suspended"))
    }
}
