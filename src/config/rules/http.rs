//! The listener, and what it is called from outside; what is logged.

use std::net::{Ipv4Addr, SocketAddr};

use tracing_subscriber::EnvFilter;
use url::Url;

use super::{is_loopback, numbers, secrets, switch};
use crate::config::network::Network;
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::settings::{HttpConfig, TelemetryConfig};

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_PUBLIC_URL: &str = "http://localhost:8080";
const DEFAULT_LOG_LEVEL: &str = "info";

pub(super) fn http(raw: &Raw, report: &mut Report) -> Option<HttpConfig> {
    let bind = bind(raw, report);
    let public_url = public_url(raw, report);
    if public_url.as_ref().is_some_and(is_loopback) && bind.is_some_and(|bind| !bind.ip().is_loopback()) {
        let hint = "set PUBLIC_URL to the https address that others type, or BIND to 127.0.0.1";
        report.warning("PUBLIC_URL", "is this machine alone while BIND listens to others", hint);
    }
    let trusted_proxies = trusted_proxies(raw, report);
    let header_timeout_secs = numbers::HEADER_TIMEOUT_SECS.read(raw.header_timeout_secs.as_deref(), report);
    let request_timeout_secs = numbers::REQUEST_TIMEOUT_SECS.read(raw.request_timeout_secs.as_deref(), report);
    let drain_secs = numbers::DRAIN_SECS.read(raw.drain_secs.as_deref(), report);
    let max_connections = numbers::MAX_CONNECTIONS.read(raw.max_connections.as_deref(), report) as usize;
    let max_json_bytes = numbers::MAX_JSON_SIZE.read(raw.max_json_size.as_deref(), report) as usize;
    let api_docs = switch("API_DOCS", raw.api_docs.as_deref(), false, report);
    Some(HttpConfig {
        bind: bind?,
        public_url: public_url?,
        trusted_proxies,
        header_timeout_secs,
        request_timeout_secs,
        drain_secs,
        max_connections,
        max_json_bytes,
        api_docs,
    })
}

fn bind(raw: &Raw, report: &mut Report) -> Option<SocketAddr> {
    let Some(text) = raw.bind.as_deref() else {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
    };
    let bind = text.parse().ok();
    if bind.is_none() {
        report.error("BIND", "is not an address with a port", "use 127.0.0.1:8080, or 0.0.0.0:8080 for every network");
    }
    bind
}

fn public_url(raw: &Raw, report: &mut Report) -> Option<Url> {
    let hint = "use https://vault.example.org, or http://localhost:8080 on this machine alone";
    let text = raw.public_url.as_deref().unwrap_or(DEFAULT_PUBLIC_URL);
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        report.error("PUBLIC_URL", "is not an http or https URL", hint);
        return None;
    };
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !is_origin || !url.username().is_empty() || url.password().is_some() {
        report.error("PUBLIC_URL", "has more than scheme, host and port", hint);
        return None;
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        report.error("PUBLIC_URL", "is http for others: passwords would travel in clear", hint);
        return None;
    }
    Some(url)
}

fn trusted_proxies(raw: &Raw, report: &mut Report) -> Vec<Network> {
    let Some(text) = raw.trusted_proxies.as_deref() else { return Vec::new() };
    let parsed: Result<Vec<Network>, _> = secrets::entries(text).map(str::parse).collect();
    let Ok(networks) = parsed else {
        let hint = "write addresses or networks separated by commas, such as 127.0.0.1,10.0.0.0/8";
        report.error("TRUSTED_PROXIES", "has an entry that is not an address or a network", hint);
        return Vec::new();
    };
    if networks.iter().any(Network::is_everyone) {
        report.error("TRUSTED_PROXIES", "trusts everyone: any client could claim any address", "name the proxy alone");
    }
    networks
}

pub(super) fn telemetry(raw: &Raw, report: &mut Report) -> TelemetryConfig {
    let filter = raw.log_level.as_deref().unwrap_or(DEFAULT_LOG_LEVEL).to_owned();
    if EnvFilter::try_new(&filter).is_err() {
        let hint = "use error, warn, info, debug or trace, or directives such as info,coffer::log=debug";
        report.error("LOG_LEVEL", "is not a level or a list of directives", hint);
    }
    let json = match raw.log_format.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(_) => {
            report.error("LOG_FORMAT", "is neither text nor json", "write text or json");
            false
        }
    };
    TelemetryConfig { filter, json }
}
