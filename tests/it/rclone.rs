//! `rclone serve s3` as the bucket: it serves no vault, every check says why in the same words, and nothing is left in it.

use std::path::Path;

use coffer::config::{Clock, Severity};
use coffer::store::probe::probe;
use coffer::store::{Abilities, Store};
use reqwest::StatusCode;

use crate::bucket_rules::{bucket, reasons};
use crate::kit::coffer::Coffer;
use crate::kit::embedded::{BUCKET, config_at};
use crate::kit::lent;
use crate::kit::rclone::Rclone;
use crate::probe::findings;

/// What a vault can't do without, and rclone 1.75 does otherwise than S3: it answers ranges with 200, and the beginning
/// of an upload in parts with a document of another name.
const ERRORS: [&str; 2] = [
    "S3_ENDPOINT: an upload in parts can't be begun: the bucket's answer can't be believed: success with another \
     document than S3's",
    "S3_ENDPOINT: it does not answer a range with exactly that range: the bucket's answer can't be believed: a range \
     without status 206",
];

fn is_empty(folder: &Path) -> bool {
    folder.join(BUCKET).read_dir().unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`cargo xtask test --rclone` brings rclone"]
async fn the_probe_names_what_rclone_does_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let rclone = Rclone::start(folder.path());
    let (config, app) = (config_at(rclone.url()), "https://vault.example".parse().unwrap());
    let found = probe(&config, None, &app, &Clock::system()).await;
    assert_eq!(findings(&found, Severity::Error), ERRORS, "{}", found.report);
    assert_eq!((found.abilities, found.is_away), (Abilities::default(), false));
    let warnings = findings(&found, Severity::Warning);
    assert!(warnings.iter().any(|warning| warning.contains("pages of the app may not use PUT")), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("other bytes than those whose SHA-256")), "{warnings:?}");
    assert!(Store::new(&config, None).list("").await.unwrap().is_empty());
    assert!(is_empty(folder.path()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`cargo xtask test --rclone` brings rclone"]
async fn a_bucket_of_rclone_takes_no_rule_and_the_operator_is_told() {
    let (folder, operator) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let rclone = Rclone::start(folder.path());
    let (ok, answer) = bucket(operator.path(), "check", rclone.url());
    assert!(!ok);
    assert_eq!(
        reasons(&answer),
        [
            "pages of the app may not read content-range of its answers to GET",
            "pages of the app may not use GET",
            "pages of the app may not use PUT",
        ]
    );
    let (ok, answer) = bucket(operator.path(), "protect", rclone.url());
    assert!(!ok);
    let unread = "its CORS rules can't be read: the bucket's answer can't be believed: success with another document \
                  than S3's";
    assert_eq!(reasons(&answer), [unread]);
    assert!(answer["rule"].is_object(), "{answer}");
    assert!(is_empty(folder.path()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`cargo xtask test --rclone` brings rclone"]
async fn a_vault_on_rclone_waits_writes_nothing_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let rclone = Rclone::start(folder.path());
    let settings = lent::settings(&config_at(rclone.url()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut coffer = Coffer::prepare(&settings).await;
    coffer.launch();
    let waits = |status, body: &serde_json::Value| {
        let detail = body["detail"].as_str().unwrap_or_default();
        status == StatusCode::SERVICE_UNAVAILABLE && detail.contains("The bucket does not pass its check")
    };
    coffer.wait_until("refusing the bucket", waits).await;
    for error in ERRORS {
        let reason = error.strip_prefix("S3_ENDPOINT: ").unwrap();
        assert!(coffer.output().contains(reason), "{reason}");
    }
    assert!(coffer.stop());
    let kept = Store::new(&config_at(rclone.url()), None).list("").await.unwrap();
    assert!(kept.iter().all(|object| object.key.starts_with("probe/")), "{kept:?}");
}
