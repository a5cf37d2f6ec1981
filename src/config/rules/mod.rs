//! What makes a setting good: one file for each part, every finding reported, values never.
//!
//! Each rule adds to the report and goes on; where a value is bad something harmless stands in for it, or nothing, and
//! the whole is given out only when the report has no error.

mod bucket;
mod folder;
mod http;
mod keys;
mod limits;
mod numbers;
mod owner;
mod published;
mod redis;
mod secrets;
mod strength;

use super::raw::Raw;
use super::report::Report;
use super::settings::{Config, StoreServerConfig};

pub use owner::check_password;
pub use published::EXAMPLE_ENV_FILE;

/// Checks everything; `Some` when no finding is an error.
pub(super) fn apply(raw: &Raw, report: &mut Report) -> Option<Config> {
    let owner = owner::owner(raw, report);
    let http = http::http(raw, report);
    let public_url = http.as_ref().map(|http| &http.public_url);
    let session = owner::session(raw, public_url, report);
    let keys = keys::keys(raw, report);
    let store = bucket::store(raw, public_url, report);
    let redis = redis::redis(raw, report);
    let log = limits::log(raw, report);
    let vault = limits::vault(raw, report);
    let telemetry = http::telemetry(raw, report);
    secrets::distinct(raw, report);
    if report.has_errors() {
        return None;
    }
    Some(Config {
        owner: owner?,
        session: session?,
        keys: keys?,
        store: store?,
        redis: redis?,
        log,
        vault,
        http: http?,
        telemetry,
    })
}

/// Checks what a bucket that runs by itself needs; `Some` when no finding is an error.
pub(super) fn apply_store_server(raw: &Raw, report: &mut Report) -> Option<StoreServerConfig> {
    let keys = bucket::key_pair(raw, report);
    let telemetry = http::telemetry(raw, report);
    let (access_key_id, secret_access_key) = keys.filter(|_| !report.has_errors())?;
    Some(StoreServerConfig { access_key_id, secret_access_key, telemetry })
}

/// A text that must be there; its absence is a finding.
fn required<'a>(variable: &str, text: Option<&'a str>, hint: &str, report: &mut Report) -> Option<&'a str> {
    if text.is_none() {
        report.error(variable, "is missing", hint);
    }
    text
}

/// A yes or no; anything else is a finding.
fn switch(variable: &str, text: Option<&str>, default: bool, report: &mut Report) -> bool {
    match text {
        None => default,
        Some("true") => true,
        Some("false") => false,
        Some(_) => {
            report.error(variable, "is neither true nor false", "write true or false");
            default
        }
    }
}

/// Whether a URL's host is this machine whatever the network says.
pub fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // Of schemes it does not know, such as redis, the parser leaves an IPv4 address a name.
            let is_address = name.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback());
            is_address || name == "localhost" || name.ends_with(".localhost")
        }
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
