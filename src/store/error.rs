//! The one error of this floor. It never carries a URL, a key, a host or text of the bucket's choosing beyond a short
//! code, so it may be printed anywhere.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use http_body_util::LengthLimitError;

use super::answer::Violation;

/// Longest code of the bucket that is repeated in an error.
const MAX_CODE_BYTES: usize = 64;

/// Why the bucket did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such object or upload.
    #[error("the bucket has no such object")]
    NotFound,
    /// The bucket said no; nothing was done. Status 0: the request was never sent.
    #[error("the bucket refused the request: {status} {code}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The bucket's code, letters and digits only.
        code: String,
    },
    /// No answer, or one that says "later". A write may or may not have been done, or may still be done.
    #[error("the bucket is unavailable: {reason}")]
    Unavailable {
        /// What was seen of it.
        reason: &'static str,
    },
    /// The bucket answered something that it must not answer. The outcome of a write is unknown.
    #[error("the bucket's answer can't be believed: {0}")]
    Mismatch(&'static str),
    /// The object is larger than its reader accepts.
    #[error("the object is larger than its reader accepts")]
    TooLarge,
}

impl StoreError {
    /// Whether it is certain that a failed write was not done and will not be done.
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::NotFound | Self::Refused { .. } | Self::TooLarge)
    }

    pub(super) fn unavailable(reason: &'static str) -> Self {
        Self::Unavailable { reason }
    }

    pub(super) fn never_sent(code: &str) -> Self {
        Self::Refused { status: 0, code: code.to_owned() }
    }

    pub(super) fn from_sdk<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match &error {
            SdkError::ConstructionFailure(_) => Self::never_sent("InvalidRequest"),
            SdkError::TimeoutError(_) => Self::unavailable("no answer in time"),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::unavailable("no answer in time"),
            SdkError::DispatchFailure(_) => Self::unavailable("the connection failed"),
            SdkError::ServiceError(service) => from_answer(service.raw().status().as_u16(), service.err().code()),
            _ => from_broken_answer(&error),
        }
    }
}

fn from_answer(status: u16, code: Option<&str>) -> StoreError {
    let has_code = code.is_some();
    let code: String =
        code.unwrap_or("Unknown").chars().filter(char::is_ascii_alphanumeric).take(MAX_CODE_BYTES).collect();
    match status {
        200..=299 if has_code => StoreError::Mismatch("success with an error inside"),
        200..=299 => StoreError::Mismatch("success with another document than S3's"),
        404 if code == "NoSuchBucket" => StoreError::Refused { status, code },
        404 => StoreError::NotFound,
        // What a service does not know it will not know later (RFC 9110, section 15.6.2).
        501 => StoreError::Refused { status, code },
        408 | 429 | 500..=599 => StoreError::unavailable("it answered with a temporary error"),
        _ => StoreError::Refused { status, code },
    }
}

/// Sorts an answer that began and could not be read to its end as an answer.
fn from_broken_answer(error: &(dyn Error + 'static)) -> StoreError {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(Violation(what)) = cause.downcast_ref() {
            return StoreError::Mismatch(what);
        }
        if cause.is::<LengthLimitError>() {
            return StoreError::Mismatch("an answer without end");
        }
        if cause.is::<hyper::Error>() || cause.is::<std::io::Error>() {
            return StoreError::unavailable("the answer broke off");
        }
        next = cause.source();
    }
    StoreError::Mismatch("an answer that can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_decides_and_a_code_is_cut_to_letters_and_digits() {
        let refused = |status, code: &str| StoreError::Refused { status, code: code.to_owned() };
        for (status, code, expected) in [
            (404, Some("NoSuchKey"), StoreError::NotFound),
            (404, None, StoreError::NotFound),
            (404, Some("NoSuchBucket"), refused(404, "NoSuchBucket")),
            (403, Some("AccessDenied"), refused(403, "AccessDenied")),
            (307, Some("TemporaryRedirect"), refused(307, "TemporaryRedirect")),
            (400, Some("http://host/?X-Amz-Signature=1"), refused(400, "httphostXAmzSignature1")),
            (400, Some(&"x".repeat(65)), refused(400, &"x".repeat(64))),
            (501, Some("NotImplemented"), refused(501, "NotImplemented")),
            (200, Some("InternalError"), StoreError::Mismatch("success with an error inside")),
            (200, None, StoreError::Mismatch("success with another document than S3's")),
        ] {
            assert_eq!(from_answer(status, code), expected);
        }
        for status in [408, 429, 500, 503, 599] {
            assert!(!from_answer(status, None).is_definite());
        }
    }
}
