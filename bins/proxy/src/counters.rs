//! What is counted of requests: by rule and status, with the time they took.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Upper ends of the buckets, in microseconds.
const BUCKETS: [u64; 10] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000,
];

/// Counters of one rule and status.
#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
}

impl Tally {
    /// Counts one request that took `took`.
    fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        if let Some((bucket, _)) = self
            .buckets
            .iter()
            .zip(BUCKETS)
            .find(|(_, end)| micros <= *end)
        {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counters by rule and status; one for each worker, so that counting never makes two threads wait for a cache line.
type AllTallies = HashMap<(Arc<str>, u16), Vec<Arc<Tally>>>;

/// The counters that one worker has to do with.
#[derive(Debug)]
pub(crate) struct Tallies {
    counters: Arc<Counters>,
    known: HashMap<(Arc<str>, u16), Arc<Tally>>,
    /// Most requests are like the one before.
    last: Option<(Arc<str>, u16, Arc<Tally>)>,
}

impl Tallies {
    /// Shows up in what `counters` renders.
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            counters,
            known: HashMap::new(),
            last: None,
        }
    }

    /// Counts one request of a rule that took `took`.
    pub(crate) fn add(&mut self, rule: &Arc<str>, status: u16, took: Duration) {
        if let Some((known, code, tally)) = &self.last
            && *code == status
            && Arc::ptr_eq(known, rule)
        {
            return tally.add(took);
        }
        let tally = self
            .known
            .entry((rule.clone(), status))
            .or_insert_with(|| self.counters.tally(rule, status));
        tally.add(took);
        self.last = Some((rule.clone(), status, tally.clone()));
    }
}

/// Verdicts of shadow rules: rule, status, whether the rule that decided said the opposite.
type ShadowVerdicts = BTreeMap<(Arc<str>, u16, bool), u64>;

/// All counters of the service.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    tallies: RwLock<AllTallies>,
    shadows: Mutex<ShadowVerdicts>,
    /// Heads that the guard refused.
    pub(crate) refused_heads: AtomicU64,
    /// Heads over the size limit.
    pub(crate) large_heads: AtomicU64,
    /// Connections at this moment.
    pub(crate) connections: AtomicU64,
    /// Connections turned away because too many are open.
    pub(crate) shed: AtomicU64,
    /// Rule sets that replaced others.
    pub(crate) reloads: AtomicU64,
    /// Reloads that failed; the last good rules stayed.
    pub(crate) failed_reloads: AtomicU64,
    /// Key stores that could not be read again; the old keys stayed.
    pub(crate) failed_key_reloads: AtomicU64,
}

impl Counters {
    /// Fresh counters of a rule and status, for one worker.
    fn tally(&self, rule: &Arc<str>, status: u16) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        let mut all = self.tallies.write().unwrap_or_else(PoisonError::into_inner);
        all.entry((rule.clone(), status))
            .or_default()
            .push(tally.clone());
        tally
    }

    /// Counts one request, for callers that have no [`Tallies`] of their own.
    pub(crate) fn add(&self, rule: Arc<str>, status: u16, took: Duration) {
        let key = (rule, status);
        let known = {
            let all = self.tallies.read().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).and_then(|tallies| tallies.first()).cloned()
        };
        known
            .unwrap_or_else(|| self.tally(&key.0, status))
            .add(took);
    }

    /// Counts a verdict of a shadow rule.
    pub(crate) fn shadow(&self, rule: &Arc<str>, status: u16, differs: bool) {
        let mut all = self.shadows.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry((rule.clone(), status, differs)).or_default() += 1;
    }

    /// The text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        let all = self.tallies.read().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(
            out,
            "# HELP heimdall_proxy_request_duration_seconds Time to the head of the answer, by rule and status."
        );
        let _ = writeln!(
            out,
            "# TYPE heimdall_proxy_request_duration_seconds histogram"
        );
        for ((rule, status), tallies) in all.iter() {
            let sum_of = |of: &dyn Fn(&Tally) -> &AtomicU64| {
                let values = tallies
                    .iter()
                    .map(|tally| of(tally).load(Ordering::Relaxed));
                values.sum::<u64>()
            };
            let rule = escaped(rule);
            let labels = format!("rule=\"{rule}\",status=\"{status}\"");
            let mut sum = 0;
            for (at, end) in BUCKETS.into_iter().enumerate() {
                sum += tallies
                    .iter()
                    .filter_map(|tally| tally.buckets.get(at))
                    .map(|bucket| bucket.load(Ordering::Relaxed))
                    .sum::<u64>();
                let _ = writeln!(
                    out,
                    "heimdall_proxy_request_duration_seconds_bucket{{{labels},le=\"{}\"}} {sum}",
                    seconds(end)
                );
            }
            let requests = sum_of(&|tally| &tally.requests);
            let _ = writeln!(
                out,
                "heimdall_proxy_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {requests}"
            );
            let _ = writeln!(
                out,
                "heimdall_proxy_request_duration_seconds_sum{{{labels}}} {}",
                seconds(sum_of(&|tally| &tally.micros))
            );
            let _ = writeln!(
                out,
                "heimdall_proxy_request_duration_seconds_count{{{labels}}} {requests}"
            );
        }
        self.render_shadows(&mut out);
        for (name, kind, help, value) in [
            (
                "refused_heads_total",
                "counter",
                "Heads that the guard refused.",
                &self.refused_heads,
            ),
            (
                "large_heads_total",
                "counter",
                "Heads over the size limit.",
                &self.large_heads,
            ),
            (
                "connections",
                "gauge",
                "Open client connections.",
                &self.connections,
            ),
            (
                "shed_connections_total",
                "counter",
                "Connections turned away.",
                &self.shed,
            ),
            (
                "rule_reloads_total",
                "counter",
                "Rule reloads that took effect.",
                &self.reloads,
            ),
            (
                "failed_rule_reloads_total",
                "counter",
                "Rule reloads that failed.",
                &self.failed_reloads,
            ),
            (
                "failed_key_reloads_total",
                "counter",
                "Key stores that could not be read again.",
                &self.failed_key_reloads,
            ),
        ] {
            let _ = writeln!(
                out,
                "# HELP heimdall_proxy_{name} {help}\n# TYPE heimdall_proxy_{name} {kind}"
            );
            let _ = writeln!(
                out,
                "heimdall_proxy_{name} {}",
                value.load(Ordering::Relaxed)
            );
        }
        out
    }

    fn render_shadows(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "# HELP heimdall_proxy_shadow_verdicts_total Verdicts of shadow rules; `differs` says whether the deciding rule said the opposite."
        );
        let _ = writeln!(out, "# TYPE heimdall_proxy_shadow_verdicts_total counter");
        let all = self.shadows.lock().unwrap_or_else(PoisonError::into_inner);
        for ((rule, status, differs), count) in all.iter() {
            let rule = escaped(rule);
            let _ = writeln!(
                out,
                "heimdall_proxy_shadow_verdicts_total{{rule=\"{rule}\",status=\"{status}\",differs=\"{differs}\"}} {count}"
            );
        }
    }
}

/// A label's value.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn seconds(micros: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric needs no more than 52 bits"
    )]
    let micros = micros as f64;
    micros / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_labels_are_escaped() {
        let counters = Arc::new(Counters::default());
        let mut workers = [
            Tallies::new(counters.clone()),
            Tallies::new(counters.clone()),
        ];
        let rule: Arc<str> = "a\"b".into();
        for worker in &mut workers {
            worker.add(&rule, 200, Duration::from_micros(200));
            worker.add(&rule, 200, Duration::from_secs(5));
            worker.add(&rule, 404, Duration::from_secs(5));
        }
        let text = counters.render();
        assert!(
            text.contains("_bucket{rule=\"a\\\"b\",status=\"200\",le=\"0.00025\"} 2"),
            "{text}"
        );
        assert!(text.contains("le=\"+Inf\"} 4"));
    }
}
