//! A crash at every request of a process' life, against a plain map.

use super::*;
use crate::kit::proxy::{Fault, Proxy};

/// One process' life, up to its crash at one request; returns the map as it may be now: with and without the last change.
async fn life(
    world: &World,
    vault: &Vault,
    fault: Fault,
    step: usize,
    mut expected: BTreeMap<u64, u64>,
) -> [BTreeMap<u64, u64>; 2] {
    let proxy = Proxy::start(&world.bucket_url()).await;
    let trap = proxy.trap(fault, (step, usize::MAX), |_| true);
    let parts = world.parts_through(vault, proxy.url(), world.redis.url());
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (told, mut tell) = tokio::sync::mpsc::unbounded_channel();
    process.spawn(async move {
        let log = Log::<Map>::start(parts);
        wait_for(&log, |status| matches!(status, Status::Serving { .. })).await;
        for number in 0..8_u64 {
            let (key, value) = (number % 5, step as u64 * 100 + number);
            let ballast = if step.is_multiple_of(4) { 2 << 20 } else { 0 };
            let operations = vec![Change::Ballast { bytes: vec![0; ballast] }, Change::Put { key, value }];
            told.send((key, value, false)).unwrap();
            log.commit(meta(), move |_, _| Ok::<_, ()>((operations, ()))).await.unwrap();
            told.send((key, value, true)).unwrap();
        }
    });
    let ended = async {
        let mut open = None;
        while let Some((key, value, is_acknowledged)) = tell.recv().await {
            if is_acknowledged {
                expected.insert(key, value);
                open = None;
            } else {
                open = Some((key, value));
            }
        }
        open
    };
    let crash = async {
        trap.caught(1).await;
        process.shutdown_background();
        // Never ends: the crash itself ends the process' side of the channel.
        std::future::pending::<()>().await;
    };
    let open = tokio::select! {
        open = tokio::time::timeout(PATIENCE, ended) => open.expect("the process crashes or ends"),
        () = crash => unreachable!("it waits for ever"),
    };
    let mut with = expected.clone();
    with.extend(open);
    [expected, with]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_request_keeps_what_was_acknowledged_and_leaves_nothing_half() {
    let world = World::start().await;
    let vault = world.vault();
    let mut expected = BTreeMap::new();
    let steps = if std::env::var_os("COFFER_LONG").is_some() { 120 } else { 36 };
    for step in 0..steps {
        for fault in [Fault::LoseRequest, Fault::HoldAnswer] {
            let possible = life(&world, &vault, fault, step, expected).await;
            world.expire_lease(&vault).await;
            let found = world.reload(&vault).await;
            assert!(possible.contains(&found), "step {step}, {fault:?}: {found:?} is none of {possible:?}");
            expected = found;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_repeated_with_the_same_bytes_until_it_is_answered() {
    let world = World::start().await;
    for fault in [Fault::LoseRequest, Fault::LoseAnswer, Fault::Fail(503)] {
        for step in 0..2 {
            let vault = world.vault();
            let proxy = Proxy::start(&world.bucket_url()).await;
            let log = Log::<Map>::start(world.parts_through(&vault, proxy.url(), world.redis.url()));
            wait_for(&log, |status| matches!(status, Status::Serving { .. })).await;
            // Let the clean-up behind a take-over pass.
            put(&log, 1, 1).await.unwrap();
            let before = proxy.requests().len();
            let trap = proxy.trap(fault, (step, 6), |_| true);
            assert_eq!(put(&log, 2, 2).await, Ok(2), "{fault:?} {step}");
            assert_eq!(trap.count(), 6);
            let puts = proxy.requests().split_off(before).into_iter().filter(|line| line.starts_with("PUT"));
            let names: std::collections::BTreeSet<String> = puts.collect();
            assert_eq!(names.len(), 1, "one entry, one name: {names:?}");
            log.stop().await;
            assert_eq!(world.reload(&vault).await, map([(1, 1), (2, 2)]));
        }
    }
}
