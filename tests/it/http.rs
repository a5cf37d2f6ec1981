//! Every refusal is a problem that says what to do and leaks nothing; every answer carries the security headers.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::coffer::{Coffer, problem_of};

const JSON: &str = "application/json";

/// A name of 256 letters.
const LONG: &str = concat!(
    "{\"parent\":\"root\",\"name\":\"",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "\"}"
);

/// Method, path, body with its type, and the status and code of the answer.
type Wrong = (Method, &'static str, Option<(&'static str, &'static str)>, u16, &'static str);

const WRONG: &[Wrong] = &[
    (Method::GET, "/nothing", None, 404, "NOT_FOUND"),
    (Method::GET, "/nodes/root/", None, 404, "NOT_FOUND"),
    (Method::GET, "/nodes/../session", None, 200, ""),
    (Method::GET, "/nodes/%2e%2e", None, 404, "NOT_FOUND"),
    (Method::GET, "/nodes/..%2f..%2fetc%2fpasswd", None, 404, "FILE_NOT_FOUND"),
    (Method::GET, "/nodes/%00", None, 404, "FILE_NOT_FOUND"),
    (Method::GET, "/nodes/%ff", None, 404, "FILE_NOT_FOUND"),
    (Method::GET, "/nodes/0123456789abcdef0123456789abcdef", None, 404, "FILE_NOT_FOUND"),
    (Method::PUT, "/nodes/root", None, 405, "METHOD_NOT_ALLOWED"),
    (Method::OPTIONS, "/session", None, 405, "METHOD_NOT_ALLOWED"),
    (Method::TRACE, "/session", None, 405, "METHOD_NOT_ALLOWED"),
    (Method::GET, "/nodes/root/children?limit=0", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?limit=1001", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?offset=-1", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?offset=4294967296", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?offset=0&cursor=AAAA", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?limit=-1", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?limit=99999999999999999999", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?limit=1e3", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?sort=password", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?cursor=AAAA", None, 400, "INVALID_REQUEST"),
    (Method::GET, "/nodes/root/children?cursor=../x", None, 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", None, 415, "UNSUPPORTED_MEDIA_TYPE"),
    (Method::POST, "/folders", Some(("text/plain", "{}")), 415, "UNSUPPORTED_MEDIA_TYPE"),
    (Method::POST, "/folders", Some((JSON, "")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "{")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "[]")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "null")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "{\"parent\":\"root\"}")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "{\"parent\":\"root\",\"name\":7}")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "{\"parent\":\"..\",\"name\":\"a\"}")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "{\"parent\":\"root\",\"name\":\"a\",\"x\":1}")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, LONG)), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders", Some((JSON, "{\"parent\":\"root\",\"name\":\"a/b\"}")), 400, "INVALID_NAME"),
    (Method::POST, "/folders", Some((JSON, "{\"parent\":\"root\",\"name\":\"..\"}")), 400, "INVALID_NAME"),
    (Method::PATCH, "/nodes/root", Some((JSON, "{\"starred\":true}")), 409, "CONFLICT"),
    (Method::PATCH, "/nodes/root", Some((JSON, "{\"starred\":null}")), 400, "INVALID_REQUEST"),
    (Method::PATCH, "/nodes/root", Some((JSON, "{\"name\":null}")), 400, "INVALID_REQUEST"),
    (Method::DELETE, "/nodes/root", None, 409, "CONFLICT"),
    (Method::DELETE, "/trash/root", None, 409, "CONFLICT"),
    (Method::GET, "/files/root/content", None, 409, "CONFLICT"),
    (Method::DELETE, "/sessions/nobody", None, 404, "FILE_NOT_FOUND"),
    (Method::POST, "/folders/root/files", Some(("application/octet-stream", "x")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders/root/files?name=a&type=x", Some(("text/plain", "x")), 400, "INVALID_REQUEST"),
    (Method::POST, "/folders/root/files?name=a", Some(("multipart/form-data", "x")), 415, "UNSUPPORTED_MEDIA_TYPE"),
    (Method::POST, "/folders/root/files?name=a%0d%0aB:%20c", Some(("text/plain", "x")), 400, "INVALID_NAME"),
    (Method::POST, "/folders/root/files?name=a&on_conflict=rename", Some(("text/plain", "x")), 400, "INVALID_REQUEST"),
];

#[tokio::test]
async fn whatever_is_wrong_is_a_problem_with_a_code() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for (method, path, body, status, code) in WRONG {
        let mut request = login.request(method.clone(), path);
        if let Some((media_type, body)) = body {
            request = request.header("content-type", *media_type).body((*body).to_owned());
        }
        let response = request.send().await.unwrap();
        if *status == 200 {
            assert_eq!(response.status(), StatusCode::OK);
            continue;
        }
        let allow = response.headers().get("allow").cloned();
        assert_eq!(
            problem_of(response).await,
            (StatusCode::from_u16(*status).unwrap(), (*code).to_owned()),
            "{method} {path}"
        );
        assert_eq!(
            allow.is_some_and(|allow| allow.to_str().unwrap().contains("GET")),
            *status == 405,
            "{method} {path}"
        );
    }
    let children = login.get("/nodes/root/children").await;
    assert_eq!(children["total"], 0, "bad requests made nothing: {children}");
}

#[tokio::test]
async fn a_problem_quotes_no_value_and_no_internal_name() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let canary = "canary-9d2f";
    let requests = [
        login.request(Method::GET, &format!("/nodes/{canary}")),
        login.request(Method::GET, &format!("/{canary}")),
        login.request(Method::GET, &format!("/nodes/root/children?sort={canary}")),
        login.request(Method::GET, &format!("/nodes/root/children?limit={canary}")),
        login.request(Method::POST, "/folders").json(&json!({"parent": canary, "name": "x"})),
        login.request(Method::POST, "/folders").json(&json!({"parent": "root", "name": [canary]})),
        login.request(Method::POST, "/folders").header("content-type", canary).body("{}"),
        login.client.post(coffer.url("/api/v1/session")).json(&json!({"email": [canary], "password": canary})),
        login.client.post(coffer.url("/api/v1/session")).json(&json!({"email": "a", "password": {"a": canary}})),
    ];
    for request in requests {
        let response = request.send().await.unwrap();
        assert!(response.status().is_client_error());
        let text = response.text().await.unwrap();
        for leak in [canary, "param0", "src/", "poem", "serde"] {
            assert!(!text.contains(leak), "{leak} in {text}");
        }
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_not_taken_for_none() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let folder = login.create("/folders", &json!({"parent": "root", "name": "kept"})).await;
    let path = format!("/nodes/{}", folder["id"].as_str().unwrap());
    for (method, path, name) in [
        (Method::DELETE, path.as_str(), "if-match"),
        (Method::PATCH, path.as_str(), "if-match"),
        (Method::POST, "/folders", "idempotency-key"),
    ] {
        let body =
            if method == Method::POST { json!({"parent": "root", "name": "new"}) } else { json!({"starred": true}) };
        let request = login.request(method.clone(), path).header(name, &b"\"\xd7\""[..]).json(&body);
        let refused = problem_of(request.send().await.unwrap()).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, "INVALID_REQUEST".to_owned()), "{method} {name}");
    }
    let children = login.get("/nodes/root/children").await;
    assert_eq!(children["total"], 1);
    assert_eq!(children["items"][0], folder);
}

#[tokio::test]
async fn bodies_are_bounded_before_anything_else_looks_at_them() {
    let coffer = Coffer::start_with(&[("MAX_JSON_SIZE", "4KiB"), ("MAX_FILE_SIZE", "1MiB")]).await;
    let login = coffer.log_in().await;
    let body = |bytes: usize| {
        let frame = json!({"parent": "root", "name": ""}).to_string().len();
        json!({"parent": "root", "name": "x".repeat(bytes - frame)}).to_string()
    };
    for (bytes, status) in [(4096, 400), (4097, 413)] {
        let text = body(bytes);
        let known =
            login.request(Method::POST, "/folders").header("content-type", "application/json").body(text.clone());
        let pieces =
            text.into_bytes().chunks(100).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
        let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let chunked = login.request(Method::POST, "/folders").header("content-type", "application/json").body(stream);
        for request in [known, chunked] {
            assert_eq!(problem_of(request.send().await.unwrap()).await.0, status, "{bytes} bytes");
        }
    }
    for (bytes, status) in [(1024 * 1024, 201), (1024 * 1024 + 1, 413)] {
        let upload = |name: &str| login.request(Method::POST, "/folders/root/files").query(&[("name", name)]);
        let content = vec![0_u8; bytes];
        let pieces = content.chunks(65_536).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
        let chunked =
            upload(&format!("chunked-{bytes}")).body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)));
        for request in [upload(&format!("known-{bytes}")).body(content), chunked] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{}", response.text().await.unwrap());
        }
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], 2);
}

#[tokio::test]
async fn lengths_that_lie_store_nothing() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let address = coffer.url("").replace("http://", "");
    for (headers, body, statuses) in [
        ("Content-Length: -1", "abc", &["400"][..]),
        ("Content-Length: 18446744073709551616", "abc", &["400", "413", "431"]),
        ("Content-Length: 18446744073709551615", "abc", &["400", "413", "431"]),
        ("Content-Length: 3\r\nContent-Length: 4", "abcd", &["400"]),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "abc", &["400"]),
        ("Transfer-Encoding: chunked", "zz\r\nabc", &["400"]),
        ("Transfer-Encoding: chunked", "fffffffffffffffff\r\nabc", &["400"]),
        ("Transfer-Encoding: gzip", "abc", &["400"]),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "POST /api/v1/folders/root/files?name=lie HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\n{headers}\r\n\r\n{body}",
            login.token
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said);
        let status = said.split(' ').nth(1).unwrap_or_default();
        assert!(status.is_empty() || statuses.contains(&status), "{headers}: {said}");
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], 0);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_its_own_request_id() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let mut ids = std::collections::BTreeSet::new();
    for path in ["/", "/health/live", "/openapi.json", "/api/v1/session", "/api/v1/nodes/root", "/nowhere", "/docs"] {
        for request in
            [coffer.client.get(coffer.url(path)), coffer.client.get(coffer.url(path)).bearer_auth(&login.token)]
        {
            let response = request.header("x-request-id", "forged").send().await.unwrap();
            let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
            assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
            assert_eq!(header("x-frame-options"), "DENY", "{path}");
            let kept = if path == "/" { "no-cache" } else { "no-store" };
            assert_eq!(header("cache-control"), kept, "{path}");
            assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
            assert!(header("x-robots-tag").contains("noindex"), "{path}");
            assert_eq!(header("access-control-allow-origin"), "", "{path}");
            assert_eq!(header("strict-transport-security"), "", "over http nothing is pinned");
            assert!(header("x-request-id") != "forged" && ids.insert(header("x-request-id").to_owned()), "{path}");
        }
    }
    for id in ids {
        assert!(coffer.output().contains(&id), "the log has the request's id");
    }
    assert!(!coffer.output().contains("forged"));
}

#[tokio::test]
async fn health_and_description_are_open_and_in_both_places() {
    let coffer = Coffer::start().await;
    for (path, member, value) in [
        ("/health/live", "status", "live"),
        ("/api/v1/health/live", "status", "live"),
        ("/health/ready", "status", "ready"),
        ("/api/v1/health/ready", "status", "ready"),
        ("/openapi.json", "openapi", "3.0.0"),
        ("/api/v1/openapi.json", "openapi", "3.0.0"),
    ] {
        let answer: Value = coffer.client.get(coffer.url(path)).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer[member], value, "{path}");
    }
    let page = coffer.client.get(coffer.url("/")).send().await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.text().await.unwrap().contains("/openapi.json"));
}

#[tokio::test]
async fn the_page_to_try_the_api_is_there_only_when_asked_for() {
    let coffer = Coffer::start_with(&[("API_DOCS", "true")]).await;
    let page = coffer.client.get(coffer.url("/docs")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe-eval"), "{policy}");
    assert!(page.text().await.unwrap().contains("SwaggerUIBundle"));
}

#[tokio::test]
async fn a_signal_to_stop_lets_a_request_end() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let stream = futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let upload = tokio::spawn({
        let login = login.clone();
        async move { login.upload("root", "slow", reqwest::Body::wrap_stream(stream)).await }
    });
    sender.send(Ok(vec![1; 100_000])).await.unwrap();
    // The second piece is taken only when the first was read: the request is on its way.
    sender.send(Ok(vec![2; 100_000])).await.unwrap();
    coffer.signal("-TERM");
    sender.send(Ok(vec![3; 100_000])).await.unwrap();
    drop(sender);
    assert_eq!(upload.await.unwrap()["file"]["size_bytes"], 300_000);
    assert!(coffer.stop_was_clean());
    coffer.launch();
    coffer.wait_until_ready().await;
    let login = coffer.log_in().await;
    assert_eq!(login.get("/nodes/root/children").await["total"], 1);
}
