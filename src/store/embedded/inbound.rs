//! Receiving a body: in bounded memory, hashed once, checked against everything the request says about it.
//!
//! What the signature layer verifies by itself as the body passes (a signed SHA-256, signed chunks) is not hashed a second time.
//! A body whose chunks are signed is held by that layer one chunk at a time, and only a holder of the keys can send one.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Uri};
use md5::Digest as _;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use super::off_thread;

/// Bytes that are gathered before they are written; a body has at most two such batches in memory.
const BATCH_BYTES: usize = 1 << 20;
/// How long a body may stand still.
const STALL: Duration = Duration::from_secs(60);

/// How much of a body that is not wanted is read, so that its sender, who reads no answer before it has sent all, gets one.
const MAX_DRAINED_BYTES: usize = 64 << 20;

/// Where a body goes.
pub(super) trait Sink: Send + 'static {
    /// Writes bytes at an offset; bytes come in order, without gaps.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> S3Result<()>;
}

/// What a request says about its body.
pub(super) struct Claims {
    length: u64,
    /// Verified by the signature layer, if the whole body was signed.
    signed_sha256: Option<[u8; 32]>,
    md5: Option<Vec<u8>>,
    checksums: Vec<(Algorithm, String)>,
    trailers: Vec<Algorithm>,
    needs_sha256: bool,
}

/// A checksum that a request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What is known of a received body.
pub(super) struct Received {
    pub(super) size_bytes: u64,
    /// Known if it was asked for or the request carried it.
    pub(super) sha256: Option<[u8; 32]>,
}

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("x-amz-checksum-crc32", Algorithm::Crc32),
    ("x-amz-checksum-crc32c", Algorithm::Crc32c),
    ("x-amz-checksum-crc64nvme", Algorithm::Crc64Nvme),
    ("x-amz-checksum-sha1", Algorithm::Sha1),
    ("x-amz-checksum-sha256", Algorithm::Sha256),
];

impl Claims {
    /// Reads a request's headers, and its query, where signed URLs may carry a checksum too.
    pub(super) fn of(headers: &HeaderMap, uri: &Uri, length: Option<i64>) -> S3Result<Self> {
        let length =
            length.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| s3_error!(MissingContentLength))?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed_sha256 =
            text("x-amz-content-sha256").and_then(|hex| data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok());
        let md5 = match text("content-md5") {
            Some(given) => {
                Some(decode_base64(given).filter(|md5| md5.len() == 16).ok_or_else(|| s3_error!(InvalidDigest))?)
            }
            None => None,
        };
        let query: Vec<_> = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        let mut checksums = Vec::new();
        for (name, algorithm) in ALGORITHMS {
            let in_query =
                query.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string());
            checksums.extend(text(name).map(str::to_owned).into_iter().chain(in_query).map(|value| (algorithm, value)));
        }
        let announced = text("x-amz-trailer").unwrap_or_default();
        let trailers =
            ALGORITHMS.iter().filter(|(name, _)| announced.split(',').any(|t| t.trim().eq_ignore_ascii_case(name)));
        Ok(Self {
            length,
            signed_sha256: signed_sha256.and_then(|bytes| bytes.try_into().ok()),
            md5,
            checksums,
            trailers: trailers.map(|(_, algorithm)| *algorithm).collect(),
            needs_sha256: false,
        })
    }

    /// Asks for the SHA-256 of the body in any case.
    pub(super) fn with_sha256(self) -> Self {
        Self { needs_sha256: true, ..self }
    }

    /// The length of the body in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn hashes(&self) -> Hashes {
        let wants =
            |algorithm| self.checksums.iter().any(|(a, _)| *a == algorithm) || self.trailers.contains(&algorithm);
        let checksums = ChecksumHasher {
            crc32: wants(Algorithm::Crc32).then(s3s::crypto::Crc32::new),
            crc32c: wants(Algorithm::Crc32c).then(s3s::crypto::Crc32c::new),
            crc64nvme: wants(Algorithm::Crc64Nvme).then(s3s::crypto::Crc64Nvme::new),
            sha1: wants(Algorithm::Sha1).then(s3s::crypto::Sha1::new),
            sha256: ((self.needs_sha256 || wants(Algorithm::Sha256)) && self.signed_sha256.is_none())
                .then(s3s::crypto::Sha256::new),
        };
        Hashes { checksums, md5: self.md5.as_ref().map(|_| md5::Md5::new()) }
    }

    /// Compares what was received with what was said, the checksums after the body among it.
    fn check(self, size_bytes: u64, hashes: Hashes, trailers: Option<TrailingHeaders>) -> S3Result<Received> {
        if size_bytes != self.length {
            return Err(s3_error!(IncompleteBody));
        }
        if let (Some(given), Some(md5)) = (&self.md5, hashes.md5)
            && md5.finalize().as_slice() != given.as_slice()
        {
            return Err(s3_error!(BadDigest, "the body is not what Content-MD5 says"));
        }
        let computed = hashes.checksums.finalize();
        let signed_sha256 = self.signed_sha256.map(|sha256| data_encoding::BASE64.encode(&sha256));
        let sha256 = signed_sha256.or(computed.checksum_sha256);
        let trailing = trailers.and_then(|trailers| trailers.take()).unwrap_or_default();
        let trailing =
            ALGORITHMS.iter().filter(|(_, algorithm)| self.trailers.contains(algorithm)).map(|(name, algorithm)| {
                (
                    *algorithm,
                    trailing.get(*name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_owned(),
                )
            });
        for (algorithm, given) in self.checksums.into_iter().chain(trailing) {
            let computed = match algorithm {
                Algorithm::Crc32 => &computed.checksum_crc32,
                Algorithm::Crc32c => &computed.checksum_crc32c,
                Algorithm::Crc64Nvme => &computed.checksum_crc64nvme,
                Algorithm::Sha1 => &computed.checksum_sha1,
                Algorithm::Sha256 => &sha256,
            };
            if computed.as_ref() != Some(&given) {
                return Err(s3_error!(BadDigest, "the body is not what its {algorithm:?} checksum says"));
            }
        }
        let sha256 = sha256.and_then(|sha256| decode_base64(&sha256)).and_then(|bytes| bytes.try_into().ok());
        Ok(Received { size_bytes, sha256 })
    }
}

/// Moves a body into a sink, and hands the sink back when all of it is there and right.
pub(super) async fn receive<S: Sink>(
    body: StreamingBlob,
    sink: S,
    claims: Claims,
    trailers: Option<TrailingHeaders>,
) -> S3Result<(S, Received)> {
    let mut source = Source { body, received: 0, length: claims.length };
    let mut spool = Spool { sink, hashes: claims.hashes(), written: 0 };
    let mut batch = source.next_batch().await?;
    while !batch.is_empty() {
        let (written, next) = tokio::join!(off_thread(move || spool.write(&batch)), source.next_batch());
        spool = written?;
        batch = next?;
    }
    let received = claims.check(spool.written, spool.hashes, trailers)?;
    Ok((spool.sink, received))
}

/// Refuses a body that was not received yet.
pub(super) async fn refuse<T>(mut body: StreamingBlob, error: S3Error) -> S3Result<T> {
    let mut drained = 0;
    while let Ok(Some(Ok(bytes))) = tokio::time::timeout(STALL, body.next()).await {
        drained += bytes.len();
        if drained > MAX_DRAINED_BYTES {
            break;
        }
    }
    Err(error)
}

struct Source {
    body: StreamingBlob,
    received: u64,
    length: u64,
}

impl Source {
    /// The next bytes, up to a batch of them; none at the end.
    async fn next_batch(&mut self) -> S3Result<Vec<Bytes>> {
        let (mut batch, mut gathered) = (Vec::new(), 0);
        while gathered < BATCH_BYTES {
            let next = tokio::time::timeout(STALL, self.body.next()).await.map_err(|_| s3_error!(RequestTimeout))?;
            let Some(bytes) = next.transpose().map_err(|error| self.fault(&error.to_string()))? else { break };
            gathered += bytes.len();
            self.received += bytes.len() as u64;
            if self.received > self.length {
                return Err(s3_error!(IncompleteBody, "the body is longer than its length says"));
            }
            if !bytes.is_empty() {
                batch.push(bytes);
            }
        }
        Ok(batch)
    }

    /// The signature layer names its faults only in text; a whole body that it refuses is one whose signed SHA-256 is another.
    fn fault(&self, text: &str) -> S3Error {
        if text.contains("SignatureMismatch") {
            return s3_error!(SignatureDoesNotMatch);
        }
        if self.received < self.length {
            return s3_error!(IncompleteBody);
        }
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            "the body is not what x-amz-content-sha256 says",
        );
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        error
    }
}

struct Hashes {
    checksums: ChecksumHasher,
    md5: Option<md5::Md5>,
}

struct Spool<S> {
    sink: S,
    hashes: Hashes,
    written: u64,
}

impl<S: Sink> Spool<S> {
    fn write(mut self, batch: &[Bytes]) -> S3Result<Self> {
        for bytes in batch {
            self.hashes.checksums.update(bytes);
            if let Some(md5) = &mut self.hashes.md5 {
                md5.update(bytes);
            }
            self.sink.write_at(bytes, self.written)?;
            self.written += bytes.len() as u64;
        }
        Ok(self)
    }
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}
