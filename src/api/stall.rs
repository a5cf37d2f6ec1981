//! Time limits on the bytes of a connection that hyper does not set.
//!
//! [`StallGuard`] bounds how long a client may leave an answer untaken; [`PacedBody`] demands a minimum of progress from
//! a request body, so that one byte every few seconds is not progress. Only time spent waiting for the client counts:
//! a slow bucket behind us never makes a client late. Neither knows HTTP semantics. [`Cut`] ends a connection from
//! outside, whatever it waits for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Bytes that a request body must bring within each window of waiting.
pub const MIN_PROGRESS_BYTES: u64 = 4 * 1024;

/// Most bytes that are read and thrown away after an early answer, so that the client gets to read it.
const LINGER_BYTES: u64 = 64 * 1024 * 1024;

/// Longest time for that.
const LINGER: Duration = Duration::from_secs(2);

/// Ends one connection at once. What it had still to send is thrown away, in the kernel too: a client that reads slowly
/// would otherwise get megabytes more. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Cut(CancellationToken);

impl Cut {
    /// Ends it.
    pub fn now(&self) {
        self.0.cancel();
    }
}

/// A connection whose writes fail once the other side has taken nothing for `patience`, or once it is cut.
pub struct StallGuard {
    stream: TcpStream,
    patience: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    cut: Cut,
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl StallGuard {
    /// Guards `stream`.
    pub fn new(stream: TcpStream, patience: Duration, cut: Cut) -> Self {
        let is_cut = Box::pin(cut.0.clone().cancelled_owned());
        Self { stream, patience, deadline: None, cut, is_cut }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.deadline = None;
            return polled;
        }
        if self.is_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let patience = self.patience;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for StallGuard {
    fn drop(&mut self) {
        if self.cut.0.is_cancelled() {
            // A socket that refuses is closed as any other, and sends what it has.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for StallGuard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for StallGuard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, polled)
    }
}

/// A request body that fails with [`io::ErrorKind::TimedOut`] when it brings less than [`MIN_PROGRESS_BYTES`] in
/// `window` of waiting for it.
///
/// Dropped before its end, it goes on reading for a moment in the background: a connection closed over unread bytes
/// would be reset, and the client would never read why it was refused.
#[derive(Debug)]
pub struct PacedBody {
    inner: Option<Incoming>,
    window: Duration,
    progress_bytes: u64,
    deadline: Pin<Box<Sleep>>,
    /// When the present wait began; `None` while the body is not waited for.
    waiting_since: Option<Instant>,
    waited: Duration,
    /// The client waits for `100 Continue`, which the first poll would send.
    uninvited: bool,
}

impl PacedBody {
    /// Paces `inner`, the body of a request with `headers`.
    pub fn new(inner: Incoming, headers: &HeaderMap, window: Duration) -> Self {
        let deadline = Box::pin(sleep(window));
        Self {
            inner: Some(inner),
            window,
            progress_bytes: 0,
            deadline,
            waiting_since: None,
            waited: Duration::ZERO,
            uninvited: headers.contains_key(EXPECT),
        }
    }

    fn arrived(&mut self, bytes: u64) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
        self.progress_bytes += bytes;
        if self.progress_bytes >= MIN_PROGRESS_BYTES {
            self.progress_bytes = 0;
            self.waited = Duration::ZERO;
        }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            self.deadline.as_mut().reset(now + self.window.saturating_sub(self.waited));
        }
        self.deadline.as_mut().poll(cx)
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.uninvited = false;
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.arrived(frame.data_ref().map_or(0, |data| data.len() as u64));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.inner = None;
                Poll::Ready(Some(Err(io::Error::other(error))))
            }
            Poll::Ready(None) => {
                self.inner = None;
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(self.poll_late(cx));
                self.inner = None;
                Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for PacedBody {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take().filter(|inner| !inner.is_end_stream()) else { return };
        if self.uninvited {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, discard(inner)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        if left == 0 {
            return;
        }
    }
}
