//! Holds every answer of the bucket to a size before anything parses it: the SDK would read the document of a
//! listing or of an error to its end, and a hostile one has none.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::get_object::GetObjectInput;
use aws_sdk_s3::primitives::SdkBody;
use http_body_util::Limited;

/// Largest document (listing, error, confirmation) that is read. A full page of 1,000 keys of 1,024 bytes, escaped at
/// its worst, fits. Contents of objects have limits of their own.
pub const MAX_ANSWER_BYTES: usize = 8 << 20;

/// An answer that its request does not allow.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Violation(pub(super) &'static str);

/// Wraps the body of every document in a limit, and admits the contents of an object only under the one status that
/// its request allows: 206 for a range, 200 for the whole.
#[derive(Debug)]
pub(super) struct BoundedAnswer;

impl Intercept for BoundedAnswer {
    fn name(&self) -> &'static str {
        "BoundedAnswer"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().status();
        let object = context.inner().input().and_then(|input| input.downcast_ref::<GetObjectInput>());
        if let Some(object) = object.filter(|_| status.is_success()) {
            let expected = if object.range().is_some() { 206 } else { 200 };
            if status.as_u16() != expected {
                return Err(Violation("the contents of an object under another status").into());
            }
            return Ok(());
        }
        let body = context.response_mut().body_mut();
        let unbounded = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(unbounded, MAX_ANSWER_BYTES));
        Ok(())
    }
}
