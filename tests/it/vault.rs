//! The vault on its sealed log: a real Redis, a real S3 protocol, restarts.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use coffer::vault::{
    ANSWER_LIFE_MS, Actor, FileName, NodeId, NodePatch, NodeView, OnConflict, PageRequest, Sort, Target, Upkept, Vault,
    VaultError,
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use crate::kit::world::World;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn owner() -> Actor {
    Actor { request_id: "r".into(), ..Actor::default() }
}

fn with_key(key: u8) -> Actor {
    Actor { idempotency: Some([key; 32]), ..owner() }
}

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn new(parent: NodeId, text: &str, on_conflict: OnConflict) -> Target {
    Target::New { parent, name: name(text), on_conflict }
}

fn body(content: &'static [u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::iter(content.chunks(3).map(|piece| Ok(Bytes::from_static(piece))))
}

async fn put(vault: &Vault, target: Target, content: &'static [u8]) -> Result<NodeView, VaultError> {
    vault.upload(owner(), target, None, Some(content.len() as u64), body(content)).await
}

async fn get(vault: &Vault, id: NodeId) -> Vec<u8> {
    let file = vault.open(id, None).unwrap();
    vault.read(&file, 0..file.size_bytes).try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

fn names(vault: &Vault, folder: NodeId) -> Vec<String> {
    let request = PageRequest { cursor: None, limit: 1000 };
    let page = vault.children(folder, Sort::default(), &request).unwrap();
    page.items.into_iter().map(|node| node.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_there_after_a_restart() {
    let world = World::start().await;
    let (vault, log) = world.vault().await;
    let folder = vault.create_folder(owner(), NodeId::ROOT, name("Papers")).await.unwrap();
    let file = put(&vault, new(folder.id, "a.txt", OnConflict::Fail), b"first").await.unwrap();
    put(&vault, Target::Version { file: file.id, if_match: None }, b"second").await.unwrap();
    put(&vault, new(folder.id, "a.txt", OnConflict::KeepBoth), b"another").await.unwrap();
    let patch = NodePatch { name: Some(name("b.txt")), parent: Some(NodeId::ROOT), starred: Some(true) };
    let moved = vault.update(owner(), file.id, patch, None).await.unwrap();
    assert_eq!((moved.name.as_str(), moved.parent, moved.starred), ("b.txt", Some(NodeId::ROOT), true));
    vault.trash(owner(), folder.id, None).await.unwrap();
    log.stop().await;
    assert_eq!(vault.node(file.id), Err(VaultError::NotServing));

    let (vault, _log) = world.vault().await;
    assert_eq!(names(&vault, NodeId::ROOT), ["b.txt"]);
    assert_eq!(vault.node(file.id).unwrap(), moved);
    assert_eq!(get(&vault, file.id).await, b"second");
    let versions = vault.versions(file.id, &PageRequest { cursor: None, limit: 10 }).unwrap();
    let old = vault.open(file.id, Some(versions.items[1].id)).unwrap();
    assert_eq!(vault.read(&old, 1..3).try_collect::<Vec<Bytes>>().await.unwrap().concat(), b"ir");
    let restored = vault.restore(owner(), folder.id, None).await.unwrap();
    assert_eq!(restored.trashed_ms, None);
    assert_eq!(names(&vault, folder.id), ["a (2).txt"]);
    let stats = vault.stats().unwrap();
    assert_eq!((stats.bytes_used, stats.files, stats.folders), (5 + 6 + 7, 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_empties_the_trash_and_ends_old_versions_and_their_objects_go_last() {
    let world = World::start().await;
    let (vault, _log) = world.vault().await;
    let folder = vault.create_folder(owner(), NodeId::ROOT, name("f")).await.unwrap();
    let doomed = put(&vault, new(folder.id, "doomed", OnConflict::Fail), b"1").await.unwrap();
    let kept = put(&vault, new(NodeId::ROOT, "kept", OnConflict::Fail), b"22").await.unwrap();
    put(&vault, Target::Version { file: kept.id, if_match: None }, b"333").await.unwrap();
    vault.trash(owner(), folder.id, None).await.unwrap();
    world.clock.advance(15 * DAY_MS - 1);
    assert_eq!(vault.upkeep().await, Ok(Upkept::default()));
    assert_eq!(world.blobs().await.len(), 3);
    world.clock.advance(1);
    assert_eq!(vault.upkeep().await, Ok(Upkept { discarded: 1, purged: 2, deleted: 1 }));
    assert_eq!(vault.node(doomed.id), Err(VaultError::NotFound));
    assert_eq!(vault.restore(owner(), folder.id, None).await, Err(VaultError::NotFound));
    world.clock.advance(15 * DAY_MS);
    assert_eq!(vault.upkeep().await, Ok(Upkept { discarded: 0, purged: 1, deleted: 1 }));
    let only = vault.node(kept.id).unwrap().file.unwrap().id;
    assert_eq!(world.blobs().await, [format!("blob/{}", only.hex())]);
    assert_eq!(get(&vault, kept.id).await, b"333");
    assert_eq!(vault.stats().unwrap().bytes_used, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_interrupted_goes_on_in_the_next_process() {
    let world = World::start().await;
    let (vault, log) = world.vault().await;
    let file = put(&vault, new(NodeId::ROOT, "a", OnConflict::Fail), b"1").await.unwrap();
    let first = file.file.unwrap().id;
    put(&vault, Target::Version { file: file.id, if_match: None }, b"2").await.unwrap();
    vault.delete_version(owner(), file.id, first).await.unwrap();
    assert_eq!(world.blobs().await.len(), 2, "no upkeep runs here");
    log.stop().await;
    let (vault, _log) = world.vault().await;
    assert_eq!(vault.upkeep().await, Ok(Upkept { discarded: 0, purged: 0, deleted: 1 }));
    assert_eq!(world.blobs().await.len(), 1);
    assert_eq!(vault.upkeep().await, Ok(Upkept::default()));
    assert_eq!(get(&vault, file.id).await, b"2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_trash_is_gone_at_once() {
    let world = World::start().await;
    let (vault, _log) = world.vault().await;
    let folder = vault.create_folder(owner(), NodeId::ROOT, name("f")).await.unwrap();
    let inner = vault.create_folder(owner(), folder.id, name("g")).await.unwrap();
    let file = put(&vault, new(inner.id, "x", OnConflict::Fail), b"1").await.unwrap();
    let loose = put(&vault, new(NodeId::ROOT, "y", OnConflict::Fail), b"1").await.unwrap();
    assert_eq!(vault.delete_forever(owner(), loose.id).await, Err(VaultError::NotInTrash));
    vault.trash(owner(), folder.id, None).await.unwrap();
    vault.trash(owner(), loose.id, None).await.unwrap();
    let request = PageRequest { cursor: None, limit: 10 };
    assert_eq!(vault.trash_page(&request).unwrap().total, 2);
    vault.empty_trash(owner()).await.unwrap();
    assert_eq!(vault.trash_page(&request).unwrap().total, 0);
    for id in [folder.id, inner.id, file.id, loose.id] {
        assert_eq!(vault.node(id), Err(VaultError::NotFound));
    }
    assert_eq!(vault.upkeep().await.unwrap(), Upkept { discarded: 0, purged: 4, deleted: 2 });
    assert!(world.blobs().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_makes_nothing_twice() {
    let world = World::start().await;
    let (vault, log) = world.vault().await;
    let made = vault.create_folder(with_key(1), NodeId::ROOT, name("f")).await.unwrap();
    assert_eq!(vault.create_folder(with_key(1), NodeId::ROOT, name("f")).await.unwrap(), made);
    let other = vault.create_folder(with_key(1), NodeId::ROOT, name("g")).await;
    assert_eq!(other, Err(VaultError::IdempotencyConflict));
    let upload = async |vault: &Vault, content: &'static [u8]| {
        let target = new(made.id, "x", OnConflict::Fail);
        vault.upload(with_key(2), target, None, Some(3), body(content)).await
    };
    let file = upload(&vault, b"abc").await.unwrap();
    assert_eq!(upload(&vault, b"abc").await.unwrap(), file);
    log.stop().await;
    let (vault, _log) = world.vault().await;
    assert_eq!(upload(&vault, b"abc").await.unwrap(), file, "the answer is in the catalog");
    assert_eq!(world.blobs().await.len(), 1);
    world.clock.advance(ANSWER_LIFE_MS);
    assert!(matches!(upload(&vault, b"abc").await, Err(VaultError::Exists { existing }) if existing == file.id));
    let twins = (0..2).map(|_| vault.create_folder(with_key(3), NodeId::ROOT, name("twin")));
    let twins = futures_util::future::join_all(twins).await;
    assert_eq!(twins[0], twins[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_nothing_behind() {
    let mut world = World::start().await;
    world.config.storage_limit = Some(100);
    let (vault, _log) = world.vault().await;
    let file = put(&vault, new(NodeId::ROOT, "a", OnConflict::Fail), &[7; 60]).await.unwrap();
    let target = || new(NodeId::ROOT, "b", OnConflict::Fail);
    let full = VaultError::StorageFull { limit_bytes: 100 };
    let refuse = async |size: Option<u64>, content: &'static [u8]| {
        let refused = vault.upload(owner(), target(), None, size, body(content)).await.unwrap_err();
        assert_eq!(world.blobs().await.len(), 1, "{refused}");
        refused
    };
    assert_eq!(refuse(Some(41), &[1; 41]).await, full);
    assert_eq!(refuse(None, &[1; 41]).await, full, "an unannounced length is counted as it comes");
    assert_eq!(refuse(Some(1 << 21), b"").await, VaultError::TooLarge { max_bytes: 1 << 20 });
    assert_eq!(refuse(Some(5), b"123").await, VaultError::WrongLength);
    assert_eq!(refuse(Some(2), b"123").await, VaultError::WrongLength);
    assert_eq!(put(&vault, new(file.id, "x", OnConflict::Fail), b"").await, Err(VaultError::NotAFolder));
    let broken = body(b"1").chain(stream::once(async { Err(io::ErrorKind::ConnectionReset.into()) }));
    let broken = vault.upload(owner(), target(), None, None, broken).await;
    assert_eq!(broken, Err(VaultError::Interrupted(io::ErrorKind::ConnectionReset)));
    assert_eq!(names(&vault, NodeId::ROOT), ["a"]);
    put(&vault, target(), &[1; 40]).await.unwrap();
    assert_eq!(put(&vault, new(NodeId::ROOT, "c", OnConflict::Fail), b"1").await, Err(full));
    assert!(put(&vault, new(NodeId::ROOT, "c", OnConflict::Fail), b"").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_uploads_to_one_name_one_wins_and_the_other_s_object_goes() {
    let world = World::start().await;
    let (vault, _log) = world.vault().await;
    let (go, gate) = tokio::sync::watch::channel(false);
    let held = |mut gate: tokio::sync::watch::Receiver<bool>| {
        stream::once(async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(Bytes::from_static(b"x"))
        })
    };
    let upload = || vault.upload(owner(), new(NodeId::ROOT, "x", OnConflict::Fail), None, Some(1), held(gate.clone()));
    let open = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        go.send(true).unwrap();
    };
    let (first, second, ()) = tokio::join!(upload(), upload(), open);
    let (won, lost) = match first {
        Ok(won) => (won, second),
        lost => (second.unwrap(), lost),
    };
    assert_eq!(lost, Err(VaultError::Exists { existing: won.id }));
    vault.upkeep().await.unwrap();
    assert_eq!(world.blobs().await, [format!("blob/{}", won.file.unwrap().id.hex())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_have_a_limit_and_give_their_places_back() {
    let mut world = World::start().await;
    world.config.concurrent_uploads = 1;
    let (vault, _log) = world.vault().await;
    let (began, begins) = tokio::sync::oneshot::channel::<()>();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let held = stream::once(async move {
        began.send(()).unwrap();
        let _ = stopped.await;
        Err(io::ErrorKind::BrokenPipe.into())
    });
    let waiting = tokio::spawn({
        let vault = vault.clone();
        async move { vault.upload(owner(), new(NodeId::ROOT, "slow", OnConflict::Fail), None, None, held).await }
    });
    begins.await.unwrap();
    let second = put(&vault, new(NodeId::ROOT, "x", OnConflict::Fail), b"").await;
    assert_eq!(second, Err(VaultError::TooManyUploads));
    stop.send(()).unwrap();
    assert_eq!(waiting.await.unwrap(), Err(VaultError::Interrupted(io::ErrorKind::BrokenPipe)));
    put(&vault, new(NodeId::ROOT, "y", OnConflict::Fail), b"").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_is_reported_and_never_touched() {
    let world = World::start().await;
    let (vault, _log) = world.vault().await;
    put(&vault, new(NodeId::ROOT, "a", OnConflict::Fail), b"1").await.unwrap();
    assert_eq!(vault.orphans().await.unwrap(), []);
    let planted = ["blob/00000000000000000000000000000000", "blob/notes"];
    for key in planted {
        world.bucket.store().put(key, Bytes::from_static(b"planted")).await.unwrap();
    }
    let keys: Vec<String> = vault.orphans().await.unwrap().into_iter().map(|orphan| orphan.key).collect();
    assert_eq!(keys, planted);
    vault.upkeep().await.unwrap();
    assert_eq!(world.blobs().await.len(), 3);
    assert_eq!(names(&vault, NodeId::ROOT), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_epoch_rises_when_it_is_asked_to_and_when_redis_was_lost() {
    let mut world = World::start().await;
    let (vault, log) = world.vault().await;
    let before = vault.session_epoch().unwrap();
    vault.raise_session_epoch(owner()).await.unwrap();
    let raised = vault.session_epoch().unwrap();
    assert!(raised > before);
    log.stop().await;
    world.redis.flush_all().await;
    let (vault, log) = world.vault().await;
    let lost = vault.session_epoch().unwrap();
    assert!(lost > raised);
    log.stop().await;
    let (vault, _log) = world.vault().await;
    assert_eq!(vault.session_epoch().unwrap(), lost);
}
