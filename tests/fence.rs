//! The architecture as a test: which crate may depend on which, and what the top level of the repository holds.
//!
//! `deny.toml` fences third-party crates; this fences our own, and tokio, which `deny.toml` cannot tell from a
//! dependency for tests.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on among ours (docs/ARCHITECTURE.md). Dependencies point down only.
const LAYERS: &[(&str, &[&str])] = &[
    ("heimdall-types", &[]),
    ("heimdall-template", &[]),
    ("heimdall-token", &["types"]),
    ("heimdall-approval", &["types", "token"]),
    ("heimdall-tenant", &["types", "token"]),
    ("heimdall-notifier", &["types"]),
    ("heimdall-finalizer", &["types", "template", "token"]),
    (
        "heimdall-pipeline",
        &["types", "template", "token", "finalizer"],
    ),
    (
        "heimdall-store",
        &["types", "token", "approval", "tenant", "notifier"],
    ),
    (
        "heimdall-transport",
        &[
            "types",
            "token",
            "approval",
            "tenant",
            "notifier",
            "finalizer",
            "pipeline",
        ],
    ),
    ("heimdall-server", &["types", "token"]),
    ("heimdall-bearer", &["types", "token"]),
];

/// Crates without I/O: no runtime, no sockets, no database.
const DOMAIN: &[&str] = &[
    "types",
    "template",
    "token",
    "approval",
    "tenant",
    "notifier",
    "finalizer",
    "pipeline",
];

const RUNTIMES: &[&str] = &[
    "tokio",
    "actix-web",
    "actix-rt",
    "hyper",
    "diesel",
    "lettre",
    "async-std",
    "smol",
];

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "crates",
    "bins",
    "docs",
    "tests",
    "deny.toml",
    "README.md",
];

/// What tools insist on finding at the top.
const TOOLS: &[&str] = &[
    ".ci",
    ".config",
    ".git",
    ".github",
    ".gitignore",
    "clippy.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
}

fn metadata() -> Value {
    let out = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON")
}

/// Package name → names of its normal (not dev, not build) dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    metadata()["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let normal = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter();
            let names = normal
                .filter(|d| d["kind"].is_null())
                .map(|d| text(&d["name"]))
                .collect();
            (text(&package["name"]), names)
        })
        .collect()
}

#[test]
fn dependencies_point_down_only() {
    let found = dependencies();
    for (name, allowed) in LAYERS {
        let allowed: BTreeSet<String> = allowed
            .iter()
            .map(|short| format!("heimdall-{short}"))
            .collect();
        let ours = found[*name]
            .iter()
            .filter(|dependency| dependency.starts_with("heimdall"));
        let wrong: Vec<_> = ours
            .filter(|dependency| !allowed.contains(*dependency))
            .collect();
        assert!(wrong.is_empty(), "{name} may not depend on {wrong:?}");
    }
}

#[test]
fn domain_crates_know_no_runtime() {
    let found = dependencies();
    for short in DOMAIN {
        let name = format!("heimdall-{short}");
        let wrong: Vec<_> = found[&name]
            .iter()
            .filter(|d| RUNTIMES.contains(&d.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{name} may not depend on {wrong:?}");
    }
}

#[test]
fn domain_crates_are_fenced_from_clock_environment_files_and_sockets() {
    for short in DOMAIN {
        let path = root().join(format!("crates/heimdall-{short}/clippy.toml"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|_| panic!("{} is missing", path.display()));
        for banned in [
            "SystemTime::now",
            "Instant::now",
            "env::var",
            "fs::read",
            "TcpStream::connect",
        ] {
            assert!(
                text.contains(banned),
                "{} does not ban {banned}",
                path.display()
            );
        }
    }
}

#[test]
fn the_crates_that_must_carry_it_do() {
    let used: BTreeSet<String> = dependencies().into_values().flatten().collect();
    for name in [
        "jsonwebtoken",
        "ring",
        "serde",
        "thiserror",
        "async-trait",
        "tokio",
        "actix-web",
        "diesel",
        "lettre",
        "base64",
    ] {
        assert!(used.contains(name), "{name} carries nothing");
    }
}

#[test]
fn the_top_level_holds_what_it_should_and_nothing_else() {
    let out = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let files = String::from_utf8(out.stdout).expect("file names are UTF-8");
    let found: BTreeSet<&str> = files
        .lines()
        .filter_map(|file| file.split('/').next())
        .collect();
    let strangers: Vec<_> = found
        .iter()
        .filter(|name| !TOP_LEVEL.contains(name) && !TOOLS.contains(name))
        .collect();
    assert!(
        strangers.is_empty(),
        "{strangers:?} do not belong to the top level"
    );
    let missing: Vec<_> = TOP_LEVEL
        .iter()
        .filter(|name| !found.contains(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "{missing:?} are missing from the top level"
    );
}

#[test]
fn each_crate_says_what_it_is_for_and_carries_its_lints() {
    for package in metadata()["packages"].as_array().expect("packages") {
        let description = package["description"].as_str().unwrap_or_default();
        assert!(
            description.len() > 10,
            "{} has no description",
            package["name"]
        );
        let manifest = package["manifest_path"].as_str().expect("a path");
        let text = std::fs::read_to_string(manifest).expect("the manifest is there");
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{manifest} does not take the workspace's lints"
        );
    }
}
