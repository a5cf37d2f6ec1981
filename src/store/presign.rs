//! URLs that let a client move one object or part without the vault's credentials, signed for the public endpoint.
//! Signing asks nobody.
//!
//! The signature is AWS's Signature Version 4 in the query, over an unsigned payload: what binds the bytes are signed
//! headers. A URL is made for every part of every upload, so this does without the SDK's machinery for requests, which
//! took several times as long as the signature.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use data_encoding::BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::{MultipartId, Store, StoreError};
use crate::config::StoreConfig;

/// The longest life of a URL that S3 signs.
const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What stands for itself in a signed path: the unreserved characters of RFC 3986, and the slashes of keys.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Who signs URLs, and for which bucket.
#[derive(Clone)]
pub(super) struct Signer {
    /// The bucket's own URL, without a slash at its end.
    bucket: String,
    region: String,
    identity: Identity,
}

impl Signer {
    /// Signs for the bucket behind `endpoint` as the settings name it.
    pub(super) fn new(config: &StoreConfig, endpoint: &Url) -> Self {
        let (key_id, secret) = (config.access_key_id.expose(), config.secret_access_key.expose());
        let identity = Credentials::new(key_id, secret, None, None, "configuration").into();
        Self { bucket: config.bucket_url(endpoint), region: config.region.clone(), identity }
    }

    fn url(
        &self,
        method: &str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        (at, ttl): (SystemTime, Duration),
    ) -> Result<Url, StoreError> {
        let invalid = |_| StoreError::never_sent("InvalidEndpoint");
        let path = format!("{}/{}", self.bucket, utf8_percent_encode(key, ENCODED));
        let mut url = Url::parse(&path).map_err(|_| StoreError::never_sent("InvalidEndpoint"))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        if ttl.is_zero() || ttl > MAX_LIFE {
            return Err(StoreError::never_sent("InvalidLifetime"));
        }
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(ttl);
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("s3")
            .time(at)
            .settings(settings)
            .build()
            .expect("every parameter is set")
            .into();
        let request =
            SignableRequest::new(method, url.as_str(), headers.iter().copied(), SignableBody::UnsignedPayload);
        let signed = sign(request.map_err(invalid)?, &params).map_err(invalid)?;
        url.query_pairs_mut().extend_pairs(signed.output().params());
        Ok(url)
    }
}

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
    pub fn presign_get(&self, key: &str, ttl: Duration) -> Result<Url, StoreError> {
        self.public.url("GET", &self.full_key(key), &[], &[], (SystemTime::now(), ttl))
    }

    /// A URL that writes an object that is not there yet, of exactly the `length` bytes with this digest. Whether a
    /// second write is refused is for the bucket to say: **must** be given out only where its probe saw that.
    pub fn presign_new_object(
        &self,
        key: &str,
        length: u64,
        digest: &BodyDigest,
        ttl: Duration,
    ) -> Result<SignedPut, StoreError> {
        let headers = vec![digest.header(), ("if-none-match", "*".to_owned())];
        self.presign_put(key, &[], length, headers, ttl)
    }

    /// A URL that sends part `number` (from 1) of an upload: exactly the `length` bytes with this digest.
    pub fn presign_part(
        &self,
        (key, id): (&str, &MultipartId),
        number: u32,
        length: u64,
        digest: &BodyDigest,
        ttl: Duration,
    ) -> Result<SignedPut, StoreError> {
        let query = [("partNumber", number.to_string()), ("uploadId", id.as_str().to_owned())];
        self.presign_put(key, &query, length, vec![digest.header()], ttl)
    }

    fn presign_put(
        &self,
        key: &str,
        query: &[(&str, String)],
        length: u64,
        headers: Vec<(&'static str, String)>,
        ttl: Duration,
    ) -> Result<SignedPut, StoreError> {
        let length = length.to_string();
        let mut signed: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        signed.push(("content-length", &length));
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = self.public.url("PUT", &self.full_key(key), &query, &signed, (SystemTime::now(), ttl))?;
        Ok(SignedPut { url, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(bucket: &str) -> Signer {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let identity = Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, None, None, "test").into();
        Signer { bucket: bucket.to_owned(), region: "us-east-1".to_owned(), identity }
    }

    /// The example of "Authenticating Requests: Using Query Parameters" in Amazon S3's API reference.
    #[test]
    fn the_published_example_has_its_published_signature() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let ttl = Duration::from_secs(86_400);
        let url = signer("https://examplebucket.s3.amazonaws.com").url("GET", "test.txt", &[], &[], (at, ttl)).unwrap();
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
            ("X-Amz-Date", "20130524T000000Z"),
            ("X-Amz-Expires", "86400"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Signature", "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
        ] {
            assert!(query.contains(&(name.to_owned(), value.to_owned())), "{name}: {query:?}");
        }
        assert_eq!(url.path(), "/test.txt");
    }

    #[test]
    fn a_key_is_one_path_whatever_it_is_made_of() {
        let now = (SystemTime::now(), Duration::from_secs(60));
        let url = signer("http://127.0.0.1:9/bucket").url("GET", "a b/%2e/ä+=?#&;:@(')!*~", &[], &[], now).unwrap();
        assert_eq!(url.path(), "/bucket/a%20b/%252e/%C3%A4%2B%3D%3F%23%26%3B%3A%40%28%27%29%21%2A~");
        for ttl in [Duration::ZERO, MAX_LIFE + Duration::from_secs(1)] {
            assert!(signer("http://127.0.0.1:9/b").url("GET", "k", &[], &[], (SystemTime::now(), ttl)).is_err());
        }
    }
}
