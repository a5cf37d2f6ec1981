//! From a request of the accept loop to its answer: what every request gets, whatever its route.
//!
//! In this order: an id of our own (a stranger's `X-Request-Id` is not taken over), the client's address, the embedded
//! bucket where the path is its own, the page it comes from, the session where the operation needs one, a bounded body, the route, one conversion
//! of every error into a problem, security headers outside of it all so that refusals carry them too, and one line in the
//! log, which has the route's pattern but never a path, a query, a token or a name. It knows no operation.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Limited, combinators::BoxBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use poem::PathPattern;
use poem::endpoint::BoxEndpoint;
use poem::web::{LocalAddr, RemoteAddr};
use tracing::Instrument;

use super::caller::{Caller, client_info};
use super::metrics::{self, Listener};
use super::policy::{self, Access, Class, Policy};
use super::problem::{self, Code, Problem};
use super::stall::PacedBody;
use super::{Coffer, Context, PREFIX, client, headers, origin, quota};
use crate::store::embedded::Front;
use crate::telemetry::metrics::{METRICS, Proof};

/// What answers are made of.
pub type AnswerBody = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// Where a request's id is answered.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where the next proof's nonce is told.
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Headers that change what a request does.
const CONDITIONS: [HeaderName; 5] =
    [IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE, HeaderName::from_static("idempotency-key")];

/// The embedded bucket: its name and what answers below it.
#[derive(Clone)]
pub struct Bucket {
    /// Its name: the first segment of its paths.
    pub name: String,
    /// The S3 protocol.
    pub front: Front,
}

/// Everything that the public listener serves.
pub struct Root {
    coffer: Arc<Coffer>,
    routes: BoxEndpoint<'static, poem::Response>,
    methods: HashMap<String, String>,
    bucket: Option<Bucket>,
}

impl Root {
    /// The API beside these pages and, where there is one, the embedded bucket.
    pub fn new(coffer: Arc<Coffer>, pages: poem::Route, bucket: Option<Bucket>) -> Self {
        let routes = super::routes(pages);
        Self { coffer, routes, methods: super::openapi::methods(), bucket }
    }

    /// Answers one request.
    pub async fn answer(self: Arc<Self>, peer: SocketAddr, mut request: Request<Incoming>) -> Response<AnswerBody> {
        super::alias(request.uri_mut());
        let begun = Instant::now();
        let request_id = data_encoding::HEXLOWER.encode(&crate::crypto::random::bytes::<16>());
        let method = request.method().clone();
        let span = tracing::info_span!("request", request_id);
        let row = policy::of(&method, request.uri().path());
        async {
            let (mut response, route) = match self.bucket_of(request.uri().path()) {
                Some(bucket) => (self.store(&bucket.front, request).await, "bucket".to_owned()),
                None => self.route(peer, request, &request_id).await,
            };
            count(&method, row, &response, begun.elapsed());
            headers::secure(response.headers_mut(), &self.coffer.http.public_url);
            let id = HeaderValue::from_str(&request_id).expect("hexadecimal digits are a header value");
            response.headers_mut().insert(X_REQUEST_ID, id);
            let (status, took_ms) = (response.status().as_u16(), millis(begun.elapsed()));
            tracing::info!(%method, route, status, took_ms, "answered");
            response
        }
        .instrument(span)
        .await
    }

    /// Answers one request of whoever reads the metrics on their own listener.
    pub async fn answer_monitor(self: Arc<Self>, request: Request<Incoming>) -> Response<AnswerBody> {
        let (parts, _) = request.into_parts();
        let request_id = data_encoding::HEXLOWER.encode(&crate::crypto::random::bytes::<16>());
        let answer = metrics::answer(&self.coffer, &parts, Listener::Own).await;
        let response: Response<BoxBody<Bytes, std::io::Error>> =
            answer.unwrap_or_else(|problem| problem.render(&request_id)).into();
        let mut response = response.map(|body| body.map_err(Into::into).boxed_unsync());
        headers::secure(response.headers_mut(), &self.coffer.http.public_url);
        response
    }

    fn bucket_of(&self, path: &str) -> Option<&Bucket> {
        let bucket = self.bucket.as_ref()?;
        let rest = path.strip_prefix('/')?.strip_prefix(bucket.name.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(bucket)
    }

    async fn store(&self, front: &Front, request: Request<Incoming>) -> Response<AnswerBody> {
        let (parts, body) = request.into_parts();
        let body = PacedBody::new(body, &parts.headers, self.patience());
        let request = Request::from_parts(parts, s3s::Body::http_body(body));
        match front.answer(request).await {
            Ok(mut response) => {
                headers::sandbox(response.headers_mut());
                response.map(|body| body.boxed_unsync())
            }
            Err(error) => {
                let error: Box<dyn StdError + Send + Sync> = error.into();
                tracing::error!(%error, "the embedded bucket failed");
                let mut response = Response::new(AnswerBody::default());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }

    async fn route(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
        request_id: &str,
    ) -> (Response<AnswerBody>, String) {
        let (mut parts, body) = request.into_parts();
        let address = client::address(peer, &parts.headers, &self.coffer.http.trusted_proxies);
        let policy = policy::of(&parts.method, parts.uri.path());
        let context = Context {
            coffer: self.coffer.clone(),
            request_id: request_id.to_owned(),
            address,
            user_agent: client::user_agent(&parts.headers),
            language: client::language(&parts.headers),
            proof: client::proof(&parts.headers, &parts.method, &self.coffer.http.public_url, parts.uri.path()),
            policy,
            meter: quota::meter(policy),
            cut: parts.extensions.remove().unwrap_or_default(),
        };
        let meter = context.meter.clone();
        let proves = context.proof.is_some();
        let mut route =
            context.policy.map_or_else(|| "-".to_owned(), |row| pattern_of(&format!("{PREFIX}{}", row.path)));
        let reader = origin::listed(&parts.headers, &self.coffer.http);
        let answered = self.admitted(parts, body, peer, context, &mut route).await;
        let response = answered.unwrap_or_else(|problem| {
            tracing::debug!(%problem, "refused");
            problem.render(request_id)
        });
        let mut response: Response<BoxBody<Bytes, std::io::Error>> = response.into();
        if proves || response.status() == StatusCode::UNAUTHORIZED {
            self.give_nonce(response.headers_mut());
        }
        quota::tell(response.headers_mut(), meter.quota());
        origin::share(reader, &self.coffer.http, response.headers_mut());
        (response.map(|body| body.map_err(Into::into).boxed_unsync()), route)
    }

    /// Lets a request in, and only then reads its body. One that is refused is read and thrown away for a moment, so that
    /// its client gets to read why.
    async fn admitted(
        &self,
        mut parts: request::Parts,
        body: Incoming,
        peer: SocketAddr,
        context: Context,
        route: &mut String,
    ) -> Result<poem::Response, Problem> {
        let body = PacedBody::new(body, &parts.headers, self.patience());
        if parts.uri.path() == metrics::PATH {
            return metrics::answer(&self.coffer, &parts, Listener::Public).await;
        }
        if let Some(answer) = origin::preflight(&parts, &self.coffer.http) {
            return Ok(answer);
        }
        origin::check(&parts.method, &parts.headers, &self.coffer.http)?;
        if context.policy.is_some_and(|policy| policy.access == Access::Open) && context.meter.counts() {
            context.coffer.floors()?.sessions.count_stranger(&client_info(&context)).await?;
        }
        if context.policy.is_some_and(Policy::needs_session) {
            let caller = Caller::of(&parts, &context).await?;
            parts.extensions.insert(caller);
        }
        let body = self.body(&parts, body).await?;
        parts.extensions.insert(context);
        self.call(parts, body, peer, route).await
    }

    /// The request's body: streamed where content is uploaded, read whole within its limits everywhere else.
    async fn body(&self, parts: &request::Parts, paced: PacedBody) -> Result<poem::Body, Problem> {
        if streams(parts) {
            return Ok(BoxBody::new(paced).into());
        }
        let limit = self.coffer.http.max_json_bytes;
        let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(Code::BodyTooLarge.into());
        }
        match tokio::time::timeout(self.patience(), Limited::new(paced, limit).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes().into()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Code::BodyTooLarge.into()),
            Ok(Err(error)) => Err(match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
                Some(std::io::ErrorKind::TimedOut) => Code::RequestTimeout.into(),
                _ => Problem::new(Code::InvalidRequest).with_detail("The body ended early or was malformed."),
            }),
            Err(_) => Err(Code::RequestTimeout.into()),
        }
    }

    async fn call(
        &self,
        parts: request::Parts,
        body: poem::Body,
        peer: SocketAddr,
        route: &mut String,
    ) -> Result<poem::Response, Problem> {
        legible(&parts.headers)?;
        let streams = streams(&parts);
        let local = LocalAddr(poem::Addr::SocketAddr(self.coffer.http.bind));
        let remote = RemoteAddr(poem::Addr::SocketAddr(peer));
        let parts = poem::RequestParts::from((parts, local, remote, http::uri::Scheme::HTTP));
        let call = self.routes.call(poem::Request::from_parts(parts, body));
        let answered = if streams {
            call.await
        } else {
            match tokio::time::timeout(self.patience(), call).await {
                Ok(answered) => answered,
                Err(_) => return Err(Code::OutcomeUnknown.into()),
            }
        };
        match answered {
            Ok(response) => {
                *route = pattern(response.data::<PathPattern>());
                Ok(response)
            }
            Err(error) => {
                *route = pattern(error.data::<PathPattern>());
                Err(problem::of_framework(&error, || self.methods.get(route).cloned()))
            }
        }
    }

    /// Tells clients that prove their key, or should, which nonce the next proof must name (RFC 9449, section 8).
    fn give_nonce(&self, headers: &mut HeaderMap) {
        if let Ok(floors) = self.coffer.floors()
            && let Ok(nonce) = HeaderValue::from_str(&floors.sessions.nonce())
        {
            headers.insert(DPOP_NONCE, nonce);
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.coffer.http.request_timeout_secs)
    }
}

/// Refuses a condition of bytes that are no text: the framework would take it for absent, and the request for one
/// without a condition.
fn legible(headers: &HeaderMap) -> Result<(), Problem> {
    let is_text = |name| headers.get_all(name).iter().all(|value| value.to_str().is_ok());
    match CONDITIONS.iter().find(|name| !is_text(*name)) {
        None => Ok(()),
        Some(name) => Err(Problem::new(Code::InvalidRequest).with_detail(format!("The header {name} is not text."))),
    }
}

/// Whether this request's body is content, of any length, and so may last for as long as it makes progress.
fn streams(parts: &request::Parts) -> bool {
    let mut segments = parts.uri.path().trim_start_matches('/').split('/').skip(2);
    let shape = (segments.next(), segments.next(), segments.next(), segments.next());
    match parts.method {
        Method::POST => matches!(shape, (Some("folders"), Some(_), Some("files"), None)),
        Method::PUT => matches!(shape, (Some("files"), Some(_), Some("content"), None)),
        _ => false,
    }
}

/// A route's pattern with `*` for each parameter, so that the framework's spelling and the description's agree.
pub fn pattern_of(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with([':', '{', '<']) { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn pattern(found: Option<&PathPattern>) -> String {
    found.map_or_else(|| "-".to_owned(), |pattern| pattern_of(&pattern.0))
}

/// Counts an answer by its row of the table: nothing that a client chose becomes a label.
fn count(method: &Method, row: Option<&'static Policy>, response: &Response<AnswerBody>, took: Duration) {
    let status = response.status().as_u16();
    METRICS.request(method.as_str(), row.map_or("other", |row| row.path), status, took);
    if row.is_some_and(|row| row.class == Class::Auth) {
        METRICS.proof(match status {
            200..300 => Proof::Right,
            401 => Proof::Wrong,
            429 => Proof::LockedOut,
            _ => Proof::Unchecked,
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
