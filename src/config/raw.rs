//! The environment as texts: every known variable, or the file its `_FILE` twin names.
//!
//! `envy` fills the struct, with two traps kept away from it: it panics on values that are not Unicode, and it folds
//! case, so that `bind` and `BIND` would collide. Only exact, readable names are handed to it. Ordinary variables of the
//! environment are ignored unless their name is nearly one of ours.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::report::Report;

/// The longest value a `_FILE` may hold, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A variable with a name at least this long may be recognised in a misspelt one; shorter ones meet by chance.
const MIN_GUESS_LEN: usize = 7;

/// The share of a name's letters that must agree before we believe in a spelling mistake.
const MIN_GUESS_SIMILARITY: f64 = 0.79;

/// Amazon's own tools read `AWS_ACCESS_KEY_ID` and the like, which look like ours.
const OTHERS_PREFIX: &str = "AWS_";

macro_rules! variables {
    ($($field:ident),* $(,)?) => {
        /// One text for each variable; `None` when absent or empty.
        #[derive(Default, Deserialize, Zeroize, ZeroizeOnDrop)]
        pub(super) struct Raw {
            $(pub(super) $field: Option<String>,)*
        }

        const FIELDS: &[&str] = &[$(stringify!($field)),*];
    };
}

variables! {
    user_email, user_password, user_password_hash, argon2_jobs,
    jwt_secret, session_ttl_days, session_idle_days, max_sessions, login_limit, login_window_secs,
    owner_requests, owner_uploads, stranger_requests, stranger_uploads, request_window_secs, upload_window_secs,
    mfa_required,
    vault_keys,
    s3_endpoint, s3_public_endpoint, s3_region, s3_bucket, s3_prefix, s3_path_style,
    s3_access_key_id, s3_secret_access_key, s3_request_timeout_secs,
    redis_url, redis_timeout_ms,
    lease_secs, state_dir, retention_days, accept_head,
    trash_days, max_file_size, storage_limit, concurrent_uploads, unfinished_uploads, upload_ttl_hours, url_ttl_secs,
    bind, public_url, trusted_proxies, header_timeout_secs, request_timeout_secs, drain_secs, max_connections,
    max_json_size, cors_origins, metrics_token, metrics_bind, api_docs,
    log_level, log_format,
}

/// Every variable's name, in the order of the struct.
pub(super) static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| FIELDS.iter().map(|field| field.to_ascii_uppercase()).collect());

/// The variables whose value must not be known to others.
pub(super) const SECRETS: [&str; 8] = [
    "USER_PASSWORD",
    "USER_PASSWORD_HASH",
    "JWT_SECRET",
    "VAULT_KEYS",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "REDIS_URL",
    "METRICS_TOKEN",
];

impl Raw {
    /// Takes what is ours out of `vars`; what can't be read becomes a finding.
    pub(super) fn read(vars: impl Iterator<Item = (OsString, OsString)>, report: &mut Report) -> Self {
        let mut direct = BTreeMap::new();
        let mut files = BTreeMap::new();
        for (name, value) in vars {
            let Some(name) = name.to_str() else { continue };
            if is_known(name) {
                match value.into_string() {
                    Ok(text) if text.is_empty() => {}
                    Ok(text) => drop(direct.insert(name.to_owned(), text)),
                    Err(_) => report.error(name, "is not valid UTF-8", "write it as plain text"),
                }
            } else if let Some(known) = name.strip_suffix("_FILE").filter(|known| is_known(known)) {
                if !value.is_empty() {
                    files.insert(known.to_owned(), value);
                }
            } else {
                refuse_misspelt(name, report);
            }
        }
        for (name, path) in files {
            match direct.entry(name) {
                Entry::Occupied(both) => {
                    let reason = format!("is set, and {}_FILE too", both.key());
                    report.error(both.key(), reason, "keep one of the two");
                }
                Entry::Vacant(absent) => {
                    if let Some(text) = read_file(absent.key(), &path, report) {
                        absent.insert(text);
                    }
                }
            }
        }
        envy::from_iter(direct).expect("every field is an optional text, and no name occurs twice")
    }
}

fn is_known(name: &str) -> bool {
    NAMES.iter().any(|known| known == name)
}

fn read_file(name: &str, path: &OsStr, report: &mut Report) -> Option<String> {
    let variable = format!("{name}_FILE");
    let mut text = String::new();
    let read = std::fs::File::open(Path::new(path)).and_then(|file| {
        let mode = file.metadata()?.permissions().mode();
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        Ok(mode)
    });
    let mode = match read {
        Ok(mode) => mode,
        Err(error) => {
            let hint = "name a text file that this user can read";
            report.error(&variable, format!("names a file that can't be read ({})", error.kind()), hint);
            return None;
        }
    };
    if text.len() as u64 > MAX_FILE_BYTES {
        report.error(&variable, "names a file of more than 64 KiB", "name a file that holds the value alone");
        return None;
    }
    if SECRETS.contains(&name) && mode & 0o004 != 0 {
        report.warning(&variable, "names a file that every user of this machine can read", "chmod 600 the file");
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value).to_owned();
    text.zeroize();
    if value.is_empty() {
        report.error(&variable, "names an empty file", "put the value into it");
        return None;
    }
    Some(value)
}

fn refuse_misspelt(name: &str, report: &mut Report) {
    if name.starts_with(OTHERS_PREFIX) {
        return;
    }
    let upper = name.to_ascii_uppercase();
    let stem = upper.strip_suffix("_FILE").unwrap_or(&upper);
    let guess = NAMES
        .iter()
        .filter(|known| known.len() >= MIN_GUESS_LEN || stem == known.as_str())
        .map(|known| (strsim::normalized_damerau_levenshtein(stem, known), known))
        .filter(|(similarity, _)| *similarity >= MIN_GUESS_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, known)) = guess {
        let suffix = if upper.ends_with("_FILE") { "_FILE" } else { "" };
        report.error(name, "is not a setting", format!("did you mean {known}{suffix}? Otherwise unset it"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str) -> Vec<String> {
        let mut report = Report::default();
        Raw::read([(OsString::from(name), OsString::from("x"))].into_iter(), &mut report);
        report.findings.into_iter().map(|finding| finding.hint).collect()
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_right_one() {
        for (name, meant) in [
            ("VAULT_KEY", "VAULT_KEYS"),
            ("JWT_SECRETS", "JWT_SECRET"),
            ("S3_ACCESS_KEY", "S3_ACCESS_KEY_ID"),
            ("S3_SECRET_ACESS_KEY", "S3_SECRET_ACCESS_KEY"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("user_email", "USER_EMAIL"),
            ("USER_EMIAL", "USER_EMAIL"),
            ("REDIS_URI", "REDIS_URL"),
            ("bind", "BIND"),
            ("JWT_SECRT_FILE", "JWT_SECRET_FILE"),
        ] {
            assert_eq!(findings(name), [format!("did you mean {meant}? Otherwise unset it")], "{name}");
        }
    }

    #[test]
    fn ordinary_variables_are_left_alone() {
        for name in "PATH HOME USER USERNAME LOGNAME SHELL LANG LC_ALL TERM PWD OLDPWD EDITOR HOSTNAME TZ RUST_LOG \
            RUST_BACKTRACE CARGO_HOME DATABASE_URL REDIS_HOST REDIS_PORT REDIS_PASSWORD VAULT_ADDR VAULT_TOKEN \
            AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION SSH_AUTH_SOCK XDG_STATE_HOME XDG_RUNTIME_DIR FIND BLIND \
            S3_HOST PUBLIC_IP LOGLEVELS_OF LOG_FILE JOURNAL_STREAM INVOCATION_ID NO_PROXY HTTPS_PROXY KUBERNETES_PORT"
            .split_whitespace()
        {
            assert_eq!(findings(name), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_file_gives_the_value_without_its_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "first\nsecond\r\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut report = Report::default();
        let raw = Raw::read([("JWT_SECRET_FILE".into(), path.into())].into_iter(), &mut report);
        assert_eq!(report, Report::default());
        assert_eq!(raw.jwt_secret.as_deref(), Some("first\nsecond"));
    }
}
