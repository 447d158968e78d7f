use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use heimdall_pipeline::{Config, Mode};

use super::{Common, Failure, runtime, say};
use crate::environment::{read_config, read_source, variable};
use crate::rules::list;
use crate::run::compile_for_rules;
use crate::{Deps, compile};

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Validate {
    /// The configuration.
    Config,
    /// Rule sets, with the mechanisms of the configuration.
    Rules {
        /// As the proxy would take them, not the decision service.
        #[arg(long)]
        proxy_mode: bool,
        /// Files or folders.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(common: &Common, what: &Validate) -> Result<ExitCode, Failure> {
    let config = read_config(&common.place(), &common.env_config_prefix)?;
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let deps = Deps::system()?;
    match what {
        Validate::Config => {
            compile(&config, Mode::Decision, common.relaxed(), &deps)?;
            listeners(&config)?;
            say("Configuration is valid");
        }
        Validate::Rules { proxy_mode, files } => {
            let mode = if *proxy_mode {
                Mode::Proxy
            } else {
                Mode::Decision
            };
            let engine = compile_for_rules(&config, mode, common.relaxed(), &deps)?;
            let expand = config
                .providers
                .file_system
                .as_ref()
                .is_some_and(|provider| provider.env_vars_enabled);
            let mut sets = Vec::new();
            for path in files
                .iter()
                .map(|path| list(path))
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
            {
                let source = read_source(&path)?;
                sets.push(engine.compile(&if expand {
                    source.expanded(&variable)
                } else {
                    source
                })?);
            }
            engine.snapshot(&sets)?;
            for warning in sets.iter().flat_map(|set| &set.warnings) {
                say(format_args!("warning: {warning}"));
            }
            say("Rule sets are valid");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What only shows when the service starts: rule sources and certificates.
fn listeners(config: &Config) -> Result<(), Failure> {
    if let Some(provider) = &config.providers.file_system {
        list(Path::new(&provider.src))?;
    }
    let tls = [&config.serve.listener.tls, &config.management.tls]
        .into_iter()
        .flatten();
    for tls in tls {
        crate::run::certificate(tls)?;
    }
    Ok(())
}
