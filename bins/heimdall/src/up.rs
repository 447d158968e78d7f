//! `heimdall up`: the three services in one process, on a folder of their own.

mod echo;
mod example;
pub(crate) mod folder;
mod proxy;
mod services;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use heimdall_server::signals::{Asked, Signals};
use heimdall_server::telemetry::{self, LogSettings};
use serde_json::{Value, json};

use services::Services;

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
    /// Settings: `limits`, `log`, `mail.from` (see docs/operations.md)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the api
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    api: SocketAddr,
    /// Address of the approvals
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    approvals: SocketAddr,
    /// Address of the proxy
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4456")]
    proxy: SocketAddr,
    /// Address of the proxy's management
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4457")]
    management: SocketAddr,
    /// Make no example tenant
    #[arg(long)]
    no_example: bool,
    /// Write one JSON object here once every listener accepts
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// What `--config` may say.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpSettings {
    /// Requests a second that one source may make.
    pub(crate) limits: heimdall_server::LimitSettings,
    /// What is logged, and how.
    pub(crate) log: LogSettings,
    /// Mails.
    pub(crate) mail: MailSettings,
}

/// How mails are sent.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MailSettings {
    /// The sender.
    pub(crate) from: String,
    /// The language of mails, `en` or `de`.
    pub(crate) language: String,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            from: "Heimdall <heimdall@localhost.localdomain>".to_owned(),
            language: "en".to_owned(),
        }
    }
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
        Err(error) => {
            tell_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: &UpArgs) -> Result<(), Failure> {
    let settings = settings(args)?;
    let quiet = LogSettings {
        level: "warn".to_owned(),
        ..settings.log.clone()
    };
    telemetry::init(if args.config.is_some() {
        &settings.log
    } else {
        &quiet
    })?;
    let mut signals = Signals::listen()?;
    let services = Services::start(args, &settings).await?;
    let ready = services.ready();
    if let Some(path) = &args.ready_file {
        folder::write_private(path, format!("{ready}\n").as_bytes())?;
    }
    greet(args, &ready);
    while signals.next().await == Asked::Reload {}
    services.stop().await;
    Ok(())
}

fn settings(args: &UpArgs) -> Result<UpSettings, Failure> {
    let mut source = heimdall_server::config::Source::environment("HEIMDALL_");
    if let Some(path) = &args.config {
        source = source.file(path)?;
    }
    Ok(source.load::<UpSettings>()?)
}

#[expect(
    clippy::print_stderr,
    reason = "a command line tells its user what is wrong"
)]
fn tell_error(text: &str) {
    eprintln!("heimdall: {text}");
}

#[expect(clippy::print_stdout, reason = "the first thing a newcomer reads")]
fn greet(args: &UpArgs, ready: &Value) {
    println!("{}", greeting(args, ready));
}

fn greeting(args: &UpArgs, ready: &Value) -> String {
    let text = |path: &str| {
        ready
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api, approvals, proxy) = (text("/api"), text("/approvals"), text("/proxy"));
    let mut out = format!(
        "Heimdall is up.\n\n  api         {api}\n  approvals   {approvals}\n  proxy       {proxy}\n  management  {}\n  \
         data        {}\n",
        text("/management"),
        args.data.display(),
    );
    if ready.get("example").is_none_or(Value::is_null) {
        return out + "\nNo example tenant. Stop with Ctrl-C.";
    }
    let (email, password) = (
        text("/example/requester/email"),
        text("/example/requester/password"),
    );
    if args.smtp.is_none() {
        out.push_str(&format!("  mailbox     {approvals}/mailbox\n"));
    }
    out.push_str(&format!(
        "\nThe example tenant `acme` (kept in {}):\n\n  admin key      {}\n  requester      {email}  {password}\n  \
         administrator  {}  {}\n  approver       {}  (no account, decides by mail)\n",
        args.data.join("first-look.json").display(),
        text("/admin_key"),
        text("/example/administrator/email"),
        text("/example/administrator/password"),
        text("/example/approver/email"),
    ));
    out.push_str(&format!(
        "\nSix things to try:\n\n\
         1  Anyone may pass:\n   curl {proxy}/open\n\
         2  Sign in, and keep the token:\n   TOKEN=$(curl -s {api}/v1/apps/acme/sessions -H 'Content-Type: application/json' \\\n     \
         -d '{{\"email\":\"{email}\",\"password\":\"{password}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\).*/\\1/')\n\
         3  403, and which role would help:\n   curl {proxy}/billing/invoices -H \"Authorization: Bearer $TOKEN\"\n\
         4  Ask for it (or on {approvals}/requests/new):\n   curl {approvals}/v1/apps/acme/requests -H \"Authorization: Bearer $TOKEN\" \\\n     \
         -H 'Content-Type: application/json' \\\n     \
         -d '{{\"roles\":[\"billing-admin\"],\"justification\":\"Month-end run\",\"duration_minutes\":60}}'\n\
         5  Approve it: open the link of the mail {}\n\
         6  Repeat 2 and 3: the door is open, and the upstream shows what the proxy tells it.\n\n\
         Stop with Ctrl-C.",
        if args.smtp.is_none() { format!("on {approvals}/mailbox") } else { "that arrives".to_owned() },
    ));
    out
}

/// What stands in the ready file.
fn ready(
    addresses: &[(&str, String)],
    admin_key: Option<&str>,
    mail_dir: &str,
    example: Option<&Value>,
) -> Value {
    let mut all = json!({"admin_key": admin_key, "mail_dir": mail_dir, "example": example});
    if let Some(members) = all.as_object_mut() {
        members.extend(
            addresses
                .iter()
                .map(|(name, address)| ((*name).to_owned(), address.clone().into())),
        );
    }
    all
}
