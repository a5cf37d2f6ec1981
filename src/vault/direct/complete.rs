//! The end of an upload that becomes content: everything that was left to client and bucket is looked at, then committed.
//!
//! In this order: the parts that the bucket lists against those confirmed; the bucket's completion; whatever it answered, the
//! object itself, by its size, by the header of each part for which more than one URL was given out, and by its first and
//! last chunk opened. So neither a lost answer nor a bucket that ignores what it is told decides anything.
//!
//! A refusal that the owner can do something about (a part missing, the name taken meanwhile) leaves the upload as it is.
//! Content that is not what it was said to be ends it.

use std::collections::{BTreeSet, HashMap};

use crate::{
    crypto::{BlobId, Salt, sha256},
    store::{CompletedPart, MultipartId, PartSummary, StoreError},
    vault::{
        Vault,
        actor::Actor,
        blob::{MediaType, Salts, SealedBlob},
        content::{ContentError, object_key},
        error::VaultError,
        fingerprint::Fingerprint,
        view::NodeView,
    },
};

use super::{
    Checksum,
    begin::unavailable,
    draft::{Confirmation, Draft},
    part::bare_etag,
};

/// What the bucket has at the blob's key.
enum Found {
    Object,
    /// Nothing, and nothing can come to be there.
    Nothing,
    /// Nothing yet: the completion had no clear answer.
    NothingYet,
}

impl Vault {
    /// Makes an upload a file, or a file's newest version. Within a day a repetition answers the same node. Goes on when
    /// the returned future is dropped.
    ///
    /// # Errors
    /// Those of [`Vault::upload_state`]; [`VaultError::UploadIncomplete`], [`VaultError::UploadBusy`], what is wrong with
    /// the target now, [`VaultError::StorageFull`], [`VaultError::StorageUnavailable`], [`VaultError::OutcomeUnknown`]: the
    /// upload goes on. [`VaultError::UploadDamaged`] and [`VaultError::WrongMediaType`] end it. [`VaultError::IdempotencyConflict`] for another hash than the first time.
    pub async fn complete_upload(
        &self,
        actor: Actor,
        id: BlobId,
        content_hash: [u8; 32],
    ) -> Result<NodeView, VaultError> {
        let asked = Fingerprint::of_completion(id, &content_hash);
        // Every completion of an upload is a repetition of its first.
        let key = sha256(format!("complete_upload\0{id}").as_bytes());
        let answered = || self.ask(|catalog| catalog.answered(&key, asked.bytes(), self.0.clock.now_ms()));
        if let Some(made) = answered()? {
            return self.node(made);
        }
        self.refuse_read_only()?;
        let claim = self.0.uploads.claims.own(id).await?;
        if let Some(made) = answered()? {
            return self.node(made);
        }
        let (vault, actor) = (self.clone(), Actor { idempotency: Some(key), ..actor });
        let completing = tokio::spawn(async move {
            let _claim = claim;
            vault.finish(actor, asked, id, content_hash).await
        });
        completing.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a completion's task ended early");
            Err(VaultError::OutcomeUnknown)
        })
    }

    async fn finish(
        &self,
        actor: Actor,
        asked: Fingerprint,
        id: BlobId,
        content_hash: [u8; 32],
    ) -> Result<NodeView, VaultError> {
        let draft = self.draft(id).await?;
        let parts = self.0.uploads.drafts.confirmed(id).await?;
        if let Some(part) = (0..draft.part_count()).zip(0..).find(|(part, at)| !has(&parts, *part, *at)) {
            return Err(VaultError::UploadIncomplete { part: part.0 });
        }
        if self.ask(|catalog| Ok(catalog.knows(id)))? {
            // An old Redis remembers what was decided long ago.
            self.forget(id).await?;
            return Err(VaultError::UploadNotFound);
        }
        let target = draft.target();
        self.ask(|catalog| catalog.check_target(&target))?;
        self.restore_holds().await?;
        self.0.quota.check_held(|| self.bytes_used())?;
        match self.assemble(&draft, &parts).await? {
            Found::Object => {}
            Found::NothingYet => return Err(VaultError::StorageUnavailable),
            Found::Nothing if draft.multipart().is_none() => return Err(VaultError::UploadIncomplete { part: 0 }),
            Found::Nothing => {
                self.end(&draft).await?;
                return Err(VaultError::UploadDamaged);
            }
        }
        let mut blob = sealed_blob(&draft, &parts, content_hash);
        match self.look_at(&draft, &blob).await {
            Ok(media_type) => blob.media_type = media_type,
            Err(refused @ (VaultError::UploadDamaged | VaultError::WrongMediaType { .. })) => {
                self.end(&draft).await?;
                return Err(refused);
            }
            Err(error) => return Err(error),
        }
        let node = self.create(actor, asked, move |catalog| catalog.propose_content(target, blob)).await?;
        if let Err(error) = self.forget(id).await {
            tracing::warn!(%error, "the draft of a complete upload stays until it is swept");
        }
        Ok(node)
    }

    /// Has the bucket make the object, and says what there is then.
    async fn assemble(&self, draft: &Draft, parts: &[Confirmation]) -> Result<Found, VaultError> {
        let key = object_key(draft.id);
        let mut is_open = false;
        if let Some(multipart) = draft.multipart() {
            match self.0.store.list_parts(&key, &multipart).await {
                Ok(listed) => {
                    self.compare(draft, parts, &listed).await?;
                    is_open = self.complete_multipart(draft, &multipart, parts).await?;
                }
                // It was completed before, or is lost: the object tells.
                Err(StoreError::NotFound) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        let head = match self.0.store.head(&key).await {
            Ok(head) => head,
            Err(StoreError::NotFound) if is_open => return Ok(Found::NothingYet),
            Err(StoreError::NotFound) => return Ok(Found::Nothing),
            Err(error) => return Err(unavailable(error)),
        };
        let etag = parts[0].etag.as_deref().filter(|_| draft.multipart().is_none());
        let is_other = etag.is_some_and(|etag| etag != bare_etag(&head.etag));
        if is_other || head.size_bytes != draft.geometry.object_size(draft.size_bytes) {
            self.end(draft).await?;
            return Err(VaultError::UploadDamaged);
        }
        Ok(Found::Object)
    }

    /// Takes back what was confirmed of parts that the bucket lists otherwise, so that these alone are sent again.
    async fn compare(
        &self,
        draft: &Draft,
        confirmed: &[Confirmation],
        listed: &[PartSummary],
    ) -> Result<(), VaultError> {
        let differing = differing(draft, confirmed, listed);
        if let Some(first) = differing.first() {
            self.0.uploads.drafts.take_back(draft.id, &differing).await?;
            return Err(VaultError::UploadIncomplete { part: *first });
        }
        // No URL was ever given out for other numbers.
        if listed.len() == confirmed.len() { Ok(()) } else { Err(VaultError::UploadDamaged) }
    }

    /// Whether the completion may still be done later.
    async fn complete_multipart(
        &self,
        draft: &Draft,
        multipart: &MultipartId,
        parts: &[Confirmation],
    ) -> Result<bool, VaultError> {
        let checksums = draft.checksum == Checksum::Sha256;
        let completed = |part: &Confirmation| CompletedPart {
            number: part.part + 1,
            etag: format!("\"{}\"", part.etag.as_deref().unwrap_or_default()),
            sha256: checksums.then_some(part.sha256),
        };
        let parts: Vec<_> = parts.iter().map(completed).collect();
        match self.0.store.complete_multipart(&object_key(draft.id), multipart, &parts).await {
            Ok(_) | Err(StoreError::NotFound) => Ok(false),
            Err(error @ StoreError::Refused { status: 400, .. }) => {
                tracing::warn!(%error, "the bucket does not put an upload together");
                self.end(draft).await?;
                Err(VaultError::UploadDamaged)
            }
            Err(error @ (StoreError::Refused { .. } | StoreError::TooLarge)) => Err(unavailable(error)),
            Err(error) => {
                tracing::warn!(%error, "completing an upload had no clear answer");
                Ok(true)
            }
        }
    }

    /// Opens what must open, and gives the type that the content has.
    async fn look_at(&self, draft: &Draft, blob: &SealedBlob) -> Result<MediaType, VaultError> {
        let mut urls: HashMap<u32, usize> = HashMap::new();
        for candidate in self.0.uploads.drafts.all_candidates(draft.id).await? {
            *urls.entry(candidate.part).or_default() += 1 + usize::from(candidate.is_repeated);
        }
        let several: BTreeSet<u32> = urls.into_iter().filter(|(_, urls)| *urls > 1).map(|(part, _)| part).collect();
        let proved = self.0.contents.prove(blob, &several, draft.media_type.as_ref()).await;
        proved.map_err(|error| match error {
            ContentError::Corrupt => VaultError::UploadDamaged,
            ContentError::WrongMediaType { declared } => VaultError::WrongMediaType { declared },
            ContentError::Storage(error) => unavailable(error),
            error => error.into(),
        })
    }
}

fn has(parts: &[Confirmation], part: u32, at: usize) -> bool {
    parts.get(at).is_some_and(|confirmed| confirmed.part == part)
}

/// The confirmed parts that the bucket does not list as they were confirmed: number, size, entity tag, and checksum where
/// it has one.
fn differing(draft: &Draft, confirmed: &[Confirmation], listed: &[PartSummary]) -> Vec<u32> {
    let listed: HashMap<u32, &PartSummary> = listed.iter().map(|part| (part.number, part)).collect();
    let is_same = |part: &Confirmation, listed: &PartSummary| {
        listed.size_bytes == draft.part_length(part.part)
            && part.etag.as_deref() == Some(bare_etag(&listed.etag))
            && listed.sha256.is_none_or(|digest| digest == part.sha256)
    };
    let differs = |part: &&Confirmation| !listed.get(&(part.part + 1)).is_some_and(|listed| is_same(part, listed));
    confirmed.iter().filter(differs).map(|part| part.part).collect()
}

fn sealed_blob(draft: &Draft, parts: &[Confirmation], content_hash: [u8; 32]) -> SealedBlob {
    let salts: Vec<Salt> = parts.iter().map(|part| part.salt).collect();
    SealedBlob {
        id: draft.id,
        dek: draft.dek,
        geometry: draft.geometry,
        size_bytes: draft.size_bytes,
        salts: Salts::new(&salts).expect("an upload has at least one part, and all are confirmed"),
        content_hash,
        media_type: MediaType::unknown(),
    }
}
