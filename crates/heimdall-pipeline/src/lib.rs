//! A verdict engine: requests meet rules, rules authenticate, authorise, enrich and finalize.
//!
//! No sockets, no files, no runtime: the host hands in texts and the ports of [`Deps`].

mod answer;
mod authenticators;
mod authorizers;
mod backend;
mod catalogue;
mod config;
mod contextualizers;
mod denial;
mod endpoint;
mod engine;
mod error_handlers;
mod explanation;
mod expression;
mod gate;
mod load;
mod matching;
mod ports;
mod route;
mod rules;
mod scene;
mod snapshot;
mod steps;
mod tally;
mod tokens;
mod tools;
mod trust;
mod verdict;

pub use config::{
    Config, Cors, EnvLookup, FileSystem, HttpEndpoint, Listener, Log, Providers, Serve, Tls,
};
pub use engine::{Engine, FailureKind, Fetched, Jwks, Mode, Relaxed, RuleSet};
pub use explanation::{Explanation, StepReport};
pub use gate::{Gate, RawHead, Refusal};
pub use heimdall_finalizer::{
    Files, HeaderView, Http, HttpFault, HttpRequest, HttpResponse, Request, Timer,
};
pub use load::{LoadError, LoadErrors, Source};
pub use ports::{Apis, Bearer, Deps, Hints, Liveness, Standing};
pub use route::Route;
pub use snapshot::Snapshot;
pub use tally::StepCount;
pub use verdict::{Accept, Forward, Respond, RuleName, Verdict};
