//! Listing. Pages are followed by the bucket's own token and never by `StartAfter`, which on Garage lists nothing when
//! it sorts before the prefix.

use super::{Store, StoreError, retry};

/// An object as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Key relative to the configured prefix.
    pub key: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// When the bucket says that it was written, in Unix milliseconds; 0 when it does not say.
    pub modified_ms: u64,
}

struct Page {
    objects: Vec<ObjectSummary>,
    next: Option<String>,
}

impl Store {
    /// Every object whose key begins with `prefix`, in ascending order of keys, all pages. Memory grows with their
    /// number. A listing out of order or beside the prefix is a [`StoreError::Mismatch`], so its length is bounded by
    /// the number of keys that there are.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ObjectSummary>, StoreError> {
        let mut all: Vec<ObjectSummary> = Vec::new();
        let mut token = None;
        loop {
            let page = retry::read(|| self.list_page(prefix, token.clone(), None)).await?;
            for object in page.objects {
                if all.last().is_some_and(|last| last.key >= object.key) {
                    return Err(StoreError::Mismatch("a listing out of order"));
                }
                all.push(object);
            }
            match page.next {
                None => return Ok(all),
                next if next == token => return Err(StoreError::Mismatch("a listing without end")),
                next => token = next,
            }
        }
    }

    /// Whether there is any object whose key begins with `prefix`.
    pub async fn any_under(&self, prefix: &str) -> Result<bool, StoreError> {
        let page = retry::read(|| self.list_page(prefix, None, Some(1))).await?;
        // A page may be empty and yet not the last one.
        if page.objects.is_empty() && page.next.is_some() {
            return Ok(!self.list(prefix).await?.is_empty());
        }
        Ok(!page.objects.is_empty())
    }

    async fn list_page(&self, prefix: &str, token: Option<String>, limit: Option<i32>) -> Result<Page, StoreError> {
        let full_prefix = self.full_key(prefix);
        let request = self.client.list_objects_v2().bucket(&*self.bucket).prefix(&full_prefix);
        let request = request.set_continuation_token(token).set_max_keys(limit);
        let answer = request.send().await.map_err(StoreError::from_sdk)?;
        let mut objects = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let key = object.key().filter(|key| key.starts_with(&full_prefix));
            let key = key.ok_or(StoreError::Mismatch("a listing beside its prefix"))?;
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            let modified = object.last_modified().and_then(|time| time.to_millis().ok());
            objects.push(ObjectSummary {
                key: self.own_key(key)?,
                size_bytes: size.ok_or(StoreError::Mismatch("a listed object without a size"))?,
                modified_ms: modified.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
            });
        }
        let is_truncated = answer.is_truncated().unwrap_or(false);
        let next = answer.next_continuation_token.filter(|_| is_truncated);
        if is_truncated && next.is_none() {
            return Err(StoreError::Mismatch("a cut listing without its continuation"));
        }
        Ok(Page { objects, next })
    }
}
