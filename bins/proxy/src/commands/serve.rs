use std::process::ExitCode;

use clap::Subcommand;
use heimdall_pipeline::{Log, Mode};
use heimdall_server::signals::{Asked, Signals};

use super::{Common, Failure, runtime};
use crate::environment::read_config;
use crate::{Deps, Settings, start};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Serve {
    /// As a reverse proxy.
    Proxy,
    /// As a decision service for another proxy.
    Decision {
        /// Speak Envoy's external authorization (gRPC) instead of HTTP.
        #[arg(long)]
        envoy_grpc: bool,
    },
}

pub(super) fn run(common: &Common, serve: &Serve) -> Result<ExitCode, Failure> {
    let mode = match serve {
        Serve::Proxy => Mode::Proxy,
        Serve::Decision { envoy_grpc: false } => Mode::Decision,
        Serve::Decision { envoy_grpc: true } => Mode::Envoy,
    };
    let place = common.place();
    log(&read_config(&place, &common.env_config_prefix)?.log)?;
    let settings = Settings {
        config: place,
        env_prefix: common.env_config_prefix.clone(),
        mode,
        relaxed: common.relaxed(),
        service: None,
        management: None,
        workers: 0,
    };
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let running = start(settings, Deps::system()?).await?;
        tracing::info!(service = %running.service_addr(), management = %running.management_addr(), "ready");
        while signals.next().await == Asked::Reload {
            // A reload that fails is logged where it fails, and the old state stays.
            drop(running.reload().await);
        }
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn log(log: &Log) -> Result<(), Failure> {
    let level = match log.level.as_str() {
        "" => "error",
        "fatal" | "panic" => "error",
        "disabled" => "off",
        level => level,
    };
    let access = if log.access_log { "info" } else { "off" };
    let settings = heimdall_server::telemetry::LogSettings {
        format: match log.format.as_str() {
            "gelf" | "json" => heimdall_server::telemetry::LogFormat::Json,
            _ => heimdall_server::telemetry::LogFormat::Text,
        },
        level: format!("{level},access={access}"),
    };
    heimdall_server::telemetry::init(&settings).map_err(Failure)
}
