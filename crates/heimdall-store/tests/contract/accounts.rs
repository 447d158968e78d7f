use heimdall_approval::accounts::ports::{
    AccountBook, AccountChange, AccountDesk, AccountTransition,
};
use heimdall_approval::accounts::{
    Account, AccountSession, AccountState, Confirmed, Errand, Failures, Identified, OneTime,
};
use heimdall_store::Store;
use heimdall_types::{AccountId, Fault, Journal, SeededRng, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn account(seed: u64, email: &str) -> Account {
    Account {
        id: AccountId::generate(NOW, &SeededRng::new(seed)),
        email: email.parse().unwrap(),
        confirmed: Confirmed::Mail,
        first_name: "Inês".to_owned(),
        last_name: "Duarte".to_owned(),
        password: Some("$argon2id$…".into()),
        state: AccountState::Active,
        created_at: NOW,
        version: 0,
    }
}

fn identity(account: &Account, provider: &str, subject: &str) -> Identified {
    Identified {
        provider: provider.to_owned(),
        subject: subject.to_owned(),
        account: account.id.clone(),
        email: None,
        name: String::new(),
        since: NOW,
    }
}

async fn apply(store: &Store, changes: Vec<AccountChange>) -> Result<(), Fault> {
    let journal = Journal::default();
    store.change(AccountTransition { changes, journal }).await
}

pub(crate) async fn an_identity_has_one_account_and_an_account_one_identity_of_a_provider(
    store: Store,
) {
    let (a, b) = (account(1, "a@x.example"), account(2, "b@x.example"));
    let put = |account: &Account| AccountChange::Put(account.clone());
    apply(&store, vec![put(&a), put(&b)]).await.unwrap();
    assert_eq!(
        apply(&store, vec![put(&account(3, "a@x.example"))]).await,
        Err(Fault::Duplicate("email"))
    );
    let link = |account: &Account, provider, subject| {
        AccountChange::Link(identity(account, provider, subject))
    };
    apply(&store, vec![link(&a, "corp", "1")]).await.unwrap();
    for taken in [
        link(&b, "corp", "1"),
        link(&a, "corp", "2"),
        // A step may name the plain id, so that is taken over all providers.
        link(&b, "other", "1"),
    ] {
        assert_eq!(
            apply(&store, vec![taken]).await,
            Err(Fault::Duplicate("identity"))
        );
    }
    apply(&store, vec![link(&a, "other", "9")]).await.unwrap();
    let found = store.identity("corp", "1").await.unwrap().unwrap();
    assert_eq!(found.account, a.id);
    let all = store.identities(&a.id).await.unwrap();
    assert_eq!(all.len(), 2);

    let changed = Account {
        first_name: "I".to_owned(),
        version: 1,
        ..a.clone()
    };
    apply(&store, vec![put(&changed)]).await.unwrap();
    assert_eq!(
        apply(&store, vec![put(&changed)]).await,
        Err(Fault::Conflict)
    );

    let session = |hash: &str| {
        AccountChange::Begin(AccountSession {
            hash: hash.to_owned(),
            account: a.id.clone(),
            agent: String::new(),
            since: NOW,
            until: NOW.plus(std::time::Duration::from_secs(60)),
        })
    };
    apply(&store, vec![session("h1"), session("h2")])
        .await
        .unwrap();
    let rest = AccountChange::EndAll(a.id.clone(), Some("h2".to_owned()));
    apply(&store, vec![rest]).await.unwrap();
    assert!(store.login("h1").await.unwrap().is_none());
    assert!(store.login("h2").await.unwrap().is_some());
    apply(&store, vec![AccountChange::Erase(a.id.clone())])
        .await
        .unwrap();
    assert!(store.login("h2").await.unwrap().is_none());
    assert!(store.identity("corp", "1").await.unwrap().is_none());
    assert!(store.account_by_email(&a.email).await.unwrap().is_none());
    apply(&store, vec![link(&b, "corp", "1")]).await.unwrap();
}

pub(crate) async fn what_is_pending_is_taken_by_one_of_many(store: Store) {
    let pending = OneTime {
        id: "one".to_owned(),
        errand: Errand::Flow {
            provider: "corp".to_owned(),
            browser: "b".to_owned(),
            next: "/".to_owned(),
            account: None,
        },
        until: NOW,
    };
    apply(&store, vec![AccountChange::Keep(pending.clone())])
        .await
        .unwrap();
    assert_eq!(store.pending("one").await, Ok(Some(pending)));
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            apply(&store, vec![AccountChange::Take("one".to_owned())]).await
        }));
    }
    let mut taken = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => taken += 1,
            Err(fault) => assert_eq!(fault, Fault::Conflict),
        }
    }
    assert_eq!(taken, 1);
    // A change that takes what is gone undoes all of it.
    let late = account(4, "late@x.example");
    let both = vec![
        AccountChange::Put(late.clone()),
        AccountChange::Take("one".to_owned()),
    ];
    assert_eq!(apply(&store, both).await, Err(Fault::Conflict));
    assert!(store.account(&late.id).await.unwrap().is_none());

    let tries = Failures {
        count: 3,
        since: NOW,
    };
    for _ in 0..2 {
        let count = AccountChange::Count("k".to_owned(), tries);
        apply(&store, vec![count]).await.unwrap();
    }
    assert_eq!(store.failures("k").await, Ok(tries));
    store
        .prune(NOW.plus(std::time::Duration::from_secs(200_000)))
        .await
        .unwrap();
    assert_eq!(store.failures("k").await, Ok(Failures::default()));
}
