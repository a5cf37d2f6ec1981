//! The embedded store through an S3 client, over HTTP.

mod crash;
mod listing;
mod objects;
mod signatures;
mod uploads;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::kit::embedded::{BUCKET, TestStore};

/// Status and code of a refusal.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> (u16, String) {
    let error = answer.unwrap_err();
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}

fn no(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Bytes that differ everywhere.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut next).flatten().take(length).collect();
    bytes.truncate(length);
    bytes
}

async fn put(store: &TestStore, key: &str, body: &[u8]) -> String {
    let answer = store.client().put_object().bucket(BUCKET).key(key).body(body.to_vec().into()).send().await.unwrap();
    answer.e_tag.unwrap()
}

async fn get(store: &TestStore, key: &str) -> Option<Vec<u8>> {
    let answer = store.client().get_object().bucket(BUCKET).key(key).send().await;
    match answer {
        Ok(answer) => Some(answer.body.collect().await.unwrap().to_vec()),
        Err(error) if error.code() == Some("NoSuchKey") => None,
        Err(error) => panic!("{error:?}"),
    }
}
