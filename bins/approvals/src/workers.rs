//! What runs beside the routes: mails that are sent, and approvals and grants that end by themselves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use heimdall_notifier::{MailWorker, Mailer, Messages};
use heimdall_store::Committed;
use heimdall_transport::{MailSettingsError, Mailbox, Smtp};
use heimdall_types::Secret;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use crate::deps::Deps;
use crate::particulars::RequestParticulars;

/// The tasks of one process. Dropping it stops them; a mail that is cut off is leased again later.
#[derive(Debug)]
pub struct Workers(JoinSet<()>);

/// What sends mails: the server at `smtp[s]://…`, or the folder of `file://DIR`.
///
/// # Errors
/// A URL or sender that cannot be used.
pub fn mailer(url: &Secret, from: &str) -> Result<Arc<dyn Mailer>, MailSettingsError> {
    match url.expose().strip_prefix("file://") {
        Some(folder) => Ok(Arc::new(Mailbox::new(PathBuf::from(folder), from)?)),
        None => Ok(Arc::new(Smtp::new(url, from)?)),
    }
}

/// Mails on their way at once: one slow server or recipient holds one of these places.
const AT_ONCE: usize = 16;
const TIDY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(1);

impl Workers {
    /// Starts all of them.
    pub fn start(deps: &Deps, mailer: Arc<dyn Mailer>, messages: Arc<Messages>) -> Self {
        let mut tasks = JoinSet::new();
        let particulars = Arc::new(RequestParticulars(deps.clone()));
        let worker = MailWorker::new(
            deps.store.clone(),
            particulars,
            mailer,
            messages,
            deps.clock.clone(),
            deps.rng.clone(),
        );
        tasks.spawn(send(deps.clone(), worker));
        tasks.spawn(tick(deps.clone()));
        tasks.spawn(tidy(deps.clone()));
        Self(tasks)
    }

    /// Stops them; what was leased is free again when its lease ends.
    pub async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn send(deps: Deps, worker: MailWorker) {
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
                for leased in due {
                    let worker = worker.clone();
                    running.spawn(async move {
                        if let Err(error) = worker.send(&leased).await {
                            tracing::warn!(%error, notice = %leased.notice.id, "the outcome of a mail was not recorded");
                        }
                    });
                }
            }
            Ok(_) => {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = committed(&mut signals, |told| told.outbox || told.everything) => {}
                    Some(_) = running.join_next(), if !running.is_empty() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no mails could be leased");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

// Waits for the next moment at which time alone changes something, and looks again whenever something was committed:
// it may have brought that moment nearer.
async fn tick(deps: Deps) {
    let mut signals = deps.store.subscribe();
    loop {
        let due = match deps.approvals.tick().await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "what is due was not applied and is tried again in a second");
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        // Never longer than a second: the clock of the machine may be moved.
        let pause = due
            .map_or(LOOK, |at| at.since(deps.clock.now()))
            .clamp(Duration::from_millis(1), LOOK);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = committed(&mut signals, |told| told.everything || !told.events.is_empty()) => {}
        }
    }
}

// Forgets what is over, and finishes deletions of accounts that a crash cut off.
async fn tidy(deps: Deps) {
    loop {
        if let Err(error) = deps.workflows.tidy().await {
            tracing::warn!(%error, "what is over was not forgotten");
        }
        if let Err(error) = deps.accounts.tidy().await {
            tracing::warn!(%error, "accounts were not tidied up");
        }
        tokio::time::sleep(TIDY).await;
    }
}

async fn committed(signals: &mut Receiver<Committed>, matters: impl Fn(&Committed) -> bool) {
    loop {
        match signals.recv().await {
            Ok(told) if matters(&told) => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}
