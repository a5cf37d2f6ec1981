//! Multipart uploads: objects that are sent in parts and exist only once they are completed.

use std::fmt;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart as SdkPart};
use bytes::Bytes;
use data_encoding::BASE64;

use super::{Store, StoreError, retry};

/// The bucket's name for an upload that is on its way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MultipartId(String);

impl MultipartId {
    /// Takes up a name that was kept elsewhere.
    pub fn new(id: String) -> Self {
        Self(id)
    }

    /// The name as the bucket gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MultipartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MultipartId")
    }
}

/// How much is done to have a part arrive as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The signature covers the part's SHA-256, which the bucket compares.
    Hashed,
    /// As [`Payload::Hashed`] where a network lies between; over the loopback interface the bytes are not hashed. For
    /// bytes that prove themselves when they are read.
    Sealed,
}

/// A part that is to be in the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// What the bucket answered to its upload.
    pub etag: String,
    /// SHA-256 of its bytes; in an upload of checked parts every part **must** have it.
    pub sha256: Option<[u8; 32]>,
}

/// A part that the bucket says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSummary {
    /// 1 to 10,000.
    pub number: u32,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The bucket's entity tag for it.
    pub etag: String,
    /// SHA-256 of its bytes, where the bucket says so.
    pub sha256: Option<[u8; 32]>,
}

/// An upload that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultipartSummary {
    /// Key relative to the configured prefix.
    pub key: String,
    /// The upload.
    pub id: MultipartId,
    /// When it was begun, in Unix milliseconds; 0 when the bucket does not say.
    pub initiated_ms: u64,
}

impl Store {
    /// Begins an upload. After an unclear answer an upload without an owner may be left behind; [`Store::list_multiparts`]
    /// finds it.
    pub async fn create_multipart(&self, key: &str) -> Result<MultipartId, StoreError> {
        self.begin_multipart(key, None).await
    }

    /// The same, of parts that each come with their `x-amz-checksum-sha256`, in their upload and when it is completed.
    pub async fn create_checked_multipart(&self, key: &str) -> Result<MultipartId, StoreError> {
        self.begin_multipart(key, Some(ChecksumAlgorithm::Sha256)).await
    }

    async fn begin_multipart(&self, key: &str, checked: Option<ChecksumAlgorithm>) -> Result<MultipartId, StoreError> {
        retry::write(|| async {
            let request = self.client.create_multipart_upload().bucket(&*self.bucket).key(self.full_key(key));
            let request = request.set_checksum_algorithm(checked.clone());
            let answer = request.send().await.map_err(StoreError::from_sdk)?;
            let id = answer.upload_id.filter(|id| !id.is_empty());
            id.map(MultipartId).ok_or(StoreError::Mismatch("an upload without an id"))
        })
        .await
    }

    /// Sends part `number` (from 1) and returns its entity tag. A part that is sent again replaces the earlier one.
    pub async fn upload_part(
        &self,
        key: &str,
        id: &MultipartId,
        number: u32,
        body: Bytes,
        payload: Payload,
    ) -> Result<String, StoreError> {
        let number = sdk_number(number)?;
        let is_hashed = payload == Payload::Hashed || !self.is_loopback;
        retry::write(|| async {
            let request = self.client.upload_part().bucket(&*self.bucket).key(self.full_key(key));
            let request = request.upload_id(id.as_str()).part_number(number).body(ByteStream::from(body.clone()));
            let request = request.customize();
            let request = if is_hashed { request } else { request.disable_payload_signing() };
            let answer = request.send().await.map_err(StoreError::from_sdk)?;
            answer.e_tag.filter(|tag| !tag.is_empty()).ok_or(StoreError::Mismatch("a part without an entity tag"))
        })
        .await
    }

    /// The parts that the bucket has, in ascending order, all pages.
    pub async fn list_parts(&self, key: &str, id: &MultipartId) -> Result<Vec<PartSummary>, StoreError> {
        let mut all: Vec<PartSummary> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let answer = retry::read(|| async {
                let request = self.client.list_parts().bucket(&*self.bucket).key(self.full_key(key));
                let request = request.upload_id(id.as_str()).set_part_number_marker(marker.clone());
                request.send().await.map_err(StoreError::from_sdk)
            })
            .await?;
            for part in answer.parts() {
                let number = part.part_number().and_then(|number| u32::try_from(number).ok());
                let size = part.size().and_then(|size| u64::try_from(size).ok());
                let (Some(number), Some(size_bytes), Some(etag)) = (number, size, part.e_tag()) else {
                    return Err(StoreError::Mismatch("a listed part without number, size or entity tag"));
                };
                if all.last().is_some_and(|last| last.number >= number) {
                    return Err(StoreError::Mismatch("a listing of parts out of order"));
                }
                let sha256 = part.checksum_sha256().and_then(|text| BASE64.decode(text.as_bytes()).ok());
                let sha256 = sha256.and_then(|digest| digest.try_into().ok());
                all.push(PartSummary { number, size_bytes, etag: etag.to_owned(), sha256 });
            }
            if !answer.is_truncated().unwrap_or(false) {
                return Ok(all);
            }
            let next = answer.next_part_number_marker;
            if next.is_none() || next == marker {
                return Err(StoreError::Mismatch("a listing of parts without end"));
            }
            marker = next;
        }
    }

    /// Makes the object out of `parts`, in ascending order, and returns its entity tag.
    ///
    /// An answer 200 with an error inside, which S3 may send once it began to answer, is a [`StoreError::Mismatch`].
    /// When the error is not definite the object may exist: only looking at it tells.
    pub async fn complete_multipart(
        &self,
        key: &str,
        id: &MultipartId,
        parts: &[CompletedPart],
    ) -> Result<String, StoreError> {
        let parts = parts.iter().map(|part| {
            let number = sdk_number(part.number)?;
            let sha256 = part.sha256.map(|sha256| BASE64.encode(&sha256));
            Ok(SdkPart::builder().part_number(number).e_tag(&part.etag).set_checksum_sha256(sha256).build())
        });
        let parts = parts.collect::<Result<Vec<_>, StoreError>>()?;
        let manifest = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        retry::write(|| async {
            let request = self.client.complete_multipart_upload().bucket(&*self.bucket).key(self.full_key(key));
            let request = request.upload_id(id.as_str()).multipart_upload(manifest.clone());
            let answer = request.send().await.map_err(StoreError::from_sdk)?;
            answer.e_tag.filter(|tag| !tag.is_empty()).ok_or(StoreError::Mismatch("an object without an entity tag"))
        })
        .await
    }

    /// Gives an upload up; its parts are gone. One that is not there is as good as aborted.
    pub async fn abort_multipart(&self, key: &str, id: &MultipartId) -> Result<(), StoreError> {
        retry::write(|| async {
            let request = self.client.abort_multipart_upload().bucket(&*self.bucket).key(self.full_key(key));
            match request.upload_id(id.as_str()).send().await.map_err(StoreError::from_sdk) {
                Ok(_) | Err(StoreError::NotFound) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Every upload under `prefix` that was neither completed nor aborted, all pages.
    pub async fn list_multiparts(&self, prefix: &str) -> Result<Vec<MultipartSummary>, StoreError> {
        let full_prefix = self.full_key(prefix);
        let mut all = Vec::new();
        let mut markers: (Option<String>, Option<String>) = (None, None);
        loop {
            let answer = retry::read(|| async {
                let request = self.client.list_multipart_uploads().bucket(&*self.bucket).prefix(&full_prefix);
                let request = request.set_key_marker(markers.0.clone()).set_upload_id_marker(markers.1.clone());
                request.send().await.map_err(StoreError::from_sdk)
            })
            .await?;
            for upload in answer.uploads() {
                let key = upload.key().filter(|key| key.starts_with(&full_prefix));
                let (Some(key), Some(id)) = (key, upload.upload_id()) else {
                    return Err(StoreError::Mismatch("a listed upload without id or beside its prefix"));
                };
                let initiated = upload.initiated().and_then(|time| time.to_millis().ok());
                all.push(MultipartSummary {
                    key: self.own_key(key)?,
                    id: MultipartId(id.to_owned()),
                    initiated_ms: initiated.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
                });
            }
            if !answer.is_truncated().unwrap_or(false) {
                return Ok(all);
            }
            let next = (answer.next_key_marker, answer.next_upload_id_marker);
            // Markers only go up, so a bucket can't keep its listing going for ever.
            if next.0.is_none() || next <= markers {
                return Err(StoreError::Mismatch("a listing of uploads without end"));
            }
            markers = next;
        }
    }
}

fn sdk_number(number: u32) -> Result<i32, StoreError> {
    i32::try_from(number).map_err(|_| StoreError::never_sent("InvalidPartNumber"))
}
