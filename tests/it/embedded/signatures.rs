//! Who is let in, and bodies that are not what was signed.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{get, no, put, refusal};
use crate::kit::embedded::{ACCESS_KEY, BUCKET, SECRET_KEY, TestStore, client_with};

async fn signed_get(store: &TestStore, key: &str, life_secs: u64) -> String {
    let life = PresigningConfig::expires_in(Duration::from_secs(life_secs)).unwrap();
    store.client().get_object().bucket(BUCKET).key(key).presigned(life).await.unwrap().uri().to_owned()
}

async fn signed_put(store: &TestStore, key: &str, body: &[u8]) -> String {
    let life = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let put = store
        .client()
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .content_length(body.len() as i64)
        .checksum_sha256(sha256(body));
    put.presigned(life).await.unwrap().uri().to_owned()
}

fn sha256(body: &[u8]) -> String {
    data_encoding::BASE64.encode(&coffer::crypto::sha256(body))
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn strangers_and_wrong_keys_are_refused() {
    let store = TestStore::start().await;
    put(&store, "a", b"secret").await;
    let http = reqwest::Client::new();
    for path in ["", "/test-bucket", "/test-bucket/a", "/test-bucket/absent", "/other-bucket/a"] {
        let url = format!("{}{path}", store.url);
        for request in
            [http.get(&url), http.put(&url).body("x"), http.delete(&url), http.head(&url), http.post(&url).body("x")]
        {
            let status = status(request).await;
            assert!((400..500).contains(&status) || status == 501, "{path} {status}");
        }
        assert_eq!(status(http.get(&url)).await, 403);
    }
    let form =
        http.post(format!("{}/test-bucket", store.url)).header("content-type", "multipart/form-data; boundary=x");
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{}\r\n--x--\r\n",
        "y".repeat(1 << 20)
    );
    assert!((400..500).contains(&status(form.body(body)).await));
    for (access, secret, code) in [
        (ACCESS_KEY, "other", "SignatureDoesNotMatch"),
        ("other", SECRET_KEY, "InvalidAccessKeyId"),
        (ACCESS_KEY, "", "SignatureDoesNotMatch"),
    ] {
        let answer = client_with(&store.url, access, secret).get_object().bucket(BUCKET).key("a").send().await;
        assert_eq!(refusal(answer), no(403, code));
    }
    assert_eq!(get(&store, "a").await.as_deref(), Some(&b"secret"[..]));
}

#[tokio::test]
async fn a_signed_url_does_one_thing_for_its_time() {
    let store = TestStore::start().await;
    put(&store, "a", b"one").await;
    put(&store, "b", b"two").await;
    let http = reqwest::Client::new();
    let url = signed_get(&store, "a", 60).await;
    assert_eq!(http.get(&url).send().await.unwrap().bytes().await.unwrap(), "one");
    assert_eq!(status(http.get(&url).header("range", "bytes=0-0")).await, 206);
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap()[..64].to_owned();
    let flipped =
        if signature.starts_with('0') { signature.replacen('0', "1", 1) } else { format!("0{}", &signature[1..]) };
    for altered in [
        url.replace("/a?", "/b?"),
        url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"),
        url.replace(&signature, &flipped),
        format!("{url}&response-content-type=text/html"),
        format!("{url}&x=1"),
        url.replace("us-east-1", "us-east-2"),
    ] {
        assert_ne!(altered, url);
        assert_eq!(status(http.get(&altered)).await, 403, "{altered}");
    }
    for request in [http.put(&url).body("x"), http.delete(&url), http.head(&url)] {
        assert_eq!(status(request).await, 403);
    }
    assert_eq!(status(http.get(&url).header("x-amz-request-payer", "requester")).await, 403);
    let long = signed_get(&store, "a", 7 * 24 * 3600).await;
    assert_eq!(status(http.get(&long)).await, 200);
}

#[tokio::test]
async fn an_expired_url_is_refused() {
    let store = TestStore::start().await;
    put(&store, "a", b"one").await;
    let past = std::time::SystemTime::now() - Duration::from_secs(120);
    let life =
        |secs| PresigningConfig::builder().start_time(past).expires_in(Duration::from_secs(secs)).build().unwrap();
    for (secs, expected) in [(60, 403), (119, 403), (600, 200)] {
        let url = store.client().get_object().bucket(BUCKET).key("a").presigned(life(secs)).await.unwrap();
        assert_eq!(status(reqwest::Client::new().get(url.uri())).await, expected, "{secs}");
    }
}

#[tokio::test]
async fn a_signed_url_for_a_write_takes_exactly_its_bytes() {
    let store = TestStore::start().await;
    let http = reqwest::Client::new();
    let url = signed_put(&store, "a", b"right").await;
    let sum = sha256(b"right");
    assert_eq!(status(http.put(&url).body("right")).await, 403, "without the signed checksum");
    assert_eq!(status(http.put(&url).header("x-amz-checksum-sha256", sha256(b"wrong")).body("wrong")).await, 403);
    assert_eq!(status(http.put(&url).header("x-amz-checksum-sha256", &sum).body("longer!")).await, 403);
    assert_eq!(status(http.put(&url).header("x-amz-checksum-sha256", &sum).body("wrong")).await, 400);
    let with_meta = http.put(&url).header("x-amz-checksum-sha256", &sum).header("x-amz-meta-a", "b").body("right");
    assert_eq!(status(with_meta).await, 501);
    assert_eq!((get(&store, "a").await, store.staged()), (None, 0));
    assert_eq!(status(http.put(&url).header("x-amz-checksum-sha256", &sum).body("right")).await, 200);
    assert_eq!(get(&store, "a").await.as_deref(), Some(&b"right"[..]));
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let store = TestStore::start().await;
    let body = vec![7; 3 << 20];
    let url = signed_put(&store, "a", &body).await;
    let address = store.url.strip_prefix("http://").unwrap();
    let path = url.strip_prefix(&store.url).unwrap();
    for sent in [0, 1, body.len() / 2, body.len() - 1] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let sum = sha256(&body);
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nx-amz-checksum-sha256: {sum}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..sent]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        assert_eq!(get(&store, "a").await, None);
    }
    for _ in 0..200 {
        if store.staged() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("half a body was kept");
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_what_it_needs() {
    let store = TestStore::start().await;
    put(&store, "a", b"one").await;
    let url = signed_get(&store, "a", 60).await;
    let http = reqwest::Client::new();
    let listed = http.get(&url).header("origin", "https://vault.example").send().await.unwrap();
    assert_eq!(listed.headers()["access-control-allow-origin"], "https://vault.example");
    assert!(listed.headers()["access-control-expose-headers"].to_str().unwrap().contains("ETag"));
    let other = http.get(&url).header("origin", "https://other.example").send().await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));
    let preflight = http.request(reqwest::Method::OPTIONS, &url).header("origin", "https://vault.example");
    assert_eq!(status(preflight.header("access-control-request-method", "PUT")).await, 204);
}
