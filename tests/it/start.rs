//! How the program starts where not everything is as it should be: it says so, waits for what can come back, and never
//! makes anything worse.

use reqwest::StatusCode;

use crate::kit::coffer::{Coffer, problem_of};

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
