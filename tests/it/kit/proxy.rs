//! A real HTTP proxy between a store's client and a bucket, which can hold, lose, delay and fail requests.
//!
//! It forwards requests unchanged (the signed `Host` included), so that signatures stay valid. A [`Fault`] is laid over
//! the requests that a pattern matches; the [`Trap`] it returns says when one was caught and lets it go on.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

/// What happens to a caught request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Waits before the bucket sees it, until it is released.
    HoldRequest,
    /// Is done by the bucket; its answer waits until it is released.
    HoldAnswer,
    /// Never reaches the bucket; the connection breaks.
    LoseRequest,
    /// Is done by the bucket; the connection breaks without an answer.
    LoseAnswer,
    /// Never reaches the bucket while the client waits: the connection breaks at once, and the bucket sees the request
    /// when it is released.
    Late,
    /// Never reaches the bucket; this status is the answer.
    Fail(u16),
}

/// A proxy in front of one bucket; it ends with the value.
pub(crate) struct Proxy {
    url: Url,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    traps: Mutex<Vec<Arc<State>>>,
    requests: Mutex<Vec<String>>,
}

type Pattern = Box<dyn Fn(&str) -> bool + Send + Sync>;

struct State {
    pattern: Pattern,
    fault: Fault,
    /// Matches to let pass, then matches to catch.
    counts: Mutex<(usize, usize)>,
    caught: watch::Sender<usize>,
    released: watch::Sender<bool>,
    done: watch::Sender<usize>,
}

/// A fault that lies over some requests; dropping it releases what it holds and catches nothing more.
pub(crate) struct Trap {
    state: Arc<State>,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy in front of the bucket at `upstream`.
    pub(crate) async fn start(upstream: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = Url::parse(&format!("http://{}", listener.local_addr().expect("bound"))).expect("a URL");
        let shared = Arc::new(Shared {
            upstream: upstream.as_str().parse().expect("a URL is a URI"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            traps: Mutex::new(Vec::new()),
            requests: Mutex::new(Vec::new()),
        });
        let ours = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(converse(connection, Arc::clone(&ours)));
            }
        });
        Self { url, shared, task }
    }

    /// Where a client finds it.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Every request so far, as `METHOD /path?query`, decoded.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().clone()
    }

    /// Lays a fault over the next `times` requests whose `METHOD /path?query` matches, after the first `pass` of them.
    pub(crate) fn trap(
        &self,
        fault: Fault,
        (pass, times): (usize, usize),
        pattern: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Trap {
        let state = Arc::new(State {
            pattern: Box::new(pattern),
            fault,
            counts: Mutex::new((pass, times)),
            caught: watch::Sender::new(0),
            released: watch::Sender::new(false),
            done: watch::Sender::new(0),
        });
        self.shared.traps.lock().push(Arc::clone(&state));
        Trap { state, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Trap {
    /// Resolves when `count` requests were caught.
    pub(crate) async fn caught(&self, count: usize) {
        self.state.caught.subscribe().wait_for(|caught| *caught >= count).await.expect("the trap is here");
    }

    /// How many requests were caught.
    pub(crate) fn count(&self) -> usize {
        *self.state.caught.borrow()
    }

    /// Lets everything that is held go on.
    pub(crate) fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Resolves when the bucket has done everything that was caught.
    pub(crate) async fn done(&self) {
        let caught = self.count();
        self.state.done.subscribe().wait_for(|done| *done >= caught).await.expect("the trap is here");
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.release();
        self.shared.traps.lock().retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}

impl State {
    async fn wait(&self) {
        self.released.subscribe().wait_for(|released| *released).await.expect("the trap's state is held here");
    }

    fn matches(&self, line: &str) -> bool {
        if !(self.pattern)(line) {
            return false;
        }
        let mut counts = self.counts.lock();
        if counts.0 > 0 {
            counts.0 -= 1;
            return false;
        }
        let catches = counts.1 > 0;
        counts.1 = counts.1.saturating_sub(1);
        catches
    }
}

/// The connection is to break without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the proxy breaks the connection")]
struct Break;

async fn converse(connection: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.handle(request).await }
    });
    // A connection that breaks is often what the test wants.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

impl Shared {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Break> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Break)?.to_bytes();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let line = format!("{} {}", head.method, target.replace("%2F", "/").replace("%2f", "/"));
        self.requests.lock().push(line.clone());
        let state = self.traps.lock().iter().find(|state| state.matches(&line)).cloned();
        let request = Request::from_parts(head, Full::new(body));
        let Some(state) = state else { return self.forward(request).await };
        state.caught.send_modify(|caught| *caught += 1);
        match state.fault {
            Fault::LoseRequest => Err(Break),
            Fault::Fail(status) => {
                let status = StatusCode::from_u16(status).expect("a status");
                Ok(Response::builder().status(status).body(Full::default()).expect("a response"))
            }
            Fault::Late => {
                tokio::spawn(async move {
                    state.wait().await;
                    let _ = self.forward(request).await;
                    state.done.send_modify(|done| *done += 1);
                });
                Err(Break)
            }
            // In a task of its own: a client that gives up meanwhile does not stop a request on its way.
            Fault::HoldRequest | Fault::HoldAnswer | Fault::LoseAnswer => {
                let answer = tokio::spawn(async move {
                    if state.fault == Fault::HoldRequest {
                        state.wait().await;
                    }
                    let answer = self.forward(request).await;
                    state.done.send_modify(|done| *done += 1);
                    match state.fault {
                        Fault::HoldAnswer => state.wait().await,
                        Fault::LoseAnswer => return Err(Break),
                        _ => {}
                    }
                    answer
                });
                answer.await.map_err(|_| Break)?
            }
        }
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Break> {
        let (mut head, body) = request.into_parts();
        let mut target = self.upstream.clone().into_parts();
        target.path_and_query = head.uri.path_and_query().cloned();
        head.uri = Uri::from_parts(target).map_err(|_| Break)?;
        let answer = self.client.request(Request::from_parts(head, body)).await.map_err(|_| Break)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_: hyper::Error| Break)?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}
