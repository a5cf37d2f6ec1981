//! Secrets beside one another: no two may be the same, or one leak opens two doors.

use super::published::is_published;
use crate::config::raw::Raw;
use crate::config::report::Report;

/// The entries of a comma list.
pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Reports every pair of equal secrets, by the variables' names.
pub(super) fn distinct(raw: &Raw, report: &mut Report) {
    let secrets = secrets(raw);
    for (index, (variable, secret)) in secrets.iter().enumerate() {
        // A published value is refused on its own; saying that two are equal would add nothing.
        if secret.is_empty() || is_published(secret) {
            continue;
        }
        if let Some((earlier, _)) = secrets[..index].iter().find(|(_, other)| other == secret) {
            if earlier == variable {
                report.error(variable, "holds the same secret twice", "remove one of the two");
            } else {
                report.error(variable, format!("is the same secret as {earlier}"), "make a fresh one for each use");
            }
        }
    }
}

fn secrets(raw: &Raw) -> Vec<(&'static str, String)> {
    let mut secrets = Vec::new();
    let mut add = |variable, secret: &str| secrets.push((variable, secret.to_owned()));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    add("USER_PASSWORD", &text(&raw.user_password));
    add("S3_ACCESS_KEY_ID", &text(&raw.s3_access_key_id));
    add("S3_SECRET_ACCESS_KEY", &text(&raw.s3_secret_access_key));
    add("METRICS_TOKEN", &text(&raw.metrics_token));
    let redis_password =
        raw.redis_url.as_deref().and_then(|url| url::Url::parse(url).ok()?.password().map(str::to_owned));
    add("REDIS_URL", &redis_password.unwrap_or_default());
    for entry in entries(&text(&raw.jwt_secret)) {
        add("JWT_SECRET", entry);
    }
    for entry in entries(&text(&raw.vault_keys)) {
        add("VAULT_KEYS", entry.split_once(':').map_or(entry, |(_, key)| key));
    }
    secrets
}
