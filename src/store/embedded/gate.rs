//! Who may do what: one pair of keys may do everything that this store can, nobody else anything.
//!
//! Signatures themselves are checked by `s3s` before this is asked. What is added here: only Signature Version 4; every `x-amz-` header
//! signed, as AWS demands (an unsigned one could change what a signed URL does); and nothing asked for that this store would
//! ignore (encryption with the client's keys, metadata, versions and the like are refused, by name).

use http::Method;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3Result, s3_error};

use crate::config::Secret;

/// The longest life of a presigned URL in seconds, as in S3.
const MAX_URL_LIFE_SECS: u64 = 7 * 24 * 3600;

/// `x-amz-` headers and query parameters that are understood, besides those of a signature.
const UNDERSTOOD: [&str; 16] = [
    "x-amz-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-mode",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-mp-object-size",
    "x-amz-request-payer",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-user-agent",
];

/// Query parameters of a signature.
const SIGNATURE: [&str; 6] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature", "x-amz-date"];

/// Headers that S3 would keep with an object and this store would not.
const KEPT_WITH_OBJECTS: [&str; 4] = ["content-disposition", "content-encoding", "content-language", "expires"];

/// The one pair of keys.
pub(super) struct KeyPair {
    pub(super) access_key_id: Secret,
    pub(super) secret_access_key: Secret,
}

#[async_trait::async_trait]
impl S3Auth for KeyPair {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key_id.expose() {
            Ok(SecretKey::from(self.secret_access_key.expose()))
        } else {
            Err(s3_error!(InvalidAccessKeyId))
        }
    }
}

/// The rules for every operation.
pub(super) struct Rules {
    pub(super) bucket: String,
}

#[async_trait::async_trait]
impl S3Access for Rules {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "requests must be signed"));
        }
        let query = context.uri().query().unwrap_or_default();
        let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        let authorization = context.headers().get("authorization").and_then(|value| value.to_str().ok());
        let signed = signed_headers(authorization, parameter("X-Amz-SignedHeaders"))
            .filter(|_| parameter("Signature").is_none())
            .ok_or_else(|| s3_error!(AccessDenied, "only AWS Signature Version 4 is accepted"))?;
        if let Some(life) = parameter("X-Amz-Expires")
            && life.parse::<u64>().is_ok_and(|secs| secs > MAX_URL_LIFE_SECS)
        {
            return Err(s3_error!(AuthorizationQueryParametersError, "a signed URL lives at most a week"));
        }
        check_headers(context, &signed)?;
        for (name, value) in &query {
            let lower = name.to_ascii_lowercase();
            let is_unknown =
                lower.starts_with("x-amz-") && !is_understood(&lower) && !SIGNATURE.contains(&lower.as_str());
            let is_version = lower == "versionid" && value != "null";
            let is_part_of_object = lower == "partnumber" && matches!(*context.method(), Method::GET | Method::HEAD);
            if is_unknown || is_version || is_part_of_object {
                return Err(refused(name));
            }
        }
        match context.s3_path().get_bucket_name() {
            Some(bucket) if bucket != self.bucket => Err(s3_error!(NoSuchBucket)),
            _ => Ok(()),
        }
    }
}

fn check_headers(context: &S3AccessContext<'_>, signed: &[&str]) -> S3Result<()> {
    for name in context.headers().keys().map(http::HeaderName::as_str) {
        if name.starts_with("x-amz-") {
            if !is_understood(name) {
                return Err(refused(name));
            }
            // The payload's hash is part of the signature, or is checked against the payload.
            if name != "x-amz-content-sha256" && !signed.contains(&name) {
                return Err(s3_error!(AccessDenied, "the header {name} is not signed"));
            }
        }
    }
    if !signed.contains(&"host") {
        return Err(s3_error!(AccessDenied, "the header host is not signed"));
    }
    if matches!(*context.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    for name in KEPT_WITH_OBJECTS {
        let values = context.headers().get_all(name);
        if values.iter().any(|value| name != "content-encoding" || value != "aws-chunked") {
            return Err(refused(name));
        }
    }
    Ok(())
}

/// The names of the headers that a Version 4 signature covers.
fn signed_headers<'a>(authorization: Option<&'a str>, parameter: Option<&'a str>) -> Option<Vec<&'a str>> {
    let list = match parameter {
        Some(list) => list,
        None => {
            let fields = authorization?.strip_prefix("AWS4-HMAC-SHA256")?;
            fields.split(',').find_map(|field| field.trim().strip_prefix("SignedHeaders="))?
        }
    };
    Some(list.split(';').collect())
}

fn is_understood(name: &str) -> bool {
    UNDERSTOOD.contains(&name)
}

fn refused(name: &str) -> S3Error {
    s3_error!(NotImplemented, "this store has no {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_headers_come_from_the_query_or_the_header() {
        let header = "AWS4-HMAC-SHA256 Credential=K/1/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
        assert_eq!(signed_headers(Some(header), None), Some(vec!["host", "x-amz-date"]));
        assert_eq!(signed_headers(None, Some("host")), Some(vec!["host"]));
        for other in [None, Some("AWS key:signature"), Some("Bearer x"), Some("")] {
            assert_eq!(signed_headers(other, None), None);
        }
    }
}
