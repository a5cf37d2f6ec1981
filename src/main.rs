//! The `coffer` program; see [`coffer::cmd`].

use std::process::ExitCode;

fn main() -> ExitCode {
    coffer::cmd::run()
}
