//! A front of a real bucket that ignores conditions, lengths and checksums, as some S3-compatibles do.
//!
//! Its keeper has the bucket's keys: what is taken out of a request is signed anew, so that the store behind it never
//! learns of it. A request that names nothing of that kind passes as it came, its signature included.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use super::embedded::{ACCESS_KEY, SECRET_KEY};

/// Headers that a careless bucket does not know; so are all that begin with `x-amz-checksum-`.
const UNKNOWN: [&str; 4] = ["if-none-match", "if-match", "content-md5", "x-amz-sdk-checksum-algorithm"];
/// Life of a signature that goes no further than the store behind.
const SIGNATURE_LIFE: Duration = Duration::from_secs(600);

/// The front of a bucket of the test's own; it ends with the value.
pub(crate) struct Careless {
    url: Url,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: Url,
    client: Client<HttpConnector, Full<Bytes>>,
    is_careless: AtomicBool,
}

impl Careless {
    /// Careless from the beginning, in front of the embedded store at `upstream`.
    pub(crate) async fn start(upstream: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new(Shared { upstream: upstream.clone(), client, is_careless: AtomicBool::new(true) });
        let ours = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let shared = Arc::clone(&ours);
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { shared.handle(request).await }
                });
                let server = hyper::server::conn::http1::Builder::new();
                connections.spawn(server.serve_connection(TokioIo::new(connection), service));
            }
        });
        Self { url, shared, task }
    }

    /// Where a client finds it.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it takes care from now on.
    pub(crate) fn take_care(&self, is_careful: bool) {
        self.shared.is_careless.store(!is_careful, Ordering::SeqCst);
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (mut head, body) = request.into_parts();
        let mut body = body.collect().await?.to_bytes();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut url = self.upstream.join(target).unwrap();
        if self.is_careless.load(Ordering::SeqCst) && (forget(&mut head.headers) | forget_digests(&mut body)) {
            sign_anew(head.method.as_str(), &mut url);
            for name in ["authorization", "x-amz-date", "x-amz-content-sha256", "host", "content-length"] {
                head.headers.remove(name);
            }
        }
        head.uri = url.as_str().parse::<Uri>().unwrap();
        let Ok(answer) = self.client.request(Request::from_parts(head, Full::new(body))).await else {
            return Ok(Response::builder().status(StatusCode::BAD_GATEWAY).body(Full::default()).unwrap());
        };
        let (head, body) = answer.into_parts();
        Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
    }
}

/// Whether there was something to forget.
fn forget(headers: &mut HeaderMap) -> bool {
    let is_unknown = |name: &str| UNKNOWN.contains(&name) || name.starts_with("x-amz-checksum-");
    let unknown: Vec<_> = headers.keys().filter(|name| is_unknown(name.as_str())).cloned().collect();
    for name in &unknown {
        headers.remove(name);
    }
    !unknown.is_empty()
}

/// Takes the digests of parts out of the document that completes an upload.
fn forget_digests(body: &mut Bytes) -> bool {
    let (open, close) = ("<ChecksumSHA256>", "</ChecksumSHA256>");
    let Ok(text) = std::str::from_utf8(body) else { return false };
    if !text.starts_with("<CompleteMultipartUpload") || !text.contains(open) {
        return false;
    }
    let mut pieces = text.split(open);
    let first = pieces.next().unwrap_or_default().to_owned();
    let rest = pieces.map(|piece| piece.split_once(close).map_or(piece, |(_, rest)| rest));
    *body = rest.fold(first, |text, piece| text + piece).into();
    true
}

fn sign_anew(method: &str, url: &mut Url) {
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| !name.starts_with("X-Amz-")).collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(&kept);
    }
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(SIGNATURE_LIFE);
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let nothing = std::iter::empty::<(&str, &str)>();
    let request = SignableRequest::new(method, url.as_str(), nothing, SignableBody::UnsignedPayload).unwrap();
    let signed = sign(request, &params).unwrap();
    url.query_pairs_mut().extend_pairs(signed.output().params());
}
