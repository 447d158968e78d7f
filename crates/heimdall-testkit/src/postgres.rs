use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A real PostgreSQL of one's own: made by `initdb` in a temporary folder, on loopback, gone with the process that
/// started it, however that ends.
///
/// # Panics
/// Every method panics with a clear text when PostgreSQL is missing or refuses: a test that needs it must not pass by
/// being skipped.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    options: String,
    databases: AtomicU32,
    guard: Child,
}

impl Postgres {
    /// Starts a server that does not wait for the disk: fast, and still safe against everything but power loss.
    pub fn start() -> Self {
        Self::start_with(&[
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ])
    }

    /// Starts a server that waits for the disk as in production: for measuring.
    pub fn durable() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with these settings (`name=value`) beside the defaults.
    pub fn start_with(settings: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bin = binaries();
        let name = format!(
            "heimdall-pg-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        let folder = std::env::temp_dir().join(name);
        let port = free_port();
        let data = folder.join("data");
        run(as_postgres("mkdir").arg("-m").arg("700").arg(&folder));
        run(as_postgres(bin.join("initdb"))
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
                "-D",
            ])
            .arg(&data));
        let mut options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c max_connections=200",
            folder.display()
        );
        for setting in settings {
            options.push_str(" -c ");
            options.push_str(setting);
        }
        // The guard outlives us by a moment: its standard input closes when we end, even by kill -9.
        let guard = as_postgres("sh")
            .arg("-c")
            .arg("trap '' INT TERM HUP; cat >/dev/null; \"$1\" -D \"$2/data\" -m immediate stop; rm -rf \"$2\"")
            .arg("sh")
            .arg(bin.join("pg_ctl"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("no shell for PostgreSQL's guard: {error}"));
        let server = Self {
            bin,
            folder,
            port,
            options,
            databases: AtomicU32::new(0),
            guard,
        };
        server.resume();
        server
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL, as the superuser `postgres`.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url("postgres", &name)
    }

    /// The URL of a database for one of its users.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL as the superuser in a database and returns what it gives, one row a line, columns separated by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        run(Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
                "127.0.0.1",
            ])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql]))
    }

    /// Stops the server as a crash would: connections are cut, nothing is flushed.
    pub fn crash(&self) {
        run(as_postgres(self.bin.join("pg_ctl"))
            .args(["-m", "immediate", "-w", "stop", "-D"])
            .arg(self.folder.join("data")));
    }

    /// Starts the server again after [`Postgres::crash`], on the same port.
    pub fn resume(&self) {
        run(as_postgres(self.bin.join("pg_ctl"))
            .args(["-w", "-o", &self.options, "-l"])
            .arg(self.folder.join("log"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("start")
            .stdout(Stdio::null()));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// The newest version under Debian's `/usr/lib/postgresql`, or what is on the path.
fn binaries() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort_by_key(|bin| {
        bin.parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
    });
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file())
    });
    found.pop().or(on_path).unwrap_or_else(|| {
        panic!(
            "this test needs a real PostgreSQL: no `initdb` in /usr/lib/postgresql/*/bin or on the PATH \
             (Debian: `apt-get install postgresql`)"
        )
    })
}

/// PostgreSQL refuses to run as root: then it runs as the user `postgres`.
fn as_postgres(program: impl AsRef<Path>) -> Command {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|out| out.stdout.starts_with(b"0\n"));
    if !root {
        return Command::new(program.as_ref());
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(program.as_ref());
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> String {
    let out = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("PostgreSQL's {command:?} does not start: {error}"));
    assert!(
        out.status.success(),
        "PostgreSQL's {command:?} failed: {}{}",
        String::from_utf8_lossy(&out.stderr),
        String::from_utf8_lossy(&out.stdout)
    );
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap_or_else(|error| panic!("loopback gives no port: {error}"))
        .port()
}
