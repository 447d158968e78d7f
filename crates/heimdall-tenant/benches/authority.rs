//! What a check and a union cost; `api.md` allows 100 ns and 2 µs.
#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use heimdall_tenant::Model;
use heimdall_tenant::entity::{App, AppState, Role};
use heimdall_tenant::ports::AppRecord;
use heimdall_tenant::settings::AppSettings;
use heimdall_types::{AppId, RoleId, SeededRng, Timestamp};

fn model() -> Model {
    let (now, rng) = (Timestamp::from_millis(1_800_000_000_000), SeededRng::new(1));
    let app = App {
        id: AppId::generate(now, &rng),
        name: "acme".to_owned(),
        display_name: "Acme".to_owned(),
        state: AppState::Active,
        settings: AppSettings::default(),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let role = |number: usize| Role {
        app_id: app.id.clone(),
        id: RoleId::generate(now, &rng),
        name: format!("role-{number}"),
        display_name: String::new(),
        description: String::new(),
        permissions: (0..8)
            .map(|n| format!("area-{number}:thing-{n}:read").parse())
            .collect::<Result<_, _>>()
            .unwrap_or_default(),
        includes: Vec::new(),
        requestable: None,
        notification_configs: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let roles: Vec<Role> = (0..64).map(role).collect();
    let catalogue = roles
        .iter()
        .flat_map(|role| &role.permissions)
        .map(|pattern| heimdall_tenant::entity::CatalogueEntry {
            permission: pattern.to_string(),
            description: String::new(),
            built_in: false,
        });
    Model::compile(AppRecord {
        app: app.clone(),
        authority: 0,
        catalogue: catalogue.collect(),
        roles,
    })
}

fn benches(c: &mut Criterion) {
    let model = model();
    let ids: Vec<RoleId> = model.roles().map(|role| role.role.id.clone()).collect();
    let all = model.effective(&ids, []);
    c.bench_function("check one permission", |b| {
        b.iter(|| model.allows(black_box(&all), black_box("area-31:thing-4:read")))
    });
    c.bench_function("union of 64 roles", |b| {
        b.iter(|| model.union(black_box(&ids)))
    });
}

criterion_group!(authority, benches);
criterion_main!(authority);
