//! A program in a folder of its own, and a server that answers what a test wants.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::support::{Answer, Client, Seen, Upstream, fine};

static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// Waits until something holds; for ten seconds at most.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The built program, in a folder of its own. `{DIR}`, `{UPSTREAM}` and `{STUB}` stand for what they say.
pub struct Service {
    pub folder: PathBuf,
    pub address: SocketAddr,
    pub management: SocketAddr,
    pub upstream: Upstream,
    child: Child,
    places: Vec<(&'static str, String)>,
}

pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

impl Service {
    /// Runs `serve proxy`; `files` are written first, `heimdall.yaml` among them.
    pub fn start(stub: &Stub, files: &[(&str, &str)]) -> Self {
        Self::run("proxy", stub, files)
    }

    pub fn run(mode: &str, stub: &Stub, files: &[(&str, &str)]) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("heimdall-service-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (address, management) = (free(), free());
        let upstream = Upstream::start(fine);
        let places = vec![
            ("{DIR}", folder.display().to_string()),
            ("{UPSTREAM}", upstream.address.to_string()),
            ("{STUB}", format!("http://{}", stub.address)),
            ("{SERVICE}", address.port().to_string()),
            ("{MANAGEMENT}", management.port().to_string()),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_heimdall-proxy"));
        command
            .arg("serve")
            .args(mode.split(' '))
            .args(["--insecure", "-c"])
            .arg(folder.join("heimdall.yaml"))
            .current_dir(&folder);
        let log = std::fs::File::create(folder.join("log")).unwrap();
        command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null());
        let mut service = Self {
            folder,
            address,
            management,
            upstream,
            child: Command::new("true").spawn().unwrap(),
            places,
        };
        for (name, text) in files {
            service.write(name, text);
        }
        service.child = command.spawn().unwrap();
        wait_for("the service accepts", || {
            assert!(
                service.child.try_wait().unwrap().is_none(),
                "{}",
                service.log()
            );
            TcpStream::connect(service.address).is_ok()
                && TcpStream::connect(service.management).is_ok()
        });
        service
    }

    /// Replaces a file by rename, so that nobody reads half of it.
    pub fn write(&self, name: &str, text: &str) {
        let text = self
            .places
            .iter()
            .fold(text.to_owned(), |text, (place, value)| {
                text.replace(place, value)
            });
        let next = self.folder.join(format!(".{name}.next"));
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.folder.join(name)).unwrap();
    }

    pub fn hangup(&self) {
        let done = Command::new("kill")
            .args(["-HUP", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        Client::to(self.address).get(path)
    }

    /// A request with header lines.
    pub fn with(&self, path: &str, lines: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n{lines}\r\n");
        Client::to(self.address)
            .send(head)
            .answer()
            .expect("an answer")
    }

    pub fn manage(&self, path: &str) -> String {
        String::from_utf8(Client::to(self.management).get(path).body).unwrap()
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.manage("/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("heimdall_proxy_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a stub answers: status, header lines, body.
pub type Reply = (u16, String, String);

type Answering = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// An endpoint whose answers a test may change while it runs.
pub struct Stub {
    pub address: SocketAddr,
    answering: Arc<Mutex<Arc<Answering>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    pub fn start(answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answering: Arc<Mutex<Arc<Answering>>> =
            Arc::new(Mutex::new(Arc::new(Box::new(answering))));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (present, record) = (answering.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (present, record, mut stream) =
                    (present.clone(), record.clone(), stream.unwrap());
                std::thread::spawn(move || {
                    let mut rest = Vec::new();
                    while let Some(request) =
                        super::support::read_request(&mut stream, &mut rest, 0)
                    {
                        record.lock().unwrap().push(request.clone());
                        let answer = present.lock().unwrap().clone();
                        let (status, lines, body) = answer(&request);
                        let head = format!(
                            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{lines}\r\n",
                            body.len()
                        );
                        if stream
                            .write_all(format!("{head}{body}").as_bytes())
                            .is_err()
                        {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            address,
            answering,
            seen,
        }
    }

    pub fn answers(&self, answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.answering.lock().unwrap() = Arc::new(Box::new(answering));
    }

    /// The requests that came for a path.
    pub fn asked(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.line().contains(path))
            .cloned()
            .collect()
    }
}

/// A JSON answer.
pub fn json(body: &str) -> Reply {
    (
        200,
        "Content-Type: application/json\r\n".to_owned(),
        body.to_owned(),
    )
}

pub fn nothing() -> Reply {
    (404, String::new(), String::new())
}

/// A configuration with these mechanisms and providers.
pub fn config(mechanisms: &str, providers: &str) -> String {
    format!(
        "serve: {{host: 127.0.0.1, port: {{SERVICE}}}}\nmanagement: {{host: 127.0.0.1, port: {{MANAGEMENT}}}}\nmechanisms:\n{mechanisms}\nproviders:\n{providers}\n"
    )
}

/// Rules: id, path, steps and what else a rule has.
pub fn rules(all: &[(&str, &str, &str, &str)]) -> String {
    let mut text = "version: \"1alpha4\"\nname: test\nrules:\n".to_owned();
    for (id, path, steps, more) in all {
        text.push_str(&format!("  - {{id: {id}, match: {{routes: [{{path: {path}}}]}}, forward_to: {{host: \"{{UPSTREAM}}\"}}, execute: [{steps}]{more}}}\n"));
    }
    text
}
