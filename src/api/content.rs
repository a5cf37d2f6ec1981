//! Content on its way through the gateway: bodies that are streamed, never held.
//!
//! An upload reaches the vault as the stream that the client sends; a download leaves as the vault's stream of verified
//! bytes, with a length that is always announced. Either breaks off, loudly, when the session behind it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};

use futures_util::{Stream, StreamExt, stream};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{Method, StatusCode};
use poem::{Body, FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use tokio_util::task::AbortOnDropHandle;

use super::caller::Caller;
use super::conditional::{self, Selection, entity_tag};
use super::disposition::Disposition;
use super::headers;
use super::problem::{Code, Problem};
use super::stall::Cut;
use super::text::GivenMediaType;
use crate::session::{HeldTicket, Session};
use crate::vault::{Actor, MediaType, NodeView, OpenFile, Target, Vault, VaultError};

/// Content of a client on its way in.
pub struct Upload {
    declared: Option<String>,
    length: Option<u64>,
    body: Body,
}

impl Upload {
    /// Streams the content into the vault.
    ///
    /// # Errors
    /// What the vault refuses; nothing of the content stays then.
    pub async fn store(
        self,
        caller: &Caller,
        actor: Actor,
        target: Target,
        media_type: Option<GivenMediaType>,
    ) -> Result<NodeView, Problem> {
        let declared = media_type.map(|given| given.0).or(self.declared);
        let media_type = declared.map(|text| MediaType::parse(&text)).transpose();
        let media_type = media_type.map_err(|_| Problem::new(Code::UnsupportedMediaType).with_detail(BAD_TYPE))?;
        let arrived = Arc::new(AtomicBool::new(false));
        let end = arrived.clone();
        let body = WhileLoggedIn::incoming(self.body.into_bytes_stream(), &caller.session);
        let body = body.chain(stream::poll_fn(move |_| {
            end.store(true, Ordering::Relaxed);
            Poll::Ready(None)
        }));
        let stored = caller.vault().upload(actor, target, media_type, self.length, body);
        tokio::select! {
            biased;
            stored = stored => Ok(stored?),
            // A body that broke off is taken back; one that has arrived may be committed at this very moment.
            () = caller.session.ended() => Err(match arrived.load(Ordering::Relaxed) {
                true => Code::OutcomeUnknown.into(),
                false => Code::InvalidToken.into(),
            }),
        }
    }
}

const BAD_TYPE: &str = "Declare a media type such as image/png, or application/octet-stream for none.";

/// The type that a `Content-Type` names, where it names one: `application/octet-stream` says nothing, and curl says
/// `application/x-www-form-urlencoded` of whatever it sends.
///
/// # Errors
/// A form is not content: to store its envelope would surprise everybody.
fn declared_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(header) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    let refused = || Problem::new(Code::UnsupportedMediaType).with_detail(BAD_TYPE);
    let parsed: mime::Mime = header.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(refused)?;
    match (parsed.type_().as_str(), parsed.subtype().as_str()) {
        ("application", "octet-stream" | "x-www-form-urlencoded") => Ok(None),
        ("multipart", _) => Err(Problem::new(Code::UnsupportedMediaType)
            .with_detail("Send the content itself as the body, not a form: curl -T FILE or --data-binary @FILE.")),
        _ => Ok(Some(parsed.to_string())),
    }
}

impl<'a> ApiExtractor<'a> for Upload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/octet-stream", schema: binary() }];
        Some(MetaRequest { description: Some("The content; without a body, it is empty."), content, required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(Self { declared: declared_type(request.headers())?, length, body: body.take()? })
    }
}

/// What a download is conditional on, and which bytes it asks for.
pub struct Conditions {
    method: Method,
    if_match: Option<String>,
    if_none_match: Option<String>,
    range: Option<String>,
    if_range: Option<String>,
}

impl<'a> FromRequest<'a> for Conditions {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let header = |name| joined(request.headers(), name);
        Ok(Self {
            method: request.method().clone(),
            if_match: header(IF_MATCH),
            if_none_match: header(IF_NONE_MATCH),
            range: header(RANGE),
            if_range: header(IF_RANGE),
        })
    }
}

/// Who reads: bytes go out for as long as its session lives.
pub struct Reader<'a> {
    /// The vault.
    pub vault: &'a Vault,
    /// The session.
    pub session: &'a Session,
    /// Ends the connection that the bytes go to.
    pub cut: &'a Cut,
    /// The ticket that it came by, held until the last byte.
    pub held: Option<HeldTicket>,
}

impl Conditions {
    /// Answers with the bytes of `file` that are asked for, in the order of RFC 9110, section 13.2.2.
    ///
    /// # Errors
    /// 412, 416, or what the vault says of the first bytes: a failure in the middle can only break the connection off.
    pub async fn answer(
        self,
        reader: Reader<'_>,
        file: OpenFile,
        disposition: Disposition,
    ) -> Result<Download, Problem> {
        let version = file.version.hex();
        if self.if_match.is_some_and(|tags| !conditional::if_match(&tags, &version)) {
            return Err(Code::PreconditionFailed.into());
        }
        if self.if_none_match.is_some_and(|tags| !conditional::if_none_match(&tags, &version)) {
            return Ok(Download::NotModified { version });
        }
        // A range is defined for GET alone (section 14.2).
        let range = self.range.filter(|_| self.method == Method::GET);
        let selection = conditional::select(range.as_deref(), self.if_range.as_deref(), &version, file.size_bytes);
        let range = match &selection {
            Selection::Whole => 0..file.size_bytes,
            Selection::Part(range) => range.clone(),
            Selection::Unsatisfiable => {
                let header = format!("bytes */{}", file.size_bytes);
                return Err(Problem::new(Code::RangeNotSatisfiable).with_header(CONTENT_RANGE, &header));
            }
        };
        let head = Head {
            version,
            disposition: disposition.header(file.name.as_str()),
            media_type: file.media_type.to_string(),
            size_bytes: file.size_bytes,
            selection,
        };
        let length = range.end - range.start;
        if self.method == Method::HEAD || length == 0 {
            return Ok(Download::Content { head, length, body: Body::empty() });
        }
        let mut stream = Box::pin(reader.vault.read(&file, range));
        let first = stream.next().await.transpose()?;
        let held = reader.held;
        let rest = stream.map(move |item| {
            let _ = &held;
            item.map_err(broken_off)
        });
        let bytes = futures_util::stream::iter(first.map(Ok)).chain(rest);
        let body = Body::from_bytes_stream(WhileLoggedIn::outgoing(bytes, reader.session, reader.cut));
        Ok(Download::Content { head, length, body })
    }
}

/// A download's answer.
pub enum Download {
    /// All or some of the content: 200 or 206.
    Content {
        /// What is said of it.
        head: Head,
        /// The bytes that follow.
        length: u64,
        /// The bytes.
        body: Body,
    },
    /// The client has this version already: 304.
    NotModified {
        /// The version.
        version: String,
    },
}

/// What a download says before the bytes.
pub struct Head {
    version: String,
    disposition: String,
    media_type: String,
    size_bytes: u64,
    selection: Selection,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let (head, length, body) = match self {
            Self::Content { head, length, body } => (head, length, body),
            Self::NotModified { version } => {
                let response = Response::builder().status(StatusCode::NOT_MODIFIED);
                return response.header(ETAG, entity_tag(&version)).finish();
            }
        };
        let media_type = HeaderValue::from_str(&head.media_type)
            .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
        let mut response = Response::builder()
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_LENGTH, length)
            .header(CONTENT_DISPOSITION, head.disposition)
            .header(ACCEPT_RANGES, "bytes")
            .header(ETAG, entity_tag(&head.version))
            .body(body);
        if let Selection::Part(range) = &head.selection {
            response.set_status(StatusCode::PARTIAL_CONTENT);
            let range = format!("bytes {}-{}/{}", range.start, range.end - 1, head.size_bytes);
            response.headers_mut().insert(CONTENT_RANGE, range.parse().expect("digits are a header value"));
        }
        headers::sandbox(response.headers_mut());
        response
    }
}

impl ApiResponse for Download {
    fn meta() -> MetaResponses {
        let header = |name: HeaderName, description: &str| MetaHeader {
            name: name.as_str().to_owned(),
            description: Some(description.to_owned()),
            required: false,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let content = |status, description, extra: Option<MetaHeader>| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: "*/*", schema: binary() }],
            headers: [
                header(ETAG, "The version's entity tag."),
                header(CONTENT_DISPOSITION, "Whether to save it, and the file's name."),
            ]
            .into_iter()
            .chain(extra)
            .collect(),
        };
        MetaResponses {
            responses: vec![
                content(200, "The content.", None),
                content(206, "Some of the content.", Some(header(CONTENT_RANGE, "Which bytes these are."))),
                MetaResponse {
                    description: "The client has this version already.",
                    status: Some(304),
                    status_range: None,
                    content: vec![],
                    headers: vec![header(ETAG, "The version's entity tag.")],
                },
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// A stream that breaks off when the session behind it ends.
pub struct WhileLoggedIn<S> {
    stream: S,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The connection that the bytes go to, which ends with the session.
    cut: Option<Cut>,
    /// Cuts it when nobody asks the stream for more.
    _watch: Option<AbortOnDropHandle<()>>,
}

impl<S> WhileLoggedIn<S> {
    /// What a client sends.
    fn incoming(stream: S, session: &Session) -> Self {
        Self { stream, ended: Box::pin(session.ended()), cut: None, _watch: None }
    }

    /// What a client gets: its connection ends with the session, however slowly it reads.
    pub fn outgoing(stream: S, session: &Session, cut: &Cut) -> Self {
        let (ended, connection) = (session.ended(), cut.clone());
        let watch = tokio::spawn(async move {
            ended.await;
            connection.now();
        });
        let watch = Some(AbortOnDropHandle::new(watch));
        Self { cut: Some(cut.clone()), _watch: watch, ..Self::incoming(stream, session) }
    }
}

impl<S, T> Stream for WhileLoggedIn<S>
where
    S: Stream<Item = io::Result<T>> + Unpin,
{
    type Item = io::Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.ended.as_mut().poll(cx).is_ready() {
            self.ended = Box::pin(std::future::pending());
            if let Some(cut) = &self.cut {
                cut.now();
            }
            return Poll::Ready(Some(Err(io::ErrorKind::PermissionDenied.into())));
        }
        self.stream.poll_next_unpin(cx)
    }
}

/// The status is out already, so all that is left is to end the connection early and to say why in the log.
fn broken_off(error: VaultError) -> io::Error {
    tracing::error!(%error, "a download broke off");
    io::Error::other(error)
}

/// All lines of a header as one, as RFC 9110, section 5.3 lets a recipient see them.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

fn binary() -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specific_type_is_taken_and_a_form_is_not() {
        let declared = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, value.parse().unwrap());
            }
            declared_type(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(declared(None), Ok(None));
        assert_eq!(declared(Some("application/octet-stream")), Ok(None));
        assert_eq!(declared(Some("application/x-www-form-urlencoded")), Ok(None));
        assert_eq!(declared(Some("image/png")), Ok(Some("image/png".into())));
        assert_eq!(declared(Some("multipart/form-data; boundary=x")), Err(Code::UnsupportedMediaType));
        assert_eq!(declared(Some("image")), Err(Code::UnsupportedMediaType));
    }
}
