//! The store on a listener of its own: for the vault's private loopback, and for a store that runs as its own process.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::{Embedded, Front};

/// Connections served at once; others wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take to send a request's headers, and an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in progress may go on after the shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait after the listener failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the store on a listener until `shutdown` is ready, then lets requests in progress finish for a while.
///
/// Pages of `allowed_origins` may use the store across origins. Dropping the future ends all of its connections at once.
pub async fn serve_store(
    listener: TcpListener,
    store: &Embedded,
    allowed_origins: Vec<String>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let front = store.front(&allowed_origins);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopped) = watch::channel(());
    let mut connections = tokio::task::JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let (front, stopped) = (front.clone(), stopped.clone());
                connections.spawn(async move {
                    let _place = place;
                    converse(stream, front, stopped).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the store's listener failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(());
    // What is not done by then is cut off.
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

async fn converse(stream: TcpStream, front: Front, mut stopped: watch::Receiver<()>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let front = front.clone();
        async move { front.answer(request.map(Body::from)).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    let connection = http
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    // A connection fails when its client goes away: nothing to act on.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
