//! Tells other instances what was committed, and hears it from them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::async_connection_wrapper::BlockOn;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use super::ThreadRuntime;
use super::connect::Server;
use crate::conn::PgConnection;
use crate::signal::Committed;

/// PostgreSQL carries less than 8000 bytes.
const LONGEST: usize = 7500;

#[derive(Serialize, Deserialize)]
struct Message {
    /// Who already knows: the process that committed. Zero: nobody does.
    from: u64,
    committed: Vec<Committed>,
}

fn own_number() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    use std::sync::OnceLock;
    static NUMBER: OnceLock<u64> = OnceLock::new();
    *NUMBER.get_or_init(|| RandomState::new().hash_one(std::process::id()) | 1)
}

/// What other processes are told; this one tells itself. `None` when there is nothing to tell.
pub(super) fn message(committed: &[Committed]) -> Option<String> {
    text(own_number(), committed)
}

/// Tells every process, this one as well, when the open transaction commits.
pub(super) fn notify_everyone(conn: &mut PgConnection, committed: &[Committed]) -> QueryResult<()> {
    let Some(message) = text(0, committed) else {
        return Ok(());
    };
    diesel::sql_query("SELECT pg_notify('heimdall', $1)")
        .bind::<Text, _>(message)
        .execute(conn)
        .map(|_| ())
}

fn text(from: u64, committed: &[Committed]) -> Option<String> {
    let text = |committed: Vec<Committed>| serde_json::to_string(&Message { from, committed }).ok();
    if committed.is_empty() {
        return None;
    }
    text(committed.to_vec())
        .filter(|text| text.len() <= LONGEST)
        .or_else(|| text(vec![Committed::all()]))
}

const TRIES_A_SECOND: u32 = 5;

/// Runs until the store closes; `hears` says whether changes of others arrive. As long as they do not, whatever is
/// kept in memory may be old, and everyone is told so every second.
pub(super) fn run(
    server: &Server,
    signals: &broadcast::Sender<Committed>,
    hears: &AtomicBool,
    mut closed: watch::Receiver<bool>,
) {
    let mut tries: u32 = 0;
    while !*closed.borrow() {
        if let Ok(mut conn) = server.connect()
            && conn.batch_execute("LISTEN heimdall").is_ok()
        {
            hears.store(true, Ordering::Relaxed);
            let _ = signals.send(Committed::all());
            ThreadRuntime.block_on(listen(&mut conn, signals, &mut closed));
            hears.store(false, Ordering::Relaxed);
            tries = 0;
        }
        if tries.is_multiple_of(TRIES_A_SECOND) {
            let _ = signals.send(Committed::all());
        }
        tries = tries.wrapping_add(1);
        ThreadRuntime.block_on(async {
            let _ = tokio::time::timeout(
                Duration::from_secs(1) / TRIES_A_SECOND,
                closed.wait_for(|closed| *closed),
            )
            .await;
        });
    }
}

async fn listen(
    conn: &mut PgConnection,
    signals: &broadcast::Sender<Committed>,
    closed: &mut watch::Receiver<bool>,
) {
    let mut notifications = std::pin::pin!(conn.notifications_stream());
    loop {
        let next = tokio::select! {
            next = notifications.next() => next,
            _ = closed.wait_for(|closed| *closed) => return,
        };
        let Some(Ok(notification)) = next else { return };
        let message: Message =
            serde_json::from_str(&notification.payload).unwrap_or_else(|_| Message {
                from: 0,
                committed: vec![Committed::all()],
            });
        if message.from != own_number() {
            for committed in message.committed {
                let _ = signals.send(committed);
            }
        }
    }
}
