//! Content through the vault: an upload becomes a file or a version, a file's bytes come back verified.

use std::{
    collections::HashSet,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

use super::{
    Vault,
    actor::Actor,
    blob::{MediaType, SealedBlob},
    content::{ContentError, Declared},
    error::VaultError,
    fingerprint::Fingerprint,
    id::{NodeId, VersionId},
    name::FileName,
    propose::Target,
    quota::Reservation,
    view::NodeView,
};
use crate::{
    crypto::BlobId,
    log::Status,
    store::{ObjectSummary, StoreError},
};

/// Where the bucket keeps blobs.
pub(super) const BLOBS: &str = "blob/";

/// The clocks of vault and bucket may be apart by this much: S3 refuses signatures that are further off.
pub(super) const CLOCK_SKEW_MS: u64 = 15 * 60 * 1000;

/// A version of a file, ready to be read. What it holds is fixed: a later version does not change it.
#[derive(Debug, Clone)]
pub struct OpenFile {
    /// The file's name when it was opened.
    pub name: FileName,
    /// The version.
    pub version: VersionId,
    /// Bytes of plaintext.
    pub size_bytes: u64,
    /// What it was declared to be.
    pub media_type: MediaType,
    pub(super) blob: Arc<SealedBlob>,
}

/// An object that looks like a blob and that the catalog does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The object's key.
    pub key: String,
    /// Its bytes.
    pub size_bytes: u64,
    /// When it was written, in Unix milliseconds.
    pub modified_ms: u64,
}

impl Vault {
    /// Streams content in. It is a file, or a file's newest version, once this returns; until then nothing of it can be
    /// seen. Goes on when the returned future is dropped: `body` alone decides whether the content is whole.
    ///
    /// # Errors
    /// Before the first byte is read: [`VaultError::ReadOnly`], what is wrong with the target, [`VaultError::TooLarge`],
    /// [`VaultError::StorageFull`], [`VaultError::TooManyUploads`], [`VaultError::IdempotencyConflict`]. After it:
    /// those again, [`VaultError::WrongLength`], [`VaultError::WrongMediaType`], [`VaultError::Interrupted`] with the
    /// kind of the body's own error, [`VaultError::StorageUnavailable`], [`VaultError::OutcomeUnknown`].
    pub async fn upload(
        &self,
        actor: Actor,
        target: Target,
        media_type: Option<MediaType>,
        size_bytes: Option<u64>,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<NodeView, VaultError> {
        let asked = Fingerprint::of_upload(&target, media_type.as_ref(), size_bytes);
        if let Some(key) = actor.idempotency {
            let now_ms = self.0.clock.now_ms();
            if let Some(made) = self.ask(|catalog| catalog.answered(&key, asked.bytes(), now_ms))? {
                return self.node(made);
            }
        }
        self.refuse_read_only()?;
        self.ask(|catalog| catalog.check_target(&target))?;
        let max_bytes = self.0.config.max_file_size;
        if size_bytes.is_some_and(|size| size > max_bytes) {
            return Err(VaultError::TooLarge { max_bytes });
        }
        self.restore_holds().await?;
        let reservation = self.0.quota.begin(self.0.clock.now_ms(), size_bytes.unwrap_or(0), || self.bytes_used())?;
        let is_announced = size_bytes.is_some();
        let body = Reserving { body: Box::pin(body), vault: self.clone(), reservation, is_announced };
        let (vault, declared) = (self.clone(), Declared { size_bytes, media_type });
        let receiving = tokio::spawn(async move { vault.receive(actor, asked, target, declared, body).await });
        receiving.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an upload's task ended early");
            Err(VaultError::OutcomeUnknown)
        })
    }

    /// A version of a file, the current one unless another is named.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], [`VaultError::NotAFile`], [`VaultError::NotServing`].
    pub fn open(&self, file: NodeId, version: Option<VersionId>) -> Result<OpenFile, VaultError> {
        self.ask(|catalog| {
            let (node, version) = catalog.content(file, version)?;
            Ok(OpenFile {
                name: node.name.clone(),
                version: version.id(),
                size_bytes: version.blob.size_bytes,
                media_type: version.blob.media_type.clone(),
                blob: Arc::new(version.blob.clone()),
            })
        })
    }

    /// The bytes of a range, each verified before it is given out; cut at the end of the file.
    ///
    /// The stream ends with [`VaultError::StorageUnavailable`] or [`VaultError::Corrupt`] when it can't go on.
    pub fn read(
        &self,
        file: &OpenFile,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, VaultError>> + Send + 'static {
        let (vault, blob) = (self.clone(), Arc::clone(&file.blob));
        stream::once(async move {
            let plaintext = vault.0.contents.open(&blob, range).await.map_err(VaultError::from)?;
            Ok::<_, VaultError>(plaintext.map_err(VaultError::from))
        })
        .try_flatten()
    }

    /// Objects under `blob/` that the catalog does not know, without those that uploads of now may be writing. They are
    /// never touched: after a roll-back of the log they may be the owner's newest files.
    ///
    /// # Errors
    /// [`VaultError::StorageUnavailable`], [`VaultError::NotServing`].
    pub async fn orphans(&self) -> Result<Vec<Orphan>, VaultError> {
        let busy_since_ms = self.0.quota.oldest_ms().unwrap_or(u64::MAX).saturating_sub(CLOCK_SKEW_MS);
        let objects = self.0.store.list(BLOBS).await.map_err(ContentError::from)?;
        let held: HashSet<BlobId> = self.0.quota.held().into_iter().collect();
        let is_settled = |object: &ObjectSummary| object.modified_ms < busy_since_ms;
        self.ask(|catalog| {
            let unknown = objects.into_iter().filter(is_settled).filter(|object| {
                let id = object.key.strip_prefix(BLOBS).and_then(BlobId::from_hex);
                !id.is_some_and(|id| catalog.knows(id) || held.contains(&id))
            });
            let orphan = |ObjectSummary { key, size_bytes, modified_ms }| Orphan { key, size_bytes, modified_ms };
            Ok(unknown.map(orphan).collect())
        })
    }

    async fn receive(
        &self,
        actor: Actor,
        asked: Fingerprint,
        target: Target,
        declared: Declared,
        mut body: Reserving,
    ) -> Result<NodeView, VaultError> {
        let blob = self.0.contents.seal(&mut body, &declared).await?;
        let id = blob.id;
        let made = self.create(actor, asked, move |catalog| catalog.propose_content(target, blob)).await;
        // The room stays reserved until the content counts as used.
        drop(body);
        let is_unused = match &made {
            // A repetition of the request was quicker.
            Ok(_) => !self.ask(|catalog| Ok(catalog.knows(id))).unwrap_or(true),
            // Where the log is closed nobody may name the object: it stays, and is reported.
            Err(VaultError::OutcomeUnknown | VaultError::ReadOnly { .. } | VaultError::NotServing) => false,
            Err(_) => true,
        };
        if is_unused && let Err(error) = self.abandon(id).await {
            tracing::warn!(%error, "content that nobody needs stays in the bucket as an orphan");
        }
        made
    }

    /// Content that no commit can name is not taken in.
    pub(super) fn refuse_read_only(&self) -> Result<(), VaultError> {
        match &*self.0.log.status().borrow() {
            Status::ReadOnly { reason, .. } => Err(VaultError::ReadOnly { reason: reason.clone() }),
            _ => Ok(()),
        }
    }

    pub(super) fn bytes_used(&self) -> Result<u64, VaultError> {
        self.ask(|catalog| Ok(catalog.index.bytes_used()))
    }
}

/// A body whose bytes take room as they come, where their number was not announced.
struct Reserving {
    body: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    vault: Vault,
    reservation: Reservation,
    is_announced: bool,
}

impl Stream for Reserving {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let next = std::task::ready!(self.body.poll_next_unpin(context));
        let Some(Ok(bytes)) = &next else { return Poll::Ready(next) };
        if self.is_announced {
            return Poll::Ready(next);
        }
        let (vault, more) = (self.vault.clone(), bytes.len() as u64);
        match self.reservation.grow(more, || vault.bytes_used()) {
            Ok(()) => Poll::Ready(next),
            Err(error) => Poll::Ready(Some(Err(io::Error::other(error)))),
        }
    }
}

impl From<ContentError> for VaultError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::TooLarge { limit_bytes } => Self::TooLarge { max_bytes: limit_bytes },
            ContentError::WrongLength => Self::WrongLength,
            ContentError::WrongMediaType { declared } => Self::WrongMediaType { declared },
            ContentError::Interrupted(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
                Some(ours) => ours.clone(),
                None => Self::Interrupted(error.kind()),
            },
            ContentError::Storage(StoreError::NotFound | StoreError::Mismatch(_)) | ContentError::Corrupt => {
                Self::Corrupt
            }
            ContentError::Storage(error) => {
                tracing::warn!(%error, "the bucket did not do what it was asked");
                Self::StorageUnavailable
            }
        }
    }
}
