//! The state in memory: the machine, the book, and how far the log is applied.
//!
//! Rebuilt from the bucket at each take-over and dropped when the writer steps down. Changes only by whole entries.

use minicbor::{Decoder, Encoder};

use super::chain::{Hash, NO_ENTRY};
use super::entry::{Commit, Envelope, Operation};
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

/// The last entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where it lies.
    pub place: Place,
    /// SHA-256 of its object.
    pub hash: [u8; 32],
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

impl<M: Machine> Index<M> {
    /// The state before the first entry.
    pub(crate) fn empty() -> Self {
        Self { machine: M::empty(), book: Book::default(), at_ms: 0, head: None, entries_since: 0, bytes_since: 0 }
    }

    /// The state that a checkpoint holds.
    pub(crate) fn restore(checkpoint: &CommittedCheckpoint, state: &[u8]) -> Result<Self, Inconsistent> {
        let (at_ms, book, machine) = open(state).ok_or(Inconsistent("a checkpoint of another version"))?;
        let machine = M::restore(machine)?;
        let head = Some((checkpoint.place, checkpoint.entry_hash));
        Ok(Self { machine, book, at_ms, head, entries_since: 0, bytes_since: 0 })
    }

    /// The whole state, for a checkpoint.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        // Put before the machine's state where it lies: that may be hundreds of megabytes.
        let mut state = self.machine.snapshot();
        let header = header(self.at_ms, &self.book, state.len());
        state.splice(..0, header);
        state
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

    /// The last entry.
    pub(crate) fn head(&self) -> Option<Head> {
        self.head.map(|(place, hash)| Head { place, hash })
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
        self.machine.landed(&Head { place: written.place, hash: written.hash });
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
        if let OwnOperation::Forgotten { up_to: Some(up_to), .. } = operation {
            self.machine.forgotten(*up_to);
        }
    }
}

/// What stands in a checkpoint before the machine's state, `{0: time, 1: book, 2: state}`.
fn header(at_ms: u64, book: &Book, machine_bytes: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let written = encoder
        .map(3)
        .and_then(|e| e.u8(0)?.u64(at_ms))
        .and_then(|e| e.u8(1)?.encode(book))
        .and_then(|e| e.u8(2)?.bytes_len(machine_bytes as u64));
    written.expect("writing to a vector can't fail");
    encoder.into_writer()
}

/// Reads a checkpoint; the machine's state stays where it is. Written in any other way, it is none.
fn open(state: &[u8]) -> Option<(u64, Book, &[u8])> {
    let mut decoder = Decoder::new(state);
    let key = |decoder: &mut Decoder<'_>, key| decoder.u8().is_ok_and(|found| found == key).then_some(());
    decoder.map().ok()?;
    key(&mut decoder, 0)?;
    let at_ms = decoder.u64().ok()?;
    key(&mut decoder, 1)?;
    let book = decoder.decode().ok()?;
    key(&mut decoder, 2)?;
    let machine = decoder.bytes().ok()?;
    let header = header(at_ms, &book, machine.len());
    let is_all = state.len() == header.len() + machine.len() && state.starts_with(&header);
    is_all.then_some((at_ms, book, machine))
}

/// The machine's operations of an entry with their numbers and commits, for those who follow changes.
pub(crate) fn operations<O>(commits: &[Commit<O>]) -> impl Iterator<Item = (u32, &Commit<O>, &O)> {
    let all = commits.iter().flat_map(|commit| commit.operations().iter().map(move |operation| (commit, operation)));
    all.zip(0..).filter_map(|((commit, operation), index)| match operation {
        Operation::Machine(operation) => Some((index, commit, operation)),
        Operation::Own(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::own::tests::checkpoint;
    use super::*;

    #[test]
    fn a_checkpoint_has_one_form() {
        let book = Book { checkpoints: vec![checkpoint(1, 2)], ..Book::default() };
        let machine = [7; 300];
        let state = [header(9, &book, machine.len()), machine.to_vec()].concat();
        assert_eq!(open(&state), Some((9, book, machine.as_slice())));
        for cut in 0..state.len() {
            assert_eq!(open(&state[..cut]), None);
        }
        assert_eq!(open(&[state.as_slice(), &[0]].concat()), None);
        let mut indefinite = state.clone();
        indefinite[0] = 0xBF;
        assert_eq!(open(&[indefinite.as_slice(), &[0xFF]].concat()), None);
        let mut long = state;
        long.splice(2..3, [0x18, 9]);
        assert_eq!(open(&long), None);
    }
}
