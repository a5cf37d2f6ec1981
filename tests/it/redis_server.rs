//! The kit's own Redis does what its helpers say.

use crate::kit::TestRedis;

#[tokio::test]
async fn a_private_server_keeps_its_data_over_a_kill_and_loses_it_on_a_flush() {
    let mut redis = TestRedis::private().await;
    redis::cmd("SET").arg("kit:name").arg("value").exec_async(&mut redis.connection().await).await.unwrap();
    redis.kill();
    assert!(redis::Client::open(redis.url()).unwrap().get_connection().is_err());
    redis.restart().await;
    assert_eq!(redis.keys("kit:").await, ["kit:name"]);
    assert!(redis.dump().await.windows(8).any(|window| window == b"kit:name"));
    redis.flush_all().await;
    assert!(redis.keys("").await.is_empty());
    assert!(redis.socket().exists());
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_goes_on() {
    let mut redis = TestRedis::private().await;
    let mut connection = redis.connection().await;
    redis.pause();
    let ping = redis::cmd("PING");
    let short = std::time::Duration::from_millis(100);
    assert!(tokio::time::timeout(short, ping.exec_async(&mut connection)).await.is_err());
    redis.resume();
    ping.exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_test_that_only_needs_a_redis_gets_one() {
    let redis = TestRedis::start().await;
    redis::cmd("PING").exec_async(&mut redis.connection().await).await.unwrap();
}
