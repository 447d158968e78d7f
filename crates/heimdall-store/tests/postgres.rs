//! What holds on PostgreSQL alone: roles, row-level security, several instances, and a server that goes away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use heimdall_store::{OpenError, Signature, Store, StoreSettings};
use heimdall_testkit::Postgres;
use heimdall_types::{
    Actor, AppId, AuditEntry, EventId, Fault, FeedEvent, Journal, SeededRng, Timestamp,
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn open(url: &str, manage_schema: bool) -> Result<Store, OpenError> {
    let mut settings = StoreSettings::new(url);
    settings.manage_schema = manage_schema;
    Store::open(&settings)
}

fn app(seed: u64) -> AppId {
    AppId::generate(NOW, &SeededRng::new(seed))
}

async fn note(store: &Store, app: &AppId, n: u64) -> Result<i64, Fault> {
    let audit = vec![AuditEntry {
        app_id: Some(app.clone()),
        at: NOW,
        actor: Actor::System,
        action: "thing.done".to_owned(),
        target: n.to_string(),
        data: json!({}),
    }];
    let events = vec![FeedEvent {
        id: EventId::generate(NOW, &SeededRng::new(n + 1000)),
        app_id: app.clone(),
        at: NOW,
        kind: "user.created".to_owned(),
        data: json!({}),
    }];
    let journal = Journal {
        audit,
        events,
        notices: vec![],
    };
    store
        .put_document(Some(app), &n.to_string(), None, &json!(n), journal)
        .await
}

/// Makes a login that may only take on the two roles; returns its URL.
fn service_login(server: &Postgres, owner: &str) -> String {
    let database = owner.rsplit_once('/').unwrap().1;
    server.sql(
        database,
        "DO $$ BEGIN CREATE ROLE service LOGIN NOINHERIT; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         GRANT heimdall_app, heimdall_system TO service",
    );
    server.url("service", database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_starts_only_with_a_login_that_row_level_security_holds() {
    let server = Postgres::start();
    let owner = server.database();
    assert!(
        matches!(open(&owner, false), Err(OpenError::Privileged { .. })),
        "a superuser"
    );
    drop(open(&owner, true).unwrap());
    let service = service_login(&server, &owner);
    let database = owner.rsplit_once('/').unwrap().1;
    let store = open(&service, false).unwrap();
    let (one, two) = (app(1), app(2));
    note(&store, &one, 1).await.unwrap();
    note(&store, &two, 2).await.unwrap();
    assert_eq!(store.document(Some(&one), "2").await.unwrap(), None);

    for (role, what) in [("bypasser", "BYPASSRLS"), ("super", "SUPERUSER")] {
        server.sql(
            database,
            &format!(
                "CREATE ROLE {role} LOGIN {what}; GRANT heimdall_app, heimdall_system TO {role}"
            ),
        );
        assert!(
            matches!(
                open(&server.url(role, database), false),
                Err(OpenError::Privileged { .. })
            ),
            "{what}"
        );
    }
    server.sql(database, "CREATE ROLE stranger LOGIN");
    assert!(
        open(&server.url("stranger", database), false).is_err(),
        "no member of the roles"
    );

    let as_app = |set: &str, sql: &str| {
        server.sql(database, &format!("SET SESSION AUTHORIZATION service; BEGIN; SET LOCAL ROLE heimdall_app; {set}; {sql}; ROLLBACK"))
    };
    let bound = format!("SET LOCAL heimdall.app_id = '{one}'");
    assert_eq!(
        as_app(&bound, "SELECT count(*) FROM audit"),
        "1",
        "only its own rows"
    );
    assert_eq!(as_app(&bound, "SELECT count(*) FROM feed"), "1");
    assert_eq!(
        as_app(
            &bound,
            &format!(
                "WITH d AS (DELETE FROM feed WHERE app_id = '{two}' RETURNING 1) SELECT count(*) FROM d"
            )
        ),
        "0"
    );
    for (set, sql) in [
        ("SELECT 1", "SELECT count(*) FROM feed".to_owned()),
        (&bound, "UPDATE audit SET target = 'x'".to_owned()),
        (&bound, "DELETE FROM audit".to_owned()),
        (&bound, "SELECT * FROM signing_keys".to_owned()),
        (
            &bound,
            format!("INSERT INTO settings VALUES ('{two}', 'k', 1, '1')"),
        ),
        ("RESET ROLE", "SELECT count(*) FROM audit".to_owned()),
    ] {
        let denied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| as_app(set, &sql)));
        assert!(denied.is_err(), "{set}; {sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_one_order_and_tell_each_other() {
    let server = Postgres::start();
    let url = server.database();
    let (here, there) = (open(&url, true).unwrap(), open(&url, true).unwrap());
    let app = app(1);
    // The listener of the other instance is up once it hears something.
    let mut heard = there.subscribe();
    for n in 0..200 {
        note(&here, &app, 10_000 + n).await.unwrap();
        if tokio::time::timeout(Duration::from_millis(100), heard.recv())
            .await
            .is_ok()
        {
            break;
        }
    }
    let before = here.verify_audit(&|_| Signature::Broken).await.unwrap();
    let writers: Vec<_> = (0..40)
        .map(|n| {
            let (store, app) = (
                if n % 2 == 0 {
                    here.clone()
                } else {
                    there.clone()
                },
                app.clone(),
            );
            tokio::spawn(async move { note(&store, &app, n).await.unwrap() })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let total = before.rows + before.unchained + 40;
    let mut from_here = here.subscribe();
    while here.feed_end().await.unwrap() < total {
        tokio::time::timeout(Duration::from_secs(2), from_here.recv())
            .await
            .unwrap()
            .unwrap();
    }
    let report = there.verify_audit(&|_| Signature::Broken).await.unwrap();
    assert_eq!(
        (report.rows, report.unchained, report.faults),
        (total, 0, vec![])
    );
    let positions: Vec<_> = there
        .events(&app, 0, &[], 200)
        .await
        .unwrap()
        .iter()
        .map(|e| e.position)
        .collect();
    assert_eq!(positions, (1..=total).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_of_the_server_loses_nothing_acknowledged_and_needs_no_restart() {
    let server = Postgres::start_with(&["fsync=off"]);
    let store = open(&server.database(), true).unwrap();
    let app = app(1);
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    let writer = {
        let (store, app) = (store.clone(), app.clone());
        tokio::spawn(async move {
            for n in 0..100_000 {
                match note(&store, &app, n).await {
                    Ok(_) => acknowledged.push(n),
                    Err(Fault::Unavailable(_)) => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
                if refused > 0 && acknowledged.last() == Some(&n) {
                    break;
                }
            }
            (acknowledged, refused)
        })
    };
    let server = std::sync::Arc::new(server);
    let other = std::sync::Arc::clone(&server);
    tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        other.crash();
        std::thread::sleep(Duration::from_millis(300));
        other.resume();
    })
    .await
    .unwrap();
    let (acknowledged, refused) = tokio::time::timeout(Duration::from_secs(20), writer)
        .await
        .unwrap()
        .unwrap();
    assert!(refused > 0 && acknowledged.len() > 1);
    for n in &acknowledged {
        assert!(
            store
                .document(Some(&app), &n.to_string())
                .await
                .unwrap()
                .is_some(),
            "{n} is lost"
        );
    }
    assert_eq!(
        store
            .verify_audit(&|_| Signature::Broken)
            .await
            .unwrap()
            .faults,
        []
    );
}

/// Stands between store and server; once told to, it lets one COMMIT through and cuts the line before its answer.
struct Cutter {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Cutter {
    fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, cut) = (
            listener.local_addr().unwrap().port(),
            Arc::new(AtomicBool::new(false)),
        );
        let flag = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else {
                    continue;
                };
                let dead = Arc::new(AtomicBool::new(false));
                let (from, to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                let (flag, marked) = (Arc::clone(&flag), Arc::clone(&dead));
                std::thread::spawn(move || {
                    copy(from, &to, |bytes| {
                        let commit = bytes.windows(8).any(|window| window == b"; COMMIT");
                        if commit && flag.swap(false, Ordering::SeqCst) {
                            marked.store(true, Ordering::SeqCst);
                        }
                        true
                    });
                });
                std::thread::spawn(move || {
                    copy(upstream, &client, |_| !dead.load(Ordering::SeqCst));
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Self { port, cut }
    }
}

fn copy(mut from: TcpStream, mut to: &TcpStream, mut pass: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if !pass(&buffer[..n]) || to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_neither_denied_nor_done_twice() {
    let server = Postgres::start();
    let url = server.database();
    let cutter = Cutter::before(server.port());
    let mut settings = StoreSettings::new(url.replace(
        &format!(":{}/", server.port()),
        &format!(":{}/", cutter.port),
    ));
    settings.manage_schema = true;
    settings.writers = Some(1);
    let store = Store::open(&settings).unwrap();
    let app = app(1);
    note(&store, &app, 0).await.unwrap();
    for n in 1..6 {
        cutter.cut.store(true, Ordering::SeqCst);
        note(&store, &app, n).await.unwrap();
        assert!(
            store
                .document(Some(&app), &n.to_string())
                .await
                .unwrap()
                .is_some()
        );
    }
    let report = store.verify_audit(&|_| Signature::Broken).await.unwrap();
    assert_eq!((report.rows + report.unchained, report.faults), (6, vec![]));
}
