//! What runs beside the routes: memory that follows the store, keys that age, webhooks that are delivered.

use std::sync::Arc;
use std::time::Duration;

use heimdall_notifier::{Poster, WebhookWorker};
use heimdall_store::Committed;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use crate::deps::Deps;

/// The tasks of one process. Dropping it stops them; a delivery that is cut off is leased again later.
#[derive(Debug)]
pub struct Workers(JoinSet<()>);

impl Workers {
    /// Starts all of them; without a `poster` no webhook is delivered.
    pub fn start(deps: &Deps, poster: Option<Arc<dyn Poster>>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(deps.clone()));
        tasks.spawn(age_keys(deps.clone()));
        tasks.spawn(sweep(deps.clone()));
        tasks.spawn(sign_audit(deps.clone()));
        if let Some(poster) = poster {
            let worker = WebhookWorker::new(
                deps.store.clone(),
                poster,
                deps.clock.clone(),
                deps.rng.clone(),
            );
            tasks.spawn(deliver(deps.clone(), worker));
        }
        Self(tasks)
    }

    /// Stops them.
    pub async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

/// Tells the rules and the keys what others committed.
async fn follow(deps: Deps) {
    let mut signals = deps.store.subscribe();
    loop {
        let told = match signals.recv().await {
            Ok(told) => told,
            Err(RecvError::Lagged(_)) => {
                deps.tenants.committed(None, [], [], true);
                reload_keys(&deps).await;
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let targets = told.targets.iter().map(String::as_str);
        deps.tenants.committed(
            told.app_id.as_ref(),
            told.users.iter(),
            targets,
            told.everything,
        );
        if told.everything || about_keys(&told) {
            reload_keys(&deps).await;
        }
    }
}

fn about_keys(told: &Committed) -> bool {
    told.app_id.is_none()
}

async fn reload_keys(deps: &Deps) {
    if let Err(error) = deps.keys.reload().await {
        tracing::error!(%error, "the signing keys were not read again");
    }
}

/// The longest sleep between two looks at the keys: the clock of the machine may be moved.
const KEY_LOOK: Duration = Duration::from_secs(60);

async fn age_keys(deps: Deps) {
    loop {
        let due = match deps.keys.tick().await {
            Ok(due) => due.map_or(KEY_LOOK, |at| at.since(deps.clock.now())),
            Err(error) => {
                tracing::error!(%error, "the signing keys did not move along");
                KEY_LOOK
            }
        };
        tokio::time::sleep(due.clamp(Duration::from_secs(1), KEY_LOOK)).await;
    }
}

/// A feed event, and what an answer to an idempotency key costs, is kept for so long.
const FEED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often the end of the audit is signed.
const CHECKPOINTS: Duration = Duration::from_secs(15 * 60);

async fn sign_audit(deps: Deps) {
    let mut beat = tokio::time::interval(CHECKPOINTS);
    loop {
        beat.tick().await;
        let Ok(signer) = deps.keys.signer() else {
            continue;
        };
        let outcome = deps
            .store
            .checkpoint_audit(deps.clock.now(), Some(&deps.issuer()), &signer)
            .await;
        if let Err(error) = outcome {
            tracing::warn!(%error, "the audit was not signed and is tried again later");
        }
    }
}

async fn sweep(deps: Deps) {
    let mut beat = tokio::time::interval(Duration::from_secs(60));
    loop {
        beat.tick().await;
        let now = deps.clock.now();
        let outcomes = [
            deps.tenants
                .expire_invites()
                .await
                .err()
                .map(|e| e.to_string()),
            deps.tenants.prune().await.err().map(|e| e.to_string()),
            deps.store
                .prune_idempotency(now)
                .await
                .err()
                .map(|e| e.to_string()),
            deps.store
                .prune_feed(now.minus(FEED_KEPT))
                .await
                .err()
                .map(|e| e.to_string()),
        ];
        for error in outcomes.into_iter().flatten() {
            tracing::warn!(error, "upkeep failed and is tried again in a minute");
        }
    }
}

/// Deliveries that are on their way at once: one slow receiver holds one of these places.
const AT_ONCE: usize = 32;
const LOOK: Duration = Duration::from_secs(1);

async fn deliver(deps: Deps, worker: WebhookWorker) {
    let mut signals = deps.store.subscribe();
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let room = AT_ONCE.saturating_sub(running.len());
        let leased = if room == 0 {
            Ok(Vec::new())
        } else {
            worker.lease(u32::try_from(room).unwrap_or(1)).await
        };
        match leased {
            Ok(due) if !due.is_empty() => {
                for delivery in due {
                    let worker = worker.clone();
                    running.spawn(async move {
                        if let Err(error) = worker.send(&delivery).await {
                            tracing::warn!(%error, "the outcome of a delivery was not recorded");
                        }
                    });
                }
            }
            Ok(_) => wait(&mut signals, &mut running).await,
            Err(error) => {
                tracing::warn!(%error, "no deliveries could be leased");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

// Until something is committed, a delivery ends, or a second is over (tries come due by time).
async fn wait(
    signals: &mut tokio::sync::broadcast::Receiver<Committed>,
    running: &mut JoinSet<()>,
) {
    tokio::select! {
        _ = tokio::time::sleep(LOOK) => {}
        told = signals.recv() => if matches!(told, Err(RecvError::Closed)) { tokio::time::sleep(LOOK).await },
        Some(_) = running.join_next(), if !running.is_empty() => {}
    }
}
