//! The command line.

mod config;
mod convert;
mod explain;
mod health;
mod serve;
mod test;
mod validate;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use heimdall_pipeline::Relaxed;

use crate::ConfigAt;

/// Identity-aware proxy and decision service.
#[derive(Debug, Parser)]
#[command(name = "heimdall-proxy", version, about)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Configuration file; else `heimdall.yaml` in the working folder, `$HOME/.config` or `/etc/heimdall/`.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Prefix of the environment variables that override keys of the configuration.
    #[arg(
        long,
        global = true,
        default_value = "HEIMDALLCFG_",
        value_name = "PREFIX"
    )]
    pub env_config_prefix: String,
    /// Switch every enforcement off. For a first try only.
    #[arg(long, global = true)]
    pub insecure: bool,
    /// Take plain HTTP everywhere.
    #[arg(long, global = true)]
    pub insecure_skip_all_tls_enforcement: bool,
    /// Take plain HTTP for endpoints.
    #[arg(long, global = true)]
    pub insecure_skip_egress_tls_enforcement: bool,
    /// Listen without TLS.
    #[arg(long, global = true)]
    pub insecure_skip_ingress_tls_enforcement: bool,
    /// Take plain HTTP to upstreams.
    #[arg(long, global = true)]
    pub insecure_skip_upstream_tls_enforcement: bool,
    /// Take a default rule that lets requests pass.
    #[arg(long, global = true)]
    pub insecure_skip_secure_default_rule_enforcement: bool,
    /// Trust the whole world to be a proxy.
    #[arg(long, global = true)]
    pub insecure_skip_secure_trusted_proxies_enforcement: bool,
}

impl Common {
    fn relaxed(&self) -> Relaxed {
        if self.insecure {
            return Relaxed::ALL;
        }
        let tls = self.insecure_skip_all_tls_enforcement;
        Relaxed {
            ingress_tls: tls || self.insecure_skip_ingress_tls_enforcement,
            egress_tls: tls || self.insecure_skip_egress_tls_enforcement,
            upstream_tls: tls || self.insecure_skip_upstream_tls_enforcement,
            default_rule: self.insecure_skip_secure_default_rule_enforcement,
            trusted_proxies: self.insecure_skip_secure_trusted_proxies_enforcement,
        }
    }

    fn place(&self) -> ConfigAt {
        ConfigAt::find(self.config.clone())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve {
        #[command(subcommand)]
        mode: serve::Serve,
    },
    /// Check a configuration or rule sets.
    Validate {
        #[command(subcommand)]
        what: validate::Validate,
    },
    /// Say what the configuration may hold.
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Show which rule takes a request and what each step does.
    Explain(explain::Explain),
    /// Run a file of requests and expected verdicts.
    Test(test::Test),
    /// Write rule sets in another form.
    Convert(convert::Convert),
    /// Ask a running service how it is.
    Health(health::HealthCheck),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// A command failed; the text is for whoever typed it.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Runs the command that the arguments of the process ask for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(Failure(text)) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        Command::Serve { mode } => serve::run(&cli.common, mode),
        Command::Validate { what } => validate::run(&cli.common, what),
        Command::Config { command } => config::run(&cli.common, command),
        Command::Explain(explain) => explain::run(&cli.common, explain),
        Command::Test(test) => test::run(&cli.common, test),
        Command::Convert(convert) => convert::run(convert),
        Command::Health(check) => health::run(check),
        Command::Completion { shell } => {
            clap_complete::generate(
                *shell,
                &mut Cli::command(),
                "heimdall-proxy",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints a line; a reader that closed the pipe has read enough.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}
