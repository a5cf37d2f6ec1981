//! A Redis that was emptied costs a login. A bucket that was set back is noticed, served for reading alone, and taken up
//! again only when the owner says so.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::backup::{BucketCopy, objects};
use crate::kit::coffer::{Coffer, Login, problem_of};

#[tokio::test]
async fn after_an_emptied_redis_a_login_finds_everything() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let folder = login.create("/folders", &json!({"parent": "root", "name": "folder"})).await;
    let folder = folder["id"].as_str().unwrap();
    let file = login.upload(folder, "file", "first").await;
    let file = file["id"].as_str().unwrap();
    let content = format!("/files/{file}/content");
    let replaced = login.request(Method::PUT, &content).body("second").send().await.unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    let gone = login.upload("root", "gone", "to the trash").await;
    let gone = login.request(Method::DELETE, &format!("/nodes/{}", gone["id"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let paths =
        ["/nodes/root/children", &format!("/nodes/{folder}/children"), &format!("/files/{file}/versions"), "/trash"];
    let before = everything(&login, paths).await;

    coffer.redis.flush_all().await;
    wait_for_takeover(&mut coffer, "Redis was lost").await;
    let stale = login.request(Method::GET, "/nodes/root").send().await.unwrap();
    assert_eq!(problem_of(stale).await.0, StatusCode::UNAUTHORIZED);
    let login = coffer.log_in().await;
    assert_eq!(everything(&login, paths).await, before);
    assert_eq!(login.download(file).await, b"second");
    login.upload("root", "new", "and it goes on").await;

    coffer.kill();
    coffer.redis.flush_all().await;
    coffer.launch();
    coffer.wait_until_ready().await;
    let login = coffer.log_in().await;
    assert_eq!(login.get(paths[1]).await, before[1]);
    assert_eq!(login.get("/nodes/root/children").await["total"], 2);
}

#[tokio::test]
async fn a_bucket_that_was_set_back_is_read_only_until_the_owner_accepts_it() {
    let mut coffer = Coffer::start().await;
    let old = set_back_after_a_change(&mut coffer, &[]).await;
    let accept = assert_read_only(&mut coffer, &old).await;

    coffer.stop();
    coffer.set("ACCEPT_HEAD", &format!("catalog:{}", "0".repeat(64)));
    coffer.launch();
    let again = assert_read_only(&mut coffer, &old).await;
    assert_eq!(again, accept, "another answer accepts nothing");

    coffer.stop();
    coffer.set("ACCEPT_HEAD", &accept);
    coffer.launch();
    coffer.wait_until_ready().await;
    let login = coffer.log_in().await;
    assert_eq!(login.download(&old.file).await, b"old");
    assert_eq!(login.get("/nodes/root/children").await["total"], 1, "what came after the copy is gone");
    login.upload("root", "after", "it goes on").await;

    // The same setting once more: there is nothing to accept, and it does no harm.
    coffer.stop();
    coffer.launch();
    coffer.wait_until_ready().await;
    coffer.stop();

    // The same copy once more: the answer was for once.
    old.copy.swap_in(&coffer).await;
    coffer.launch();
    let other = assert_read_only(&mut coffer, &old).await;
    assert_ne!(other, accept);
}

#[tokio::test]
async fn the_state_folder_remembers_where_redis_does_not() {
    let state = tempfile::tempdir().unwrap();
    // Made by the first start, and good enough for the next one's check.
    let folder = state.path().join("state");
    let mut coffer = Coffer::prepare(&[("STATE_DIR", folder.to_str().unwrap())]).await;
    coffer.launch();
    coffer.wait_until_ready().await;
    let old = set_back_after_a_change(&mut coffer, &[Forgetful::Redis]).await;
    let accept = assert_read_only(&mut coffer, &old).await;
    assert!(coffer.output().contains("STATE_DIR remembers"), "the log names who remembers");
    coffer.stop();
    coffer.set("ACCEPT_HEAD", &accept);
    coffer.launch();
    coffer.wait_until_ready().await;
    assert_eq!(coffer.log_in().await.download(&old.file).await, b"old");
}

#[tokio::test]
async fn without_any_memory_an_old_bucket_is_trusted_and_that_is_said() {
    let mut coffer = Coffer::start().await;
    let old = set_back_after_a_change(&mut coffer, &[Forgetful::Redis]).await;
    coffer.wait_until_ready().await;
    assert_eq!(coffer.log_in().await.download(&old.file).await, b"old");
    assert!(coffer.output().contains("no anchor is known anywhere"), "the log says so");
}

/// Who forgets while the bucket is set back.
#[derive(PartialEq)]
enum Forgetful {
    Redis,
}

/// A vault's past.
struct Old {
    copy: BucketCopy,
    file: String,
}

/// A file, a copy of the bucket, another file; then the copy takes the bucket's place and the vault is started.
async fn set_back_after_a_change(coffer: &mut Coffer, forgetful: &[Forgetful]) -> Old {
    let file = coffer.log_in().await.upload("root", "old", "old").await;
    assert!(coffer.stop());
    let copy = BucketCopy::of(coffer).await;
    coffer.launch();
    coffer.wait_until_ready().await;
    coffer.log_in().await.upload("root", "new", "new").await;
    assert!(coffer.stop());
    copy.swap_in(coffer).await;
    if forgetful.contains(&Forgetful::Redis) {
        coffer.redis.flush_all().await;
    }
    coffer.launch();
    Old { copy, file: file["id"].as_str().unwrap().to_owned() }
}

/// Reads go on, each change is refused with the reason, and health and log name the way on, which is returned.
async fn assert_read_only(coffer: &mut Coffer, old: &Old) -> String {
    coffer.wait_until("read-only", |_, body| body["code"] == "READ_ONLY").await;
    let ready = coffer.client.get(coffer.url("/health/ready")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ready: Value = ready.json().await.unwrap();
    let detail = ready["detail"].as_str().unwrap();
    assert!(detail.contains("remembers"), "{detail}");
    let (_, accept) = detail.split_once("ACCEPT_HEAD=").unwrap();
    let accept = accept.trim_end_matches('.').to_owned();
    assert_eq!(accept.strip_prefix("catalog:").map(str::len), Some(64), "{detail}");
    assert!(coffer.output().contains(&format!("ACCEPT_HEAD={accept}")), "the log has it too");

    let login = coffer.log_in().await;
    assert_eq!(login.download(&old.file).await, b"old");
    assert_eq!(login.get("/nodes/root/children").await["total"], 1);
    let node = format!("/nodes/{}", old.file);
    let before = objects(coffer).await;
    for request in [
        login.request(Method::POST, "/folders").json(&json!({"parent": "root", "name": "x"})),
        login.request(Method::POST, "/folders/root/files?name=x").body("bytes"),
        login.request(Method::PUT, &format!("/files/{}/content", old.file)).body("bytes"),
        login.request(Method::PATCH, &node).json(&json!({"name": "x"})),
        login.request(Method::DELETE, &node),
        login.request(Method::DELETE, "/trash"),
    ] {
        let refused = problem_of(request.send().await.unwrap()).await;
        assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, "READ_ONLY".to_owned()));
    }
    assert_eq!(login.download(&old.file).await, b"old");
    assert!(objects(coffer).await == before, "a refused change left something in the bucket");
    accept
}

async fn everything(login: &Login, paths: [&str; 4]) -> Vec<Value> {
    let mut found = Vec::new();
    for path in paths {
        found.push(login.get(path).await);
    }
    found
}

/// Waits until the running program has noticed and serves again.
async fn wait_for_takeover(coffer: &mut Coffer, said: &str) {
    coffer.wait_until("waiting", |status, _| status != StatusCode::OK).await;
    coffer.wait_until_ready().await;
    assert!(coffer.output().contains(said), "the log says why");
}
