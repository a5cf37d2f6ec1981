//! What time ends, and what is found in the bucket afterwards: nothing.

use bytes::Bytes;
use coffer::config::Clock;
use coffer::crypto::{BlobId, ContentHash, Dek, PartContext, seal_part, sha256};
use coffer::store::{Abilities, PartChecksum};
use coffer::vault::{
    Actor, Checksum, FileName, NodeId, NodeView, OnConflict, OpenUpload, PartToConfirm, PartToSign, Swept, Target,
    Vault, VaultError,
};

use futures_util::TryStreamExt;

use super::text;
use crate::kit::world::World;

const PART: usize = 8 << 20;
const HOUR_MS: u64 = 60 * 60 * 1000;

fn owner() -> Actor {
    Actor { request_id: "r".into(), ..Actor::default() }
}

async fn begin(vault: &Vault, name: &str, size: usize) -> OpenUpload {
    let target =
        Target::New { parent: NodeId::ROOT, name: FileName::parse(name).unwrap(), on_conflict: OnConflict::Fail };
    vault.begin_upload(&owner(), target, size as u64, None).await.unwrap()
}

/// Seals all parts.
fn seal(upload: &OpenUpload, content: &[u8]) -> Vec<(PartToSign, Vec<u8>)> {
    use md5::Digest as _;
    let plan = &upload.plan;
    let dek: Dek = upload.key.clone();
    let count = plan.geometry.part_count(plan.size_bytes);
    let seal = |part: u32| {
        let start = part as usize * PART;
        let context = PartContext {
            vault_id: plan.vault_id,
            blob_id: plan.id,
            geometry: plan.geometry,
            part,
            is_final: part + 1 == count,
        };
        let mut bytes = Vec::new();
        let salt = seal_part(&dek, &context, &content[start..content.len().min(start + PART)], &mut bytes);
        let md5 = Some(md5::Md5::digest(&bytes).into());
        (PartToSign { part, length: bytes.len() as u64, salt, sha256: sha256(&bytes), md5 }, bytes)
    };
    (0..count).map(seal).collect()
}

/// Sends sealed parts; gives the statuses and what to confirm.
async fn send(vault: &Vault, id: BlobId, parts: &[(PartToSign, Vec<u8>)]) -> Vec<(u16, PartToConfirm)> {
    let wanted = parts.iter().map(|(part, _)| part.clone()).collect();
    let urls = vault.sign_parts(&owner(), id, wanted).await.unwrap();
    let mut sent = Vec::new();
    for ((part, bytes), url) in parts.iter().zip(urls) {
        let put = url.put;
        let mut request = reqwest::Client::new().put(put.url);
        for (name, value) in put.headers {
            request = request.header(name, value);
        }
        let answer = request.body(bytes.clone()).send().await.unwrap();
        let etag = answer.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
        sent.push((answer.status().as_u16(), PartToConfirm { part: part.part, salt: part.salt, etag }));
    }
    sent
}

async fn send_all(vault: &Vault, upload: &OpenUpload, content: &[u8]) {
    let sent = send(vault, upload.plan.id, &seal(upload, content)).await;
    assert!(sent.iter().all(|(status, _)| *status == 200));
    let confirmed = sent.into_iter().map(|(_, part)| part).collect();
    vault.confirm_parts(upload.plan.id, confirmed).await.unwrap();
}

async fn complete(vault: &Vault, upload: &OpenUpload, content: &[u8]) -> Result<NodeView, VaultError> {
    let mut hash = ContentHash::default();
    content.chunks(PART).for_each(|part| hash.push_part(&sha256(part)));
    vault.complete_upload(owner(), upload.plan.id, hash.finish()).await
}

async fn multiparts(world: &World) -> usize {
    world.bucket.store().list_multiparts("blob/").await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_ends_with_its_time_and_everything_of_it() {
    let mut world = World::start().await;
    (world.config.max_file_size, world.config.storage_limit) = (1 << 30, Some(20 << 20));
    let (vault, _log) = world.vault().await;
    let content = text(PART + 1);
    let upload = begin(&vault, "a", content.len()).await;
    send_all(&vault, &upload, &content).await;
    world.clock.advance(24 * HOUR_MS - 1);
    assert_eq!(vault.sweep_uploads().await, Ok(Swept::default()));
    assert_eq!(vault.unfinished_uploads().await.unwrap().len(), 1);
    world.clock.advance(1);
    assert_eq!(complete(&vault, &upload, &content).await.err(), Some(VaultError::UploadExpired));
    assert_eq!(vault.upload_state(&owner(), upload.plan.id).await.err(), Some(VaultError::UploadExpired));
    assert_eq!(vault.unfinished_uploads().await.unwrap().len(), 0);
    assert_eq!(multiparts(&world).await, 1);
    assert_eq!(vault.sweep_uploads().await, Ok(Swept { ended: 1, aborted: 0 }));
    assert_eq!((multiparts(&world).await, world.blobs().await.len()), (0, 0));
    assert_eq!(complete(&vault, &upload, &content).await.err(), Some(VaultError::UploadNotFound));
    begin(&vault, "a", 20 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_forgot_is_found_by_listing_the_bucket() {
    let mut world = World::start().await;
    world.config.max_file_size = 1 << 30;
    // The bucket's clock is the machine's.
    let now_ms = Clock::system().now_ms();
    world.clock = Clock::manual(now_ms);
    let (vault, _log) = world.vault().await;
    let lost = begin(&vault, "a", PART + 1).await.plan.id;
    let name = format!("{}:uploads", world.keys.vault_id().hex());
    let mut redis = redis::Client::open(world.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::Cmd::del(name).exec_async(&mut redis).await.unwrap();
    assert_eq!(vault.upload_state(&owner(), lost).await.err(), Some(VaultError::UploadNotFound));
    assert_eq!(vault.sweep_uploads().await, Ok(Swept::default()), "it is young");
    assert_eq!(multiparts(&world).await, 1);
    world.clock.advance(25 * HOUR_MS);
    let content = text(PART + 1);
    let known = begin(&vault, "b", content.len()).await;
    assert_eq!(vault.sweep_uploads().await, Ok(Swept { ended: 0, aborted: 1 }));
    assert_eq!(multiparts(&world).await, 1, "a draft knows the other");
    send_all(&vault, &known, &content).await;
    complete(&vault, &known, &content).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_outlives_its_upload_leaves_no_object() {
    let world = World::start().await;
    let (vault, _log) = world.vault().await;
    let upload = begin(&vault, "a", 5).await;
    assert!(upload.plan.single_put);
    let parts = seal(&upload, b"12345");
    let urls = vault.sign_parts(&owner(), upload.plan.id, vec![parts[0].0.clone()]).await.unwrap();
    vault.cancel_upload(upload.plan.id).await.unwrap();
    assert_eq!(vault.upload_state(&owner(), upload.plan.id).await.err(), Some(VaultError::UploadNotFound));
    let put = urls.into_iter().next().unwrap().put;
    let mut request = reqwest::Client::new().put(put.url);
    for (name, value) in put.headers {
        request = request.header(name, value);
    }
    assert_eq!(request.body(parts[0].1.clone()).send().await.unwrap().status(), 200, "what was given out works");
    for _ in 0..2 {
        vault.sweep_uploads().await.unwrap();
        vault.upkeep().await.unwrap();
        assert_eq!(world.blobs().await.len(), 1);
    }
    assert!(vault.orphans().await.unwrap().len() <= 1);
    world.clock.advance(HOUR_MS);
    vault.sweep_uploads().await.unwrap();
    vault.upkeep().await.unwrap();
    assert!(world.blobs().await.is_empty());
    assert_eq!(vault.sweep_uploads().await, Ok(Swept::default()));
}

/// Buckets that check nothing get multipart uploads alone, whose URLs die with them.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_seen_to_check_nothing_never_gets_a_url_of_an_object() {
    let mut world = World::start().await;
    let weak = Abilities::default();
    let no_condition = Abilities { refuses_wrong_bytes: true, part_checksum: PartChecksum::Enforced, ..weak };
    for (abilities, checksum) in [(weak, Checksum::Md5), (no_condition, Checksum::Sha256)] {
        world.abilities = abilities;
        let (vault, log) = world.vault().await;
        let name = format!("{checksum:?}");
        let upload = begin(&vault, &name, 5).await;
        assert_eq!((upload.plan.single_put, upload.plan.checksum), (false, checksum));
        let parts = seal(&upload, b"12345");
        if checksum == Checksum::Md5 {
            let without = PartToSign { md5: None, ..parts[0].0.clone() };
            let refused = vault.sign_parts(&owner(), upload.plan.id, vec![without]).await;
            assert!(matches!(refused, Err(VaultError::InvalidPart { part: 0, .. })));
        }
        let mut other = parts.clone();
        other[0].1[60] ^= 1;
        let refused = send(&vault, upload.plan.id, &other).await;
        assert_eq!(refused[0].0, 400, "other bytes");
        send_all(&vault, &upload, b"12345").await;
        // The salt is another one each time, and the first has no URL that counts any more.
        let node = complete(&vault, &upload, b"12345").await.unwrap();
        let file = vault.open(node.id, None).unwrap();
        let read: Vec<Bytes> = vault.read(&file, 0..5).try_collect().await.unwrap();
        assert_eq!(read.concat(), b"12345");
        log.stop().await;
    }
}
