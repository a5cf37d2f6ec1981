//! Single objects: put, get, range, head, delete.

use std::ops::Range;

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{RangeBody, Store, StoreError, retry};

/// Deletions on their way at once in [`Store::delete_many`].
const DELETES_AT_ONCE: usize = 16;

/// What the bucket says about an object. Untrusted, as all that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// Size in bytes.
    pub size_bytes: u64,
    /// The bucket's entity tag, as it was sent.
    pub etag: String,
}

impl Store {
    /// Writes an object and returns its entity tag. Repeats send the same bytes; the bucket checks them against the
    /// SHA-256 that the signature covers.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<String, StoreError> {
        retry::write(|| async {
            let request = self.client.put_object().bucket(&*self.bucket).key(self.full_key(key));
            let answer = request.body(ByteStream::from(body.clone())).send().await.map_err(StoreError::from_sdk)?;
            answer.e_tag.filter(|tag| !tag.is_empty()).ok_or(StoreError::Mismatch("a write without an entity tag"))
        })
        .await
    }

    /// Reads a whole object of at most `max_bytes`; a larger one is [`StoreError::TooLarge`], and no more of it than
    /// that is read. A read that breaks off is repeated.
    pub async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        retry::read(|| async {
            let whole = self.get_once(key, max_bytes);
            tokio::time::timeout(self.attempt_timeout, whole)
                .await
                .unwrap_or(Err(StoreError::unavailable("no answer in time")))
        })
        .await
    }

    async fn get_once(&self, key: &str, max_bytes: u64) -> Result<Bytes, StoreError> {
        let request = self.client.get_object().bucket(&*self.bucket).key(self.full_key(key));
        let answer = request.send().await.map_err(StoreError::from_sdk)?;
        let announced = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let length = announced.ok_or(StoreError::Mismatch("an object without a length"))?;
        if length > max_bytes {
            return Err(StoreError::TooLarge);
        }
        RangeBody::new(answer.body, length, length).collect().await
    }

    /// Reads bytes `range` of an object, in one request, as a stream that ends well only after exactly that many
    /// bytes. Anything but an exact `206` is an error. `range` **must not** be empty. The opening is repeated when the
    /// bucket is away; the stream is not.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<RangeBody, StoreError> {
        if range.is_empty() {
            return Err(StoreError::never_sent("EmptyRange"));
        }
        retry::read(|| async {
            let header = format!("bytes={}-{}", range.start, range.end - 1);
            let request = self.client.get_object().bucket(&*self.bucket).key(self.full_key(key)).range(header);
            let answer = request.send().await.map_err(StoreError::from_sdk)?;
            let length = range.end - range.start;
            if answer.content_length.is_some_and(|announced| u64::try_from(announced) != Ok(length)) {
                return Err(StoreError::Mismatch("a range of another length"));
            }
            let total = total_of(answer.content_range(), &range).ok_or(StoreError::Mismatch("another range"))?;
            Ok(RangeBody::new(answer.body, length, total))
        })
        .await
    }

    /// Size and entity tag of an object.
    pub async fn head(&self, key: &str) -> Result<ObjectHead, StoreError> {
        retry::read(|| async {
            let request = self.client.head_object().bucket(&*self.bucket).key(self.full_key(key));
            let answer = request.send().await.map_err(StoreError::from_sdk)?;
            let size = answer.content_length.and_then(|length| u64::try_from(length).ok());
            let size_bytes = size.ok_or(StoreError::Mismatch("an object without a length"))?;
            Ok(ObjectHead { size_bytes, etag: answer.e_tag.unwrap_or_default() })
        })
        .await
    }

    /// Deletes an object. One that is not there is as good as deleted.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let answer = retry::write(|| async {
            let request = self.client.delete_object().bucket(&*self.bucket).key(self.full_key(key));
            match request.send().await.map_err(StoreError::from_sdk) {
                Ok(_) | Err(StoreError::NotFound) => Ok(()),
                Err(error) => Err(error),
            }
        });
        answer.await
    }

    /// Deletes objects, a few at a time; stops at the first failure, with any of the rest deleted or not.
    ///
    /// One request for each: the request that deletes many wants a checksum which some S3-compatibles refuse, answers
    /// for each key inside a 200, and is absent on others.
    pub async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        // Collected first: a stream over a closure's futures would make this one impossible to spawn.
        let deletions: Vec<_> = keys.iter().map(|key| self.delete(key)).collect();
        stream::iter(deletions).buffer_unordered(DELETES_AT_ONCE).try_collect().await
    }
}

impl RangeBody {
    /// All of the body in memory.
    pub async fn collect(mut self) -> Result<Bytes, StoreError> {
        let first = self.try_next().await?.unwrap_or_default();
        if self.left() == 0 {
            // Most small objects arrive in one piece, which need not be copied; the end must still be seen.
            return self.try_next().await.map(|_| first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + usize::try_from(self.left()).unwrap_or(0));
        whole.extend_from_slice(&first);
        while let Some(piece) = self.try_next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

/// The object's size out of a `Content-Range` that names exactly `range`.
fn total_of(header: Option<&str>, range: &Range<u64>) -> Option<u64> {
    let total = header?.strip_prefix(&format!("bytes {}-{}/", range.start, range.end - 1))?;
    let is_number = !total.is_empty() && total.bytes().all(|digit| digit.is_ascii_digit());
    total.parse().ok().filter(|&total: &u64| is_number && total >= range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_range_of_a_large_enough_object_is_accepted() {
        for (header, expected) in [
            (Some("bytes 10-19/20"), Some(20)),
            (Some("bytes 10-19/4096"), Some(4096)),
            (Some("bytes 10-19/19"), None),
            (Some("bytes 10-19/*"), None),
            (Some("bytes 10-19/+20"), None),
            (Some("bytes 10-19/"), None),
            (Some("bytes 10-18/20"), None),
            (Some("bytes 9-19/20"), None),
            (Some("bytes 0-19/20"), None),
            (Some("10-19/20"), None),
            (Some("bytes=10-19/20"), None),
            (None, None),
        ] {
            assert_eq!(total_of(header, &(10..20)), expected, "{header:?}");
        }
    }
}
