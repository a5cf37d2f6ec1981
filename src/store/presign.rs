//! URLs that let a client move one object or part without the vault's credentials, signed for the public endpoint.
//! Signing asks nobody.

use std::time::Duration;

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use data_encoding::BASE64;
use url::Url;

use super::{MultipartId, Store, StoreError};

/// What a signed write binds the bytes by, beside their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyDigest {
    /// For buckets that check `x-amz-checksum-sha256`.
    Sha256([u8; 32]),
    /// For buckets that refuse or ignore that, and check `Content-MD5`.
    Md5([u8; 16]),
}

impl BodyDigest {
    /// The header that carries it, and its value.
    fn header(&self) -> (&'static str, String) {
        match self {
            Self::Sha256(digest) => ("x-amz-checksum-sha256", BASE64.encode(digest)),
            Self::Md5(digest) => ("content-md5", BASE64.encode(digest)),
        }
    }
}

/// A signed PUT.
#[derive(Clone, Debug)]
pub struct SignedPut {
    /// Where to.
    pub url: Url,
    /// The headers that are signed beside `Host` and `Content-Length`; the client **must** send exactly these.
    pub headers: Vec<(&'static str, String)>,
}

impl Store {
    /// A URL that reads an object until `ttl` is over.
    pub async fn presign_get(&self, key: &str, ttl: Duration) -> Result<Url, StoreError> {
        let request = self.public.get_object().bucket(&*self.bucket).key(self.full_key(key));
        finish(request.presigned(lifetime(ttl)?).await.map_err(StoreError::from_sdk)?)
    }

    /// A URL that writes an object that is not there yet, of exactly the `length` bytes with this digest. Whether a
    /// second write is refused is for the bucket to say: **must** be given out only where its probe saw that.
    pub async fn presign_new_object(
        &self,
        key: &str,
        length: u64,
        digest: &BodyDigest,
        ttl: Duration,
    ) -> Result<SignedPut, StoreError> {
        let request = self.public.put_object().bucket(&*self.bucket).key(self.full_key(key));
        let request = request.content_length(sdk_length(length)?).if_none_match("*");
        let header = digest.header();
        let request = match digest {
            BodyDigest::Sha256(_) => request.checksum_sha256(&header.1),
            BodyDigest::Md5(_) => request.content_md5(&header.1),
        };
        let url = finish(request.presigned(lifetime(ttl)?).await.map_err(StoreError::from_sdk)?)?;
        Ok(SignedPut { url, headers: vec![header, ("if-none-match", "*".to_owned())] })
    }

    /// A URL that sends part `number` (from 1) of an upload: exactly the `length` bytes with this digest.
    pub async fn presign_part(
        &self,
        (key, id): (&str, &MultipartId),
        number: u32,
        length: u64,
        digest: &BodyDigest,
        ttl: Duration,
    ) -> Result<SignedPut, StoreError> {
        let number = i32::try_from(number).map_err(|_| StoreError::never_sent("InvalidPartNumber"))?;
        let request = self.public.upload_part().bucket(&*self.bucket).key(self.full_key(key));
        let request = request.upload_id(id.as_str()).part_number(number).content_length(sdk_length(length)?);
        let header = digest.header();
        let request = match digest {
            BodyDigest::Sha256(_) => request.checksum_sha256(&header.1),
            BodyDigest::Md5(_) => request.content_md5(&header.1),
        };
        let url = finish(request.presigned(lifetime(ttl)?).await.map_err(StoreError::from_sdk)?)?;
        Ok(SignedPut { url, headers: vec![header] })
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
