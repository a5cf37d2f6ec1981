//! Listings.

use super::{no, put, refusal};
use crate::kit::embedded::{BUCKET, TestStore};

#[tokio::test]
async fn three_thousand_keys_come_in_pages_in_order() {
    let store = TestStore::start().await;
    let keys: Vec<_> = (0..3000).map(|n| format!("log/{n:04x}")).collect();
    let folder = store.root.path().join("log");
    std::fs::create_dir(&folder).unwrap();
    for key in &keys {
        std::fs::write(store.root.path().join(key), b"x").unwrap();
    }
    put(&store, "blob/1", b"").await;
    put(&store, "log-", b"").await;
    put(&store, "log0", b"").await;
    for page_bytes in [1000, 999, 2999] {
        let (mut listed, mut sizes) = (Vec::new(), Vec::new());
        let mut pages = store
            .client()
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix("log/")
            .into_paginator()
            .page_size(page_bytes)
            .send();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            sizes.push(page.contents().len());
            listed.extend(page.contents.unwrap_or_default().into_iter().map(|object| object.key.unwrap()));
        }
        assert_eq!(listed, keys);
        assert!(sizes.iter().all(|size| *size <= 1000));
    }
    let after =
        store.client().list_objects_v2().bucket(BUCKET).prefix("log/").start_after("log/0bb5").send().await.unwrap();
    assert_eq!((after.contents().len(), after.is_truncated()), (2, Some(false)));
    let before = store
        .client()
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("log/")
        .start_after("a")
        .max_keys(1)
        .send()
        .await
        .unwrap();
    assert_eq!(before.contents()[0].key(), Some("log/0000"));
}

#[tokio::test]
async fn a_delimiter_rolls_keys_up_wherever_a_page_ends() {
    let store = TestStore::start().await;
    let keys = ["a", "a-b", "a/1", "a/2/3", "a0", "b/1", "b/2", "c", "d/", "É/1", "É/2", "é"];
    for key in keys {
        put(&store, key, b"x").await;
    }
    std::fs::create_dir(store.root.path().join("empty")).unwrap();
    for page_size in 1..=keys.len() {
        let (mut objects, mut groups) = (Vec::new(), Vec::new());
        let mut pages = store
            .client()
            .list_objects_v2()
            .bucket(BUCKET)
            .delimiter("/")
            .into_paginator()
            .page_size(page_size as i32)
            .send();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            assert!(page.contents().len() + page.common_prefixes().len() <= page_size);
            objects.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
            groups.extend(page.common_prefixes().iter().map(|group| group.prefix().unwrap().to_owned()));
        }
        assert_eq!(objects, ["a", "a-b", "a0", "c", "é"]);
        assert_eq!(groups, ["a/", "b/", "d/", "É/"]);
    }
    let below = store.client().list_objects_v2().bucket(BUCKET).delimiter("/").prefix("a/").send().await.unwrap();
    assert_eq!(below.contents()[0].key(), Some("a/1"));
    assert_eq!(below.common_prefixes()[0].prefix(), Some("a/2/"));
    let dashes = store.client().list_objects_v2().bucket(BUCKET).delimiter("-").prefix("a").send().await.unwrap();
    assert_eq!(dashes.common_prefixes()[0].prefix(), Some("a-"));
    assert_eq!(dashes.contents().len(), 4);
}

#[tokio::test]
async fn odd_listing_requests_are_answered_or_refused() {
    let store = TestStore::start().await;
    put(&store, "a b/ü", b"x").await;
    let list = || store.client().list_objects_v2().bucket(BUCKET);
    let none = list().max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    assert_eq!(refusal(list().max_keys(-1).send().await), no(400, "InvalidArgument"));
    assert_eq!(refusal(list().continuation_token("!").send().await), no(400, "InvalidArgument"));
    assert!(list().prefix("../").send().await.unwrap().contents().is_empty());
    assert!(list().prefix(".store/").send().await.unwrap().contents().is_empty());
    let encoded = list().encoding_type(aws_sdk_s3::types::EncodingType::Url).send().await.unwrap();
    assert_eq!(encoded.contents()[0].key(), Some("a+b/%C3%BC"));
}
