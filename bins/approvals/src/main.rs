//! `heimdall-approvals`: reads its settings, serves, drains.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use heimdall_approvals::config::Settings;
use heimdall_server::config::Source;
use heimdall_server::signals::{Asked, Signals};
use heimdall_server::telemetry;

/// The portal, action links and the approvals API.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (YAML).
    #[arg(long, env = "HEIMDALL_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port to listen at; port 0 takes a free one.
    #[arg(long)]
    listen: Option<String>,
    /// `sqlite://PATH` or `postgres://…`
    #[arg(long)]
    database: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Checks, describes and explains the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, clap::Subcommand)]
enum ConfigCommand {
    /// Reads a file and says what is wrong with it.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Prints the JSON Schema.
    Schema,
    /// Prints a commented file with every default.
    Example,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("heimdall-approvals: {error}\n"), std::io::stderr());
            ExitCode::FAILURE
        }
    }
}

// A closed pipe is no reason to fail.
fn say(text: &str, mut to: impl std::io::Write) {
    let _ = to.write_all(text.as_bytes());
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let environment = Source::environment("HEIMDALL_");
    match arguments.command {
        Some(Command::Config(ConfigCommand::Check { file })) => {
            environment.file(&file)?.load::<Settings>()?;
            say("the configuration is good\n", std::io::stdout());
            return Ok(());
        }
        Some(Command::Config(ConfigCommand::Schema)) => {
            let schema = heimdall_server::config::schema::<Settings>();
            say(&format!("{schema:#}\n"), std::io::stdout());
            return Ok(());
        }
        Some(Command::Config(ConfigCommand::Example)) => {
            let schema = heimdall_server::config::schema::<Settings>();
            let shown = serde_json::to_value(Settings::default())?;
            say(
                &heimdall_server::config::example(&schema, &shown),
                std::io::stdout(),
            );
            return Ok(());
        }
        None => {}
    }
    let mut source = match &arguments.config {
        Some(file) => environment.file(file)?,
        None => environment,
    };
    if let Some(listen) = arguments.listen {
        source = source.flag("approvals.listen", listen);
    }
    if let Some(database) = arguments.database {
        source = source.flag("database.url", database);
    }
    let settings: Settings = source.load()?;
    telemetry::init(&settings.log)?;
    serve(&settings).await
}

async fn serve(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let mut signals = Signals::listen()?;
    let mut service = heimdall_approvals::start(settings).await?;
    tracing::info!(address = service.base_url(), "serving");
    loop {
        tokio::select! {
            ended = service.ended() => return ended.map_err(Into::into),
            asked = signals.next() => if asked == Asked::Stop {
                service.stop().await;
                return Ok(());
            },
        }
    }
}
