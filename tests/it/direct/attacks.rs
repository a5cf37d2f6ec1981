//! What a stolen or misused URL can do, and a bucket that does not keep its word: nothing that counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coffer::store::Store;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::text;
use crate::kit::coffer::{Coffer, Login};
use crate::kit::direct::{self, Sealed, Signed, Upload, begin};
use crate::kit::{backup, lent};

const PART: usize = 8 << 20;
/// What becomes of the object that an upload of this content sent.
type Attack = fn(&Upload, &[u8], Vec<u8>) -> Vec<u8>;

const DAMAGED: (u16, &str) = (422, "UPLOAD_DAMAGED");

fn is((status, code): (StatusCode, String), expected: (u16, &str)) {
    assert_eq!((status.as_u16(), code.as_str()), expected);
}

/// Every misuse of a URL that was signed for `part`; all must be refused.
async fn misuse(signed: &Signed, part: &Sealed) {
    let mut other = part.bytes.clone();
    other[60] ^= 1;
    let longer = [part.bytes.as_slice(), b"x"].concat();
    let shorter = part.bytes[1..].to_vec();
    for (name, bytes) in [("other bytes", other), ("longer", longer), ("shorter", shorter), ("nothing", Vec::new())] {
        let refused = signed.is_refused(Method::PUT, bytes).await;
        assert!(refused, "{name}");
    }
    for method in [Method::GET, Method::DELETE, Method::POST, Method::HEAD] {
        let refused = signed.is_refused(method.clone(), part.bytes.clone()).await;
        assert!(refused, "{method}");
    }
    let altered = |from: &str, to: &str| {
        let url = signed.url.replacen(from, to, 1);
        assert_ne!(url, signed.url, "{from}");
        Signed { url, ..signed.clone() }
    };
    let id = signed.url.split("blob/").nth(1).unwrap().split('?').next().unwrap();
    let mut altered = vec![
        ("another key", altered(id, &"0".repeat(32))),
        ("a longer life", altered("X-Amz-Expires=600", "X-Amz-Expires=6000")),
        ("no headers", Signed { headers: Vec::new(), ..signed.clone() }),
    ];
    if signed.url.contains("partNumber=2") {
        altered.push((
            "another part",
            Signed { url: signed.url.replacen("partNumber=2", "partNumber=1", 1), ..signed.clone() },
        ));
    }
    for (name, signed) in altered {
        let refused = signed.is_refused(Method::PUT, part.bytes.clone()).await;
        assert!(refused, "{name}");
    }
}

#[tokio::test]
async fn a_url_sends_the_bytes_it_was_signed_for_and_nothing_else() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for (name, size, at) in [("one part", 20_000, 0), ("two parts", PART + 20_000, 1)] {
        let content = text(size);
        let upload = begin(&login, name, size).await;
        let parts = upload.seal_all(&content);
        let signed = upload.sign(&parts).await;
        misuse(&signed[at], &parts[at]).await;
        is(upload.complete_refused(&content).await, (409, "UPLOAD_INCOMPLETE"));

        let etags = upload.send(&parts).await;
        upload.confirm(&parts, &etags).await;
        let node = upload.complete(&content).await;
        let id = node["id"].as_str().unwrap();
        // What is given out lives on for minutes; it commits nothing and changes nothing.
        for (signed, part) in signed.iter().zip(&parts) {
            let refused = signed.is_refused(Method::PUT, part.bytes.clone()).await;
            assert!(refused, "replayed");
        }
        misuse(&signed[at], &parts[at]).await;
        assert!(login.download(id).await == content);
        assert_eq!(upload.get().await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(objects(&coffer).await.len(), 2, "nothing else came to be");
}

#[tokio::test]
async fn a_url_of_a_part_ends_with_its_time_and_another_one_goes_on() {
    let mut coffer = Coffer::start_with(&[("URL_TTL_SECS", "1")]).await;
    let login = coffer.log_in().await;
    let content = text(PART + 9);
    let upload = begin(&login, "a", content.len()).await;
    let parts = upload.seal_all(&content);
    let expired = upload.sign(&parts[1..]).await.remove(0);
    let begun = Instant::now();
    // S3 says 403, Garage 400.
    while !expired.is_refused(Method::PUT, parts[1].bytes.clone()).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "the URL outlives its time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    is(upload.complete_refused(&content).await, (409, "UPLOAD_INCOMPLETE"));

    coffer.set("URL_TTL_SECS", "600");
    coffer.restart().await;
    let etags = upload.send(&parts).await;
    upload.confirm(&parts, &etags).await;
    let node = upload.complete(&content).await;
    assert!(expired.is_refused(Method::PUT, parts[1].bytes.clone()).await);
    assert!(login.download(node["id"].as_str().unwrap()).await == content);
}

#[tokio::test]
async fn an_earlier_encryption_is_not_the_file() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let content = text(PART + 9);
    let upload = begin(&login, "a", content.len()).await;
    let (old, last) = (upload.seal(0, upload.slice(&content, 0)), upload.seal(1, upload.slice(&content, 1)));
    let new = upload.seal(0, upload.slice(&content, 0));
    let old_etag = upload.send(std::slice::from_ref(&old)).await;
    upload.confirm(std::slice::from_ref(&old), &old_etag).await;
    let rest = [new.clone(), last];
    let etags = upload.send(&rest).await;
    // The newer one arrived and was not confirmed: only that part is to be sent again.
    upload.confirm(&rest[1..], &etags[1..]).await;
    is(upload.complete_refused(&content).await, (409, "UPLOAD_INCOMPLETE"));
    let shown: serde_json::Value = upload.get().await.json().await.unwrap();
    assert_eq!(shown["parts"].as_array().unwrap().len(), 1);
    upload.confirm(&rest[..1], &etags[..1]).await;
    let node = upload.complete(&content).await;
    assert!(login.download(node["id"].as_str().unwrap()).await == content);
}

/// A bucket that answers and lists what it should, and holds something else.
#[tokio::test]
async fn a_bucket_that_holds_other_bytes_than_it_says_is_found_out() {
    if lent::skip("a lent bucket has no folder to tamper with") {
        return;
    }
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let content = text(2 * PART + 40_000);
    let sealed_part = 8_396_872;
    for (name, at) in [
        ("first header", 0),
        ("first chunk", 60),
        ("header of a part that was signed twice", sealed_part + 30),
        ("last chunk", 2 * sealed_part + 56 + 2 * 16_400 + 5),
    ] {
        let upload = begin(&login, name, content.len()).await;
        let parts = upload.send_all(&content).await;
        upload.sign(&parts[1..2]).await;
        flip(&data_file(&coffer).await, at);
        is(upload.complete_refused(&content).await, DAMAGED);
        is(upload.complete_refused(&content).await, (404, "UPLOAD_NOT_FOUND"));
        nothing_is_left(&coffer, &login).await;
    }
    // A middle chunk is the client's own affair until it is read, and then nobody gets it.
    let upload = begin(&login, "middle", content.len()).await;
    upload.send_all(&content).await;
    flip(&data_file(&coffer).await, sealed_part + 56 + 16_400 * 3);
    let node = upload.complete(&content).await;
    let id = node["id"].as_str().unwrap();
    let (status, bytes) = login.range(id, &format!("bytes={}-{}", PART + 3 * 16384, PART + 3 * 16384)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{} bytes", bytes.len());
}

#[tokio::test]
async fn an_object_that_is_not_what_was_sent_is_found_out() {
    if lent::skip("a lent bucket has no folder to tamper with") {
        return;
    }
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let content = text(20_000);
    let attacks: [(&str, Attack); 6] = [
        ("longer", |_, _, mut object| {
            object.push(0);
            object
        }),
        ("shorter", |_, _, object| object[..object.len() - 1].to_vec()),
        ("empty", |_, _, _| Vec::new()),
        ("first chunk", |_, _, mut object| {
            object[56] ^= 1;
            object
        }),
        ("last byte", |_, _, mut object| {
            *object.last_mut().unwrap() ^= 1;
            object
        }),
        ("another encryption of the same", |upload, content, _| upload.seal(0, content).bytes),
    ];
    for (name, attack) in attacks {
        let upload = begin(&login, name, content.len()).await;
        upload.send_all(&content).await;
        let path = coffer.bucket_folder().join(upload.object_key());
        let object = attack(&upload, &content, fs::read(&path).unwrap());
        fs::write(&path, object).unwrap();
        is(upload.complete_refused(&content).await, DAMAGED);
        is(upload.complete_refused(&content).await, (404, "UPLOAD_NOT_FOUND"));
        assert_eq!(login.get("/nodes/root/children").await["total"], 0);
    }
}

#[tokio::test]
async fn a_type_that_the_content_contradicts_ends_the_upload() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let jpeg = [b"\xff\xd8\xff\xe0\0\x10JFIF\0".as_slice(), &text(PART)].concat();
    let body = json!({"parent": "root", "name": "a.png", "size": jpeg.len(), "type": "image/png"});
    let upload = direct::begin_with(&login, &body).await;
    upload.send_all(&jpeg).await;
    is(upload.complete_refused(&jpeg).await, (415, "MIME_TYPE_MISMATCH"));
    is(upload.complete_refused(&jpeg).await, (404, "UPLOAD_NOT_FOUND"));
    nothing_is_left(&coffer, &login).await;

    let body = json!({"parent": "root", "name": "a", "size": jpeg.len()});
    let upload = direct::begin_with(&login, &body).await;
    upload.send_all(&jpeg).await;
    assert_eq!(upload.complete(&jpeg).await["file"]["media_type"], "image/jpeg", "undeclared content shows its type");
}

/// The keys of blobs in the bucket.
async fn objects(coffer: &Coffer) -> Vec<String> {
    let all = backup::objects(coffer).await;
    all.into_keys().filter(|key| key.starts_with("blob/")).collect()
}

/// The uploads in parts that the bucket has, by their keys or folders.
async fn multiparts(coffer: &Coffer) -> Vec<String> {
    if let Some(place) = coffer.lent() {
        let all = Store::new(place, None).list_multiparts("blob/").await.unwrap();
        return all.into_iter().map(|upload| upload.key).collect();
    }
    let folders = fs::read_dir(coffer.bucket_folder().join(".store/uploads")).unwrap();
    folders.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect()
}

/// The bytes of the one multipart upload.
async fn data_file(coffer: &Coffer) -> PathBuf {
    let all = multiparts(coffer).await;
    assert_eq!(all.len(), 1);
    Path::new(&all[0]).join("data")
}

fn flip(path: &Path, at: usize) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at as u64).unwrap();
}

/// No upload, no file, and soon no object.
async fn nothing_is_left(coffer: &Coffer, login: &Login) {
    assert_eq!(login.get("/uploads").await["total"], 0);
    assert_eq!(login.get("/nodes/root/children").await["total"], 0);
    let begun = Instant::now();
    while !(objects(coffer).await.is_empty() && multiparts(coffer).await.is_empty()) {
        assert!(begun.elapsed() < Duration::from_secs(20), "something is left in the bucket");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
