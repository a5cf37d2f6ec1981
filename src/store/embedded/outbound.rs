//! Sending an object: a stream over an open file, one chunk read ahead, so at most two chunks are in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are read at once.
pub(super) const CHUNK_BYTES: u64 = 512 * 1024;

/// Reads exactly `length` bytes at an offset.
pub(super) fn read_exact(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.into())
}

/// A stream of `length` bytes at an offset. It fails, and so breaks the connection off, rather than end early.
pub(super) fn stream(file: File, offset: u64, length: u64) -> StreamingBlob {
    StreamingBlob::new(FileStream { file: Arc::new(file), offset, unread: length, undelivered: length, reading: None })
}

struct FileStream {
    file: Arc<File>,
    /// Where the next read begins.
    offset: u64,
    unread: u64,
    undelivered: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileStream {
    fn read_ahead(&mut self) {
        let length = self.unread.min(CHUNK_BYTES);
        if length > 0 && self.reading.is_none() {
            let (file, offset) = (Arc::clone(&self.file), self.offset);
            self.reading = Some(spawn_blocking(move || read_exact(&file, offset, length)));
            self.offset += length;
            self.unread -= length;
        }
    }
}

impl Stream for FileStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.read_ahead();
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => {
                self.undelivered -= bytes.len() as u64;
                self.read_ahead();
                Poll::Ready(Some(Ok(bytes)))
            }
            Err(error) => {
                self.unread = 0;
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}

impl ByteStream for FileStream {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.undelivered).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
