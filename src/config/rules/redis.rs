//! `REDIS_URL`: on this machine, or behind TLS and a password.

use url::Url;

use super::published::is_published;
use super::{is_loopback, numbers};
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::secret::Secret;
use crate::config::settings::RedisConfig;

const VARIABLE: &str = "REDIS_URL";
const DEFAULT: &str = "redis://127.0.0.1:6379/";
const MIN_PASSWORD_CHARS: usize = 16;

pub(super) fn redis(raw: &Raw, report: &mut Report) -> Option<RedisConfig> {
    let timeout_ms = numbers::REDIS_TIMEOUT_MS.read(raw.redis_timeout_ms.as_deref(), report);
    let text = raw.redis_url.as_deref().unwrap_or(DEFAULT);
    check(text, report)?;
    Some(RedisConfig { url: Secret::new(text.to_owned()), timeout_ms })
}

fn check(text: &str, report: &mut Report) -> Option<()> {
    let hint = "use redis://127.0.0.1:6379/, rediss://:password@host:6379/ or redis+unix:///path/to/socket";
    let Ok(url) = Url::parse(text) else {
        report.error(VARIABLE, "is not a URL", hint);
        return None;
    };
    let password = url.password().unwrap_or_default();
    if !password.is_empty() && is_published(password) {
        report.error(VARIABLE, "holds a password published in .env.example", "choose a password of your own");
    }
    match url.scheme() {
        "redis+unix" | "unix" => {
            if url.path().len() < 2 {
                report.error(VARIABLE, "names no socket", hint);
            }
        }
        "redis" | "rediss" if !url.has_host() => report.error(VARIABLE, "names no host", hint),
        "redis" | "rediss" if is_loopback(&url) => {}
        "redis" => {
            report.error(VARIABLE, "reaches another machine without TLS", "use rediss://, or a Redis on this machine");
        }
        "rediss" => {}
        _ => report.error(VARIABLE, "is not a Redis URL", hint),
    }
    let is_remote = matches!(url.scheme(), "redis" | "rediss") && url.has_host() && !is_loopback(&url);
    if is_remote && password.is_empty() {
        report.error(
            VARIABLE,
            "reaches another machine without a password",
            "write it as rediss://:password@host:6379/",
        );
    } else if is_remote && password.len() < MIN_PASSWORD_CHARS {
        report.error(VARIABLE, "holds a password of less than 16 characters", "make one with `openssl rand -hex 32`");
    }
    Some(())
}
