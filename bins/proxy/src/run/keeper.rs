//! What changes while the service runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use heimdall_pipeline::{Config, Engine, LoadErrors, Source};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{Deps, Settings, compile};
use crate::cors::CrossOrigin;
use crate::environment::read_config;
use crate::key_store::KeyStore;
use crate::management::Overview;
use crate::rules::{RETRY, RuleSets, Watch};
use crate::service::Live;

/// A watch on everything that may change while we run.
pub(super) fn watch(config: &Config, engine: &Engine) -> notify::Result<Watch> {
    let mut watch = Watch::new()?;
    if let Some(provider) = config
        .providers
        .file_system
        .as_ref()
        .filter(|provider| provider.watch)
    {
        watch.add(Path::new(&provider.src))?;
    }
    for path in engine.key_stores() {
        watch.add(Path::new(&path))?;
    }
    for tls in [&config.serve.listener.tls, &config.management.tls]
        .into_iter()
        .flatten()
    {
        watch.add(Path::new(&tls.key_store))?;
    }
    Ok(watch)
}

/// Keeps rules, keys and certificates current.
pub(super) struct Keeper {
    pub(super) settings: Settings,
    pub(super) deps: Deps,
    pub(super) config: Config,
    /// The text that the present engine was compiled from.
    pub(super) source: Mutex<Source>,
    pub(super) sets: Mutex<RuleSets>,
    pub(super) overview: Arc<Overview>,
    pub(super) certificates: Vec<Arc<KeyStore>>,
}

impl Keeper {
    pub(super) async fn keep(
        self: Arc<Self>,
        mut asked: mpsc::UnboundedReceiver<oneshot::Sender<Result<(), LoadErrors>>>,
        mut watch: Option<Watch>,
    ) {
        let mut polls = tokio::task::JoinSet::new();
        if let Some(provider) = &self.config.providers.http_endpoint
            && let Some(pause) = provider.watch_interval
        {
            for index in 0..provider.endpoints {
                polls.spawn(self.clone().poll(index, pause));
            }
        }
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = asked.recv() => match answer {
                    // Whoever asked may have gone meanwhile.
                    Some(answer) => drop(answer.send(self.reload().await)),
                    None => return,
                },
                () = changed => {
                    if let Some(watch) = &mut watch {
                        self.follow(watch).await;
                    }
                }
            }
        }
    }

    /// Something changed in a watched folder.
    async fn follow(&self, watch: &mut Watch) {
        self.renew_keys();
        if self
            .config
            .providers
            .file_system
            .as_ref()
            .is_none_or(|provider| !provider.watch)
        {
            return;
        }
        let mut unused = None;
        loop {
            let mut sets = self.sets.lock().await;
            let live = self.overview.shared.live.load_full();
            let looked = tokio::task::block_in_place(|| sets.look(&live.engine));
            drop(sets);
            let looked = looked.map(|rules| rules.or(unused.take()));
            if !watch.disturbed().await {
                return self.settle(&live, looked);
            }
            // It was read while somebody wrote: half a rule set may look like a whole one.
            unused = looked.ok().flatten();
            watch.changed().await;
        }
    }

    fn renew_keys(&self) {
        let live = self.overview.shared.live.load_full();
        for path in live.engine.key_stores() {
            let read =
                std::fs::read(&path).map_err(|error| LoadErrors::one(&path, error.to_string()));
            if let Err(errors) = read.and_then(|bytes| live.engine.reload_keys(&path, &bytes)) {
                self.overview
                    .shared
                    .counters
                    .failed_key_reloads
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(%errors, "a key store cannot be read again; its old keys stay");
            }
        }
        for error in self
            .certificates
            .iter()
            .filter_map(|certificate| certificate.reload().err())
        {
            tracing::error!(error, "a certificate was not replaced");
        }
    }

    /// Takes new rules, or says why the old ones stay.
    fn settle(&self, live: &Live, looked: Result<Option<heimdall_pipeline::Snapshot>, LoadErrors>) {
        let counters = &self.overview.shared.counters;
        match looked {
            Ok(None) => {}
            Ok(Some(rules)) => {
                let next = Live {
                    engine: live.engine.clone(),
                    rules,
                    cors: live.cors.clone(),
                };
                self.overview.shared.live.store(Arc::new(next));
                self.overview.stale.store(false, Ordering::Relaxed);
                counters.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("new rules are in use");
            }
            Err(errors) => {
                self.overview.stale.store(true, Ordering::Relaxed);
                counters.failed_reloads.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%errors, "new rules are wrong; the last good ones stay");
            }
        }
    }

    async fn poll(self: Arc<Self>, index: usize, pause: Duration) {
        loop {
            tokio::time::sleep(pause).await;
            let live = self.overview.shared.live.load_full();
            let etag = self.sets.lock().await.etag(index).map(str::to_owned);
            match live.engine.fetch_rules(index, etag.as_deref()).await {
                Ok(answer) => {
                    let mut sets = self.sets.lock().await;
                    let looked = sets.fetched(&live.engine, index, answer);
                    self.settle(&live, looked);
                }
                Err(errors) => {
                    self.settle(&live, Err(errors));
                    tokio::time::sleep(RETRY.min(pause)).await;
                }
            }
        }
    }

    /// Reads everything again: configuration, keys, rules.
    async fn reload(&self) -> Result<(), LoadErrors> {
        let mut sets = self.sets.lock().await;
        let shared = &self.overview.shared;
        let renewed = async {
            let config = read_config(&self.settings.config, &self.settings.env_prefix)?;
            let source = self.settings.config.read()?;
            let present = shared.live.load_full();
            // An engine knows which keys signed before and what was cached: the same text keeps it.
            let engine = if *self.source.lock().await == source {
                self.renew_keys();
                present.engine.clone()
            } else {
                compile(
                    &config,
                    self.settings.mode,
                    self.settings.relaxed,
                    &self.deps,
                )?
            };
            let mut next = RuleSets::new(config.providers.file_system.as_ref());
            next.look(&engine)?;
            for index in 0..config
                .providers
                .http_endpoint
                .as_ref()
                .map_or(0, |provider| provider.endpoints)
            {
                let answer = engine.fetch_rules(index, None).await?;
                next.fetched(&engine, index, answer)?;
            }
            let rules = next.snapshot(&engine)?;
            *self.source.lock().await = source;
            Ok((
                next,
                Live {
                    engine,
                    rules,
                    cors: config.serve.listener.cors.as_ref().map(CrossOrigin::new),
                },
            ))
        };
        match renewed.await {
            Ok((next, live)) => {
                *sets = next;
                shared.live.store(Arc::new(live));
                self.overview.stale.store(false, Ordering::Relaxed);
                shared.counters.reloads.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(errors) => {
                self.overview.stale.store(true, Ordering::Relaxed);
                shared
                    .counters
                    .failed_reloads
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(%errors, "the reload failed; everything stays as it was");
                Err(errors)
            }
        }
    }
}
