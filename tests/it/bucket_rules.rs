//! `coffer bucket check` and `protect`: what pages of another origin may do, asked as a browser asks.

use std::path::Path;
use std::process::{Command, Stdio};

use coffer::store::probe::probe_pages;
use coffer::store::{CorsRule, CorsRules, Store};
use reqwest::Method;
use serde_json::Value;
use url::Url;

use crate::kit::TestStore;
use crate::kit::bucket_process::BucketProcess;
use crate::kit::embedded::{BUCKET, config_at};
use crate::kit::lent;
use crate::kit::lying_bucket::{LyingBucket, answer};

const APP: &str = "https://vault.elsewhere.test";

/// Runs `coffer bucket VERB --json` as an operator of a vault on the bucket at `url`.
pub(crate) fn bucket(folder: &Path, verb: &str, url: &Url) -> (bool, Value) {
    let coffer = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coffer"));
        command.current_dir(folder).env_clear().stdin(Stdio::null());
        command
    };
    if !folder.join(".env").exists() {
        assert!(coffer().args(["init", "--email", "ada@coffer.test"]).output().unwrap().status.success());
    }
    let settings = lent::settings(&config_at(url));
    let output = coffer()
        .args(["--env-file", ".env", "bucket", verb, "--json"])
        .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
        .env("PUBLIC_URL", APP)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}")))
}

pub(crate) fn reasons(answer: &Value) -> Vec<&str> {
    answer["findings"].as_array().unwrap().iter().map(|finding| finding["reason"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_a_rule_is_found_and_protected_for_good() {
    let (folder, operator) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = BucketProcess::start(folder.path());
    let (ok, answer) = bucket(operator.path(), "check", process.url());
    assert!(!ok);
    assert_eq!(
        reasons(&answer),
        [
            "pages of the app may not read its answers to GET",
            "pages of the app may not read its answers to PUT",
            "pages of the app may not use GET",
            "pages of the app may not use PUT",
        ]
    );
    let rule: CorsRules = serde_json::from_value(answer["rule"].clone()).unwrap();
    assert_eq!(rule.rules, [CorsRule::for_app(APP)]);

    let store = Store::new(&config_at(process.url()), None);
    let other = CorsRule::for_app("https://other.test");
    store.set_cors_rules(&CorsRules::default().with(other.clone())).await.unwrap();
    let (ok, answer) = bucket(operator.path(), "protect", process.url());
    assert!(ok, "{answer}");
    assert_eq!(store.cors_rules().await.unwrap().rules, [CorsRule::for_app(APP), other]);
    assert!(bucket(operator.path(), "check", process.url()).0);
    assert!(store.list("").await.unwrap().is_empty() && store.list_multiparts("").await.unwrap().is_empty());

    let preflight = |origin: &'static str, headers: &'static str| {
        let request = reqwest::Client::new().request(Method::OPTIONS, format!("{}{BUCKET}/blob/x", process.url()));
        let request = request.header("origin", origin).header("access-control-request-method", "PUT");
        request.header("access-control-request-headers", headers).send()
    };
    let sent = "content-md5,content-type,if-match,if-none-match,range,x-amz-checksum-sha256";
    let passed = preflight(APP, sent).await.unwrap();
    assert_eq!(passed.status(), 204);
    assert_eq!(passed.headers()["access-control-allow-origin"], APP);
    assert_eq!(passed.headers()["access-control-expose-headers"], "ETag, Content-Range, Content-Length, Accept-Ranges");
    assert_eq!(preflight("https://evil.test", sent).await.unwrap().status(), 403);
    assert_eq!(preflight(APP, "x-amz-acl").await.unwrap().status(), 403);

    drop(process);
    let process = BucketProcess::start(folder.path());
    assert!(bucket(operator.path(), "check", process.url()).0, "the rule outlives the process");
    let store = Store::new(&config_at(process.url()), None);
    store.set_cors_rules(&CorsRules::default()).await.unwrap();
    assert_eq!(store.cors_rules().await.unwrap(), CorsRules::default());
}

#[tokio::test]
async fn a_store_that_takes_no_rule_is_named_with_the_rule_to_set() {
    let operator = tempfile::tempdir().unwrap();
    for (status, reason) in [
        ("403 Forbidden", "its CORS rules can't be read: the bucket refused the request: 403"),
        ("501 Not Implemented", "its CORS rules can't be read: the bucket refused the request: 501"),
    ] {
        let server = LyingBucket::start(vec![answer(status, "", "")]).await;
        let (folder, url) = (operator.path().to_owned(), server.url().clone());
        let asked = tokio::task::spawn_blocking(move || bucket(&folder, "protect", &url));
        let (ok, answer) = asked.await.unwrap();
        assert!(!ok);
        assert!(reasons(&answer).iter().any(|found| found.starts_with(reason)), "{answer}");
        assert_eq!(answer["rule"]["CORSRules"][0]["AllowedOrigins"][0], APP);
    }
}

#[tokio::test]
async fn what_a_rule_lacks_is_named() {
    let bucket = TestStore::start().await;
    let app: Url = APP.parse().unwrap();
    let whole = CorsRule::for_app(APP);
    let without = |list: &[String], name: &str| list.iter().filter(|it| *it != name).cloned().collect::<Vec<_>>();
    for (rule, expected) in [
        (whole.clone(), None),
        (
            CorsRule { allowed_headers: without(&whole.allowed_headers, "x-amz-checksum-sha256"), ..whole.clone() },
            Some("pages of the app may not send x-amz-checksum-sha256 with PUT"),
        ),
        (
            CorsRule { allowed_headers: without(&whole.allowed_headers, "range"), ..whole.clone() },
            Some("pages of the app may not send range with GET"),
        ),
        (
            CorsRule { expose_headers: without(&whole.expose_headers, "ETag"), ..whole.clone() },
            Some("pages of the app may not read etag of its answers to PUT"),
        ),
        (
            CorsRule { expose_headers: without(&whole.expose_headers, "Content-Range"), ..whole.clone() },
            Some("pages of the app may not read content-range of its answers to GET"),
        ),
        (CorsRule { allowed_headers: vec!["*".to_owned()], allowed_origins: vec!["*".to_owned()], ..whole }, None),
    ] {
        Store::new(&bucket.config(), None).set_cors_rules(&CorsRules { rules: vec![rule] }).await.unwrap();
        let found = probe_pages(&bucket.config(), &app).await.report;
        let found: Vec<&str> = found.findings.iter().map(|finding| finding.reason.as_str()).collect();
        assert_eq!(found, Vec::from_iter(expected));
    }
}
