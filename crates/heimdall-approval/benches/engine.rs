//! One decision on a tree of 50 seats, and the replay of a log of 10,000 events.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use heimdall_approval::{
    Action, Ballot, Command, Definition, Event, Identity, Opening, Person, State, decide, replay,
};
use heimdall_types::{AppId, ApprovalId, SeededRng, StepId, Timestamp};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn person(number: usize) -> Person {
    let email = format!("p{number}@x.example").parse();
    Person::new("p", email.iter().map(Identity::email))
}

fn opened() -> Vec<Event> {
    let rng = SeededRng::new(1);
    let children: Vec<_> = (0..10)
        .map(|child| {
            let approvers: Vec<_> = (0..5)
                .map(|n| json!({ "email": format!("p{}@x.example", child * 5 + n) }))
                .collect();
            json!({ "name": "child", "type": "group", "approvers": approvers })
        })
        .collect();
    let root =
        Definition::read(&json!({ "name": "root", "type": "parallel", "children": children }));
    let steps = root
        .and_then(|root| Definition::compile(&root, || StepId::generate(NOW, &rng)))
        .unwrap_or_default();
    let opening = Opening::new(
        AppId::generate(NOW, &rng),
        ApprovalId::generate(NOW, &rng),
        "bench",
        steps,
    );
    decide(&State::default(), &Command::open(opening), NOW).unwrap_or_default()
}

fn benches(criterion: &mut Criterion) {
    let state = replay(&opened());
    let vote = Command::vote(person(37), None, Ballot::new(Action::Approve));
    criterion.bench_function("decide, 50 seats", |b| {
        b.iter(|| decide(black_box(&state), &vote, NOW))
    });

    let mut log = opened();
    let step = |event: &Event| matches!(event, Event::Opened { .. });
    let round: Vec<Event> = log.iter().filter(|event| !step(event)).cloned().collect();
    let voted = decide(&state, &vote, NOW).unwrap_or_default();
    while log.len() < 10_000 {
        log.extend(round.iter().chain(&voted).cloned());
    }
    log.truncate(10_000);
    criterion.bench_function("replay, 10,000 events", |b| {
        b.iter(|| replay(black_box(&log)))
    });
}

criterion_group!(engine, benches);
criterion_main!(engine);
