//! Opaque bytes to and from S3, and signed URLs. Never sees plaintext, a key of the vault or a file name.
//!
//! Guarantees: the bytes of a repeated write are the bytes of its first attempt; every wait has an end; an answer is
//! read within [`MAX_ANSWER_BYTES`] and believed only when it has exactly the expected shape; no redirect is followed,
//! so credentials reach the configured endpoint alone; credentials are the two configured values, and neither the
//! process's environment, a profile nor an instance's metadata is asked for others.
//!
//! Deliberately unaware of what the objects mean. No conditional write is used: some S3-compatibles accept the
//! condition and ignore it, so nothing above may rest on one.

mod abilities;
mod answer;
mod cors;
pub mod embedded;
mod error;
mod list;
mod measure;
mod multipart;
mod object;
mod presign;
pub mod probe;
mod range;
mod retry;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use url::Url;

use crate::config::{Endpoint, StoreConfig, is_loopback};

pub use abilities::{Abilities, PartChecksum};
pub use answer::MAX_ANSWER_BYTES;
pub use cors::{CorsRule, CorsRules};
pub use error::StoreError;
pub use list::ObjectSummary;
pub use multipart::{CompletedPart, MultipartId, MultipartSummary, PartSummary, Payload};
pub use object::ObjectHead;
use presign::Signer;
pub use presign::{BodyDigest, SignedPut};
pub use range::RangeBody;

/// Longest wait for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that nobody used for this long is closed; its buffers go with it.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);
/// A body that moves no byte for this long while somebody waits for it is an error.
const STALLED_BODY: Duration = Duration::from_secs(20);

/// The vault's bucket: a client for the vault's own requests, and who signs URLs for others.
///
/// Every key is relative to the configured prefix, on the way in and on the way out. Cheap to clone. Dropping a
/// returned future cancels the wait, not necessarily the effect of a write that is on its way.
#[derive(Clone)]
pub struct Store {
    client: Client,
    public: Signer,
    own: Signer,
    bucket: Arc<str>,
    prefix: Arc<str>,
    attempt_timeout: Duration,
    abilities: Arc<OnceLock<Abilities>>,
    /// Nothing lies between the vault and its bucket but the kernel.
    is_loopback: bool,
}

impl Store {
    /// A client for the configured bucket, without any I/O. `own_endpoint` replaces the endpoint of the vault's own
    /// requests (the embedded store's private listener); URLs are signed for the public endpoint in any case.
    pub fn new(config: &StoreConfig, own_endpoint: Option<&Url>) -> Self {
        let endpoint = match (own_endpoint, &config.endpoint) {
            (Some(url), _) | (None, Endpoint::Remote(url)) => url,
            (None, Endpoint::Embedded(_)) => &config.public_endpoint,
        };
        Self {
            client: client(config, endpoint),
            public: Signer::new(config, &config.public_endpoint),
            own: Signer::new(config, endpoint),
            bucket: config.bucket.as_str().into(),
            prefix: config.prefix.as_str().into(),
            attempt_timeout: Duration::from_secs(config.request_timeout_secs),
            abilities: Arc::default(),
            is_loopback: is_loopback(endpoint),
        }
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key as callers know it; a key outside the prefix is an answer nobody asked for.
    fn own_key(&self, full_key: &str) -> Result<String, StoreError> {
        full_key.strip_prefix(&*self.prefix).map(str::to_owned).ok_or(StoreError::Mismatch("a key outside the prefix"))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("bucket", &self.bucket).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn client(config: &StoreConfig, endpoint: &Url) -> Client {
    let attempt_timeout = Duration::from_secs(config.request_timeout_secs);
    let credentials =
        Credentials::new(config.access_key_id.expose(), config.secret_access_key.expose(), None, None, "configuration");
    let http = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(IDLE_CONNECTION)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let settings = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint.as_str().trim_end_matches('/'))
        .region(Region::new(config.region.clone()))
        .force_path_style(config.path_style)
        .credentials_provider(credentials)
        .http_client(http)
        // R2 and B2 refuse the SDK's default CRC32, Garage its trailers over plain HTTP. The signature covers
        // SHA-256 of every body that crosses a network, so a checksum beside it would add nothing.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // The SDK's own retries forget that an earlier attempt may still arrive; see `retry`.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALLED_BODY).build())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(attempt_timeout)
                .operation_attempt_timeout(attempt_timeout)
                .build(),
        )
        .interceptor(answer::BoundedAnswer)
        .interceptor(measure::Measured)
        .build();
    Client::from_conf(settings)
}
