//! The settings as every verb gets them: the environment, and `--env-file` for what it lacks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use tracing::info;

use super::terminal;
use crate::config::{self, Config, Endpoint, Password, Report, StoreServerConfig};

const VARIABLE: &str = "--env-file";

/// A `.env` file longer than this is something else.
const MAX_BYTES: u64 = 256 * 1024;

/// Reads and checks the settings. A file that can't be read is one more finding.
pub fn read(env_file: Option<&Path>) -> (Option<Config>, Report) {
    read_by(env_file, config::load)
}

/// The settings of a bucket that runs by itself, or the exit status after printing why there are none.
///
/// # Errors
/// Any finding that is an error.
pub fn require_store_server(env_file: Option<&Path>) -> Result<StoreServerConfig, ExitCode> {
    let (config, report) = read_by(env_file, config::load_store_server);
    terminal::complain(&report);
    config.ok_or(ExitCode::FAILURE)
}

fn read_by<C>(
    env_file: Option<&Path>,
    load: impl FnOnce(std::collections::btree_map::IntoIter<OsString, OsString>) -> (Option<C>, Report),
) -> (Option<C>, Report) {
    let mut file_report = Report::default();
    let mut vars: BTreeMap<OsString, OsString> = BTreeMap::new();
    if let Some(path) = env_file {
        vars.extend(read_file(path, &mut file_report));
    }
    vars.extend(std::env::vars_os());
    let (config, mut report) = load(vars.into_iter());
    if let (Some(path), Some(_)) = (env_file, &config) {
        warn_of_open_file(path, &mut report);
    }
    let is_readable = !file_report.has_errors();
    report.findings.append(&mut file_report.findings);
    report.sort();
    (config.filter(|_| is_readable), report)
}

/// The settings, or the exit status after printing why there are none. Warnings are printed too.
///
/// # Errors
/// Any finding that is an error.
pub fn require(env_file: Option<&Path>) -> Result<Config, ExitCode> {
    let (config, report) = read(env_file);
    terminal::complain(&report);
    config.ok_or(ExitCode::FAILURE)
}

/// Logs which settings are in effect; secrets are named by their kind alone.
pub fn log_in_effect(config: &Config) {
    let keys: Vec<&str> = config.keys.iter().map(|key| key.name.as_str()).collect();
    let endpoint = match &config.store.endpoint {
        Endpoint::Remote(url) => url.to_string(),
        Endpoint::Embedded(path) => format!("embedded:{}", path.display()),
    };
    let password = match config.owner.password {
        Password::Plain(_) => "plain",
        Password::Phc(_) => "hash",
    };
    info!(
        version = env!("CARGO_PKG_VERSION"),
        bind = %config.http.bind,
        public_url = %config.http.public_url,
        endpoint,
        bucket = config.store.bucket,
        prefix = config.store.prefix,
        vault_keys = keys.join(","),
        password,
        "starting"
    );
    info!(http = ?config.http, vault = ?config.vault, log = ?config.log, session = ?config.session, "settings in effect");
}

fn read_file(path: &Path, report: &mut Report) -> Vec<(OsString, OsString)> {
    let text = std::fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        std::fs::read_to_string(path).map(zeroize::Zeroizing::new)
    });
    let variables = match text {
        Ok(text) => config::parse_env_file(&text).map_err(|error| error.to_string()),
        Err(error) => Err(format!("can't be read ({})", error.kind())),
    };
    match variables {
        Ok(variables) => variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        Err(reason) => {
            report.error(VARIABLE, reason, "write one NAME=value a line, comments on lines of their own");
            Vec::new()
        }
    }
}

fn warn_of_open_file(path: &Path, report: &mut Report) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        report.warning(VARIABLE, "holds secrets and can be read by other users", "chmod 600 the file");
    }
}
