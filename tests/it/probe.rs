//! What the probe finds on a good bucket, on wrong settings and on a bucket that promises what it does not keep.

use coffer::config::{Clock, Secret, Severity, StoreConfig};
use coffer::store::probe::{Probe, probe};
use coffer::store::{Abilities, PartChecksum, Store};
use url::Url;

use crate::kit::lying_bucket::{LyingBucket, answer, config};
use crate::kit::{TestBucket, TestStore};

/// The origin that the test bucket's CORS rule admits.
const APP: &str = "https://vault.example";

fn app() -> Url {
    APP.parse().unwrap()
}

pub(crate) fn findings(probe: &Probe, severity: Severity) -> Vec<String> {
    let findings = probe.report.findings.iter().filter(|finding| finding.severity == severity);
    findings.map(|finding| format!("{}: {}", finding.variable, finding.reason)).collect()
}

#[tokio::test]
async fn a_good_bucket_has_every_ability_no_finding_and_nothing_left_in_it() {
    let bucket = TestStore::start().await;
    for prefix in ["", "vaults/one/"] {
        let config = StoreConfig { prefix: prefix.to_owned(), ..bucket.config() };
        let found = probe(&config, None, &app(), &Clock::system()).await;
        let all = Abilities {
            refuses_wrong_bytes: true,
            refuses_overwrite: true,
            refuses_wrong_part: true,
            part_checksum: PartChecksum::Enforced,
        };
        assert_eq!((found.abilities, found.is_away), (all, false));
        assert!(found.report.findings.is_empty(), "{}", found.report);
        let store = Store::new(&config, None);
        assert!(store.list("").await.unwrap().is_empty());
        assert!(store.list_multiparts("").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_bucket_of_this_run_has_no_error_and_nothing_is_left_in_it() {
    let bucket = TestBucket::start().await;
    let config = bucket.config(bucket.url(), "probed/");
    let found = probe(&config, None, &app(), &Clock::system()).await;
    assert_eq!(findings(&found, Severity::Error), [""; 0], "{}", found.report);
    let store = Store::new(&config, None);
    assert!(store.list("").await.unwrap().is_empty());
    assert!(store.list_multiparts("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_setting_is_found_by_its_name_and_never_by_its_value() {
    let bucket = TestStore::start().await;
    let secret = || Secret::new("canary-value".to_owned());
    let closed: Url = "http://127.0.0.1:1".parse().unwrap();
    let good = bucket.config();
    for (variable, is_away, config) in [
        ("S3_ACCESS_KEY_ID", false, StoreConfig { access_key_id: secret(), ..good.clone() }),
        ("S3_SECRET_ACCESS_KEY", false, StoreConfig { secret_access_key: secret(), ..good.clone() }),
        ("S3_BUCKET", false, StoreConfig { bucket: "canary-value".to_owned(), ..good.clone() }),
        ("S3_ENDPOINT", true, coffer::config::StoreConfig { public_endpoint: closed.clone(), ..config(closed) }),
    ] {
        let found = probe(&config, None, &app(), &Clock::system()).await;
        assert_eq!(found.is_away, is_away, "{variable}");
        let errors = findings(&found, Severity::Error);
        assert!(errors.iter().any(|error| error.starts_with(variable)), "{variable}: {errors:?}");
        assert!(!found.report.to_string().contains("canary"), "{}", found.report);
        assert_eq!(found.abilities, Abilities::default());
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_warning_and_then_an_error() {
    let bucket = TestStore::start().await;
    for (off_secs, severity) in [(30, None), (300, Some(Severity::Warning)), (1800, Some(Severity::Error))] {
        let clock = Clock::manual(Clock::system().now_ms() + off_secs * 1000);
        let found = probe(&bucket.config(), None, &app(), &clock).await;
        let clocks = found.report.findings.iter().find(|finding| finding.reason.contains("clock"));
        assert_eq!(clocks.map(|finding| finding.severity), severity, "{off_secs}");
    }
}

#[tokio::test]
async fn pages_of_another_origin_are_asked_about() {
    let bucket = TestStore::start().await;
    let other = "https://other.example".parse().unwrap();
    let found = probe(&bucket.config(), None, &other, &Clock::system()).await;
    let warnings = findings(&found, Severity::Warning);
    assert_eq!(
        warnings,
        [
            "S3_PUBLIC_ENDPOINT: pages of the app may not read its answers to GET",
            "S3_PUBLIC_ENDPOINT: pages of the app may not read its answers to PUT",
            "S3_PUBLIC_ENDPOINT: pages of the app may not use GET",
            "S3_PUBLIC_ENDPOINT: pages of the app may not use PUT",
        ]
    );
    let found = probe(&bucket.config(), None, &bucket.url.parse().unwrap(), &Clock::system()).await;
    assert!(found.report.findings.is_empty(), "the same origin needs no rule");

    let closed: Url = "http://127.0.0.1:1".parse().unwrap();
    let config = StoreConfig { public_endpoint: closed, ..bucket.config() };
    let found = probe(&config, None, &app(), &Clock::system()).await;
    assert_eq!(findings(&found, Severity::Warning), ["S3_PUBLIC_ENDPOINT: it can't be reached from here"]);
}

#[tokio::test]
async fn a_bucket_that_says_yes_to_everything_is_seen_through() {
    let bucket = LyingBucket::start(vec![answer("200 OK", "ETag: \"yes\"\r\n", "")]).await;
    let found = probe(&config(bucket.url().clone()), None, bucket.url(), &Clock::system()).await;
    assert_eq!(found.abilities, Abilities::default());
    let errors = findings(&found, Severity::Error);
    for reason in [
        "it accepts a wrong signature",
        "what was written can't be read back",
        "it does not answer a range with exactly that range",
        "what was written is not listed at once, or may not be listed",
        "anybody may read its objects",
        "anybody may list its objects",
        "an upload in parts can't be begun",
    ] {
        assert!(errors.iter().any(|error| error.contains(reason)), "{reason}: {errors:?}");
    }
    let warnings = findings(&found, Severity::Warning);
    assert!(warnings.iter().any(|warning| warning.contains("other bytes")), "{warnings:?}");
}
