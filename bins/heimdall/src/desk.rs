//! `heimdall apps|users|roles|…`: the API's own routes, asked over the network (`--api`) or in this process
//! (`--data`, `--database`), so that a rule holds here as it does there.

mod commands;
mod root;
mod table;
mod way;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use heimdall_types::Timestamp;
use serde_json::Value;

pub(crate) use commands::{
    AdminKeys, Approvals, Apps, AuditList, Credentials, Events, Grants, Invites, Keys, Roles,
    Users, Webhooks,
};
use table::Shape;
use way::Way;

/// Which Heimdall is meant. Without any of them the folder `./heimdall-data`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which Heimdall")]
pub(crate) struct Target {
    /// A running API, as `http://127.0.0.1:8080/heimdall`; needs an admin key.
    #[arg(long, value_name = "URL", env = "HEIMDALL_API", global = true, conflicts_with_all = ["data", "database"])]
    api: Option<String>,
    /// The approvals service beside it, for `approvals` and `grants`.
    #[arg(
        long,
        value_name = "URL",
        env = "HEIMDALL_APPROVALS_URL",
        global = true
    )]
    approvals: Option<String>,
    /// A file that holds the admin key for --api; without it the environment variable HEIMDALL_ADMIN_KEY.
    #[arg(long, value_name = "FILE", global = true)]
    admin_key_file: Option<PathBuf>,
    /// A data folder: looking works beside the server that runs on it.
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// A database, when it is not the folder's: `sqlite://PATH` or `postgres://…`.
    #[arg(
        long,
        value_name = "URL",
        env = "HEIMDALL_DATABASE_URL",
        hide_env_values = true,
        global = true
    )]
    database: Option<String>,
    /// The file with the root key; without it HEIMDALL_ROOT_KEY, or `root.key` in the data folder.
    #[arg(long, value_name = "FILE", global = true)]
    root_key_file: Option<PathBuf>,
    /// Prints JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

/// Which service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Api,
    Approvals,
}

/// One question to a service and how its answer is shown.
#[derive(Debug)]
pub(crate) struct Call {
    service: Service,
    method: &'static str,
    /// Below the service's `/v1`.
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    shape: Shape,
    /// Lists only: most rows.
    limit: usize,
}

impl Call {
    fn new(method: &'static str, path: String, shape: Shape) -> Self {
        Self {
            service: Service::Api,
            method,
            path,
            query: Vec::new(),
            body: None,
            shape,
            limit: 1_000,
        }
    }

    fn list(path: String, columns: &'static [&'static str]) -> Self {
        Self::new("GET", path, Shape::Rows(columns))
    }

    fn show(path: String) -> Self {
        Self::new("GET", path, Shape::One)
    }

    fn post(path: String, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new("POST", path, Shape::One)
        }
    }

    fn act(path: String) -> Self {
        Self::new("POST", path, Shape::One)
    }

    fn patch(path: String, body: Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new("PATCH", path, Shape::One)
        }
    }

    fn delete(path: String) -> Self {
        Self::new("DELETE", path, Shape::Done)
    }

    fn asking(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    fn of_approvals(mut self) -> Self {
        self.service = Service::Approvals;
        self
    }

    fn at_most(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    fn changes(&self) -> bool {
        self.method != "GET"
    }
}

/// Runs `heimdall keys reseal`.
pub(crate) fn reseal(target: &Target, file: &Path, now: Timestamp) -> ExitCode {
    let work = root::replace(target, file, now);
    match actix_web::rt::System::new().block_on(work) {
        Ok(told) => say(&told),
        Err(error) => failed(&error),
    }
}

fn failed(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "heimdall: {error}");
    ExitCode::FAILURE
}

/// Prints one line.
pub(crate) fn say(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

/// Runs one command.
pub(crate) fn run(target: &Target, call: Result<Call, String>) -> ExitCode {
    let outcome = call.and_then(|call| {
        actix_web::rt::System::new().block_on(async {
            let way = Way::open(target, &call).await?;
            let answer = way.answer(&call).await?;
            Ok((call.shape, answer))
        })
    });
    match outcome {
        Ok((shape, answer)) => {
            let text = if target.json {
                table::json(&answer)
            } else {
                table::words(shape, &answer)
            };
            // A reader that closed the pipe early has seen enough.
            let _ = write!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}
