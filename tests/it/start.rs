//! How the program starts where not everything is as it should be: it says so, waits for what can come back, and never
//! makes anything worse.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::kit::coffer::{Coffer, problem_of};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test]
async fn without_redis_it_lives_and_says_what_it_waits_for() {
    let mut coffer = Coffer::prepare(&[]).await;
    coffer.redis.kill();
    coffer.launch();
    coffer.wait_until("waiting", |status, body| status == 503 && body["code"] == "REDIS_UNAVAILABLE").await;
    let live = coffer.client.get(coffer.url("/health/live")).send().await.unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    let early = coffer.client.get(coffer.url("/api/v1/nodes/root")).bearer_auth("x").send().await.unwrap();
    assert_eq!(problem_of(early).await, (StatusCode::SERVICE_UNAVAILABLE, "NOT_READY".into()));
    coffer.redis.restart().await;
    coffer.wait_until_ready().await;
    coffer.log_in().await.upload("root", "a", "b").await;
    assert!(coffer.stop());
}

#[tokio::test]
async fn another_key_opens_nothing_and_makes_nothing() {
    let mut coffer = Coffer::start().await;
    coffer.log_in().await.upload("root", "a", "b").await;
    assert!(coffer.stop());
    let key = coffer.setting("VAULT_KEYS").to_owned();
    coffer
        .set("VAULT_KEYS", &format!("other:{}", data_encoding::BASE64.encode(&coffer::crypto::random::bytes::<32>())));
    coffer.launch();
    assert!(!coffer.stop_was_clean());
    assert!(coffer.output().contains("VAULT_KEYS holds only other"), "{}", coffer.output());
    coffer.set("VAULT_KEYS", &key);
    coffer.launch();
    coffer.wait_until_ready().await;
    assert_eq!(coffer.log_in().await.get("/nodes/root/children").await["total"], 1);
}

#[tokio::test]
async fn a_bucket_that_was_rolled_back_is_read_only_until_its_owner_accepts_it() {
    let mut coffer = Coffer::start().await;
    if !coffer.bucket_folder().join("vault").exists() {
        return;
    }
    let login = coffer.log_in().await;
    let kept = login.upload("root", "kept", "first").await;
    assert!(coffer.stop());
    let earlier = tempfile::tempdir().unwrap();
    copy(&coffer.bucket_folder(), earlier.path());
    coffer.launch();
    coffer.wait_until_ready().await;
    login.upload("root", "lost", "second").await;
    assert!(coffer.stop());
    std::fs::remove_dir_all(coffer.bucket_folder()).unwrap();
    copy(earlier.path(), &coffer.bucket_folder());
    std::fs::set_permissions(coffer.bucket_folder(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();

    coffer.launch();
    coffer.wait_until("read-only", |_, body| body["code"] == "READ_ONLY").await;
    let ready = coffer.client.get(coffer.url("/health/ready")).send().await.unwrap();
    let body: serde_json::Value = ready.json().await.unwrap();
    let detail = body["detail"].as_str().unwrap();
    let accept = detail.split("ACCEPT_HEAD=").nth(1).unwrap().trim_end_matches('.').to_owned();
    assert!(coffer.output().contains(&accept), "the log says it too");
    let login = coffer.log_in().await;
    assert_eq!(login.download(kept["id"].as_str().unwrap()).await, b"first");
    let change = login.request(Method::POST, "/folders").json(&json!({"parent": "root", "name": "new"})).send().await;
    assert_eq!(problem_of(change.unwrap()).await, (StatusCode::SERVICE_UNAVAILABLE, "READ_ONLY".into()));

    assert!(coffer.stop());
    coffer.set("ACCEPT_HEAD", &accept);
    coffer.launch();
    coffer.wait_until_ready().await;
    let login = coffer.log_in().await;
    assert_eq!(login.get("/nodes/root/children").await["total"], 1);
    login.upload("root", "new", "third").await;
    coffer.restart().await;
    assert_eq!(coffer.log_in().await.get("/nodes/root/children").await["total"], 2, "accepted once and for all");
}
