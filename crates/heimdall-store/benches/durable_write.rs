//! One durable decision (a version-checked row, two audit rows, an event, a notice, and the disk) through the store,
//! beside the same rows written by prepared SQL: one transaction at a time, and 64 at once beside transactions of 64.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use heimdall_store::{Store, StoreSettings};
use heimdall_types::{
    Actor, AppId, AuditEntry, EventId, FeedEvent, Journal, Notice, NoticeId, SeededRng, Timestamp,
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn next() -> u64 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        // Not the system's temporary folder: that may be no disk at all.
        let base = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| PathBuf::from("target"), PathBuf::from);
        let path = base.join(format!("bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_default();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn app() -> AppId {
    AppId::generate(NOW, &SeededRng::new(1))
}

fn journal(app: &AppId, n: u64) -> Journal {
    let rng = SeededRng::new(n);
    let entry = |action: &str| AuditEntry {
        app_id: Some(app.clone()),
        at: NOW,
        actor: Actor::User {
            id: "usr_01JDC3Z8Q0000000000000000".to_owned(),
        },
        action: action.to_owned(),
        target: format!("apv_{n}"),
        data: json!({"step": n, "vote": "approve"}),
    };
    Journal {
        audit: vec![entry("approval.vote_cast"), entry("approval.resolved")],
        events: vec![FeedEvent {
            id: EventId::generate(NOW, &rng),
            app_id: app.clone(),
            at: NOW,
            kind: "approval.resolved".to_owned(),
            data: json!({"approval_id": n}),
        }],
        notices: vec![Notice {
            id: NoticeId::generate(NOW, &rng),
            app_id: Some(app.clone()),
            kind: "decided".to_owned(),
            recipient: "requester@example.org".to_owned(),
            data: json!({"approval_id": n}),
            due: NOW,
        }],
    }
}

async fn decide(store: &Store, app: &AppId) {
    let n = next();
    let body = json!({"state": "approved", "votes": [n]});
    let written = store
        .put_document(Some(app), &n.to_string(), None, &body, journal(app, n))
        .await;
    black_box(written.unwrap_or_default());
}

/// The same rows by SQL that is prepared once: hashes are of the right length and not computed.
fn by_hand(conn: &mut SqliteConnection, app: &AppId) {
    let n = next() as i64;
    let hash = [7u8; 32].to_vec();
    let run = |conn: &mut SqliteConnection, done: diesel::QueryResult<usize>| {
        let _ = (conn, black_box(done.unwrap_or_default()));
    };
    let done =
        diesel::sql_query("INSERT INTO settings (scope, key, version, body) VALUES (?, ?, 1, ?)")
            .bind::<Text, _>(app.as_str())
            .bind::<Text, _>(n.to_string())
            .bind::<Text, _>("{\"state\":\"approved\",\"votes\":[1]}")
            .execute(conn);
    run(conn, done);
    for action in ["approval.vote_cast", "approval.resolved"] {
        let done = diesel::sql_query(
            "INSERT INTO audit (app_id, at, actor, action, target, data, content_hash, seq, prev_hash, chain_hash) \
             VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM audit), ?, ?)",
        )
        .bind::<Text, _>(app.as_str())
        .bind::<BigInt, _>(NOW.millis())
        .bind::<Text, _>("{\"kind\":\"user\",\"id\":\"usr_01JDC3Z8Q0000000000000000\"}")
        .bind::<Text, _>(action)
        .bind::<Text, _>(format!("apv_{n}"))
        .bind::<Text, _>("{\"step\":1,\"vote\":\"approve\"}")
        .bind::<Binary, _>(&hash)
        .bind::<Binary, _>(&hash)
        .bind::<Binary, _>(&hash)
        .execute(conn);
        run(conn, done);
    }
    let done = diesel::sql_query(
        "INSERT INTO feed (app_id, id, at, kind, data, position) \
         VALUES (?, ?, ?, 'approval.resolved', '{\"approval_id\":1}', (SELECT coalesce(max(position), 0) + 1 FROM feed))",
    )
    .bind::<Text, _>(app.as_str())
    .bind::<Text, _>(format!("evt_{n}"))
    .bind::<BigInt, _>(NOW.millis())
    .execute(conn);
    run(conn, done);
    let done = diesel::sql_query(
        "INSERT INTO outbox (id, app_id, kind, recipient, data, due, state, attempts, leased_until) \
         VALUES (?, ?, 'decided', 'requester@example.org', '{\"approval_id\":1}', ?, 'waiting', 0, 0)",
    )
    .bind::<Text, _>(format!("ntc_{n}"))
    .bind::<Text, _>(app.as_str())
    .bind::<BigInt, _>(NOW.millis())
    .execute(conn);
    run(conn, done);
}

fn transaction(conn: &mut SqliteConnection, decisions: usize, app: &AppId) {
    let _ = conn.batch_execute("BEGIN IMMEDIATE");
    for _ in 0..decisions {
        by_hand(conn, app);
    }
    let _ = conn.batch_execute("COMMIT");
}

fn durable_writes(criterion: &mut Criterion) {
    let (ours, theirs) = (Folder::new("store"), Folder::new("sql"));
    let url = |folder: &Folder| format!("sqlite://{}/h.db", folder.0.display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let (Ok(store), Ok(schema), Ok(runtime)) = (
        Store::open(&StoreSettings::new(url(&ours))),
        Store::open(&StoreSettings::new(url(&theirs))),
        runtime,
    ) else {
        return;
    };
    drop(schema);
    let Ok(mut conn) = SqliteConnection::establish(&theirs.0.join("h.db").display().to_string())
    else {
        return;
    };
    let _ = conn.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
    );
    let app = app();

    let mut one = criterion.benchmark_group("one durable decision");
    one.throughput(Throughput::Elements(1));
    one.bench_function("store", |b| {
        b.iter(|| runtime.block_on(decide(&store, &app)))
    });
    one.bench_function("prepared SQL", |b| {
        b.iter(|| transaction(&mut conn, 1, &app))
    });
    one.finish();

    let mut many = criterion.benchmark_group("64 durable decisions");
    many.throughput(Throughput::Elements(64));
    many.bench_function("store, 64 at once", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..64)
                    .map(|_| {
                        let (store, app) = (store.clone(), app.clone());
                        tokio::spawn(async move { decide(&store, &app).await })
                    })
                    .collect();
                for task in tasks {
                    let _ = task.await;
                }
            });
        });
    });
    many.bench_function("prepared SQL, one transaction", |b| {
        b.iter(|| transaction(&mut conn, 64, &app))
    });
    many.finish();
}

criterion_group!(benches, durable_writes);
criterion_main!(benches);
