//! How uploads end: once, whatever is lost or comes twice, and with nothing left where they become nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::text;
use crate::kit::TestBucket;
use crate::kit::coffer::{Coffer, json_of, problem_of};
use crate::kit::direct::{self, Upload, begin, begin_refused, begin_with};
use crate::kit::proxy::{Fault, Proxy};

const PART: usize = 8 << 20;

fn is((status, code): (StatusCode, String), expected: (u16, &str)) {
    assert_eq!((status.as_u16(), code.as_str()), expected);
}

async fn coffer_behind(bucket: &TestBucket, proxy: &Proxy) -> Coffer {
    let settings = bucket.settings(proxy.url());
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Coffer::start_with(&settings).await
}

#[tokio::test]
async fn a_completion_happens_once_however_often_it_is_asked_for() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for (name, size) in [("small", 5), ("large", PART + 1)] {
        let content = text(size);
        let upload = begin(&login, name, size).await;
        upload.send_all(&content).await;
        let asked = (0..4).map(|_| upload.complete_raw(&content));
        let mut nodes = Vec::new();
        for answer in futures_util::future::join_all(asked).await {
            nodes.push(json_of(answer, StatusCode::OK).await);
        }
        assert!(nodes.iter().all(|node| *node == nodes[0]), "{nodes:?}");
        assert_eq!(upload.complete(&content).await, nodes[0]);
        is(upload.complete_refused(b"other content").await, (409, "CONFLICT"));
        assert_eq!(upload.cancel().await, StatusCode::NO_CONTENT, "too late");
        coffer.restart().await;
        assert_eq!(upload.complete(&content).await, nodes[0], "the answer is in the catalog");
        assert!(login.download(nodes[0]["id"].as_str().unwrap()).await == content);
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], 2);
}

#[tokio::test]
async fn a_missing_part_is_named_and_can_follow() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let content = text(2 * PART + 1);
    let upload = begin(&login, "a", content.len()).await;
    let parts = upload.seal_all(&content);
    let etags = upload.send(&parts).await;
    let missing = async || {
        let answer = upload.complete_raw(&content).await;
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        let body: Value = answer.json().await.unwrap();
        (body["code"].as_str().unwrap().to_owned(), body["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(missing().await, ("UPLOAD_INCOMPLETE".into(), "Part 0 is not confirmed.".into()));
    upload.confirm(&[parts[0].clone(), parts[2].clone()], &[etags[0].clone(), etags[2].clone()]).await;
    assert_eq!(missing().await.1, "Part 1 is not confirmed.");
    // The client's word is held against the bucket's list.
    upload.confirm(&parts[1..2], &["\"0123\"".into()]).await;
    assert_eq!(missing().await.1, "Part 1 is not confirmed.");
    upload.confirm(&parts[1..2], &etags[1..2]).await;
    upload.complete(&content).await;
}

#[tokio::test]
async fn what_changed_in_the_tree_meanwhile_decides_and_the_upload_stays() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let folder = login.create("/folders", &json!({"parent": "root", "name": "f"})).await;
    let folder = folder["id"].as_str().unwrap();
    let content = text(PART + 3);
    let size = content.len();
    let upload = begin_with(&login, &json!({"parent": folder, "name": "a", "size": size})).await;
    upload.send_all(&content).await;
    login.request(Method::DELETE, &format!("/nodes/{folder}")).send().await.unwrap();
    is(upload.complete_refused(&content).await, (409, "CONFLICT"));
    let restore = login.request(Method::POST, &format!("/nodes/{folder}/restore")).send().await.unwrap();
    assert_eq!(restore.status(), StatusCode::OK);
    let other = login.upload(folder, "a", "quicker").await;
    is(upload.complete_refused(&content).await, (409, "DUPLICATE_RESOURCE"));
    let path = format!("/nodes/{}", other["id"].as_str().unwrap());
    login.request(Method::PATCH, &path).json(&json!({"name": "b"})).send().await.unwrap();
    let node = upload.complete(&content).await;
    assert!(login.download(node["id"].as_str().unwrap()).await == content);

    let (file, tag) = (node["id"].as_str().unwrap(), format!("\"{}\"", node["file"]["version"].as_str().unwrap()));
    let body = json!({"file": file, "if_match": tag, "size": 3});
    let (first, second) = (begin_with(&login, &body).await, begin_with(&login, &body).await);
    first.send_all(b"one").await;
    second.send_all(b"two").await;
    assert_eq!(first.complete(b"one").await["id"], file);
    is(second.complete_refused(b"two").await, (412, "PRECONDITION_FAILED"));
    assert_eq!(login.download(file).await, b"one");
    assert_eq!(login.get(&format!("/files/{file}/versions")).await["total"], 2);
    assert_eq!(second.cancel().await, StatusCode::NO_CONTENT);
    assert_eq!(login.get("/uploads").await["total"], 0);
}

#[tokio::test]
async fn a_conflict_is_solved_as_it_was_asked_for() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let first = direct::upload(&login, "a.txt", b"1").await;
    for (choice, content, name) in [("keep_both", b"22", "a (2).txt"), ("replace", b"33", "a.txt")] {
        let body = json!({"parent": "root", "name": "a.txt", "size": 2, "on_conflict": choice});
        let upload = begin_with(&login, &body).await;
        upload.send_all(content).await;
        assert_eq!(upload.complete(content).await["name"], name);
    }
    assert_eq!(login.download(first["id"].as_str().unwrap()).await, b"33");
}

#[tokio::test]
async fn room_is_held_from_the_beginning_to_the_end_over_restarts() {
    let mut coffer = Coffer::start_with(&[("STORAGE_LIMIT", "20MiB")]).await;
    let login = coffer.log_in().await;
    let content = text(PART + 1);
    let upload = begin(&login, "a", content.len()).await;
    upload.send_all(&content).await;
    coffer.restart().await;
    let full = (413, "STORAGE_LIMIT_EXCEEDED");
    let too_much = json!({"parent": "root", "name": "b", "size": 13 << 20});
    is(begin_refused(&login, &too_much).await, full);
    let gateway = login.request(Method::POST, "/folders/root/files?name=c").body(vec![0; 13 << 20]).send().await;
    is(problem_of(gateway.unwrap()).await, full);
    let rest = begin(&login, "b", 11 << 20).await;
    let node = upload.complete(&content).await;
    assert!(login.download(node["id"].as_str().unwrap()).await == content);
    is(begin_refused(&login, &too_much).await, full);
    assert_eq!(rest.cancel().await, StatusCode::NO_CONTENT);
    is(begin_refused(&login, &too_much).await, full);
    begin(&login, "b", 11 << 20).await;
}

#[tokio::test]
async fn a_limit_that_was_lowered_meanwhile_holds_for_a_completion() {
    let mut coffer = Coffer::start_with(&[("STORAGE_LIMIT", "20MiB")]).await;
    let login = coffer.log_in().await;
    let content = text(2 << 20);
    let upload = begin(&login, "a", content.len()).await;
    upload.send_all(&content).await;
    coffer.kill();
    coffer.set("STORAGE_LIMIT", "1MiB");
    coffer.launch();
    coffer.wait_until_ready().await;
    is(upload.complete_refused(&content).await, (413, "STORAGE_LIMIT_EXCEEDED"));
    assert_eq!(upload.cancel().await, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_a_client_left_behind_never_stands_in_the_way_of_its_repetition() {
    let coffer = Coffer::start_with(&[("STORAGE_LIMIT", "20MiB"), ("UNFINISHED_UPLOADS", "2")]).await;
    let login = coffer.log_in().await;
    let left = begin(&login, "a", 15 << 20).await;
    let again = begin(&login, "a", 15 << 20).await;
    assert_ne!(again.id, left.id);
    assert_eq!(left.get().await.status(), StatusCode::NOT_FOUND, "it gave way");
    let _other = begin(&login, "b", 1).await;
    is(begin_refused(&login, &json!({"parent": "root", "name": "c", "size": 1})).await, (503, "BUSY"));
    let again = begin(&login, "b", 1).await;
    assert_eq!(login.get("/uploads").await["total"], 2);
    again.send_all(b"1").await;
    again.complete(b"1").await;

    let begin_with_key = async |size: usize| {
        let body = json!({"parent": "root", "name": "d", "size": size});
        let request = login.request(Method::POST, "/uploads").header("idempotency-key", "k").json(&body);
        request.send().await.unwrap()
    };
    let first = json_of(begin_with_key(1).await, StatusCode::CREATED).await;
    assert_eq!(json_of(begin_with_key(1).await, StatusCode::CREATED).await, first);
    is(problem_of(begin_with_key(2).await).await, (409, "CONFLICT"));
    let first = Upload::new(&login, first);
    first.send_all(b"x").await;
    first.complete(b"x").await;
    is(problem_of(begin_with_key(1).await).await, (409, "DUPLICATE_RESOURCE"));
}

#[tokio::test]
async fn a_revoked_session_gets_nothing_more_and_another_one_goes_on() {
    let coffer = Coffer::start().await;
    let (mut stolen, login) = (coffer.log_in().await, coffer.log_in().await);
    let content = text(PART + 1);
    let mut upload = begin(&stolen, "a", content.len()).await;
    let parts = upload.seal_all(&content);
    let etags = upload.send(&parts[..1]).await;
    let sessions = login.request(Method::DELETE, "/sessions?keep_current=true").send().await.unwrap();
    assert_eq!(sessions.status(), StatusCode::NO_CONTENT);
    let revoked = (401, "INVALID_TOKEN");
    is(upload.sign_refused(&[parts[1].to_json()]).await, revoked);
    is(problem_of(upload.confirm_raw(&parts[..1], &etags).await).await, revoked);
    is(problem_of(upload.get().await).await, revoked);
    is(upload.complete_refused(&content).await, revoked);
    is(begin_refused(&stolen, &json!({"parent": "root", "name": "b", "size": 1})).await, revoked);
    assert_eq!(upload.cancel().await, StatusCode::UNAUTHORIZED);
    stolen = login;
    upload.login = stolen;
    upload.confirm(&parts[..1], &etags).await;
    let etags = upload.send(&parts[1..]).await;
    upload.confirm(&parts[1..], &etags).await;
    upload.complete(&content).await;
}

#[tokio::test]
async fn a_lost_answer_of_the_bucket_decides_nothing() {
    let bucket = TestBucket::start_process();
    let proxy = Proxy::start(bucket.url()).await;
    let coffer = coffer_behind(&bucket, &proxy).await;
    let login = coffer.log_in().await;
    let content = text(PART + 1);
    let is_completion = |line: &str| line.starts_with("POST ") && line.contains("uploadId=");
    for (fault, name) in [(Fault::LoseAnswer, "lost answer"), (Fault::LoseRequest, "lost request")] {
        let upload = begin(&login, name, content.len()).await;
        upload.send_all(&content).await;
        let trap = proxy.trap(fault, (0, 1), is_completion);
        let node = upload.complete(&content).await;
        assert_eq!(trap.count(), 1);
        assert!(login.download(node["id"].as_str().unwrap()).await == content);
    }
    let upload = begin(&login, "away", content.len()).await;
    upload.send_all(&content).await;
    let trap = proxy.trap(Fault::Fail(503), (0, usize::MAX), is_completion);
    is(upload.complete_refused(&content).await, (503, "STORAGE_UNAVAILABLE"));
    drop(trap);
    let trap = proxy.trap(Fault::Fail(503), (0, usize::MAX), |line| line.starts_with("HEAD "));
    is(upload.complete_refused(&content).await, (503, "STORAGE_UNAVAILABLE"));
    drop(trap);
    // By now the bucket has made the object, and lists no parts any more.
    let node = upload.complete(&content).await;
    assert!(login.download(node["id"].as_str().unwrap()).await == content);
    assert_eq!(login.get("/nodes/root/children").await["total"], 3);
}

#[tokio::test]
async fn a_process_that_dies_in_the_middle_of_a_completion_is_followed_by_one_that_completes() {
    let bucket = TestBucket::start_process();
    let proxy = Proxy::start(bucket.url()).await;
    let mut coffer = coffer_behind(&bucket, &proxy).await;
    let login = coffer.log_in().await;
    let content = text(PART + 1);
    let upload = begin(&login, "a", content.len()).await;
    upload.send_all(&content).await;
    let trap = proxy.trap(Fault::HoldAnswer, (0, 1), |line| line.starts_with("POST ") && line.contains("uploadId="));
    let asked = tokio::spawn({
        let (upload, content) = (upload.clone(), content.clone());
        async move {
            let path = format!("/uploads/{}/complete", upload.id);
            let body = json!({"content_hash": direct::content_hash(&content, PART)});
            let _ = upload.login.request(Method::POST, &path).json(&body).send().await;
        }
    });
    trap.caught(1).await;
    // Meanwhile nobody else may end it.
    assert_eq!(upload.cancel().await, StatusCode::CONFLICT);
    is(upload.complete_refused(&content).await, (409, "UPLOAD_BUSY"));
    trap.done().await;
    coffer.restart().await;
    drop(trap);
    asked.await.unwrap();
    let node = upload.complete(&content).await;
    assert!(login.download(node["id"].as_str().unwrap()).await == content);
}
