//! The cases that Go's own engine answered, against ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use heimdall_template::{CallError, Document, Engine, Environment, ErrorKind, FunctionSet};
use serde_json::Value as Json;

struct Fixed;

impl Environment for Fixed {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), CallError> {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (i * 37 + 11) as u8;
        }
        Ok(())
    }

    fn resolve(&self, _: &str) -> Result<String, CallError> {
        Ok("127.0.0.1".into())
    }
}

fn file(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/template");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn outcome(
    engine: &Engine,
    template: &str,
    data: &Document,
) -> Result<String, (&'static str, String)> {
    let phase = |error: heimdall_template::Error| {
        let phase = match error.kind() {
            ErrorKind::Parse => "parse",
            ErrorKind::Exec => "exec",
            _ => "limit",
        };
        (phase, format!("{error}\n{}", error.excerpt()))
    };
    let template = engine.parse("t", template).map_err(phase)?;
    template.render_to_string(data).map_err(phase)
}

#[test]
fn every_case_gives_what_go_gives_or_is_waived() {
    let engine = Engine::builder()
        .functions(&FunctionSet::ALL)
        .environment(Fixed)
        .build();
    let sets: BTreeMap<String, Json> = serde_json::from_str(&file("data.json")).unwrap();
    let sets: BTreeMap<String, Document> = sets
        .into_iter()
        .map(|(name, json)| (name, Document::new(json).unwrap()))
        .collect();
    let waived = file("waived.txt");
    let waived: BTreeSet<&str> = waived
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let cases = file("cases.jsonl");
    let (mut total, mut wrong) = (0, Vec::new());
    let mut unneeded = waived.clone();
    for line in cases.lines() {
        total += 1;
        let case: Json = serde_json::from_str(line).unwrap();
        let text = |name: &str| case.get(name).and_then(Json::as_str);
        let (id, template) = (text("id").unwrap(), text("template").unwrap());
        let got = outcome(&engine, template, &sets[text("data").unwrap()]);
        let fits = match (&got, text("output"), text("error")) {
            (Ok(output), Some(wanted), _) => output == wanted,
            (Err((phase, _)), None, Some(wanted)) => *phase == wanted,
            _ => false,
        };
        if !fits && !waived.contains(id) {
            let wanted = text("output").or(text("message")).unwrap_or_default();
            wrong.push(format!(
                "{id}: {template:?}\n  wanted {wanted:?}\n  got    {got:?}"
            ));
        }
        if !fits {
            unneeded.remove(id);
        }
    }
    assert!(
        waived.len() * 100 <= total,
        "more than one in a hundred is waived"
    );
    assert!(unneeded.is_empty(), "waived without need: {unneeded:?}");
    assert!(
        wrong.is_empty(),
        "{} of {total} cases differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
