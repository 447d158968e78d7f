//! All of Heimdall in one process, and the command line.

mod data;
mod desk;
mod template;
mod token;
mod up;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use heimdall_server::{SystemClock, program};
use heimdall_types::Clock;

/// Heimdall decides who may pass: tenants and tokens, approvals, and the proxy that honours them.
#[derive(Debug, Parser)]
#[command(name = "heimdall", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start api, approvals and proxy in one process: the first thing to run
    Up(up::UpArgs),
    /// Tenants
    Apps(desk::Apps),
    /// Users of an App
    Users(desk::Users),
    /// Roles of an App and their permissions
    Roles(desk::Roles),
    /// Identities of services, and their secrets
    Credentials(desk::Credentials),
    /// Invitations to an App
    Invites(desk::Invites),
    /// Endpoints that an App's events are posted to
    Webhooks(desk::Webhooks),
    /// What happened in an App, in order
    Events(desk::Events),
    /// Requests for roles
    Approvals(desk::Approvals),
    /// Roles that people have for a time
    Grants(desk::Grants),
    /// Keys that sign tokens; `keys root` makes a root key
    Keys(desk::Keys),
    /// Keys of operators
    AdminKeys(desk::AdminKeys),
    /// Check, describe and explain the common configuration file
    #[command(subcommand)]
    Config(program::ConfigCommand),
    /// Render finalizer templates
    Template(template::TemplateArgs),
    /// Inspect and verify tokens
    Token(token::TokenArgs),
    /// List, verify and export the audit
    Audit(data::AuditArgs),
    /// Write a copy of the database that `restore` takes
    Backup(data::BackupArgs),
    /// Put a backup back; whatever was spent stays spent
    Restore(data::RestoreArgs),
    /// Bring a database to this version's schema, or move everything to another database
    Migrate(data::MigrateArgs),
    /// Print completions for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match Cli::parse().command {
        Command::Up(args) => up::run(args),
        Command::Apps(args) => desk::run(&args.target, args.call()),
        Command::Users(args) => desk::run(&args.target, args.call()),
        Command::Roles(args) => desk::run(&args.target, args.call()),
        Command::Credentials(args) => desk::run(&args.target, args.call()),
        Command::Invites(args) => desk::run(&args.target, args.call()),
        Command::Webhooks(args) => desk::run(&args.target, args.call()),
        Command::Events(args) => desk::run(&args.target, args.call()),
        Command::Approvals(args) => desk::run(&args.target, args.call()),
        Command::Grants(args) => desk::run(&args.target, args.call()),
        Command::Keys(args) => match (args.alone(), args.reseals()) {
            (Some(text), _) => desk::say(&text),
            (None, Some(file)) => desk::reseal(&args.target, file, clock.now()),
            (None, None) => desk::run(&args.target, args.call()),
        },
        Command::AdminKeys(args) => desk::run(&args.target, args.call()),
        Command::Config(command) => match command.run::<up::UpSettings>() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => up::failed(&error.to_string()),
        },
        Command::Template(args) => template::run(args),
        Command::Token(args) => token::run(&args, clock.now(), fetch),
        Command::Audit(args) => data::audit(&args, &clock),
        Command::Backup(args) => data::backup(&args),
        Command::Restore(args) => data::restore(&args, &*clock),
        Command::Migrate(args) => data::migrate(&args),
        Command::Completion { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "heimdall",
                &mut std::io::stdout(),
            );
            ExitCode::SUCCESS
        }
    }
}

// The JWK set of `token verify --jwks URL`.
fn fetch(url: &str) -> Result<Vec<u8>, String> {
    use heimdall_pipeline::{Http, HttpRequest};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let authorities = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
        let tls = heimdall_transport::tls::client_config(authorities.as_deref())
            .map_err(|e| e.to_string())?;
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: vec![("Accept".to_owned(), "application/json".to_owned())],
            body: Vec::new(),
            timeout: std::time::Duration::from_secs(10),
            max_body: 1024 * 1024,
        };
        let answer = heimdall_transport::HttpClient::new(tls)
            .send(request)
            .await
            .map_err(|e| e.to_string())?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("{url} answered {}", answer.status))
        }
    })
}
