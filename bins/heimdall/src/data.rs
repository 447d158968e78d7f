//! `heimdall audit verify|export`, `backup`, `restore` and `migrate`: what is done to a database as a whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use heimdall_store::{AuditReport, ExportError, Store, StoreSettings, checkpoint_verifier};
use heimdall_token::{KeyRing, KeyRingSettings, KeyStore, PublicKeys, RootKey, SystemRng};
use heimdall_types::{AppId, Clock, Fault, Secret};

use crate::desk::{self, AuditList};

/// The SQLite file in a data folder.
pub(crate) const DATABASE_FILE: &str = "heimdall.db";
/// The root key in a data folder.
pub(crate) const ROOT_KEY_FILE: &str = "root.key";

/// Which database is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "./heimdall-data")]
    data: PathBuf,
    /// The database, when it is not the folder's: `sqlite://PATH` or `postgres://…`.
    #[arg(
        long,
        value_name = "URL",
        env = "HEIMDALL_DATABASE_URL",
        hide_env_values = true
    )]
    database: Option<String>,
}

/// Looks after the audit.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Lists the audit of an App, newest first.
    List(Box<AuditList>),
    /// Walks over the whole audit and names every row that was altered, removed, moved or put in; exits with 1 then.
    Verify(VerifyArgs),
    /// Writes the audit as JSON lines.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// The keys that signed the checkpoints, as a JWKS file; without it those in the database.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    #[command(flatten)]
    place: Place,
    /// The App (its `app_…` id) whose rows are written whole; of the others only the hashes. Without it everything.
    #[arg(long, value_name = "ID")]
    app: Option<AppId>,
    /// The file to write; without it standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes one consistent picture of the whole database to a file, while others go on working.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    place: Place,
    /// The file to write; it must not exist. Keep the root key apart from it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Fills an empty database from a backup of either kind of database.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    place: Place,
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Brings the schema up to date, or moves everything to another, empty database.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    place: Place,
    /// The database to move to: `postgres://…` or `sqlite://PATH`. The old one stays as it is.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

/// What went wrong, in words.
type Answer = Result<ExitCode, String>;

impl Place {
    fn url(&self) -> Secret {
        match &self.database {
            Some(url) => Secret::from(url.as_str()),
            None => Secret::new(format!(
                "sqlite://{}",
                self.data.join(DATABASE_FILE).display()
            )),
        }
    }

    /// For looking only: works beside a running server.
    fn reader(&self) -> Result<Store, String> {
        let mut settings = StoreSettings::new(self.url());
        settings.read_only = true;
        Store::open(&settings).map_err(|error| error.to_string())
    }

    fn owner(&self) -> Result<Store, String> {
        owner(self.url())
    }

    fn root_key(&self) -> Option<RootKey> {
        let text = std::fs::read_to_string(self.data.join(ROOT_KEY_FILE)).ok()?;
        RootKey::from_base64(text.trim()).ok()
    }
}

fn owner(url: Secret) -> Result<Store, String> {
    let mut settings = StoreSettings::new(url);
    settings.manage_schema = true;
    Store::open(&settings).map_err(|error| error.to_string())
}

/// Runs `heimdall audit …`.
pub(crate) fn audit(args: &AuditArgs, clock: &Arc<dyn Clock>) -> ExitCode {
    if let AuditCommand::List(args) = &args.command {
        return desk::run(&args.target, args.call());
    }
    run(async {
        match &args.command {
            AuditCommand::List(_) => Ok(ExitCode::SUCCESS),
            AuditCommand::Verify(args) => verify(args, clock).await,
            AuditCommand::Export(args) => export(args).await,
        }
    })
}

/// Runs `heimdall backup`.
pub(crate) fn backup(args: &BackupArgs) -> ExitCode {
    run(async {
        let store = args.place.reader()?;
        let rows = store.dump(&args.file).await.map_err(told)?;
        say(&format!(
            "{rows} rows were written to `{}`",
            args.file.display()
        ))
    })
}

/// Runs `heimdall restore`.
pub(crate) fn restore(args: &RestoreArgs, clock: &dyn Clock) -> ExitCode {
    run(async {
        let store = args.place.owner()?;
        let rows = filled(store.restore_dump(&args.file, clock.now()).await)?;
        say(&format!(
            "{rows} rows were restored; sessions and open invites of before are gone"
        ))
    })
}

/// Runs `heimdall migrate`.
pub(crate) fn migrate(args: &MigrateArgs) -> ExitCode {
    run(async {
        let Some(to) = &args.to else {
            drop(args.place.owner()?);
            return say("the schema is up to date");
        };
        // As its owner: no server may go on writing to what is left behind.
        let source = args.place.owner()?;
        let target = owner(Secret::from(to.as_str()))?;
        // Through a file, so that the target can begin again when it must.
        let folder = std::env::temp_dir().join(format!("heimdall-migrate-{}", std::process::id()));
        let folder = Private::create(folder)?;
        let file = folder.0.join("dump");
        let read = source.dump(&file).await.map_err(told)?;
        note(&format!("{read} rows were read, now they are written"));
        let rows = filled(target.load_dump(&file).await)?;
        say(&format!(
            "{rows} rows were moved; start Heimdall with the new `--database` now"
        ))
    })
}

/// Words for what may go wrong when a database is filled.
fn filled(outcome: Result<u64, Fault>) -> Result<u64, String> {
    outcome.map_err(|fault| match fault {
        Fault::Conflict => "the database is not empty: only a new one can be filled".to_owned(),
        other => told(other),
    })
}

async fn verify(args: &VerifyArgs, clock: &Arc<dyn Clock>) -> Answer {
    let store = args.place.reader()?;
    let keys = match &args.jwks {
        Some(file) => {
            let text = std::fs::read(file)
                .map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
            Arc::new(
                PublicKeys::parse(&text)
                    .map_err(|error| format!("`{}`: {error}", file.display()))?,
            )
        }
        None => own_keys(&store, args.place.root_key(), clock).await?,
    };
    let report = store
        .verify_audit(&checkpoint_verifier(keys))
        .await
        .map_err(told)?;
    if args.json {
        let text = serde_json::to_string(&report).map_err(|error| error.to_string())?;
        say(&text)?;
    } else {
        say(&words(&report))?;
    }
    Ok(if report.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn words(report: &AuditReport) -> String {
    let mut text = String::new();
    for fault in &report.faults {
        text.push_str(&format!("row {}: {}\n", fault.seq, fault.what));
    }
    let holds = if report.faults.is_empty() {
        "the audit holds"
    } else {
        "the audit does NOT hold"
    };
    let (seq, hash) = &report.end;
    text.push_str(&format!(
        "{holds}: {} rows, {} signed checkpoints; it ends at row {seq} with {hash}",
        report.rows, report.checkpoints
    ));
    if report.unchained > 0 {
        text.push_str(&format!(
            "\n{} rows of the last second are not chained yet",
            report.unchained
        ));
    }
    if report.unknown_keys > 0 {
        text.push_str(&format!(
            "\n{} checkpoints were signed by keys that are not at hand: give them with --jwks",
            report.unknown_keys
        ));
    }
    text
}

/// The keys in the database, opened by the folder's root key; none when that is not there.
async fn own_keys(
    store: &Store,
    root: Option<RootKey>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<PublicKeys>, String> {
    let Some(root) = root else {
        return Ok(Arc::default());
    };
    let root = store
        .unlock(&root, &SystemRng)
        .await
        .map_err(|error| error.to_string())?;
    let keys = Arc::new(heimdall_api::KeysAtRest(store.clone()));
    if keys.load().await.map_err(told)?.is_empty() {
        return Ok(Arc::default());
    }
    let rng = Arc::new(SystemRng);
    let ring = KeyRing::open(
        keys,
        root,
        Arc::clone(clock),
        rng,
        KeyRingSettings::default(),
    )
    .await;
    ring.map(|ring| ring.public())
        .map_err(|error| error.to_string())
}

async fn export(args: &ExportArgs) -> Answer {
    let store = args.place.reader()?;
    let mut out: Box<dyn Write + Send> = match &args.output {
        Some(path) => {
            Box::new(BufWriter::new(private(path).map_err(|error| {
                format!("`{}` cannot be written: {error}", path.display())
            })?))
        }
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let lines = store
        .export_audit(args.app.as_ref(), &mut *out)
        .await
        .map_err(|error| match error {
            ExportError::Store(fault) => told(fault),
            ExportError::Write(error) => format!("the export cannot be written: {error}"),
        })?;
    out.flush()
        .map_err(|error| format!("the export cannot be written: {error}"))?;
    note(&format!("{lines} lines were written"));
    Ok(ExitCode::SUCCESS)
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A folder for one command, its owner's alone, gone with it.
struct Private(PathBuf);

impl Private {
    fn create(path: PathBuf) -> Result<Self, String> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .map_err(|error| format!("`{}` cannot be made: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn told(fault: Fault) -> String {
    fault.to_string()
}

/// To standard output; a reader that closed the pipe early has seen enough.
fn say(text: &str) -> Answer {
    let _ = writeln!(io::stdout(), "{text}");
    Ok(ExitCode::SUCCESS)
}

/// To standard error: progress, never mixed into what is printed.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn run(work: impl Future<Output = Answer>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let answer = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(error.to_string()),
    };
    answer.unwrap_or_else(|error| {
        note(&error);
        ExitCode::FAILURE
    })
}
