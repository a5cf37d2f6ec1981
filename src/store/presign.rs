//! URLs that let a client move one object or part without the vault's credentials, signed for the public endpoint.
//! Signing asks nobody.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use data_encoding::BASE64;
use url::Url;

use super::{MultipartId, Store, StoreError};

impl Store {
    /// A URL that reads an object until `ttl` is over.
    pub async fn presign_get(&self, key: &str, ttl: Duration) -> Result<Url, StoreError> {
        let request = self.public.get_object().bucket(&*self.bucket).key(self.full_key(key));
        finish(request.presigned(lifetime(ttl)?).await.map_err(StoreError::from_sdk)?)
    }

    /// A URL that writes exactly the `length` bytes whose SHA-256 is `sha256`. The client **must** send that digest in
    /// base64 as `x-amz-checksum-sha256`; length and digest are signed.
    pub async fn presign_put(
        &self,
        key: &str,
        length: u64,
        sha256: &[u8; 32],
        ttl: Duration,
    ) -> Result<Url, StoreError> {
        let request = self.public.put_object().bucket(&*self.bucket).key(self.full_key(key));
        let request = request.content_length(sdk_length(length)?).checksum_sha256(BASE64.encode(sha256));
        finish(request.presigned(lifetime(ttl)?).await.map_err(StoreError::from_sdk)?)
    }

    /// A URL that sends part `number` (from 1) of an upload, signed as [`Store::presign_put`] is.
    pub async fn presign_part(
        &self,
        (key, id): (&str, &MultipartId),
        number: u32,
        length: u64,
        sha256: &[u8; 32],
        ttl: Duration,
    ) -> Result<Url, StoreError> {
        let number = i32::try_from(number).map_err(|_| StoreError::never_sent("InvalidPartNumber"))?;
        let request = self.public.upload_part().bucket(&*self.bucket).key(self.full_key(key));
        let request = request.upload_id(id.as_str()).part_number(number);
        let request = request.content_length(sdk_length(length)?).checksum_sha256(BASE64.encode(sha256));
        finish(request.presigned(lifetime(ttl)?).await.map_err(StoreError::from_sdk)?)
    }
}

fn lifetime(ttl: Duration) -> Result<PresigningConfig, StoreError> {
    PresigningConfig::expires_in(ttl).map_err(|_| StoreError::never_sent("InvalidLifetime"))
}

fn sdk_length(length: u64) -> Result<i64, StoreError> {
    i64::try_from(length).map_err(|_| StoreError::TooLarge)
}

fn finish(request: PresignedRequest) -> Result<Url, StoreError> {
    Url::parse(request.uri()).map_err(|_| StoreError::never_sent("InvalidEndpoint"))
}
