//! The body of an object or a range of it, counted.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures_util::Stream;
use http_body::Body;

use super::StoreError;

/// A stream of exactly as many bytes as were asked for: fewer or more end in an error. Nothing follows an error.
pub struct RangeBody {
    body: SdkBody,
    left: u64,
    total: u64,
    is_done: bool,
}

impl RangeBody {
    pub(super) fn new(body: ByteStream, length: u64, total: u64) -> Self {
        Self { body: body.into_inner(), left: length, total, is_done: false }
    }

    /// Size in bytes of the whole object, as the bucket says.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Bytes that have not arrived yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    fn fail(&mut self, error: StoreError) -> Poll<Option<Result<Bytes, StoreError>>> {
        self.is_done = true;
        // Frees the connection of a body that may have no end.
        self.body = SdkBody::taken();
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for RangeBody {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        loop {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            let data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(_)) => return self.fail(StoreError::unavailable("the contents broke off")),
                None if self.left > 0 => return self.fail(StoreError::unavailable("the contents broke off")),
                None => {
                    self.is_done = true;
                    return Poll::Ready(None);
                }
            };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return self.fail(StoreError::Mismatch("more bytes than asked for"));
            };
            self.left = left;
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }
}

impl fmt::Debug for RangeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeBody").field("left", &self.left).field("total", &self.total).finish_non_exhaustive()
    }
}
