use std::sync::Arc;
use std::time::Duration;

use heimdall_notifier::Outbox;
use heimdall_store::{AuditFilter, Committed, Repetition, Signature, Store, checkpoint_verifier};
use heimdall_token::{
    Algorithm, KeyChange, KeyRecord, KeyState, KeyStore as _, KeyTransition, PublicKeys, Signer,
    SigningKey,
};
use heimdall_types::{
    Actor, AppId, AuditEntry, Cursor, EventId, Fault, FeedEvent, Journal, Notice, NoticeId,
    PageRequest, SeededRng, Timestamp,
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn app(seed: u64) -> AppId {
    AppId::generate(NOW, &SeededRng::new(seed))
}

fn entry(app: Option<&AppId>, target: &str) -> AuditEntry {
    AuditEntry {
        app_id: app.cloned(),
        at: NOW,
        actor: Actor::System,
        action: "thing.done".to_owned(),
        target: target.to_owned(),
        data: json!({"before": 1, "after": "ü\u{0}\""}),
    }
}

fn event(app: &AppId, seed: u64, kind: &str) -> FeedEvent {
    FeedEvent {
        id: EventId::generate(NOW, &SeededRng::new(seed)),
        app_id: app.clone(),
        at: NOW,
        kind: kind.to_owned(),
        data: json!({"app_id": app.as_str(), "n": seed}),
    }
}

fn notice(app: &AppId, seed: u64) -> Notice {
    Notice {
        id: NoticeId::generate(NOW, &SeededRng::new(seed)),
        app_id: Some(app.clone()),
        kind: "invite".to_owned(),
        recipient: "jo@example.org".to_owned(),
        data: json!({"invite_id": "inv_1"}),
        due: NOW,
    }
}

async fn leave(store: &Store, app: &AppId, key: &str, journal: Journal) -> Result<i64, Fault> {
    store
        .put_document(Some(app), key, None, &json!({}), journal)
        .await
}

pub(crate) async fn a_lease_is_held_by_one_until_it_ends(store: Store) {
    let app = app(1);
    let notices = vec![notice(&app, 1), notice(&app, 2)];
    leave(
        &store,
        &app,
        "k",
        Journal {
            audit: vec![entry(Some(&app), "k")],
            events: vec![],
            notices,
        },
    )
    .await
    .unwrap();
    assert!(
        store
            .lease(NOW.minus(Duration::from_secs(1)), later(60), 10)
            .await
            .unwrap()
            .is_empty(),
        "not due yet"
    );

    let held = Outbox::lease(&store, NOW, later(60), 10).await.unwrap();
    assert_eq!(held.len(), 2);
    assert!(
        Outbox::lease(&store, NOW, later(60), 10)
            .await
            .unwrap()
            .is_empty(),
        "both are held"
    );
    store.sent(&held[0].notice.id, NOW).await.unwrap();
    store
        .retry(&held[1].notice.id, later(5), "451 later")
        .await
        .unwrap();
    assert!(
        store
            .lease(later(4), later(60), 10)
            .await
            .unwrap()
            .is_empty()
    );
    let again = Outbox::lease(&store, later(5), later(60), 10)
        .await
        .unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    assert_eq!(again[0].notice.id, held[1].notice.id);
    let after_a_crash = Outbox::lease(&store, later(61), later(120), 10)
        .await
        .unwrap();
    assert_eq!(
        after_a_crash.len(),
        1,
        "a lease that ran out is taken by another"
    );
}

pub(crate) async fn a_buried_notice_stays_visible_and_can_be_sent_again(store: Store) {
    let (app, other) = (app(1), app(2));
    let mail = notice(&app, 1);
    let journal = Journal {
        audit: vec![entry(Some(&app), "k")],
        events: vec![],
        notices: vec![mail.clone()],
    };
    leave(&store, &app, "k", journal).await.unwrap();
    Outbox::lease(&store, NOW, later(60), 10).await.unwrap();
    store
        .bury(&mail.id, later(1), "550 no such user")
        .await
        .unwrap();
    assert!(
        store
            .lease(later(100), later(200), 10)
            .await
            .unwrap()
            .is_empty()
    );
    for own in [Some(&app), None] {
        let dead = store.dead(own, &PageRequest::first()).await.unwrap().data;
        assert_eq!(
            (dead.len(), dead[0].error.as_str(), dead[0].attempts),
            (1, "550 no such user", 1)
        );
    }
    assert!(
        store
            .dead(Some(&other), &PageRequest::first())
            .await
            .unwrap()
            .data
            .is_empty()
    );
    assert!(store.resend(&mail.id, later(200)).await.unwrap());
    assert!(
        !store.resend(&mail.id, later(200)).await.unwrap(),
        "it is no dead letter any more"
    );
    assert_eq!(
        Outbox::lease(&store, later(200), later(300), 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

pub(crate) async fn an_undone_document_leaves_no_audit_behind(store: Store) {
    let app = app(1);
    let journal = || Journal {
        audit: vec![entry(Some(&app), "k")],
        events: vec![event(&app, 1, "app.updated")],
        notices: vec![],
    };
    assert_eq!(leave(&store, &app, "k", journal()).await, Ok(1));
    let second = Journal {
        events: vec![event(&app, 2, "app.updated")],
        ..journal()
    };
    assert_eq!(
        leave(&store, &app, "k", second.clone()).await,
        Err(Fault::Conflict),
        "it exists"
    );
    assert_eq!(
        store
            .put_document(Some(&app), "k", Some(7), &json!({}), second)
            .await,
        Err(Fault::Conflict)
    );
    settled(&store, 1).await;
    assert_eq!(store.events(&app, 0, &[], 10).await.unwrap().len(), 1);
    assert_eq!(
        store
            .document(Some(&app), "k")
            .await
            .unwrap()
            .unwrap()
            .version,
        1
    );
}

/// Waits until `rows` audit rows are chained (on SQLite they are at once) and the chain holds.
async fn settled(store: &Store, rows: i64) {
    for _ in 0..200 {
        let report = store
            .verify_audit(&|_| Signature::UnknownKey)
            .await
            .unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        if report.unchained == 0 {
            assert_eq!(report.rows, rows);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the chainer does not come");
}

pub(crate) async fn only_one_of_many_writers_wins_a_version(store: Store) {
    let app = app(1);
    leave(&store, &app, "k", Journal::default()).await.unwrap();
    let tries = (0..20).map(|n| {
        let (store, app) = (store.clone(), app.clone());
        tokio::spawn(async move {
            let journal = Journal {
                audit: vec![entry(Some(&app), &n.to_string())],
                ..Journal::default()
            };
            store
                .put_document(Some(&app), "k", Some(1), &json!({"winner": n}), journal)
                .await
        })
    });
    let mut won = 0;
    for outcome in tries.collect::<Vec<_>>() {
        match outcome.await.unwrap() {
            Ok(version) => {
                assert_eq!(version, 2);
                won += 1;
            }
            Err(fault) => assert_eq!(fault, Fault::Conflict),
        }
    }
    assert_eq!(won, 1);
    settled(&store, 1).await;
}

pub(crate) async fn the_feed_is_read_on_from_where_it_was_left(store: Store) {
    let (app, other) = (app(1), app(2));
    let mut signals = store.subscribe();
    for n in 0..5 {
        let kind = if n % 2 == 0 {
            "user.created"
        } else {
            "role.assigned"
        };
        for own in [&app, &other] {
            let journal = Journal {
                audit: vec![entry(Some(own), "k")],
                events: vec![event(own, n, kind)],
                notices: vec![],
            };
            leave(&store, own, &n.to_string(), journal).await.unwrap();
        }
    }
    while store.feed_end().await.unwrap() < 10 {
        tokio::time::timeout(Duration::from_secs(2), signals.recv())
            .await
            .unwrap()
            .unwrap();
    }
    let first = store.events(&app, 0, &[], 2).await.unwrap();
    let rest = store
        .events(&app, first[1].position, &[], 10)
        .await
        .unwrap();
    let seen: Vec<_> = first
        .iter()
        .chain(&rest)
        .map(|e| e.event.data["n"].as_u64().unwrap())
        .collect();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let only = store
        .events(&app, 0, &["role.assigned".to_owned()], 10)
        .await
        .unwrap();
    assert_eq!(only.len(), 2);
    assert!(only.iter().all(|e| e.event.app_id == app));
    assert_eq!(store.prune_feed(later(1)).await.unwrap(), 10);
    assert_eq!(
        store.feed_end().await.unwrap(),
        10,
        "positions are never given out twice"
    );
}

pub(crate) async fn a_commit_is_told_to_those_who_subscribed(store: Store) {
    let app = app(1);
    let mut signals = store.subscribe();
    let journal = Journal {
        audit: vec![entry(Some(&app), "role_1")],
        events: vec![event(&app, 1, "role.created")],
        notices: vec![],
    };
    leave(&store, &app, "k", journal).await.unwrap();
    // The listener of PostgreSQL may begin only now; it then tells everyone that changes may have been missed.
    let told: Committed = std::iter::from_fn(|| signals.try_recv().ok())
        .find(|told| !told.everything)
        .unwrap();
    assert_eq!(
        (told.app_id.as_ref(), told.events),
        (Some(&app), vec!["role.created".to_owned()])
    );
    assert!(told.targets.contains(&"role_1".to_owned()));
}

pub(crate) async fn an_idempotency_key_answers_for_the_first_request(store: Store) {
    let begin = async |at: Timestamp, print: &[u8]| {
        store
            .begin_idempotent("who", "key", print, at, Duration::from_secs(60))
            .await
            .unwrap()
    };
    assert_eq!(begin(NOW, b"a").await, Repetition::First);
    assert_eq!(begin(NOW, b"a").await, Repetition::Running);
    assert_eq!(begin(NOW, b"b").await, Repetition::Mismatch);
    store.abandon_idempotent("who", "key").await.unwrap();
    assert_eq!(begin(NOW, b"a").await, Repetition::First);
    store
        .finish_idempotent("who", "key", b"sealed", NOW)
        .await
        .unwrap();
    assert_eq!(
        begin(later(23 * 3600), b"a").await,
        Repetition::Done(b"sealed".to_vec())
    );
    assert_eq!(begin(later(25 * 3600), b"b").await, Repetition::First);
    assert_eq!(store.prune_idempotency(later(26 * 3600)).await.unwrap(), 1);
}

pub(crate) async fn a_journal_of_another_app_is_refused(store: Store) {
    let (app, other) = (app(1), app(2));
    let journal = Journal {
        audit: vec![entry(Some(&other), "k")],
        ..Journal::default()
    };
    assert!(leave(&store, &app, "k", journal).await.is_err());
    let unaudited = Journal {
        events: vec![event(&app, 1, "user.created")],
        ..Journal::default()
    };
    assert!(leave(&store, &app, "k", unaudited).await.is_err());
    assert_eq!(store.document(Some(&app), "k").await.unwrap(), None);
}

pub(crate) async fn every_row_of_many_writers_is_chained(store: Store) {
    let app = app(1);
    let writers: Vec<_> = (0..40)
        .map(|n| {
            let (store, app) = (store.clone(), app.clone());
            tokio::spawn(async move {
                let audit = vec![entry(Some(&app), "a"), entry(Some(&app), "b")];
                let journal = Journal {
                    audit,
                    events: vec![event(&app, n, "user.created")],
                    notices: vec![notice(&app, n)],
                };
                leave(&store, &app, &n.to_string(), journal).await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    settled(&store, 80).await;
}

pub(crate) async fn a_dump_fills_an_empty_database_of_either_kind(store: Store) {
    let app = app(1);
    for n in 0..3 {
        let journal = Journal {
            audit: vec![entry(Some(&app), "a"), entry(None, "b")],
            events: vec![event(&app, n, "user.created")],
            notices: vec![notice(&app, n)],
        };
        store
            .put_document(
                None,
                &n.to_string(),
                None,
                &json!({"ü": [n, null, true]}),
                Journal::default(),
            )
            .await
            .unwrap();
        // An App's job tells of that App only; this journal needs the wider scope.
        let record = KeyRecord {
            kid: format!("k{n}"),
            ..key(n)
        };
        let changes = vec![KeyChange {
            record,
            expected: None,
        }];
        store
            .apply(KeyTransition { changes, journal })
            .await
            .unwrap();
    }
    settled(&store, 6).await;
    let folder = crate::Folder(crate::folder());
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("dump");
    let rows = store.dump(&file).await.unwrap();
    assert!(store.dump(&file).await.is_err(), "nothing is overwritten");
    assert!(
        store.load_dump(&file).await.is_err(),
        "the database is not empty"
    );
    let end = store
        .verify_audit(&|_| Signature::UnknownKey)
        .await
        .unwrap()
        .end;

    let text = std::fs::read_to_string(&file).unwrap();
    let cut = folder.0.join("cut");
    std::fs::write(&cut, text.rsplit_once("\n{").unwrap().0).unwrap();
    for (target, _folder) in [crate::memory(), crate::sqlite(), crate::on_postgres()] {
        assert!(target.load_dump(&cut).await.is_err(), "it was cut short");
        assert_eq!(target.document(None, "restored").await.unwrap(), None);
        assert_eq!(target.load_dump(&file).await.unwrap(), rows);
        settled(&target, 6).await;
        assert_eq!(
            target
                .verify_audit(&|_| Signature::UnknownKey)
                .await
                .unwrap()
                .end,
            end
        );
        assert_eq!(
            Outbox::lease(&target, NOW, later(60), 10)
                .await
                .unwrap()
                .len(),
            3
        );
        assert_eq!(target.load().await.unwrap(), store.load().await.unwrap());
        let journal = Journal {
            audit: vec![entry(Some(&app), "after")],
            ..Journal::default()
        };
        leave(&target, &app, "after", journal).await.unwrap();
        settled(&target, 7).await;
    }
}

fn key(n: u64) -> KeyRecord {
    KeyRecord {
        kid: "kid".to_owned(),
        algorithm: Algorithm::Es256,
        state: KeyState::Active,
        created_at: NOW,
        activates_at: NOW,
        retired_at: None,
        removes_at: None,
        sealed: vec![0, 255, u8::try_from(n).unwrap()],
        version: 1,
    }
}

pub(crate) async fn keys_are_kept_and_removed_ones_not_given_out(store: Store) {
    let put = async |record: KeyRecord, expected| {
        let journal = Journal {
            audit: vec![entry(None, &record.kid)],
            ..Journal::default()
        };
        store
            .apply(KeyTransition {
                changes: vec![KeyChange { record, expected }],
                journal,
            })
            .await
    };
    put(key(1), None).await.unwrap();
    assert_eq!(store.load().await.unwrap(), [key(1)]);
    assert_eq!(put(key(2), None).await, Err(Fault::Conflict), "it exists");
    let gone = KeyRecord {
        state: KeyState::Removed,
        sealed: vec![],
        version: 2,
        ..key(1)
    };
    assert_eq!(put(gone.clone(), Some(7)).await, Err(Fault::Conflict));
    put(gone, Some(1)).await.unwrap();
    assert_eq!(store.load().await.unwrap(), []);
    settled(&store, 2).await;
}

pub(crate) async fn the_audit_is_shown_by_page_and_filter_and_signed(store: Store) {
    let (app, other) = (app(1), app(2));
    for (n, own) in [(1, &app), (2, &other), (3, &app), (4, &app)] {
        let mut row = entry(Some(own), &format!("usr_{n}"));
        row.action = if n == 4 {
            "role_x.assigned"
        } else {
            "role%.assigned"
        }
        .to_owned();
        row.actor = Actor::User {
            id: format!("usr_{n}"),
        };
        leave(
            &store,
            own,
            &n.to_string(),
            Journal {
                audit: vec![row],
                ..Journal::default()
            },
        )
        .await
        .unwrap();
    }
    settled(&store, 4).await;
    let page = |limit, cursor| PageRequest { limit, cursor };
    let first = store
        .audit(Some(&app), &AuditFilter::default(), &page(2, None))
        .await
        .unwrap();
    let targets: Vec<_> = first.data.iter().map(|row| row.target.as_str()).collect();
    assert_eq!(targets, ["usr_4", "usr_3"]);
    let cursor = Cursor::decode(&first.next_cursor.unwrap()).unwrap();
    let rest = store
        .audit(Some(&app), &AuditFilter::default(), &page(2, Some(cursor)))
        .await
        .unwrap();
    assert_eq!((rest.data.len(), rest.next_cursor), (1, None));
    for (filter, count) in [
        (
            AuditFilter {
                action: Some("role%*".to_owned()),
                ..AuditFilter::default()
            },
            3,
        ),
        (
            AuditFilter {
                actor: Some("usr_2".to_owned()),
                ..AuditFilter::default()
            },
            1,
        ),
        (
            AuditFilter {
                actor: Some("usr_".to_owned()),
                ..AuditFilter::default()
            },
            0,
        ),
        (
            AuditFilter {
                target: Some("usr_3".to_owned()),
                ..AuditFilter::default()
            },
            1,
        ),
        (
            AuditFilter {
                until: Some(NOW),
                ..AuditFilter::default()
            },
            0,
        ),
    ] {
        assert_eq!(
            store
                .audit(None, &filter, &PageRequest::first())
                .await
                .unwrap()
                .data
                .len(),
            count,
            "{filter:?}"
        );
    }

    let signing = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
    let keys = Arc::new(PublicKeys::of([signing.public().clone()]));
    let signer = Signer::new(signing);
    assert_eq!(
        store
            .checkpoint_audit(NOW, None, &signer)
            .await
            .unwrap()
            .unwrap()
            .seq,
        4
    );
    assert_eq!(
        store.checkpoint_audit(NOW, None, &signer).await.unwrap(),
        None,
        "nothing is new"
    );
    let report = store
        .verify_audit(&checkpoint_verifier(keys))
        .await
        .unwrap();
    assert_eq!((report.checkpoints, report.faults), (1, vec![]));
    let strange = store
        .verify_audit(&checkpoint_verifier(Arc::default()))
        .await
        .unwrap();
    assert_eq!((strange.checkpoints, strange.unknown_keys), (0, 1));

    let mut out = Vec::new();
    assert_eq!(store.export_audit(Some(&app), &mut out).await.unwrap(), 5);
    let lines: Vec<serde_json::Value> = out
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(lines[0]["target"], "usr_1");
    assert_eq!(
        lines[1].get("target"),
        None,
        "a row of another App shows its hashes only"
    );
    assert!(lines[1]["content_hash"].is_string() && lines[4]["checkpoint"].is_string());
}

pub(crate) async fn a_restore_ends_what_could_be_used_twice_and_says_so(store: Store) {
    let (source, _folder) = crate::memory();
    let app = app(1);
    let journal = Journal {
        audit: vec![entry(Some(&app), "a")],
        ..Journal::default()
    };
    leave(&source, &app, "k", journal).await.unwrap();
    source
        .begin_idempotent("who", "key", b"a", NOW, Duration::from_secs(60))
        .await
        .unwrap();
    let folder = crate::Folder(crate::folder());
    std::fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("dump");
    source.dump(&file).await.unwrap();
    store.restore_dump(&file, later(5)).await.unwrap();
    settled(&store, 2).await;
    assert!(store.document(None, "restored").await.unwrap().is_some());
    let again = store
        .begin_idempotent("who", "key", b"b", NOW, Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(again, Repetition::First);
}
