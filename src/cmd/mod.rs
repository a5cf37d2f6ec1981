//! The program's verbs, one a file.
//!
//! Each verb reads the settings it needs through [`settings`], prints for a person (or a program, where it says `--json`)
//! and ends with an exit status: 0 done, 1 refused or failed, 2 called wrongly.

mod bucket;
mod check;
mod hash_password;
mod init;
mod mfa;
mod openapi;
mod probe;
mod readiness;
mod serve;
pub mod settings;
mod store;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A single owner's vault: sealed files in any S3 bucket.
#[derive(Parser)]
#[command(name = "coffer", version, about, after_help = "Settings come from the environment; .env.example lists them.")]
struct Cli {
    /// Read settings from this file too; the environment goes first. Values are literal, no $ is expanded
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the vault
    Serve(serve::Serve),
    /// Check the settings and report all that is wrong with them
    Check(check::Check),
    /// Check or set what pages of the app may do with the bucket
    Bucket(bucket::Bucket),
    /// Second factors, from the console
    Mfa(mfa::Mfa),
    /// Write a complete .env with fresh secrets
    Init(init::Init),
    /// Turn a password into the hash for USER_PASSWORD_HASH
    HashPassword(hash_password::HashPassword),
    /// Print the description of the API
    Openapi(openapi::Openapi),
    /// Serve a folder as an S3 bucket, as a process of its own
    Store(store::Store),
}

/// Runs the verb on the command line and returns the program's exit status.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let env_file = cli.env_file.as_deref();
    match cli.verb {
        Verb::Serve(serve) => serve.run(env_file),
        Verb::Openapi(openapi) => openapi.run(),
        Verb::Check(check) => check.run(env_file),
        Verb::Bucket(bucket) => bucket.run(env_file),
        Verb::Mfa(mfa) => mfa.run(env_file),
        Verb::Init(init) => init.run(),
        Verb::HashPassword(hash_password) => hash_password.run(),
        Verb::Store(store) => store.run(env_file),
    }
}
