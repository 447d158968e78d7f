//! The subscription to changes of authorisation: what has become of a token since it was issued.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use heimdall_pipeline::{Apis, Bearer, Hints, Http, HttpRequest, Liveness, Standing};
use heimdall_types::{Clock, Secret, Timestamp};
use serde::Deserialize;
use tokio::runtime::Handle;

/// How long one question waits for news.
const WAIT: Duration = Duration::from_secs(20);
/// A feed that nobody answered for so long can no longer tell.
const TOO_OLD: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Most Apps that one API is asked about.
const MAX_APPS: usize = 4096;

/// Where changes come from: an API over HTTP, or the one in this process.
#[async_trait]
pub trait ChangeSource: Send + Sync {
    /// The base address of the API that is meant when a configuration names none.
    fn default_api(&self) -> Option<String>;

    /// The JSON document of `GET {api}/v1/apps/{app}/revocations?since=`; may wait for news up to `wait`.
    ///
    /// # Errors
    /// A sentence for the log.
    async fn changes(
        &self,
        api: &str,
        app: &str,
        since: i64,
        wait: Duration,
    ) -> Result<Vec<u8>, String>;
}

/// Asks an API over HTTP.
pub struct ApiOverHttp {
    http: Arc<dyn Http>,
    key: Option<Secret>,
}

impl ApiOverHttp {
    /// `key` is an API key that may read roles.
    pub fn new(http: Arc<dyn Http>, key: Option<Secret>) -> Self {
        Self { http, key }
    }
}

#[async_trait]
impl ChangeSource for ApiOverHttp {
    fn default_api(&self) -> Option<String> {
        None
    }

    async fn changes(
        &self,
        api: &str,
        app: &str,
        since: i64,
        wait: Duration,
    ) -> Result<Vec<u8>, String> {
        let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        if let Some(key) = &self.key {
            headers.push((
                "Authorization".to_owned(),
                format!("Bearer {}", key.expose()),
            ));
        }
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: format!(
                "{}/v1/apps/{app}/revocations?since={since}&wait={}",
                api.trim_end_matches('/'),
                wait.as_secs()
            ),
            headers,
            body: Vec::new(),
            timeout: wait + Duration::from_secs(10),
            max_body: MAX_ANSWER,
        };
        let answer = self
            .http
            .send(request)
            .await
            .map_err(|fault| fault.to_string())?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("status {}", answer.status))
        }
    }
}

/// Subscriptions to APIs, one for each App that tokens name.
pub struct Feeds {
    source: Arc<dyn ChangeSource>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
}

impl Feeds {
    /// Must be called inside the tokio runtime that shall carry the subscriptions.
    pub fn new(source: Arc<dyn ChangeSource>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source,
            clock,
            runtime: Handle::current(),
        }
    }
}

impl Apis for Feeds {
    fn default_api(&self) -> Option<String> {
        self.source.default_api()
    }

    fn liveness(&self, api: &str, app: Option<&str>) -> Arc<dyn Liveness> {
        let feed = Arc::new(ApiFeed {
            api: api.to_owned(),
            source: self.source.clone(),
            clock: self.clock.clone(),
            runtime: self.runtime.clone(),
            apps: RwLock::default(),
        });
        if let Some(app) = app.filter(|app| app.starts_with("app_")) {
            feed.app(app);
        }
        feed
    }
}

struct ApiFeed {
    api: String,
    source: Arc<dyn ChangeSource>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    apps: RwLock<HashMap<String, Arc<ArcSwap<Changes>>>>,
}

impl ApiFeed {
    /// What is known of an App; the first question about it starts its subscription.
    fn app(&self, app: &str) -> Option<Arc<ArcSwap<Changes>>> {
        if let Some(known) = self
            .apps
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(app)
        {
            return Some(known.clone());
        }
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= MAX_APPS && !apps.contains_key(app) {
            return None;
        }
        let known = apps.entry(app.to_owned()).or_insert_with(|| {
            let changes = Arc::new(ArcSwap::from_pointee(Changes::default()));
            let follow = follow(
                self.source.clone(),
                self.clock.clone(),
                self.api.clone(),
                app.to_owned(),
                Arc::downgrade(&changes),
            );
            self.runtime.spawn(follow);
            changes
        });
        Some(known.clone())
    }
}

impl Liveness for ApiFeed {
    fn standing(&self, bearer: &Bearer<'_>) -> Standing {
        match self.app(bearer.app) {
            Some(changes) => changes.load().standing(bearer, self.clock.now()),
            None => Standing::Unknown,
        }
    }

    fn hints_for_permission(&self, app: &str, permission: &str) -> Hints {
        self.app(app)
            .map(|changes| {
                changes
                    .load()
                    .hints(|role| covers(&role.permissions, permission))
            })
            .unwrap_or_default()
    }

    fn hints_for_role(&self, app: &str, role: &str) -> Hints {
        self.app(app)
            .map(|changes| changes.load().hints(|known| known.role == role))
            .unwrap_or_default()
    }
}

/// Whether one of `granted` is `wanted`, or covers it: `billing:*`, `*`, `*:*`.
fn covers(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|granted| {
        granted == wanted || granted == "*" || {
            let (mut pattern, mut text) = (granted.split(':'), wanted.split(':'));
            loop {
                match (pattern.next(), text.next()) {
                    (None, None) => break true,
                    (Some("*"), Some(_)) => {}
                    (Some(a), Some(b)) if a == b => {}
                    _ => break false,
                }
            }
        }
    })
}

/// What an API said about one App.
#[derive(Debug, Clone, Default)]
struct Changes {
    seq: i64,
    heard: Option<Timestamp>,
    subjects: HashMap<(String, String), Entry>,
    requestable: Vec<Requestable>,
    portal_host: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Document {
    seq: i64,
    #[serde(default)]
    has_more: bool,
    data: Vec<Entry>,
    #[serde(default)]
    requestable: Vec<Requestable>,
    #[serde(default)]
    portal_host: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Requestable {
    role: String,
    #[serde(default)]
    permissions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    seq: i64,
    at: String,
    kind: String,
    id: String,
    status: String,
    #[serde(default)]
    roles: Arc<[String]>,
    #[serde(default)]
    permissions: Arc<[String]>,
    #[serde(default)]
    revoked_before: Option<String>,
    #[serde(default)]
    until: Option<String>,
    /// When a grant began or ended that the same change announced.
    #[serde(skip)]
    turned: Option<Timestamp>,
}

impl Entry {
    /// Since when tokens are to be judged by this entry instead of by their claims.
    fn changed(&self, now: Timestamp) -> Timestamp {
        let at = Timestamp::parse_rfc3339(&self.at).unwrap_or(now);
        self.turned.map_or(at, |turned| turned.max(at))
    }

    fn until(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.until.as_deref()?)
    }
}

impl Changes {
    fn standing(&self, bearer: &Bearer<'_>, now: Timestamp) -> Standing {
        if self.heard.is_none_or(|heard| now.since(heard) > TOO_OLD) {
            return Standing::Unknown;
        }
        let find = |kind: &str, id: &str| self.subjects.get(&(kind.to_owned(), id.to_owned()));
        let gone = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.status != "live");
        if gone(find("app", bearer.app))
            || bearer
                .session
                .is_some_and(|session| gone(find("session", session)))
        {
            return Standing::Revoked;
        }
        let holders = [
            find("user", bearer.subject),
            bearer.client.and_then(|client| find("client", client)),
            find("client", bearer.subject),
        ];
        for entry in holders.into_iter().flatten() {
            let before = entry
                .revoked_before
                .as_deref()
                .map(|text| Timestamp::parse_rfc3339(text).unwrap_or(now));
            if entry.status != "live"
                || before.is_some_and(|before| bearer.issued_at.seconds() <= before.seconds())
            {
                return Standing::Revoked;
            }
            if entry.until().is_some_and(|until| until <= now) {
                // A grant ended or began and nobody has told yet what holds now.
                return Standing::Unknown;
            }
            // Tokens know whole seconds: one issued in the second of the change may be older than it.
            if bearer.issued_at.seconds() <= entry.changed(now).seconds() {
                return Standing::Live {
                    roles: entry.roles.clone(),
                    permissions: entry.permissions.clone(),
                };
            }
        }
        Standing::Current
    }

    fn hints(&self, fits: impl Fn(&Requestable) -> bool) -> Hints {
        let roles = self
            .requestable
            .iter()
            .filter(|role| fits(role))
            .map(|role| role.role.clone());
        Hints {
            requestable_roles: roles.collect(),
            portal_host: self.portal_host.clone(),
        }
    }

    /// This with what a document says on top.
    fn with(&self, document: Document, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.seq = next.seq.max(document.seq);
        next.heard = Some(now);
        for mut entry in document.data {
            let key = (entry.kind.clone(), entry.id.clone());
            let known = next.subjects.get(&key);
            if known.is_none_or(|known| known.seq <= entry.seq) {
                entry.turned = known.and_then(|known| {
                    known
                        .until()
                        .filter(|until| *until <= now)
                        .max(known.turned)
                });
                next.subjects.insert(key, entry);
            }
        }
        next.requestable = document.requestable;
        next.portal_host = document
            .portal_host
            .map(|host| host.trim_end_matches('/').to_owned());
        next
    }

    /// From where to ask next: again about a subject whose grants change at a moment that has come.
    fn since(&self, now: Timestamp) -> (i64, Duration) {
        let due = self
            .subjects
            .values()
            .filter(|entry| entry.until().is_some_and(|until| until <= now))
            .map(|entry| entry.seq - 1)
            .min();
        let next = self
            .subjects
            .values()
            .filter_map(Entry::until)
            .filter(|until| *until > now)
            .min();
        match due {
            Some(seq) => (seq.max(0), Duration::ZERO),
            None if self.heard.is_none() => (0, Duration::ZERO),
            None => (
                self.seq,
                next.map_or(WAIT, |next| next.since(now).min(WAIT)),
            ),
        }
    }
}

/// Asks again and again until nobody looks any more.
async fn follow(
    source: Arc<dyn ChangeSource>,
    clock: Arc<dyn Clock>,
    api: String,
    app: String,
    changes: std::sync::Weak<ArcSwap<Changes>>,
) {
    loop {
        let Some(present) = changes.upgrade().map(|changes| changes.load_full()) else {
            return;
        };
        let (since, wait) = present.since(clock.now());
        let answer = source.changes(&api, &app, since, wait).await;
        let parsed = answer.and_then(|body| {
            serde_json::from_slice::<Document>(&body).map_err(|error| error.to_string())
        });
        let Some(changes) = changes.upgrade() else {
            return;
        };
        match parsed {
            Ok(document) => {
                let (more, quiet) = (document.has_more, document.data.is_empty());
                changes.store(Arc::new(present.with(document, clock.now())));
                // A source that does not wait must not be asked in a circle.
                if !more && (quiet || wait.is_zero() && present.heard.is_some()) {
                    tokio::time::sleep(PAUSE.min(Duration::from_millis(200))).await;
                }
            }
            Err(error) => {
                tracing::warn!(api, app, error, "changes of authorisation cannot be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn changes(entries: serde_json::Value) -> Changes {
        let document = serde_json::json!({"seq": 9, "data": entries, "requestable": [{"role": "admin", "permissions": ["billing:*"]}], "portal_host": "https://p/"});
        Changes::default().with(serde_json::from_value(document).unwrap(), at(1000))
    }

    fn bearer(issued: i64) -> Bearer<'static> {
        Bearer {
            app: "app_1",
            subject: "usr_1",
            session: Some("ses_1"),
            client: None,
            issued_at: at(issued),
        }
    }

    fn user(status: &str) -> serde_json::Value {
        serde_json::json!([{"seq": 3, "at": at(900).to_rfc3339(), "kind": "user", "id": "usr_1", "status": status, "roles": ["r"], "permissions": ["a:b"]}])
    }

    #[test]
    fn a_token_older_than_a_change_is_judged_by_what_holds_now() {
        let changes = changes(user("live"));
        assert!(matches!(
            changes.standing(&bearer(899), at(1001)),
            Standing::Live { .. }
        ));
        assert_eq!(changes.standing(&bearer(901), at(1001)), Standing::Current);
    }

    #[test]
    fn revoked_is_revoked_and_silence_is_unknown() {
        assert_eq!(
            changes(user("revoked")).standing(&bearer(950), at(1001)),
            Standing::Revoked
        );
        let session = serde_json::json!([{"seq": 1, "at": at(1).to_rfc3339(), "kind": "session", "id": "ses_1", "status": "revoked"}]);
        assert_eq!(
            changes(session).standing(&bearer(950), at(1001)),
            Standing::Revoked
        );
        assert_eq!(
            changes(user("live")).standing(&bearer(950), at(2000)),
            Standing::Unknown
        );
        assert_eq!(
            Changes::default().standing(&bearer(950), at(1)),
            Standing::Unknown
        );
    }

    #[test]
    fn hints_name_roles_that_cover_the_permission() {
        let changes = changes(user("live"));
        let hints = changes.hints(|role| covers(&role.permissions, "billing:write"));
        assert_eq!(
            (hints.requestable_roles, hints.portal_host.as_deref()),
            (vec!["admin".to_owned()], Some("https://p"))
        );
        assert!(
            !covers(&["billing:*".to_owned()], "billing:a:b") && covers(&["*".to_owned()], "x:y")
        );
    }
}
