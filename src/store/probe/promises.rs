//! Conditions and checksums: what many services accept and some ignore.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use super::{Asked, CONTENT, OTHER_CONTENT};

impl Asked<'_> {
    /// Measures both; the vault works without either, since it checks for itself.
    pub(super) async fn ask_promises(&mut self) {
        self.probe.abilities.refuses_overwrite = self.refuses_overwrite().await;
        self.probe.abilities.refuses_wrong_bytes =
            self.refuses_wrong_digest().await && self.refuses_wrong_signed_bytes().await;
        if !self.probe.abilities.refuses_wrong_bytes {
            self.warning(
                "S3_ENDPOINT",
                "it accepts other bytes than those whose checksum was sent",
                "the vault verifies what it needs by itself; a newer version of the service may check",
            );
        }
    }

    async fn refuses_overwrite(&self) -> bool {
        let request = self.store.client.put_object().bucket(&*self.store.bucket);
        let request = request.key(self.store.full_key(&self.key("object"))).if_none_match("*");
        let answer = request.body(ByteStream::from_static(CONTENT)).send().await;
        answer.is_err_and(|error| error.raw_response().is_some_and(|answer| answer.status().as_u16() == 412))
    }

    async fn refuses_wrong_digest(&self) -> bool {
        let request = self.store.client.put_object().bucket(&*self.store.bucket);
        let request = request.key(self.store.full_key(&self.key("digest"))).checksum_sha256(digest_of(OTHER_CONTENT));
        let answer = request.body(ByteStream::from_static(CONTENT)).send().await;
        answer.is_err_and(|error| error.raw_response().is_some_and(|answer| answer.status().is_client_error()))
    }

    /// Through a signed URL: the right bytes are taken, others of the same length and longer ones are not.
    async fn refuses_wrong_signed_bytes(&self) -> bool {
        let (key, digest) = (self.key("signed"), digest_of(CONTENT));
        let Some(url) = self.store.own_put_url(&key, CONTENT.len() as i64, &digest).await else { return false };
        let longer = [CONTENT, b"!"].concat();
        for (body, is_right) in [(OTHER_CONTENT, false), (&longer, false), (CONTENT, true)] {
            let headers = [("x-amz-checksum-sha256", digest.clone())];
            let answer = self.bare.send("PUT", &url, &headers, Bytes::copy_from_slice(body)).await;
            if answer.map(|answer| answer.is_success()) != Ok(is_right) {
                return false;
            }
        }
        true
    }
}

fn digest_of(content: &[u8]) -> String {
    BASE64.encode(&Sha256::digest(content))
}
