//! `config schema|check|example`: what the configuration may hold.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{Common, Failure, say, validate};

/// What an editor is told; tests hold it against the loader. The loader decides: templates and expressions are texts
/// here.
const CONFIGURATION: &str = include_str!("../../../../docs/config/proxy.schema.json");
const RULE_SET: &str = include_str!("../../../../docs/config/proxy-rules.schema.json");
/// A configuration with every key, commented.
const EXAMPLE: &str = include_str!("../../../../docs/config/proxy.example.yaml");

#[derive(Debug, Clone, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration; the same as `validate config`.
    Check(Check),
    /// Print a JSON Schema, for editors.
    Schema {
        /// Of what.
        #[arg(value_enum, default_value_t)]
        of: Format,
    },
    /// Print a configuration with every key, commented.
    Example,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Check {
    /// The file; else that of `--config`.
    file: Option<std::path::PathBuf>,
}

/// The two formats.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Format {
    /// The configuration file.
    #[default]
    Configuration,
    /// A rule set.
    Rules,
}

pub(super) fn run(common: &Common, command: &ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check(check) => {
            let mut common = common.clone();
            common.config = check.file.clone().or(common.config);
            return validate::run(&common, &validate::Validate::Config);
        }
        ConfigCommand::Schema { of } => {
            let schema = match of {
                Format::Configuration => CONFIGURATION,
                Format::Rules => RULE_SET,
            };
            say(schema.trim_end());
        }
        ConfigCommand::Example => say(EXAMPLE.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
