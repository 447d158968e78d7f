//! `heimdall up`: the three services in one process, on a folder of their own.

mod echo;
mod example;
pub(crate) mod folder;
mod greeting;
mod proxy;
mod services;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use heimdall_server::signals::{Asked, Signals};
use heimdall_server::{program, telemetry};

use greeting::greeting;
use services::Services;
pub(crate) use settings::UpSettings;

/// What a newcomer runs first.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Folder of the database, keys and mails
    #[arg(long, value_name = "DIR", default_value = "heimdall-data")]
    data: PathBuf,
    /// Another database than the file in the folder: sqlite://PATH or postgres://…
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A mail server, smtp://user:pass@host:port or smtps://…; without it mails are written to the folder
    #[arg(long, value_name = "URL")]
    smtp: Option<String>,
    /// The common configuration file; `heimdall config example` prints one
    #[arg(long, value_name = "FILE", env = "HEIMDALL_CONFIG")]
    config: Option<PathBuf>,
    /// Address of the api [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    api: Option<SocketAddr>,
    /// Address of the approvals [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    approvals: Option<SocketAddr>,
    /// Address of the proxy [default: 127.0.0.1:4456]
    #[arg(long, value_name = "ADDR")]
    proxy: Option<SocketAddr>,
    /// Address of the proxy's management [default: 127.0.0.1:4457]
    #[arg(long, value_name = "ADDR")]
    management: Option<SocketAddr>,
    /// Make no example tenant
    #[arg(long)]
    no_example: bool,
    /// Write one JSON object here once every listener accepts
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn run(args: UpArgs) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(serve(&args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

async fn serve(args: &UpArgs) -> Result<(), Failure> {
    let mut settings = settings(args)?;
    telemetry::init(&settings.log)?;
    let mut signals = Signals::listen()?;
    if let Some(path) = &args.ready_file {
        folder::forget(path)?;
    }
    let mut services = Services::start(args, &settings).await?;
    let ready = services.ready();
    if let Some(path) = &args.ready_file {
        folder::write_private(path, format!("{ready}\n").as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    greet(&greeting(args, &ready, services.shows_mailbox()));
    loop {
        tokio::select! {
            ended = services.ended() => return ended.map_err(Into::into),
            asked = signals.next() => match asked {
                Asked::Reload => program::reloaded(reload(args, &services, &mut settings).await),
                Asked::Stop => {
                    services.stop().await;
                    return Ok(());
                }
            },
        }
    }
}

async fn reload(
    args: &UpArgs,
    services: &Services,
    current: &mut UpSettings,
) -> Result<(), Failure> {
    let settings = self::settings(args)?;
    services.reload(&settings).await?;
    telemetry::set_level(&settings.log.level)?;
    program::tell_restart(current, &settings, &["proxy."]);
    *current = settings;
    Ok(())
}

fn settings(args: &UpArgs) -> Result<UpSettings, Failure> {
    let mut source = program::from(args.config.as_deref())?;
    let flags = [
        ("database.url", args.database.clone()),
        ("smtp.url", args.smtp.clone()),
        ("api.listen", args.api.map(|address| address.to_string())),
        (
            "approvals.listen",
            args.approvals.map(|address| address.to_string()),
        ),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            source = source.flag(key, value);
        }
    }
    Ok(program::load(source)?)
}

#[expect(
    clippy::print_stderr,
    reason = "a command line tells its user what is wrong"
)]
pub(crate) fn failed(text: &str) -> ExitCode {
    eprintln!("heimdall: {text}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "the first thing a newcomer reads")]
fn greet(text: &str) {
    println!("{text}");
}
