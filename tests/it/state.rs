//! Sealed Redis over a real Redis: leases, anchors, sealed values, attempts, and Redis going and coming back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coffer::config::{RedisConfig, Secret};
use coffer::crypto::{KeyRing, RootKey, VaultId, VaultKeys, random};
use coffer::state::{Advance, Attempt, LONGEST_LOCKOUT_MS, MEMORY_MS, Redis, State, StateError, Ticket};

use crate::kit::TestRedis;

const MINUTE_MS: u64 = 60_000;
const TIMEOUT_MS: u64 = 1_000;
const ONE: [u8; 8] = [1; 8];
const TWO: [u8; 8] = [2; 8];

fn connect(redis: &TestRedis) -> Redis {
    Redis::new(&RedisConfig { url: Secret::new(redis.url().into()), timeout_ms: TIMEOUT_MS }).unwrap()
}

fn keys() -> VaultKeys {
    let ring = KeyRing::new(vec![RootKey::new("test".into(), &random::bytes())]).unwrap();
    VaultKeys::new(&ring, VaultId(random::bytes()))
}

/// A vault of this test's own, also on a shared server.
fn state(redis: &TestRedis) -> State {
    connect(redis).for_vault(keys())
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    assert!(state.acquire_lease(ONE, MINUTE_MS).await.unwrap());
    assert!(state.acquire_lease(ONE, MINUTE_MS).await.unwrap(), "asking again after a lost answer");
    assert!(!state.acquire_lease(TWO, MINUTE_MS).await.unwrap());
    assert!(!state.renew_lease(TWO, MINUTE_MS).await.unwrap());
    state.release_lease(TWO).await.unwrap();
    assert!(state.renew_lease(ONE, MINUTE_MS).await.unwrap(), "another's release changes nothing");
    state.release_lease(ONE).await.unwrap();
    assert!(!state.renew_lease(ONE, MINUTE_MS).await.unwrap(), "a released lease is lost");
    assert!(state.acquire_lease(TWO, MINUTE_MS).await.unwrap());
}

#[tokio::test]
async fn a_lease_ends_by_itself_and_a_renewed_one_does_not() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    assert!(state.acquire_lease(ONE, 50).await.unwrap());
    let begun = Instant::now();
    while !state.acquire_lease(TWO, MINUTE_MS).await.unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the lease never ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(40), "the lease ended early");
    assert!(!state.renew_lease(ONE, MINUTE_MS).await.unwrap());
}

#[tokio::test]
async fn of_many_writers_at_once_one_gets_the_lease() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    let tries = (0..50_u8).map(|number| {
        let state = state.clone();
        tokio::spawn(async move { state.acquire_lease([number; 8], MINUTE_MS).await.unwrap() })
    });
    let mut winners = 0;
    for one in tries.collect::<Vec<_>>() {
        winners += usize::from(one.await.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn leases_of_two_vaults_do_not_meet() {
    let redis = TestRedis::start().await;
    assert!(state(&redis).acquire_lease(ONE, MINUTE_MS).await.unwrap());
    assert!(state(&redis).acquire_lease(TWO, MINUTE_MS).await.unwrap());
}

#[tokio::test]
async fn one_process_at_a_time_may_make_a_vault_at_a_place() {
    let server = TestRedis::start().await;
    let (redis, place, elsewhere) = (connect(&server), random::bytes(), random::bytes());
    let first = redis.bootstrap_lease(&place, MINUTE_MS).await.unwrap().unwrap();
    assert!(redis.bootstrap_lease(&place, MINUTE_MS).await.unwrap().is_none());
    assert!(redis.bootstrap_lease(&elsewhere, MINUTE_MS).await.unwrap().is_some());
    assert!(first.renew(MINUTE_MS).await.unwrap());
    first.release().await.unwrap();
    assert!(redis.bootstrap_lease(&place, MINUTE_MS).await.unwrap().is_some());

    assert_eq!(redis.remembered_vault(&place).await.unwrap(), None);
    redis.remember_vault(&place, VaultId([7; 16])).await.unwrap();
    assert_eq!(redis.remembered_vault(&place).await.unwrap(), Some(VaultId([7; 16])));
    assert_eq!(redis.remembered_vault(&elsewhere).await.unwrap(), None);
}

#[tokio::test]
async fn an_anchor_moves_only_from_its_parent_and_only_for_the_writer() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    assert_eq!(state.anchor("catalog").await.unwrap(), None);
    assert_eq!(state.advance_anchor("catalog", ONE, None, b"a").await.unwrap(), Advance::NotWriter);
    assert!(!state.set_anchor("catalog", ONE, b"a").await.unwrap());
    assert!(state.acquire_lease(ONE, MINUTE_MS).await.unwrap());

    assert_eq!(state.advance_anchor("catalog", ONE, Some(b"x"), b"a").await.unwrap(), Advance::NotParent);
    assert_eq!(state.advance_anchor("catalog", ONE, None, b"a").await.unwrap(), Advance::Done);
    assert_eq!(state.advance_anchor("catalog", ONE, None, b"a").await.unwrap(), Advance::Done, "an unanswered script");
    assert_eq!(state.advance_anchor("catalog", ONE, None, b"b").await.unwrap(), Advance::NotParent);
    assert_eq!(state.advance_anchor("catalog", TWO, Some(b"a"), b"b").await.unwrap(), Advance::NotWriter);
    assert_eq!(state.advance_anchor("catalog", ONE, Some(b"a"), b"b").await.unwrap(), Advance::Done);
    assert_eq!(state.anchor("catalog").await.unwrap().as_deref(), Some(b"b".as_slice()));
    assert_eq!(state.anchor("audit").await.unwrap(), None, "each log has its own");

    state.release_lease(ONE).await.unwrap();
    assert!(state.acquire_lease(TWO, MINUTE_MS).await.unwrap());
    assert_eq!(
        state.advance_anchor("catalog", ONE, Some(b"a"), b"b").await.unwrap(),
        Advance::Done,
        "what was done under the lease stands for one who asks again"
    );
    assert_eq!(state.advance_anchor("catalog", ONE, Some(b"b"), b"c").await.unwrap(), Advance::NotWriter);
    assert!(!state.set_anchor("catalog", ONE, b"c").await.unwrap());
    assert!(state.set_anchor("catalog", TWO, b"c").await.unwrap());
    assert_eq!(state.anchor("catalog").await.unwrap().as_deref(), Some(b"c".as_slice()));
}

#[tokio::test]
async fn a_value_comes_back_as_it_was_put_until_it_ends_or_is_deleted() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    let (key, short) = (state.key("kind", "one"), state.key("kind", "short"));
    assert!(state.get(&key).await.unwrap().is_none());
    state.put(&key, b"value", MINUTE_MS).await.unwrap();
    assert_eq!(state.get(&key).await.unwrap().unwrap().as_slice(), b"value");
    assert!(!state.put_new(&key, b"other", MINUTE_MS).await.unwrap());
    assert_eq!(state.get(&key).await.unwrap().unwrap().as_slice(), b"value");
    assert!(state.delete(&key).await.unwrap());
    assert!(!state.delete(&key).await.unwrap());
    assert!(state.put_new(&key, b"", MINUTE_MS).await.unwrap());
    assert!(state.get(&key).await.unwrap().unwrap().is_empty());

    state.put(&short, b"value", 1).await.unwrap();
    let begun = Instant::now();
    while state.get(&short).await.unwrap().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the value never ended");
    }
}

#[tokio::test]
async fn swapped_altered_and_foreign_values_are_refused() {
    let redis = TestRedis::private().await;
    let state = state(&redis);
    let (one, two) = (state.key("kind", "one"), state.key("kind", "two"));
    state.put(&one, b"first", MINUTE_MS).await.unwrap();
    state.put(&two, b"second", MINUTE_MS).await.unwrap();
    let table = state.table("table");
    assert!(table.add("a", b"first", 9, MINUTE_MS, &[]).await.unwrap());
    assert!(table.add("b", b"second", 9, MINUTE_MS, &[]).await.unwrap());

    let mut raw = redis.connection().await;
    let name = |end: &str| format!("{}:{end}", state.vault_id().hex());
    let sealed: Vec<u8> = redis::Cmd::get(name("kind:one")).query_async(&mut raw).await.unwrap();
    let field: Vec<u8> = redis::Cmd::hget(name("table"), "a").query_async(&mut raw).await.unwrap();
    let foreign = keys().seal(coffer::crypto::Label::Redis, name("kind:two").as_bytes(), b"forged");
    let mut altered: Vec<Vec<u8>> = (0..sealed.len())
        .map(|position| {
            let mut bytes = sealed.clone();
            bytes[position] ^= 1;
            bytes
        })
        .collect();
    altered.extend([vec![], sealed[..sealed.len() - 1].to_vec(), [&sealed[..], &[0]].concat()]);
    for bytes in altered {
        redis::Cmd::set(name("kind:one"), bytes).exec_async(&mut raw).await.unwrap();
        assert_eq!(state.get(&one).await.err(), Some(StateError::Corrupt));
    }
    for bytes in [sealed, field.clone(), foreign, b"second".to_vec()] {
        redis::Cmd::set(name("kind:two"), bytes).exec_async(&mut raw).await.unwrap();
        assert_eq!(state.get(&two).await.err(), Some(StateError::Corrupt));
    }

    redis::Cmd::hset(name("table"), "b", field).exec_async(&mut raw).await.unwrap();
    assert_eq!(table.get("b").await.err(), Some(StateError::Corrupt));
    assert_eq!(table.get("a").await.unwrap().unwrap().value.as_slice(), b"first", "the others are untouched");
    let all = table.all().await.unwrap();
    assert_eq!(
        all.iter().filter(|(_, found)| found.is_err()).map(|(field, _)| field.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
}

#[tokio::test]
async fn a_table_holds_so_many_and_replaces_only_what_was_found() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    let table = state.table("table");
    assert!(table.add("a", b"1", 2, MINUTE_MS, &[]).await.unwrap());
    assert!(table.add("b", b"2", 2, MINUTE_MS, &[]).await.unwrap());
    assert!(!table.add("c", b"3", 2, MINUTE_MS, &[]).await.unwrap(), "one past the limit");
    assert!(table.add("b", b"4", 2, MINUTE_MS, &[]).await.unwrap(), "one that is there needs no room");
    assert!(table.add("c", b"3", 2, MINUTE_MS, &["a".into()]).await.unwrap());
    assert!(table.get("a").await.unwrap().is_none());

    let (found, stale) = (table.get("b").await.unwrap().unwrap(), table.get("b").await.unwrap().unwrap());
    assert!(table.replace("b", &found, b"5").await.unwrap());
    assert!(!table.replace("b", &stale, b"6").await.unwrap());
    assert_eq!(table.get("b").await.unwrap().unwrap().value.as_slice(), b"5");
    let found = table.get("b").await.unwrap().unwrap();
    assert!(table.remove("b").await.unwrap());
    assert!(!table.remove("b").await.unwrap());
    assert!(!table.replace("b", &found, b"7").await.unwrap(), "what was removed stays removed");

    assert!(table.add("d", b"8", 9, MINUTE_MS, &[]).await.unwrap());
    table.clear(Some("d")).await.unwrap();
    assert_eq!(table.all().await.unwrap().into_iter().map(|(field, _)| field).collect::<Vec<_>>(), ["d"]);
    table.clear(Some("absent")).await.unwrap();
    assert!(table.all().await.unwrap().is_empty());
    table.clear(None).await.unwrap();
}

#[tokio::test]
async fn attempts_are_let_through_up_to_the_limit_and_then_locked_out_longer_each_time() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    let key = state.key("attempts", "one");
    let attempt = async |now_ms| state.attempt(&key, &Ticket::new(), 3, 1_000, now_ms).await.unwrap();
    let refused = |retry_after_ms, begins| Attempt::Refused { retry_after_ms, begins };
    assert_eq!(attempt(10_000).await, Attempt::Allowed);
    assert_eq!(attempt(10_900).await, Attempt::Allowed);
    let third = Ticket::new();
    assert_eq!(state.attempt(&key, &third, 3, 1_000, 10_900).await.unwrap(), Attempt::Allowed);
    assert_eq!(state.attempt(&key, &third, 3, 1_000, 10_900).await.unwrap(), Attempt::Allowed, "the same one again");
    assert_eq!(attempt(11_000).await, Attempt::Allowed, "the first has left the window");
    state.give_back(&key, &third).await.unwrap();
    assert_eq!(attempt(11_000).await, Attempt::Allowed);
    assert_eq!(attempt(11_000).await, refused(1_000, true));
    assert_eq!(attempt(11_999).await, refused(1, false));
    assert_eq!(attempt(5_000).await, refused(7_000, false), "the clock was set back");
    for _ in 0..3 {
        assert_eq!(attempt(12_000).await, Attempt::Allowed, "a lock-out ends with a window of its own");
    }
    assert_eq!(attempt(12_000).await, refused(2_000, true), "twice as long");
    let later = 12_000 + MEMORY_MS;
    for _ in 0..3 {
        assert_eq!(attempt(later).await, Attempt::Allowed);
    }
    assert_eq!(attempt(later).await, refused(4_000, true));
    for _ in 0..30 {
        let Attempt::Refused { retry_after_ms, .. } = attempt(later).await else { continue };
        assert!(retry_after_ms <= LONGEST_LOCKOUT_MS);
    }
    let none = state.attempt(&state.key("attempts", "none"), &Ticket::new(), 0, 1_000, 5_000).await.unwrap();
    assert_eq!(none, refused(1_000, true));
    let other = state.key("attempts", "two");
    assert_eq!(state.attempt(&other, &Ticket::new(), 3, 1_000, 11_000).await.unwrap(), Attempt::Allowed);
}

#[tokio::test]
async fn a_lock_out_is_never_longer_than_a_day() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    let (key, window_ms) = (state.key("attempts", "long"), 15 * MINUTE_MS);
    let (mut now_ms, mut waits) = (1_800_000_000_000, Vec::new());
    while waits.len() < 12 {
        match state.attempt(&key, &Ticket::new(), 1, window_ms, now_ms).await.unwrap() {
            Attempt::Allowed => {}
            Attempt::Refused { retry_after_ms, .. } => {
                waits.push(retry_after_ms);
                now_ms += retry_after_ms;
            }
        }
    }
    assert_eq!(waits[..3], [window_ms, 2 * window_ms, 4 * window_ms]);
    assert_eq!(waits[11], LONGEST_LOCKOUT_MS);
}

#[tokio::test]
async fn attempts_side_by_side_do_not_pass_the_limit() {
    let redis = TestRedis::start().await;
    let state = state(&redis);
    let tries = (0..50).map(|_| {
        let (state, key) = (state.clone(), state.key("attempts", "one"));
        tokio::spawn(async move { state.attempt(&key, &Ticket::new(), 5, MINUTE_MS, 1_000).await.unwrap() })
    });
    let mut allowed = 0;
    for one in tries.collect::<Vec<_>>() {
        allowed += usize::from(one.await.unwrap() == Attempt::Allowed);
    }
    assert_eq!(allowed, 5);
}

#[tokio::test]
async fn a_stopped_redis_is_unavailable_at_once_and_back_by_itself() {
    let mut redis = TestRedis::private().await;
    let state = state(&redis);
    let key = state.key("kind", "one");
    state.put(&key, b"value", MINUTE_MS).await.unwrap();
    for _ in 0..2 {
        redis.kill();
        for _ in 0..20 {
            let begun = Instant::now();
            assert_eq!(state.get(&key).await.err(), Some(StateError::Unavailable));
            assert!(begun.elapsed() < Duration::from_millis(TIMEOUT_MS), "a refused connection needs no timeout");
        }
        redis.restart().await;
        assert_eq!(state.get(&key).await.unwrap().unwrap().as_slice(), b"value", "the first call after the return");
    }
}

#[tokio::test]
async fn a_restart_between_two_commands_goes_unnoticed() {
    let mut redis = TestRedis::private().await;
    let state = state(&redis);
    assert!(state.acquire_lease(ONE, MINUTE_MS).await.unwrap());
    redis.restart().await;
    assert!(state.renew_lease(ONE, MINUTE_MS).await.unwrap(), "by a script that the new process does not know yet");
}

#[tokio::test]
async fn a_redis_that_hangs_costs_one_timeout_and_then_nothing() {
    let mut redis = TestRedis::private().await;
    let state = state(&redis);
    state.ping().await.unwrap();
    redis.pause();
    let begun = Instant::now();
    let calls = (0..20).map(|_| {
        let state = state.clone();
        tokio::spawn(async move { state.ping().await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), Err(StateError::Unavailable));
    }
    let limit = Duration::from_millis(TIMEOUT_MS);
    assert!(begun.elapsed() >= limit && begun.elapsed() < limit * 2, "{:?}", begun.elapsed());

    // While one caller knocks, the others do not wait as long as it does.
    let knocking = tokio::spawn({
        let state = state.clone();
        async move { state.ping().await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    assert_eq!(state.ping().await, Err(StateError::Unavailable));
    assert!(begun.elapsed() < limit, "{:?}", begun.elapsed());
    assert_eq!(knocking.await.unwrap(), Err(StateError::Unavailable));

    redis.resume();
    state.ping().await.unwrap();
}

#[tokio::test]
async fn so_many_commands_may_be_in_flight_and_one_more_is_refused_at_once() {
    let mut redis = TestRedis::private().await;
    let state = state(&redis);
    state.ping().await.unwrap();
    redis.pause();
    let on_their_way = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..1_024)
        .map(|_| {
            let (state, on_their_way) = (state.clone(), on_their_way.clone());
            tokio::spawn(async move {
                let begun = Instant::now();
                on_their_way.fetch_add(1, Ordering::Relaxed);
                (state.ping().await, begun.elapsed())
            })
        })
        .collect();
    while on_their_way.load(Ordering::Relaxed) < calls.len() {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    assert_eq!(state.ping().await, Err(StateError::Unavailable));
    assert!(begun.elapsed() < Duration::from_millis(TIMEOUT_MS / 2), "{:?}", begun.elapsed());
    for call in calls {
        let (answer, waited) = call.await.unwrap();
        assert_eq!(answer, Err(StateError::Unavailable));
        assert!(waited >= Duration::from_millis(TIMEOUT_MS), "{waited:?}: it was let in");
    }
    redis.resume();
    state.ping().await.unwrap();
}

#[tokio::test]
async fn a_redis_that_refuses_is_unavailable() {
    let redis = TestRedis::private().await;
    let state = state(&redis);
    let key = state.key("kind", "one");
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").exec_async(&mut redis.connection().await).await.unwrap();
    assert_eq!(state.put(&key, b"value", MINUTE_MS).await, Err(StateError::Unavailable));
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("0").exec_async(&mut redis.connection().await).await.unwrap();
    state.put(&key, b"value", MINUTE_MS).await.unwrap();
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for url in ["", "canary-password", "http://canary-password@127.0.0.1/", "redis://127.0.0.1/canary-password"] {
        let config = RedisConfig { url: Secret::new(url.into()), timeout_ms: TIMEOUT_MS };
        let error = Redis::new(&config).err().unwrap();
        assert!(!format!("{error} {error:?}").contains("canary"), "{url}");
    }
}

#[tokio::test]
async fn a_dump_shows_no_value_in_clear() {
    let redis = TestRedis::private().await;
    let state = state(&redis);
    state.put(&state.key("kind", "one"), b"canary-value", MINUTE_MS).await.unwrap();
    assert!(state.table("table").add("field", b"canary-field", 9, MINUTE_MS, &[]).await.unwrap());
    let dump = redis.dump().await;
    let holds = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("kind:one"), "the dump is the real one");
    assert!(!holds("canary"));
}
