//! The sealed log and the domain: lease, retention, sizes.

use std::path::PathBuf;

use super::{folder, numbers};
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::settings::{LogConfig, VaultConfig};

const HOUR_SECS: u64 = 60 * 60;

/// The logs whose head an operator can accept.
const LOGS: [&str; 2] = ["catalog", "audit"];

pub(super) fn log(raw: &Raw, report: &mut Report) -> LogConfig {
    let lease_secs = numbers::LEASE_SECS.read(raw.lease_secs.as_deref(), report);
    let redis_timeout_ms = numbers::REDIS_TIMEOUT_MS.read(raw.redis_timeout_ms.as_deref(), &mut Report::default());
    if redis_timeout_ms > lease_secs * 1_000 {
        let hint = "make it shorter than LEASE_SECS";
        report.error("REDIS_TIMEOUT_MS", "is longer than the lease, which could not be renewed in time", hint);
    }
    let state_dir = raw.state_dir.as_deref().map(PathBuf::from);
    if let Some(path) = &state_dir {
        folder::check("STATE_DIR", path, report);
    }
    let retention_days = numbers::RETENTION_DAYS.read(raw.retention_days.as_deref(), report) as u32;
    LogConfig { lease_secs, state_dir, retention_days, accept_head: accept_head(raw, report) }
}

fn accept_head(raw: &Raw, report: &mut Report) -> Option<String> {
    let text = raw.accept_head.as_deref()?;
    let is_digest = |hex: &str| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_answer =
        |text: &str| text.split_once(':').is_some_and(|(log, digest)| LOGS.contains(&log) && is_digest(digest));
    if text.split(',').all(is_answer) {
        return Some(text.to_owned());
    }
    report.error(
        "ACCEPT_HEAD",
        "is not an answer to an alarm",
        "copy it from the log line or /health/ready, or unset it",
    );
    None
}

pub(super) fn vault(raw: &Raw, report: &mut Report) -> VaultConfig {
    let max_file_size = numbers::MAX_FILE_SIZE.read(raw.max_file_size.as_deref(), report);
    let storage_limit = numbers::STORAGE_LIMIT.read_optional(raw.storage_limit.as_deref(), report);
    if storage_limit.is_some_and(|limit| raw.max_file_size.is_some() && max_file_size > limit) {
        let hint = "make it at most STORAGE_LIMIT";
        report.warning("MAX_FILE_SIZE", "is larger than STORAGE_LIMIT and never takes effect", hint);
    }
    VaultConfig {
        trash_days: numbers::TRASH_DAYS.read(raw.trash_days.as_deref(), report) as u32,
        // A bad number was reported with the log's settings.
        retention_days: numbers::RETENTION_DAYS.read(raw.retention_days.as_deref(), &mut Report::default()) as u32,
        max_file_size,
        storage_limit,
        concurrent_uploads: numbers::CONCURRENT_UPLOADS.read(raw.concurrent_uploads.as_deref(), report) as usize,
        unfinished_uploads: numbers::UNFINISHED_UPLOADS.read(raw.unfinished_uploads.as_deref(), report) as usize,
        upload_ttl_secs: numbers::UPLOAD_TTL_HOURS.read(raw.upload_ttl_hours.as_deref(), report) * HOUR_SECS,
        url_ttl_secs: numbers::URL_TTL_SECS.read(raw.url_ttl_secs.as_deref(), report),
    }
}
