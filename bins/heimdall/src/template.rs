//! `heimdall template render`: what a finalizer's template gives.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use heimdall_template::{Batch, CallError, Document, Engine, Environment, FunctionSet};
use ring::rand::{SecureRandom, SystemRandom};

/// Renders templates as the finalizers do.
#[derive(Debug, Args)]
pub(crate) struct TemplateArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Renders a template over data from a JSON file.
    Render(RenderArgs),
}

#[derive(Debug, Args)]
struct RenderArgs {
    /// The template; standard input without it.
    file: Option<PathBuf>,
    /// The data: `Subject`, `Request`, `Outputs`, `Values`; with --jsonl data sets of them by name.
    #[arg(long, value_name = "FILE.json")]
    data: Option<PathBuf>,
    /// Reads `{"id","template","data"}` a line from standard input, answers `{"id","output"}` or
    /// `{"id","error","message"}` a line.
    #[arg(long)]
    jsonl: bool,
    /// Only the functions that rules have by default: none that resolve names or burn processor time.
    #[arg(long)]
    default_functions: bool,
}

/// Runs the command; a template that fails exits with 1.
pub(crate) fn run(args: TemplateArgs) -> ExitCode {
    let Command::Render(args) = args.command;
    let result = if args.jsonl {
        answer_lines(&args)
    } else {
        render(&args)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // A closed standard error leaves the exit code to tell.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

/// The clock, randomness and names of this machine.
struct Machine(SystemRandom);

impl Environment for Machine {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), CallError> {
        self.0
            .fill(bytes)
            .map_err(|_| CallError::new("no randomness"))
    }

    fn resolve(&self, host: &str) -> Result<String, CallError> {
        let first = (host, 0)
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next());
        first
            .map(|address| address.ip().to_string())
            .ok_or_else(|| CallError::new(format!("no address of `{host}`")))
    }
}

fn engine(args: &RenderArgs) -> Engine {
    let sets: &[FunctionSet] = if args.default_functions {
        &[FunctionSet::Sprig]
    } else {
        &FunctionSet::ALL
    };
    Engine::builder()
        .functions(sets)
        .environment(Machine(SystemRandom::new()))
        .build()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

fn data(args: &RenderArgs) -> Result<serde_json::Value, String> {
    let Some(path) = &args.data else {
        return Ok(serde_json::json!({}));
    };
    serde_json::from_str(&read(path)?)
        .map_err(|error| format!("`{}` is no JSON: {error}", path.display()))
}

fn render(args: &RenderArgs) -> Result<(), String> {
    let (name, source) = match &args.file {
        Some(path) => (path.display().to_string(), read(path)?),
        None => {
            let mut source = String::new();
            io::stdin()
                .read_to_string(&mut source)
                .map_err(|error| error.to_string())?;
            ("-".to_owned(), source)
        }
    };
    let document = Document::new(data(args)?).map_err(|error| error.to_string())?;
    let shown = |error: heimdall_template::Error| format!("{error}\n{}", error.excerpt());
    let template = engine(args).parse(&name, &source).map_err(shown)?;
    let output = template.render_to_string(&document).map_err(shown)?;
    let mut out = io::stdout().lock();
    out.write_all(output.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}

fn answer_lines(args: &RenderArgs) -> Result<(), String> {
    let batch = Batch::new(engine(args), data(args)?).map_err(|error| error.to_string())?;
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        // Each answer goes out at once: the other side may wait for it before it asks again.
        writeln!(out, "{}", batch.answer(&line))
            .and_then(|()| out.flush())
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
