use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use heimdall_finalizer::to_json;
use serde_json::{Value, json};

use super::{Failure, say};
use crate::environment::read_source;

#[derive(Debug, Clone, Args)]
pub(super) struct Convert {
    /// Form to write.
    #[arg(long, default_value = "json")]
    to: Form,
    /// Rule set, in YAML or JSON, alone or inside a Kubernetes resource.
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// The rule set alone, as JSON (which is YAML as well).
    Json,
    /// A Kubernetes resource `RuleSet`.
    Kubernetes,
}

pub(super) fn run(convert: &Convert) -> Result<ExitCode, Failure> {
    let source = read_source(&convert.file)?;
    let parsed = heimdall_finalizer::yaml::parse(&source.text);
    let document =
        to_json(&parsed.map_err(|issue| Failure(format!("{}: {}", source.name, issue.message)))?);
    let set = match document.get("kind").and_then(Value::as_str) {
        Some("RuleSet") => unwrapped(&document),
        _ => document,
    };
    if set.get("rules").is_none() {
        return Err(Failure(format!("{}: no rules in it", source.name)));
    }
    let written = match convert.to {
        Form::Json => set,
        Form::Kubernetes => json!({
            "apiVersion": "heimdall.dadrus.github.com/v1alpha4",
            "kind": "RuleSet",
            "metadata": {"name": set.get("name").and_then(Value::as_str).unwrap_or("rules")},
            "spec": {"authClassName": "default", "rules": set.get("rules")},
        }),
    };
    say(serde_json::to_string_pretty(&written)?);
    Ok(ExitCode::SUCCESS)
}

fn unwrapped(resource: &Value) -> Value {
    let name = resource
        .pointer("/metadata/name")
        .cloned()
        .unwrap_or(Value::Null);
    json!({"version": "1alpha4", "name": name, "rules": resource.pointer("/spec/rules")})
}
