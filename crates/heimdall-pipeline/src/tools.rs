//! What mechanisms are built from and run with.

use std::sync::Arc;

use heimdall_finalizer::settings::{Fields, Issues};
use heimdall_finalizer::{Deadlined, KeyStores, Text, TokenClient, Workshop};
use heimdall_template::{CallError, Engine as Templates, Environment};
use heimdall_types::{Clock, Rng};

use crate::endpoint::Caller;
use crate::tally::StepTallies;
use crate::tokens::TokenShelf;
use crate::{Deps, Mode, Relaxed};

/// What mechanisms are built from and run with.
pub(crate) struct Tools {
    pub(crate) workshop: Workshop,
    pub(crate) deps: Deps,
    pub(crate) mode: Mode,
    pub(crate) relaxed: Relaxed,
    /// Calls endpoints.
    pub(crate) caller: Arc<Caller>,
    /// Answers of endpoints that mechanisms keep.
    pub(crate) answers: Deadlined<Arc<serde_json::Value>>,
    /// Verified tokens.
    pub(crate) tokens: Arc<TokenShelf>,
    /// What steps did.
    pub(crate) tallies: StepTallies,
    /// Whether nothing is to be kept.
    pub(crate) no_cache: bool,
}

const ANSWERS: u64 = 10_000;
const SIGNED_TOKENS: u64 = 20_000;

impl Tools {
    pub(crate) fn new(deps: Deps, mode: Mode, relaxed: Relaxed, no_cache: bool) -> Self {
        let environment = Outside {
            clock: deps.clock.clone(),
            rng: deps.rng.clone(),
        };
        let workshop = Workshop {
            templates: Templates::builder().environment(environment).build(),
            keys: KeyStores::new(deps.clock.clone()),
            tokens: Arc::new(Deadlined::new(
                if no_cache { 0 } else { SIGNED_TOKENS },
                deps.clock.clone(),
            )),
            token_client: Arc::new(TokenClient::new(deps.http.clone(), deps.clock.clone())),
            files: deps.files.clone(),
            http: deps.http.clone(),
            clock: deps.clock.clone(),
            rng: deps.rng.clone(),
            tls_required: !relaxed.egress_tls,
        };
        Self {
            caller: Arc::new(Caller::new(&deps, workshop.token_client.clone())),
            answers: Deadlined::new(if no_cache { 0 } else { ANSWERS }, deps.clock.clone()),
            tokens: Arc::new(TokenShelf::new(deps.clock.clone())),
            tallies: StepTallies::default(),
            workshop,
            deps,
            mode,
            relaxed,
            no_cache,
        }
    }

    pub(crate) fn text(&self, fields: &mut Fields<'_>, key: &'static str) -> Option<Text> {
        heimdall_finalizer::read_template(fields, key, &self.workshop)
    }

    pub(crate) fn parse(
        &self,
        source: &str,
        line: usize,
        key: &str,
        issues: &Issues,
    ) -> Option<Text> {
        Text::parse(&self.workshop.templates, source, line, key, issues)
    }
}

/// Clock and randomness of template functions. Names are not resolved.
struct Outside {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Environment for Outside {
    fn now(&self) -> std::time::SystemTime {
        let millis = u64::try_from(self.clock.now().millis()).unwrap_or(0);
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(millis)
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), CallError> {
        self.rng.fill(bytes);
        Ok(())
    }
}
