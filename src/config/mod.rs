//! Configuration: alone reads the environment, and turns it into structs that are known to be good.
//!
//! A leaf: it imports none of our other modules, and any of them may import its own small struct from here. A check
//! reports everything at once and never a value; what it can't see from the settings alone (whether Redis and the bucket
//! answer) is the probe's work.

mod clock;
mod env_file;
mod network;
mod raw;
mod report;
mod rules;
mod secret;
mod settings;

use std::ffi::OsString;

pub use clock::Clock;
pub use env_file::{EnvFileError, parse_env_file};
pub use network::{Network, NotANetwork};
pub use report::{Finding, Report, Severity};
pub use rules::{EXAMPLE_ENV_FILE, check_password, is_loopback};
pub use secret::{RootSecret, Secret};
pub use settings::{
    Config, Endpoint, HttpConfig, LogConfig, OwnerConfig, Password, QuotaConfig, RedisConfig, SessionConfig,
    StoreConfig, StoreServerConfig, TelemetryConfig, VaultConfig,
};

/// Reads the settings out of `vars`, normally [`std::env::vars_os`], and checks them all.
///
/// The configuration is there only when no finding is an error. Values that are not Unicode are findings too. The files
/// that `X_FILE` variables name are read; nothing is written.
pub fn load(vars: impl Iterator<Item = (OsString, OsString)>) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let raw = raw::Raw::read(vars, &mut report);
    let config = rules::apply(&raw, &mut report);
    report.sort();
    (config, report)
}

/// Reads and checks, in the same way, only what a bucket that runs as a process of its own needs.
pub fn load_store_server(vars: impl Iterator<Item = (OsString, OsString)>) -> (Option<StoreServerConfig>, Report) {
    let mut report = Report::default();
    let raw = raw::Raw::read(vars, &mut report);
    let config = rules::apply_store_server(&raw, &mut report);
    report.sort();
    (config, report)
}

#[cfg(test)]
mod tests;
