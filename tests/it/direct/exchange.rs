//! One format, two ways: what one way wrote the other reads.

use reqwest::StatusCode;
use serde_json::json;

use super::text;
use crate::kit::coffer::Coffer;
use crate::kit::direct::{self, content_hash};

const PART: usize = 8 << 20;
const SIZES: [usize; 9] = [0, 1, 16383, 16384, 16385, PART - 1, PART, PART + 1, 3 * PART + 77_777];

#[tokio::test]
async fn what_was_sent_directly_is_read_by_the_gateway() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for size in SIZES {
        let content = text(size);
        let node = direct::upload(&login, &format!("{size}.bin"), &content).await;
        assert_eq!(node["file"]["size_bytes"], size);
        assert_eq!(node["file"]["content_hash"], content_hash(&content, PART));
        assert_eq!(node["file"]["media_type"], "application/octet-stream");
        let id = node["id"].as_str().unwrap();
        assert!(login.download(id).await == content, "{size}");
        if size > 2 {
            let (status, tail) = login.range(id, "bytes=-2").await;
            assert_eq!((status, tail.as_slice()), (StatusCode::PARTIAL_CONTENT, &content[size - 2..]));
        }
    }
    let listed = login.get("/uploads").await;
    assert_eq!((listed["total"].as_u64(), listed.get("next")), (Some(0), None));
}

#[tokio::test]
async fn an_upload_is_shown_as_far_as_it_is() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let content = text(PART + 5);
    let begun = direct::begin_with(
        &login,
        &json!({"parent": "root", "name": "b", "size": PART + 5, "type": "image/png", "on_conflict": "keep_both"}),
    )
    .await;
    let parts = begun.seal_all(&content);
    let etags = begun.send(&parts[1..]).await;
    assert_eq!(begun.confirm(&parts[1..], &etags).await, json!({"confirmed_parts": 1, "part_count": 2}));
    let shown: serde_json::Value = begun.get().await.json().await.unwrap();
    let confirmed = &shown["parts"][0];
    assert_eq!((&confirmed["part"], &confirmed["length"]), (&json!(1), &json!(parts[1].bytes.len())));
    assert_eq!(confirmed["sha256"], parts[1].to_json()["sha256"]);
    let mut expected = begun.json.clone();
    expected["parts"] = shown["parts"].clone();
    assert_eq!(shown, expected);
    let listed = login.get("/uploads").await;
    let mut summary = expected;
    let members = summary.as_object_mut().unwrap();
    members.remove("key");
    members.remove("parts");
    members.insert("confirmed_parts".into(), json!(1));
    assert_eq!(listed["items"], json!([summary]));
}
