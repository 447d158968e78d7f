use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heimdall_pipeline::{Mode, Relaxed, Source};
use heimdall_proxy::{ConfigAt, Deps, Running, Settings, start};

/// One request as an upstream read it from the socket.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
    /// Which connection it came on.
    pub connection: usize,
}

impl Seen {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of a header.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }
}

/// An upstream of raw sockets that writes down what it gets and answers what its script says.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub type Script = fn(&Seen, &mut TcpStream) -> bool;

/// Answers 200 with the body `fine`.
pub fn fine(_: &Seen, stream: &mut TcpStream) -> bool {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
        .is_ok()
}

impl Upstream {
    /// `script` answers each request and tells whether the connection stays.
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = seen.clone();
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (record, mut stream) = (record.clone(), stream.unwrap());
                std::thread::spawn(move || {
                    let mut rest = Vec::new();
                    while let Some(request) = read_request(&mut stream, &mut rest, connection) {
                        record.lock().unwrap().push(request.clone());
                        if !script(&request, &mut stream) {
                            break;
                        }
                    }
                    if !rest.is_empty() {
                        let head = String::from_utf8_lossy(&rest).into_owned();
                        record.lock().unwrap().push(Seen {
                            head: format!("LEFTOVER {head}"),
                            body: Vec::new(),
                            connection,
                        });
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn fill(stream: &mut TcpStream, rest: &mut Vec<u8>) -> bool {
    let mut space = [0; 16384];
    match stream.read(&mut space) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            rest.extend_from_slice(&space[..count]);
            true
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

pub fn read_request(stream: &mut TcpStream, rest: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(rest, b"\r\n\r\n") {
            break at + 4;
        }
        if !fill(stream, rest) {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&rest.drain(..end).collect::<Vec<_>>()).into_owned();
    let mut seen = Seen {
        head,
        body: Vec::new(),
        connection,
    };
    if seen
        .values("transfer-encoding")
        .iter()
        .any(|value| value == "chunked")
    {
        loop {
            while find(rest, b"\r\n").is_none() {
                fill(stream, rest).then_some(())?;
            }
            let at = find(rest, b"\r\n").unwrap();
            let line =
                String::from_utf8_lossy(&rest.drain(..at + 2).collect::<Vec<_>>()).into_owned();
            let size = usize::from_str_radix(line.trim().split(';').next().unwrap(), 16).ok()?;
            while rest.len() < size + 2 {
                fill(stream, rest).then_some(())?;
            }
            seen.body.extend(rest.drain(..size));
            rest.drain(..2);
            if size == 0 {
                return Some(seen);
            }
        }
    }
    let length = seen
        .values("content-length")
        .first()
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    while rest.len() < length {
        fill(stream, rest).then_some(())?;
    }
    seen.body = rest.drain(..length).collect();
    Some(seen)
}

static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// A running service with its own rule file.
pub struct Proxy {
    pub address: SocketAddr,
    pub management: SocketAddr,
    pub rules: PathBuf,
    runtime: Option<tokio::runtime::Runtime>,
    running: Option<Running>,
}

/// `{UPSTREAM}` in rules is the upstream's address.
pub struct Setup {
    pub serve: &'static str,
    pub rules: &'static str,
    pub mode: Mode,
}

pub const RULES: &str = r#"
version: "1alpha4"
name: test
rules:
  - id: all
    match: {routes: [{path: "/**"}]}
    forward_to: {host: "{UPSTREAM}"}
    execute: [{authenticator: anyone}]
"#;

impl Default for Setup {
    fn default() -> Self {
        Self {
            serve: "{}",
            rules: RULES,
            mode: Mode::Proxy,
        }
    }
}

impl Proxy {
    pub fn start(upstream: &Upstream) -> Self {
        Self::with(upstream.address, &Setup::default())
    }

    pub fn with(upstream: SocketAddr, setup: &Setup) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("heimdall-wire-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        if setup.serve.contains("{DIR}") {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let pem = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
            std::fs::write(folder.join("tls.pem"), pem).unwrap();
        }
        let rules = folder.join("rules.yaml");
        std::fs::write(
            &rules,
            setup.rules.replace("{UPSTREAM}", &upstream.to_string()),
        )
        .unwrap();
        let text = format!(
            "serve: {}\nmechanisms:\n  authenticators:\n    - {{id: anyone, type: anonymous}}\n    - {{id: nobody, type: unauthorized}}\nproviders:\n  file_system: {{src: '{}', watch: true}}\n",
            setup.serve.replace("{DIR}", &folder.display().to_string()),
            rules.display()
        );
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings {
            config: ConfigAt::Text(Source {
                name: "test".into(),
                text,
            }),
            env_prefix: "HEIMDALL_WIRE_TEST_".into(),
            mode: setup.mode,
            relaxed: Relaxed::ALL,
            service: Some(any),
            management: Some(any),
            workers: 1,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let running =
            runtime.block_on(async { start(settings, Deps::system().unwrap()).await.unwrap() });
        Self {
            address: running.service_addr(),
            management: running.management_addr(),
            rules,
            runtime: Some(runtime),
            running: Some(running),
        }
    }

    pub fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// Stops as SIGTERM does and waits for it.
    pub fn stop(mut self) {
        let running = self.running.take().unwrap();
        self.runtime.as_ref().unwrap().block_on(running.stop());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        let _ = std::fs::remove_dir_all(self.rules.parent().unwrap());
    }
}

/// A client that writes what it is told to.
pub struct Client {
    pub stream: TcpStream,
    rest: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        fields
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub fn of(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        // A service that refuses early may close while we still write.
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// A head; `None` when the service hung up without one.
    pub fn head(&mut self) -> Option<Answer> {
        while find(&self.rest, b"\r\n\r\n").is_none() {
            if !fill(&mut self.stream, &mut self.rest) {
                return None;
            }
        }
        let end = find(&self.rest, b"\r\n\r\n").unwrap() + 4;
        let head =
            String::from_utf8_lossy(&self.rest.drain(..end).collect::<Vec<_>>()).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        Some(Answer {
            status,
            head,
            body: Vec::new(),
            trailers: String::new(),
        })
    }

    /// A whole answer; its body is cut short if the service broke off.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.status < 200 || answer.status == 204 || answer.status == 304 {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                if chunk.is_empty() {
                    while find(&self.rest, b"\r\n").is_none()
                        && fill(&mut self.stream, &mut self.rest)
                    {}
                    while !self.rest.starts_with(b"\r\n")
                        && find(&self.rest, b"\r\n\r\n").is_none()
                        && fill(&mut self.stream, &mut self.rest)
                    {}
                    let end = if self.rest.starts_with(b"\r\n") {
                        2
                    } else {
                        find(&self.rest, b"\r\n\r\n").map_or(0, |at| at + 4)
                    };
                    answer.trailers =
                        String::from_utf8_lossy(&self.rest.drain(..end).collect::<Vec<_>>())
                            .into_owned();
                    return Some(answer);
                }
                answer.body.extend(chunk);
            }
            return Some(answer);
        }
        let length = answer
            .header("content-length")
            .and_then(|value| value.parse().ok())
            .unwrap_or(usize::MAX);
        while self.rest.len() < length && fill(&mut self.stream, &mut self.rest) {}
        let count = length.min(self.rest.len());
        answer.body = self.rest.drain(..count).collect();
        Some(answer)
    }

    /// One chunk of a chunked answer; `None` when the service broke off.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        while find(&self.rest, b"\r\n").is_none() {
            fill(&mut self.stream, &mut self.rest).then_some(())?;
        }
        let at = find(&self.rest, b"\r\n").unwrap();
        let line =
            String::from_utf8_lossy(&self.rest.drain(..at + 2).collect::<Vec<_>>()).into_owned();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        if size == 0 {
            return Some(Vec::new());
        }
        while self.rest.len() < size + 2 {
            fill(&mut self.stream, &mut self.rest).then_some(())?;
        }
        let chunk = self.rest.drain(..size).collect();
        self.rest.drain(..2);
        Some(chunk)
    }

    /// Bytes as they come, no longer HTTP.
    pub fn raw(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count && fill(&mut self.stream, &mut self.rest) {}
        let count = count.min(self.rest.len());
        self.rest.drain(..count).collect()
    }

    /// Whether the service closed the connection.
    pub fn closed(&mut self) -> bool {
        self.rest.is_empty() && !fill(&mut self.stream, &mut self.rest)
    }

    /// Whether not a byte of an answer is there.
    pub fn nothing_came(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n"))
            .answer()
            .expect("an answer")
    }
}

/// A whole exchange on a connection of its own.
pub fn ask(proxy: &Proxy, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    proxy.client().send(bytes).answer()
}
