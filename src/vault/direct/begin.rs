//! Beginning an upload, and looking at unfinished ones.

use crate::{
    crypto::{BlobId, Dek, Geometry, Purpose},
    vault::{
        Vault, actor::Actor, blob::MediaType, content::object_key, error::VaultError, fingerprint::Fingerprint,
        grant::Granted, propose::Target,
    },
};

use super::{
    Checksum, ConfirmedPart, ListedUpload, OpenUpload, UploadPlan, checksum,
    draft::{Asked, Confirmation, Draft},
    may_put_at_once,
};

impl Vault {
    /// Begins an upload: its name can be taken now, and its bytes count as used until it ends. What is asked for a second
    /// time under the same `Idempotency-Key` is the upload of the first time, as long as it is unfinished.
    ///
    /// # Errors
    /// [`VaultError::ReadOnly`], what is wrong with the target, [`VaultError::TooLarge`]; [`VaultError::StorageFull`] and
    /// [`VaultError::TooManyUploads`] unless giving up earlier uploads that were asked for in the same words makes room;
    /// [`VaultError::IdempotencyConflict`], [`VaultError::StorageUnavailable`], [`VaultError::StateUnavailable`].
    pub async fn begin_upload(
        &self,
        actor: &Actor,
        target: Target,
        size_bytes: u64,
        media_type: Option<MediaType>,
    ) -> Result<OpenUpload, VaultError> {
        let asked = Fingerprint::of_upload(&target, media_type.as_ref(), Some(size_bytes));
        if let Some(begun) = self.begun_before(actor, &asked).await? {
            return self.open_upload(actor, &begun).await;
        }
        self.refuse_read_only()?;
        self.ask(|catalog| catalog.check_target(&target))?;
        let max_bytes = self.0.config.max_file_size;
        let geometry = Geometry::for_size(size_bytes).ok().filter(|_| size_bytes <= max_bytes);
        let geometry = geometry.ok_or(VaultError::TooLarge { max_bytes })?;
        let (fingerprint, idempotency) = (*asked.bytes(), actor.idempotency);
        let asked = Asked { target, size_bytes, geometry, media_type, fingerprint, idempotency };
        let id = BlobId::random();
        let _claim = self.0.uploads.claims.own(id).await?;
        self.hold(id, &asked).await?;
        let written = self.write_draft(id, asked).await;
        let draft = written.inspect_err(|_| self.0.quota.release(id))?;
        self.open_upload(actor, &draft).await
    }

    /// An unfinished upload, with its key and what is needed to go on.
    ///
    /// # Errors
    /// [`VaultError::UploadNotFound`], [`VaultError::UploadExpired`], [`VaultError::StateUnavailable`].
    pub async fn upload_state(&self, actor: &Actor, id: BlobId) -> Result<OpenUpload, VaultError> {
        let draft = self.draft(id).await?;
        self.open_upload(actor, &draft).await
    }

    /// Where an unfinished upload goes.
    ///
    /// # Errors
    /// Those of [`Vault::upload_state`].
    pub async fn upload_target(&self, id: BlobId) -> Result<Target, VaultError> {
        Ok(self.plan(&self.draft(id).await?).target)
    }

    /// Every unfinished upload, oldest first.
    ///
    /// # Errors
    /// [`VaultError::StateUnavailable`].
    pub async fn unfinished_uploads(&self) -> Result<Vec<ListedUpload>, VaultError> {
        let now_ms = self.0.clock.now_ms();
        let mut drafts = self.0.uploads.drafts.all().await?;
        drafts.retain(|draft| draft.over_since_ms.is_none() && now_ms < draft.expires_ms);
        drafts.sort_by_key(|draft| (draft.created_ms, draft.id));
        let mut listed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let confirmed_parts = self.0.uploads.drafts.confirmed_count(draft.id).await?;
            listed.push(ListedUpload { plan: self.plan(&draft), confirmed_parts });
        }
        Ok(listed)
    }

    /// The draft of an upload that can go on.
    pub(super) async fn draft(&self, id: BlobId) -> Result<Draft, VaultError> {
        self.ask(|_| Ok(()))?;
        let draft = self.0.uploads.drafts.get(id).await?;
        let draft = draft.filter(|draft| draft.over_since_ms.is_none()).ok_or(VaultError::UploadNotFound)?;
        if self.0.clock.now_ms() < draft.expires_ms { Ok(draft) } else { Err(VaultError::UploadExpired) }
    }

    /// Makes unfinished uploads count as used, once for each term of this process as the writer.
    pub(in crate::vault) async fn restore_holds(&self) -> Result<(), VaultError> {
        let term = self.0.log.takeover().map(|takeover| takeover.term).ok_or(VaultError::NotServing)?;
        let mut restored_for = self.0.uploads.restored_for.lock().await;
        if *restored_for == Some(term) {
            return Ok(());
        }
        for draft in self.0.uploads.drafts.all().await? {
            if draft.over_since_ms.is_none() {
                self.0.quota.restore(draft.id, draft.size_bytes);
            }
        }
        *restored_for = Some(term);
        Ok(())
    }

    async fn begun_before(&self, actor: &Actor, asked: &Fingerprint) -> Result<Option<Draft>, VaultError> {
        let Some(key) = actor.idempotency else { return Ok(None) };
        let now_ms = self.0.clock.now_ms();
        let mut drafts = self.0.uploads.drafts.all().await?.into_iter();
        let begun = drafts
            .find(|draft| draft.idempotency == Some(key) && draft.over_since_ms.is_none() && now_ms < draft.expires_ms);
        match begun {
            Some(draft) if draft.asked != *asked.bytes() => Err(VaultError::IdempotencyConflict),
            begun => Ok(begun),
        }
    }

    /// Holds the upload's room. When there is none, uploads that were asked for in the same words give way: they are what
    /// a client left behind that begins again.
    async fn hold(&self, id: BlobId, asked: &Asked) -> Result<(), VaultError> {
        self.restore_holds().await?;
        let hold = || self.0.quota.hold(id, asked.size_bytes, || self.bytes_used());
        let refused = match hold() {
            Err(refused @ (VaultError::StorageFull { .. } | VaultError::TooManyUploads)) => refused,
            held => return held,
        };
        let mut gave_way = false;
        for draft in self.0.uploads.drafts.all().await? {
            if draft.asked == asked.fingerprint && draft.over_since_ms.is_none() {
                gave_way |= self.cancel_upload(draft.id).await.is_ok();
            }
        }
        if gave_way { hold() } else { Err(refused) }
    }

    async fn write_draft(&self, id: BlobId, asked: Asked) -> Result<Draft, VaultError> {
        let uploads = &self.0.uploads;
        let (key, checksum) = (object_key(id), checksum(&self.0.store));
        let single_put = asked.geometry.part_count(asked.size_bytes) == 1 && may_put_at_once(&self.0.store);
        let multipart = match (single_put, checksum) {
            (true, _) => None,
            (false, Checksum::Sha256) => Some(self.0.store.create_checked_multipart(&key).await),
            (false, Checksum::Md5) => Some(self.0.store.create_multipart(&key).await),
        };
        let multipart = multipart.transpose().map_err(unavailable)?;
        let now_ms = self.0.clock.now_ms();
        let times = (now_ms, now_ms + self.0.config.upload_ttl_secs * 1000);
        let dek = uploads.keys.wrap(&Dek::generate(), id, Purpose::Content);
        let draft = Draft::new(id, asked, dek, multipart.as_ref(), checksum, times);
        let kept = uploads.drafts.put(&draft, now_ms).await;
        if kept.is_err()
            && let Some(multipart) = multipart
            && let Err(error) = self.0.store.abort_multipart(&key, &multipart).await
        {
            tracing::warn!(%error, "an upload that was not begun stays in the bucket until it is swept");
        }
        kept.map(|()| draft)
    }

    async fn open_upload(&self, actor: &Actor, draft: &Draft) -> Result<OpenUpload, VaultError> {
        let parts = self.0.uploads.drafts.confirmed(draft.id).await?;
        let parts = parts.into_iter().map(|part| confirmed_part(draft, part)).collect();
        let permit = self.grant(actor, Granted::UploadKey { blob: draft.id }).await?;
        Ok(OpenUpload { plan: self.plan(draft), key: permit.upload_key(draft.id, &draft.dek)?, parts })
    }

    fn plan(&self, draft: &Draft) -> UploadPlan {
        UploadPlan {
            id: draft.id,
            vault_id: self.0.uploads.keys.vault_id(),
            geometry: draft.geometry,
            size_bytes: draft.size_bytes,
            media_type: draft.media_type.clone(),
            target: draft.target(),
            single_put: draft.multipart().is_none(),
            checksum: draft.checksum,
            created_ms: draft.created_ms,
            expires_ms: draft.expires_ms,
        }
    }
}

fn confirmed_part(draft: &Draft, part: Confirmation) -> ConfirmedPart {
    let Confirmation { part, salt, sha256, etag } = part;
    ConfirmedPart { part, salt, etag, length: draft.part_length(part), sha256 }
}

/// The bucket did not do what it was asked, and nothing says that what it holds is wrong.
pub(super) fn unavailable(error: crate::store::StoreError) -> VaultError {
    tracing::warn!(%error, "the bucket did not do what an upload needs");
    VaultError::StorageUnavailable
}
