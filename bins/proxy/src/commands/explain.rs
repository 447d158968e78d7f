use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use heimdall_pipeline::{Explanation, Mode, RawHead, Snapshot, Verdict};
use serde_json::{Value, json};

use super::{Common, Failure, runtime, say};
use crate::environment::read_config;
use crate::rules::RuleSets;
use crate::{Deps, compile};

#[derive(Debug, Clone, Args)]
pub(super) struct Explain {
    /// Method of the request.
    #[arg(short = 'X', long, default_value = "GET")]
    method: String,
    /// A header, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// Body of the request.
    #[arg(short, long)]
    data: Option<String>,
    /// Address the request comes from.
    #[arg(long, default_value = "127.0.0.1")]
    peer: IpAddr,
    /// Judge as the decision service does.
    #[arg(long)]
    decision: bool,
    /// Rule file or folder, instead of the one the configuration names.
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// URL of the request.
    url: String,
}

/// A request to be judged without a listener.
pub(super) struct Trial {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    pub(super) peer: IpAddr,
}

pub(super) fn run(common: &Common, explain: &Explain) -> Result<ExitCode, Failure> {
    let mode = if explain.decision {
        Mode::Decision
    } else {
        Mode::Proxy
    };
    let headers = explain
        .headers
        .iter()
        .map(|line| split(line))
        .collect::<Result<Vec<_>, _>>()?;
    let trial = Trial {
        method: explain.method.clone(),
        url: explain.url.clone(),
        headers,
        body: explain.data.clone(),
        peer: explain.peer,
    };
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let judge = Judge::new(common, mode, explain.rules.as_deref())?;
    let (verdict, explanation) = runtime.block_on(judge.judge(&trial))?;
    let mut shown = serde_json::to_value(&explanation)?;
    if let Some(members) = shown.as_object_mut() {
        members.insert("verdict".to_owned(), verdict);
    }
    say(serde_json::to_string_pretty(&shown)?);
    Ok(ExitCode::SUCCESS)
}

fn split(line: &str) -> Result<(String, String), Failure> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| Failure(format!("`{line}` is no header: a colon is missing")))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// Configuration and rules, without sockets.
pub(super) struct Judge {
    engine: heimdall_pipeline::Engine,
    rules: Snapshot,
}

impl Judge {
    pub(super) fn new(
        common: &Common,
        mode: Mode,
        rules: Option<&std::path::Path>,
    ) -> Result<Self, Failure> {
        let config = read_config(&common.place(), &common.env_config_prefix)?;
        let engine = compile(&config, mode, common.relaxed(), &Deps::system()?)?;
        let mut provider = config.providers.file_system.clone();
        if let Some(path) = rules {
            provider.get_or_insert_default().src = path.display().to_string();
        }
        let mut sets = RuleSets::new(provider.as_ref());
        sets.look(&engine)?;
        let rules = sets.snapshot(&engine)?;
        Ok(Self { engine, rules })
    }

    /// The verdict as JSON, and how it came about.
    pub(super) async fn judge(&self, trial: &Trial) -> Result<(Value, Explanation), Failure> {
        let uri = trial.url.parse::<http::Uri>()?;
        let host = trial
            .headers
            .iter()
            .find(|(name, _)| name == "host")
            .map(|(_, value)| value.as_str());
        let head = RawHead {
            method: &trial.method,
            target: uri
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str),
            authority: host
                .or_else(|| uri.authority().map(http::uri::Authority::as_str))
                .or(Some("localhost")),
            tls: uri.scheme_str() == Some("https"),
            peer: trial.peer,
            headers: &trial.headers,
        };
        let request = match self.engine.gate().admit(head) {
            Ok(request) => request,
            Err(refusal) => {
                return Ok((
                    json!({"respond": {"status": refusal.status, "reason": refusal.reason}}),
                    Explanation::default(),
                ));
            }
        };
        let body = trial.body.as_ref().map(String::as_bytes);
        let (verdict, explanation) = self.rules.find(&request).explain(&request, body).await;
        Ok((show(&verdict), explanation))
    }
}

fn show(verdict: &Verdict) -> Value {
    let pairs = |headers: &[(Arc<str>, Arc<str>)]| {
        headers
            .iter()
            .map(|(name, value)| json!([&**name, &**value]))
            .collect::<Vec<_>>()
    };
    match verdict {
        Verdict::Forward(forward) => json!({"forward": {
            "method": forward.method, "url": format!("{}://{}{}", forward.scheme, forward.authority, forward.target),
            "host": forward.host, "headers": pairs(&forward.headers),
        }}),
        Verdict::Accept(accept) => {
            json!({"accept": {"status": accept.status, "headers": pairs(&accept.headers), "remove": accept.remove}})
        }
        Verdict::Respond(respond) => {
            json!({"respond": {"status": respond.status, "headers": pairs(&respond.headers), "reason": respond.reason, "kind": respond.kind}})
        }
    }
}
