use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use heimdall_pipeline::Mode;
use serde::Deserialize;
use serde_json::Value;

use super::explain::{Judge, Trial};
use super::{Common, Failure, runtime, say};

#[derive(Debug, Clone, Args)]
pub(super) struct Test {
    /// Judge as the decision service does.
    #[arg(long)]
    decision: bool,
    /// Rule file or folder, instead of the one the configuration names.
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// Cases, one JSON object a line.
    file: PathBuf,
}

/// A request and what must become of it. Members of `expect` that are absent are free.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    request: Asked,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    peer: Option<IpAddr>,
}

fn get() -> String {
    "GET".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// `forward`, `accept` or `respond`.
    verdict: Option<String>,
    /// Id of the rule.
    rule: Option<String>,
    /// Status of an answer.
    status: Option<u64>,
    /// Fields that must be set, with these values.
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// URL that the request goes on to.
    url: Option<String>,
}

pub(super) fn run(common: &Common, test: &Test) -> Result<ExitCode, Failure> {
    let mode = if test.decision {
        Mode::Decision
    } else {
        Mode::Proxy
    };
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let judge = Judge::new(common, mode, test.rules.as_deref())?;
    let text = std::fs::read_to_string(&test.file)
        .map_err(|error| Failure(format!("{}: {error}", test.file.display())))?;
    let (mut passed, mut failed) = (0, 0);
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let at = |error: serde_json::Error| {
            Failure(format!("{}:{}: {error}", test.file.display(), number + 1))
        };
        let case = serde_json::from_str::<Case>(line).map_err(at)?;
        let trial = Trial {
            method: case.request.method,
            url: case.request.url,
            headers: case
                .request
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            body: case.request.body,
            peer: case.request.peer.unwrap_or(IpAddr::from([127, 0, 0, 1])),
        };
        let (verdict, explanation) = runtime.block_on(judge.judge(&trial))?;
        let differences = compare(&case.expect, &verdict, explanation.rule.as_deref());
        if differences.is_empty() {
            passed += 1;
        } else {
            failed += 1;
            say(format_args!("{}: {}", case.name, differences.join("; ")));
        }
    }
    say(format_args!("{passed} passed, {failed} failed"));
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn compare(expect: &Expected, verdict: &Value, rule: Option<&str>) -> Vec<String> {
    let mut differences = Vec::new();
    let (kind, about) = verdict
        .as_object()
        .and_then(|members| members.iter().next())
        .map_or(("", &Value::Null), |(k, v)| (k.as_str(), v));
    if let Some(wanted) = expect.verdict.as_deref().filter(|wanted| *wanted != kind) {
        differences.push(format!("want {wanted}, got {verdict}"));
    }
    if let Some(wanted) = expect
        .rule
        .as_deref()
        .filter(|wanted| Some(*wanted) != rule)
    {
        differences.push(format!(
            "want rule `{wanted}`, got `{}`",
            rule.unwrap_or("none")
        ));
    }
    if let Some(wanted) = expect
        .status
        .filter(|wanted| about.get("status").and_then(Value::as_u64) != Some(*wanted))
    {
        differences.push(format!("want status {wanted}, got {verdict}"));
    }
    if let Some(wanted) = expect
        .url
        .as_deref()
        .filter(|wanted| about.get("url").and_then(Value::as_str) != Some(*wanted))
    {
        differences.push(format!("want URL {wanted}, got {verdict}"));
    }
    let set = about
        .get("headers")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for (name, value) in &expect.headers {
        let found = set.iter().any(|pair| {
            let text = |index: usize| pair.get(index).and_then(Value::as_str).unwrap_or_default();
            text(0).eq_ignore_ascii_case(name) && text(1) == value
        });
        if !found {
            differences.push(format!("want header `{name}: {value}`"));
        }
    }
    differences
}
