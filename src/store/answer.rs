//! Holds every answer of the bucket to a size before anything parses it: the SDK would read the document of a
//! listing or of an error to its end, and a hostile one has none.

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::get_object::GetObjectInput;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use http_body_util::Limited;

/// Largest document (listing, error, confirmation) that is read. A full page of 1,000 keys of 1,024 bytes, escaped at
/// its worst, fits. Contents of objects have limits of their own.
pub const MAX_ANSWER_BYTES: usize = 8 << 20;

/// An answer that its request does not allow.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Violation(pub(super) &'static str);

/// The status under which the contents of an object may come; kept with a request that asks for contents.
#[derive(Debug)]
struct ContentsStatus(u16);

impl Storable for ContentsStatus {
    type Storer = StoreReplace<Self>;
}

/// Wraps the body of every document in a limit, and admits the contents of an object only under the one status that
/// its request allows: 206 for a range, 200 for the whole.
#[derive(Debug)]
pub(super) struct BoundedAnswer;

impl Intercept for BoundedAnswer {
    fn name(&self) -> &'static str {
        "BoundedAnswer"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(request) = context.input().downcast_ref::<GetObjectInput>() {
            let status = if request.range().is_some() { 206 } else { 200 };
            settings.interceptor_state().store_put(ContentsStatus(status));
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().status();
        if let Some(ContentsStatus(expected)) = settings.load::<ContentsStatus>().filter(|_| status.is_success()) {
            if status.as_u16() != *expected {
                let what = if *expected == 206 { "a range without status 206" } else { "an object without status 200" };
                return Err(Violation(what).into());
            }
            return Ok(());
        }
        let body = context.response_mut().body_mut();
        let unbounded = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(unbounded, MAX_ANSWER_BYTES));
        Ok(())
    }
}
