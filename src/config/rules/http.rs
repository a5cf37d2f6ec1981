//! The listener, and what it is called from outside; what is logged.

use std::net::{Ipv4Addr, SocketAddr};

use tracing_subscriber::EnvFilter;
use url::Url;

use super::strength::estimated_bits;
use super::{is_loopback, numbers, secrets, switch};
use crate::config::network::Network;
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::secret::Secret;
use crate::config::settings::{HttpConfig, TelemetryConfig};

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_PUBLIC_URL: &str = "http://localhost:8080";
const MIN_METRICS_TOKEN_BITS: f64 = 128.0;
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
    let cors_origins = cors_origins(raw, report);
    let (metrics_bind, metrics_token) = metrics(raw, report);
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
        cors_origins,
        metrics_bind,
        metrics_token,
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

fn metrics(raw: &Raw, report: &mut Report) -> (Option<SocketAddr>, Option<Secret>) {
    let make = "make one with `openssl rand -base64 32`";
    let token = raw.metrics_token.as_deref();
    if token.is_some_and(|token| estimated_bits(token) < MIN_METRICS_TOKEN_BITS) {
        report.error("METRICS_TOKEN", "is easy to guess", make);
    }
    let bind: Option<SocketAddr> = raw.metrics_bind.as_deref().and_then(|text| text.parse().ok());
    if raw.metrics_bind.is_some() && bind.is_none() {
        report.error("METRICS_BIND", "is not an address with a port", "use 127.0.0.1:9090");
    }
    if bind.is_some_and(|bind| !bind.ip().is_loopback()) && token.is_none() {
        report.error("METRICS_BIND", "listens to others without METRICS_TOKEN", "set METRICS_TOKEN too");
    }
    (bind, token.map(|token| Secret::new(token.to_owned())))
}

/// Origins as browsers write them, so that comparing texts is comparing origins.
fn cors_origins(raw: &Raw, report: &mut Report) -> Vec<String> {
    let Some(text) = raw.cors_origins.as_deref() else { return Vec::new() };
    let mut origins = Vec::new();
    for entry in secrets::entries(text) {
        let url = Url::parse(entry).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let origin = url.as_ref().map(|url| url.origin().ascii_serialization());
        let hint = "write origins separated by commas, such as https://app.example.org";
        match (url, origin) {
            _ if entry == "*" => {
                report.error("CORS_ORIGINS", "opens the API to every page there is", hint);
            }
            _ if entry.contains('*') => report.error("CORS_ORIGINS", "has an entry that is not an origin", hint),
            (Some(url), Some(origin)) if origin == entry && (url.scheme() == "https" || is_loopback(&url)) => {
                origins.push(origin);
            }
            (Some(url), Some(origin)) if origin == entry && url.scheme() == "http" => {
                report.error("CORS_ORIGINS", "has an origin without https, which anyone on the way can be", hint);
            }
            _ => report.error("CORS_ORIGINS", "has an entry that is not an origin", hint),
        }
    }
    origins
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
