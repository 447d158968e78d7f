//! Old and new code run on both schemas: what came after the first release of the schema only adds.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::Path;

/// The schema that the first version begins with; nobody has run an older one.
const FIRST: &str = "0004";

fn migrations(kind: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(kind);
    let mut all: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path.join("up.sql")).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn both_databases_have_the_same_steps() {
    let names =
        |kind| -> Vec<String> { migrations(kind).into_iter().map(|(name, _)| name).collect() };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[test]
fn later_steps_only_add() {
    for kind in ["sqlite", "postgres"] {
        for (name, sql) in migrations(kind) {
            if name.as_str() < FIRST || name.starts_with(FIRST) {
                continue;
            }
            for statement in statements(&sql) {
                let takes_away = [
                    "DROP ",
                    "RENAME ",
                    "ALTER COLUMN",
                    "TRUNCATE ",
                    "DELETE FROM",
                ]
                .iter()
                .find(|word| statement.contains(**word));
                assert_eq!(takes_away, None, "{kind}/{name}: {statement}");
                // Old code writes rows without the new column.
                let adds = statement.starts_with("ALTER TABLE") && statement.contains("ADD");
                let demands = statement.contains("NOT NULL") && !statement.contains("DEFAULT");
                assert!(!(adds && demands), "{kind}/{name}: {statement}");
            }
        }
    }
}

fn statements(sql: &str) -> Vec<String> {
    let bare: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .collect::<Vec<_>>()
        .join(" ");
    bare.split(';')
        .map(|one| {
            one.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_uppercase()
        })
        .filter(|one| !one.is_empty())
        .collect()
}
