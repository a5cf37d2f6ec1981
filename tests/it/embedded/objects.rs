//! Whole objects.

use std::os::unix::fs::PermissionsExt as _;

use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier, ServerSideEncryption};

use super::{get, no, noise, put, refusal};
use crate::kit::embedded::{BUCKET, TestStore};

const CHUNK: usize = 512 * 1024;

#[tokio::test]
async fn objects_of_any_size_come_back_and_lie_as_plain_files() {
    let store = TestStore::start().await;
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, (1 << 20) - 1, 1 << 20, (9 << 20) + 7] {
        let bytes = noise(size, size as u64);
        put(&store, "blob/00ff", &bytes).await;
        assert!(get(&store, "blob/00ff").await.unwrap() == bytes, "{size}");
        assert!(std::fs::read(store.root.path().join("blob/00ff")).unwrap() == bytes, "{size}");
        let head = store.client().head_object().bucket(BUCKET).key("blob/00ff").send().await.unwrap();
        assert_eq!(head.content_length, Some(size as i64));
    }
    assert_eq!(store.root.path().join("blob/00ff").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(store.root.path().join("blob").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(store.staged(), 0);
}

#[tokio::test]
async fn any_key_is_an_object_of_its_own_inside_the_folder() {
    let store = TestStore::start().await;
    let outside = store.root.path().parent().unwrap().join("coffer-outside");
    let long = ["x".repeat(1024), "é".repeat(512), "a/".repeat(512), "y".repeat(256)];
    let mut keys = vec![
        "vault",
        "a",
        "a/b",
        "a/b/c",
        "a//b",
        "a/",
        "/a",
        "//",
        ".",
        "..",
        "../x",
        "../../coffer-outside",
        "a/../../x",
        "%2e%2e/x",
        "%2F",
        ".store/lock",
        ".store/odd/61",
        "61",
        "+",
        "A",
        "ä",
        "a\u{308}",
        "日本",
        "a b",
        "a+b",
        "a%20b",
        "a\\b",
        "a:b",
        "a*?<>|\"'&=#b",
        "con",
        "~",
    ];
    keys.extend(long.iter().map(String::as_str));
    for key in &keys {
        put(&store, key, key.as_bytes()).await;
    }
    for key in &keys {
        assert_eq!(get(&store, key).await.as_deref(), Some(key.as_bytes()), "{key}");
    }
    assert!(!outside.exists());
    let mut listed = Vec::new();
    let mut pages = store.client().list_objects_v2().bucket(BUCKET).into_paginator().page_size(7).send();
    while let Some(page) = pages.next().await {
        listed.extend(page.unwrap().contents.unwrap_or_default().into_iter().map(|object| object.key.unwrap()));
    }
    keys.sort_unstable();
    assert_eq!(listed, keys);
    let store = store.restart().await;
    for key in &keys {
        store.client().delete_object().bucket(BUCKET).key(*key).send().await.unwrap();
        assert_eq!(get(&store, key).await, None, "{key}");
    }
    assert!(store.client().list_objects_v2().bucket(BUCKET).send().await.unwrap().contents().is_empty());
}

#[tokio::test]
async fn a_key_that_is_too_long_or_not_text_is_refused() {
    let store = TestStore::start().await;
    let put = |key: String| store.client().put_object().bucket(BUCKET).key(key).body(vec![1].into()).send();
    assert_eq!(refusal(put("x".repeat(1025)).await), no(400, "KeyTooLongError"));
    for key in ["a\0b", "a\nb", "a\u{7f}"] {
        assert_eq!(refusal(put(key.to_owned()).await), no(400, "InvalidArgument"), "{key:?}");
    }
}

#[tokio::test]
async fn of_many_conditional_creations_exactly_one_wins() {
    let store = TestStore::start().await;
    let client = store.client();
    for round in 0..4 {
        let key = format!("log/{round}");
        let attempts = (0..24_u8).map(|n| {
            let create = client.put_object().bucket(BUCKET).key(&key).if_none_match("*").body(vec![n; 1000].into());
            tokio::spawn(create.send())
        });
        let mut winners = Vec::new();
        for (n, attempt) in attempts.collect::<Vec<_>>().into_iter().enumerate() {
            match attempt.await.unwrap() {
                Ok(_) => winners.push(n as u8),
                refused => assert_eq!(refusal(refused), no(412, "PreconditionFailed")),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(get(&store, &key).await, Some(vec![winners[0]; 1000]));
    }
    assert_eq!(store.staged(), 0);
}

#[tokio::test]
async fn of_many_conditional_replacements_exactly_one_wins() {
    let store = TestStore::start().await;
    let client = store.client();
    let etag = put(&store, "a", b"before").await;
    let attempts = (0..24_u8).map(|n| {
        tokio::spawn(client.put_object().bucket(BUCKET).key("a").if_match(&etag).body(vec![n; 6].into()).send())
    });
    let mut winners = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => winners += 1,
            refused => assert_eq!(refusal(refused), no(412, "PreconditionFailed")),
        }
    }
    assert_eq!(winners, 1);
    let absent = client.put_object().bucket(BUCKET).key("absent").if_match(&etag).body(vec![1].into()).send().await;
    assert_eq!(refusal(absent), no(404, "NoSuchKey"));
    let large = client.put_object().bucket(BUCKET).key("a").if_none_match("*").body(noise(8 << 20, 1).into());
    assert_eq!(refusal(large.send().await), no(412, "PreconditionFailed"));
    let other = client.put_object().bucket(BUCKET).key("b").if_none_match(&etag).body(vec![1].into()).send().await;
    assert_eq!(refusal(other), no(501, "NotImplemented"));
}

#[tokio::test]
async fn etags_change_with_every_write_and_outlive_a_restart() {
    let store = TestStore::start().await;
    let mut etags = std::collections::HashSet::new();
    for _ in 0..50 {
        assert!(etags.insert(put(&store, "a", b"same").await));
    }
    let last = store.client().head_object().bucket(BUCKET).key("a").send().await.unwrap().e_tag;
    let store = store.restart().await;
    assert_eq!(store.client().head_object().bucket(BUCKET).key("a").send().await.unwrap().e_tag, last);
}

#[tokio::test]
async fn ranges_are_exact() {
    let store = TestStore::start().await;
    let bytes = noise(3 * CHUNK + 17, 1);
    put(&store, "a", &bytes).await;
    let end = bytes.len();
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=5-9", 5..10),
        ("bytes=1-", 1..end),
        ("bytes=-1", end - 1..end),
        ("bytes=-99999999", 0..end),
        ("bytes=100-99999999", 100..end),
        ("bytes=524287-1572865", CHUNK - 1..3 * CHUNK + 2),
    ] {
        let answer = store.client().get_object().bucket(BUCKET).key("a").range(range).send().await.unwrap();
        assert_eq!(answer.content_range(), Some(&*format!("bytes {}-{}/{end}", expected.start, expected.end - 1)));
        assert_eq!(answer.content_length(), Some(expected.len() as i64));
        assert!(answer.body.collect().await.unwrap().to_vec() == bytes[expected], "{range}");
    }
    for range in ["bytes=1572881-", "bytes=-0", "bytes=99999999-"] {
        let answer = store.client().get_object().bucket(BUCKET).key("a").range(range).send().await;
        assert_eq!(refusal(answer), no(416, "InvalidRange"), "{range}");
    }
}

#[tokio::test]
async fn a_reader_keeps_what_it_began_to_read() {
    let store = TestStore::start().await;
    let before = noise(8 << 20, 1);
    put(&store, "a", &before).await;
    let answer = store.client().get_object().bucket(BUCKET).key("a").send().await.unwrap();
    put(&store, "a", &noise(8 << 20, 2)).await;
    store.client().delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert!(answer.body.collect().await.unwrap().to_vec() == before);
}

#[tokio::test]
async fn reading_honours_conditions() {
    let store = TestStore::start().await;
    let etag = put(&store, "a", b"x").await;
    let client = store.client();
    let get = || client.get_object().bucket(BUCKET).key("a");
    assert!(get().if_match(&etag).send().await.is_ok());
    assert!(get().if_none_match("\"other\"").send().await.is_ok());
    assert_eq!(refusal(get().if_match("\"other\"").send().await), no(412, "PreconditionFailed"));
    assert_eq!(refusal(get().if_none_match(&etag).send().await).0, 304);
    let head = || client.head_object().bucket(BUCKET).key("a");
    assert_eq!(refusal(head().if_match("\"other\"").send().await).0, 412);
    assert_eq!(refusal(head().if_none_match(&etag).send().await).0, 304);
}

#[tokio::test]
async fn a_wrong_checksum_leaves_nothing() {
    let store = TestStore::start().await;
    let client = store.client();
    let put = || client.put_object().bucket(BUCKET).key("a").body(b"bytes".to_vec().into());
    let wrong_sha256 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(refusal(put().checksum_sha256(wrong_sha256).send().await), no(400, "BadDigest"));
    assert_eq!(refusal(put().checksum_crc32("AAAAAA==").send().await), no(400, "BadDigest"));
    assert_eq!(refusal(put().checksum_crc32_c("AAAAAA==").send().await), no(400, "BadDigest"));
    assert_eq!(refusal(put().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), no(400, "BadDigest"));
    assert_eq!(refusal(put().content_md5("AAAA").send().await), no(400, "InvalidDigest"));
    assert_eq!((get(&store, "a").await, store.staged()), (None, 0));
    let sha256 = data_encoding::BASE64.encode(&coffer::crypto::sha256(b"bytes"));
    put().checksum_sha256(sha256).content_md5("SzpiGLs+OnMD6KFxpg/Pkg==").send().await.unwrap();
    assert_eq!(get(&store, "a").await.as_deref(), Some(&b"bytes"[..]));
}

#[tokio::test]
async fn removal_is_of_what_is_named_and_of_nothing_else() {
    let store = TestStore::start().await;
    for key in ["a", "b", "c", "d/e"] {
        put(&store, key, key.as_bytes()).await;
    }
    let client = store.client();
    let identifier = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().set_objects(Some(["a", "absent", "d/e"].map(identifier).to_vec())).build().unwrap();
    let answer = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((answer.deleted().len(), answer.errors().len()), (3, 0));
    let other = client.delete_object().bucket(BUCKET).key("b").if_match("\"other\"").send().await;
    assert_eq!(refusal(other), no(412, "PreconditionFailed"));
    client.delete_object().bucket(BUCKET).key("absent").send().await.unwrap();
    for (key, is_there) in [("a", false), ("b", true), ("c", true), ("d/e", false)] {
        assert_eq!(get(&store, key).await.is_some(), is_there, "{key}");
    }
}

#[tokio::test]
async fn what_the_store_cannot_do_it_refuses() {
    let store = TestStore::start().await;
    put(&store, "a", b"x").await;
    let client = store.client();
    let put = || client.put_object().bucket(BUCKET).key("b").body(vec![1].into());
    let refused = no(501, "NotImplemented");
    let key = data_encoding::BASE64.encode(&[7; 32]);
    let with_customer_key = put().sse_customer_algorithm("AES256").sse_customer_key(key).sse_customer_key_md5("x");
    for put in [
        with_customer_key,
        put().server_side_encryption(ServerSideEncryption::Aes256),
        put().metadata("name", "value"),
        put().tagging("a=b"),
        put().content_encoding("gzip"),
        put().website_redirect_location("/x"),
        put().expected_bucket_owner("1"),
    ] {
        assert_eq!(refusal(put.send().await), refused);
    }
    let copy = client.copy_object().bucket(BUCKET).key("b").copy_source(format!("{BUCKET}/a"));
    assert_eq!(refusal(copy.metadata_directive(MetadataDirective::Copy).send().await), refused);
    assert_eq!(refusal(client.get_object().bucket(BUCKET).key("a").version_id("1").send().await), refused);
    assert_eq!(refusal(client.get_object().bucket(BUCKET).key("a").part_number(1).send().await), refused);
    assert_eq!(refusal(client.get_bucket_policy().bucket(BUCKET).send().await), refused);
    assert_eq!(refusal(client.create_bucket().bucket(BUCKET).send().await), refused);
    assert_eq!(refusal(client.get_object().bucket("other-bucket").key("a").send().await), no(404, "NoSuchBucket"));
    assert_eq!(get(&store, "b").await, None);
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    client.get_bucket_location().bucket(BUCKET).send().await.unwrap();
    assert_eq!(client.list_buckets().send().await.unwrap().buckets()[0].name(), Some(BUCKET));
}
