//! Multipart uploads.

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};

use super::{get, no, noise, put, refusal};
use crate::kit::embedded::{BUCKET, TestStore};

const MIN: usize = 5 << 20;

async fn create(store: &TestStore, key: &str) -> String {
    store.client().create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap().upload_id.unwrap()
}

async fn part(store: &TestStore, key: &str, id: &str, number: i32, bytes: &[u8]) -> CompletedPart {
    let part = store
        .client()
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number)
        .body(bytes.to_vec().into());
    CompletedPart::builder().part_number(number).e_tag(part.send().await.unwrap().e_tag.unwrap()).build()
}

async fn complete(store: &TestStore, key: &str, id: &str, parts: &[CompletedPart]) -> Result<(), (u16, String)> {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
    let complete =
        store.client().complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id).multipart_upload(parts);
    match complete.send().await {
        Ok(_) => Ok(()),
        refused => Err(refusal(refused)),
    }
}

async fn listed(store: &TestStore) -> Vec<String> {
    let uploads = store.client().list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    uploads.uploads().iter().map(|upload| upload.upload_id().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn parts_in_any_order_sizes_and_numbers_make_one_plain_file() {
    let store = TestStore::start().await;
    let even: &[(i32, usize)] = &[(1, MIN), (2, MIN), (3, 7)];
    let late: &[(i32, usize)] = &[(3, 7), (2, MIN), (1, MIN)];
    let last_first: &[(i32, usize)] = &[(2, MIN + 1), (1, MIN + 9)];
    let uneven: &[(i32, usize)] = &[(1, MIN), (2, MIN + 1), (3, MIN - 1)];
    let sparse: &[(i32, usize)] = &[(2, MIN), (7, MIN), (10_000, 0)];
    for (name, sizes) in [
        ("one", &even[2..]),
        ("even", even),
        ("late", late),
        ("last", last_first),
        ("uneven", uneven),
        ("sparse", sparse),
    ] {
        let key = format!("blob/{name}");
        let id = create(&store, &key).await;
        let mut parts = Vec::new();
        for (number, size) in sizes {
            parts.push((
                *number,
                noise(*size, *number as u64),
                part(&store, &key, &id, *number, &noise(*size, *number as u64)).await,
            ));
        }
        parts.sort_by_key(|(number, _, _)| *number);
        let whole: Vec<u8> = parts.iter().flat_map(|(_, bytes, _)| bytes.clone()).collect();
        let claimed: Vec<_> = parts.into_iter().map(|(_, _, part)| part).collect();
        complete(&store, &key, &id, &claimed).await.unwrap();
        assert!(get(&store, &key).await.unwrap() == whole, "{name}");
        assert!(std::fs::read(store.root.path().join(&key)).unwrap() == whole, "{name}");
        assert_eq!(complete(&store, &key, &id, &claimed).await, Err(no(404, "NoSuchUpload")));
    }
    assert!(listed(&store).await.is_empty());
    assert_eq!(store.staged(), 0);
}

#[tokio::test]
async fn a_completion_is_checked_as_s3_checks_it() {
    let store = TestStore::start().await;
    let id = create(&store, "a").await;
    let one = part(&store, "a", &id, 1, &noise(MIN, 1)).await;
    let small = part(&store, "a", &id, 2, b"small").await;
    let three = part(&store, "a", &id, 3, b"last").await;
    let other = CompletedPart::builder().part_number(2).e_tag(one.e_tag().unwrap()).build();
    let nameless = CompletedPart::builder().part_number(2).build();
    let absent = CompletedPart::builder().part_number(4).e_tag("\"x\"").build();
    let wrong_sum =
        CompletedPart::builder().part_number(2).e_tag(small.e_tag().unwrap()).checksum_sha256("AAAA").build();
    for (parts, expected) in [
        (vec![], no(400, "MalformedXML")),
        (vec![one.clone(), small.clone(), three.clone()], no(400, "EntityTooSmall")),
        (vec![small.clone(), one.clone()], no(400, "InvalidPartOrder")),
        (vec![one.clone(), one.clone()], no(400, "InvalidPartOrder")),
        (vec![one.clone(), other], no(400, "InvalidPart")),
        (vec![one.clone(), nameless], no(400, "InvalidPart")),
        (vec![one.clone(), absent], no(400, "InvalidPart")),
        (vec![one.clone(), wrong_sum], no(400, "InvalidPart")),
    ] {
        assert_eq!(complete(&store, "a", &id, &parts).await, Err(expected));
        assert_eq!(get(&store, "a").await, None);
    }
    let part_zero =
        store.client().upload_part().bucket(BUCKET).key("a").upload_id(&id).part_number(0).body(vec![1].into());
    assert_eq!(refusal(part_zero.send().await), no(400, "InvalidArgument"));
    let too_high =
        store.client().upload_part().bucket(BUCKET).key("a").upload_id(&id).part_number(10_001).body(vec![1].into());
    assert_eq!(refusal(too_high.send().await), no(400, "InvalidArgument"));
    complete(&store, "a", &id, &[one, small]).await.unwrap();
    assert_eq!(get(&store, "a").await.unwrap().len(), MIN + 5);
}

#[tokio::test]
async fn a_refused_completion_harms_no_part() {
    let store = TestStore::start().await;
    put(&store, "a", b"before").await;
    let id = create(&store, "a").await;
    let (first, second, third) = (noise(MIN, 1), noise(MIN, 2), noise(MIN, 3));
    let one = part(&store, "a", &id, 1, &first).await;
    part(&store, "a", &id, 2, &third).await;
    let two = part(&store, "a", &id, 2, &second).await;
    let three = part(&store, "a", &id, 3, &third).await;
    let parts = CompletedMultipartUpload::builder().set_parts(Some(vec![one.clone(), two.clone()])).build();
    let conditional =
        store.client().complete_multipart_upload().bucket(BUCKET).key("a").upload_id(&id).multipart_upload(parts);
    assert_eq!(refusal(conditional.if_none_match("*").send().await), no(412, "PreconditionFailed"));
    assert_eq!(get(&store, "a").await.as_deref(), Some(&b"before"[..]));
    let again = part(&store, "a", &id, 3, &third).await;
    assert_eq!(again, three);
    complete(&store, "a", &id, &[one, two, again]).await.unwrap();
    assert!(get(&store, "a").await.unwrap() == [first, second, third].concat());
}

#[tokio::test]
async fn the_last_attempt_at_a_part_counts_and_a_failed_one_does_not() {
    let store = TestStore::start().await;
    let id = create(&store, "a").await;
    let (first, second, other) = (noise(MIN, 1), noise(MIN, 2), noise(MIN, 9));
    part(&store, "a", &id, 1, &other).await;
    let two = part(&store, "a", &id, 2, &second).await;
    let one = part(&store, "a", &id, 1, &first).await;
    let failed = store.client().upload_part().bucket(BUCKET).key("a").upload_id(&id).part_number(1);
    let failed =
        failed.checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").body(other.clone().into()).send().await;
    assert_eq!(refusal(failed), no(400, "BadDigest"));
    let parts = store.client().list_parts().bucket(BUCKET).key("a").upload_id(&id).send().await.unwrap();
    let etags: Vec<_> = parts.parts().iter().map(|part| part.e_tag().unwrap()).collect();
    assert_eq!(etags, [one.e_tag().unwrap(), two.e_tag().unwrap()]);
    complete(&store, "a", &id, &[one, two]).await.unwrap();
    assert!(get(&store, "a").await.unwrap() == [first, second].concat());
}

#[tokio::test]
async fn an_upload_outlives_a_restart() {
    let store = TestStore::start().await;
    let id = create(&store, "a").await;
    let bytes: Vec<_> = (0..4).map(|n| noise(if n == 3 { 99 } else { MIN }, n)).collect();
    let one = part(&store, "a", &id, 1, &bytes[0]).await;
    let three = part(&store, "a", &id, 3, &bytes[2]).await;
    let store = store.restart().await;
    assert_eq!(listed(&store).await, std::slice::from_ref(&id));
    let list = store.client().list_parts().bucket(BUCKET).key("a").upload_id(&id).max_parts(1).send().await.unwrap();
    assert_eq!((list.parts().len(), list.is_truncated(), list.next_part_number_marker()), (1, Some(true), Some("1")));
    let rest = store
        .client()
        .list_parts()
        .bucket(BUCKET)
        .key("a")
        .upload_id(&id)
        .part_number_marker("1")
        .send()
        .await
        .unwrap();
    assert_eq!((rest.parts()[0].e_tag(), rest.parts()[0].size()), (three.e_tag(), Some(MIN as i64)));
    let two = part(&store, "a", &id, 2, &bytes[1]).await;
    let four = part(&store, "a", &id, 4, &bytes[3]).await;
    complete(&store, "a", &id, &[one, two, three, four]).await.unwrap();
    assert!(get(&store, "a").await.unwrap() == bytes.concat());
    let data = store.root.path().join(".store/uploads").read_dir().unwrap().count();
    assert_eq!(data, 0);
}

#[tokio::test]
async fn an_aborted_upload_is_gone_and_belongs_to_its_key_alone() {
    let store = TestStore::start().await;
    let (id, other) = (create(&store, "a").await, create(&store, "b").await);
    let one = part(&store, "a", &id, 1, b"x").await;
    let client = store.client();
    let wrong_key = client.upload_part().bucket(BUCKET).key("b").upload_id(&id).part_number(1).body(vec![1].into());
    assert_eq!(refusal(wrong_key.send().await), no(404, "NoSuchUpload"));
    assert_eq!(
        refusal(client.abort_multipart_upload().bucket(BUCKET).key("b").upload_id(&id).send().await),
        no(404, "NoSuchUpload")
    );
    client.abort_multipart_upload().bucket(BUCKET).key("a").upload_id(&id).send().await.unwrap();
    for id in [id.as_str(), "x", "../../../etc", &"0".repeat(32)] {
        let late = client.upload_part().bucket(BUCKET).key("a").upload_id(id).part_number(1).body(vec![1].into());
        assert_eq!(refusal(late.send().await), no(404, "NoSuchUpload"));
        assert_eq!(complete(&store, "a", id, std::slice::from_ref(&one)).await, Err(no(404, "NoSuchUpload")));
        assert_eq!(
            refusal(client.abort_multipart_upload().bucket(BUCKET).key("a").upload_id(id).send().await),
            no(404, "NoSuchUpload")
        );
    }
    assert_eq!((get(&store, "a").await, listed(&store).await), (None, vec![other]));
}

#[tokio::test]
async fn many_parts_at_once_and_again_make_the_right_object() {
    let store = TestStore::start().await;
    let id = create(&store, "a").await;
    let bytes: Vec<_> = (0..6_u64).map(|n| noise(MIN, n)).collect();
    let attempts = (0..12).map(|n| {
        let number = n % 6 + 1;
        let upload = store.client().upload_part().bucket(BUCKET).key("a").upload_id(&id).part_number(number);
        let upload = upload.body(bytes[usize::try_from(number - 1).unwrap()].clone().into());
        tokio::spawn(async move { (number, upload.send().await.unwrap().e_tag.unwrap()) })
    });
    let mut parts = std::collections::BTreeMap::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let (number, etag) = attempt.await.unwrap();
        let earlier = parts.insert(number, etag.clone());
        assert!(earlier.is_none_or(|earlier| earlier == etag), "the same bytes have the same ETag");
    }
    let claimed =
        parts.into_iter().map(|(number, etag)| CompletedPart::builder().part_number(number).e_tag(etag).build());
    complete(&store, "a", &id, &claimed.collect::<Vec<_>>()).await.unwrap();
    assert!(get(&store, "a").await.unwrap() == bytes.concat());
    assert_eq!(store.staged(), 0);
}

#[tokio::test]
async fn checksums_named_at_creation_are_kept_with_the_parts() {
    let store = TestStore::start().await;
    let client = store.client();
    let create = client.create_multipart_upload().bucket(BUCKET).key("a");
    let crc = create.clone().checksum_algorithm(ChecksumAlgorithm::Crc32).send().await;
    assert_eq!(refusal(crc), no(501, "NotImplemented"));
    let created = create.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    assert_eq!(created.checksum_algorithm(), Some(&ChecksumAlgorithm::Sha256));
    let id = created.upload_id().unwrap();
    let sha256 = data_encoding::BASE64.encode(&coffer::crypto::sha256(b"x"));
    let upload = client.upload_part().bucket(BUCKET).key("a").upload_id(id).part_number(1).checksum_sha256(&sha256);
    let part = upload.body(b"x".to_vec().into()).send().await.unwrap();
    assert_eq!(part.checksum_sha256(), Some(sha256.as_str()));
    let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).checksum_sha256(&sha256).build();
    complete(&store, "a", id, &[part]).await.unwrap();
}
