//! Developer commands: `cargo xtask run | test | naive | openapi | fmt`.
//!
//! One verb a file; what they share (the repository's folder, running a program, Redis) is beside them. Nothing here is
//! part of the product: `run` only puts Coffer, its embedded bucket and a private Redis together on one machine.

mod counts;
mod garage;
mod naive;
mod openapi;
mod program;
mod rclone;
mod redis;
mod run;
mod test;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Coffer's developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build and run a vault on this machine: embedded bucket, private Redis, data under data/
    Run(run::Run),
    /// Everything that CI checks
    Test(test::Test),
    /// Take one defence after another out of the code and see a test fail: an hour
    Naive(naive::Naive),
    /// Write openapi/coffer.json from the handlers
    Openapi(openapi::Openapi),
    /// Format the sources
    Fmt,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Run(run) => run.run(),
        Verb::Test(test) => test.run(),
        Verb::Naive(naive) => naive.run(),
        Verb::Openapi(openapi) => openapi.run(),
        Verb::Fmt => program::cargo(["fmt", "--all"]).run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
