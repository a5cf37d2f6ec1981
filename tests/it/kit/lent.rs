//! A real bucket that this run was lent, in place of folders of the tests' own.
//!
//! `TEST_S3_ENDPOINT`, `TEST_S3_REGION`, `TEST_S3_BUCKET`, `TEST_S3_ACCESS_KEY_ID` and `TEST_S3_SECRET_ACCESS_KEY` lend
//! it. Every test keeps to a prefix of its own.

use std::fs::File;
use std::io::Write;

use coffer::config::{Endpoint, Secret, StoreConfig};
use data_encoding::HEXLOWER;
use url::Url;

/// A place of a test's own in the lent bucket; `None` where none was lent.
pub(crate) fn place() -> Option<StoreConfig> {
    let lent = |name| std::env::var(format!("TEST_S3_{name}")).unwrap_or_default();
    let endpoint = lent("ENDPOINT");
    if endpoint.is_empty() {
        return None;
    }
    let url: Url = endpoint.parse().unwrap();
    Some(StoreConfig {
        endpoint: Endpoint::Remote(url.clone()),
        public_endpoint: url,
        region: lent("REGION"),
        bucket: lent("BUCKET"),
        prefix: format!("test-{}/", HEXLOWER.encode(&coffer::crypto::random::bytes::<8>())),
        path_style: true,
        access_key_id: Secret::new(lent("ACCESS_KEY_ID")),
        secret_access_key: Secret::new(lent("SECRET_ACCESS_KEY")),
        request_timeout_secs: 30,
    })
}

/// The variables that say the same to the program.
pub(crate) fn settings(place: &StoreConfig) -> Vec<(&'static str, String)> {
    vec![
        ("S3_ENDPOINT", place.public_endpoint.to_string()),
        ("S3_REGION", place.region.clone()),
        ("S3_BUCKET", place.bucket.clone()),
        ("S3_PREFIX", place.prefix.clone()),
        ("S3_PATH_STYLE", place.path_style.to_string()),
        ("S3_ACCESS_KEY_ID", place.access_key_id.expose().to_owned()),
        ("S3_SECRET_ACCESS_KEY", place.secret_access_key.expose().to_owned()),
    ]
}

/// Whether a bucket was lent. If so, says that the test (or the rest of it) has nothing to look at there, and why; the
/// file that `TEST_SKIPPED` names keeps it for the run's summary.
#[expect(clippy::print_stderr, reason = "whoever looks at a test reads why it ended early")]
pub(crate) fn skip(reason: &str) -> bool {
    if place().is_none() {
        return false;
    }
    let line = format!("{}: {reason}\n", std::thread::current().name().unwrap_or_default());
    eprint!("skipped: {line}");
    if let Some(path) = std::env::var_os("TEST_SKIPPED") {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    true
}
