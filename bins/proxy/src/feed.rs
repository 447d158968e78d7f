//! The subscription to changes of authorisation: what has become of a token since it was issued.

mod changes;
mod source;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use heimdall_pipeline::{Apis, Bearer, Hints, Liveness, Standing};
use heimdall_types::Clock;
use tokio::runtime::Handle;
use tokio::sync::watch;

use changes::{Changes, Document, covers};
pub use source::{ApiOverHttp, ChangeSource};

const PAUSE: Duration = Duration::from_millis(500);
/// How long a request waits for the first answer about its App.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most Apps that one API is asked about.
const MAX_APPS: usize = 4096;

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

/// The subscription for one App.
#[derive(Default)]
struct Feed {
    changes: ArcSwap<Changes>,
    /// Counts the answers, refusals too.
    outcomes: watch::Sender<u64>,
}

struct ApiFeed {
    api: String,
    source: Arc<dyn ChangeSource>,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    apps: RwLock<HashMap<String, Arc<Feed>>>,
}

impl ApiFeed {
    /// What is known of an App; the first question about it starts its subscription.
    fn app(&self, app: &str) -> Option<Arc<Feed>> {
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
            let feed = Arc::new(Feed::default());
            let follow = follow(
                self.source.clone(),
                self.clock.clone(),
                self.api.clone(),
                app.to_owned(),
                Arc::downgrade(&feed),
            );
            self.runtime.spawn(follow);
            feed
        });
        Some(known.clone())
    }
}

#[async_trait]
impl Liveness for ApiFeed {
    fn standing(&self, bearer: &Bearer<'_>) -> Standing {
        match self.app(bearer.app) {
            Some(feed) => feed.changes.load().standing(bearer, self.clock.now()),
            None => Standing::Unknown,
        }
    }

    async fn standing_after_news(&self, bearer: &Bearer<'_>) -> Standing {
        let Some(feed) = self.app(bearer.app) else {
            return Standing::Unknown;
        };
        // Listen before looking: what comes between the two is not missed.
        let mut outcomes = feed.outcomes.subscribe();
        let standing = || feed.changes.load().standing(bearer, self.clock.now());
        match standing() {
            Standing::Unknown => {
                // Too late is the same as no news: the standing says what is known.
                let _ = tokio::time::timeout(PATIENCE, outcomes.changed()).await;
                standing()
            }
            known => known,
        }
    }

    fn hints_for_permission(&self, app: &str, permission: &str) -> Hints {
        self.app(app)
            .map(|feed| {
                feed.changes
                    .load()
                    .hints(|role| covers(&role.permissions, permission))
            })
            .unwrap_or_default()
    }

    fn hints_for_role(&self, app: &str, role: &str) -> Hints {
        self.app(app)
            .map(|feed| feed.changes.load().hints(|known| known.role == role))
            .unwrap_or_default()
    }
}

/// Asks again and again until nobody looks any more.
async fn follow(
    source: Arc<dyn ChangeSource>,
    clock: Arc<dyn Clock>,
    api: String,
    app: String,
    feed: Weak<Feed>,
) {
    loop {
        let Some(present) = feed.upgrade().map(|feed| feed.changes.load_full()) else {
            return;
        };
        let (since, wait) = present.since(clock.now());
        let answer = source.changes(&api, &app, since, wait).await;
        let parsed = answer.and_then(|body| {
            serde_json::from_slice::<Document>(&body).map_err(|error| error.to_string())
        });
        let Some(feed) = feed.upgrade() else {
            return;
        };
        match parsed {
            Ok(document) => {
                let (more, quiet) = (document.has_more, document.data.is_empty());
                feed.changes
                    .store(Arc::new(present.with(document, clock.now())));
                tell(&feed);
                // A source that does not wait must not be asked in a circle.
                if !more && (quiet || wait.is_zero() && present.heard.is_some()) {
                    tokio::time::sleep(PAUSE.min(Duration::from_millis(200))).await;
                }
            }
            Err(error) => {
                tell(&feed);
                tracing::warn!(api, app, error, "changes of authorisation cannot be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn tell(feed: &Feed) {
    feed.outcomes
        .send_modify(|count| *count = count.wrapping_add(1));
}
