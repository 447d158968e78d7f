//! The invariants of the model, over random trees and random histories, and over every history of a small world.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use heimdall_approval::{
    Action, ApprovalState, Ballot, Command, Definition, Delegation, Event, Facts, Identity, Intent,
    Opening, Person, Refusal, State, StepDefinition, StepState, decide, evolve, replay,
};
use heimdall_types::{AppId, ApprovalId, DelegationId, SeededRng, StepId, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const NAMES: [&str; 5] = ["ada", "bo", "cy", "del", "req"];

fn after(hours: u64) -> Timestamp {
    START.plus(Duration::from_secs(3600 * hours))
}

fn person(name: &str) -> Person {
    Person::new(
        name,
        [Identity::email(
            &format!("{name}@x.example").parse().unwrap(),
        )],
    )
}

fn mail(name: &str) -> Value {
    json!({ "email": format!("{name}@x.example") })
}

fn facts() -> Facts {
    let rng = SeededRng::new(9);
    let [from, to] = ["ada", "del"].map(|name| person(name).identities[0].clone());
    let window = Delegation {
        id: DelegationId::generate(START, &rng),
        from,
        to,
        scope: None,
        starts_at: START,
        ends_at: after(10),
    };
    Facts {
        delegations: vec![window],
        ..Facts::default()
    }
}

fn opened(root: &StepDefinition) -> State {
    let rng = SeededRng::new(3);
    let steps = Definition::compile(root, || StepId::generate(START, &rng)).unwrap();
    let opening = Opening::new(
        AppId::generate(START, &rng),
        ApprovalId::generate(START, &rng),
        "t",
        steps,
    )
    .requester(person("req"))
    .dig("d1")
    .deadline(Some(after(40)));
    let events = decide(
        &State::default(),
        &Command::open(opening).knowing(facts()),
        START,
    )
    .unwrap();
    replay(&events)
}

fn tree(value: Value) -> StepDefinition {
    Definition::read(&value).unwrap()
}

/// What must hold after every command.
fn check(state: &State) {
    for (index, step) in state.steps.iter().enumerate() {
        let mut humans: Vec<&Person> = Vec::new();
        for (seat, vote) in step.votes() {
            assert!(!vote.actor.same_as(&person("req")), "the requester voted");
            assert!(
                humans.iter().all(|other| !other.same_as(&vote.actor)),
                "one human, two seats"
            );
            assert!(
                vote.actor.is(&seat.holder) || vote.on_behalf.as_ref() == Some(&seat.holder),
                "a foreign seat"
            );
            assert_eq!(&*vote.dig, &*state.dig);
            assert!(vote.at < after(40), "a vote at or after the deadline");
            humans.push(&vote.actor);
        }
        if let (StepState::Approved, true) = (&step.state, step.spec.kind.has_seats()) {
            let verdict = step.spec.quorum.judge(step.tally());
            assert_eq!(
                verdict,
                Some(heimdall_approval::Count::Approved),
                "an approval its votes do not carry"
            );
        }
        let parent = step.spec.parent.and_then(|parent| state.steps.get(parent));
        if let Some(parent) =
            parent.filter(|parent| parent.spec.kind == heimdall_approval::StepKind::Sequence)
        {
            let earlier = state
                .children(step.spec.parent.unwrap())
                .take_while(|other| *other < index);
            let begun = !matches!(
                step.state,
                StepState::Waiting | StepState::Cancelled | StepState::Expired
            );
            if begun && !parent.state.has_ended() {
                for other in earlier {
                    let before = &state.steps[other].state;
                    assert!(
                        matches!(before, StepState::Approved | StepState::Skipped(_)),
                        "{before:?} before {:?}",
                        step.state
                    );
                }
            }
        }
    }
    if !matches!(state.state, ApprovalState::Open) {
        assert!(
            state.steps.iter().all(|step| step.state.has_ended()),
            "a closed approval with an open step"
        );
    }
}

#[derive(Debug, Clone)]
enum Move {
    Vote(usize, Option<usize>, Action),
    Wait(u64),
    Cancel,
    Reset,
    Leave(usize),
}

fn step() -> impl Strategy<Value = Value> {
    let leaf = (1..=3usize, 1..=3u32, prop::option::of(prop_oneof!["silent", "recuse", "presence"]), prop::option::of(1..30u32))
        .prop_map(|(people, pass, abstain, hours)| {
            let approvers: Vec<Value> = NAMES.iter().take(people).map(|name| mail(name)).collect();
            let mut step = json!({ "name": "s", "type": "group", "approvers": approvers, "pass": pass.min(people as u32), "on_timeout": "reject" });
            if let Some(mode) = abstain {
                step["abstain"] = json!(mode);
            }
            if let Some(hours) = hours {
                step["deadline_hours"] = json!(hours);
            }
            step
        });
    leaf.prop_recursive(2, 8, 3, |inner| {
        (
            prop_oneof!["parallel", "sequence"],
            prop::collection::vec(inner, 1..4),
        )
            .prop_map(|(kind, children)| json!({ "name": "c", "type": kind, "children": children }))
    })
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let action = prop_oneof![
        Just(Action::Approve),
        Just(Action::Approve),
        Just(Action::Reject),
        Just(Action::Abstain)
    ];
    let one = prop_oneof![
        8 => (0..5usize, prop::option::of(0..6usize), action).prop_map(|(who, step, action)| Move::Vote(who, step, action)),
        2 => (1..15u64).prop_map(Move::Wait),
        1 => Just(Move::Cancel),
        1 => Just(Move::Reset),
        1 => (0..3usize).prop_map(Move::Leave),
    ];
    prop::collection::vec(one, 0..25)
}

fn command(action: &Move) -> Command {
    let command = match action {
        Move::Vote(who, step, action) => {
            Command::vote(person(NAMES[*who]), *step, Ballot::new(*action))
        }
        Move::Wait(_) => Command::tick(),
        Move::Cancel => Command::of(Person::default(), Intent::Cancel),
        Move::Reset => Command::of(person("cy"), Intent::Reset),
        Move::Leave(who) => Command::of(
            Person::default(),
            Intent::Leave(person(NAMES[*who]).identities[0].clone()),
        ),
    };
    command.knowing(facts())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_invariant_holds_on_every_history(root in step(), moves in moves()) {
        let first = opened(&tree(root));
        check(&first);
        let (mut state, mut log, mut hours) = (first.clone(), Vec::new(), 0);
        for action in &moves {
            if let Move::Wait(by) = action {
                hours += by;
            }
            // A reset moves the deadline; the check of votes against the first one holds for the first epoch only.
            if matches!(action, Move::Reset) {
                continue;
            }
            let before = state.clone();
            let Ok(events) = decide(&state, &command(action), after(hours)) else { continue };
            for event in &events {
                let json = serde_json::to_string(event).unwrap();
                prop_assert_eq!(event, &serde_json::from_str::<Event>(&json).unwrap());
            }
            state = events.iter().fold(state, evolve);
            log.extend(events);
            check(&state);
            if !before.is_open() {
                prop_assert_eq!(&before, &state, "terminal is terminal");
            }
            prop_assert_eq!(log.iter().fold(first.clone(), evolve), state.clone(), "replay gives the state");
        }
        let last = decide(&state, &Command::tick(), after(1000)).unwrap();
        let end = last.iter().fold(state, evolve);
        prop_assert!(!end.is_open(), "every open approval with a deadline ends");
    }

    #[test]
    fn a_reset_begins_anew_and_old_rounds_count_no_more(root in step(), moves in moves()) {
        let mut state = opened(&tree(root));
        let old: Vec<u32> = state.steps.iter().map(|step| step.activation).collect();
        for action in &moves {
            if let Ok(events) = decide(&state, &command(action), START) {
                state = events.iter().fold(state, evolve);
            }
        }
        let epoch = state.epoch;
        let events = decide(&state, &command(&Move::Reset), START).unwrap();
        let state = events.iter().fold(state, evolve);
        prop_assert_eq!(state.epoch, epoch + 1);
        prop_assert_eq!(state.votes().count(), 0);
        for (index, activation) in old.iter().enumerate() {
            let ballot = Ballot { round: Some((epoch, *activation)), ..Ballot::new(Action::Approve) };
            let refused = decide(&state, &Command::vote(person("ada"), Some(index), ballot), START);
            prop_assert_eq!(refused, Err(Refusal::Stale));
        }
    }
}

/// Three principals, a delegate, a requester, two steps, a deadline and a reset: every order of everything.
#[test]
fn the_small_world_has_no_history_that_breaks_an_invariant() {
    let root = tree(json!({ "name": "two", "type": "sequence", "children": [
        { "name": "first", "type": "group", "approvers": [mail("ada"), mail("bo")], "pass": 1, "deadline_hours": 2 },
        { "name": "second", "type": "group", "approvers": [mail("ada"), mail("cy")], "pass": 2, "abstain": "silent" },
    ]}));
    let mut all = vec![Move::Wait(1), Move::Cancel, Move::Leave(1), Move::Reset];
    for who in 0..NAMES.len() {
        for step in [Some(1), Some(2)] {
            for action in [Action::Approve, Action::Reject, Action::Abstain] {
                all.push(Move::Vote(who, step, action));
            }
        }
    }
    let (mut seen, mut queue) = (HashSet::new(), VecDeque::from([(opened(&root), 0u64)]));
    let (mut approved, mut expired) = (0, 0);
    while let Some((state, hours)) = queue.pop_front() {
        if !seen.insert(format!(
            "{hours}{:?}{:?}",
            state.state,
            state
                .steps
                .iter()
                .map(|s| (&s.state, &s.seats, s.activation))
                .collect::<Vec<_>>()
        )) {
            continue;
        }
        check(&state);
        approved += u32::from(state.is_approved());
        expired += u32::from(state.state == ApprovalState::Expired);
        for action in &all {
            let hours = hours + u64::from(matches!(action, Move::Wait(_)));
            if hours > 3 || (matches!(action, Move::Reset) && state.epoch > 1) {
                continue;
            }
            if let Ok(events) = decide(&state, &command(action), after(hours)) {
                if !state.is_open() && !matches!(action, Move::Reset) {
                    assert!(events.is_empty(), "terminal is terminal: {action:?}");
                }
                if !events.is_empty() || matches!(action, Move::Wait(_)) {
                    queue.push_back((events.iter().fold(state.clone(), evolve), hours));
                }
            }
        }
    }
    assert!(
        seen.len() > 500 && approved > 0 && expired > 0,
        "{} states",
        seen.len()
    );
}

#[test]
fn a_delegate_and_the_one_they_stand_in_for_share_one_seat() {
    let root =
        tree(json!({ "name": "s", "type": "group", "approvers": [mail("ada"), mail("bo")] }));
    let state = opened(&root);
    let vote = |state: &State, who: &str, at| {
        decide(
            state,
            &Command::vote(person(who), Some(0), Ballot::new(Action::Approve)).knowing(facts()),
            at,
        )
    };
    let voted = vote(&state, "del", START)
        .unwrap()
        .iter()
        .fold(state.clone(), evolve);
    let (seat, cast) = voted.steps[0].votes().next().unwrap();
    assert_eq!(
        (
            seat.holder.address(),
            cast.on_behalf.as_ref().and_then(Identity::address)
        ),
        (Some("ada@x.example"), Some("ada@x.example"))
    );
    assert_eq!(vote(&voted, "ada", START), Err(Refusal::SeatTaken));
    assert_eq!(
        vote(&voted, "del", START),
        Err(Refusal::AlreadyVoted(Action::Approve))
    );
    assert_eq!(vote(&state, "del", after(10)), Err(Refusal::NotEligible));
    assert_eq!(vote(&state, "req", START), Err(Refusal::FourEyes));
}

#[test]
fn timeouts_end_as_the_step_says_and_escalate_once() {
    let end = |on_timeout: &str, extra: Value| {
        let mut step = json!({ "name": "s", "type": "group", "approvers": [mail("ada")], "deadline_hours": 2, "on_timeout": on_timeout });
        step.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let mut state = opened(&tree(step));
        let mut states = Vec::new();
        for hours in [2, 4] {
            state = decide(&state, &Command::tick(), after(hours))
                .unwrap()
                .iter()
                .fold(state, evolve);
            states.push(state.state);
        }
        (states, state)
    };
    use ApprovalState::{Approved, Expired, Open, Rejected};
    assert_eq!(end("expire", json!({})).0, [Expired, Expired]);
    assert_eq!(end("reject", json!({})).0, [Rejected, Rejected]);
    assert_eq!(
        end("approve", json!({"auto_approve": true})).0,
        [Approved, Approved]
    );
    let (states, state) = end("escalate", json!({"escalate_to": [mail("bo")]}));
    assert_eq!(states, [Open, Expired]);
    assert_eq!(state.steps[0].seats.len(), 2);
}

#[test]
fn an_unevaluated_or_failing_condition_holds_until_an_administrator_answers() {
    let root = tree(
        json!({ "name": "s", "type": "group", "approvers": [mail("ada")], "condition": "data.amount > 5" }),
    );
    let state = opened(&root);
    assert!(matches!(state.steps[0].state, StepState::Held(_)));
    let vote = Command::vote(person("ada"), Some(0), Ballot::new(Action::Approve));
    assert_eq!(decide(&state, &vote, START), Err(Refusal::NotActive));
    let answer = Command::of(
        Person::default(),
        Intent::Answer {
            step: 0,
            pass: true,
        },
    );
    let state = decide(&state, &answer, START)
        .unwrap()
        .iter()
        .fold(state, evolve);
    assert!(
        decide(&state, &vote, START)
            .unwrap()
            .iter()
            .fold(state, evolve)
            .is_approved()
    );
}

#[test]
fn a_poll_is_decided_by_its_moderator() {
    let root = tree(
        json!({ "name": "p", "type": "vote", "approvers": [mail("ada"), mail("bo")], "options": ["a", "b"], "moderator": mail("cy") }),
    );
    let mut state = opened(&root);
    let poll = |option| Ballot {
        options: vec![option],
        ..Ballot::new(Action::Vote)
    };
    assert_eq!(
        decide(
            &state,
            &Command::vote(person("ada"), Some(0), poll(2)),
            START
        ),
        Err(Refusal::BadOptions)
    );
    for who in ["ada", "bo"] {
        state = decide(&state, &Command::vote(person(who), Some(0), poll(1)), START)
            .unwrap()
            .iter()
            .fold(state, evolve);
    }
    assert_eq!(state.steps[0].state, StepState::Moderating);
    assert_eq!(
        decide(
            &state,
            &Command::vote(person("dan"), Some(0), Ballot::new(Action::Approve)),
            START
        ),
        Err(Refusal::NotEligible)
    );
    let word = Command::vote(person("cy"), Some(0), Ballot::new(Action::Approve));
    assert!(
        decide(&state, &word, START)
            .unwrap()
            .iter()
            .fold(state, evolve)
            .is_approved()
    );
}

#[test]
fn comments_are_counted_in_characters_after_trimming() {
    let root = tree(
        json!({ "name": "s", "type": "single", "approvers": [mail("ada")], "comment": { "approve": "required" } }),
    );
    let state = opened(&root);
    let vote = |text: String| {
        decide(
            &state,
            &Command::vote(
                person("ada"),
                Some(0),
                Ballot::new(Action::Approve).comment(Some(text)),
            ),
            START,
        )
    };
    assert_eq!(vote("  \n ".to_owned()), Err(Refusal::CommentRequired));
    assert!(vote(format!(" {} ", "\u{1f600}".repeat(1000))).is_ok());
    assert_eq!(vote("x".repeat(1001)), Err(Refusal::CommentRefused));
}

#[test]
fn enough_of_a_parallel_skips_the_rest_unless_one_is_required() {
    let child = |name: &str, required: bool| json!({ "name": name, "type": "single", "approvers": [mail(name)], "required": required });
    let root = tree(
        json!({ "name": "p", "type": "parallel", "pass": 1, "fail": 2, "children": [child("ada", false), child("bo", false), child("cy", true)] }),
    );
    let state = opened(&root);
    let vote = |state: State, who: &str, step| {
        decide(
            &state,
            &Command::vote(person(who), Some(step), Ballot::new(Action::Approve)),
            START,
        )
        .unwrap()
        .iter()
        .fold(state, evolve)
    };
    let one = vote(state, "ada", 1);
    assert!(one.is_open(), "the required child has not spoken");
    let two = vote(one, "cy", 3);
    assert!(two.is_approved());
    assert_eq!(
        two.steps[2].state,
        StepState::Skipped("THRESHOLD_MET".to_owned())
    );
}
