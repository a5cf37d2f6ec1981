//! App tokens: what each scope opens and what nothing opens, the folder that one is confined to, and how they end.

use std::time::Duration;

use coffer::api::policy::{self, Access, Scope};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, Login, json_of, problem_of};

const NOBODY: &str = "00000000000000000000000000000001";

async fn mint(login: &Login, wanted: &Value) -> (Login, String) {
    let made = login.create("/tokens", wanted).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("coffer_") && secret.len() == 71, "{secret}");
    (login.with_token(secret), made["token"]["id"].as_str().unwrap().to_owned())
}

async fn scoped(login: &Login, scopes: &[&str], folder: Option<&str>) -> Login {
    let mut wanted = json!({"name": scopes.join(" "), "scopes": scopes});
    if let Some(folder) = folder {
        wanted["folder"] = folder.into();
    }
    mint(login, &wanted).await.0
}

async fn folder(login: &Login, parent: &str, name: &str) -> String {
    login.create("/folders", &json!({"parent": parent, "name": name})).await["id"].as_str().unwrap().to_owned()
}

async fn file(login: &Login, parent: &str, name: &str) -> String {
    login.upload(parent, name, "content").await["id"].as_str().unwrap().to_owned()
}

/// The code of what is refused; empty for what is not.
async fn ask(login: &Login, method: Method, path: &str, body: Option<&Value>) -> String {
    let mut request = login.request(method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    match answer.status().is_success() {
        true => String::new(),
        false => problem_of(answer).await.1,
    }
}

#[tokio::test]
async fn each_scope_opens_its_operations_and_no_other() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let drop_box = folder(&login, "root", "drop box").await;
    let scopes = [
        ("read", Scope::Read, None),
        ("write", Scope::Write, None),
        ("upload", Scope::Upload, Some(drop_box.as_str())),
        ("share", Scope::Share, None),
        ("audit", Scope::Audit, None),
    ];
    for (name, held, place) in scopes {
        let token = scoped(&login, &[name], place).await;
        for row in policy::table() {
            let path = row.path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let answer = token.request(row.method.parse().unwrap(), &path).send().await.unwrap();
            let is_refused = answer.status() == StatusCode::FORBIDDEN;
            let is_opened = match row.access {
                Access::Open | Access::Ticket => true,
                Access::Scope(wanted) => wanted == held || (held, wanted) == (Scope::Write, Scope::Upload),
                _ => false,
            };
            // Two say more than the table: the list of uploads names what others upload, and a ticket is a session's.
            let is_opened = is_opened && !(row.path == "/uploads" && row.method == "GET");
            let is_opened = is_opened && row.path != "/files/{id}/ticket";
            assert_eq!(!is_refused, is_opened, "{name}: {} {} is {}", row.method, row.path, answer.status());
        }
    }
}

#[tokio::test]
async fn a_token_can_neither_make_nor_see_nor_change_tokens_or_sessions() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let all = json!({"name": "all", "scopes": ["read", "write", "share", "audit"]});
    let (token, id) = mint(&login, &all).await;
    for (method, path, body) in [
        (Method::POST, "/tokens".to_owned(), Some(&all)),
        (Method::GET, "/tokens".to_owned(), None),
        (Method::DELETE, format!("/tokens/{id}"), None),
        (Method::GET, "/session".to_owned(), None),
        (Method::DELETE, "/session".to_owned(), None),
        (Method::GET, "/sessions".to_owned(), None),
        (Method::DELETE, "/sessions".to_owned(), None),
        (Method::DELETE, "/trash".to_owned(), None),
    ] {
        assert_eq!(ask(&token, method.clone(), &path, body).await, "PERMISSION_DENIED", "{method} {path}");
    }
    assert_eq!(login.get("/sessions").await["total"], 1, "a token is no session");
    let cookie =
        coffer.client.get(coffer.url("/api/v1/nodes/root")).header("cookie", format!("coffer={}", token.token));
    assert_eq!(problem_of(cookie.send().await.unwrap()).await.1, "INVALID_TOKEN");
}

#[tokio::test]
async fn what_is_asked_of_a_token_is_checked() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let a_file = file(&login, "root", "f").await;
    for (wanted, code) in [
        (json!({"name": "x", "scopes": []}), "INVALID_REQUEST"),
        (json!({"name": "x", "scopes": ["owner"]}), "INVALID_REQUEST"),
        (json!({"name": "", "scopes": ["read"]}), "INVALID_REQUEST"),
        (json!({"name": " ", "scopes": ["read"]}), "INVALID_REQUEST"),
        (json!({"name": "a\nb", "scopes": ["read"]}), "INVALID_REQUEST"),
        (json!({"name": "x".repeat(65), "scopes": ["read"]}), "INVALID_REQUEST"),
        (json!({"name": "x", "scopes": ["upload"]}), "INVALID_REQUEST"),
        (json!({"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}), "INVALID_REQUEST"),
        (json!({"name": "x", "scopes": ["read"], "expires_at": "soon"}), "INVALID_REQUEST"),
        (json!({"name": "x", "scopes": ["read"], "folder": null}), "INVALID_REQUEST"),
        (json!({"name": "x", "scopes": ["read"], "folder": NOBODY}), "FILE_NOT_FOUND"),
        (json!({"name": "x", "scopes": ["read"], "folder": a_file}), "CONFLICT"),
    ] {
        assert_eq!(ask(&login, Method::POST, "/tokens", Some(&wanted)).await, code, "{wanted}");
    }
    assert_eq!(login.get("/tokens").await["total"], 0);
    for _ in 0..100 {
        mint(&login, &json!({"name": "x".repeat(64), "scopes": ["read"]})).await;
    }
    let one_more = json!({"name": "x", "scopes": ["read"]});
    assert_eq!(ask(&login, Method::POST, "/tokens", Some(&one_more)).await, "CONFLICT");
}

#[tokio::test]
async fn a_token_outlives_restarts_and_redis_and_ends_at_once() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (token, id) = mint(&login, &json!({"name": "laptop", "scopes": ["read"]})).await;
    let listed = login.get("/tokens").await;
    assert_eq!((&listed["total"], &listed["items"][0]["name"]), (&json!(1), &json!("laptop")));
    assert!(listed["items"][0].get("last_used_at").is_none());
    assert!(!listed.to_string().contains(&token.token[23..]), "the secret is shown once");
    token.get("/nodes/root").await;
    let used = login.get("/tokens").await["items"][0].clone();
    assert!(used["last_used_at"].is_string(), "{used}");
    assert_eq!(used["last_address"], "127.0.0.1");
    for altered in [token.token[..70].to_owned(), format!("{}A", token.token), token.token.replace("coffer_", "")] {
        assert_eq!(ask(&login.with_token(&altered), Method::GET, "/nodes/root", None).await, "INVALID_TOKEN");
    }
    coffer.redis.flush_all().await;
    coffer.restart().await;
    assert_eq!(ask(&login, Method::GET, "/nodes/root", None).await, "INVALID_TOKEN", "the session is gone");
    token.get("/nodes/root").await;

    let login = coffer.log_in().await;
    assert_eq!(ask(&login, Method::DELETE, &format!("/tokens/{id}"), None).await, "");
    assert_eq!(ask(&token, Method::GET, "/nodes/root", None).await, "INVALID_TOKEN");
    assert_eq!(ask(&login, Method::DELETE, &format!("/tokens/{id}"), None).await, "TOKEN_NOT_FOUND");
    assert!(!coffer.output().contains(&token.token), "the log does not know it");

    let at = time::OffsetDateTime::now_utc() + Duration::from_secs(3);
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let (short, _) = mint(&login, &json!({"name": "short", "scopes": ["read"], "expires_at": at})).await;
    let begun = std::time::Instant::now();
    while ask(&short, Method::GET, "/nodes/root", None).await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the token outlives its time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let (token, _) = mint(&login, &json!({"name": "old password", "scopes": ["read"]})).await;
    coffer.kill();
    coffer.set("USER_PASSWORD", "another-umbrella-9-basalt-harbour");
    coffer.launch();
    coffer.wait_until_ready().await;
    assert_eq!(ask(&token, Method::GET, "/nodes/root", None).await, "INVALID_TOKEN", "the password has changed");
}

#[tokio::test]
async fn what_goes_on_under_a_token_ends_with_it() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (token, id) = mint(&login, &json!({"name": "uploader", "scopes": ["write"]})).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let request = token.request(Method::POST, "/folders/root/files?name=cut").body(reqwest::Body::wrap_stream(body));
    let upload = tokio::spawn(request.send());
    for _ in 0..3 {
        sender.send(Ok(vec![0; 50_000])).await.unwrap();
    }
    assert_eq!(ask(&login, Method::DELETE, &format!("/tokens/{id}"), None).await, "");
    let answer = tokio::time::timeout(Duration::from_secs(60), upload).await.unwrap().unwrap().unwrap();
    assert_eq!(problem_of(answer).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".into()));
    assert_eq!(login.get("/nodes/root/children").await["total"], 0);
}

#[tokio::test]
async fn a_confined_token_reaches_its_folder_and_nothing_else() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (home, other) = (folder(&login, "root", "home").await, folder(&login, "root", "other").await);
    let inner = folder(&login, &home, "inner").await;
    let (mine, deep) = (file(&login, &home, "mine").await, file(&login, &inner, "deep").await);
    let (foreign, loose) = (file(&login, &other, "foreign").await, file(&login, "root", "loose").await);
    let token = scoped(&login, &["read", "write"], Some(&home)).await;

    for node in [&home, &inner, &mine, &deep] {
        token.get(&format!("/nodes/{node}")).await;
    }
    assert_eq!(token.get(&format!("/nodes/{home}/children")).await["total"], 2);
    assert_eq!(token.download(&deep).await, b"content");
    let made = file(&token, &inner, "made").await;
    let patch = |node: &str| format!("/nodes/{node}");
    let into = |parent: &str| json!({"parent": parent});
    assert_eq!(ask(&token, Method::PATCH, &patch(&mine), Some(&into(&inner))).await, "");
    assert_eq!(ask(&token, Method::DELETE, &patch(&made), None).await, "");

    for outside in [other.as_str(), &foreign, &loose, "root", NOBODY] {
        for (method, path, body) in [
            (Method::GET, format!("/nodes/{outside}"), None),
            (Method::GET, format!("/nodes/{outside}/children"), None),
            (Method::PATCH, format!("/nodes/{outside}"), Some(json!({"name": "x"}))),
            (Method::PATCH, format!("/nodes/{outside}"), Some(into(&home))),
            (Method::DELETE, format!("/nodes/{outside}"), None),
            (Method::GET, format!("/files/{outside}/content"), None),
            (Method::GET, format!("/files/{outside}/versions"), None),
            (Method::PUT, format!("/files/{outside}/content"), None),
            (Method::POST, format!("/files/{outside}/grant"), Some(json!({}))),
            (Method::POST, format!("/folders/{outside}/files?name=x"), None),
            (Method::POST, "/folders".to_owned(), Some(json!({"parent": outside, "name": "x"}))),
            (Method::POST, "/uploads".to_owned(), Some(json!({"parent": outside, "name": "x", "size": 1}))),
            (Method::POST, "/uploads".to_owned(), Some(json!({"file": outside, "size": 1}))),
            (Method::PATCH, patch(&deep), Some(into(outside))),
        ] {
            let code = ask(&token, method.clone(), &path, body.as_ref()).await;
            assert_eq!(code, "FILE_NOT_FOUND", "{method} {path} {body:?}");
        }
    }
    // The folder itself is not below itself: where it is and what it is called is the owner's.
    for (method, body) in
        [(Method::PATCH, Some(json!({"name": "x"}))), (Method::PATCH, Some(into(&inner))), (Method::DELETE, None)]
    {
        assert_eq!(ask(&token, method, &patch(&home), body.as_ref()).await, "FILE_NOT_FOUND");
    }
    for path in ["/trash", "/uploads", "/events"] {
        assert_eq!(ask(&token, Method::GET, path, None).await, "PERMISSION_DENIED", "{path}");
    }

    // It is the folder that counts, not where it is; and what the owner moves out is out.
    assert_eq!(ask(&login, Method::PATCH, &patch(&home), Some(&json!({"parent": other, "name": "h"}))).await, "");
    token.get(&patch(&deep)).await;
    assert_eq!(ask(&token, Method::GET, &patch(&other), None).await, "FILE_NOT_FOUND");
    assert_eq!(ask(&login, Method::PATCH, &patch(&deep), Some(&into("root"))).await, "");
    assert_eq!(ask(&token, Method::GET, &patch(&deep), None).await, "FILE_NOT_FOUND");
    assert_eq!(ask(&login, Method::DELETE, &patch(&home), None).await, "");
    for node in [&home, &inner, &mine] {
        assert_eq!(ask(&token, Method::GET, &patch(node), None).await, "FILE_NOT_FOUND", "the folder is in the trash");
    }
    assert_eq!(ask(&token, Method::POST, &format!("/nodes/{mine}/restore"), None).await, "FILE_NOT_FOUND");
}

#[tokio::test]
async fn an_upload_only_token_brings_files_and_learns_nothing() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (drop_box, other) = (folder(&login, "root", "drop box").await, folder(&login, "root", "other").await);
    let kept = file(&login, &drop_box, "kept").await;
    let token = scoped(&login, &["upload"], Some(&drop_box)).await;
    let brought = file(&token, &drop_box, "brought").await;
    for (method, path, body) in [
        (Method::GET, format!("/nodes/{brought}"), None),
        (Method::GET, format!("/nodes/{drop_box}/children"), None),
        (Method::GET, format!("/files/{brought}/content"), None),
        (Method::POST, format!("/files/{brought}/grant"), Some(json!({}))),
        (Method::PUT, format!("/files/{brought}/content"), None),
        (Method::DELETE, format!("/nodes/{brought}"), None),
        (Method::PATCH, format!("/nodes/{brought}"), Some(json!({"name": "x"}))),
        (Method::GET, "/uploads".to_owned(), None),
        (Method::POST, format!("/folders/{drop_box}/files?name=kept&on_conflict=replace"), None),
        (Method::POST, "/uploads".to_owned(), Some(json!({"file": kept, "size": 1}))),
        (
            Method::POST,
            "/uploads".to_owned(),
            Some(json!({"parent": drop_box, "name": "kept", "size": 1, "on_conflict": "replace"})),
        ),
    ] {
        assert_eq!(ask(&token, method.clone(), &path, body.as_ref()).await, "PERMISSION_DENIED", "{method} {path}");
    }
    let elsewhere = format!("/folders/{other}/files?name=x");
    assert_eq!(ask(&token, Method::POST, &elsewhere, None).await, "FILE_NOT_FOUND");
    assert_eq!(login.download(&kept).await, b"content");

    let begin = |parent: &str| json!({"parent": parent, "name": "direct", "size": 1});
    let foreign = login.create("/uploads", &begin(&other)).await["id"].as_str().unwrap().to_owned();
    let own = json_of(
        token.request(Method::POST, "/uploads").json(&begin(&drop_box)).send().await.unwrap(),
        StatusCode::CREATED,
    )
    .await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(ask(&token, Method::GET, &format!("/uploads/{own}"), None).await, "");
    let parts = json!({"parts": [{"part": 0, "salt": "00".repeat(24), "etag": "x"}]});
    let sign = json!({"parts": [{"part": 0, "length": 1, "salt": "00".repeat(24), "sha256": "00".repeat(32)}]});
    for (method, path, body) in [
        (Method::GET, format!("/uploads/{foreign}"), None),
        (Method::DELETE, format!("/uploads/{foreign}"), None),
        (Method::POST, format!("/uploads/{foreign}/parts"), Some(&sign)),
        (Method::POST, format!("/uploads/{foreign}/parts/confirm"), Some(&parts)),
        (Method::POST, format!("/uploads/{foreign}/complete"), Some(&json!({"content_hash": "00".repeat(32)}))),
    ] {
        assert_eq!(ask(&token, method.clone(), &path, body).await, "UPLOAD_NOT_FOUND", "{method} {path}");
    }
    login.get(&format!("/uploads/{foreign}")).await;
    assert_eq!(ask(&token, Method::DELETE, &format!("/uploads/{own}"), None).await, "");
}
