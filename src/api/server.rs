//! The accept loop: HTTP/1.1 over a listener that somebody else bound.
//!
//! Guarantees that no client holds a connection for free: a connection that stays silent, dribbles its headers, sends
//! too many of them, or does not take the answer, is closed; at most [`Limits::connections`] are open at once; and when
//! `shutdown` is cancelled the loop accepts nothing more, lets requests that are on their way end within
//! [`Limits::drain`], then drops what is left.
//!
//! It does not know routes, bodies or errors. It is our own because poem's server does not bound slow headers.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stall::{Cut, StallGuard};

/// Most bytes of a request line and its headers; one more is answered 431.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Most headers of a request; one more is answered 431.
pub const MAX_HEADERS: usize = 64;

/// Pause after a failed `accept`, so that running out of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one connection may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most connections open at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// From the connection to its first byte.
    pub first_byte: Duration,
    /// From the readiness for a request to the end of its headers; so also the longest idle time between two requests.
    pub headers: Duration,
    /// Longest time in which a client takes not one byte of the answer.
    pub write_stall: Duration,
    /// From the shutdown to the end of the last request.
    pub drain: Duration,
}

/// Serves `listener` until `shutdown` is cancelled and the connections have drained.
///
/// `handler` answers one request of one peer, whose connection it may end by the [`Cut`] among the request's extensions.
/// It is dropped in the middle when its client goes away.
pub async fn serve<H, F, B>(listener: TcpListener, limits: Limits, shutdown: CancellationToken, handler: H)
where
    H: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let abort = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let (limits, shutdown, abort, handler) = (limits.clone(), shutdown.clone(), abort.clone(), handler.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection(stream, peer, limits, shutdown, handler) => {}
                () = abort.cancelled() => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "drain time is over: dropping the connections that are left");
        abort.cancel();
        connections.wait().await;
    }
}

/// The next connection with its slot; `None` when `accept` failed.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.expect("nobody closes this semaphore");
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection<H, F, B>(
    stream: TcpStream,
    peer: SocketAddr,
    limits: Limits,
    shutdown: CancellationToken,
    handler: H,
) where
    H: Fn(SocketAddr, Request<Incoming>) -> F + Send + Sync,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let first_byte = tokio::select! {
        () = shutdown.cancelled() => return,
        first_byte = tokio::time::timeout(limits.first_byte, stream.readable()) => first_byte,
    };
    if !matches!(first_byte, Ok(Ok(()))) {
        return;
    }
    // Small answers must not wait for the acknowledgement of earlier ones; a socket that refuses is only slower.
    let _ = stream.set_nodelay(true);
    let cut = Cut::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(cut.clone());
        let answer = handler(peer, request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let io = TokioIo::new(StallGuard::new(stream, limits.write_stall, cut.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .max_header_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(io, service)
    );
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
