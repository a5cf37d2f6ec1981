//! Committing, reading, checkpoints, forgetting, standing by.

use coffer::log::{CommitError, Status};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    for key in 0..20 {
        assert_eq!(put(&log, key, key * 2).await, Ok(key + 1));
    }
    let before = values(&log);
    log.stop().await;
    assert_eq!(*log.status().borrow(), Status::Stopped);
    assert!(log.read(|_| ()).is_err());
    assert_eq!(put(&log, 0, 0).await, Err(CommitError::NotServing));
    assert_eq!(world.reload(&vault).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_wait_share_an_entry_and_see_each_other() {
    let world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    let mut changes = log.changes();
    let increments = (0..200).map(|_| {
        let log = log.clone();
        tokio::spawn(async move {
            let increment = |map: &Map, _| {
                let value = map.values.get(&7).copied().unwrap_or(0) + 1;
                Ok::<_, ()>((vec![Change::Put { key: 7, value }], value))
            };
            log.commit(meta(), increment).await.unwrap()
        })
    });
    let mut committed = Vec::new();
    for increment in increments.collect::<Vec<_>>() {
        committed.push(increment.await.unwrap());
    }
    let mut seen: Vec<u64> = committed.iter().map(|committed| committed.value).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=200).collect::<Vec<_>>());
    let entries = world.keys_of(&vault, "log/catalog/").await.len();
    assert!(entries < 150, "200 commits made {entries} entries");
    committed.sort_unstable_by_key(|committed| (committed.seq, committed.index));
    assert!(committed.is_sorted_by_key(|committed| committed.value), "order of numbers is order of effect");
    for committed in &committed {
        let change = changes.recv().await.unwrap();
        assert_eq!((change.seq, change.index), (committed.seq, committed.index));
        assert_eq!(change.operation, Change::Put { key: 7, value: committed.value });
    }
    assert_eq!(values(&log), map([(7, 200)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_declines_or_does_not_apply_changes_nothing() {
    let world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    put(&log, 1, 1).await.unwrap();
    let declined = log.commit(meta(), |_, _| Err::<(Vec<Change>, ()), _>("no")).await;
    assert_eq!(declined.unwrap_err(), CommitError::Refused("no"));
    let halfway = vec![Change::Put { key: 2, value: 2 }, Change::Remove { key: 9 }];
    let wrong = log.commit(meta(), move |_, _| Ok::<_, ()>((halfway, ()))).await;
    assert!(matches!(wrong, Err(CommitError::Inconsistent(_))), "{wrong:?}");
    let nothing = log.commit(meta(), |_, _| Ok::<_, ()>((vec![], "read"))).await.unwrap();
    assert_eq!((nothing.value, nothing.seq), ("read", 1));
    assert_eq!(values(&log), map([(1, 1)]));
    log.stop().await;
    assert_eq!(world.reload(&vault).await, map([(1, 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_the_largest_size_fits_and_one_past_it_is_refused() {
    const LARGEST: usize = (8 << 20) - 26;
    let world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    let ballast = |size| move |_: &Map, _| Ok::<_, ()>((vec![Change::Ballast { bytes: vec![0; size] }], ()));
    let (largest, small) = tokio::join!(log.commit(meta(), ballast(LARGEST)), log.commit(meta(), ballast(4 << 20)));
    assert!(largest.is_ok() && small.is_ok(), "{largest:?} {small:?}");
    assert_eq!(log.commit(meta(), ballast(LARGEST + 1)).await, Err(CommitError::TooLarge));
    put(&log, 1, 1).await.unwrap();
    log.stop().await;
    assert_eq!(world.reload(&vault).await, map([(1, 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_taken_and_what_is_older_than_the_retention_is_forgotten_and_deleted() {
    let world = World::start().await;
    let mut vault = world.vault();
    vault.config.retention_days = 1;
    let log = world.serving(&vault).await;
    checkpointed(&world, &vault, &log, 0).await;
    let first = world.keys_of(&vault, "checkpoint/catalog/").await;
    world.clock.advance(2 * 86_400_000);
    checkpointed(&world, &vault, &log, 1).await;
    eventually(async || {
        let entries = world.keys_of(&vault, "log/catalog/").await;
        let checkpoints = world.keys_of(&vault, "checkpoint/catalog/").await;
        // The first checkpoint is the newest old one: it stays, the entries up to it go.
        first.iter().all(|key| checkpoints.contains(key)) && !entries[0].contains("/0000000000000000-")
    })
    .await;
    put(&log, 99, 99).await.unwrap();
    let before = values(&log);
    log.stop().await;
    assert_eq!(world.reload(&vault).await, before);
}

/// Commits enough bytes for a checkpoint and waits until it is committed.
pub(super) async fn checkpointed(world: &World, vault: &Vault, log: &Log<Map>, key: u64) {
    let heads = async || world.keys_of(vault, "checkpoint/").await.iter().filter(|key| key.ends_with("/head")).count();
    let before = heads().await;
    put(log, key, key).await.unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let ballast = vec![Change::Ballast { bytes: vec![0; 3 << 20] }];
        last = log.commit(meta(), move |_, _| Ok::<_, ()>((ballast, ()))).await.unwrap().seq;
    }
    let next = format!("log/catalog/{:016x}", last + 1);
    eventually(async || heads().await > before && *world.keys_of(vault, "log/").await.last().unwrap() > next).await;
}

/// Waits for something that happens in the background.
pub(super) async fn eventually(holds: impl AsyncFn() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect("it never came to hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_stands_by_and_takes_over_when_the_first_stops() {
    let world = World::start().await;
    let vault = world.vault();
    let first = world.serving(&vault).await;
    let second: Log<Map> = Log::start(world.parts(&vault));
    put(&first, 1, 1).await.unwrap();
    assert_eq!(*second.status().borrow(), Status::Standby);
    assert!(second.read(|_| ()).is_err());
    assert_eq!(put(&second, 1, 2).await, Err(CommitError::NotServing));
    first.stop().await;
    wait_for(&second, |status| matches!(status, Status::Serving { .. })).await;
    assert_eq!(values(&second), map([(1, 1)]));
    put(&second, 2, 2).await.unwrap();
    second.stop().await;
    assert_eq!(world.reload(&vault).await, map([(1, 1), (2, 2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn markers_of_earlier_writers_are_cleaned_up() {
    let world = World::start().await;
    let vault = world.vault();
    for _ in 0..4 {
        world.reload(&vault).await;
    }
    let log = world.serving(&vault).await;
    eventually(async || world.keys_of(&vault, "writer/").await.len() == 1).await;
    put(&log, 1, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_is_told_once_and_an_anchor_elsewhere_still_proves_the_head() {
    let mut world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut vault = world.vault();
    vault.config.state_dir = Some(folder.path().join("state"));
    let log = world.serving(&vault).await;
    let takeover = log.takeover().unwrap();
    assert!(takeover.trusted_first_load && !takeover.redis_was_lost);
    put(&log, 1, 1).await.unwrap();
    log.stop().await;
    world.redis.flush_all().await;
    let log = world.serving(&vault).await;
    let takeover = log.takeover().unwrap();
    assert!(!takeover.trusted_first_load && takeover.redis_was_lost);
    assert_eq!(values(&log), map([(1, 1)]));
    log.stop().await;
    let log = world.serving(&vault).await;
    let takeover = log.takeover().unwrap();
    assert!(!takeover.trusted_first_load && !takeover.redis_was_lost && takeover.forks.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_nothing_is_acknowledged_and_reads_end_with_the_lease() {
    let mut world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    put(&log, 1, 1).await.unwrap();
    world.redis.pause();
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { put(&log, 2, 2).await }
    });
    eventually(async || log.read(|_| ()).is_err()).await;
    assert_eq!(waiting.await.unwrap(), Err(CommitError::OutcomeUnknown));
    world.redis.resume();
    eventually(async || log.read(|_| ()).is_ok()).await;
    assert_eq!(values(&log), map([(1, 1), (2, 2)]), "the entry was written before the script was asked");
    put(&log, 3, 3).await.unwrap();
}
