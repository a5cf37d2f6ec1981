//! Entries read again: a stretch of the log that is no longer in memory, fetched and proven.
//!
//! A stretch ends at an entry whose hash is known, and is followed back from there by `prev`; so what is returned is the
//! log, whole, whatever else lies under its names. It deliberately keeps nothing.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use thiserror::Error;

use super::chain::Link;
use super::entry::Envelope;
use super::index::{Head, operations};
use super::load::{FETCHES_AT_ONCE, Fetched, LoadError, fetch_one};
use super::name::{Place, block_of, names_in_block};
use super::{CommitMeta, Log, Machine};
use crate::store::StoreError;

/// An entry that was read again.
#[derive(Clone, Debug)]
pub struct Entry<O> {
    /// Where it lies.
    pub place: Place,
    /// Its time, Unix milliseconds.
    pub at_ms: u64,
    /// The machine's operations with their numbers in the entry and with who asked for them.
    pub operations: Vec<(u32, Arc<CommitMeta>, O)>,
}

/// Why a stretch can't be read.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The bucket did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry is gone, was changed or says what this program does not know.
    #[error("the entry {seq} of the log {log} is missing or damaged")]
    Broken {
        /// The log's name.
        log: &'static str,
        /// The entry's number.
        seq: u64,
    },
}

impl<M: Machine> Log<M> {
    /// The entries from the number `first` to `last`, oldest first. Memory grows with their number.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn entries(&self, first: u64, last: &Head) -> Result<Vec<Entry<M::Operation>>, HistoryError> {
        let parts = self.parts();
        let mut names = Vec::new();
        for block in block_of(first)..=block_of(last.place.seq) {
            let listed = parts.store.list(&names_in_block(M::NAME, block)).await?;
            names.extend(listed.iter().filter_map(|object| Place::from_entry_key(M::NAME, &object.key)));
        }
        names.retain(|place| (first..=last.place.seq).contains(&place.seq));
        let fetched = stream::iter(names).map(|place| async move {
            match fetch_one::<M>(parts, place).await {
                Ok(opened) => Ok(opened.map(|opened| (place, opened))),
                Err(LoadError::Store(error)) => Err(HistoryError::Store(error)),
                Err(_) => Err(HistoryError::Broken { log: M::NAME, seq: place.seq }),
            }
        });
        let opened: Vec<_> = fetched.buffer_unordered(FETCHES_AT_ONCE).try_collect().await?;
        let opened = opened.into_iter().flatten().map(|(place, (link, fetched))| (link.hash, (place, link, fetched)));
        follow_back::<M>(first, last, opened.collect())
    }
}

type Opened = HashMap<[u8; 32], (Place, Link, Fetched)>;

fn follow_back<M: Machine>(
    first: u64,
    last: &Head,
    mut opened: Opened,
) -> Result<Vec<Entry<M::Operation>>, HistoryError> {
    let mut entries = Vec::new();
    let mut wanted = last.hash;
    for seq in (first..=last.place.seq).rev() {
        let found = opened.remove(&wanted).filter(|(place, ..)| place.seq == seq);
        let Some((place, link, fetched)) = found else { return Err(HistoryError::Broken { log: M::NAME, seq }) };
        wanted = link.prev;
        let envelope: Envelope<M::Operation> =
            Envelope::decode(&fetched.body).map_err(|_| HistoryError::Broken { log: M::NAME, seq })?;
        let operations = operations(&envelope.commits).map(|(index, commit, operation)| {
            let meta = Arc::new(commit.meta());
            (index, meta, operation.clone())
        });
        entries.push(Entry { place, at_ms: envelope.at_ms, operations: operations.collect() });
    }
    entries.reverse();
    Ok(entries)
}
