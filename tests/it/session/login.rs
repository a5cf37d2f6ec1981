//! Logging in: equal answers for equal work, and so many tries.

use coffer::session::SessionError;

use super::{EMAIL, EPOCH, HOME, House, PASSWORD, SECOND_MS};
use crate::kit::TestRedis;

#[tokio::test]
async fn a_wrong_address_and_a_wrong_password_are_answered_alike_for_equal_work() {
    let house = House::new().await;
    let strangers = [("nobody@example.org", PASSWORD), (EMAIL, "wrong"), ("nobody@example.org", "wrong"), ("", "")];
    for (number, (email, password)) in strangers.into_iter().enumerate() {
        let refused = house.try_from(HOME, email, password).await.unwrap_err();
        assert_eq!(refused, SessionError::WrongCredentials, "{email:?} {password:?}");
        assert_eq!(house.owner.checks(), number as u64 + 1, "{email:?} {password:?}");
    }
    assert!(house.sessions.list(EPOCH).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_limit_lets_five_tries_through_and_then_locks_out_for_fifteen_minutes() {
    let house = House::new().await;
    for _ in 0..5 {
        assert_eq!(house.try_from(HOME, EMAIL, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
        house.clock.advance(60 * SECOND_MS);
    }
    let refused = house.try_from(HOME, EMAIL, PASSWORD).await.unwrap_err();
    assert_eq!(refused, SessionError::LockedOut { retry_after_secs: 900 }, "the right password too");
    assert_eq!(house.owner.checks(), 5, "a refused try costs no computation");
    house.clock.advance(900 * SECOND_MS - 1);
    assert_eq!(
        house.try_from(HOME, EMAIL, PASSWORD).await.unwrap_err(),
        SessionError::RateLimited { retry_after_secs: 1 }
    );
    house.clock.advance(1);
    assert_eq!(house.try_from(HOME, EMAIL, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
    house.log_in().await;
}

#[tokio::test]
async fn a_success_forgets_the_failures_before_it() {
    let house = House::new().await;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(house.try_from(HOME, EMAIL, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
        }
        house.log_in().await;
    }
}

#[tokio::test]
async fn case_and_addresses_of_one_network_do_not_pass_the_limit() {
    let house = House::with(TestRedis::start().await, |config| config.login_limit = 2);
    let same_network = [
        [("192.0.2.9", EMAIL), ("::ffff:192.0.2.9", "OWNER@example.org"), ("192.0.2.9", "Owner@Example.Org")],
        [("2001:db8::1", EMAIL), ("2001:db8::2:1:1:1", EMAIL), ("2001:db8::ffff:ffff:ffff:ffff", "x@example.org")],
    ];
    for [one, two, three] in same_network {
        for (address, email) in [one, two] {
            assert_eq!(house.try_from(address, email, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
        }
        let refused = house.try_from(three.0, three.1, "wrong").await.unwrap_err();
        assert!(matches!(refused, SessionError::LockedOut { .. }), "{three:?}");
    }
    assert_eq!(house.try_from("2001:db8:0:1::1", EMAIL, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
}

#[tokio::test]
async fn strangers_with_many_addresses_are_bounded_and_do_not_lock_the_owner_out() {
    let house = House::with(TestRedis::start().await, |config| config.login_limit = 1);
    house.log_in().await;
    let spellings = ["owner@example.org", "OWNER@EXAMPLE.ORG", "Owner@example.org"];
    for number in 0..20_u8 {
        let email = spellings[usize::from(number) % 3];
        let answer = house.try_from(&format!("198.51.100.{number}"), email, "wrong").await;
        assert_eq!(answer.unwrap_err(), SessionError::WrongCredentials, "{number}");
    }
    let checks = house.owner.checks();
    let begins = house.try_from("198.51.100.20", EMAIL, PASSWORD).await.unwrap_err();
    assert_eq!(begins, SessionError::LockedOut { retry_after_secs: 900 }, "one past the account's bound");
    for _ in 0..3 {
        let refused = house.try_from("198.51.100.20", EMAIL, PASSWORD).await.unwrap_err();
        assert_eq!(refused, SessionError::RateLimited { retry_after_secs: 900 });
    }
    assert_eq!(house.owner.checks(), checks);
    house.log_in().await;
    assert_eq!(
        house.try_from("198.51.100.20", "other@example.org", "x").await.unwrap_err(),
        SessionError::WrongCredentials
    );
}

#[tokio::test]
async fn tries_side_by_side_do_not_pass_the_limit() {
    let house = House::new().await;
    let tries: Vec<_> = (0..40).map(|_| house.try_from(HOME, EMAIL, "wrong")).collect();
    let answers = futures_util::future::join_all(tries).await;
    let checked = answers.iter().filter(|answer| matches!(answer, Err(SessionError::WrongCredentials))).count();
    let begun = answers.iter().filter(|answer| matches!(answer, Err(SessionError::LockedOut { .. }))).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(SessionError::RateLimited { .. }))).count();
    assert_eq!((checked, begun, refused, house.owner.checks()), (5, 1, 34, 5));
}

#[tokio::test]
async fn a_login_that_finds_no_room_to_be_checked_is_not_counted() {
    let house = House::with(TestRedis::start().await, |config| config.login_limit = 1);
    house.log_in().await;
    let crowd: Vec<_> = (0..18)
        .map(|_| {
            let owner = house.owner.clone();
            tokio::spawn(async move { owner.verify("", "").await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(house.try_from(HOME, EMAIL, PASSWORD).await.unwrap_err(), SessionError::Busy);
    for one in crowd {
        one.await.unwrap().unwrap();
    }
    house.log_in().await;
}
