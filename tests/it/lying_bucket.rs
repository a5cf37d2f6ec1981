//! The store's client against a bucket that answers wrongly: an error within bounded bytes, never other bytes than
//! those asked for.

use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer::store::{BodyDigest, CompletedPart, MAX_ANSWER_BYTES, MultipartId, Payload, RangeBody, Store, StoreError};

use crate::kit::lying_bucket::{ACCESS_KEY_ID, Lie, LyingBucket, answer, config};

const TEN: &str = "0123456789";
/// What may be on its way in socket buffers beyond what the client reads.
const SOCKET_SLACK_BYTES: u64 = 16 << 20;
const MEGABYTE: &[u8] = &[b' '; 1 << 20];

async fn read_range(store: &Store) -> Result<Bytes, StoreError> {
    match store.get_range("blob/x", 10..20).await {
        Ok(body) => RangeBody::collect(body).await,
        Err(error) => Err(error),
    }
}

fn chunked(status: &str, headers: &str, body: &str) -> Lie {
    let length = body.len();
    Lie::Raw(format!(
        "HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n{headers}\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    ))
}

#[tokio::test]
async fn an_exact_range_is_read() {
    for honest in [
        answer("206 Partial Content", "Content-Range: bytes 10-19/30\r\n", TEN),
        chunked("206 Partial Content", "Content-Range: bytes 10-19/30\r\n", TEN),
    ] {
        let bucket = LyingBucket::start(vec![honest]).await;
        assert_eq!(read_range(&bucket.store()).await.expect("a range"), TEN);
        let request = &bucket.requests()[0].head;
        assert!(request.starts_with("get /vault-bucket/pre/fix/blob/x"), "{request}");
        assert!(request.contains("range: bytes=10-19"), "{request}");
    }
}

#[tokio::test]
async fn a_lying_range_is_refused() {
    let partial = "206 Partial Content";
    let range = "Content-Range: bytes 10-19/30\r\n";
    let cut = format!("HTTP/1.1 {partial}\r\nContent-Length: 10\r\n{range}\r\n01234");
    let cut_without_length = format!("HTTP/1.1 {partial}\r\nConnection: close\r\n{range}\r\n01234");
    let error = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>";
    for (name, lie) in [
        ("the whole object", answer("200 OK", "", "012345678901234567890123456789")),
        ("the range under 200", answer("200 OK", range, TEN)),
        ("the range under 203", answer("203 Non-Authoritative Information", range, TEN)),
        ("no Content-Range", answer(partial, "", TEN)),
        ("another range", answer(partial, "Content-Range: bytes 0-9/30\r\n", TEN)),
        ("a longer range", answer(partial, "Content-Range: bytes 10-20/30\r\n", "0123456789a")),
        ("a range beyond the object", answer(partial, "Content-Range: bytes 10-19/19\r\n", TEN)),
        ("an unknown total", answer(partial, "Content-Range: bytes 10-19/*\r\n", TEN)),
        ("many ranges", answer(partial, "Content-Type: multipart/byteranges; boundary=a\r\n", "--a\r\n\r\n--a--")),
        ("short by its length", answer(partial, range, "012345678")),
        ("long by its length", answer(partial, range, "0123456789a")),
        ("short by its chunks", chunked(partial, range, "012345678")),
        ("long by its chunks", chunked(partial, range, "0123456789a")),
        ("cut", Lie::Raw(cut)),
        ("cut without a length", Lie::Raw(cut_without_length)),
        ("an error under 200", answer("200 OK", "Content-Type: application/xml\r\n", error)),
        ("an error under 206", answer(partial, "Content-Type: application/xml\r\n", error)),
        ("not modified", answer("304 Not Modified", "", "")),
    ] {
        let bucket = LyingBucket::start(vec![lie]).await;
        assert!(read_range(&bucket.store()).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_left_after_bounded_bytes() {
    let chunked = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    let range = "Content-Range: bytes 10-19/30\r\n";
    let limit = MAX_ANSWER_BYTES as u64 + SOCKET_SLACK_BYTES;
    for (name, head) in [("206", chunked("206 Partial Content", range)), ("404", chunked("404 Not Found", ""))] {
        let bucket = LyingBucket::start(vec![Lie::Endless(head, MEGABYTE)]).await;
        assert!(read_range(&bucket.store()).await.is_err(), "{name}");
        assert!(bucket.sent_bytes() <= limit, "{name}: {}", bucket.sent_bytes());
    }
    let bucket = LyingBucket::start(vec![Lie::Endless(chunked("200 OK", ""), MEGABYTE)]).await;
    let store = bucket.store();
    assert_eq!(store.list("log/").await, Err(StoreError::Mismatch("an answer without end")));
    assert!(bucket.sent_bytes() <= limit);
    assert!(store.get("vault", 1 << 20).await.is_err());
    assert!(store.put("vault", Bytes::from_static(b"x")).await.is_err());
    assert!(bucket.sent_bytes() <= 3 * limit);
}

#[tokio::test]
async fn an_object_is_read_up_to_the_limit_and_not_one_byte_more() {
    let bucket = LyingBucket::start(vec![answer("200 OK", "", TEN)]).await;
    assert_eq!(bucket.store().get("vault", 10).await.expect("an object"), TEN);
    assert_eq!(bucket.store().get("vault", 9).await, Err(StoreError::TooLarge));
    let bucket = LyingBucket::start(vec![answer("206 Partial Content", "Content-Range: bytes 0-9/20\r\n", TEN)]).await;
    assert!(matches!(bucket.store().get("vault", 10).await, Err(StoreError::Mismatch(_))));
}

fn page(keys: &[&str], next: Option<&str>) -> Lie {
    let contents: String = keys
        .iter()
        .map(|key| {
            format!(
                "<Contents><Key>{key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            )
        })
        .collect();
    let next = next.map_or(String::new(), |next| {
        format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>")
    });
    let body = format!("<?xml version=\"1.0\"?><ListBucketResult>{contents}{next}</ListBucketResult>");
    answer("200 OK", "Content-Type: application/xml\r\n", &body)
}

#[tokio::test]
async fn a_listing_follows_its_pages_and_has_an_end() {
    let bucket = LyingBucket::start(vec![page(&["pre/fix/log/a"], Some("t")), page(&["pre/fix/log/b"], None)]).await;
    let listed = bucket.store().list("log/").await.expect("a listing");
    let keys: Vec<&str> = listed.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["log/a", "log/b"]);
    assert_eq!(listed[0].modified_ms, 1_767_225_600_000);
    assert!(bucket.requests()[1].head.contains("continuation-token=t"));
    assert!(bucket.requests().iter().all(|request| !request.head.contains("start-after")));

    for (name, lies) in [
        ("the same page for ever", vec![page(&["pre/fix/log/a"], Some("t"))]),
        ("empty pages for ever", vec![page(&[], Some("t"))]),
        ("out of order", vec![page(&["pre/fix/log/b", "pre/fix/log/a"], None)]),
        ("beside the prefix", vec![page(&["pre/fix/blob/a"], None)]),
        ("outside S3_PREFIX", vec![page(&["log/a"], None)]),
        ("cut without a token", vec![page(&["pre/fix/log/a"], Some(""))]),
        ("an error under 200", vec![answer("200 OK", "", "<Error><Code>InternalError</Code></Error>")]),
        ("nothing under 200", vec![answer("200 OK", "", "")]),
        ("not XML", vec![answer("200 OK", "", "<html>welcome</html>")]),
    ] {
        let bucket = LyingBucket::start(lies).await;
        let listed = bucket.store().list("log/").await;
        assert!(matches!(listed, Err(StoreError::Mismatch(_))), "{name}: {listed:?}");
    }
}

#[tokio::test]
async fn a_write_is_confirmed_only_by_an_entity_tag() {
    let error = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>later</Message></Error>";
    let bucket = LyingBucket::start(vec![answer("200 OK", "Content-Type: application/xml\r\n", error)]).await;
    let (store, id) = (bucket.store(), MultipartId::new("upload".to_owned()));
    let part = CompletedPart { number: 1, etag: "\"a\"".to_owned(), sha256: None };
    let body = Bytes::from_static(b"x");
    for outcome in [
        store.put("blob/x", body.clone()).await.err(),
        store.create_multipart("blob/x").await.err(),
        store.upload_part("blob/x", &id, 1, body, Payload::Sealed).await.err(),
        store.complete_multipart("blob/x", &id, &[part]).await.err(),
        store.list_parts("blob/x", &id).await.err(),
        store.list_multiparts("blob/").await.err(),
    ] {
        let outcome = outcome.expect("an error");
        assert!(!outcome.is_definite(), "{outcome}");
    }
}

#[tokio::test]
async fn a_write_is_repeated_with_the_same_bytes_and_a_bounded_number_of_times() {
    let later = answer("503 Slow Down", "", "<Error><Code>SlowDown</Code></Error>");
    let done = answer("200 OK", "ETag: \"tag\"\r\n", "");
    let bucket = LyingBucket::start(vec![later.clone(), Lie::Silence, done]).await;
    assert_eq!(bucket.store().put("blob/x", Bytes::from_static(b"sealed")).await.expect("a tag"), "\"tag\"");
    let requests = bucket.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == b"sealed"));

    let bucket = LyingBucket::start(vec![later]).await;
    let error = bucket.store().put("blob/x", Bytes::from_static(b"sealed")).await.expect_err("never done");
    assert!(!error.is_definite());
    assert_eq!(bucket.requests().len(), 4);
}

#[tokio::test]
async fn a_refusal_after_an_attempt_without_an_answer_is_not_definite() {
    let denied = answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>");
    let bucket = LyingBucket::start(vec![denied.clone()]).await;
    let error = bucket.store().put("blob/x", Bytes::from_static(b"x")).await.expect_err("refused");
    assert_eq!(error, StoreError::Refused { status: 403, code: "AccessDenied".to_owned() });
    let bucket = LyingBucket::start(vec![Lie::Silence, denied]).await;
    let error = bucket.store().put("blob/x", Bytes::from_static(b"x")).await.expect_err("refused");
    assert!(!error.is_definite(), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_error_names_a_host_or_a_key() {
    let elsewhere = LyingBucket::start(vec![answer("200 OK", "ETag: \"tag\"\r\n", "")]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}\r\n", elsewhere.url().join("blob/x").expect("a URL"));
        let body = "<Error><Code>PermanentRedirect</Code><Endpoint>elsewhere</Endpoint></Error>";
        let bucket = LyingBucket::start(vec![answer(status, &location, body)]).await;
        let store = bucket.store();
        let outcomes = [
            store.put("blob/x", Bytes::from_static(b"x")).await.expect_err("redirected"),
            store.get("blob/x", 10).await.expect_err("redirected"),
            store.head("blob/x").await.expect_err("redirected"),
            store.list("blob/").await.expect_err("redirected"),
        ];
        for error in outcomes {
            let text = format!("{error} {error:?} {store:?}");
            assert!(!text.contains("127.0.0.1") && !text.contains("CANARY"), "{text}");
        }
        assert!(bucket.requests()[0].head.contains(&ACCESS_KEY_ID.to_ascii_lowercase()));
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_silent_bucket_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
    let store = Store::new(&coffer::config::StoreConfig { request_timeout_secs: 1, ..config(url) }, None);
    let started = Instant::now();
    let error = store.head("vault").await.expect_err("no answer");
    assert_eq!(error, StoreError::Unavailable { reason: "no answer in time" });
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_signed_url_fixes_length_and_digest_and_points_at_the_public_endpoint() {
    let own = "http://127.0.0.1:1".parse().expect("a URL");
    let public: url::Url = "https://s3.example.org".parse().expect("a URL");
    let settings = coffer::config::StoreConfig { public_endpoint: public.clone(), ..config(own) };
    let ttl = Duration::from_secs(600);
    let id = MultipartId::new("upload".to_owned());
    let store = Store::new(&settings, None);
    let (sha256, md5) = (BodyDigest::Sha256([1; 32]), BodyDigest::Md5([1; 16]));
    let part = async |digest| {
        let signed = store.presign_part(("blob/x", &id), 2, 7, &digest, ttl)?;
        Ok::<_, StoreError>(signed.url)
    };
    let whole = async |digest| Ok(store.presign_new_object("blob/x", 7, &digest, ttl)?.url);
    let urls = [
        (store.presign_get("blob/x", ttl), "host"),
        (part(sha256).await, "content-length;host;x-amz-checksum-sha256"),
        (part(md5).await, "content-length;content-md5;host"),
        (whole(sha256).await, "content-length;host;if-none-match;x-amz-checksum-sha256"),
        (whole(md5).await, "content-length;content-md5;host;if-none-match"),
    ];
    for (url, signed) in urls {
        let url = url.expect("a URL");
        assert_eq!(url.origin(), public.origin());
        assert_eq!(url.path(), "/vault-bucket/pre/fix/blob/x");
        let query: std::collections::HashMap<_, _> = url.query_pairs().collect();
        assert_eq!(query["X-Amz-SignedHeaders"], signed);
        assert_eq!(query["X-Amz-Expires"], "600");
        assert!(!query.keys().any(|name| name.to_ascii_lowercase().contains("crc32")), "{url}");
    }
    let virtual_host = Store::new(&coffer::config::StoreConfig { path_style: false, ..settings }, None);
    let url = virtual_host.presign_get("blob/x", ttl).expect("a URL");
    assert_eq!(url.host_str(), Some("vault-bucket.s3.example.org"));
    assert_eq!(url.path(), "/pre/fix/blob/x");
}
