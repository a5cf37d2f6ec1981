//! From the bucket to a client: ranges, verified chunk by chunk.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::crypto::{BlobShape, CHUNK_PLAIN, Dek, RangeOpener};
use crate::store::{Store, StoreError};
use crate::vault::blob::{Salts, SealedBlob};

use super::{ContentError, Contents, object_key};

/// Plaintext is handed over in pieces of about this many bytes.
const PIECE_BYTES: usize = 128 * 1024;
/// Pieces that wait for a slow reader.
const WAITING_PIECES: usize = 4;
/// Times in a row that a read which broke off without giving a single chunk is taken up again.
const RESUMPTIONS: u32 = 3;

/// Verified plaintext of a range. A stream that ends without an error gave all of it; after an error nothing follows.
/// Dropping it stops the read.
#[derive(Debug)]
pub struct Plaintext {
    first: Option<Bytes>,
    rest: Option<mpsc::Receiver<Result<Bytes, ContentError>>>,
    _reading: Option<AbortOnDropHandle<()>>,
}

impl Contents {
    /// Opens the part of `range` that lies within the blob. Returns once its first bytes were verified, so a blob that
    /// is absent or damaged at that place is an error before anything was given out.
    ///
    /// The bucket is asked once for the whole range. When the connection breaks, the rest is asked for from the first
    /// chunk that is missing.
    pub async fn open(&self, blob: &SealedBlob, range: Range<u64>) -> Result<Plaintext, ContentError> {
        let end = range.end.min(blob.size_bytes);
        let at = range.start.min(end);
        if at == end && blob.size_bytes > 0 {
            return Ok(Plaintext { first: None, rest: None, _reading: None });
        }
        let (pieces, mut rest) = mpsc::channel(WAITING_PIECES);
        let reading = Reading {
            store: self.store.clone(),
            key: object_key(blob.id),
            dek: self.key(blob)?,
            shape: self.shape(blob),
            salts: blob.salts.clone(),
            left: at..end,
            pieces,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(reading.run()));
        let first = rest.recv().await.transpose()?;
        Ok(Plaintext { first, rest: Some(rest), _reading: Some(task) })
    }
}

impl Stream for Plaintext {
    type Item = Result<Bytes, ContentError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        match &mut self.rest {
            Some(rest) => rest.poll_recv(context),
            None => Poll::Ready(None),
        }
    }
}

/// A read on its way, on a task of its own, so that fetching and opening go on while the client is written to.
struct Reading {
    store: Store,
    key: String,
    dek: Dek,
    shape: BlobShape,
    salts: Salts,
    /// Plaintext that was not handed over yet.
    left: Range<u64>,
    pieces: mpsc::Sender<Result<Bytes, ContentError>>,
}

/// Why an attempt ended early.
enum Stop {
    Failed(ContentError),
    ReaderLeft,
}

impl<E: Into<ContentError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Reading {
    async fn run(mut self) {
        let mut fruitless = 0;
        loop {
            let before = self.left.start;
            let outcome = self.attempt().await;
            fruitless = if self.left.start > before { 0 } else { fruitless + 1 };
            match outcome {
                Ok(()) | Err(Stop::ReaderLeft) => return,
                Err(Stop::Failed(ContentError::Storage(StoreError::Unavailable { .. })))
                    if fruitless < RESUMPTIONS && !self.left.is_empty() => {}
                Err(Stop::Failed(error)) => {
                    // A reader that left needs no error.
                    let _ = self.pieces.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// Reads what is left in one request; `left` then begins after what was handed over.
    async fn attempt(&mut self) -> Result<(), Stop> {
        let mut opener = RangeOpener::new(self.dek.clone(), self.shape, self.salts.as_slice(), self.left.clone())?;
        let mut sealed = self.store.get_range(&self.key, opener.object()).await?;
        if sealed.total_bytes() != self.shape.geometry.object_size(self.shape.size) {
            return Err(Stop::Failed(ContentError::Corrupt));
        }
        let mut plain = Vec::with_capacity(PIECE_BYTES + CHUNK_PLAIN);
        loop {
            match sealed.try_next().await {
                Ok(Some(bytes)) => opener.push(&bytes, &mut plain)?,
                Ok(None) => break,
                Err(error) => {
                    self.hand_over(plain).await?;
                    return Err(error.into());
                }
            }
            if plain.len() >= PIECE_BYTES {
                let next = Vec::with_capacity(PIECE_BYTES + CHUNK_PLAIN);
                self.hand_over(std::mem::replace(&mut plain, next)).await?;
            }
        }
        opener.finish()?;
        self.hand_over(plain).await
    }

    async fn hand_over(&mut self, plain: Vec<u8>) -> Result<(), Stop> {
        if plain.is_empty() {
            return Ok(());
        }
        let length = plain.len() as u64;
        self.pieces.send(Ok(plain.into())).await.map_err(|_| Stop::ReaderLeft)?;
        self.left.start += length;
        Ok(())
    }
}

impl Plaintext {
    /// All of it in memory.
    pub async fn collect_bytes(mut self) -> Result<Vec<u8>, ContentError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await.transpose()? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}
