//! The browser's walls and the table of policies, over every operation, refusal and static file.

use std::collections::BTreeSet;

use coffer::api::policy::{self, Access, Policy};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, EMAIL, Login, PASSWORD, problem_of};

const FOREIGN: &str = "https://evil.example";
const MANY: &[(&str, &str)] = &[("STRANGER_REQUESTS", "100000")];

/// A request for a row of the table, for things that do not exist.
fn request(coffer: &Coffer, row: &Policy) -> RequestBuilder {
    let node = "0".repeat(32);
    let long = "0".repeat(64);
    let id = if row.path.starts_with("/sessions") { &long } else { &node };
    let path = row.path.replace("{id}", id).replace("{version}", &node).replace("{ticket}", &long);
    let method: Method = row.method.parse().unwrap();
    coffer.client.request(method, coffer.url(&format!("/api/v1{path}")))
}

fn name(row: &Policy) -> String {
    format!("{} {}", row.method, row.path)
}

fn changes(row: &Policy) -> bool {
    !row.method.parse::<Method>().unwrap().is_safe()
}

/// Status and code; answers to HEAD have no body.
async fn code(row: &Policy, response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    if row.method == "HEAD" || status < 400 {
        return (status, String::new());
    }
    (status, problem_of(response).await.1)
}

/// The same token, but its time is over.
fn expired(coffer: &Coffer, login: &Login) -> String {
    let parts: Vec<&str> = login.token.split('.').collect();
    let decode =
        |part: &str| serde_json::from_slice::<Value>(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap();
    let (header, mut claims) = (decode(parts[0]), decode(parts[1]));
    for claim in ["iat", "nbf", "exp"] {
        claims[claim] = json!(1_000_000_000);
    }
    let mut same = Header::new(Algorithm::HS256);
    same.kid = header["kid"].as_str().map(str::to_owned);
    let key = EncodingKey::from_secret(coffer.setting("JWT_SECRET").as_bytes());
    jsonwebtoken::encode(&same, &claims, &key).unwrap()
}

/// A new session's cookie.
async fn cookie(coffer: &Coffer) -> String {
    let credentials = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let origin = coffer.url("");
    let login = coffer.client.post(coffer.url("/api/v1/session")).header("origin", origin).json(&credentials);
    let answer = login.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn nobody_without_a_living_session_gets_further_than_the_table_says() {
    let coffer = Coffer::start_with(MANY).await;
    let login = coffer.log_in().await;
    let ended = coffer.log_in().await;
    ended.request(Method::DELETE, "/session").send().await.unwrap();
    let expired = expired(&coffer, &login);
    for row in policy::table() {
        let nobody = request(&coffer, row).send().await.unwrap();
        let (status, problem) = code(row, nobody).await;
        match row.access {
            Access::Open => assert!(status != 401 && status != 403, "{}: {status}", name(row)),
            Access::Ticket => assert_eq!(status, 404, "{}", name(row)),
            _ => {
                assert_eq!(status, 401, "{}", name(row));
                assert!(row.method == "HEAD" || problem == "AUTHENTICATION_REQUIRED", "{}: {problem}", name(row));
            }
        }
        if !row.needs_session() {
            continue;
        }
        for (token, refusal) in [(&ended.token, "INVALID_TOKEN"), (&expired, "TOKEN_EXPIRED")] {
            let answer = request(&coffer, row).bearer_auth(token).send().await.unwrap();
            assert!(answer.headers().contains_key("www-authenticate"), "{}", name(row));
            let (status, problem) = code(row, answer).await;
            assert_eq!(status, 401, "{}", name(row));
            assert!(row.method == "HEAD" || problem == refusal, "{}: {problem}", name(row));
        }
    }
    login.get("/session").await;
}

#[tokio::test]
async fn nothing_changes_for_a_page_of_another_origin() {
    let coffer = Coffer::start_with(MANY).await;
    let login = coffer.log_in().await;
    let pair = cookie(&coffer).await;
    let before = login.get("/sessions").await["total"].clone();
    for row in policy::table().iter().filter(|row| changes(row)) {
        let refused = [
            ("a foreign origin", request(&coffer, row).header("cookie", &pair).header("origin", FOREIGN)),
            (
                "a foreign origin with a token",
                request(&coffer, row).bearer_auth(&login.token).header("origin", FOREIGN),
            ),
            ("no origin of its own", request(&coffer, row).header("cookie", &pair).header("origin", "null")),
            ("another site", request(&coffer, row).header("cookie", &pair).header("sec-fetch-site", "cross-site")),
            (
                "another host of this site",
                request(&coffer, row).bearer_auth(&login.token).header("sec-fetch-site", "same-site"),
            ),
        ];
        for (who, request) in refused {
            let answer = request.send().await.unwrap();
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{} {who}", name(row));
            assert_eq!(code(row, answer).await, (403, "PERMISSION_DENIED".to_owned()), "{} {who}", name(row));
        }
        if row.needs_session() {
            let silent = request(&coffer, row).header("cookie", &pair).send().await.unwrap();
            assert_eq!(code(row, silent).await, (403, "PERMISSION_DENIED".to_owned()), "{} says nothing", name(row));
        }
    }
    assert_eq!(login.get("/sessions").await["total"], before, "nobody was logged in or out");
}

#[tokio::test]
async fn the_owner_gets_everywhere_with_a_token_and_from_this_origins_pages() {
    let coffer = Coffer::start_with(MANY).await;
    let mut rows: Vec<&Policy> = policy::table().iter().filter(|row| row.needs_session()).collect();
    // What ends sessions comes last.
    rows.sort_by_key(|row| row.method == "DELETE" && row.path.starts_with("/session"));
    for row in rows {
        // Some rows end the session that asks.
        let ends = row.method == "DELETE" && row.path.starts_with("/session");
        let login = coffer.log_in().await;
        let token = request(&coffer, row).bearer_auth(&login.token).send().await.unwrap();
        let (status, problem) = code(row, token).await;
        assert!(status != 401 && problem != "PERMISSION_DENIED", "{}: {status} {problem}", name(row));
        let pair = cookie(&coffer).await;
        let page = request(&coffer, row).header("cookie", &pair).header("origin", coffer.url("")).send().await.unwrap();
        let (status, problem) = code(row, page).await;
        assert!(status != 401 && problem != "PERMISSION_DENIED", "{}: {status} {problem}", name(row));
        if !ends {
            login.request(Method::DELETE, "/session").send().await.unwrap();
        }
    }
}

/// Paths of every kind, with whether a browser may keep the answer.
const PLACES: &[(&str, bool)] = &[
    ("/", true),
    ("/files", true),
    ("/settings/security", true),
    ("/sw.js", true),
    ("/assets/nothing.js", false),
    ("/robots.txt", false),
    ("/openapi.json", false),
    ("/docs", false),
    ("/nowhere", false),
    ("/%00", false),
    ("/..%2f..%2fetc/passwd", false),
    ("/health/live", false),
    ("/health/ready", false),
    ("/metrics", false),
    ("/api/v1", false),
    ("/api/v1/nothing", false),
    ("/api/v1/nodes/root", false),
    ("/api/v1/nodes/%ff", false),
    ("/api/v1/session", false),
    ("/api/v1/folders/root/files", false),
    ("/coffer-test/blob/nothing", false),
];

#[tokio::test]
async fn every_answer_of_every_place_carries_every_header() {
    let mut coffer = Coffer::prepare(&[("API_DOCS", "true"), ("MAX_JSON_SIZE", "4KiB")]).await;
    // Over TLS by a proxy's word: what it says outside is https.
    coffer.set("PUBLIC_URL", "https://vault.example");
    coffer.launch();
    coffer.wait_until_ready().await;
    let login = coffer.log_in().await;
    let mut seen = BTreeSet::new();
    let rows = policy::table().iter().filter(|row| row.access != Access::Open).map(|row| request(&coffer, row));
    let mut requests: Vec<(bool, RequestBuilder)> = rows.map(|request| (false, request)).collect();
    for (path, kept) in PLACES {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::TRACE] {
            requests.push((*kept, coffer.client.request(method.clone(), coffer.url(path))));
            requests.push((*kept, coffer.client.request(method, coffer.url(path)).bearer_auth(&login.token)));
        }
        requests.push((*kept, coffer.client.post(coffer.url(path)).body("x".repeat(300_000))));
        requests.push((*kept, coffer.client.get(coffer.url(path)).header("origin", FOREIGN)));
    }
    for (kept, request) in requests {
        let response = request.send().await.unwrap();
        let place = format!("{} {}", response.status(), response.url());
        seen.insert(response.status().as_u16());
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{place}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{place}");
        assert_eq!(header("x-frame-options"), "DENY", "{place}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{place}");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{place}");
        assert_eq!(header("strict-transport-security"), "max-age=63072000; includeSubDomains", "{place}");
        assert!(header("permissions-policy").contains("camera=()"), "{place}");
        assert!(header("x-robots-tag").contains("noindex"), "{place}");
        assert_eq!(header("x-request-id").len(), 32, "{place}");
        assert_eq!(header("server") + &header("x-powered-by"), "", "{place}");
        assert_eq!(header("access-control-allow-origin") + &header("access-control-allow-credentials"), "", "{place}");
        let policy = header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{place}: {policy}"
        );
        let is_docs = response.url().path() == "/docs" && response.status() == 200;
        assert!(is_docs || !policy.contains("unsafe"), "{place}: {policy}");
        assert!(!policy.contains("'unsafe-eval'") && !policy.contains('*'), "{place}: {policy}");
        let caching = header("cache-control");
        let may_keep = kept && matches!(response.status().as_u16(), 200 | 304);
        assert!(caching == "no-store" || (may_keep && caching == "no-cache"), "{place}: {caching}");
    }
    for status in [200, 400, 401, 404, 405, 413] {
        assert!(seen.contains(&status), "{status} was not among {seen:?}");
    }
}

#[tokio::test]
async fn only_listed_origins_may_read_and_none_with_a_cookie() {
    const LISTED: &str = "https://app.example.org";
    let coffer = Coffer::start_with(&[("CORS_ORIGINS", "https://app.example.org,http://localhost:5173")]).await;
    let login = coffer.log_in().await;
    let pair = cookie(&coffer).await;
    let allowed = |response: &Response| {
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
        assert!(response.headers().get_all("vary").iter().any(|vary| vary == "origin"));
        response.headers().get("access-control-allow-origin").map(|origin| origin.to_str().unwrap().to_owned())
    };
    for (origin, is_listed) in [
        (LISTED, true),
        ("http://localhost:5173", true),
        (FOREIGN, false),
        ("https://app.example.org.evil.example", false),
        ("http://app.example.org", false),
        ("https://app.example.org:8443", false),
        ("null", false),
    ] {
        let expected = is_listed.then(|| origin.to_owned());
        let asked = coffer
            .client
            .request(Method::OPTIONS, coffer.url("/api/v1/folders"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,dpop");
        let asked = asked.send().await.unwrap();
        assert_eq!(allowed(&asked), expected, "{origin}");
        assert_eq!(asked.status() == StatusCode::NO_CONTENT, is_listed, "{origin}");
        assert_eq!(asked.headers().contains_key("access-control-allow-headers"), is_listed);

        let read = login.request(Method::GET, "/nodes/root").header("origin", origin).send().await.unwrap();
        assert_eq!(read.status(), StatusCode::OK, "what a browser hides from a page is the browser's work");
        assert_eq!(allowed(&read), expected, "{origin}");
        let body = json!({"parent": "root", "name": origin.replace(['/', ':'], "-")});
        let made = login.request(Method::POST, "/folders").header("origin", origin).json(&body).send().await.unwrap();
        assert_eq!(made.status() == StatusCode::CREATED, is_listed, "{origin}");
        assert_eq!(allowed(&made), expected, "refusals too: {origin}");
        let by_cookie = coffer.client.post(coffer.url("/api/v1/folders")).header("cookie", &pair);
        let by_cookie = by_cookie.header("origin", origin).json(&body).send().await.unwrap();
        assert_eq!(by_cookie.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], 2);
}

#[tokio::test]
async fn a_read_changes_nothing_and_an_unknown_path_leads_nowhere() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    login.create("/folders", &json!({"parent": "root", "name": "kept"})).await;
    let document: Value = coffer.client.get(coffer.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    let only_post = document["paths"].as_object().unwrap().iter().filter(|(_, item)| item.get("get").is_none());
    for (path, _) in only_post {
        let path = path.replace("{id}", "root").replace("{version}", "root").replace("{ticket}", "x");
        for override_by in ["x-http-method-override", "x-method-override", "x-http-method"] {
            let request = login.request(Method::GET, &path).header(override_by, "DELETE");
            let status = request.send().await.unwrap().status().as_u16();
            assert!([404, 405].contains(&status), "GET {path}: {status}");
        }
    }
    for path in ["/%6eodes/root", "/nodes//root", "//nodes/root", "/nodes/root;x", "/NODES/root", "/nodes/root/"] {
        let response = login.request(Method::GET, path).send().await.unwrap();
        assert!([404, 405].contains(&response.status().as_u16()), "{path}: {}", response.status());
    }
    for path in ["/?next=//evil.example", "//evil.example", "/https://evil.example", "/%5cevil.example"] {
        let response = coffer.client.get(coffer.url(path)).send().await.unwrap();
        assert!(!response.status().is_redirection() && !response.headers().contains_key("location"), "{path}");
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], 1);
}
