//! A verdict engine: requests meet rules, rules authenticate, authorise, enrich and finalize.
//!
//! No sockets, no files, no runtime: the host hands in texts and the ports of [`Deps`].

mod config;
mod engine;
mod gate;
mod load;
mod matching;
mod ports;
mod rules;
mod verdict;

pub use config::{Config, Cors, EnvLookup, FileSystem, HttpEndpoint, Listener, Log, Providers, Serve, Tls};
pub use engine::{Engine, Explanation, Fetched, Jwks, Mode, Relaxed, Route, RuleSet, Snapshot, StepReport};
pub use gate::{Gate, RawHead, Refusal};
pub use heimdall_finalizer::{HeaderView, Http, HttpFault, HttpRequest, HttpResponse, Request, Timer};
pub use load::{LoadError, LoadErrors, Source};
pub use ports::{Apis, Bearer, Deps, Files, Hints, Liveness, Standing};
pub use verdict::{Accept, Forward, Respond, RuleName, Verdict};
