//! The owner's e-mail and password, and the secrets that sign sessions.

use argon2::password_hash::phc::PasswordHash;
use argon2::{ARGON2ID_IDENT, Params};
use url::Url;

use super::numbers::{self, DAY_SECS};
use super::published::is_published;
use super::strength::{estimated_bits, is_strong_password};
use super::{required, secrets, switch};
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::secret::Secret;
use crate::config::settings::{OwnerConfig, Password, QuotaConfig, SessionConfig};

const MIN_PASSWORD_CHARS: usize = 12;
const MAX_PASSWORD_BYTES: usize = 1_024;
const MIN_JWT_SECRET_BITS: f64 = 256.0;
const MAX_JWT_SECRET_BYTES: usize = 1_024;
const MAX_EMAIL_BYTES: usize = 254;

/// Memory in KiB with the fewest passes over it: OWASP's Password Storage Cheat Sheet names these as equally strong.
const OWASP_ARGON2ID: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
/// Above these a single login would hold the machine up.
const MAX_ARGON2ID: (u32, u32, u32) = (1_048_576, 32, 16);
const MIN_SALT_BYTES: usize = 8;
const MIN_HASH_BYTES: usize = 32;

/// What is wrong with a password that is about to become the owner's; the findings are `USER_PASSWORD`'s.
pub fn check_password(password: &str) -> Report {
    let mut report = Report::default();
    plain_password(password, None, &mut report);
    report
}

pub(super) fn owner(raw: &Raw, report: &mut Report) -> Option<OwnerConfig> {
    let email = email(raw, report);
    let password = password(raw, report);
    let argon2_jobs = numbers::ARGON2_JOBS.read(raw.argon2_jobs.as_deref(), report) as usize;
    Some(OwnerConfig { email: email?, password: password?, argon2_jobs })
}

fn email(raw: &Raw, report: &mut Report) -> Option<String> {
    let hint = "set it to the address you log in with";
    let email = required("USER_EMAIL", raw.user_email.as_deref(), hint, report)?;
    if is_published(email) {
        report.error("USER_EMAIL", "is the sample published in .env.example", hint);
    } else if email.len() > MAX_EMAIL_BYTES || !email_address::EmailAddress::is_valid(email) {
        report.error("USER_EMAIL", "is not an e-mail address", "use the form name@example.org");
    } else {
        return Some(email.to_owned());
    }
    None
}

fn password(raw: &Raw, report: &mut Report) -> Option<Password> {
    match (raw.user_password.as_deref(), raw.user_password_hash.as_deref()) {
        (None, None) => {
            report.error(
                "USER_PASSWORD",
                "is missing, and USER_PASSWORD_HASH too",
                "set one of them; `coffer hash-password` makes a hash",
            );
            None
        }
        (Some(_), Some(_)) => {
            report.error("USER_PASSWORD", "is set, and USER_PASSWORD_HASH too", "keep one of the two");
            None
        }
        (Some(plain), None) => plain_password(plain, raw.user_email.as_deref(), report),
        (None, Some(hash)) => password_hash(hash, report),
    }
}

fn plain_password(plain: &str, email: Option<&str>, report: &mut Report) -> Option<Password> {
    let mut refuse = |reason: &str, hint: &str| report.error("USER_PASSWORD", reason, hint);
    let email = email.unwrap_or_default();
    let personal = [email, email.split('@').next().unwrap_or_default(), "coffer", "vault"];
    let choose = "choose four or more unrelated words, or let `coffer init` make one";
    if is_published(plain) {
        refuse("is the sample published in .env.example", choose);
    } else if plain.starts_with("$argon2") {
        refuse("holds a hash", "put the hash into USER_PASSWORD_HASH");
    } else if plain.chars().count() < MIN_PASSWORD_CHARS {
        refuse("is shorter than 12 characters", choose);
    } else if plain.len() > MAX_PASSWORD_BYTES {
        refuse("is longer than 1,024 bytes", "choose a shorter one");
    } else if !is_strong_password(plain, &personal) {
        refuse("is easy to guess", choose);
    } else {
        return Some(Password::Plain(Secret::new(plain.to_owned())));
    }
    None
}

fn password_hash(text: &str, report: &mut Report) -> Option<Password> {
    let mut refuse = |reason: &str, hint: &str| report.error("USER_PASSWORD_HASH", reason, hint);
    let make = "make a new one with `coffer hash-password`";
    if is_published(text) {
        refuse("is the sample published in .env.example", make);
        return None;
    }
    if !text.starts_with("$argon2id$") {
        let hint = "it must begin with $argon2id$; a shell expands $ unless the value stands in single quotes";
        refuse("is not an Argon2id hash in PHC form", hint);
        return None;
    }
    let parsed = PasswordHash::new(text).ok().filter(|hash| hash.algorithm == ARGON2ID_IDENT);
    let Some((hash, params)) = parsed.and_then(|hash| Some((Params::try_from(&hash).ok()?, hash)).map(|(p, h)| (h, p)))
    else {
        refuse("is damaged: not a complete Argon2id hash", "copy it whole, in single quotes");
        return None;
    };
    let (memory_kib, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let salt_bytes = hash.salt.as_ref().map_or(0, |salt| salt.len());
    let hash_bytes = hash.hash.as_ref().map_or(0, |output| output.len());
    if hash.version != Some(argon2::Version::V0x13.into()) {
        refuse("was made by an old version of Argon2", make);
    } else if salt_bytes < MIN_SALT_BYTES || hash_bytes < MIN_HASH_BYTES {
        refuse("is damaged: its salt or its hash is too short", make);
    } else if !OWASP_ARGON2ID.iter().any(|(least_kib, least)| memory_kib >= *least_kib && passes >= *least) {
        refuse("is weaker than OWASP's least parameters (m=19456, t=2, p=1)", make);
    } else if memory_kib > MAX_ARGON2ID.0 || passes > MAX_ARGON2ID.1 || lanes > MAX_ARGON2ID.2 {
        refuse("takes too much work for each login (at most m=1048576, t=32, p=16)", make);
    } else {
        return Some(Password::Phc(Secret::new(text.to_owned())));
    }
    None
}

pub(super) fn session(raw: &Raw, public_url: Option<&Url>, report: &mut Report) -> Option<SessionConfig> {
    let jwt_secrets = jwt_secrets(raw, report);
    let ttl_days = numbers::SESSION_TTL_DAYS.read(raw.session_ttl_days.as_deref(), report);
    let idle_days = numbers::SESSION_IDLE_DAYS.read(raw.session_idle_days.as_deref(), report);
    if idle_days > ttl_days {
        let hint = "make it at most SESSION_TTL_DAYS";
        report.warning("SESSION_IDLE_DAYS", "is longer than SESSION_TTL_DAYS and never takes effect", hint);
    }
    let max_sessions = numbers::MAX_SESSIONS.read(raw.max_sessions.as_deref(), report) as usize;
    let login_limit = numbers::LOGIN_LIMIT.read(raw.login_limit.as_deref(), report) as u32;
    let login_window_secs = numbers::LOGIN_WINDOW_SECS.read(raw.login_window_secs.as_deref(), report);
    let quotas = quotas(raw, report);
    let mfa_required = switch("MFA_REQUIRED", raw.mfa_required.as_deref(), false, report);
    Some(SessionConfig {
        jwt_secrets: jwt_secrets?,
        ttl_secs: ttl_days * DAY_SECS,
        idle_secs: idle_days * DAY_SECS,
        max_sessions,
        login_limit,
        login_window_secs,
        quotas,
        mfa_required,
        secure_cookie: public_url?.scheme() == "https",
    })
}

fn quotas(raw: &Raw, report: &mut Report) -> QuotaConfig {
    let quotas = QuotaConfig {
        owner_requests: numbers::OWNER_REQUESTS.read(raw.owner_requests.as_deref(), report) as u32,
        owner_uploads: numbers::OWNER_UPLOADS.read(raw.owner_uploads.as_deref(), report) as u32,
        stranger_requests: numbers::STRANGER_REQUESTS.read(raw.stranger_requests.as_deref(), report) as u32,
        stranger_uploads: numbers::STRANGER_UPLOADS.read(raw.stranger_uploads.as_deref(), report) as u32,
        request_window_secs: numbers::REQUEST_WINDOW_SECS.read(raw.request_window_secs.as_deref(), report),
        upload_window_secs: numbers::UPLOAD_WINDOW_SECS.read(raw.upload_window_secs.as_deref(), report),
    };
    for (variable, stranger, owner) in [
        ("STRANGER_REQUESTS", quotas.stranger_requests, quotas.owner_requests),
        ("STRANGER_UPLOADS", quotas.stranger_uploads, quotas.owner_uploads),
    ] {
        if stranger > owner {
            report.warning(variable, "lets strangers do more than the owner", "make it smaller than the owner's");
        }
    }
    quotas
}

fn jwt_secrets(raw: &Raw, report: &mut Report) -> Option<Vec<Secret>> {
    let make = "make one with `openssl rand -base64 32`";
    let text = required("JWT_SECRET", raw.jwt_secret.as_deref(), make, report)?;
    let mut entries = Vec::new();
    for entry in secrets::entries(text) {
        if is_published(entry) {
            report.error("JWT_SECRET", "holds the sample published in .env.example", make);
        } else if entry.is_empty() {
            report.error("JWT_SECRET", "has an empty entry", "write secrets separated by single commas");
        } else if entry.len() > MAX_JWT_SECRET_BYTES {
            report.error("JWT_SECRET", "has an entry longer than 1,024 bytes", make);
        } else if estimated_bits(entry) < MIN_JWT_SECRET_BITS {
            let reason = "has an entry with less than 32 bytes (256 bits) of estimated entropy";
            report.error("JWT_SECRET", reason, make);
        } else {
            entries.push(Secret::new(entry.to_owned()));
        }
    }
    Some(entries)
}
