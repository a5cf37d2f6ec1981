//! A server that speaks S3 wrongly on purpose: raw answers to raw requests, one connection for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coffer::config::{Endpoint, Secret, StoreConfig};
use coffer::store::Store;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// The key that the tests sign with; it must never be seen in an error.
pub(crate) const ACCESS_KEY_ID: &str = "CANARYACCESSKEYID";

/// What the server does to one request.
#[derive(Clone)]
pub(crate) enum Lie {
    /// Sends these bytes and closes the connection.
    Raw(String),
    /// Sends the first bytes, then the second over and over.
    Endless(String, &'static [u8]),
    /// Closes the connection without a word.
    Silence,
    /// Takes the request and never answers.
    Hang,
    /// Answers a range of this object rightly, but closes the connection after so many bytes of it.
    Cut(Arc<Vec<u8>>, usize),
}

/// The server; it stops with the value.
pub(crate) struct LyingBucket {
    url: Url,
    requests: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl LyingBucket {
    /// A server that answers the n-th request with the n-th lie, and all further ones with the last.
    pub(crate) async fn start(lies: Vec<Lie>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = Url::parse(&format!("http://{}", listener.local_addr().expect("bound"))).expect("a URL");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(AtomicU64::new(0));
        let (seen, count) = (requests.clone(), sent.clone());
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(lie(connection, lies.clone(), seen.clone(), count.clone()));
            }
        });
        Self { url, requests, sent, task }
    }

    /// A client of it.
    pub(crate) fn store(&self) -> Store {
        Store::new(&config(self.url.clone()), None)
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }

    /// Bytes that the server got rid of in all.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for LyingBucket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Settings for a bucket at `url`, with short waits.
pub(crate) fn config(url: Url) -> StoreConfig {
    StoreConfig {
        endpoint: Endpoint::Remote(url.clone()),
        public_endpoint: url,
        region: "garage".to_owned(),
        bucket: "vault-bucket".to_owned(),
        prefix: "pre/fix/".to_owned(),
        path_style: true,
        access_key_id: Secret::new(ACCESS_KEY_ID.to_owned()),
        secret_access_key: Secret::new("CANARYSECRETACCESSKEY".to_owned()),
        request_timeout_secs: 5,
    }
}

/// An answer with a correct length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Lie {
    Lie::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()))
}

async fn lie(mut connection: TcpStream, lies: Vec<Lie>, seen: Arc<Mutex<Vec<Request>>>, sent: Arc<AtomicU64>) {
    let Some(request) = read_request(&mut connection).await else { return };
    let range = range_of(&request.head);
    let number = {
        let mut seen = seen.lock();
        seen.push(request);
        seen.len() - 1
    };
    match &lies[number.min(lies.len() - 1)] {
        Lie::Silence => {}
        Lie::Hang => std::future::pending().await,
        Lie::Cut(object, bytes) => {
            let Some((start, last)) = range else { return };
            let (length, total) = (last - start + 1, object.len());
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nContent-Range: bytes \
                 {start}-{last}/{total}\r\n\r\n"
            );
            let _ = connection.write_all(head.as_bytes()).await;
            let _ = connection.write_all(&object[start..=last][..length.min(*bytes)]).await;
            let _ = connection.shutdown().await;
        }
        Lie::Raw(bytes) => {
            let _ = connection.write_all(bytes.as_bytes()).await;
            let _ = connection.shutdown().await;
        }
        Lie::Endless(head, repeated) => {
            let _ = connection.write_all(head.as_bytes()).await;
            while connection.write_all(repeated).await.is_ok() {
                sent.fetch_add(repeated.len() as u64, Ordering::Relaxed);
            }
        }
    }
}

fn range_of(head: &str) -> Option<(usize, usize)> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    let (start, last) = range.split_once('-')?;
    Some((start.parse().ok()?, last.parse().ok()?))
}

async fn read_request(connection: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(head_end);
    let head = String::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
    while body.len() < length {
        if connection.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { head, body })
}
