use std::sync::Arc;

use heimdall_approval::archive::{Archive, RecordKind};
use heimdall_approval::workflows::{
    ApiKeyInput, Conditions, GroupInput, NewApproval, Privilege, Workflows,
};
use heimdall_approval::{
    Action, ApprovalError, Approver, Ballot, Identity, Person, Portals, Refusal, replay,
};
use heimdall_store::Store;
use heimdall_token::{RootKey, SystemRng};
use heimdall_types::{Actor, AppId, Fault, ManualClock, PageRequest, SeededRng, Timestamp};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Always;

impl Conditions for Always {
    fn holds(&self, _: &str, _: &Value) -> Result<bool, String> {
        Ok(true)
    }
}

fn workflows(store: &Store) -> Workflows {
    let (all, clock, rng) = (
        Arc::new(store.clone()),
        Arc::new(ManualClock::at(NOW)),
        Arc::new(SystemRng),
    );
    let root = RootKey::generate(&SeededRng::new(1));
    let portals = Portals::new(all.clone(), root.clone(), clock.clone(), rng.clone());
    Workflows::new(
        all.clone(),
        all,
        Arc::new(Always),
        portals,
        root,
        clock,
        rng,
    )
}

fn app(seed: u64) -> AppId {
    AppId::generate(NOW, &SeededRng::new(seed))
}

fn person(name: &str) -> Person {
    Person::new(
        name,
        [Identity::email(
            &format!("{name}@x.example").parse().unwrap(),
        )],
    )
}

fn new(people: &[&str]) -> NewApproval {
    let approvers: Vec<Value> = people
        .iter()
        .map(|name| json!({ "email": format!("{name}@x.example") }))
        .collect();
    let root = json!({ "name": "s", "type": "group", "approvers": approvers, "pass": 1 });
    NewApproval {
        title: "t".to_owned(),
        root: Some(root),
        ..NewApproval::default()
    }
}

pub(crate) async fn of_many_decisions_at_once_one_counts(store: Store) {
    let (flows, app) = (workflows(&store), app(1));
    let people = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (id, state) = flows
        .create(&app, &Actor::System, new(&people))
        .await
        .unwrap();
    let step = state.steps[0].spec.id.to_string();
    let mut votes = Vec::new();
    for (index, name) in people.into_iter().enumerate() {
        let action = if index % 2 == 0 {
            Action::Approve
        } else {
            Action::Reject
        };
        let (flows, app, id, step) = (flows.clone(), app.clone(), id.clone(), step.clone());
        votes.push(tokio::spawn(async move {
            flows
                .vote(&app, &id, &step, &person(name), Ballot::new(action))
                .await
        }));
    }
    let mut counted = 0;
    for vote in votes {
        match vote.await.unwrap() {
            Ok(state) => {
                assert!(!state.is_open());
                counted += 1;
            }
            Err(error) => assert!(
                matches!(
                    error,
                    ApprovalError::Refused(Refusal::Closed(_) | Refusal::NotActive)
                ),
                "{error:?}"
            ),
        }
    }
    assert_eq!(counted, 1);
    let log = store.log(&app, &id).await.unwrap();
    let stored = flows.approval(&app, &id).await.unwrap();
    assert_eq!(replay(&log), stored.state, "the log adds up to the state");
    assert_eq!(stored.state.votes().count(), 1);
}

pub(crate) async fn records_belong_to_one_app_and_names_are_taken_once(store: Store) {
    let (flows, one, two) = (workflows(&store), app(1), app(2));
    let group = || GroupInput {
        name: "leads".to_owned(),
        members: vec![Approver::Email("a@x.example".parse().unwrap())],
    };
    let made = flows
        .save_group(&one, &Actor::System, None, group())
        .await
        .unwrap();
    let taken = flows.save_group(&one, &Actor::System, None, group()).await;
    assert_eq!(taken, Err(ApprovalError::Fault(Fault::Duplicate("name"))));
    flows
        .save_group(&two, &Actor::System, None, group())
        .await
        .unwrap();
    assert_eq!(
        flows.group(&two, made.id.as_str()).await,
        Err(ApprovalError::NotFound)
    );
    assert_eq!(
        flows
            .groups(&one, &PageRequest::first())
            .await
            .unwrap()
            .data,
        std::slice::from_ref(&made)
    );
    flows
        .drop_group(&one, &Actor::System, made.id.as_str())
        .await
        .unwrap();
    let gone = Archive::record(&store, &one, RecordKind::Group, made.id.as_str()).await;
    assert_eq!(gone, Ok(None));
}

pub(crate) async fn an_api_key_is_found_by_itself_and_good_where_and_when_it_says(store: Store) {
    let (flows, app) = (workflows(&store), app(1));
    let input = ApiKeyInput {
        name: "k".to_owned(),
        privileges: vec![Privilege::Read],
        not_before: None,
        not_after: Some("2099-01-01T00:00:00Z".to_owned()),
        addresses: vec!["10.1.0.0/16".to_owned(), "::1".to_owned()],
    };
    let (key, secret) = flows
        .create_api_key(&app, &Actor::System, input)
        .await
        .unwrap();
    let from = |text: &str| text.parse().unwrap();
    assert_eq!(
        flows.api_key(secret.expose(), from("10.1.9.9")).await,
        Ok(Some(key.clone()))
    );
    assert_eq!(
        flows
            .api_key(secret.expose(), from("::ffff:10.1.0.1"))
            .await,
        Ok(Some(key.clone()))
    );
    assert_eq!(
        flows.api_key(secret.expose(), from("10.2.0.1")).await,
        Ok(None)
    );
    assert_eq!(flows.api_key("hak_other", from("10.1.9.9")).await, Ok(None));
    flows
        .drop_api_key(&app, &Actor::System, key.id.as_str())
        .await
        .unwrap();
    assert_eq!(
        flows.api_key(secret.expose(), from("10.1.9.9")).await,
        Ok(None)
    );
}

pub(crate) async fn approvals_are_listed_newest_first_in_their_app(store: Store) {
    let (flows, app, other) = (workflows(&store), app(1), app(2));
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(
            flows
                .create(&app, &Actor::System, new(&["a"]))
                .await
                .unwrap()
                .0,
        );
    }
    made.sort();
    made.reverse();
    let (first, rest) = (
        PageRequest {
            limit: 2,
            cursor: None,
        },
        PageRequest::first(),
    );
    let page = flows.approvals(&app, Some("Open"), &first).await.unwrap();
    assert_eq!(page.data, made[..2]);
    assert!(page.next_cursor.is_some());
    assert_eq!(
        flows
            .approvals(&app, Some("Approved"), &rest)
            .await
            .unwrap()
            .data,
        []
    );
    assert_eq!(flows.approvals(&other, None, &rest).await.unwrap().data, []);
}
