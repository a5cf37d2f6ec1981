//! Two writers, paused and resumed at every step, on a store whose conditions are never used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::basics::eventually;
use super::*;
use crate::kit::proxy::{Fault, Proxy};
use crate::kit::redis_gate::RedisGate;

/// More requests than a take-over and a commit make.
const STEPS: usize = 16;

/// A process whose every request can be held.
struct Process {
    proxy: Proxy,
    gate: RedisGate,
}

impl Process {
    async fn new(world: &World) -> Self {
        Self { proxy: Proxy::start(&world.bucket_url()).await, gate: RedisGate::start(&world.redis).await }
    }

    fn start(&self, world: &World, vault: &Vault) -> Log<Map> {
        Log::start(world.parts_through(vault, self.proxy.url(), self.gate.url()))
    }
}

fn is_serving(status: &Status) -> bool {
    matches!(status, Status::Serving { .. })
}

/// Whether the whole process stands still (SIGSTOP), Redis included, or only its bucket is slow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stillness {
    Process,
    Bucket,
}

/// What the first writer does while it is paused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Commit,
    TakeOver,
}

#[derive(Clone, Copy, Debug)]
struct Schedule {
    act: Act,
    step: usize,
    fault: Fault,
    stillness: Stillness,
}

/// Pauses the first writer at one step, lets a second one take over and commit, and lets the first go on. Returns
/// whether there was such a step.
async fn contest(world: &World, schedule: Schedule) -> bool {
    let Schedule { act, step, fault, stillness } = schedule;
    let vault = world.vault();
    let mut acknowledged = vec![];
    let process = Process::new(world).await;
    let before = world.serving(&vault).await;
    put(&before, 1, 1).await.unwrap();
    acknowledged.push(1);
    before.stop().await;
    let first;
    let trap;
    if act == Act::Commit {
        first = process.start(world, &vault);
        wait_for(&first, is_serving).await;
        trap = process.proxy.trap(fault, (step, 1), |_| true);
    } else {
        trap = process.proxy.trap(fault, (step, 1), |_| true);
        first = process.start(world, &vault);
    }
    let commit = tokio::spawn({
        let first = first.clone();
        async move {
            wait_for(&first, is_serving).await;
            put(&first, 2, 2).await
        }
    });
    let was_paused = tokio::select! {
        () = trap.caught(1) => true,
        () = async { while !commit.is_finished() { tokio::time::sleep(Duration::from_millis(5)).await } } => false,
    };
    if stillness == Stillness::Process {
        process.gate.close();
    }
    if was_paused {
        let second = usurp(world, &vault, fault).await;
        let is_third_acknowledged = put(&second, 3, 3).await.is_ok();
        // A request that was lost to its sender is sent again at once, and the marker that follows may be the higher one.
        assert!(is_third_acknowledged || fault == Fault::Late, "{schedule:?}: nobody was in the way");
        acknowledged.extend(is_third_acknowledged.then_some(3));
        let read = second.read(|map| map.values.clone()).unwrap_or_default();
        trap.release();
        trap.done().await;
        process.gate.open();
        // The first writer's marker may turn out the higher one: then this one steps down, and that is told.
        let is_fourth_acknowledged = put(&second, 4, 4).await.is_ok();
        acknowledged.extend(is_fourth_acknowledged.then_some(4));
        if is_third_acknowledged && is_fourth_acknowledged {
            let now = second.read(|map| map.values.clone()).unwrap_or_else(|_| read.clone());
            assert!(read.iter().all(|pair| now.get(pair.0) == Some(pair.1)), "{schedule:?}: what was read is gone");
        }
        second.stop().await;
    } else {
        process.gate.open();
    }
    let first_put = tokio::time::timeout(PATIENCE, commit).await.unwrap_or_else(|_| panic!("{schedule:?}")).unwrap();
    acknowledged.extend(first_put.map(|_| 2));
    first.stop().await;
    world.expire_lease(&vault).await;
    let found = world.reload(&vault).await;
    for key in acknowledged {
        assert_eq!(found.get(&key), Some(&key), "{schedule:?}: acknowledged {key} is lost, found {found:?}");
    }
    assert!(found.iter().all(|(key, value)| key == value && *key <= 4), "{schedule:?}: {found:?}");
    was_paused
}

/// A second process that serves. A first one whose request was only lost is awake, and may get the lease back with the
/// higher marker; then it loses it once more.
async fn usurp(world: &World, vault: &Vault, fault: Fault) -> Log<Map> {
    world.expire_lease(vault).await;
    let second = Log::start(world.parts(vault));
    let expire_again = async {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if fault == Fault::Late {
                world.expire_lease(vault).await;
            }
        }
    };
    tokio::select! {
        _ = wait_for(&second, is_serving) => second,
        () = expire_again => unreachable!("it goes on for ever"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_paused_and_resumed_at_every_step_lose_nothing_acknowledged() {
    let world = World::start().await;
    let world = &world;
    for fault in [Fault::HoldRequest, Fault::HoldAnswer, Fault::Late] {
        for stillness in [Stillness::Process, Stillness::Bucket] {
            for act in [Act::Commit, Act::TakeOver] {
                let last = if act == Act::Commit { 2 } else { STEPS };
                let schedules = (0..last).map(|step| Schedule { act, step, fault, stillness });
                let paused = join_all(schedules.map(|schedule| contest(world, schedule))).await;
                assert!(paused[0] && paused[1], "the first steps exist");
                assert!(act == Act::Commit || !paused[STEPS - 1], "{STEPS} steps are not all of a take-over");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_paused_before_the_anchor_s_script_does_not_acknowledge() {
    let world = World::start().await;
    let vault = world.vault();
    let process = Process::new(&world).await;
    let first = process.start(&world, &vault);
    wait_for(&first, is_serving).await;
    put(&first, 1, 1).await.unwrap();
    let trap =
        process.proxy.trap(Fault::HoldAnswer, (0, 1), |line| line.contains("prefix=") && line.contains("writer/"));
    let commit = tokio::spawn({
        let first = first.clone();
        async move { put(&first, 2, 2).await }
    });
    trap.caught(1).await;
    process.gate.close();
    trap.release();
    process.gate.knocked().await;
    world.expire_lease(&vault).await;
    let second = world.serving(&vault).await;
    assert_eq!(values(&second), map([(1, 1), (2, 2)]), "the entry was there before the second's marker");
    put(&second, 3, 3).await.unwrap();
    process.gate.open();
    assert_eq!(commit.await.unwrap(), Err(CommitError::OutcomeUnknown));
    assert!(first.read(|_| ()).is_err(), "a replaced writer answers no reads");
    put(&second, 4, 4).await.unwrap();
    second.stop().await;
    first.stop().await;
    assert_eq!(world.reload(&vault).await, map([(1, 1), (2, 2), (3, 3), (4, 4)]));
}

/// Random numbers that a seed repeats (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Commits one number after another and remembers what was acknowledged.
async fn hammer(log: Log<Map>, first: u64, ends: Arc<AtomicBool>, acknowledged: Arc<Mutex<Vec<u64>>>) {
    let mut key = first;
    while !ends.load(Ordering::Relaxed) {
        match put(&log, key, key).await {
            Ok(_) => acknowledged.lock().push(key),
            Err(CommitError::NotServing) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(CommitError::OutcomeUnknown) => {}
            Err(error) => panic!("{error:?}"),
        }
        key += 1;
    }
}

/// Both processes commit all the time while leases end, Redis is emptied, processes stand still and PUTs come late.
async fn live(seed: u64, turns: usize) {
    let mut world = World::start().await;
    let vault = world.vault();
    let mut dice = Dice(seed);
    let processes = [Process::new(&world).await, Process::new(&world).await];
    let logs = processes.each_ref().map(|process| process.start(&world, &vault));
    let (ends, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(vec![])));
    let hammers = logs.each_ref().map(|log| log.clone()).into_iter().zip([0, 1_000_000]);
    let hammers: Vec<_> = hammers
        .map(|(log, first)| tokio::spawn(hammer(log, first, Arc::clone(&ends), Arc::clone(&acknowledged))))
        .collect();
    let mut late = vec![];
    for _ in 0..turns {
        let process = &processes[dice.roll(2) as usize];
        match dice.roll(6) {
            0 => world.expire_lease(&vault).await,
            1 => world.redis.flush_all().await,
            2 => process.gate.close(),
            3 => late.push(
                process.proxy.trap(Fault::Late, (0, 1), |line| line.starts_with("PUT") && line.contains("/log/")),
            ),
            4 => late.push(process.proxy.trap(Fault::HoldAnswer, (dice.roll(3) as usize, 1), |_| true)),
            _ => late.clear(),
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(150))).await;
        if dice.roll(2) == 0 {
            processes.iter().for_each(|process| process.gate.open());
        }
        for log in &logs {
            let status = log.status().borrow().clone();
            assert!(!matches!(status, Status::ReadOnly { .. } | Status::Refused { .. }), "seed {seed}: {status:?}");
        }
    }
    late.clear();
    processes.iter().for_each(|process| process.gate.open());
    // Whatever happened, one of them serves again; a slow machine may not have come so far before.
    let before = acknowledged.lock().len();
    eventually(async || acknowledged.lock().len() > before).await;
    ends.store(true, Ordering::Relaxed);
    for hammer in hammers {
        hammer.await.unwrap();
    }
    for log in &logs {
        log.stop().await;
    }
    world.expire_lease(&vault).await;
    let found = world.reload(&vault).await;
    for key in acknowledged.lock().iter() {
        assert_eq!(found.get(key), Some(key), "seed {seed}: acknowledged {key} is lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_live_writers_lose_nothing_acknowledged_whatever_happens_to_lease_redis_and_puts() {
    let (runs, turns) = if std::env::var_os("COFFER_LONG").is_some() { (100, 60) } else { (3, 25) };
    for _ in 0..runs {
        live(u64::from_be_bytes(random::bytes()), turns).await;
    }
}
