//! Quotas: what they let through, for whom, and when it comes back.

use coffer::config::Clock;
use coffer::session::{ClientInfo, Counted, Meter, Quota, SessionError, Sessions};

use super::{EPOCH, HOME, House, SECOND_MS, START_MS, client};
use crate::kit::TestRedis;

/// 10 requests in 100 seconds for a session, 5 in 100 for a stranger; 3 and 2 uploads.
async fn house() -> House {
    on(TestRedis::start().await)
}

fn on(redis: TestRedis) -> House {
    House::with(redis, |config| {
        config.quotas.owner_requests = 10;
        config.quotas.owner_uploads = 3;
        config.quotas.stranger_requests = 5;
        config.quotas.stranger_uploads = 2;
        config.quotas.request_window_secs = 100;
        config.quotas.upload_window_secs = 100;
    })
}

fn counted(address: &str, counts: Counted) -> ClientInfo {
    ClientInfo { meter: Meter::new(Some(counts)), ..client(address) }
}

impl House {
    /// One counted request with a token.
    async fn ask(&self, token: &str, address: &str, counts: Counted) -> (Result<(), SessionError>, Option<Quota>) {
        let client = counted(address, counts);
        let answer = self.sessions.authenticate(token, &client, EPOCH).await;
        (answer.map(|_| ()), client.meter.quota())
    }

    async fn stranger(&self, address: &str) -> Result<(), SessionError> {
        self.sessions.count_stranger(&counted(address, Counted::Request)).await
    }
}

#[tokio::test]
async fn a_quota_is_there_at_once_and_comes_back_evenly() {
    let house = house().await;
    let new = house.log_in().await;
    let token = new.token.expose();
    for used in 1..=10 {
        let (answer, quota) = house.ask(token, HOME, Counted::Request).await;
        answer.unwrap();
        let quota = quota.unwrap();
        assert_eq!((quota.limit, quota.window_secs, quota.remaining), (10, 100, 10 - used));
        assert_eq!(quota.whole_after_secs, u64::from(used) * 10);
    }
    let (refused, quota) = house.ask(token, HOME, Counted::Request).await;
    assert_eq!(refused, Err(SessionError::RateLimited { retry_after_secs: 10 }));
    assert_eq!(quota.unwrap().remaining, 0);
    house.clock.advance(9_999);
    assert_eq!(
        house.ask(token, HOME, Counted::Request).await.0,
        Err(SessionError::RateLimited { retry_after_secs: 1 })
    );
    house.clock.advance(1);
    house.ask(token, HOME, Counted::Request).await.0.unwrap();
    assert!(house.ask(token, HOME, Counted::Request).await.0.is_err(), "one came back, not more");
    house.clock.advance(1_000 * SECOND_MS);
    for _ in 0..10 {
        house.ask(token, HOME, Counted::Request).await.0.unwrap();
    }
    assert!(house.ask(token, HOME, Counted::Request).await.0.is_err(), "unused time does not add up");
}

#[tokio::test]
async fn sessions_strangers_and_uploads_do_not_use_up_each_others_quotas() {
    let house = house().await;
    let (one, two) = (house.log_in().await, house.log_in().await);
    for _ in 0..5 {
        house.stranger(HOME).await.unwrap();
    }
    assert!(house.stranger(HOME).await.is_err());
    let bad = house.sessions.authenticate("forged", &counted(HOME, Counted::Request), EPOCH).await;
    assert!(matches!(bad, Err(SessionError::RateLimited { .. })), "a forged token is a stranger's");
    for _ in 0..10 {
        house.ask(one.token.expose(), HOME, Counted::Request).await.0.unwrap();
    }
    assert!(house.ask(one.token.expose(), HOME, Counted::Request).await.0.is_err());
    for _ in 0..3 {
        house.ask(one.token.expose(), HOME, Counted::Upload).await.0.unwrap();
    }
    assert!(house.ask(one.token.expose(), HOME, Counted::Upload).await.0.is_err());
    house.ask(two.token.expose(), HOME, Counted::Request).await.0.unwrap();
}

#[tokio::test]
async fn a_token_of_an_ended_session_is_a_strangers() {
    let house = house().await;
    let new = house.log_in().await;
    house.sessions.revoke(new.session.id).await.unwrap();
    for _ in 0..5 {
        let answer = house.ask(new.token.expose(), HOME, Counted::Request).await.0;
        assert_eq!(answer, Err(SessionError::InvalidToken));
    }
    let answer = house.ask(new.token.expose(), HOME, Counted::Request).await.0;
    assert!(matches!(answer, Err(SessionError::RateLimited { .. })));
}

#[tokio::test]
async fn one_network_has_one_quota_whatever_its_addresses() {
    let house = house().await;
    for host in 0..5 {
        house.stranger(&format!("2001:db8:1:2::{host:x}")).await.unwrap();
    }
    assert!(house.stranger("2001:db8:1:2:ffff:ffff:ffff:ffff").await.is_err());
    house.stranger("2001:db8:1:3::1").await.unwrap();
    for address in ["192.0.2.9", "::ffff:192.0.2.9", "192.0.2.9", "192.0.2.9", "::ffff:192.0.2.9"] {
        house.stranger(address).await.unwrap();
    }
    assert!(house.stranger("192.0.2.9").await.is_err());
    house.stranger("192.0.2.10").await.unwrap();
}

#[tokio::test]
async fn requests_side_by_side_take_no_more_than_there_is() {
    let house = house().await;
    let new = house.log_in().await;
    let asked = (0..50).map(|_| house.ask(new.token.expose(), HOME, Counted::Request));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|(answer, _)| answer.is_ok()).count(), 10);
}

#[tokio::test]
async fn a_clock_that_was_set_back_locks_nobody_out() {
    let house = house().await;
    let ahead = Clock::manual(START_MS + 1_000_000 * SECOND_MS);
    let early = Sessions::new(house.state.clone(), &house.config, house.owner.credential_digest(), ahead);
    for _ in 0..5 {
        early.count_stranger(&counted(HOME, Counted::Request)).await.unwrap();
    }
    for _ in 0..5 {
        house.stranger(HOME).await.unwrap();
    }
    assert_eq!(house.stranger(HOME).await, Err(SessionError::RateLimited { retry_after_secs: 20 }));
}

#[tokio::test]
async fn without_redis_nobody_is_counted_and_nobody_let_in() {
    let mut house = House::private().await;
    let new = house.log_in().await;
    house.redis.kill();
    assert_eq!(house.stranger(HOME).await, Err(SessionError::RedisUnavailable));
    let (answer, quota) = house.ask(new.token.expose(), HOME, Counted::Request).await;
    assert_eq!((answer, quota), (Err(SessionError::RedisUnavailable), None));
}

#[tokio::test]
async fn quotas_leave_no_address_and_no_token_in_redis() {
    let house = on(TestRedis::private().await);
    house.stranger("198.51.100.77").await.unwrap();
    let new = house.log_in().await;
    house.ask(new.token.expose(), "198.51.100.78", Counted::Upload).await.0.unwrap();
    let dump = house.redis.dump().await;
    let dump = String::from_utf8_lossy(&dump);
    assert!(dump.contains("requests") && dump.contains("uploads"), "{dump}");
    assert!(!dump.contains("198.51.100"), "{dump}");
}
