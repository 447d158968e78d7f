//! The program `heimdall-proxy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    heimdall_proxy::commands::main()
}
