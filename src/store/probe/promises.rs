//! Conditions and checksums: what many services accept and some ignore.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use data_encoding::BASE64;

use super::{Asked, CONTENT, LONGER_CONTENT, OTHER_CONTENT, URL_LIFE};
use crate::crypto::sha256;
use crate::store::{BodyDigest, CompletedPart, PartChecksum, SignedPut, StoreError};

impl Asked<'_> {
    /// Measures both; the vault works without either, since it checks for itself.
    pub(super) async fn ask_promises(&mut self) {
        self.probe.abilities.refuses_overwrite = self.refuses_overwrite().await;
        self.probe.abilities.refuses_wrong_bytes =
            self.refuses_wrong_digest().await && self.refuses_wrong_signed_bytes().await;
        self.probe.abilities.part_checksum = match self.part_checksum().await {
            Ok(seen) => seen,
            Err(StoreError::Refused { .. }) => PartChecksum::Refused,
            Err(_) => PartChecksum::Unknown,
        };
        if !self.probe.abilities.refuses_wrong_bytes {
            self.warning(
                "S3_ENDPOINT",
                "it accepts other bytes than those whose SHA-256 was sent",
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
        let (key, length) = (self.key("signed"), CONTENT.len() as u64);
        let digest = BodyDigest::Sha256(sha256(CONTENT));
        let signed = self.store.for_itself().presign_new_object(&key, length, &digest, URL_LIFE);
        let Ok(signed) = signed else { return false };
        for (body, is_right) in [(OTHER_CONTENT, false), (LONGER_CONTENT, false), (CONTENT, true)] {
            if self.send_signed(&signed, body).await.map(|etag| etag.is_some()) != Ok(is_right) {
                return false;
            }
        }
        true
    }

    /// The same for a part, in an upload whose parts are all checked.
    async fn part_checksum(&self) -> Result<PartChecksum, StoreError> {
        let (key, length, digest) = (self.key("checked"), CONTENT.len() as u64, sha256(CONTENT));
        let id = self.store.create_checked_multipart(&key).await?;
        let sha256 = BodyDigest::Sha256(digest);
        let signed = self.store.for_itself().presign_part((&key, &id), 1, length, &sha256, URL_LIFE)?;
        let wrong = self.send_signed(&signed, OTHER_CONTENT).await?;
        let Some(etag) = self.send_signed(&signed, CONTENT).await? else { return Ok(PartChecksum::Refused) };
        self.store.complete_multipart(&key, &id, &[CompletedPart { number: 1, etag, sha256: Some(digest) }]).await?;
        Ok(if wrong.is_some() { PartChecksum::Ignored } else { PartChecksum::Enforced })
    }

    /// Sends a body as it was signed; the entity tag when it was taken.
    async fn send_signed(&self, signed: &SignedPut, body: &'static [u8]) -> Result<Option<String>, StoreError> {
        let answer = self.bare.send("PUT", &signed.url, &signed.headers, Bytes::from_static(body)).await?;
        Ok(answer.is_success().then(|| answer.header("etag").unwrap_or_default().to_owned()))
    }
}

fn digest_of(content: &[u8]) -> String {
    BASE64.encode(&sha256(content))
}
