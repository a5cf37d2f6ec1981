//! How long a session lives, and how it ends.

use std::time::{Duration, Instant};

use coffer::session::{Session, SessionError, SessionId, Sessions, Transport};

use super::{DAY_MS, EMAIL, EPOCH, HOME, House, PASSWORD, SECOND_MS, START_MS, TIMEOUT_MS, client, owner};
use crate::kit::TestRedis;

/// Whether the session's streams were told to stop.
async fn has_ended(session: &Session) -> bool {
    tokio::time::timeout(Duration::from_millis(50), session.ended()).await.is_ok()
}

#[tokio::test]
async fn a_login_makes_a_session_that_lives_until_it_is_revoked() {
    let house = House::new().await;
    let new = house.log_in().await;
    assert_eq!(new.expires_at_ms, START_MS + 30 * DAY_MS);
    let session = house.authenticate(&new).await.unwrap();
    assert_eq!(session.view, new.session);
    assert_eq!((session.view.device.as_str(), session.view.address.as_str()), ("Firefox on Linux", HOME));
    assert_eq!(session.view.transport, Transport::Bearer);
    assert_eq!(house.sessions.list(EPOCH).await.unwrap(), std::slice::from_ref(&session.view));
    assert_eq!(SessionId::from_hex(&session.view.id.to_string()), Some(session.view.id));

    assert!(house.sessions.revoke(session.view.id).await.unwrap());
    assert_eq!(house.authenticate(&new).await.unwrap_err(), SessionError::InvalidToken);
    assert!(!house.sessions.revoke(session.view.id).await.unwrap());
    assert!(house.sessions.list(EPOCH).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_slides_while_it_is_used_and_ends_when_it_is_not() {
    let house = House::new().await;
    let (used, unused) = (house.log_in().await, house.log_in().await);
    let mut last = house.authenticate(&used).await.unwrap();
    for _ in 0..4 {
        house.clock.advance(7 * DAY_MS - 1);
        last = house.authenticate(&used).await.unwrap();
    }
    assert_eq!(last.view.last_seen_ms, START_MS + 4 * (7 * DAY_MS - 1));
    assert_eq!(house.authenticate(&unused).await.unwrap_err(), SessionError::TokenExpired);
    assert_eq!(house.sessions.list(EPOCH).await.unwrap().len(), 1);
    house.clock.advance(30 * DAY_MS - 1 - 4 * (7 * DAY_MS - 1));
    assert!(house.is_living(&used).await, "at its last millisecond");
    house.clock.advance(1);
    assert_eq!(house.authenticate(&used).await.unwrap_err(), SessionError::TokenExpired, "used or not");
}

#[tokio::test]
async fn a_session_that_was_idle_for_its_window_is_over() {
    let house = House::new().await;
    let (just, past) = (house.log_in().await, house.log_in().await);
    house.clock.advance(7 * DAY_MS - 1);
    assert!(house.is_living(&just).await);
    house.clock.advance(1);
    assert_eq!(house.authenticate(&past).await.unwrap_err(), SessionError::TokenExpired);
}

#[tokio::test]
async fn the_last_use_and_its_address_are_noted_once_a_minute() {
    let house = House::new().await;
    let new = house.log_in().await;
    let from = async |address| house.sessions.authenticate(new.token.expose(), &client(address), EPOCH).await.unwrap();
    house.clock.advance(60 * SECOND_MS - 1);
    assert_eq!(from("192.0.2.7").await.view, new.session);
    house.clock.advance(1);
    let noted = from("192.0.2.7").await.view;
    assert_eq!((noted.last_seen_ms, noted.address.as_str()), (START_MS + 60 * SECOND_MS, "192.0.2.7"));
    assert_eq!(house.sessions.list(EPOCH).await.unwrap(), [noted]);
}

#[tokio::test]
async fn revoking_ends_requests_and_streams_at_once() {
    let house = House::new().await;
    let (one, two, three) = (house.log_in().await, house.log_in().await, house.log_in().await);
    let stream = async |new| house.authenticate(new).await.unwrap();
    let (first, second, third) = (stream(&one).await, stream(&two).await, stream(&three).await);
    let waiting = tokio::spawn(first.ended());

    house.sessions.revoke(one.session.id).await.unwrap();
    let begun = Instant::now();
    waiting.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(has_ended(&first).await && !has_ended(&second).await && !has_ended(&third).await);

    house.sessions.revoke_others(three.session.id).await.unwrap();
    assert!(has_ended(&second).await && !has_ended(&third).await);
    assert!(!house.is_living(&one).await && !house.is_living(&two).await && house.is_living(&three).await);

    let four = house.log_in().await;
    house.sessions.revoke_all().await.unwrap();
    assert!(has_ended(&third).await);
    assert!(!house.is_living(&three).await && !house.is_living(&four).await);
}

#[tokio::test]
async fn streams_end_with_their_sessions_time() {
    let house = House::with(TestRedis::start().await, |config| config.ttl_secs = 1);
    let new = house.log_in().await;
    let session = house.authenticate(&new).await.unwrap();
    assert!(!has_ended(&session).await);
    tokio::time::timeout(Duration::from_secs(5), session.ended()).await.unwrap();
}

#[tokio::test]
async fn the_least_recently_used_session_gives_way_at_the_limit() {
    let house = House::with(TestRedis::start().await, |config| config.max_sessions = 3);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(house.log_in().await);
        house.clock.advance(60 * SECOND_MS);
    }
    let oldest = house.authenticate(&made[0]).await.unwrap();
    let second = house.authenticate(&made[1]).await.unwrap();
    house.clock.advance(60 * SECOND_MS);
    assert!(house.is_living(&made[0]).await);
    made.push(house.log_in().await);
    let living = futures_util::future::join_all(made.iter().map(|new| house.is_living(new))).await;
    assert_eq!(living, [true, true, false, true], "the third was not used since it was made");
    assert!(!has_ended(&oldest).await && !has_ended(&second).await);
    assert_eq!(house.sessions.list(EPOCH).await.unwrap().len(), 3);

    let side_by_side = futures_util::future::join_all((0..5).map(|_| house.try_from(HOME, EMAIL, PASSWORD))).await;
    assert!(side_by_side.iter().any(Result::is_ok));
    assert!(house.sessions.list(EPOCH).await.unwrap().len() <= 3);
}

#[tokio::test]
async fn a_changed_password_and_a_raised_epoch_end_every_session() {
    let house = House::new().await;
    let (one, two) = (house.log_in().await, house.log_in().await);
    let restarted = house.restarted(|_| {});
    assert!(restarted.authenticate(one.token.expose(), &client(HOME), EPOCH).await.is_ok(), "a restart ends none");

    assert!(house.sessions.list(EPOCH + 1).await.unwrap().is_empty());
    let raised = house.sessions.authenticate(one.token.expose(), &client(HOME), EPOCH + 1).await;
    assert_eq!(raised.unwrap_err(), SessionError::InvalidToken);
    assert!(!house.is_living(&one).await, "what was ended stays ended");

    let changed = owner("another password altogether").credential_digest();
    let changed = Sessions::new(house.state.clone(), &house.config, changed, house.clock.clone());
    let refused = changed.authenticate(two.token.expose(), &client(HOME), EPOCH).await;
    assert_eq!(refused.unwrap_err(), SessionError::InvalidToken);
    assert!(!house.is_living(&two).await);
}

#[tokio::test]
async fn without_redis_nobody_is_let_in_and_with_it_all_is_as_before() {
    let mut house = House::private().await;
    let new = house.log_in().await;
    house.redis.kill();
    let (checks, begun) = (house.owner.checks(), Instant::now());
    assert_eq!(house.authenticate(&new).await.unwrap_err(), SessionError::RedisUnavailable);
    assert_eq!(house.try_from(HOME, EMAIL, PASSWORD).await.unwrap_err(), SessionError::RedisUnavailable);
    assert_eq!(house.sessions.list(EPOCH).await.unwrap_err(), SessionError::RedisUnavailable);
    assert_eq!(house.sessions.revoke_all().await.unwrap_err(), SessionError::RedisUnavailable);
    assert!(begun.elapsed() < Duration::from_millis(TIMEOUT_MS), "{:?}", begun.elapsed());
    assert_eq!(house.owner.checks(), checks, "no password is looked at");

    house.redis.restart().await;
    assert!(house.is_living(&new).await);
    house.redis.pause();
    let begun = Instant::now();
    assert_eq!(house.authenticate(&new).await.unwrap_err(), SessionError::RedisUnavailable);
    assert!(begun.elapsed() < Duration::from_millis(2 * TIMEOUT_MS), "{:?}", begun.elapsed());
    house.redis.resume();
    assert!(house.is_living(&new).await);

    house.redis.flush_all().await;
    assert_eq!(house.authenticate(&new).await.unwrap_err(), SessionError::InvalidToken);
    assert!(house.is_living(&house.log_in().await).await, "the owner logs in again");
}
