use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use heimdall_pipeline::HttpRequest;
use serde_json::Value;

use super::{Failure, runtime, say};
use crate::Deps;

#[derive(Debug, Clone, Args)]
pub(super) struct HealthCheck {
    /// Base address of the management listener.
    #[arg(
        short,
        long,
        default_value = "http://127.0.0.1:4457",
        value_name = "URL"
    )]
    endpoint: String,
    /// How the answer is printed.
    #[arg(short, long, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
    Yaml,
}

pub(super) fn run(check: &HealthCheck) -> Result<ExitCode, Failure> {
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: format!(
            "{}/.well-known/health",
            check.endpoint.trim_end_matches('/')
        ),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(5),
        max_body: 64 * 1024,
    };
    let answer = runtime()?.block_on(async {
        Deps::system()?
            .http
            .send(request)
            .await
            .map_err(Failure::from)
    })?;
    let body = serde_json::from_slice::<Value>(&answer.body)?;
    match check.output {
        Output::Json => say(&body),
        Output::Yaml => {
            for (name, value) in body.as_object().into_iter().flatten() {
                say(format_args!("{name}: {value}"));
            }
        }
        Output::Text => say(body
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or("unknown")),
    }
    let well = answer.status == 200 && body.get("status").and_then(Value::as_str) == Some("ok");
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
