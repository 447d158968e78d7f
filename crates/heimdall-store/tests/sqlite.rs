//! What holds on a SQLite file alone: its lock, its readers, its crashes, and the audit under foreign hands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use heimdall_store::{OpenError, Signature, Store, StoreSettings};
use heimdall_types::{Actor, AuditEntry, Journal, Timestamp};
use serde_json::json;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "heimdall-sqlite-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        Self(std::env::temp_dir().join(name))
    }

    fn settings(&self) -> StoreSettings {
        StoreSettings::new(format!("sqlite://{}/h.db", self.0.display()))
    }

    fn tamper(&self, sql: &str) {
        let mut conn = SqliteConnection::establish(self.0.join("h.db").to_str().unwrap()).unwrap();
        conn.batch_execute(sql).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn note(store: &Store, n: u64) -> Result<i64, heimdall_types::Fault> {
    let audit = vec![AuditEntry {
        app_id: None,
        at: Timestamp::from_millis(1),
        actor: Actor::System,
        action: "thing.done".to_owned(),
        target: n.to_string(),
        data: json!({}),
    }];
    store
        .put_document(
            None,
            &n.to_string(),
            None,
            &json!(n),
            Journal {
                audit,
                ..Journal::default()
            },
        )
        .await
}

#[tokio::test]
async fn a_second_server_is_refused_and_readers_are_not() {
    let folder = Folder::new();
    let server = Store::open(&folder.settings()).unwrap();
    note(&server, 1).await.unwrap();
    assert!(matches!(
        Store::open(&folder.settings()),
        Err(OpenError::Locked { .. })
    ));
    let mut beside = folder.settings();
    beside.read_only = true;
    let reader = Store::open(&beside).unwrap();
    note(&server, 2).await.unwrap();
    assert!(
        reader.document(None, "2").await.unwrap().is_some(),
        "it sees what the server writes"
    );
    assert!(note(&reader, 3).await.is_err());
    drop((server, reader));
    note(&Store::open(&folder.settings()).unwrap(), 3)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reader_makes_no_database() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.read_only = true;
    assert!(Store::open(&settings).is_err());
    assert!(!folder.0.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn all_its_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let store = Store::open(&folder.settings()).unwrap();
    note(&store, 1).await.unwrap();
    for file in std::fs::read_dir(&folder.0).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{file:?}"
        );
    }
}

#[tokio::test]
async fn foreign_hands_in_the_audit_are_found_and_named() {
    for (sql, seq, what) in [
        ("UPDATE audit SET target = 'x' WHERE seq = 3", 3, "altered"),
        ("UPDATE audit SET app_id = '' WHERE seq = 3", 3, "altered"),
        (
            "DELETE FROM audit WHERE seq = 2",
            2,
            "rows 2 to 2 are missing",
        ),
        (
            "DELETE FROM audit WHERE seq = 5",
            5,
            "the chain ends at row 4",
        ),
        (
            "DELETE FROM audit WHERE seq = 1",
            1,
            "rows 1 to 1 are missing",
        ),
        (
            "UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 99",
            2,
            "moved",
        ),
    ] {
        let folder = Folder::new();
        let store = Store::open(&folder.settings()).unwrap();
        for n in 1..=5 {
            note(&store, n).await.unwrap();
        }
        assert_eq!(
            store
                .verify_audit(&|_| Signature::Broken)
                .await
                .unwrap()
                .faults,
            []
        );
        folder.tamper(sql);
        let faults = store
            .verify_audit(&|_| Signature::Broken)
            .await
            .unwrap()
            .faults;
        assert!(
            faults
                .iter()
                .any(|fault| fault.seq == seq && fault.what.contains(what)),
            "{sql}: {faults:?}"
        );
    }
}

/// Plays the server that will be killed: acknowledges on standard output what is durable.
#[tokio::test]
async fn as_a_child_write_until_killed() {
    let Ok(url) = std::env::var("HEIMDALL_TEST_WRITE_TO") else {
        return;
    };
    let store = Store::open(&StoreSettings::new(url)).unwrap();
    let first: u64 = std::env::var("HEIMDALL_TEST_FROM")
        .unwrap()
        .parse()
        .unwrap();
    for n in first.. {
        // Several at once, so that commits are shared.
        let all: Vec<_> = (0..4)
            .map(|i| {
                let store = store.clone();
                tokio::spawn(async move { note(&store, n * 4 + i).await })
            })
            .collect();
        for (i, one) in all.into_iter().enumerate() {
            one.await.unwrap().unwrap();
            writeln!(std::io::stdout(), "ACK {}", n * 4 + i as u64).unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_and_what_was_not_is_whole_or_absent() {
    let folder = Folder::new();
    let mut acknowledged = Vec::new();
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "as_a_child_write_until_killed",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("HEIMDALL_TEST_WRITE_TO", folder.settings().url.expose())
            .env("HEIMDALL_TEST_FROM", (round * 100_000).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = 5 + round as usize * 37;
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, n)) = line.rsplit_once("ACK ") {
                acknowledged.push(n.parse::<u64>().unwrap());
                seen += 1;
                if seen == enough {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        let store = Store::open(&folder.settings()).unwrap();
        let report = store.verify_audit(&|_| Signature::Broken).await.unwrap();
        assert_eq!(report.faults, []);
        for n in &acknowledged {
            assert!(
                store
                    .document(None, &n.to_string())
                    .await
                    .unwrap()
                    .is_some(),
                "{n} was acknowledged and is lost"
            );
        }
        let mut page = heimdall_types::PageRequest {
            limit: 200,
            cursor: None,
        };
        let mut rows = 0;
        loop {
            let part = store
                .audit(None, &heimdall_store::AuditFilter::default(), &page)
                .await
                .unwrap();
            for row in &part.data {
                assert!(
                    store.document(None, &row.target).await.unwrap().is_some(),
                    "an audit row without its change"
                );
            }
            rows += part.data.len();
            let Some(next) = part.next_cursor else { break };
            page.cursor = Some(heimdall_types::Cursor::decode(&next).unwrap());
        }
        assert!(rows >= acknowledged.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_job_spoils_none_of_its_batch() {
    let folder = Folder::new();
    let store = Store::open(&folder.settings()).unwrap();
    note(&store, 0).await.unwrap();
    let all: Vec<_> = (0..60u64)
        .map(|n| {
            let store = store.clone();
            // Every third collides with a row that exists.
            tokio::spawn(async move { note(&store, if n % 3 == 0 { 0 } else { n }).await.is_ok() })
        })
        .collect();
    let mut good = 0;
    for one in all {
        good += usize::from(one.await.unwrap());
    }
    assert_eq!(good, 40);
    let report = store.verify_audit(&|_| Signature::Broken).await.unwrap();
    assert_eq!((report.rows, report.faults), (41, vec![]));
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.queue = 1;
    let store = Store::open(&settings).unwrap();
    // Another process holds the database for a moment: the writer waits, and one job fits behind it.
    let mut other = SqliteConnection::establish(folder.0.join("h.db").to_str().unwrap()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { note(&store, n).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.batch_execute("COMMIT").unwrap();
    let mut refused = 0;
    for one in waiting {
        refused += usize::from(one.await.unwrap().is_err());
    }
    assert!((15..20).contains(&refused), "{refused} of 20");
}

/// Plays the server whose disk is full: files may not grow beyond a limit.
#[tokio::test]
async fn as_a_child_fill_the_disk() {
    let Ok(url) = std::env::var("HEIMDALL_TEST_FILL") else {
        return;
    };
    let store = Store::open(&StoreSettings::new(url)).unwrap();
    let mut refused = 0;
    for n in 0..100_000 {
        match note(&store, n).await {
            Ok(_) => writeln!(std::io::stdout(), "ACK {n}").unwrap(),
            Err(heimdall_types::Fault::Unavailable(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        if refused == 5 {
            assert!(
                store.document(None, "0").await.unwrap().is_some(),
                "reading goes on"
            );
            writeln!(std::io::stdout(), "FULL").unwrap();
            return;
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_loses_nothing() {
    let folder = Folder::new();
    let out = Command::new("sh")
        // Ignored, the signal of the limit becomes an error of the write.
        .args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "as_a_child_fill_the_disk",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("HEIMDALL_TEST_FILL", folder.settings().url.expose())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("FULL"), "{text}");
    let store = Store::open(&folder.settings()).unwrap();
    let acknowledged: Vec<_> = text
        .lines()
        .filter_map(|line| Some(line.rsplit_once("ACK ")?.1))
        .collect();
    assert!(acknowledged.len() > 10);
    for n in &acknowledged {
        assert!(
            store.document(None, n).await.unwrap().is_some(),
            "{n} is lost"
        );
    }
    let report = store.verify_audit(&|_| Signature::Broken).await.unwrap();
    assert_eq!(report.faults, []);
    assert!(report.rows >= acknowledged.len() as i64);
    note(&store, 1_000_000).await.unwrap();
}
