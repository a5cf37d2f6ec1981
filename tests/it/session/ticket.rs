//! How long a ticket lives.

use coffer::session::{SessionError, TICKET_LIFE_MS, Ticket};

use super::*;

async fn redeem(house: &House, text: &str) -> Result<Vec<u8>, SessionError> {
    let ticket = Ticket::from_hex(text).unwrap();
    house.sessions.redeem(&ticket, &client(HOME), EPOCH).await.map(|redeemed| redeemed.subject)
}

#[tokio::test]
async fn a_ticket_ends_a_minute_after_its_last_use() {
    let house = House::new().await;
    let session = house.authenticate(&house.log_in().await).await.unwrap();
    let made = house.sessions.make_ticket(&session, b"that file".to_vec()).await.unwrap();
    let text = made.text.expose();
    assert_eq!(made.expires_at_ms, START_MS + TICKET_LIFE_MS);
    for _ in 0..3 {
        house.clock.advance(TICKET_LIFE_MS - 1);
        assert_eq!(redeem(&house, text).await.unwrap(), b"that file");
    }
    house.clock.advance(TICKET_LIFE_MS);
    assert_eq!(redeem(&house, text).await, Err(SessionError::InvalidTicket));
}

#[tokio::test]
async fn a_ticket_is_its_session_s_and_no_other_s() {
    let house = House::new().await;
    let (one, two) = (house.log_in().await, house.log_in().await);
    let (one, two) = (house.authenticate(&one).await.unwrap(), house.authenticate(&two).await.unwrap());
    let mine = house.sessions.make_ticket(&one, b"1".to_vec()).await.unwrap();
    let other = house.sessions.make_ticket(&two, b"2".to_vec()).await.unwrap();
    house.sessions.revoke(two.view.id).await.unwrap();
    assert_eq!(redeem(&house, other.text.expose()).await, Err(SessionError::InvalidTicket));
    assert_eq!(redeem(&house, mine.text.expose()).await.unwrap(), b"1");
    let ticket = Ticket::from_hex(mine.text.expose()).unwrap();
    let in_another_epoch = house.sessions.redeem(&ticket, &client(HOME), EPOCH + 1).await;
    assert!(matches!(in_another_epoch, Err(SessionError::InvalidTicket)));
    assert_eq!(redeem(&house, mine.text.expose()).await, Err(SessionError::InvalidTicket), "its session is over");
}

#[tokio::test]
async fn what_is_no_ticket_opens_nothing_and_redis_does_not_know_one() {
    let house = House::private().await;
    let session = house.authenticate(&house.log_in().await).await.unwrap();
    let made = house.sessions.make_ticket(&session, b"canary-subject".to_vec()).await.unwrap();
    for text in ["", "0", &"0".repeat(63), &"0".repeat(65), &"A".repeat(64)] {
        assert!(Ticket::from_hex(text).is_none(), "{text}");
    }
    assert_eq!(redeem(&house, &"0".repeat(64)).await, Err(SessionError::InvalidTicket));
    let dump = house.redis.dump().await;
    let text = made.text.expose();
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    for secret in [text.as_bytes(), &bytes, b"canary-subject"] {
        assert!(!dump.windows(secret.len()).any(|window| window == secret));
    }
    let mut house = house;
    house.redis.kill();
    assert_eq!(redeem(&house, made.text.expose()).await, Err(SessionError::RedisUnavailable));
}
