//! The newest changes, for those who follow the vault.
//!
//! One list in memory, bounded, that any number of followers read at their own pace: a follower is a place in it and
//! costs nothing else. Changes are numbered by the log, so a place outlives connections and restarts, and a follower
//! that comes back reads on from where it was. One whose place has left the list is told so, and reads the vault anew;
//! so it is with every place from before this process served.
//!
//! A change says what kind it is and which nodes it is about, and nothing else: no name, no key, no setting.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::{Vault, actor, error::VaultError, id::NodeId, operation::Operation};
use crate::log::{Change, Status};

/// Changes that are kept.
pub const FEED_CHANGES: usize = 4_096;

/// Most nodes that a change names; one about more names none.
pub const MAX_NOTICE_NODES: usize = 100;

/// Most changes that are read at once.
const BATCH: usize = 64;

/// A place in the log: after the operation of this number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPlace {
    /// The entry.
    pub seq: u64,
    /// The operation in it.
    pub index: u32,
}

impl fmt::Display for FeedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.index)
    }
}

impl FromStr for FeedPlace {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (seq, index) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self { seq: seq.parse()?, index: index.parse()? })
    }
}

/// What a change was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
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
    /// A node has the owner's mark.
    Starred,
    /// A node has it no more.
    Unstarred,
    /// A node went to the trash.
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

/// A change, as followers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its place in the log.
    pub place: FeedPlace,
    /// When it was committed, Unix milliseconds.
    pub at_ms: u64,
    /// What it was.
    pub kind: NoticeKind,
    /// The nodes that it is about; none where they are more than [`MAX_NOTICE_NODES`].
    pub nodes: Vec<NodeId>,
    /// The folder that the node is in now, where the change is about that.
    pub parent: Option<NodeId>,
}

/// What a follower reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Following {
    /// What came after its place, the oldest first; may be nothing.
    Notices(Vec<Notice>),
    /// Its place is not in the list: whatever it knows may be old, and it goes on from here.
    Lost(FeedPlace),
}

/// The list.
pub(super) struct Feed {
    list: Mutex<List>,
    newest: watch::Sender<FeedPlace>,
    ended: CancellationToken,
}

#[derive(Default)]
struct List {
    /// The list holds everything after this place; `None` before this process served.
    after: Option<FeedPlace>,
    notices: VecDeque<Notice>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { list: Mutex::default(), newest: watch::Sender::default(), ended: CancellationToken::new() }
    }

    fn begin(&self, place: FeedPlace) {
        *self.list.lock() = List { after: Some(place), notices: VecDeque::new() };
        self.newest.send_replace(place);
    }

    fn forget(&self) {
        *self.list.lock() = List::default();
    }

    fn push(&self, change: &Change<Operation>) {
        let place = FeedPlace { seq: change.seq, index: change.index };
        {
            let mut list = self.list.lock();
            if list.newest().is_none_or(|newest| place <= newest) {
                return;
            }
            let Some(notice) = notice(place, change) else { return };
            if list.notices.len() == FEED_CHANGES {
                list.after = list.notices.pop_front().map(|oldest| oldest.place);
            }
            list.notices.push_back(notice);
        }
        self.newest.send_replace(place);
    }
}

impl List {
    fn newest(&self) -> Option<FeedPlace> {
        self.notices.back().map(|notice| notice.place).or(self.after)
    }

    fn read(&self, place: FeedPlace) -> Option<Following> {
        let (after, newest) = (self.after?, self.newest()?);
        if place < after || place > newest {
            return Some(Following::Lost(newest));
        }
        let first = self.notices.partition_point(|notice| notice.place <= place);
        Some(Following::Notices(self.notices.range(first..).take(BATCH).cloned().collect()))
    }
}

impl Vault {
    /// The newest place, from which a new follower goes on.
    ///
    /// # Errors
    /// [`VaultError::NotServing`] until changes are followed.
    pub fn feed_place(&self) -> Result<FeedPlace, VaultError> {
        self.0.feed.list.lock().newest().ok_or(VaultError::NotServing)
    }

    /// What came after a place.
    ///
    /// # Errors
    /// [`VaultError::NotServing`] until changes are followed.
    pub fn follow(&self, place: FeedPlace) -> Result<Following, VaultError> {
        self.0.feed.list.lock().read(place).ok_or(VaultError::NotServing)
    }

    /// Wakes when there is more to read, or a place was lost.
    pub fn feed_grown(&self) -> watch::Receiver<FeedPlace> {
        self.0.feed.newest.subscribe()
    }

    /// Cancelled when nothing more is followed, since the program stops.
    pub fn feed_ended(&self) -> CancellationToken {
        self.0.feed.ended.clone()
    }

    /// Keeps the list until `stop`, in the background of whoever spawns it.
    pub async fn run_feed(self, stop: CancellationToken) {
        let feed = &self.0.feed;
        let (mut status, mut changes) = (self.0.log.status(), self.changes());
        let mut term = None;
        loop {
            let serving = match &*status.borrow_and_update() {
                Status::Serving { epoch } => Some(*epoch),
                _ => None,
            };
            if serving != term {
                // Others may have written meanwhile, and what they wrote was not followed.
                feed.forget();
                term = None;
                if let Some(epoch) = serving
                    && let Ok(seq) = self.newest_entry().await
                {
                    feed.begin(FeedPlace { seq, index: u32::MAX });
                    term = Some(epoch);
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = status.changed() => if changed.is_err() { break },
                change = changes.recv() => match change {
                    Ok(change) => feed.push(&change),
                    Err(broadcast::error::RecvError::Lagged(_)) => term = None,
                    Err(broadcast::error::RecvError::Closed) => break,
                },
            }
        }
        feed.ended.cancel();
    }

    /// The newest entry's number, with everything that was queued before in it.
    async fn newest_entry(&self) -> Result<u64, VaultError> {
        let asked = self.0.log.commit(actor::itself(), |_, _| Ok::<_, VaultError>((Vec::new(), ()))).await;
        asked.map(|committed| committed.seq).map_err(|_| VaultError::NotServing)
    }
}

fn notice(place: FeedPlace, change: &Change<Operation>) -> Option<Notice> {
    use NoticeKind as Kind;
    let (kind, mut nodes, parent) = match &change.operation {
        Operation::CreateFolder { id, parent, .. } => (Kind::FolderCreated, vec![*id], Some(*parent)),
        Operation::AddFile { id, parent, .. } => (Kind::FileCreated, vec![*id], Some(*parent)),
        Operation::CopyFile { id, parent, .. } => (Kind::FileCreated, vec![*id], Some(*parent)),
        Operation::RestoreVersion { file, .. } => (Kind::ContentChanged, vec![*file], None),
        Operation::AddVersion { file, .. } => (Kind::ContentChanged, vec![*file], None),
        Operation::Rename { id, .. } => (Kind::Renamed, vec![*id], None),
        Operation::Move { id, parent, .. } => (Kind::Moved, vec![*id], Some(*parent)),
        Operation::Star { id, starred: true } => (Kind::Starred, vec![*id], None),
        Operation::Star { id, starred: false } => (Kind::Unstarred, vec![*id], None),
        Operation::Trash { id } => (Kind::Trashed, vec![*id], None),
        Operation::Restore { id, parent, .. } => (Kind::Restored, vec![*id], Some(*parent)),
        Operation::Discard { nodes } => (Kind::Deleted, nodes.clone(), None),
        Operation::Purge { versions, .. } if !versions.is_empty() => {
            let mut files: Vec<_> = versions.iter().map(|older| older.file).collect();
            files.dedup();
            (Kind::VersionsDeleted, files, None)
        }
        Operation::SetSetting { .. } => (Kind::SettingsChanged, Vec::new(), None),
        // How things are kept, not what there is.
        Operation::Purge { .. }
        | Operation::Deleted { .. }
        | Operation::Remember { .. }
        | Operation::RaiseSessionEpoch { .. }
        | Operation::Abandon { .. } => return None,
    };
    if nodes.len() > MAX_NOTICE_NODES {
        nodes.clear();
    }
    Some(Notice { place, at_ms: change.at_ms, kind, nodes, parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trash(seq: u64) -> Change<Operation> {
        Change {
            seq,
            index: 0,
            at_ms: seq,
            meta: std::sync::Arc::default(),
            operation: Operation::Trash { id: NodeId::from_bytes([1; 16]) },
        }
    }

    fn place(seq: u64, index: u32) -> FeedPlace {
        FeedPlace { seq, index }
    }

    fn read(feed: &Feed, from: FeedPlace) -> Following {
        feed.list.lock().read(from).unwrap()
    }

    #[test]
    fn a_follower_reads_on_from_its_place_and_learns_that_it_was_lost() {
        let feed = Feed::new();
        assert!(feed.list.lock().read(place(0, 0)).is_none(), "nothing is followed yet");
        feed.begin(place(7, u32::MAX));
        feed.push(&trash(7));
        assert_eq!(read(&feed, place(7, u32::MAX)), Following::Notices(vec![]), "what was there before is no news");
        for seq in 8..8 + FEED_CHANGES as u64 {
            feed.push(&trash(seq));
        }
        let Following::Notices(first) = read(&feed, place(7, u32::MAX)) else { panic!("at the limit") };
        assert_eq!((first.len(), first[0].place, first[BATCH - 1].place), (BATCH, place(8, 0), place(71, 0)));
        let newest = place(7 + FEED_CHANGES as u64, 0);
        assert_eq!(read(&feed, newest), Following::Notices(vec![]));
        assert_eq!(read(&feed, place(0, 0)), Following::Lost(newest), "from before");
        assert_eq!(read(&feed, place(u64::MAX, 0)), Following::Lost(newest), "from a future that was taken back");
        feed.push(&trash(newest.seq + 1));
        assert_eq!(read(&feed, place(7, u32::MAX)), Following::Lost(place(newest.seq + 1, 0)), "one past the limit");
        assert!(matches!(read(&feed, place(8, 0)), Following::Notices(_)));
        assert_eq!(feed.list.lock().notices.len(), FEED_CHANGES);
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for place in [place(0, 0), place(u64::MAX, u32::MAX), place(17, 3)] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "-", "1", "1-", "-1", "a-b", "1-2-3", "18446744073709551616-0", "1-4294967296"] {
            assert!(text.parse::<FeedPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_change_of_very_many_nodes_names_none_and_settings_keep_their_secret() {
        let of = |operation| {
            notice(place(1, 0), &Change { seq: 1, index: 0, at_ms: 5, meta: std::sync::Arc::default(), operation })
        };
        let nodes = |count| (0..count).map(|_| NodeId::generate()).collect::<Vec<_>>();
        let named = of(Operation::Discard { nodes: nodes(MAX_NOTICE_NODES) }).unwrap();
        assert_eq!(named.nodes.len(), MAX_NOTICE_NODES);
        assert!(of(Operation::Discard { nodes: nodes(MAX_NOTICE_NODES + 1) }).unwrap().nodes.is_empty());
        assert!(of(Operation::Deleted { blobs: vec![] }).is_none());
        assert!(of(Operation::RaiseSessionEpoch { epoch: 1 }).is_none());
    }
}
