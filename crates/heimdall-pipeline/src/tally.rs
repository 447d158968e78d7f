//! What is counted of steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How often a step of a rule passed, was skipped, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepCount {
    /// The rule that holds the step; `default` for one that is inherited.
    pub rule: Arc<str>,
    /// `authenticator`, `authorizer`, `contextualizer`, `finalizer`, `error_handler`.
    pub stage: &'static str,
    /// The step's own name, else that of its mechanism.
    pub step: Arc<str>,
    /// Times it did its work.
    pub passed: u64,
    /// Times its condition did not hold.
    pub skipped: u64,
    /// Times it failed or denied.
    pub failed: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StepOutcome {
    Passed,
    Skipped,
    Failed,
}

impl StepOutcome {
    pub(crate) fn of<T, E>(done: &Result<T, E>) -> Self {
        if done.is_ok() {
            Self::Passed
        } else {
            Self::Failed
        }
    }
}

#[derive(Debug, Default)]
struct Tally([AtomicU64; 3]);

type Name = (Arc<str>, &'static str, Arc<str>);

/// The counters of all steps that ran; a rule set that is loaded again goes on counting where it was.
#[derive(Debug, Default)]
pub(crate) struct StepTallies(Mutex<BTreeMap<Name, Arc<Tally>>>);

impl StepTallies {
    pub(crate) fn counts(&self) -> Vec<StepCount> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all.iter().map(|((rule, stage, step), tally)| {
            let [passed, skipped, failed] = tally
                .0
                .each_ref()
                .map(|count| count.load(Ordering::Relaxed));
            StepCount {
                rule: rule.clone(),
                stage,
                step: step.clone(),
                passed,
                skipped,
                failed,
            }
        });
        counts.collect()
    }
}

/// Where one step counts. Made at the first use: most of many rules are never used.
#[derive(Debug)]
pub(crate) struct StepCounter {
    rule: Arc<str>,
    stage: &'static str,
    tally: OnceLock<Arc<Tally>>,
}

impl StepCounter {
    pub(crate) fn new(rule: Arc<str>, stage: &'static str) -> Self {
        Self {
            rule,
            stage,
            tally: OnceLock::new(),
        }
    }

    pub(crate) fn add(&self, step: &Arc<str>, outcome: StepOutcome, all: &StepTallies) {
        let Tally([passed, skipped, failed]) = &**self.tally.get_or_init(|| {
            let mut all = all.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry((self.rule.clone(), self.stage, step.clone()))
                .or_default()
                .clone()
        });
        let count = match outcome {
            StepOutcome::Passed => passed,
            StepOutcome::Skipped => skipped,
            StepOutcome::Failed => failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
