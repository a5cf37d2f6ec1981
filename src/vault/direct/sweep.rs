//! The end of uploads that become nothing: cancelled, over by time, or lost with Redis.
//!
//! What an upload leaves is parts without an object, which are aborted, or an object that no commit names, which a committed
//! `abandon` names before it is deleted. Multipart uploads are found by listing the bucket, so losing Redis loses none. A URL
//! that writes an object itself outlives its upload: such an upload is remembered until its last URL has ended, and the
//! object looked for then.

use std::sync::atomic::Ordering;

use crate::{
    crypto::BlobId,
    store::{MultipartSummary, StoreError},
    vault::{
        Vault,
        content::object_key,
        error::VaultError,
        transfer::{BLOBS, CLOCK_SKEW_MS},
    },
};

use super::{Uploads, begin::unavailable, draft::Draft};

/// How often the bucket is asked for unfinished multipart uploads.
const LISTING_INTERVAL_MS: u64 = 15 * 60 * 1000;

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads whose time was over.
    pub ended: usize,
    /// Multipart uploads without a draft that were aborted.
    pub aborted: usize,
}

impl Vault {
    /// Gives an upload up, with all that it holds. One that is not there is as good as cancelled.
    ///
    /// # Errors
    /// [`VaultError::UploadBusy`] while it is being completed, [`VaultError::StorageUnavailable`],
    /// [`VaultError::StateUnavailable`], what the log refuses: it can be asked for again, and time does it too.
    pub async fn cancel_upload(&self, id: BlobId) -> Result<(), VaultError> {
        self.ask(|_| Ok(()))?;
        let _claim = self.0.uploads.claims.own(id).await?;
        match self.0.uploads.drafts.get(id).await? {
            Some(draft) => self.end(&draft).await,
            None => Ok(()),
        }
    }

    /// Ends uploads whose time is over, and aborts what the bucket lists and no draft knows.
    ///
    /// # Errors
    /// [`VaultError::NotServing`], [`VaultError::StateUnavailable`], [`VaultError::StorageUnavailable`]; what was done until
    /// then stays done.
    pub async fn sweep_uploads(&self) -> Result<Swept, VaultError> {
        self.ask(|_| Ok(()))?;
        self.restore_holds().await?;
        let now_ms = self.0.clock.now_ms();
        let held = self.0.quota.held();
        let drafts = self.0.uploads.drafts.all().await?;
        let mut ended = 0;
        for draft in &drafts {
            if (draft.over_since_ms.is_some() || now_ms >= draft.expires_ms)
                && let Some(_claim) = self.0.uploads.claims.try_own(draft.id)
            {
                self.end(draft).await?;
                ended += usize::from(draft.over_since_ms.is_none());
            }
        }
        // Drafts that were lost hold no room.
        for id in held.into_iter().filter(|id| drafts.iter().all(|draft| draft.id != *id)) {
            if let Some(_claim) = self.0.uploads.claims.try_own(id)
                && self.0.uploads.drafts.get(id).await?.is_none()
            {
                self.0.quota.release(id);
            }
        }
        let aborted = if self.0.uploads.is_listing_due(now_ms) { self.abort_lost(now_ms).await? } else { 0 };
        Ok(Swept { ended, aborted })
    }

    /// Ends an upload that is claimed by the caller, and what it left in the bucket.
    pub(super) async fn end(&self, draft: &Draft) -> Result<(), VaultError> {
        let (key, now_ms) = (object_key(draft.id), self.0.clock.now_ms());
        match draft.multipart() {
            Some(multipart) => self.0.store.abort_multipart(&key, &multipart).await.map_err(unavailable)?,
            None => {
                let over_since_ms = draft.over_since_ms.unwrap_or(now_ms);
                let last_url_ms = over_since_ms + self.0.config.url_ttl_secs * 1000 + CLOCK_SKEW_MS;
                let was_signed = !self.0.uploads.drafts.all_candidates(draft.id).await?.is_empty();
                if was_signed && now_ms < last_url_ms {
                    self.0.uploads.drafts.put(&draft.clone().over_since(over_since_ms), now_ms).await?;
                    self.0.quota.release(draft.id);
                    return Ok(());
                }
            }
        }
        match self.0.store.head(&key).await {
            // What a commit names stays.
            Ok(_) => self.abandon(draft.id).await?,
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(unavailable(error)),
        }
        self.forget(draft.id).await
    }

    /// Removes an upload's records, and gives its room back.
    pub(super) async fn forget(&self, id: BlobId) -> Result<(), VaultError> {
        self.0.quota.release(id);
        self.0.uploads.drafts.remove(id).await
    }

    /// Aborts multipart uploads that are older than any upload can be, and that neither a draft nor the gateway knows.
    async fn abort_lost(&self, now_ms: u64) -> Result<usize, VaultError> {
        let multiparts = self.0.store.list_multiparts(BLOBS).await.map_err(unavailable)?;
        let ttl_ms = self.0.config.upload_ttl_secs * 1000 + CLOCK_SKEW_MS;
        let busy_since_ms = self.0.quota.oldest_ms().unwrap_or(u64::MAX).saturating_sub(CLOCK_SKEW_MS);
        let before_ms = now_ms.saturating_sub(ttl_ms).min(busy_since_ms);
        // A bucket that does not say how old an upload is says 0.
        let is_old = |upload: &MultipartSummary| (1..before_ms).contains(&upload.initiated_ms);
        let mut aborted = 0;
        for upload in multiparts.into_iter().filter(is_old) {
            let id = upload.key.strip_prefix(BLOBS).and_then(BlobId::from_hex);
            let draft = match id {
                Some(id) => self.0.uploads.drafts.get(id).await?,
                None => None,
            };
            if draft.is_none_or(|draft| draft.multipart().as_ref() != Some(&upload.id)) {
                self.0.store.abort_multipart(&upload.key, &upload.id).await.map_err(unavailable)?;
                aborted += 1;
            }
        }
        self.0.uploads.listed_at(now_ms);
        Ok(aborted)
    }
}

impl Uploads {
    fn is_listing_due(&self, now_ms: u64) -> bool {
        let last_ms = self.last_listing_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(last_ms) >= LISTING_INTERVAL_MS
    }

    fn listed_at(&self, now_ms: u64) {
        self.last_listing_ms.store(now_ms, Ordering::Relaxed);
    }
}
