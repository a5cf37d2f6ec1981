//! The state in memory: the machine, the book, and how far the log is applied.
//!
//! Rebuilt from the bucket at each take-over and dropped when the writer steps down. Changes only by whole entries.

use minicbor::{Decode, Encode};

use super::chain::{Hash, NO_ENTRY};
use super::entry::{Commit, Envelope, Operation, from_cbor, to_cbor};
use super::name::Place;
use super::own::{Book, CommittedCheckpoint, OwnOperation};
use super::{CommitMeta, Inconsistent, Machine, Stamp};

/// An entry as it lies in the bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Where.
    pub(crate) place: Place,
    /// SHA-256 of the object.
    pub(crate) hash: Hash,
    /// Its length.
    pub(crate) size_bytes: u64,
}

/// Everything that the log knows about its state.
pub(crate) struct Index<M> {
    /// The caller's state.
    pub(crate) machine: M,
    /// The log's own state.
    pub(crate) book: Book,
    /// The last entry's time.
    pub(crate) at_ms: u64,
    head: Option<(Place, Hash)>,
    /// Entries after the newest committed checkpoint.
    pub(crate) entries_since: u64,
    /// Their bytes.
    pub(crate) bytes_since: u64,
}

/// A checkpoint's content.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Snapshot {
    #[n(0)]
    at_ms: u64,
    #[n(1)]
    book: Book,
    #[cbor(n(2), with = "minicbor::bytes")]
    machine: Vec<u8>,
}

impl<M: Machine> Index<M> {
    /// The state before the first entry.
    pub(crate) fn empty() -> Self {
        Self { machine: M::empty(), book: Book::default(), at_ms: 0, head: None, entries_since: 0, bytes_since: 0 }
    }

    /// The state that a checkpoint holds.
    pub(crate) fn restore(checkpoint: &CommittedCheckpoint, state: &[u8]) -> Result<Self, Inconsistent> {
        let snapshot: Snapshot = from_cbor(state).ok_or(Inconsistent("a checkpoint of another version"))?;
        let machine = M::restore(&snapshot.machine)?;
        let head = Some((checkpoint.place, checkpoint.entry_hash));
        Ok(Self { machine, book: snapshot.book, at_ms: snapshot.at_ms, head, entries_since: 0, bytes_since: 0 })
    }

    /// The whole state, for a checkpoint.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        to_cbor(&Snapshot { at_ms: self.at_ms, book: self.book.clone(), machine: self.machine.snapshot() })
    }

    /// The number of the next entry.
    pub(crate) fn next_seq(&self) -> u64 {
        self.head.map_or(0, |(place, _)| place.seq + 1)
    }

    /// The last entry's hash.
    pub(crate) fn head_hash(&self) -> Hash {
        self.head.map_or(NO_ENTRY, |(_, hash)| hash)
    }

    /// The last entry's number.
    pub(crate) fn head_seq(&self) -> Option<u64> {
        self.head.map(|(place, _)| place.seq)
    }

    /// Applies an entry for good. The state is of no use after an error.
    pub(crate) fn apply(&mut self, written: &Written, envelope: Envelope<M::Operation>) -> Result<(), Inconsistent> {
        if envelope.at_ms < self.at_ms {
            return Err(Inconsistent("an entry's time lies before the one of the entry before it"));
        }
        self.entries_since += 1;
        self.bytes_since += written.size_bytes;
        let mut stamp = Stamp { seq: written.place.seq, index: 0, at_ms: envelope.at_ms };
        for commit in envelope.commits {
            let (meta, operations) = commit.into_parts();
            for operation in &operations {
                match operation {
                    Operation::Machine(operation) => self.machine.apply(&stamp, &meta, operation)?,
                    Operation::Own(operation) => self.apply_own(operation),
                }
                stamp.index += 1;
            }
        }
        self.at_ms = envelope.at_ms;
        self.head = Some((written.place, written.hash));
        Ok(())
    }

    /// Tries a commit's operations on the machine, inside the caller's savepoint.
    pub(crate) fn try_commit(
        &mut self,
        mut stamp: Stamp,
        meta: &CommitMeta,
        operations: &[Operation<M::Operation>],
    ) -> Result<(), Inconsistent> {
        for operation in operations {
            if let Operation::Machine(operation) = operation {
                self.machine.apply(&stamp, meta, operation)?;
            }
            stamp.index += 1;
        }
        Ok(())
    }

    fn apply_own(&mut self, operation: &OwnOperation) {
        if let OwnOperation::Checkpoint(checkpoint) = operation {
            // What followed the snapshot before this entry came is not in the checkpoint; the entries still count
            // towards the next one, so the count starts at their number.
            self.entries_since = self.next_seq().saturating_sub(checkpoint.place.seq);
            self.bytes_since = 0;
        }
        self.book.apply(operation);
    }
}

/// The machine's operations of an entry with their numbers, for those who follow changes.
pub(crate) fn operations<O>(commits: &[Commit<O>]) -> impl Iterator<Item = (u32, &O)> {
    let all = commits.iter().flat_map(Commit::operations).zip(0..);
    all.filter_map(|(operation, index)| match operation {
        Operation::Machine(operation) => Some((index, operation)),
        Operation::Own(_) => None,
    })
}
