//! What a verdict costs: finding the rule among many, and running a short pipeline.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "a failing double or set-up ends the run"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use heimdall_pipeline::RawHead;
use heimdall_token::{Algorithm, SigningKey};
use support::{Bench, Live, block_on, set};

const CONFIG: &str = "
mechanisms:
  authenticators:
    - {id: anyone, type: anonymous}
  finalizers:
    - {id: tag, type: header, config: {headers: {X-User: '{{ .Subject.ID }}', X-Static: fixed}}}
    - {id: token, type: jwt, config: {signer: {key_store: {path: key.json}}}}
";

fn rules(count: usize) -> String {
    let mut rules = String::new();
    for number in 0..count {
        let _ = writeln!(
            rules,
            "  - id: r{number}\n    match: {{routes: [{{path: \"/tenants/t{}/items{number}/:id\"}}]}}\n    forward_to: {{host: up}}\n    execute: [{{authenticator: anyone}}]",
            number % 97
        );
    }
    rules
}

fn world(rules: &str) -> Live {
    let mut bench = Bench::default();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let pem = pem_of(key.material());
    bench.files.insert("key.json".into(), pem.into_bytes());
    bench.snapshot(CONFIG, rules)
}

fn pem_of(der: &[u8]) -> String {
    let body = heimdall_token::crypto::base64(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

fn head<'a>(target: &'a str, headers: &'a Vec<(String, String)>) -> RawHead<'a> {
    RawHead {
        method: "GET",
        target,
        authority: Some("app.example"),
        tls: false,
        peer: [127, 0, 0, 1].into(),
        headers,
    }
}

fn find(c: &mut Criterion) {
    let mut group = c.benchmark_group("find");
    let headers = Vec::new();
    for count in [10, 1_000, 100_000] {
        let live = world(&rules(count));
        let target = format!("/tenants/t{}/items{}/42", (count / 2) % 97, count / 2);
        group.bench_with_input(BenchmarkId::from_parameter(count), &target, |b, target| {
            b.iter(|| {
                let request = live
                    .engine
                    .gate()
                    .admit(head(black_box(target), &headers))
                    .unwrap();
                black_box(live.snapshot.find(&request).rule().is_some())
            });
        });
    }
    group.finish();
}

fn judge(c: &mut Criterion) {
    let steps = "[{authenticator: anyone}, {finalizer: token}, {finalizer: tag}]";
    let rule = format!(
        "  - id: a\n    match: {{routes: [{{path: /a}}]}}\n    forward_to: {{host: up}}\n    execute: {steps}\n"
    );
    let live = world(&rule);
    let headers = vec![
        ("user-agent".to_owned(), "bench".to_owned()),
        ("accept".to_owned(), "*/*".to_owned()),
    ];
    c.bench_function("judge/anonymous+cached jwt+header", |b| {
        b.iter(|| {
            let request = live
                .engine
                .gate()
                .admit(head(black_box("/a"), &headers))
                .unwrap();
            block_on(live.snapshot.find(&request).judge(&request, None))
        });
    });
}

fn load(c: &mut Criterion) {
    let mut group = c.benchmark_group("load");
    group.sample_size(10);
    let engine = Bench::default()
        .engine(&CONFIG.replace(
            "    - {id: token, type: jwt, config: {signer: {key_store: {path: key.json}}}}\n",
            "",
        ))
        .unwrap();
    let source = set("r.yaml", &rules(10_000));
    group.bench_function("compile 10,000 rules", |b| {
        b.iter(|| engine.compile(black_box(&source)).unwrap())
    });
    let sets = [engine.compile(&source).unwrap()];
    group.bench_function("index 10,000 rules", |b| {
        b.iter(|| engine.snapshot(black_box(&sets)).unwrap())
    });
    group.finish();
}

criterion_group!(benches, find, judge, load);
criterion_main!(benches);
