//! Content through the pipeline and a real S3 protocol: in and out, damaged in the bucket, cut on its way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coffer::config::VaultConfig;
use coffer::crypto::{BlobShape, ContentHash, KeyRing, Purpose, RootKey, VaultId, VaultKeys, seal_part, sha256};
use coffer::store::Store;
use coffer::vault::content::{ContentError, Contents, Declared, PARTS_IN_MEMORY, object_key};
use coffer::vault::{MediaType, SealedBlob};
use futures_util::{Stream, StreamExt, stream};
use proptest::prelude::Strategy;
use proptest::strategy::ValueTree;

use crate::kit::TestBucket;
use crate::kit::lying_bucket::{Lie, LyingBucket, answer};
use crate::kit::world::vault_config;

const PART: usize = 8 << 20;
const SEALED_PART: usize = 8_396_872;
const CHUNK: usize = 16384;
const PIECE: usize = 60_000;
const NO_LIMIT: u64 = 1 << 36;

fn keys() -> VaultKeys {
    let ring = KeyRing::new(vec![RootKey::new("test".to_owned(), &[7; 32])]).unwrap();
    VaultKeys::new(&ring, VaultId([3; 16]))
}

fn contents(store: &Store, max_file_size: u64) -> Contents {
    let config = VaultConfig { max_file_size, ..vault_config() };
    Contents::new(store.clone(), keys(), &config)
}

/// Bytes without a period that a chunk or part could hide.
fn text(size: usize) -> Bytes {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(next).collect()
}

fn pieces(content: &Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let content = content.clone();
    let starts = (0..content.len()).step_by(PIECE);
    stream::iter(starts.map(move |start| Ok(content.slice(start..(start + PIECE).min(content.len())))))
}

fn of_size(size: usize) -> Declared {
    Declared { size_bytes: Some(size as u64), media_type: None }
}

fn content_hash(content: &[u8]) -> [u8; 32] {
    let mut hash = ContentHash::default();
    if content.is_empty() {
        hash.push_part(&sha256(b""));
    }
    content.chunks(PART).for_each(|part| hash.push_part(&sha256(part)));
    hash.finish()
}

async fn read(contents: &Contents, blob: &SealedBlob, range: std::ops::Range<u64>) -> Result<Vec<u8>, ContentError> {
    contents.open(blob, range).await?.collect_bytes().await
}

/// Nothing of any upload is in the bucket.
async fn is_empty(store: &Store) -> bool {
    store.list("blob/").await.unwrap().is_empty() && store.list_multiparts("blob/").await.unwrap().is_empty()
}

#[tokio::test]
async fn content_of_every_size_comes_back_as_it_went() {
    let bucket = TestBucket::start().await;
    let store = bucket.store();
    let contents = contents(&store, NO_LIMIT);
    let all = text(3 * PART + 5);
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 5] {
        let content = all.slice(..size);
        for declared in [of_size(size), Declared::default()] {
            let blob = contents.seal(pieces(&content), &declared).await.unwrap();
            assert_eq!(blob.size_bytes, size as u64);
            assert!(blob.is_whole());
            assert_eq!(blob.content_hash, content_hash(&content));
            let head = store.head(&object_key(blob.id)).await.unwrap();
            assert_eq!(head.size_bytes, blob.geometry.object_size(size as u64));
            assert!(read(&contents, &blob, 0..u64::MAX).await.unwrap() == content, "{size}");
        }
    }
    assert!(store.list_multiparts("").await.unwrap().is_empty());
}

#[tokio::test]
async fn any_range_is_the_slice() {
    let bucket = TestBucket::start().await;
    let contents = contents(&bucket.store(), NO_LIMIT);
    let content = text(2 * PART + 70_000);
    let blob = contents.seal(pieces(&content), &Declared::default()).await.unwrap();
    let size = content.len();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let anywhere = (0..size, 0..size).prop_map(|(a, b)| a.min(b)..a.max(b));
    let drawn = (0..40).map(|_| anywhere.new_tree(&mut runner).unwrap().current());
    let edges = [0..1, PART - 1..PART + 1, PART..PART + 1, size - 1..size, CHUNK..2 * CHUNK, 5..5, size..size];
    for range in drawn.chain(edges) {
        let plain = read(&contents, &blob, range.start as u64..range.end as u64).await.unwrap();
        assert!(plain == content[range.clone()], "{range:?}");
    }
}

/// A blob's object, as the bucket has it.
async fn object_of(store: &Store, blob: &SealedBlob) -> Bytes {
    store.get(&object_key(blob.id), 1 << 30).await.unwrap()
}

/// What a download gives out before its error; `None` when it has none.
async fn given_out(contents: &Contents, blob: &SealedBlob) -> Option<Vec<u8>> {
    let mut given = Vec::new();
    let Ok(mut plain) = contents.open(blob, 0..u64::MAX).await else { return Some(given) };
    while let Some(piece) = plain.next().await {
        match piece {
            Ok(piece) => given.extend_from_slice(&piece),
            Err(_) => return Some(given),
        }
    }
    None
}

#[tokio::test]
async fn a_damaged_object_is_refused_and_no_wrong_byte_is_given_out() {
    let bucket = TestBucket::start().await;
    let store = bucket.store();
    let contents = contents(&store, NO_LIMIT);
    let content = text(PART + 3 * CHUNK);
    let blob = contents.seal(pieces(&content), &Declared::default()).await.unwrap();
    let other = contents.seal(pieces(&text(PART + 3 * CHUNK)), &Declared::default()).await.unwrap();
    let (key, sealed, foreign) = (object_key(blob.id), object_of(&store, &blob).await, object_of(&store, &other).await);

    let mut damages: Vec<(String, Vec<u8>)> = Vec::new();
    let end = sealed.len();
    for at in [0, 23, 24, 55, 56, 56 + 16399, 56 + 16400, PART / 2, SEALED_PART - 1, SEALED_PART, end - 17, end - 1] {
        let mut flipped = sealed.to_vec();
        flipped[at] ^= 0x80;
        damages.push((format!("flipped at {at}"), flipped));
    }
    for length in [0, 55, 56, 56 + 16400, SEALED_PART - 1, SEALED_PART, SEALED_PART + 56, end - 16, end - 1] {
        damages.push((format!("cut at {length}"), sealed[..length].to_vec()));
    }
    damages.push(("longer".to_owned(), [&sealed[..], &[0]].concat()));
    damages.push(("parts swapped".to_owned(), [&sealed[SEALED_PART..], &sealed[..SEALED_PART]].concat()));
    let (one, two) = (56..56 + 16400, 56 + 16400..56 + 2 * 16400);
    let swapped = [&sealed[..56], &sealed[two.clone()], &sealed[one], &sealed[two.end..]].concat();
    damages.push(("chunks swapped".to_owned(), swapped));
    damages.push(("another blob's object".to_owned(), foreign.to_vec()));
    damages.push(("another blob's part".to_owned(), [&foreign[..SEALED_PART], &sealed[SEALED_PART..]].concat()));
    damages.push(("an older attempt".to_owned(), older_attempt(&blob, &sealed)));

    for (name, damaged) in damages {
        store.put(&key, damaged.into()).await.unwrap();
        let given = given_out(&contents, &blob).await.unwrap_or_else(|| panic!("{name} was accepted"));
        assert!(content.starts_with(&given), "{name}");
    }
    store.delete(&key).await.unwrap();
    assert!(contents.open(&blob, 0..1).await.is_err());
    store.put(&key, sealed).await.unwrap();
    assert_eq!(given_out(&contents, &blob).await, None);
}

/// The first part sealed again under the same key, with other content and a salt that nobody pinned.
fn older_attempt(blob: &SealedBlob, sealed: &[u8]) -> Vec<u8> {
    let dek = keys().unwrap(&blob.dek, blob.id, Purpose::Content).unwrap();
    let shape =
        BlobShape { vault_id: keys().vault_id(), blob_id: blob.id, geometry: blob.geometry, size: blob.size_bytes };
    let mut attempt = Vec::new();
    seal_part(&dek, &shape.part(0), &vec![b'!'; PART], &mut attempt);
    attempt.extend_from_slice(&sealed[SEALED_PART..]);
    attempt
}

#[tokio::test]
async fn a_wrapped_key_opens_no_other_blob() {
    let bucket = TestBucket::start().await;
    let contents = contents(&bucket.store(), NO_LIMIT);
    let one = contents.seal(pieces(&text(10)), &Declared::default()).await.unwrap();
    let two = contents.seal(pieces(&text(10)), &Declared::default()).await.unwrap();
    let crossed = SealedBlob { dek: two.dek, ..one.clone() };
    assert!(matches!(contents.open(&crossed, 0..10).await, Err(ContentError::Corrupt)));
    bucket.store().put(&object_key(one.id), object_of(&bucket.store(), &two).await).await.unwrap();
    assert!(matches!(contents.open(&one, 0..10).await, Err(ContentError::Corrupt)));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let bucket = TestBucket::start().await;
    let store = bucket.store();
    let contents = contents(&store, NO_LIMIT);
    for sent in [0, 100, PART, 2 * PART + 100] {
        let broken = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
        let body = pieces(&text(sent)).chain(stream::once(async move { broken() }));
        let error = contents.seal(body, &Declared::default()).await.unwrap_err();
        assert!(matches!(error, ContentError::Interrupted(_)), "{error}");
        assert!(is_empty(&store).await, "{sent}");
    }
    let body = pieces(&text(2 * PART + 100)).chain(stream::pending());
    let declared = Declared::default();
    let dropped = tokio::time::timeout(Duration::from_millis(1500), contents.seal(body, &declared)).await;
    assert!(dropped.is_err(), "the body has no end");
    let gone = async {
        while !is_empty(&store).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the upload is aborted in the background");
}

#[tokio::test]
async fn a_body_of_another_length_or_beyond_the_limit_leaves_nothing() {
    let bucket = TestBucket::start().await;
    let store = bucket.store();
    for limit in [1000, PART, PART + 1000] {
        let contents = contents(&store, limit as u64);
        for declared in [of_size(limit), Declared::default()] {
            let blob = contents.seal(pieces(&text(limit)), &declared).await.expect("the limit itself");
            store.delete(&object_key(blob.id)).await.unwrap();
        }
        for declared in [of_size(limit + 1), Declared::default()] {
            let error = contents.seal(pieces(&text(limit + 1)), &declared).await.unwrap_err();
            assert!(matches!(error, ContentError::TooLarge { limit_bytes } if limit_bytes == limit as u64), "{error}");
        }
        for size in [limit - 1, limit - 2] {
            for sent in [size - 1, size + 1] {
                let error = contents.seal(pieces(&text(sent)), &of_size(size)).await.unwrap_err();
                assert!(matches!(error, ContentError::WrongLength), "{error}");
            }
        }
        assert!(is_empty(&store).await);
    }
}

#[tokio::test]
async fn content_that_contradicts_its_type_is_refused_before_anything_is_stored() {
    let bucket = TestBucket::start().await;
    let store = bucket.store();
    let contents = contents(&store, NO_LIMIT);
    let png = MediaType::parse("image/png").unwrap();
    let declared = Declared { size_bytes: None, media_type: Some(png.clone()) };
    for size in [1, 100, PART + 1] {
        let error = contents.seal(pieces(&text(size)), &declared).await.unwrap_err();
        assert!(matches!(error, ContentError::WrongMediaType { declared } if declared == png));
    }
    assert!(is_empty(&store).await);
    let image = Bytes::from_static(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    assert_eq!(contents.seal(pieces(&image), &declared).await.unwrap().media_type, png);
    assert_eq!(contents.seal(pieces(&image), &Declared::default()).await.unwrap().media_type, png);
}

#[tokio::test]
async fn an_object_that_is_not_made_of_the_parts_that_were_sent_is_refused() {
    let begun = "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>";
    let completed = "<CompleteMultipartUploadResult><ETag>\"all\"</ETag></CompleteMultipartUploadResult>";
    let part = answer("200 OK", "ETag: \"part\"\r\n", "");
    let content = text(PART + 1);
    let right_size = SEALED_PART + 56 + 17;
    for size in [right_size, right_size - 1, right_size + 1, SEALED_PART] {
        let made = Lie::Cut(Arc::new(vec![0; size]), usize::MAX);
        let lies = vec![answer("200 OK", "", begun), part.clone(), part.clone(), answer("200 OK", "", completed), made];
        let bucket = LyingBucket::start(lies).await;
        let error = contents(&bucket.store(), NO_LIMIT).seal(pieces(&content), &of_size(PART + 1)).await.unwrap_err();
        assert!(matches!(error, ContentError::Corrupt | ContentError::Storage(_)), "{size}: {error}");
        let heads: Vec<String> = bucket.requests().into_iter().map(|request| request.head).collect();
        assert!(heads.iter().any(|head| head.starts_with("delete ") && head.contains("uploadid=one")), "{heads:?}");
    }
}

#[tokio::test]
async fn an_upload_takes_no_more_than_its_parts_of_memory() {
    let begun = "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>";
    let bucket = LyingBucket::start(vec![answer("200 OK", "", begun), Lie::Hang]).await;
    let contents = contents(&bucket.store(), NO_LIMIT);
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    let endless = stream::repeat_with(move || {
        count.fetch_add(PIECE as u64, Ordering::Relaxed);
        Ok(Bytes::from_static(&[1; PIECE]))
    });
    let declared = Declared::default();
    let upload = tokio::time::timeout(Duration::from_secs(3), contents.seal(endless, &declared)).await;
    assert!(upload.is_err(), "the bucket never answers");
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken > (PART * (PARTS_IN_MEMORY - 1)) as u64, "{taken}");
    assert!(taken <= (PART * PARTS_IN_MEMORY + 2 * PIECE) as u64, "{taken}");
}

#[tokio::test]
async fn a_download_that_breaks_is_taken_up_where_it_broke() {
    let bucket = TestBucket::start().await;
    let content = text(1_000_000);
    let blob = contents(&bucket.store(), NO_LIMIT).seal(pieces(&content), &Declared::default()).await.unwrap();
    let object = Arc::new(object_of(&bucket.store(), &blob).await.to_vec());
    let cut = |bytes| Lie::Cut(object.clone(), bytes);

    let breaking = LyingBucket::start(vec![cut(300_000), cut(20_000), cut(usize::MAX)]).await;
    let plain = read(&contents(&breaking.store(), NO_LIMIT), &blob, 0..u64::MAX).await.unwrap();
    assert!(plain == content);
    let ranges: Vec<String> = breaking
        .requests()
        .iter()
        .filter_map(|request| request.head.lines().find(|line| line.starts_with("range: ")).map(str::to_owned))
        .collect();
    let last = object.len() - 1;
    let chunk = |number: usize| 56 + number * 16400;
    assert_eq!(ranges[0], format!("range: bytes=0-{last}"));
    assert_eq!(ranges[1], format!("range: bytes={}-{last}", chunk((300_000 - 56) / 16400)));
    assert_eq!(ranges[2], format!("range: bytes={}-{last}", chunk((300_000 - 56) / 16400 + 1)));

    let fruitless = LyingBucket::start(vec![cut(10)]).await;
    assert!(read(&contents(&fruitless.store(), NO_LIMIT), &blob, 0..u64::MAX).await.is_err());
    assert!(fruitless.requests().len() <= 4, "{}", fruitless.requests().len());
}
