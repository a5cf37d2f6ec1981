//! What an upload refuses: other plans, salts used twice, completions that lack something. Nothing of it stays.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::text;
use crate::kit::coffer::{Coffer, problem_of};
use crate::kit::direct::{self, begin, begin_refused};

const PART: usize = 8 << 20;
const SALT_REUSED: (StatusCode, &str) = (StatusCode::CONFLICT, "SALT_REUSED");
const INVALID: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "INVALID_REQUEST");

fn is((status, code): (StatusCode, String), expected: (StatusCode, &str)) {
    assert_eq!((status, code.as_str()), expected);
}

#[tokio::test]
async fn a_beginning_is_refused_at_once() {
    let coffer = Coffer::start_with(&[("MAX_FILE_SIZE", "1MiB"), ("STORAGE_LIMIT", "2MiB")]).await;
    let login = coffer.log_in().await;
    let taken = login.upload("root", "taken", "x").await;
    let file = taken["id"].as_str().unwrap();
    let (nobody, tag) = ("0".repeat(31) + "1", "\"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"");
    for (body, status, code) in [
        (json!({"parent": "root", "name": "taken", "size": 1}), 409, "DUPLICATE_RESOURCE"),
        (json!({"parent": nobody, "name": "a", "size": 1}), 404, "FILE_NOT_FOUND"),
        (json!({"parent": file, "name": "a", "size": 1}), 409, "CONFLICT"),
        (json!({"parent": "root", "name": "a/b", "size": 1}), 400, "INVALID_NAME"),
        (json!({"parent": "root", "name": "a", "size": (1 << 20) + 1}), 413, "FILE_TOO_LARGE"),
        (json!({"parent": "root", "name": "a", "size": (1_u64 << 53) - 1}), 413, "FILE_TOO_LARGE"),
        (json!({"parent": "root", "name": "a", "size": 1_u64 << 53}), 400, "INVALID_REQUEST"),
        (json!({"parent": "root", "name": "a", "size": -1}), 400, "INVALID_REQUEST"),
        (json!({"parent": "root", "name": "a", "size": 1, "type": "nonsense"}), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (json!({"parent": "root", "size": 1}), 400, "INVALID_REQUEST"),
        (json!({"size": 1}), 400, "INVALID_REQUEST"),
        (json!({"parent": "root", "name": "a", "file": file, "size": 1}), 400, "INVALID_REQUEST"),
        (json!({"file": file, "on_conflict": "replace", "size": 1}), 400, "INVALID_REQUEST"),
        (json!({"file": file, "if_match": tag, "size": 1}), 412, "PRECONDITION_FAILED"),
        (json!({"file": nobody, "size": 1}), 404, "FILE_NOT_FOUND"),
        (json!({"file": "root", "size": 1}), 409, "CONFLICT"),
    ] {
        let (found, name) = begin_refused(&login, &body).await;
        assert_eq!((found.as_u16(), name.as_str()), (status, code), "{body}");
    }
    assert_eq!(login.get("/uploads").await["total"], 0);
    let _first = begin(&login, "first", 1 << 20).await;
    let refused = begin_refused(&login, &json!({"parent": "root", "name": "second", "size": 1 << 20})).await;
    is(refused, (StatusCode::PAYLOAD_TOO_LARGE, "STORAGE_LIMIT_EXCEEDED"));
    let gateway = login.request(Method::POST, "/folders/root/files?name=third").body(vec![0; 1 << 20]);
    is(problem_of(gateway.send().await.unwrap()).await, (StatusCode::PAYLOAD_TOO_LARGE, "STORAGE_LIMIT_EXCEEDED"));
}

#[tokio::test]
async fn only_parts_of_the_plan_are_signed_and_each_salt_for_one_encryption() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let content = text(PART + 5);
    let upload = begin(&login, "a", content.len()).await;
    let parts = upload.seal_all(&content);
    let good = parts[1].to_json();
    let with = |member: &str, value: Value| {
        let mut changed = good.clone();
        changed[member] = value;
        changed
    };
    for bad in [
        with("length", json!(76)),
        with("length", json!(78)),
        with("length", json!(0)),
        with("length", json!(-1)),
        with("part", json!(2)),
        with("part", json!(0)),
        with("part", json!(-1)),
        with("part", json!(u64::MAX)),
        with("salt", json!("00")),
        with("sha256", json!("zz")),
        with("extra", json!(1)),
    ] {
        is(upload.sign_refused(&[bad]).await, INVALID);
    }
    is(upload.sign_refused(&[]).await, INVALID);
    is(upload.sign_refused(&vec![good.clone(); 101]).await, INVALID);
    upload.sign(&parts[1..]).await;
    upload.sign(&parts[1..]).await;
    is(upload.sign_refused(&[with("sha256", json!("11".repeat(32)))]).await, SALT_REUSED);
    let mut elsewhere = parts[0].to_json();
    elsewhere["salt"] = good["salt"].clone();
    is(upload.sign_refused(&[elsewhere.clone()]).await, SALT_REUSED);
    // Nothing of a refused batch was written down.
    is(upload.sign_refused(&[parts[0].to_json(), elsewhere]).await, SALT_REUSED);
    is(problem_of(upload.confirm_raw(&parts[..1], &["x".into()]).await).await, (StatusCode::CONFLICT, "CONFLICT"));
    let swapped = direct::Sealed { part: 0, ..parts[1].clone() };
    is(problem_of(upload.confirm_raw(&[swapped], &["x".into()]).await).await, (StatusCode::CONFLICT, "CONFLICT"));
    assert_eq!(upload.cancel().await, StatusCode::NO_CONTENT);
    assert_eq!(upload.cancel().await, StatusCode::NO_CONTENT);
    is(upload.sign_refused(&[good]).await, (StatusCode::NOT_FOUND, "UPLOAD_NOT_FOUND"));
    is(problem_of(upload.get().await).await, (StatusCode::NOT_FOUND, "UPLOAD_NOT_FOUND"));
    is(upload.complete_refused(&content).await, (StatusCode::NOT_FOUND, "UPLOAD_NOT_FOUND"));
}
