//! The bucket: where it is, what it is called, and the keys to it.

use std::path::PathBuf;

use url::Url;

use super::published::is_published;
use super::strength::is_strong_password;
use super::{folder, is_loopback, numbers, required, switch};
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::secret::Secret;
use crate::config::settings::{Endpoint, StoreConfig};

const EMBEDDED: &str = "embedded:";
/// First segments of the vault's own paths, now and to come, that a bucket could be called.
const RESERVED_SEGMENTS: [&str; 9] =
    ["api", "health", "docs", "dav", "assets", "openapi.json", "robots.txt", "metrics", "favicon.ico"];
const MIN_SECRET_CHARS: usize = 16;
const MIN_ACCESS_KEY_CHARS: usize = 3;
const MAX_KEY_CHARS: usize = 256;
const MAX_PREFIX_BYTES: usize = 256;

pub(super) fn store(raw: &Raw, public_url: Option<&Url>, report: &mut Report) -> Option<StoreConfig> {
    let endpoint = endpoint(raw, report);
    let public_endpoint = public_endpoint(raw, endpoint.as_ref(), public_url, report);
    let region = region(raw, report);
    let bucket = bucket(raw, report);
    let prefix = prefix(raw, report);
    let path_style = switch("S3_PATH_STYLE", raw.s3_path_style.as_deref(), true, report);
    let keys = key_pair(raw, report);
    let request_timeout_secs = numbers::S3_REQUEST_TIMEOUT_SECS.read(raw.s3_request_timeout_secs.as_deref(), report);
    if matches!(endpoint, Some(Endpoint::Embedded(_))) {
        check_embedded(bucket.as_deref(), path_style, report);
    }
    let (access_key_id, secret_access_key) = keys?;
    Some(StoreConfig {
        endpoint: endpoint?,
        public_endpoint: public_endpoint?,
        region,
        bucket: bucket?,
        prefix,
        path_style,
        access_key_id,
        secret_access_key,
        request_timeout_secs,
    })
}

/// The pair of keys to the bucket.
pub(super) fn key_pair(raw: &Raw, report: &mut Report) -> Option<(Secret, Secret)> {
    let access_key_id = access_key_id(raw, report);
    let secret_access_key = secret_access_key(raw, report);
    Some((access_key_id?, secret_access_key?))
}

/// The embedded bucket shares the vault's own listener, where it is the first segment of the path.
fn check_embedded(bucket: Option<&str>, path_style: bool, report: &mut Report) {
    if !path_style {
        let reason = "is false, but the embedded bucket has no host name of its own";
        report.error("S3_PATH_STYLE", reason, "set it to true");
    }
    if bucket.is_some_and(|bucket| RESERVED_SEGMENTS.contains(&bucket)) {
        report.error("S3_BUCKET", "is a path of the vault itself", "give the embedded bucket another name");
    }
}

fn endpoint(raw: &Raw, report: &mut Report) -> Option<Endpoint> {
    let hint = "name the bucket's service, such as https://s3.example.org, or a folder: embedded:data/store";
    let text = required("S3_ENDPOINT", raw.s3_endpoint.as_deref(), hint, report)?;
    if let Some(path) = text.strip_prefix(EMBEDDED) {
        if path.is_empty() {
            report.error("S3_ENDPOINT", "names no folder after embedded:", hint);
            return None;
        }
        let path = PathBuf::from(path);
        folder::check("S3_ENDPOINT", &path, report);
        return Some(Endpoint::Embedded(path));
    }
    let url = service_url("S3_ENDPOINT", text, hint, report)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        report.warning("S3_ENDPOINT", "is http to another machine: who listens sees which objects move", "use https");
    }
    Some(Endpoint::Remote(url))
}

fn public_endpoint(
    raw: &Raw,
    endpoint: Option<&Endpoint>,
    public_url: Option<&Url>,
    report: &mut Report,
) -> Option<Url> {
    let Some(text) = raw.s3_public_endpoint.as_deref() else {
        return match endpoint? {
            Endpoint::Remote(url) => Some(url.clone()),
            Endpoint::Embedded(_) => public_url.cloned(),
        };
    };
    let hint = "name the bucket's service as browsers reach it, such as https://s3.example.org";
    let url = service_url("S3_PUBLIC_ENDPOINT", text, hint, report)?;
    if url.scheme() == "http" && public_url.is_some_and(|public| public.scheme() == "https") {
        let reason = "is http while PUBLIC_URL is https: browsers refuse to mix them";
        report.error("S3_PUBLIC_ENDPOINT", reason, "give the bucket's service https too");
        return None;
    }
    Some(url)
}

/// An http or https URL of scheme, host and port alone.
fn service_url(variable: &str, text: &str, hint: &str, report: &mut Report) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        report.error(variable, "is not an http or https URL", hint);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        report.error(variable, "holds a user name or password", "use S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY");
        return None;
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        report.error(variable, "has more than scheme, host and port", "the bucket belongs into S3_BUCKET");
        return None;
    }
    Some(url)
}

fn region(raw: &Raw, report: &mut Report) -> String {
    let region = raw.s3_region.as_deref().unwrap_or("us-east-1");
    if region.len() > 64 || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        report.error("S3_REGION", "is not a region's name", "use letters, digits and -, such as us-east-1 or garage");
    }
    region.to_owned()
}

fn bucket(raw: &Raw, report: &mut Report) -> Option<String> {
    let bucket = required("S3_BUCKET", raw.s3_bucket.as_deref(), "name the bucket", report)?;
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let edges = edge(bucket.bytes().next()) && edge(bucket.bytes().last());
    if (3..=63).contains(&bucket.len()) && edges && bucket.bytes().all(inner) && !bucket.contains("..") {
        return Some(bucket.to_owned());
    }
    let hint = "use 3 to 63 lower-case letters, digits, - and ., beginning and ending with a letter or digit";
    report.error("S3_BUCKET", "is not a bucket's name", hint);
    None
}

fn prefix(raw: &Raw, report: &mut Report) -> String {
    let prefix = raw.s3_prefix.as_deref().unwrap_or_default();
    if prefix.is_empty() {
        return String::new();
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_segment = |segment: &str| {
        let is_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(is_char)
    };
    if prefix.len() >= MAX_PREFIX_BYTES || !prefix.split('/').all(is_segment) {
        let hint = "use names of letters, digits, -, _ and . with / between them, not at the beginning";
        report.error("S3_PREFIX", "is not a prefix of object keys", hint);
    }
    format!("{prefix}/")
}

fn access_key_id(raw: &Raw, report: &mut Report) -> Option<Secret> {
    let hint = "use the key id that the bucket's service gave you; for the embedded bucket any name of your own";
    let text = required("S3_ACCESS_KEY_ID", raw.s3_access_key_id.as_deref(), hint, report)?;
    let is_char = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b',';
    if is_published(text) {
        report.error("S3_ACCESS_KEY_ID", "is the sample published in .env.example", hint);
    } else if !(MIN_ACCESS_KEY_CHARS..=MAX_KEY_CHARS).contains(&text.len()) || !text.bytes().all(is_char) {
        report.error("S3_ACCESS_KEY_ID", "is not a key id: 3 to 256 visible ASCII characters", hint);
    } else {
        return Some(Secret::new(text.to_owned()));
    }
    None
}

fn secret_access_key(raw: &Raw, report: &mut Report) -> Option<Secret> {
    let hint = "use the secret that the bucket's service made; for the embedded bucket `openssl rand -hex 32`";
    let text = required("S3_SECRET_ACCESS_KEY", raw.s3_secret_access_key.as_deref(), hint, report)?;
    if is_published(text) {
        report.error("S3_SECRET_ACCESS_KEY", "is the sample published in .env.example", hint);
    } else if text.len() > MAX_KEY_CHARS || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        report.error("S3_SECRET_ACCESS_KEY", "is not a secret key: at most 256 visible ASCII characters", hint);
    } else if text.len() < MIN_SECRET_CHARS || !is_strong_password(text, &["minio", "minioadmin", "garage", "coffer"]) {
        report.error("S3_SECRET_ACCESS_KEY", "is shorter than 16 characters or easy to guess", hint);
    } else {
        return Some(Secret::new(text.to_owned()));
    }
    None
}
