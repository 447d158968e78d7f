//! `heimdall-api`: reads its settings, serves, drains.

use std::process::ExitCode;

fn main() -> ExitCode {
    heimdall_server::program::run::<heimdall_api::Service>()
}
