//! Content for whoever has a grant or a ticket, and for nobody else.

use std::ops::Range;

use coffer::crypto::{BlobId, BlobShape, Dek, Geometry, RangeOpener, Salt, VaultId, sha256};
use data_encoding::{BASE64, HEXLOWER};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, Login, json_of, problem_of};

const CHUNK: usize = 16_384;
const PART: usize = 8 * 1024 * 1024;

fn content(size: usize) -> Vec<u8> {
    let mut state = size as u32 | 1;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(next).collect()
}

async fn post(login: &Login, path: &str, body: &Value) -> Response {
    login.request(Method::POST, path).json(body).send().await.unwrap()
}

async fn grant(login: &Login, file: &str, body: &Value) -> Value {
    let answer = post(login, &format!("/files/{file}/grant"), body).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    json_of(answer, StatusCode::OK).await
}

async fn ticket(login: &Login, file: &str, body: &Value) -> String {
    let answer = post(login, &format!("/files/{file}/ticket"), body).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    json_of(answer, StatusCode::OK).await["url"].as_str().unwrap().to_owned()
}

/// What a client does that has the grant and nothing else.
struct Client {
    grant: Value,
    shape: BlobShape,
    key: Dek,
    salts: Vec<Salt>,
}

impl Client {
    fn new(grant: Value) -> Self {
        let text = |name: &str| grant[name].as_str().unwrap();
        let number = |name: &str| grant[name].as_u64().unwrap();
        let geometry = Geometry::from_k(number("part_size_log2").try_into().unwrap()).unwrap();
        let shape = BlobShape {
            vault_id: VaultId::from_hex(text("vault_id")).unwrap(),
            blob_id: BlobId::from_hex(text("blob_id")).unwrap(),
            geometry,
            size: number("size"),
        };
        assert_eq!((number("format"), number("part_size")), (1, geometry.part_size()));
        assert_eq!(number("part_count"), u64::from(shape.part_count()));
        assert_eq!(number("object_size"), geometry.object_size(shape.size));
        let salts = BASE64.decode(text("salts").as_bytes()).unwrap();
        let salts: Vec<Salt> = salts.chunks_exact(24).map(|salt| salt.try_into().unwrap()).collect();
        let key = Dek::from_bytes(HEXLOWER.decode(text("key").as_bytes()).unwrap().try_into().unwrap());
        Self { shape, key, salts, grant }
    }

    fn url(&self) -> &str {
        self.grant["url"].as_str().unwrap()
    }

    async fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut opener = RangeOpener::new(self.key.clone(), self.shape, &self.salts, range).unwrap();
        let object = opener.object();
        let header = format!("bytes={}-{}", object.start, object.end - 1);
        // No header of the session goes along: the URL is all.
        let answer = reqwest::Client::new().get(self.url()).header("range", header).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        let mut plain = Vec::new();
        opener.push(&answer.bytes().await.unwrap(), &mut plain).unwrap();
        opener.finish().unwrap();
        plain
    }
}

#[tokio::test]
async fn a_grant_alone_opens_a_file_of_any_size() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART - 1, PART, PART + 1, 2 * PART + CHUNK + 5] {
        let bytes = content(size);
        let node = login.upload("root", &format!("{size}.bin"), bytes.clone()).await;
        let client = Client::new(grant(&login, node["id"].as_str().unwrap(), &json!({})).await);
        assert!(client.read(0..size as u64).await == bytes, "{size}");
        for name in ["name", "type", "version", "content_hash"] {
            let of_node = match name {
                "name" => &node["name"],
                "type" => &node["file"]["media_type"],
                _ => &node["file"][name],
            };
            assert_eq!(&client.grant[name], of_node, "{name}");
        }
        assert_eq!(client.grant["method"], "GET");
        if size > PART + 3 {
            let edge = PART as u64 - 3..PART as u64 + 3;
            assert_eq!(client.read(edge).await, bytes[PART - 3..PART + 3]);
        }
    }
}

#[tokio::test]
async fn an_older_version_is_granted_by_its_id_and_stays_what_it_was() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let node = login.upload("root", "a.txt", "first").await;
    let (id, first) = (node["id"].as_str().unwrap(), node["file"]["version"].as_str().unwrap());
    let lent = ticket(&login, id, &json!({})).await;
    let before = Client::new(grant(&login, id, &json!({})).await);
    let replaced = login.request(Method::PUT, &format!("/files/{id}/content")).body("second").send().await.unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    let older = Client::new(grant(&login, id, &json!({"version": first})).await);
    let newer = Client::new(grant(&login, id, &json!({})).await);
    assert_eq!((older.read(0..5).await, newer.read(0..6).await), (b"first".to_vec(), b"second".to_vec()));
    assert_eq!(before.read(0..5).await, b"first");
    assert_ne!(older.key.as_bytes(), newer.key.as_bytes(), "a version has a key of its own");
    let older_ticket = ticket(&login, id, &json!({"version": first})).await;
    for url in [lent, older_ticket] {
        assert_eq!(coffer.client.get(coffer.url(&url)).send().await.unwrap().text().await.unwrap(), "first");
    }
    let deleted = login.request(Method::DELETE, &format!("/files/{id}/versions/{first}")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let gone = post(&login, &format!("/files/{id}/grant"), &json!({"version": first})).await;
    assert_eq!(problem_of(gone).await, (StatusCode::NOT_FOUND, "FILE_NOT_FOUND".into()));
}

#[tokio::test]
async fn a_granted_url_does_one_thing_to_one_object() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (one, two) = (login.upload("root", "one", "1").await, login.upload("root", "two", "22").await);
    let of = async |node: &Value| Client::new(grant(&login, node["id"].as_str().unwrap(), &json!({})).await);
    let (one, two) = (of(&one).await, of(&two).await);
    let id = |client: &Client| client.shape.blob_id.hex();
    let other_key = one.url().replace(&id(&one), &id(&two));
    let longer = one.url().replace("X-Amz-Expires=600", "X-Amz-Expires=604800");
    let bare = one.url().split('?').next().unwrap();
    assert!(longer != one.url() && other_key != one.url());
    for (method, url) in [
        (Method::PUT, one.url()),
        (Method::DELETE, one.url()),
        (Method::HEAD, one.url()),
        (Method::GET, other_key.as_str()),
        (Method::GET, longer.as_str()),
        (Method::GET, bare),
    ] {
        let answer = coffer.client.request(method.clone(), url).body("!").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {url}");
    }
    assert_eq!((one.read(0..1).await, two.read(0..2).await), (b"1".to_vec(), b"22".to_vec()));
}

#[tokio::test]
async fn a_granted_url_ends_with_its_time() {
    let coffer = Coffer::start_with(&[("URL_TTL_SECS", "1")]).await;
    let login = coffer.log_in().await;
    let node = login.upload("root", "a", "1").await;
    let client = Client::new(grant(&login, node["id"].as_str().unwrap(), &json!({})).await);
    let begun = std::time::Instant::now();
    // S3 says 403, Garage 400.
    while reqwest::get(client.url()).await.unwrap().status().is_success() {
        assert!(begun.elapsed().as_secs() < 10, "the URL outlives its time");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let ended = reqwest::get(client.url()).await.unwrap().status();
    assert!([StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&ended), "{ended}");
}

#[tokio::test]
async fn nothing_is_granted_to_nobody_and_of_nothing() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let file = login.upload("root", "a", "1").await;
    let folder = login.create("/folders", &json!({"parent": "root", "name": "f"})).await;
    let (file, folder) = (file["id"].as_str().unwrap(), folder["id"].as_str().unwrap());
    for door in ["grant", "ticket"] {
        for (node, body, status, code) in [
            (folder, json!({}), 409, "CONFLICT"),
            ("00000000000000000000000000000001", json!({}), 404, "FILE_NOT_FOUND"),
            (file, json!({"version": "00000000000000000000000000000001"}), 404, "FILE_NOT_FOUND"),
            (file, json!({"version": "x"}), 400, "INVALID_REQUEST"),
            (file, json!({"disposition": "both"}), 400, "INVALID_REQUEST"),
            (file, json!([]), 400, "INVALID_REQUEST"),
        ] {
            let refused = problem_of(post(&login, &format!("/files/{node}/{door}"), &body).await).await;
            assert_eq!((refused.0.as_u16(), refused.1.as_str()), (status, code), "{door} {body}");
        }
        let nobody = coffer.client.post(coffer.url(&format!("/api/v1/files/{file}/{door}"))).json(&json!({}));
        assert_eq!(problem_of(nobody.send().await.unwrap()).await.1, "AUTHENTICATION_REQUIRED");
    }
    let gone = coffer.log_in().await;
    assert!(gone.request(Method::DELETE, "/session").send().await.unwrap().status().is_success());
    for door in ["grant", "ticket"] {
        let refused = post(&gone, &format!("/files/{file}/{door}"), &json!({})).await;
        assert_eq!(problem_of(refused).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".into()));
    }
}

#[tokio::test]
async fn a_ticket_downloads_as_the_session_would() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let node = login.upload("root", "a.bin", "0123456789").await;
    let url = coffer.url(&ticket(&login, node["id"].as_str().unwrap(), &json!({})).await);
    let tag = format!("\"{}\"", node["file"]["version"].as_str().unwrap());
    let whole = coffer.client.get(&url).send().await.unwrap();
    for (name, value) in [
        ("content-length", "10"),
        ("accept-ranges", "bytes"),
        ("etag", &tag),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename=\"a.bin\"; filename*=UTF-8''a.bin"),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(whole.headers()[name], value, "{name}");
    }
    assert_eq!(whole.text().await.unwrap(), "0123456789");
    let part = coffer.client.get(&url).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(
        (part.status(), part.headers()["content-range"].to_str().unwrap()),
        (StatusCode::PARTIAL_CONTENT, "bytes 2-4/10")
    );
    assert_eq!(part.text().await.unwrap(), "234");
    let head = coffer.client.head(&url).send().await.unwrap();
    assert_eq!((head.status(), &head.headers()["content-length"]), (StatusCode::OK, &"10".parse().unwrap()));
    let known = coffer.client.get(&url).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let past = coffer.client.get(&url).header("range", "bytes=10-").send().await.unwrap();
    assert_eq!(problem_of(past).await.1, "RANGE_NOT_SATISFIABLE");
    let posted = coffer.client.post(&url).send().await.unwrap();
    assert_eq!(posted.headers()["allow"], "GET, HEAD");
    for wrong in [HEXLOWER.encode(&sha256(b"x")), "0".repeat(63), "Z".repeat(64)] {
        let answer = coffer.client.get(coffer.url(&format!("/api/v1/tickets/{wrong}"))).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
    }
}

#[tokio::test]
async fn only_what_runs_nothing_is_shown_inline() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for (media_type, body, shown) in [
        ("image/png", "\u{89}PNG", true),
        ("text/plain", "plain", true),
        ("audio/mpeg", "sound", true),
        ("image/svg+xml", "<svg onload='alert(1)'/>", false),
        ("text/html", "<script>alert(1)</script>", false),
        ("application/xml", "<x/>", false),
    ] {
        let body = if media_type == "image/png" { b"\x89PNG\r\n\x1a\n".to_vec() } else { body.as_bytes().to_vec() };
        let name = media_type.replace('/', ".");
        let request =
            login.request(Method::POST, "/folders/root/files").query(&[("name", &*name), ("type", media_type)]);
        let node = json_of(request.body(body).send().await.unwrap(), StatusCode::CREATED).await;
        let url = ticket(&login, node["id"].as_str().unwrap(), &json!({"disposition": "inline"})).await;
        let answer = coffer.client.get(coffer.url(&url)).send().await.unwrap();
        let disposition = answer.headers()["content-disposition"].to_str().unwrap();
        assert_eq!(disposition.starts_with("inline;"), shown, "{media_type}: {disposition}");
        assert_eq!(answer.headers()["content-type"], media_type);
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("sandbox;"));
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_ticket_dies_with_its_session_in_the_middle_of_a_stream() {
    // Made before anyone connects: a slow machine takes longer for it than a connection may stay silent.
    let bytes = content(5 * PART);
    let coffer = Coffer::start().await;
    let (login, other) = (coffer.log_in().await, coffer.log_in().await);
    let node = login.upload("root", "a", bytes).await;
    let id = node["id"].as_str().unwrap();
    let (mine, others) = (ticket(&login, id, &json!({})).await, ticket(&other, id, &json!({})).await);
    let mut reading = coffer.client.get(coffer.url(&mine)).send().await.unwrap();
    assert!(reading.chunk().await.unwrap().is_some());
    assert!(login.request(Method::DELETE, "/session").send().await.unwrap().status().is_success());
    let broke_off = loop {
        match reading.chunk().await {
            Ok(Some(_)) => {}
            ended => break ended.is_err(),
        }
    };
    assert!(broke_off, "the stream went on after the logout");
    let dead = coffer.client.get(coffer.url(&mine)).send().await.unwrap();
    assert_eq!(problem_of(dead).await, (StatusCode::NOT_FOUND, "TICKET_NOT_FOUND".into()));
    let alive = coffer.client.head(coffer.url(&others)).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK, "another session's logout is nothing to it");

    let third = coffer.log_in().await;
    let revoked = third.request(Method::DELETE, "/sessions?keep_current=true").send().await.unwrap();
    assert!(revoked.status().is_success());
    let dead = coffer.client.get(coffer.url(&others)).send().await.unwrap();
    assert_eq!(problem_of(dead).await.1, "TICKET_NOT_FOUND");
}
