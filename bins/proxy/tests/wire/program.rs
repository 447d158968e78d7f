use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::support::Client;

/// The program itself, in a process of its own: for limits and signals of processes.
pub struct Program {
    pub address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

impl Program {
    /// `{UPSTREAM}` in `rules` is the upstream's address; `shell` runs before the program, in the same process.
    pub fn start(
        upstream: SocketAddr,
        rules: &str,
        shell: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let (service, management) = (free(), free());
        let folder = std::env::temp_dir().join(format!("heimdall-wire-{}", service.port()));
        std::fs::create_dir_all(&folder).unwrap();
        let (config, file) = (folder.join("heimdall.yaml"), folder.join("rules.yaml"));
        std::fs::write(&file, rules.replace("{UPSTREAM}", &upstream.to_string())).unwrap();
        let text = format!(
            "serve: {{host: 127.0.0.1, port: {}}}\nmanagement: {{host: 127.0.0.1, port: {}}}\nmechanisms:\n  authenticators:\n    - {{id: anyone, type: anonymous}}\nproviders:\n  file_system: {{src: '{}'}}\n",
            service.port(),
            management.port(),
            file.display()
        );
        std::fs::write(&config, text).unwrap();
        let line = format!(
            "{shell} exec {} serve proxy --insecure -c {}",
            env!("CARGO_BIN_EXE_heimdall-proxy"),
            config.display()
        );
        let child = Command::new("sh")
            .args(["-c", &line])
            .envs(environment.iter().copied())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let program = Self {
            address: service,
            child,
            folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(service).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it listens");
            std::thread::sleep(Duration::from_millis(10));
        }
        program
    }

    pub fn client(&self) -> Client {
        Client::to(self.address)
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Whether it ended by itself and well.
    pub fn ended_well(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Processor time so far.
    pub fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks = fields
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum::<u64>();
        Duration::from_millis(ticks * 10)
    }

    /// Memory in use, in MB.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap()
            / 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
