//! Checkpoints as objects: the state as of an entry, in sealed parts, and a sealed head that names them.
//!
//! Parts are 8 MiB Cobblestone-256 messages bound to log, place, number and finality; the head pins their salts. A
//! checkpoint is read back before it is committed, and a loader uses only one whose commit is on its chain. This module
//! does not know what the state is.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::LogParts;
use super::chain::Hash;
use super::entry::{from_cbor, to_cbor};
use super::name::Place;
use super::own::CommittedCheckpoint;
use crate::crypto::{CHECKPOINT_PART, CheckpointPart, Kid, Label, record_kid, sha256};
use crate::store::{Store, StoreError};

/// Parts that are on their way at once.
const PARTS_AT_ONCE: usize = 4;
/// Room for a sealed part beyond its plaintext.
const PART_OVERHEAD: u64 = 64 * 1024;
/// The largest head that is read: some 200,000 parts.
const HEAD_MAX_BYTES: u64 = 8 << 20;

/// Which log, by name and number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    /// Its name in keys.
    pub(crate) name: &'static str,
    /// Its number in a part's context.
    pub(crate) number: u8,
}

/// Why a checkpoint can't be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is not what was committed.
    Damaged,
    /// The bucket did not answer.
    Store(StoreError),
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Head {
    #[n(0)]
    place: Place,
    #[cbor(n(1), with = "minicbor::bytes")]
    entry_hash: Hash,
    #[n(2)]
    parts: Vec<Part>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Part {
    #[n(0)]
    size_bytes: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    salt: [u8; 24],
}

/// Writes the state as of the entry `place.seq`, reads it back, and returns what must be committed to make it count.
///
/// `place` **must** be one that nothing was written to before.
pub(crate) async fn write(
    parts: &LogParts,
    which: Which,
    place: Place,
    entry_hash: Hash,
    (at_ms, state): (u64, Vec<u8>),
) -> Result<CommittedCheckpoint, StoreError> {
    let size_bytes = state.len() as u64;
    let pieces = pieces(size_bytes);
    let state = Bytes::from(state);
    let sent = stream::iter(0..pieces).map(|number| {
        let plain = state.slice(span(number, state.len()));
        let context = context(which, place, number, pieces);
        async move {
            let keys = parts.keys.clone();
            let size_bytes = plain.len() as u64;
            let seal = move || keys.seal_checkpoint_part(&context, &plain);
            let (salt, sealed) = tokio::task::spawn_blocking(seal).await.expect("sealing does not panic");
            put_and_read_back(&parts.store, &place.part_key(which.name, number), sealed).await?;
            Ok::<_, StoreError>(Part { size_bytes, salt })
        }
    });
    let listed: Vec<Part> = sent.buffered(PARTS_AT_ONCE).try_collect().await?;
    let head = to_cbor(&Head { place, entry_hash, parts: listed });
    let sealed = parts.keys.seal(Label::CheckpointHead, &aad(which, place), &head);
    let head_hash = sha256(&sealed);
    put_and_read_back(&parts.store, &place.head_key(which.name), sealed).await?;
    Ok(CommittedCheckpoint { place, entry_hash, head_hash, size_bytes, at_ms })
}

/// Reads the state that a committed checkpoint holds.
pub(crate) async fn read(parts: &LogParts, which: Which, committed: &CommittedCheckpoint) -> Result<Vec<u8>, Unusable> {
    let place = committed.place;
    let sealed = get(&parts.store, &place.head_key(which.name), HEAD_MAX_BYTES).await?;
    if sha256(&sealed) != committed.head_hash {
        return Err(Unusable::Damaged);
    }
    let kid = record_kid(&sealed).map_err(|_| Unusable::Damaged)?;
    let plain = parts.keys.open(Label::CheckpointHead, &aad(which, place), &sealed).map_err(|_| Unusable::Damaged)?;
    let head: Head = from_cbor(&plain).ok_or(Unusable::Damaged)?;
    let lengths: u64 = head.parts.iter().map(|part| part.size_bytes).sum();
    if head.place != place || head.entry_hash != committed.entry_hash || lengths != committed.size_bytes {
        return Err(Unusable::Damaged);
    }
    let count = u32::try_from(head.parts.len()).map_err(|_| Unusable::Damaged)?;
    let opened = stream::iter((0..count).zip(head.parts)).map(|(number, part)| {
        let context = context(which, place, number, count);
        async move { open_part(parts, kid, which, context, part).await }
    });
    let whole = usize::try_from(committed.size_bytes).map_err(|_| Unusable::Damaged)?;
    let into = Vec::with_capacity(whole);
    let append = |mut state: Vec<u8>, piece: Zeroizing<Vec<u8>>| async move {
        state.extend_from_slice(&piece);
        Ok(state)
    };
    opened.buffered(PARTS_AT_ONCE).try_fold(into, append).await
}

async fn open_part(
    parts: &LogParts,
    kid: Kid,
    which: Which,
    context: CheckpointPart,
    part: Part,
) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let place = Place { term: super::Term { epoch: context.epoch, writer: context.writer }, seq: context.seq };
    let max_bytes = part.size_bytes.saturating_add(PART_OVERHEAD);
    let sealed = get(&parts.store, &place.part_key(which.name, context.part), max_bytes).await?;
    let keys = parts.keys.clone();
    let open = move || keys.open_checkpoint_part(kid, &context, &part.salt, &sealed);
    let plain = tokio::task::spawn_blocking(open).await.expect("opening does not panic");
    let plain = plain.map_err(|_| Unusable::Damaged)?;
    if plain.len() as u64 == part.size_bytes { Ok(plain) } else { Err(Unusable::Damaged) }
}

async fn get(store: &Store, key: &str, max_bytes: u64) -> Result<Bytes, Unusable> {
    store.get(key, max_bytes).await.map_err(|error| match error {
        StoreError::NotFound | StoreError::TooLarge => Unusable::Damaged,
        error => Unusable::Store(error),
    })
}

async fn put_and_read_back(store: &Store, key: &str, sealed: Vec<u8>) -> Result<(), StoreError> {
    let sealed = Bytes::from(sealed);
    store.put(key, sealed.clone()).await?;
    if store.get(key, sealed.len() as u64).await? == sealed {
        Ok(())
    } else {
        Err(StoreError::Mismatch("an object reads back with other bytes"))
    }
}

/// Even an empty state has one part.
fn pieces(size_bytes: u64) -> u32 {
    let pieces = size_bytes.div_ceil(CHECKPOINT_PART as u64).max(1);
    u32::try_from(pieces).expect("a state in memory is far below 2^32 parts")
}

fn span(number: u32, size: usize) -> std::ops::Range<usize> {
    let start = number as usize * CHECKPOINT_PART;
    start..(start + CHECKPOINT_PART).min(size)
}

fn context(which: Which, place: Place, part: u32, count: u32) -> CheckpointPart {
    let Place { term, seq } = place;
    let (epoch, writer) = (term.epoch, term.writer);
    CheckpointPart { log: which.number, seq, epoch, writer, part, is_final: part + 1 == count }
}

fn aad(which: Which, place: Place) -> Vec<u8> {
    let Place { term, seq } = place;
    [&[which.number][..], &seq.to_be_bytes(), &term.epoch.to_be_bytes(), &term.writer].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_cut_into_full_parts_and_a_rest() {
        let part = CHECKPOINT_PART as u64;
        for (size, count) in [(0, 1), (1, 1), (part - 1, 1), (part, 1), (part + 1, 2), (2 * part, 2), (2 * part + 1, 3)]
        {
            assert_eq!(pieces(size), count, "{size}");
            let spans: Vec<_> = (0..count).map(|number| span(number, size as usize)).collect();
            assert_eq!(spans.iter().map(|span| span.len() as u64).sum::<u64>(), size);
            assert!(spans.iter().rev().skip(1).all(|span| span.len() as u64 == part));
        }
    }
}
