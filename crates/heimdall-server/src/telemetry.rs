//! Logs (one line an event, text or JSON) and counters.

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,access=warn`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// Sends log lines to standard error and starts counting. A second call changes nothing.
///
/// # Errors
/// A `level` that cannot be read.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let (filter, handle) =
        reload::Layer::new(filter(&settings.level).map_err(|error| format!("log.level {error}"))?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
        LogFormat::Text => lines.compact().with_filter(filter).boxed(),
    };
    // `try_init` fails when the embedding program logs already; its choice stands.
    if tracing_subscriber::registry()
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _ = FILTER.set(handle);
        let _ = WRITTEN.set(settings.format);
    }
    count();
    Ok(())
}

static WRITTEN: OnceLock<LogFormat> = OnceLock::new();

/// How [`init`] writes log lines to standard error; `None` where the embedding program logs in its own way. For a
/// service that writes very many lines and has its own thread for that.
pub fn written() -> Option<LogFormat> {
    WRITTEN.get().copied()
}

/// Whether these settings can be used.
///
/// # Errors
/// A `level` that cannot be read.
pub fn check(settings: &LogSettings) -> Result<(), String> {
    filter(&settings.level).map(drop)
}

/// Logs at this level from now on, unless the embedding program decides that.
///
/// # Errors
/// A `level` that cannot be read; then everything stays as it was.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = filter(level).map_err(|error| format!("log.level {error}"))?;
    FILTER
        .get()
        .map_or(Ok(()), |handle| handle.reload(filter))
        .map_err(|error| error.to_string())
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(level).map_err(|error| {
        format!(
            "must be a level (`error`, `warn`, `info`, `debug`, `trace`) or directives: {error}"
        )
    })
}

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Starts counting for `/metrics`, once a process.
pub fn count() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        builder.install_recorder().ok()
    });
}

pub(crate) fn render_metrics() -> String {
    METRICS
        .get()
        .and_then(Option::as_ref)
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

pub(crate) fn count_request(
    service: &'static str,
    method: &Method,
    status: StatusCode,
    took: Duration,
) {
    if METRICS.get().is_none() {
        return;
    }
    let class = match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    // The method is the caller's text: only the known ones become label values.
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    };
    metrics::counter!("heimdall_requests_total", "service" => service, "method" => method, "status" => class).increment(1);
    metrics::histogram!("heimdall_request_duration_seconds", "service" => service)
        .record(took.as_secs_f64());
}
