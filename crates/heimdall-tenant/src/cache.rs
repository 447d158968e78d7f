//! What is kept in memory: bounded by moka, aged by our clock, dropped when a commit says so.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use heimdall_token::{AccessClaims, RemoteJwks};
use heimdall_types::{AdminKeyId, AppId, CredentialId, SessionId, Timestamp, TokenId, UserId};
use moka::sync::Cache;

use crate::authority::{Effective, Model};
use crate::caller::Identity;
use crate::entity::Credential;
use crate::password::Failures;
use crate::ports::{AppKey, StandingRow};
use crate::settings::TenantSettings;

/// A user's authority in one state of its App.
pub(crate) struct LiveUser {
    pub(crate) model: Arc<Model>,
    pub(crate) row: StandingRow,
    pub(crate) effective: Arc<Effective>,
    /// When a grant begins or ends next.
    pub(crate) until: Option<Timestamp>,
    pub(crate) keep_until: Timestamp,
}

/// A credential's authority in one state of its App.
pub(crate) struct LiveClient {
    pub(crate) model: Arc<Model>,
    pub(crate) credential: Credential,
    pub(crate) effective: Arc<Effective>,
    /// The claims that do not change from token to token, as JSON members behind a comma.
    pub(crate) fixed_claims: String,
    pub(crate) keep_until: Timestamp,
}

/// A token whose signature and shape hold.
pub(crate) struct Verified {
    pub(crate) claims: Arc<AccessClaims>,
    pub(crate) app_id: AppId,
    pub(crate) identity: Identity,
    pub(crate) session: Option<SessionId>,
    pub(crate) id: TokenId,
    pub(crate) keys: u64,
}

/// Proof of when a load began: what was loaded before an invalidation must not be kept after it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

pub(crate) struct Caches {
    generation: AtomicU64,
    models: Cache<AppId, (Arc<Model>, Timestamp)>,
    names: Cache<String, AppId>,
    users: Cache<(AppId, UserId), Arc<LiveUser>>,
    clients: Cache<CredentialId, Arc<LiveClient>>,
    sessions: Cache<SessionId, Timestamp>,
    denied: Cache<AppId, (Arc<HashSet<TokenId>>, Timestamp)>,
    admin_keys: Cache<String, (AdminKeyId, Timestamp)>,
    tokens: Cache<[u8; 32], Arc<Verified>>,
    failures: Cache<String, Failures>,
    assertions: Cache<(CredentialId, String), Timestamp>,
    key_sets: Cache<String, RemoteJwks>,
}

impl Caches {
    pub(crate) fn new(settings: &TenantSettings) -> Self {
        let users = settings.cached_users as u64;
        let apps = settings.cached_apps as u64;
        Self {
            generation: AtomicU64::new(0),
            models: Cache::new(apps),
            names: Cache::new(apps),
            users: Cache::new(users),
            clients: Cache::new(settings.cached_clients as u64),
            sessions: Cache::new(users),
            denied: Cache::new(apps),
            admin_keys: Cache::new(1_000),
            tokens: Cache::new(20_000),
            failures: Cache::new(100_000),
            assertions: Cache::new(100_000),
            key_sets: Cache::new(10_000),
        }
    }

    /// The key set at `uri`; every client that names it shares one, so that a fetch serves them all.
    pub(crate) fn key_set(&self, uri: &str, make: impl FnOnce() -> RemoteJwks) -> RemoteJwks {
        self.key_sets.get_with_by_ref(uri, make)
    }

    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.generation.load(Ordering::SeqCst))
    }

    fn valid(&self, ticket: Ticket) -> bool {
        self.ticket() == ticket
    }

    pub(crate) fn model(&self, key: AppKey<'_>, now: Timestamp) -> Option<Arc<Model>> {
        let (model, until) = match key {
            AppKey::Id(id) => self.models.get(id),
            AppKey::Name(name) => self
                .models
                .get(&self.names.get(name)?)
                .filter(|(model, _)| model.app.name == name),
        }?;
        (now < until).then_some(model)
    }

    pub(crate) fn keep_model(&self, model: &Arc<Model>, ticket: Ticket, until: Timestamp) {
        if self.valid(ticket) {
            self.names
                .insert(model.app.name.clone(), model.app.id.clone());
            self.models
                .insert(model.app.id.clone(), (Arc::clone(model), until));
            if !self.valid(ticket) {
                self.models.invalidate(&model.app.id);
            }
        }
    }

    pub(crate) fn user(&self, app: &AppId, id: &UserId) -> Option<Arc<LiveUser>> {
        self.users.get(&(app.clone(), id.clone()))
    }

    pub(crate) fn keep_user(&self, id: &UserId, live: &Arc<LiveUser>, ticket: Ticket) {
        let key = (live.model.app.id.clone(), id.clone());
        if self.valid(ticket) {
            self.users.insert(key.clone(), Arc::clone(live));
            if !self.valid(ticket) {
                self.users.invalidate(&key);
            }
        }
    }

    pub(crate) fn client(&self, id: &CredentialId) -> Option<Arc<LiveClient>> {
        self.clients.get(id)
    }

    pub(crate) fn keep_client(&self, live: &Arc<LiveClient>, ticket: Ticket) {
        if self.valid(ticket) {
            self.clients
                .insert(live.credential.id.clone(), Arc::clone(live));
            if !self.valid(ticket) {
                self.clients.invalidate(&live.credential.id);
            }
        }
    }

    pub(crate) fn session_live(&self, id: &SessionId, now: Timestamp) -> bool {
        self.sessions.get(id).is_some_and(|until| now < until)
    }

    pub(crate) fn keep_session(&self, id: &SessionId, ticket: Ticket, until: Timestamp) {
        if self.valid(ticket) {
            self.sessions.insert(id.clone(), until);
            if !self.valid(ticket) {
                self.sessions.invalidate(id);
            }
        }
    }

    pub(crate) fn denied(&self, app: &AppId, now: Timestamp) -> Option<Arc<HashSet<TokenId>>> {
        self.denied
            .get(app)
            .filter(|(_, until)| now < *until)
            .map(|(denied, _)| denied)
    }

    pub(crate) fn keep_denied(
        &self,
        app: &AppId,
        denied: &Arc<HashSet<TokenId>>,
        ticket: Ticket,
        until: Timestamp,
    ) {
        if self.valid(ticket) {
            self.denied.insert(app.clone(), (Arc::clone(denied), until));
            if !self.valid(ticket) {
                self.denied.invalidate(app);
            }
        }
    }

    pub(crate) fn admin_key(&self, hash: &str, now: Timestamp) -> Option<AdminKeyId> {
        self.admin_keys
            .get(hash)
            .filter(|(_, until)| now < *until)
            .map(|(id, _)| id)
    }

    pub(crate) fn keep_admin_key(
        &self,
        hash: &str,
        id: &AdminKeyId,
        ticket: Ticket,
        until: Timestamp,
    ) {
        if self.valid(ticket) {
            self.admin_keys.insert(hash.to_owned(), (id.clone(), until));
            if !self.valid(ticket) {
                self.admin_keys.invalidate(hash);
            }
        }
    }

    pub(crate) fn token(&self, digest: &[u8; 32], keys: u64) -> Option<Arc<Verified>> {
        self.tokens
            .get(digest)
            .filter(|verified| verified.keys == keys)
    }

    pub(crate) fn keep_token(&self, digest: [u8; 32], verified: &Arc<Verified>) {
        self.tokens.insert(digest, Arc::clone(verified));
    }

    pub(crate) fn failures(&self, account: &str) -> Failures {
        self.failures.get(account).unwrap_or_default()
    }

    pub(crate) fn keep_failures(&self, account: String, failures: Failures) {
        if failures == Failures::default() {
            self.failures.invalidate(&account);
        } else {
            self.failures.insert(account, failures);
        }
    }

    /// Whether this assertion of a client was not used before, on this instance; it is from now on.
    pub(crate) fn first_use(
        &self,
        client: &CredentialId,
        jti: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> bool {
        let key = (client.clone(), jti.to_owned());
        // Verifiers allow clocks to be a minute apart, so a used one is remembered that much longer.
        let until = until.plus(std::time::Duration::from_secs(60));
        if self.assertions.get(&key).is_some_and(|until| now >= until) {
            self.assertions.invalidate(&key);
        }
        self.assertions.entry(key).or_insert(until).is_fresh()
    }

    /// Drops what a commit made old. The ids that audit rows name tell by their prefix what they are.
    pub(crate) fn committed<'a>(
        &self,
        app: Option<&AppId>,
        users: impl IntoIterator<Item = &'a UserId>,
        targets: impl IntoIterator<Item = &'a str>,
        everything: bool,
    ) {
        // Before and after: a load that began in between sees one of the two.
        self.generation.fetch_add(1, Ordering::SeqCst);
        if everything {
            self.clear();
        }
        if let Some(app) = app {
            for user in users {
                self.users.invalidate(&(app.clone(), user.clone()));
            }
        }
        for target in targets {
            self.drop_target(app, target);
        }
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn drop_target(&self, app: Option<&AppId>, target: &str) {
        let prefix = target.split_inclusive('_').next().unwrap_or_default();
        match (prefix, app) {
            (UserId::PREFIX, Some(app)) => {
                if let Ok(id) = target.parse() {
                    self.users.invalidate(&(app.clone(), id));
                }
            }
            (SessionId::PREFIX, _) => {
                if let Ok(id) = target.parse::<SessionId>() {
                    self.sessions.invalidate(&id);
                }
            }
            (CredentialId::PREFIX, _) => {
                if let Ok(id) = target.parse::<CredentialId>() {
                    self.clients.invalidate(&id);
                }
            }
            (TokenId::PREFIX, Some(app)) => self.denied.invalidate(app),
            (AdminKeyId::PREFIX, _) => self.admin_keys.invalidate_all(),
            // An App, a role or the catalogue. Users and clients hold the model they were computed with.
            ("app_" | "role_", Some(app)) => self.models.invalidate(app),
            ("app_", None) => {
                if let Ok(id) = target.parse::<AppId>() {
                    self.models.invalidate(&id);
                }
            }
            _ => {}
        }
    }

    fn clear(&self) {
        self.models.invalidate_all();
        self.users.invalidate_all();
        self.clients.invalidate_all();
        self.sessions.invalidate_all();
        self.denied.invalidate_all();
        self.admin_keys.invalidate_all();
    }
}
