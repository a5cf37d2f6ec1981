//! From a client to the bucket: while one part fills, others are sealed and sent.

use std::pin::{Pin, pin};
use std::{io, mem};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::crypto::{BlobId, ContentHash, Dek, Geometry, PartContext, PlainPart, Purpose, Salt, SealedPart};
use crate::store::{CompletedPart, MultipartId, Payload, Store, StoreError};
use crate::vault::blob::{MediaType, Salts, SealedBlob};

use super::{ContentError, Contents, Declared, media, object_key};

/// Parts of memory that one upload holds at most: one that fills, and [`SENT_AT_ONCE`] that are sealed and sent.
pub const PARTS_IN_MEMORY: usize = 1 + SENT_AT_ONCE;

/// Parts that are being sealed or sent at once.
const SENT_AT_ONCE: usize = 3;
/// The first buffer of a part when nobody said how long it will be; the next one holds a whole part.
const FIRST_CAPACITY: usize = 64 * 1024;
/// From here on a buffer is a mapping of its own.
const LARGE_BYTES: usize = 1 << 20;
/// What is larger than this glibc always maps, and gives back to the system when it is freed; smaller blocks it may keep
/// (`mallopt(3)`, `M_MMAP_THRESHOLD`). Pages that nobody writes to take no memory, so asking for more costs nothing.
const ALWAYS_MAPPED_BYTES: usize = (32 << 20) + 1;
/// Up to here sealing is quicker than handing it to another thread.
const SEALED_IN_PLACE_BYTES: usize = 64 * 1024;

impl Contents {
    /// Seals a body of known or unknown length into a new object and returns all that is needed to open it.
    ///
    /// Content of one part is written by a single PUT whose signature covers its SHA-256. Of longer content the object's
    /// size and its first and last chunk are read back, since parts are put together by the bucket alone and some
    /// buckets put together other parts than they confirmed.
    ///
    /// On any error nothing is left in the bucket but, after an answer that never came, possibly an object that no
    /// catalog names. So it is when the future is dropped: an upload in parts is then aborted in the background.
    pub async fn seal(
        &self,
        body: impl Stream<Item = io::Result<Bytes>> + Send,
        declared: &Declared,
    ) -> Result<SealedBlob, ContentError> {
        let known = declared.size_bytes;
        let too_large = ContentError::TooLarge { limit_bytes: self.max_file_size };
        let geometry = match known {
            Some(size) if size > self.max_file_size => return Err(too_large),
            Some(size) => Geometry::for_size(size).map_err(|_| too_large)?,
            None => Geometry::for_stream(),
        };
        let limit_bytes = self.max_file_size.min(geometry.max_size());
        let mut body = pin!(body);
        let mut parts = Parts { body: body.as_mut(), carried: Bytes::new(), geometry, known, limit_bytes, taken: 0 };

        let first = parts.fill(Vec::new()).await?;
        let contradiction = |_| ContentError::WrongMediaType {
            declared: declared.media_type.clone().unwrap_or_else(MediaType::unknown),
        };
        let media_type = media::check(declared.media_type.as_ref(), first.plain.start()).map_err(contradiction)?;
        let draft = Draft::new(self, geometry);
        if first.is_final {
            let sealed = first.seal(&draft, 0).await?;
            self.store.put(&object_key(draft.id), sealed.bytes.into()).await?;
            return Ok(draft.finish(self, [(sealed.salt, sealed.plain_sha256)], parts.taken, media_type));
        }
        let multipart = Multipart::create(&self.store, draft).await?;
        self.send_parts(parts, first, multipart, media_type).await
    }

    async fn send_parts<S>(
        &self,
        mut parts: Parts<'_, S>,
        first: Filled,
        mut multipart: Multipart,
        media_type: MediaType,
    ) -> Result<SealedBlob, ContentError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let sent = async {
            let mut part = first;
            loop {
                let is_final = part.is_final;
                multipart.send(part);
                if is_final {
                    return multipart.all_sent().await;
                }
                let used = multipart.free_buffer().await?;
                part = parts.fill(used).await?;
            }
        };
        if let Err(error) = sent.await {
            multipart.abort().await;
            return Err(error);
        }
        let sealed = multipart.sent.iter().map(|part| (part.salt, part.plain_sha256));
        let blob = multipart.draft.finish(self, sealed, parts.taken, media_type);
        match multipart.complete().await {
            Ok(()) => {}
            Err(error) if error.is_definite() => {
                multipart.abort().await;
                return Err(error.into());
            }
            // The object may be there all the same; the look at it decides.
            Err(error) => tracing::warn!(%error, "completing an upload had no clear answer"),
        }
        let looked_at = self.look_at(&blob).await;
        if looked_at.is_err() {
            multipart.abort().await;
        } else {
            multipart.is_over = true;
        }
        looked_at.map(|()| blob)
    }

    /// Opens the first and the last byte's chunks, which also compares the object's size with the formula's.
    async fn look_at(&self, blob: &SealedBlob) -> Result<(), ContentError> {
        let last = blob.size_bytes.saturating_sub(1);
        self.open(blob, 0..1).await?.collect_bytes().await?;
        self.open(blob, last..blob.size_bytes).await?.collect_bytes().await?;
        Ok(())
    }
}

/// The client's body, cut into parts.
struct Parts<'a, S> {
    body: Pin<&'a mut S>,
    /// Bytes that arrived with the end of a part and belong to the next.
    carried: Bytes,
    geometry: Geometry,
    known: Option<u64>,
    limit_bytes: u64,
    /// Plaintext bytes in all parts so far.
    taken: u64,
}

/// A buffer for `bytes` whose memory goes back to the system with it when it is large.
fn buffer(bytes: usize) -> Vec<u8> {
    Vec::with_capacity(if bytes < LARGE_BYTES { bytes } else { bytes.max(ALWAYS_MAPPED_BYTES) })
}

struct Filled {
    plain: PlainPart,
    is_final: bool,
}

impl<S: Stream<Item = io::Result<Bytes>> + Send> Parts<'_, S> {
    /// Fills the next part into a used buffer. A part is the last one when the body ends with it, which takes a look at
    /// what follows a full part.
    async fn fill(&mut self, used: Vec<u8>) -> Result<Filled, ContentError> {
        let mut plain = PlainPart::new(used);
        let part_bytes = usize::try_from(self.geometry.part_size()).unwrap_or(usize::MAX);
        loop {
            if self.carried.is_empty() {
                match self.body.next().await.transpose().map_err(ContentError::Interrupted)? {
                    Some(bytes) => self.carried = bytes,
                    None if self.known.is_some_and(|size| size != self.taken) => return Err(ContentError::WrongLength),
                    None => return Ok(Filled { plain, is_final: true }),
                }
                continue;
            }
            if plain.len() == part_bytes {
                return Ok(Filled { plain, is_final: false });
            }
            let now = self.carried.split_to(self.carried.len().min(part_bytes - plain.len()));
            self.taken += now.len() as u64;
            if self.known.is_some_and(|size| size < self.taken) {
                return Err(ContentError::WrongLength);
            }
            if self.taken > self.limit_bytes {
                return Err(ContentError::TooLarge { limit_bytes: self.limit_bytes });
            }
            if !plain.has_room(now.len()) {
                plain.move_to(self.larger_buffer(plain.len() + now.len()));
            }
            plain.push(&now);
        }
    }

    /// A buffer for a part of at least so many bytes, or as many as were declared, but never for more than a part.
    fn larger_buffer(&self, needed: usize) -> Vec<u8> {
        let part_bytes = self.geometry.part_size();
        let expected = match self.known {
            Some(size) => size.min(part_bytes),
            None if needed <= FIRST_CAPACITY => FIRST_CAPACITY as u64,
            None => part_bytes,
        };
        buffer(usize::try_from(self.geometry.sealed_part_len(expected)).unwrap_or(needed))
    }
}

impl Filled {
    /// Seals part `number` of the draft, off the asynchronous threads when that takes long.
    async fn seal(self, draft: &Draft, number: u32) -> Result<SealedPart, ContentError> {
        let context = PartContext { part: number, is_final: self.is_final, ..draft.context };
        let (dek, plain) = (draft.dek.clone(), self.plain);
        if plain.len() <= SEALED_IN_PLACE_BYTES {
            return Ok(plain.seal(&dek, &context));
        }
        let sealing = tokio::task::spawn_blocking(move || plain.seal(&dek, &context));
        // Fails only when the run time is going down.
        sealing.await.map_err(|error| ContentError::Interrupted(error.into()))
    }
}

/// The blob that is being made.
#[derive(Clone)]
struct Draft {
    id: BlobId,
    dek: Dek,
    /// Of its first part.
    context: PartContext,
}

impl Draft {
    fn new(contents: &Contents, geometry: Geometry) -> Self {
        let id = BlobId::random();
        let context =
            PartContext { vault_id: contents.keys.vault_id(), blob_id: id, geometry, part: 0, is_final: false };
        Self { id, dek: Dek::generate(), context }
    }

    /// The blob out of its parts' salts and hashes, in order.
    fn finish(
        &self,
        contents: &Contents,
        sealed: impl IntoIterator<Item = (Salt, [u8; 32])>,
        size_bytes: u64,
        media_type: MediaType,
    ) -> SealedBlob {
        let (mut salts, mut hash) = (Vec::new(), ContentHash::default());
        for (salt, plain_sha256) in sealed {
            salts.push(salt);
            hash.push_part(&plain_sha256);
        }
        SealedBlob {
            id: self.id,
            dek: contents.keys.wrap(&self.dek, self.id, Purpose::Content),
            geometry: self.context.geometry,
            size_bytes,
            salts: Salts::new(&salts).expect("a body has at least one part, which may be empty"),
            content_hash: hash.finish(),
            media_type,
        }
    }
}

/// An object on its way in parts, aborted unless it was completed.
struct Multipart {
    store: Store,
    draft: Draft,
    id: MultipartId,
    sending: JoinSet<Result<(SentPart, Bytes), ContentError>>,
    begun: u32,
    /// In order once all are sent.
    sent: Vec<SentPart>,
    is_over: bool,
}

/// A part that the bucket has.
struct SentPart {
    /// From 0.
    number: u32,
    salt: Salt,
    plain_sha256: [u8; 32],
    etag: String,
}

impl Multipart {
    async fn create(store: &Store, draft: Draft) -> Result<Self, StoreError> {
        let id = store.create_multipart(&object_key(draft.id)).await?;
        let (store, sending) = (store.clone(), JoinSet::new());
        Ok(Self { store, draft, id, sending, begun: 0, sent: Vec::new(), is_over: false })
    }

    /// Begins to seal and send the next part.
    fn send(&mut self, part: Filled) {
        let (store, draft, id, number) = (self.store.clone(), self.draft.clone(), self.id.clone(), self.begun);
        self.begun += 1;
        self.sending.spawn(async move {
            let SealedPart { bytes, salt, plain_sha256 } = part.seal(&draft, number).await?;
            let (key, bytes) = (object_key(draft.id), Bytes::from(bytes));
            let etag = store.upload_part(&key, &id, number + 1, bytes.clone(), Payload::Sealed).await?;
            Ok((SentPart { number, salt, plain_sha256, etag }, bytes))
        });
    }

    /// Waits until one more part may be in memory; gives the buffer of one that was sent, or a new one.
    async fn free_buffer(&mut self) -> Result<Vec<u8>, ContentError> {
        if self.sending.len() < SENT_AT_ONCE {
            return Ok(Vec::new());
        }
        let used = self.next_sent().await?;
        // As long as the connection holds a copy the buffer is not ours, and a new one is made.
        Ok(used.and_then(|used| used.try_into_mut().ok()).map(Vec::from).unwrap_or_default())
    }

    async fn next_sent(&mut self) -> Result<Option<Bytes>, ContentError> {
        let Some(joined) = self.sending.join_next().await else { return Ok(None) };
        let (part, bytes) = joined.map_err(|error| ContentError::Interrupted(error.into()))??;
        self.sent.push(part);
        Ok(Some(bytes))
    }

    async fn all_sent(&mut self) -> Result<(), ContentError> {
        while self.next_sent().await?.is_some() {}
        self.sent.sort_unstable_by_key(|part| part.number);
        Ok(())
    }

    async fn complete(&self) -> Result<(), StoreError> {
        let named = self.sent.iter().map(|part| CompletedPart {
            number: part.number + 1,
            etag: part.etag.clone(),
            sha256: None,
        });
        let parts: Vec<CompletedPart> = named.collect();
        self.store.complete_multipart(&object_key(self.draft.id), &self.id, &parts).await.map(drop)
    }

    async fn abort(&mut self) {
        self.is_over = true;
        self.sending.shutdown().await;
        give_up(&self.store, self.draft.id, &self.id).await;
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (store, blob, id) = (self.store.clone(), self.draft.id, self.id.clone());
        let mut sending = mem::take(&mut self.sending);
        runtime.spawn(async move {
            // A part that arrives after the abort would stay.
            sending.shutdown().await;
            give_up(&store, blob, &id).await;
        });
    }
}

async fn give_up(store: &Store, blob: BlobId, id: &MultipartId) {
    if let Err(error) = store.abort_multipart(&object_key(blob), id).await {
        tracing::warn!(%error, "an unfinished upload stays in the bucket until it is swept");
    }
}
