//! From a client to the bucket: parts are filled, sealed and sent, one of each at a time.

use std::pin::{Pin, pin};
use std::{io, mem};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::crypto::{BlobId, ContentHash, Dek, Geometry, PartContext, Purpose, Salt, seal_part, sha256};
use crate::store::{CompletedPart, MultipartId, Store, StoreError};
use crate::vault::blob::{MediaType, Salts, SealedBlob};

use super::{ContentError, Contents, Declared, media, object_key};

/// Parts of memory that one upload holds at most: one that fills, and [`SENT_AT_ONCE`] that are sealed and sent. While
/// a part is sealed it is in memory twice, and the filling waits.
pub const PARTS_IN_MEMORY: usize = 1 + SENT_AT_ONCE;

/// Sealed parts on their way at once.
const SENT_AT_ONCE: usize = 2;
/// Where a part begins to grow when nobody said how long it will be.
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
        let media_type = media::check(declared.media_type.as_ref(), &first.plain).map_err(contradiction)?;
        let mut sealing = Sealing::new(self, geometry);
        if first.is_final {
            let sealed = sealing.seal(first, None).await?;
            self.store.put(&object_key(sealing.id), sealed.bytes.into()).await?;
            return Ok(sealing.finish(self, parts.taken, media_type));
        }
        let multipart = Multipart::create(&self.store, object_key(sealing.id)).await?;
        self.send_parts(parts, first, sealing, multipart, media_type).await
    }

    async fn send_parts<S>(
        &self,
        mut parts: Parts<'_, S>,
        first: Filled,
        mut sealing: Sealing,
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
                let used = multipart.free_buffer().await?;
                let sealed = sealing.seal(part, used).await?;
                multipart.send(sealed.bytes);
                if is_final {
                    return multipart.all_sent().await;
                }
                part = parts.fill(sealed.plain).await?;
            }
        };
        if let Err(error) = sent.await {
            multipart.abort().await;
            return Err(error);
        }
        let blob = sealing.finish(self, parts.taken, media_type);
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
    plain: Vec<u8>,
    is_final: bool,
}

impl<S: Stream<Item = io::Result<Bytes>> + Send> Parts<'_, S> {
    /// Fills the next part into `plain`. A part is the last one when the body ends with it, which takes a look at what
    /// follows a full part.
    async fn fill(&mut self, mut plain: Vec<u8>) -> Result<Filled, ContentError> {
        plain.clear();
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
            self.make_room(&mut plain, now.len(), part_bytes);
            plain.extend_from_slice(&now);
        }
    }

    /// Grows by doubling, or to what was declared, but never beyond a part.
    fn make_room(&self, plain: &mut Vec<u8>, more: usize, part_bytes: usize) {
        let needed = plain.len() + more;
        if needed > plain.capacity() {
            let declared = self.known.and_then(|size| usize::try_from(size).ok());
            let wanted = declared.unwrap_or_else(|| (plain.capacity() * 2).max(FIRST_CAPACITY)).min(part_bytes);
            let mut larger = buffer(wanted.max(needed));
            larger.extend_from_slice(plain);
            *plain = larger;
        }
    }
}

/// The blob that is being made.
struct Sealing {
    id: BlobId,
    dek: Dek,
    context: PartContext,
    salts: Vec<Salt>,
    hash: ContentHash,
}

struct Sealed {
    bytes: Vec<u8>,
    /// The plaintext's buffer, to be filled again.
    plain: Vec<u8>,
}

impl Sealing {
    fn new(contents: &Contents, geometry: Geometry) -> Self {
        let id = BlobId::random();
        let context =
            PartContext { vault_id: contents.keys.vault_id(), blob_id: id, geometry, part: 0, is_final: false };
        Self { id, dek: Dek::generate(), context, salts: Vec::new(), hash: ContentHash::default() }
    }

    /// Seals the next part into a used buffer or a new one, off the asynchronous threads when that takes long.
    async fn seal(&mut self, part: Filled, used: Option<Vec<u8>>) -> Result<Sealed, ContentError> {
        let sealed_bytes = self.context.geometry.sealed_part_len(part.plain.len() as u64);
        let mut bytes = used.unwrap_or_else(|| buffer(usize::try_from(sealed_bytes).unwrap_or(0)));
        let context = PartContext { is_final: part.is_final, ..self.context };
        let (dek, plain) = (self.dek.clone(), part.plain);
        let is_short = plain.len() <= SEALED_IN_PLACE_BYTES;
        let work = move || {
            bytes.clear();
            let salt = seal_part(&dek, &context, &plain, &mut bytes);
            (salt, sha256(&plain), Sealed { bytes, plain })
        };
        let (salt, digest, sealed) = if is_short {
            work()
        } else {
            // Fails only when the run time is going down.
            tokio::task::spawn_blocking(work).await.map_err(|error| ContentError::Interrupted(error.into()))?
        };
        self.salts.push(salt);
        self.hash.push_part(&digest);
        self.context.part += 1;
        Ok(sealed)
    }

    fn finish(self, contents: &Contents, size_bytes: u64, media_type: MediaType) -> SealedBlob {
        SealedBlob {
            id: self.id,
            dek: contents.keys.wrap(&self.dek, self.id, Purpose::Content),
            geometry: self.context.geometry,
            size_bytes,
            salts: Salts::new(&self.salts).expect("a body has at least one part, which may be empty"),
            content_hash: self.hash.finish(),
            media_type,
        }
    }
}

/// An object on its way in parts, aborted unless it was completed.
struct Multipart {
    store: Store,
    key: String,
    id: MultipartId,
    sending: JoinSet<(Result<CompletedPart, StoreError>, Bytes)>,
    begun: u32,
    sent: Vec<CompletedPart>,
    is_over: bool,
}

impl Multipart {
    async fn create(store: &Store, key: String) -> Result<Self, StoreError> {
        let id = store.create_multipart(&key).await?;
        let (store, sending) = (store.clone(), JoinSet::new());
        Ok(Self { store, key, id, sending, begun: 0, sent: Vec::new(), is_over: false })
    }

    /// Waits until one more sealed part may be in memory; gives the buffer of one that was sent.
    async fn free_buffer(&mut self) -> Result<Option<Vec<u8>>, ContentError> {
        if self.sending.len() < SENT_AT_ONCE {
            return Ok(None);
        }
        let used = self.next_sent().await?;
        // As long as the connection holds a copy the buffer is not ours, and a new one is made.
        Ok(used.and_then(|used| used.try_into_mut().ok()).map(Vec::from))
    }

    fn send(&mut self, sealed: Vec<u8>) {
        self.begun += 1;
        let (store, key, id, number) = (self.store.clone(), self.key.clone(), self.id.clone(), self.begun);
        let sealed = Bytes::from(sealed);
        self.sending.spawn(async move {
            let etag = store.upload_part(&key, &id, number, sealed.clone()).await;
            (etag.map(|etag| CompletedPart { number, etag, sha256: None }), sealed)
        });
    }

    async fn next_sent(&mut self) -> Result<Option<Bytes>, ContentError> {
        let Some(joined) = self.sending.join_next().await else { return Ok(None) };
        let (part, sealed) = joined.map_err(|error| ContentError::Interrupted(error.into()))?;
        self.sent.push(part?);
        Ok(Some(sealed))
    }

    async fn all_sent(&mut self) -> Result<(), ContentError> {
        while self.next_sent().await?.is_some() {}
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), StoreError> {
        self.sent.sort_unstable_by_key(|part| part.number);
        self.store.complete_multipart(&self.key, &self.id, &self.sent).await.map(drop)
    }

    async fn abort(&mut self) {
        self.is_over = true;
        self.sending.shutdown().await;
        give_up(&self.store, &self.key, &self.id).await;
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (store, key, id) = (self.store.clone(), mem::take(&mut self.key), self.id.clone());
        let mut sending = mem::take(&mut self.sending);
        runtime.spawn(async move {
            // A part that arrives after the abort would stay.
            sending.shutdown().await;
            give_up(&store, &key, &id).await;
        });
    }
}

async fn give_up(store: &Store, key: &str, id: &MultipartId) {
    if let Err(error) = store.abort_multipart(key, id).await {
        tracing::warn!(%error, "an unfinished upload stays in the bucket until it is swept");
    }
}
