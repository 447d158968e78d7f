//! A pipeline with doubles for everything outside.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use heimdall_pipeline::{
    Apis, Bearer, Config, Deps, Engine, Files, Hints, Http, HttpFault, HttpRequest, HttpResponse,
    Liveness, LoadErrors, Mode, RawHead, Relaxed, Snapshot, Source, Standing, Timer, Verdict,
};
use heimdall_types::{ManualClock, SeededRng, Timestamp};

/// Answers from a table; knows what it was asked. An unknown URL is unreachable.
#[derive(Default)]
pub struct TableHttp {
    pub answers: Mutex<HashMap<String, HttpResponse>>,
    pub asked: Mutex<Vec<HttpRequest>>,
}

impl TableHttp {
    pub fn answer(&self, url: &str, status: u16, body: &str) {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let response = HttpResponse {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        };
        self.answers
            .lock()
            .unwrap()
            .insert(url.to_owned(), response);
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Http for TableHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        self.asked.lock().unwrap().push(request.clone());
        let known = self.answers.lock().unwrap().get(&request.url).cloned();
        known.ok_or_else(|| HttpFault::Unreachable("nobody there".to_owned()))
    }
}

/// Moves the clock instead of waiting.
pub struct JumpingTimer(pub Arc<ManualClock>);

#[async_trait]
impl Timer for JumpingTimer {
    async fn sleep(&self, pause: Duration) {
        self.0.advance(pause);
    }
}

/// Files by name.
#[derive(Default)]
pub struct TableFiles(pub HashMap<String, Vec<u8>>);

impl Files for TableFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| format!("`{path}` is not there"))
    }
}

/// Says of everybody what it was told.
pub struct FixedLiveness(pub Mutex<Standing>);

impl Liveness for FixedLiveness {
    fn standing(&self, _: &Bearer<'_>) -> Standing {
        self.0.lock().unwrap().clone()
    }

    fn hints_for_permission(&self, _: &str, _: &str) -> Hints {
        Hints {
            requestable_roles: vec!["billing-admin".into()],
            portal_host: Some("https://portal.example".into()),
        }
    }

    fn hints_for_role(&self, _: &str, role: &str) -> Hints {
        Hints {
            requestable_roles: vec![role.to_owned()],
            portal_host: Some("https://portal.example".into()),
        }
    }
}

pub struct OneApi(pub Arc<FixedLiveness>);

impl Apis for OneApi {
    fn default_api(&self) -> Option<String> {
        Some("http://api.example".to_owned())
    }

    fn liveness(&self, _: &str, _: Option<&str>) -> Arc<dyn Liveness> {
        self.0.clone()
    }
}

/// A pipeline and its doubles.
pub struct Bench {
    pub http: Arc<TableHttp>,
    pub clock: Arc<ManualClock>,
    pub liveness: Arc<FixedLiveness>,
    pub files: HashMap<String, Vec<u8>>,
    pub mode: Mode,
    pub relaxed: Relaxed,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            http: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000))),
            liveness: Arc::new(FixedLiveness(Mutex::new(Standing::Current))),
            files: HashMap::new(),
            mode: Mode::Proxy,
            relaxed: Relaxed::ALL,
        }
    }
}

impl Bench {
    pub fn engine(&self, config: &str) -> Result<Engine, LoadErrors> {
        let source = Source {
            name: "config.yaml".into(),
            text: config.into(),
        };
        let config = Config::parse(&source, &|_| None, &[], "X_")?;
        let deps = Deps {
            http: self.http.clone(),
            timer: Arc::new(JumpingTimer(self.clock.clone())),
            clock: self.clock.clone(),
            rng: Arc::new(SeededRng::new(7)),
            files: Arc::new(TableFiles(self.files.clone())),
            apis: Some(Arc::new(OneApi(self.liveness.clone()))),
        };
        Engine::new(&config, self.mode, self.relaxed, deps)
    }

    pub fn snapshot(&self, config: &str, rules: &str) -> Live {
        let engine = self
            .engine(config)
            .unwrap_or_else(|errors| panic!("{errors}"));
        let set = engine
            .compile(&set("rules.yaml", rules))
            .unwrap_or_else(|errors| panic!("{errors}"));
        let snapshot = engine
            .snapshot(&[set])
            .unwrap_or_else(|errors| panic!("{errors}"));
        Live { engine, snapshot }
    }
}

/// A rule set of these rules.
pub fn set(name: &str, rules: &str) -> Source {
    Source {
        name: name.into(),
        text: format!("version: \"1alpha4\"\nrules:\n{rules}"),
    }
}

/// Something that judges.
pub struct Live {
    pub engine: Engine,
    pub snapshot: Snapshot,
}

impl Live {
    pub fn judge(&self, target: &str, headers: &[(&str, &str)]) -> Verdict {
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let raw = RawHead {
            method: "GET",
            target,
            authority: Some("app.example"),
            tls: false,
            peer: IpAddr::from([192, 0, 2, 1]),
            headers: &headers,
        };
        let request = match self.engine.gate().admit(raw) {
            Ok(request) => request,
            Err(refusal) => return Verdict::Respond(Box::new(self.engine.refuse(&refusal))),
        };
        block_on(self.snapshot.find(&request).judge(&request, None))
    }

    pub fn status(&self, target: &str, headers: &[(&str, &str)]) -> u16 {
        match self.judge(target, headers) {
            Verdict::Forward(_) => 200,
            Verdict::Accept(accept) => accept.status,
            Verdict::Respond(respond) => respond.status,
        }
    }
}

/// The values that a verdict sets for a header.
pub fn header(verdict: &Verdict, name: &str) -> Vec<String> {
    let headers = match verdict {
        Verdict::Forward(forward) => &forward.headers,
        Verdict::Accept(accept) => &accept.headers,
        Verdict::Respond(respond) => &respond.headers,
    };
    headers
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.to_string())
        .collect()
}

/// Doubles are always ready, so polling is enough.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("a double never became ready");
}
