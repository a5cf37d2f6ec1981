//! Loading: list, fetch, choose the chain, restore, replay.
//!
//! The decisions are [`super::chain`]'s and [`super::freshness`]'s; this module brings them the objects, many at a time, and
//! builds the state from what they chose. It writes nothing. The caller **must** have put its marker before: whatever an
//! earlier writer acknowledged is then in the listing.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use thiserror::Error;
use tracing::warn;

use super::anchor::{Anchor, AnchorFile};
use super::chain::{Chain, Hash, Link, Links, Listing, Step, follow};
use super::checkpoint::{self, Unusable, Which};
use super::entry::{EntryError, Envelope, own_operations};
use super::freshness::{self, Memory, Remembered};
use super::index::{Index, Written};
use super::name::{LOGS, Place, checkpoints_of, entries_of};
use super::own::OwnOperation;
use super::{Inconsistent, LogParts, Machine};
use crate::crypto::{ENTRY_MAX, EntryPosition, OpenError, sha256};
use crate::state::StateError;
use crate::store::StoreError;

/// Entries that are fetched at once.
pub(crate) const FETCHES_AT_ONCE: usize = 32;
/// Where content lies: a new log is not begun beside it.
const BLOBS: &str = "blob/";

/// Why there is no state.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// The bucket did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis did not answer.
    #[error(transparent)]
    State(#[from] StateError),
    /// What is there can't be the log, or not one for this program.
    #[error("{0}")]
    Refused(String),
}

/// What the memories outside the bucket hold.
pub(crate) struct Memories {
    /// Redis's anchor, as it lies there: the parent of the next.
    pub(crate) in_redis: Option<Vec<u8>>,
    /// All of them, opened, Redis's first.
    pub(crate) all: Vec<Memory>,
}

/// A state and what was seen on the way to it.
pub(crate) struct Loaded<M> {
    /// The state as of the head.
    pub(crate) index: Index<M>,
    /// Where it came from; `None` for a log that has no entries yet.
    pub(crate) chain: Option<Chain>,
    /// Entries beside the chain.
    pub(crate) forks: Vec<Place>,
    /// Damage that did not matter.
    pub(crate) notices: Vec<String>,
    /// Why a log without entries can't be a new one.
    pub(crate) hollow: Option<String>,
}

/// What is known of a log before it is loaded.
#[derive(Clone, Copy)]
pub(crate) enum Rank<'a> {
    /// The vault's own log: content in the bucket was committed by it.
    First,
    /// Another one.
    Later {
        /// The logs that the first one knows to have been begun.
        begun: &'a [String],
    },
}

impl Memories {
    /// Asks every memory.
    pub(crate) async fn ask(
        parts: &LogParts,
        log: &'static str,
        own: Option<&Anchor>,
        file: Option<&AnchorFile>,
    ) -> Result<Self, LoadError> {
        let open = |sealed: &[u8]| match Anchor::open(&parts.keys, log, sealed) {
            Some(anchor) => Remembered::Anchor(anchor),
            None => Remembered::Unreadable,
        };
        let in_redis = parts.state.anchor(log).await?;
        let redis = in_redis.as_deref().map_or(Remembered::Nothing, open);
        let mut all = vec![("Redis", redis)];
        if let Some(anchor) = own {
            all.push(("this process", Remembered::Anchor(anchor.clone())));
        }
        if let Some(file) = file {
            let sealed =
                file.read().map_err(|error| LoadError::Refused(format!("STATE_DIR can't be read: {error}")))?;
            all.push(("STATE_DIR", sealed.as_deref().map_or(Remembered::Nothing, open)));
        }
        Ok(Self { in_redis, all })
    }

    /// The highest epoch that any of them knows.
    pub(crate) fn epoch(&self) -> u64 {
        freshness::newest(&self.all).map_or(0, |anchor| anchor.place.term.epoch)
    }

    /// Whether Redis knows less than it was told. A writer that ends between its PUT and its script leaves Redis one
    /// entry behind; more means that Redis lost something: its anchor, or everything since an old dump.
    pub(crate) fn redis_is_behind(&self, head_seq: u64) -> bool {
        match self.all.first() {
            Some((_, Remembered::Anchor(anchor))) => anchor.place.seq.saturating_add(1) < head_seq,
            _ => true,
        }
    }
}

/// Loads the log's state, reporting (entries done, entries in all) on the way.
pub(crate) async fn load<M: Machine>(
    parts: &LogParts,
    memories: &Memories,
    rank: Rank<'_>,
    progress: impl Fn(u64, u64),
) -> Result<Loaded<M>, LoadError> {
    let (log, snapshots) = (entries_of(M::NAME), checkpoints_of(M::NAME));
    let (entries, checkpoints) = tokio::try_join!(parts.store.list(&log), parts.store.list(&snapshots))?;
    let (names, strange): (Vec<_>, Vec<_>) = entries
        .iter()
        .map(|object| (Place::from_entry_key(M::NAME, &object.key), &object.key))
        .partition(|(place, _)| place.is_some());
    let mut notices: Vec<String> = strange.iter().map(|(_, key)| format!("{key} is no entry of this log")).collect();
    let listing = Listing::new(names.into_iter().filter_map(|(place, _)| place));
    if listing.is_empty() {
        let hollow = hollow::<M>(parts, memories, rank, checkpoints.is_empty()).await?;
        let hollow = hollow.map(|beside| format!("{LOGS}{} has no entries though {beside}", M::NAME));
        return match (rank, hollow) {
            // Without the tree there is nothing to go on from.
            (Rank::First, Some(reason)) => Err(LoadError::Refused(reason)),
            (_, hollow) => Ok(Loaded { index: Index::empty(), chain: None, forks: vec![], notices, hollow }),
        };
    }
    let hint = checkpoints.iter().filter(|object| object.key.ends_with("/head"));
    let hint = hint.filter_map(|object| Place::from_checkpoint_key(M::NAME, &object.key)).map(|place| place.seq).max();
    let (fetched, links, unusable) = (HashMap::new(), Links::new(), HashSet::new());
    let mut loader = Loader::<M> { parts, fetched, links, unusable, machine: PhantomData };
    let first: Vec<Place> = listing.above(hint).chain(listing.highest()).collect();
    progress(0, first.len() as u64);
    loader.fetch(first).await?;
    let (index, chain) = loader.choose(&listing, freshness::deepest(&memories.all), &mut notices, &progress).await?;
    let forks = listing.forks(&chain);
    Ok(Loaded { index, chain: Some(chain), forks, notices, hollow: None })
}

/// What only a log can have made, beside one that is empty: it was taken away.
async fn hollow<M: Machine>(
    parts: &LogParts,
    memories: &Memories,
    rank: Rank<'_>,
    has_no_checkpoints: bool,
) -> Result<Option<String>, LoadError> {
    let remembered = memories.all.iter().find(|(_, remembered)| !matches!(remembered, Remembered::Nothing));
    Ok(match (remembered, rank) {
        (Some((name, _)), _) => Some(format!("{name} remembers entries")),
        (None, _) if !has_no_checkpoints => Some("it has checkpoints".to_owned()),
        (None, Rank::First) => parts.store.any_under(BLOBS).await?.then(|| format!("{BLOBS} is not empty")),
        (None, Rank::Later { begun }) => {
            begun.iter().any(|name| name == M::NAME).then(|| "the vault remembers that it was begun".to_owned())
        }
    })
}

/// An opened entry that waits for its turn. Its body stays as it was written: thousands may wait, and decoded they take
/// several times the memory.
pub(crate) struct Fetched {
    size_bytes: u64,
    /// The envelope's CBOR.
    pub(crate) body: Vec<u8>,
}

struct Loader<'a, M: Machine> {
    parts: &'a LogParts,
    fetched: HashMap<Place, Fetched>,
    links: Links,
    unusable: HashSet<Hash>,
    machine: PhantomData<M>,
}

impl<M: Machine> Loader<'_, M> {
    const WHICH: Which = Which { name: M::NAME, number: M::NUMBER };

    async fn choose(
        &mut self,
        listing: &Listing,
        down_to: u64,
        notices: &mut Vec<String>,
        progress: &impl Fn(u64, u64),
    ) -> Result<(Index<M>, Chain), LoadError> {
        loop {
            let chain = match follow(listing, &self.links, &self.unusable, down_to) {
                Step::Fetch(names) => {
                    self.fetch(names).await?;
                    continue;
                }
                Step::Nothing => {
                    return Err(LoadError::Refused(format!(
                        "none of the {} entries of {LOGS}{} leads back to a beginning",
                        listing.len(),
                        M::NAME
                    )));
                }
                Step::Found(chain) => chain,
            };
            let base = match &chain.base {
                None => Index::empty(),
                Some(committed) => match checkpoint::read(self.parts, Self::WHICH, committed).await {
                    Ok(state) => {
                        Index::restore(committed, &state).map_err(|error| inconsistent(committed.place, &error))?
                    }
                    Err(Unusable::Store(error)) => return Err(error.into()),
                    Err(Unusable::Damaged) => {
                        let notice = format!("the checkpoint {} is damaged or gone", committed.place);
                        warn!("{notice}");
                        notices.push(notice);
                        self.unusable.insert(committed.head_hash);
                        continue;
                    }
                },
            };
            let index = self.replay(base, &chain, progress)?;
            return Ok((index, chain));
        }
    }

    fn replay(
        &mut self,
        mut index: Index<M>,
        chain: &Chain,
        progress: &impl Fn(u64, u64),
    ) -> Result<Index<M>, LoadError> {
        let total = chain.entries.len() as u64;
        for (done, place) in (0..).zip(&chain.entries) {
            let fetched = self.fetched.remove(place).expect("an entry on the chain was opened");
            let hash = *chain.hashes.get(&place.seq).expect("an entry on the chain was followed");
            let written = Written { place: *place, hash, size_bytes: fetched.size_bytes };
            let envelope = Envelope::decode(&fetched.body).map_err(|error| unreadable::<M>(*place, &error))?;
            index.apply(&written, envelope).map_err(|error| inconsistent(*place, &error))?;
            if done % 1024 == 0 {
                progress(done, total);
            }
        }
        Ok(index)
    }

    async fn fetch(&mut self, names: Vec<Place>) -> Result<(), LoadError> {
        let names: HashSet<Place> = names.into_iter().filter(|name| !self.links.contains_key(name)).collect();
        let parts = self.parts;
        let mut opened = stream::iter(names)
            .map(|place| async move { fetch_one::<M>(parts, place).await.map(|opened| (place, opened)) })
            .buffer_unordered(FETCHES_AT_ONCE);
        while let Some((place, opened)) = opened.try_next().await? {
            let (link, fetched) = opened.unzip();
            self.links.insert(place, link);
            self.fetched.extend(fetched.map(|fetched| (place, fetched)));
        }
        Ok(())
    }
}

/// Fetches and opens one entry; `None` for one that is gone or does not open.
pub(crate) async fn fetch_one<M: Machine>(
    parts: &LogParts,
    place: Place,
) -> Result<Option<(Link, Fetched)>, LoadError> {
    let key = place.entry_key(M::NAME);
    let object = match parts.store.get(&key, ENTRY_MAX as u64).await {
        Err(StoreError::NotFound | StoreError::TooLarge) => return Ok(None),
        object => object?,
    };
    let opened = match parts.keys.open_entry(&position::<M>(place), &object) {
        Ok(opened) => opened,
        Err(OpenError::Refused) => return Ok(None),
        Err(error @ OpenError::UnknownKey(_)) => {
            warn!(object = %key, %error, "an entry can't be opened");
            return Ok(None);
        }
    };
    // Only the log's own operations decide about the chain; the machine's are read, and judged, when it is their turn.
    let own = own_operations(&opened.body).map_err(|error| unreadable::<M>(place, &error))?;
    let checkpoints = own.into_iter().filter_map(|operation| match operation {
        OwnOperation::Checkpoint(checkpoint) => Some(checkpoint),
        _ => None,
    });
    let link = Link { hash: sha256(&object), prev: opened.prev, checkpoints: checkpoints.collect() };
    Ok(Some((link, Fetched { size_bytes: object.len() as u64, body: opened.body })))
}

/// An entry's place as its seal knows it.
pub(crate) fn position<M: Machine>(place: Place) -> EntryPosition {
    EntryPosition { log: M::NAME, seq: place.seq, epoch: place.term.epoch, writer: place.term.writer }
}

fn unreadable<M: Machine>(place: Place, error: &EntryError) -> LoadError {
    LoadError::Refused(format!("the entry {} can't be read: {error}", place.entry_key(M::NAME)))
}

fn inconsistent(place: Place, error: &Inconsistent) -> LoadError {
    LoadError::Refused(format!("{place}: {error}"))
}
