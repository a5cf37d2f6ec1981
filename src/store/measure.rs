//! Counts each attempt of a request to the bucket, with the time until its answer could be read.

use std::time::Instant;

use aws_sdk_s3::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::telemetry::metrics::{METRICS, Outcome};

/// When an attempt began.
#[derive(Debug)]
struct Begun(Instant);

impl Storable for Begun {
    type Storer = StoreReplace<Self>;
}

/// See the module.
#[derive(Debug)]
pub(super) struct Measured;

impl Intercept for Measured {
    fn name(&self) -> &'static str {
        "Measured"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        settings.interceptor_state().store_put(Begun(Instant::now()));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Begun(begun)) = settings.load::<Begun>() {
            let operation = settings.load::<Metadata>().map_or("", Metadata::name);
            let outcome = match context.output_or_error() {
                Some(Ok(_)) => Outcome::Done,
                _ => Outcome::Failed,
            };
            METRICS.bucket(operation, outcome, begun.elapsed());
        }
        Ok(())
    }
}
