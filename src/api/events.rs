//! `/events`: what changes in the vault, told as it happens (Server-Sent Events, WHATWG HTML, section 9.2).
//!
//! A stream says where it begins (`ready`), then each change in the order of the log. Its ids are places in the log: the
//! last one in `Last-Event-ID` resumes, and where that is too old the stream says `reset`, and whoever follows reads anew
//! what it shows. A comment now and then tells both ends that the other is there. Streams are few, cost a place in a
//! list that is kept anyway, and end with the session and with the program.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use futures_util::{Stream, stream};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use poem::{Body, IntoResponse, Response};
use poem_openapi::param::Header;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::content::WhileLoggedIn;
use super::openapi::Tag;
use super::problem::{Code, Problem, Reading, Refused};
use super::schema::time_of;
use super::text::EventRef;
use crate::vault::{FeedPlace, Following, Notice, NoticeKind, Vault};

/// Most streams at one time; one more is answered `BUSY`.
pub const MAX_EVENT_STREAMS: usize = 64;

/// Between two signs of life where nothing changes.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// After what time a client whose stream broke off may come back, in milliseconds.
const RETRY_MS: u32 = 2_000;

/// The `data` of a `change`.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ChangeEvent {
    /// What happened.
    kind: ChangeKind,
    /// The nodes that it happened to; none where they are more than 100.
    nodes: Vec<String>,
    /// The folder that the node is in now, where the change is about that.
    parent: Option<String>,
    /// When.
    at: OffsetDateTime,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A folder was made.
    FolderCreated,
    /// A file was made.
    FileCreated,
    /// A file has a new version.
    ContentChanged,
    /// A node has another name.
    Renamed,
    /// A node is in another folder.
    Moved,
    /// A node was starred.
    Starred,
    /// A node is starred no more.
    Unstarred,
    /// A node went to the trash, with all below it.
    Trashed,
    /// A node came back from the trash.
    Restored,
    /// Nodes were deleted for ever.
    Deleted,
    /// Older versions of files were deleted for ever.
    VersionsDeleted,
    /// A setting of the owner changed.
    SettingsChanged,
}

/// The handler of `/events`.
pub struct Changes;

#[OpenApi(prefix_path = "/events", tag = "Tag::Events")]
impl Changes {
    /// Follow what changes
    ///
    /// A stream of server-sent events that ends with the session. `ready` says where it begins; `change` is one change, with a
    /// `ChangeEvent` as its `data`; `reset` says that the place in `Last-Event-ID` is not known any more: read anew what you
    /// show. Every event has an id to go on from.
    #[oai(path = "/", method = "get", operation_id = "follow_events")]
    async fn follow(
        &self,
        caller: Caller,
        /// The id of the last event that was seen; without it, the stream begins now.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<EventRef>>,
    ) -> Result<Events, Refused<Reading>> {
        let Some(slot) = caller.context.coffer.event_stream() else {
            let busy = Problem::new(Code::Busy).with_detail("Too many streams of events are open.");
            return Err(busy.with_header(RETRY_AFTER, "5").into());
        };
        let vault = caller.vault().clone();
        let place = last.0.map_or_else(|| vault.feed_place(), |last| Ok(last.0))?;
        let follower = Follower {
            place,
            grown: vault.feed_grown(),
            ended: vault.feed_ended(),
            waiting: VecDeque::from([format!("retry: {RETRY_MS}\n{}", event(place, "ready", "{}"))]),
            vault,
            _slot: slot,
        };
        let told = WhileLoggedIn::outgoing(Box::pin(follower.told()), &caller.session, &caller.context.cut);
        Ok(Events(Body::from_bytes_stream(told)))
    }
}

/// One who follows: a place in the list of changes.
struct Follower {
    vault: Vault,
    place: FeedPlace,
    grown: watch::Receiver<FeedPlace>,
    ended: CancellationToken,
    waiting: VecDeque<String>,
    _slot: OwnedSemaphorePermit,
}

impl Follower {
    fn told(self) -> impl Stream<Item = io::Result<String>> + Send {
        stream::unfold(self, async |mut follower| Some((Ok(follower.next().await?), follower)))
    }

    /// What to say next; `None` when the program stops.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.waiting.pop_front() {
                return Some(text);
            }
            // Seen before it is read, so that nothing that comes in between is missed.
            self.grown.borrow_and_update();
            match self.vault.follow(self.place) {
                Ok(Following::Notices(notices)) => {
                    self.place = notices.last().map_or(self.place, |last| last.place);
                    self.waiting.extend(notices.into_iter().map(told));
                }
                Ok(Following::Lost(place)) => {
                    self.place = place;
                    self.waiting.push_back(event(place, "reset", "{}"));
                }
                // Another process serves, or this one loads: there will be more, or a reset.
                Err(_) => {}
            }
            if !self.waiting.is_empty() {
                continue;
            }
            tokio::select! {
                () = self.ended.cancelled() => return None,
                grown = self.grown.changed() => grown.ok()?,
                () = tokio::time::sleep(HEARTBEAT) => return Some(":\n\n".to_owned()),
            }
        }
    }
}

fn told(notice: Notice) -> String {
    let place = notice.place;
    event(place, "change", &ChangeEvent::from(notice).to_json_string())
}

/// One event; `data` is a single line.
fn event(place: FeedPlace, name: &str, data: &str) -> String {
    format!("id: {place}\nevent: {name}\ndata: {data}\n\n")
}

/// A stream of events.
pub struct Events(Body);

impl IntoResponse for Events {
    fn into_response(self) -> Response {
        // Proxies that collect answers would tell everything late.
        Response::builder().header(CONTENT_TYPE, "text/event-stream").header("x-accel-buffering", "no").body(self.0)
    }
}

impl ApiResponse for Events {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The events, for as long as the session lives.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType { content_type: "text/event-stream", schema }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ChangeEvent::register(registry);
    }
}

impl From<Notice> for ChangeEvent {
    fn from(notice: Notice) -> Self {
        Self {
            kind: notice.kind.into(),
            nodes: notice.nodes.iter().map(ToString::to_string).collect(),
            parent: notice.parent.map(|parent| parent.to_string()),
            at: time_of(notice.at_ms),
        }
    }
}

impl From<NoticeKind> for ChangeKind {
    fn from(kind: NoticeKind) -> Self {
        match kind {
            NoticeKind::FolderCreated => Self::FolderCreated,
            NoticeKind::FileCreated => Self::FileCreated,
            NoticeKind::ContentChanged => Self::ContentChanged,
            NoticeKind::Renamed => Self::Renamed,
            NoticeKind::Moved => Self::Moved,
            NoticeKind::Starred => Self::Starred,
            NoticeKind::Unstarred => Self::Unstarred,
            NoticeKind::Trashed => Self::Trashed,
            NoticeKind::Restored => Self::Restored,
            NoticeKind::Deleted => Self::Deleted,
            NoticeKind::VersionsDeleted => Self::VersionsDeleted,
            NoticeKind::SettingsChanged => Self::SettingsChanged,
        }
    }
}
