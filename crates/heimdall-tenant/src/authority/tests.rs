use heimdall_types::{AppId, SeededRng, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::entity::AppState;
use crate::settings::AppSettings;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const UNIVERSE: [&str; 8] = ["a", "a:b", "a:b:c", "a:c", "b", "b:a", "b:a:c", "c:c:c"];
const PATTERNS: [&str; 11] = [
    "*", "a:*", "a:b:*", "b:*", "a", "a:b", "a:b:c", "a:c", "b", "b:a:c", "c:c:c",
];

fn app() -> App {
    App {
        id: AppId::generate(NOW, &SeededRng::new(1)),
        name: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        state: AppState::Active,
        settings: AppSettings::default(),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

fn role_id(number: usize) -> RoleId {
    RoleId::generate(NOW, &SeededRng::new(number as u64 + 10))
}

fn role(number: usize, patterns: &[&str], includes: &[usize]) -> Role {
    Role {
        app_id: app().id,
        id: role_id(number),
        name: format!("r{number}"),
        display_name: String::new(),
        description: String::new(),
        permissions: patterns.iter().map(|it| it.parse().unwrap()).collect(),
        includes: includes.iter().map(|at| role_id(*at)).collect(),
        requestable: None,
        notification_configs: Vec::new(),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

fn model(roles: Vec<Role>, catalogue: &[&str]) -> Model {
    let entry = |permission: &&str| CatalogueEntry {
        permission: (*permission).to_owned(),
        description: String::new(),
        built_in: false,
    };
    Model::compile(AppRecord {
        app: app(),
        authority: 0,
        roles,
        catalogue: catalogue.iter().map(entry).collect(),
    })
}

/// The reference: roles as plain lists, everything asked anew, no bits, no closure kept.
#[derive(Debug, Clone, Default)]
struct Plain {
    roles: Vec<(Vec<&'static str>, Vec<usize>)>,
    held: BTreeSet<usize>,
}

impl Plain {
    fn reaches(&self, from: usize, depth: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        if depth < MAX_INCLUDE_DEPTH {
            for below in &self.roles[from].1 {
                reached.extend(self.reaches(*below, depth + 1));
            }
        }
        reached
    }

    fn allows(&self, permission: &str) -> bool {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(stem) => permission.starts_with(stem) && permission != stem,
            None => pattern == permission,
        };
        let roles = self.held.iter().flat_map(|held| self.reaches(*held, 0));
        roles
            .into_iter()
            .any(|role| self.roles[role].0.iter().any(|pattern| matches(pattern)))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Give(usize),
    Take(usize),
    Set(usize, Vec<usize>),
    Include(usize, Vec<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..5usize).prop_map(Step::Give),
        (0..5usize).prop_map(Step::Take),
        (0..5usize, prop::collection::vec(0..PATTERNS.len(), 0..3))
            .prop_map(|(role, set)| Step::Set(role, set)),
        (0..5usize, prop::collection::vec(0..5usize, 0..2))
            .prop_map(|(role, below)| Step::Include(role, below)),
    ];
    prop::collection::vec(step, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_reference_on_every_history(history in steps()) {
        let mut plain = Plain { roles: vec![(Vec::new(), Vec::new()); 5], ..Plain::default() };
        let mut compiled = model((0..5).map(|at| role(at, &[], &[])).collect(), &UNIVERSE);
        for step in history {
            match step {
                Step::Give(at) => {
                    plain.held.insert(at);
                }
                Step::Take(at) => {
                    plain.held.remove(&at);
                }
                Step::Set(at, set) => plain.roles[at].0 = set.into_iter().map(|it| PATTERNS[it]).collect(),
                Step::Include(at, below) => {
                    let changed = role(at, &plain.roles[at].0, &below);
                    let allowed = compiled.check_includes(&changed).is_ok();
                    let mut asked = plain.clone();
                    asked.roles[at].1.clone_from(&below);
                    prop_assert_eq!(allowed, sound(&asked));
                    if allowed {
                        plain.roles[at].1 = below;
                    }
                }
            }
            compiled = model(plain.roles.iter().enumerate().map(|(at, (set, below))| role(at, set, below)).collect(), &UNIVERSE);
            let ids: Vec<RoleId> = plain.held.iter().map(|at| role_id(*at)).collect();
            let effective = compiled.effective(&ids, []);
            let listed: Vec<&str> = compiled.permissions(&effective).collect();
            for permission in UNIVERSE {
                prop_assert_eq!(compiled.allows(&effective, permission), plain.allows(permission));
                prop_assert_eq!(listed.contains(&permission), plain.allows(permission));
            }
        }
    }

    #[test]
    fn whatever_may_be_granted_gives_nobody_more_than_the_granter_has(
        mine in prop::collection::vec(0..PATTERNS.len(), 0..4), theirs in prop::collection::vec(0..PATTERNS.len(), 0..4),
    ) {
        let pick = |of: &[usize]| of.iter().map(|at| PATTERNS[*at]).collect::<Vec<_>>();
        let roles = vec![role(0, &pick(&mine), &[]), role(1, &pick(&theirs), &[])];
        // A permission that is invented later must not open a gap either.
        for catalogue in [&UNIVERSE[..4], &UNIVERSE[..]] {
            let model = model(roles.clone(), catalogue);
            let (granter, granted) = (model.effective([&role_id(0)], []), model.effective([&role_id(1)], []));
            if may_grant(&granter, &granted.patterns).is_ok() {
                for permission in model.permissions(&granted) {
                    prop_assert!(model.allows(&granter, permission));
                }
            }
        }
    }

    #[test]
    fn a_narrowed_authority_is_never_wider(held in prop::collection::vec(0..PATTERNS.len(), 0..4), keep in any::<u8>()) {
        let patterns: Vec<&str> = held.iter().map(|at| PATTERNS[*at]).collect();
        let model = model(vec![role(0, &patterns, &[])], &UNIVERSE);
        let full = model.effective([&role_id(0)], []);
        let kept = |permission: &str| UNIVERSE.iter().position(|it| *it == permission).is_some_and(|at| keep & (1 << at) != 0);
        let narrow = full.narrowed(&model, kept);
        for permission in UNIVERSE {
            prop_assert_eq!(model.allows(&narrow, permission), model.allows(&full, permission) && kept(permission));
        }
        prop_assert!(may_grant(&full, &narrow.patterns).is_ok());
    }
}

fn sound(plain: &Plain) -> bool {
    fn walk(plain: &Plain, at: usize, above: &mut Vec<usize>) -> bool {
        if above.contains(&at) || above.len() > MAX_INCLUDE_DEPTH {
            return false;
        }
        above.push(at);
        let fine = plain.roles[at]
            .1
            .iter()
            .all(|below| walk(plain, *below, above));
        above.pop();
        fine
    }
    (0..plain.roles.len()).all(|at| walk(plain, at, &mut Vec::new()))
}

#[test]
fn four_levels_of_includes_are_the_most() {
    let below = |at: usize| at.checked_sub(1).into_iter().collect::<Vec<_>>();
    let model = model((0..5).map(|at| role(at, &[], &below(at))).collect(), &[]);
    assert_eq!(model.check_includes(&role(5, &[], &[3])), Ok(()));
    assert_eq!(
        model.check_includes(&role(5, &[], &[4])),
        Err(IncludeError::Depth)
    );
    assert_eq!(
        model.check_includes(&role(0, &[], &[4])),
        Err(IncludeError::Cycle)
    );
    assert_eq!(
        model.check_includes(&role(0, &[], &[0])),
        Err(IncludeError::Cycle)
    );
}

#[test]
fn stored_includes_that_go_round_add_nothing_and_end() {
    let roles = vec![role(0, &["a"], &[1]), role(1, &["b"], &[0])];
    let model = model(roles, &UNIVERSE);
    let effective = model.effective([&role_id(0)], []);
    assert!(
        model.allows(&effective, "a")
            && model.allows(&effective, "b")
            && !model.allows(&effective, "a:b")
    );
}

#[test]
fn a_permission_outside_the_catalogue_is_held_by_nobody() {
    let model = model(vec![role(0, &["*"], &[])], &[]);
    let all = model.effective([&role_id(0)], []);
    assert!(
        model.allows(&all, "roles:assign"),
        "built-in permissions are in every catalogue"
    );
    assert!(!model.allows(&all, "never:heard"));
}

#[test]
fn a_role_is_found_by_name_for_grants() {
    let model = model(vec![role(0, &["a"], &[]), role(1, &["b"], &[])], &UNIVERSE);
    let effective = model.effective([&role_id(0)], ["r1", "unknown"]);
    assert_eq!(effective.roles, ["r0", "r1"]);
    assert!(model.allows(&effective, "b"));
}
