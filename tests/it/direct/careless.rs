//! Direct uploads on a bucket that ignores conditions, lengths and checksums: nothing but what was confirmed is committed,
//! and what was committed stays.

use reqwest::{Method, Response, StatusCode};

use super::text;
use crate::kit::careless::Careless;
use crate::kit::coffer::{Coffer, Login};
use crate::kit::direct::{Sealed, Signed, Upload, begin};
use crate::kit::{TestBucket, lent};

const PART: usize = 8 << 20;

/// A vault on a bucket behind a careless front.
struct World {
    front: Careless,
    coffer: Coffer,
    login: Login,
    _bucket: TestBucket,
}

impl World {
    async fn start(is_careful: bool) -> Self {
        let bucket = TestBucket::start_process();
        let front = Careless::start(bucket.url()).await;
        front.take_care(is_careful);
        let settings = bucket.settings(front.url());
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let coffer = Coffer::start_with(&settings).await;
        let login = coffer.log_in().await;
        Self { front, coffer, login, _bucket: bucket }
    }
}

fn skipped() -> bool {
    lent::skip("its front needs the keys of a bucket of its own")
}

/// The same length, other bytes.
fn other_bytes(part: &Sealed) -> Vec<u8> {
    part.bytes.iter().map(|byte| byte ^ 0xa5).collect()
}

async fn confirm_and_complete(upload: &Upload, parts: &[Sealed], etags: &[String], content: &[u8]) -> String {
    upload.confirm(parts, etags).await;
    upload.complete(content).await["id"].as_str().unwrap().to_owned()
}

async fn put(signed: &Signed, bytes: Vec<u8>) -> StatusCode {
    signed.put(bytes).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_that_a_careless_bucket_takes_before_the_completion_are_found_in_any_part() {
    if skipped() {
        return;
    }
    let world = World::start(false).await;
    let content = text(2 * PART + 40_000);
    let upload = begin(&world.login, "three parts", content.len()).await;
    assert_eq!((&upload.json["checksum"], &upload.json["single_put"]), (&"md5".into(), &false.into()));
    let parts = upload.send_all(&content).await;
    let signed = upload.sign(&parts).await;
    for (at, part) in parts.iter().enumerate() {
        for bytes in [other_bytes(part), part.bytes[1..].to_vec()] {
            assert_eq!(put(&signed[at], bytes).await, StatusCode::OK, "the bucket does not care");
            let refused = upload.complete_refused(&content).await;
            assert_eq!(refused, (StatusCode::CONFLICT, "UPLOAD_INCOMPLETE".to_owned()), "part {at}");
            assert_eq!(world.login.get("/nodes/root/children").await["total"], 0);
            // The part that was tampered with is the only one to send again.
            let left: serde_json::Value = upload.get().await.json().await.unwrap();
            let left: Vec<_> = left["parts"].as_array().unwrap().iter().map(|part| part["part"].clone()).collect();
            assert!(left.len() == 2 && !left.contains(&at.into()), "{left:?}");
            let again = std::slice::from_ref(part);
            let etags = upload.send(again).await;
            upload.confirm(again, &etags).await;
        }
    }
    let node = upload.complete(&content).await;
    let id = node["id"].as_str().unwrap();
    for (signed, part) in signed.iter().zip(&parts) {
        for bytes in [part.bytes.clone(), other_bytes(part)] {
            assert_eq!(put(signed, bytes).await, StatusCode::NOT_FOUND, "the upload is over");
        }
    }
    assert!(world.login.download(id).await == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_has_no_url_that_could_replace_it_on_a_careless_bucket() {
    if skipped() {
        return;
    }
    let world = World::start(false).await;
    for size in [0, 1, 20_000] {
        let content = text(size);
        let upload = begin(&world.login, &format!("{size}"), size).await;
        let parts = upload.seal_all(&content);
        let signed = upload.sign(&parts).await;
        assert!(signed[0].url.contains("uploadId="), "a URL of the object itself would outlive the completion");
        let etags = upload.send(&parts).await;
        let id = confirm_and_complete(&upload, &parts, &etags, &content).await;
        assert_eq!(put(&signed[0], other_bytes(&parts[0])).await, StatusCode::NOT_FOUND);
        assert!(world.login.download(&id).await == content);
    }
    assert!(world.coffer.output().contains("other bytes than those whose SHA-256 was sent"), "its owner is told");
}

/// The probe saw a careful bucket, and it was one only for the probe.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_stops_caring_after_the_probe_gives_nobody_other_bytes() {
    if skipped() {
        return;
    }
    let world = World::start(true).await;
    let content = text(20_000);
    let begun = async |name| {
        let upload = begin(&world.login, name, content.len()).await;
        assert_eq!((&upload.json["checksum"], &upload.json["single_put"]), (&"sha256".into(), &true.into()));
        let parts = upload.seal_all(&content);
        let signed = upload.sign(&parts).await;
        (upload, parts, signed)
    };
    let (replaced, early, its_urls) = begun("replaced before").await;
    let (kept, parts, signed) = begun("replaced after").await;
    let early_etags = replaced.send(&early).await;
    replaced.confirm(&early, &early_etags).await;
    let etags = kept.send(&parts).await;
    let id = confirm_and_complete(&kept, &parts, &etags, &content).await;

    world.front.take_care(false);
    assert_eq!(put(&its_urls[0], other_bytes(&early[0])).await, StatusCode::OK);
    assert_eq!(
        replaced.complete_refused(&content).await,
        (StatusCode::UNPROCESSABLE_ENTITY, "UPLOAD_DAMAGED".to_owned())
    );
    assert_eq!(put(&signed[0], parts[0].bytes.clone()).await, StatusCode::OK);
    assert!(world.login.download(&id).await == content, "the same bytes again change nothing");
    assert_eq!(put(&signed[0], other_bytes(&parts[0])).await, StatusCode::OK);
    let read: Response = world.login.request(Method::GET, &format!("/files/{id}/content")).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::BAD_GATEWAY, "damage is said, and no other bytes are served");
}
