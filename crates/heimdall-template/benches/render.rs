//! Renders beside other engines; `cargo bench -p heimdall-template`.
//!
//! First rounds of the claims template alternate with Go's engine (where Go is on the machine) and with `gotmpl`, so
//! that the ratios hold on a shared machine; then criterion measures each case alone.

#![allow(
    clippy::disallowed_methods,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group};
use heimdall_template::{Engine, Limits, Template};
use serde_json::{Value as Json, json};

const CLAIMS: &str = include_str!("claims.tmpl");
const DATA: &str = include_str!("claims.json");
const JINJA: &str = r#"{
  "sub": "{{ Subject.ID }}",
  "email": "{{ Subject.Attributes.email }}",
  "name": "{{ Subject.Attributes.name }}",
  "verified": {{ Subject.Attributes.email_verified }},
  "tenant": "{{ Values.tenant }}",
  "plan": "{{ Outputs.profile.plan }}",
  "limit": {{ Outputs.profile.limit }},
  "groups": [{% for g in Subject.Attributes.groups %}{% if not loop.first %}, {% endif %}"{{ g }}"{% endfor %}],
  "admin": {% if Subject.Attributes.role == "admin" %}true{% else %}false{% endif %},
  "count": {{ Subject.Attributes.groups|length }}
}
"#;

fn data() -> Json {
    serde_json::from_str(DATA).unwrap()
}

fn claims() -> Template {
    Engine::default().parse("claims", CLAIMS).unwrap()
}

fn render(template: &Template, data: &Json, out: &mut String) {
    out.clear();
    template.render(data, out).unwrap();
    black_box(&*out);
}

/// Nanoseconds of one call, over many.
fn nanos(mut run: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let start = Instant::now();
    for _ in 0..CALLS {
        run();
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn go_program() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/go");
    let program = std::env::temp_dir().join("heimdall-template-go-bench");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(folder)
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(program)
}

fn go_round(program: &PathBuf) -> Option<f64> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches");
    let output = Command::new(program)
        .arg(folder.join("claims.tmpl"))
        .arg(folder.join("claims.json"))
        .arg("1")
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn side_by_side() {
    let (data, template) = (data(), claims());
    let mut out = String::new();
    let theirs = gotmpl::Template::new("claims").parse(CLAIMS).unwrap();
    let copied = gotmpl::ser::to_value(&data).unwrap();
    render(&template, &data, &mut out);
    assert_eq!(
        out,
        theirs.execute_to_string(&copied).unwrap(),
        "the engines agree"
    );
    let mut jinja = minijinja::Environment::new();
    jinja.add_template("claims", JINJA).unwrap();
    let jinja = jinja.get_template("claims").unwrap();
    let go = go_program();
    let mut ratios: [Vec<f64>; 4] = Default::default();
    let mut own = Vec::new();
    for _ in 0..9 {
        let ours = nanos(|| render(&template, &data, &mut out));
        own.push(ours);
        ratios[0]
            .push(nanos(|| drop(black_box(theirs.execute_to_string(&copied).unwrap()))) / ours);
        let copying = || {
            let copied = gotmpl::ser::to_value(&data).unwrap();
            drop(black_box(theirs.execute_to_string(&copied).unwrap()));
        };
        ratios[1].push(nanos(copying) / ours);
        ratios[2].push(
            nanos(|| {
                drop(black_box(
                    jinja.render(minijinja::value::Serde(&data)).unwrap(),
                ))
            }) / ours,
        );
        ratios[3].extend(go.as_ref().and_then(go_round).map(|go| go / ours));
    }
    println!("claims: {:.0} ns a render", median(own));
    for (name, ratios) in [
        "gotmpl",
        "gotmpl with its copy of the data",
        "minijinja",
        "Go",
    ]
    .iter()
    .zip(ratios)
    {
        match ratios.is_empty() {
            true => println!("claims: {name}: not on this machine"),
            false => println!("claims: {name} takes {:.1} times as long", median(ratios)),
        }
    }
}

fn subject(bytes: usize) -> Json {
    let mut attributes = serde_json::Map::new();
    for i in 0..bytes / 100 {
        attributes.insert(format!("attribute{i:05}"), json!("x".repeat(80)));
    }
    attributes.insert("email".into(), json!("alice@example.com"));
    attributes.insert("name".into(), json!("Alice"));
    json!({"Subject": {"ID": "alice", "Attributes": attributes}})
}

fn cases(criterion: &mut Criterion) {
    let engine = Engine::default();
    let mut out = String::new();
    let (claims, claims_data) = (claims(), data());
    criterion.bench_function("claims", |b| {
        b.iter(|| render(&claims, &claims_data, &mut out))
    });
    let header = engine
        .parse("header", "{{ .Subject.Attributes.email }}")
        .unwrap();
    criterion.bench_function("header", |b| {
        b.iter(|| render(&header, &claims_data, &mut out))
    });
    let three = "{{ .Subject.ID }} {{ .Subject.Attributes.email }} {{ .Subject.Attributes.name }}";
    let three = engine.parse("three", three).unwrap();
    for size in [1_000, 100_000] {
        let data = subject(size);
        let name = format!("three fields of {} KB", size / 1000);
        criterion.bench_function(&name, |b| b.iter(|| render(&three, &data, &mut out)));
    }
    let wide = Engine::builder().limits(Limits::default()).build();
    let range = wide
        .parse("range", "{{ range .items }}{{ .name }},{{ end }}")
        .unwrap();
    let items: Vec<Json> = (0..1000)
        .map(|i| json!({"name": format!("item{i}")}))
        .collect();
    let items = json!({ "items": items });
    criterion.bench_function("range over 1000", |b| {
        b.iter(|| render(&range, &items, &mut out))
    });
    let text = CLAIMS.repeat(50);
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("claims x 50", |b| {
        b.iter(|| black_box(engine.parse("claims", &text).unwrap()))
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1)).without_plots();
    targets = cases
}

fn main() {
    side_by_side();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
