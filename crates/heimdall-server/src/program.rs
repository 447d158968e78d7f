//! The command line of a service: flags, `config check|schema|example`, signals.
//!
//! A binary implements [`Program`] and hands itself to [`run`].

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{self, ConfigError, Source};
use crate::signals::{Asked, Signals};
use crate::telemetry::{self, LogSettings};

/// The settings of a program: one struct with `#[serde(deny_unknown_fields, default)]`.
pub trait Settings: Default + Serialize + DeserializeOwned + utoipa::ToSchema {
    /// What is logged, and how.
    fn log(&self) -> &LogSettings;

    /// The defaults as an example file shows them.
    fn shown() -> Value {
        serde_json::to_value(Self::default()).unwrap_or_default()
    }

    /// What else is wrong with them, beyond what their types say.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// A service that a binary runs.
pub trait Program: Sized {
    /// What it reads.
    type Settings: Settings;
    /// Name of the binary.
    const NAME: &'static str;
    /// What it serves, in a line.
    const ABOUT: &'static str;
    /// Its section in the common file, where `listen` stands.
    const SECTION: &'static str;

    /// Binds, opens, serves.
    fn start(settings: &Self::Settings) -> impl Future<Output = Result<Self, Box<dyn Error>>>;

    /// The address that the listener took.
    fn base_url(&self) -> String;

    /// Takes over what may change while it runs.
    ///
    /// # Errors
    /// What is wrong; then everything stays as it was.
    fn reload(&self, settings: &Self::Settings) -> Result<(), Box<dyn Error>>;

    /// Waits until it fails.
    fn ended(&mut self) -> impl Future<Output = io::Result<()>>;

    /// Takes nothing new, finishes what runs, ends.
    fn stop(self) -> impl Future<Output = ()>;
}

#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Flags {
    /// The configuration file (YAML)
    #[arg(long, env = "HEIMDALL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen at; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// `sqlite://PATH` or `postgres://…`
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check, describe and explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `config check FILE`, `config schema`, `config example`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read a file as the service would, and say what is wrong with it
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print the JSON Schema, for editors
    Schema,
    /// Print a commented file with every default
    Example,
}

impl ConfigCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn run<S: Settings>(&self) -> Result<(), ConfigError> {
        let text = match self {
            Self::Check { file } => {
                load::<S>(Source::environment(ENVIRONMENT).file(file)?)?;
                "the configuration is good\n".to_owned()
            }
            Self::Schema => format!("{:#}\n", config::schema::<S>()),
            Self::Example => config::example(&config::schema::<S>(), &S::shown()),
        };
        say(&text, io::stdout());
        Ok(())
    }
}

/// Prefix of the variables that override keys of the common file.
pub const ENVIRONMENT: &str = "HEIMDALL_";

/// The settings of file, environment and flags.
///
/// # Errors
/// What is wrong with them, and where it stands.
pub fn load<S: Settings>(source: Source) -> Result<S, ConfigError> {
    let settings: S = source.load()?;
    telemetry::check(settings.log())
        .map_err(|reason| source.found(ConfigError::at("log.level", reason)))?;
    settings.check().map_err(|error| source.found(error))?;
    Ok(settings)
}

/// Runs the program that the arguments of the process ask for, until a signal ends it.
pub fn run<P: Program>() -> ExitCode {
    let command = Arguments::command().name(P::NAME).about(P::ABOUT);
    let arguments = Arguments::from_arg_matches(&command.get_matches());
    let outcome = arguments.map_err(Into::into).and_then(|arguments| {
        if let Some(Command::Config(command)) = arguments.command {
            return Ok(command.run::<P::Settings>()?);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(serve::<P>(&arguments.flags))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{}: {error}\n", P::NAME), io::stderr());
            ExitCode::FAILURE
        }
    }
}

async fn serve<P: Program>(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let mut settings = settings::<P>(flags)?;
    telemetry::init(settings.log())?;
    let mut signals = Signals::listen()?;
    let mut service = P::start(&settings).await?;
    tracing::info!(address = service.base_url(), "serving");
    loop {
        tokio::select! {
            ended = service.ended() => return ended.map_err(Into::into),
            asked = signals.next() => match asked {
                Asked::Reload => reloaded(reload(&service, flags, &mut settings)),
                Asked::Stop => {
                    tracing::info!("stopping: running requests finish");
                    service.stop().await;
                    return Ok(());
                }
            },
        }
    }
}

/// Says in the log how a reload went.
pub fn reloaded(outcome: Result<(), impl std::fmt::Display>) {
    match outcome {
        Ok(()) => tracing::info!("the configuration was read again"),
        Err(error) => {
            metrics::counter!("heimdall_reload_failures_total").increment(1);
            tracing::error!(%error, "the configuration was not taken over, the old one stays");
        }
    }
}

fn reload<P: Program>(
    service: &P,
    flags: &Flags,
    current: &mut P::Settings,
) -> Result<(), Box<dyn Error>> {
    let settings = settings::<P>(flags)?;
    telemetry::set_level(&settings.log().level)?;
    service.reload(&settings)?;
    tell_restart(current, &settings, &[]);
    *current = settings;
    Ok(())
}

/// Says in the log which changes wait for a restart: all but `limits`, `log.level` and what begins with one of `also`.
pub fn tell_restart<S: Settings>(before: &S, after: &S, also: &[&str]) {
    let mut keys = differing(before, after);
    keys.retain(|key| !also.iter().any(|start| key.starts_with(start)));
    if !keys.is_empty() {
        tracing::warn!(keys = keys.join(", "), "these changes wait for a restart");
    }
}

fn differing<S: Settings>(before: &S, after: &S) -> Vec<String> {
    let [before, after] = [before, after].map(|one| serde_json::to_value(one).unwrap_or_default());
    let mut keys = Vec::new();
    collect(&before, &after, "", &mut keys);
    keys.retain(|key| key != "log.level" && !key.starts_with("limits."));
    keys
}

fn collect(before: &Value, after: &Value, path: &str, keys: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in one {
                let key = crate::strict_json::join(path, name);
                collect(value, other.get(name).unwrap_or(&Value::Null), &key, keys);
            }
        }
        (one, other) if one != other => keys.push(path.to_owned()),
        _ => {}
    }
}

fn settings<P: Program>(flags: &Flags) -> Result<P::Settings, ConfigError> {
    let mut source = from(flags.config.as_deref())?;
    if let Some(listen) = &flags.listen {
        source = source.flag(&format!("{}.listen", P::SECTION), listen.as_str());
    }
    if let Some(database) = &flags.database {
        source = source.flag("database.url", database.as_str());
    }
    load(source)
}

/// The environment over this file.
///
/// # Errors
/// When the file cannot be read.
pub fn from(file: Option<&Path>) -> Result<Source, ConfigError> {
    let environment = Source::environment(ENVIRONMENT);
    match file {
        Some(file) => environment.file(file),
        None => Ok(environment),
    }
}

// A closed pipe is no reason to fail.
fn say(text: &str, mut to: impl Write) {
    let _ = to.write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::LimitSettings;

    #[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Own {
        log: LogSettings,
        limits: LimitSettings,
        api: Section,
    }

    #[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Section {
        listen: String,
    }

    impl Settings for Own {
        fn log(&self) -> &LogSettings {
            &self.log
        }
    }

    fn own(text: &str) -> Result<Own, ConfigError> {
        load(
            Source::environment(ENVIRONMENT)
                .with_environment(Vec::new())
                .text("h.yaml", text),
        )
    }

    #[test]
    fn only_what_cannot_change_while_it_runs_waits_for_a_restart() {
        let before = own("").unwrap();
        let after =
            own("log: {level: debug}\nlimits: {burst: 7}\napi: {listen: \"127.0.0.1:1\"}\n")
                .unwrap();
        assert_eq!(differing(&before, &after), ["api.listen"]);
        assert!(differing(&before, &own("").unwrap()).is_empty());
    }

    #[test]
    fn a_level_that_is_none_is_told_with_its_line() {
        let error = own("log:\n  level: \"=loud=\"\n").unwrap_err();
        assert_eq!((error.key.as_str(), error.line), ("log.level", Some(2)));
    }
}
