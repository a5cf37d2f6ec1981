//! The log's own operations, and the small state that they keep: the book.
//!
//! The book knows which checkpoints are committed, how far the log is forgotten and which objects the owner chose to pass
//! over. It is part of every checkpoint, so a loader knows it without the entries that made it. It also says what may be
//! forgotten: of the entries only those up to the newest committed checkpoint that is older than the retention, of the
//! checkpoints only those before it.

use minicbor::{Decode, Encode};

use super::name::{Place, Term};

/// An operation of the log itself, numbers 0 to 31.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(crate) enum OwnOperation {
    /// The first operation of a writer's first entry: nothing is served before it is acknowledged.
    #[n(0)]
    Opened {
        /// No anchor was known anywhere: what was loaded is trusted, not proven to be the newest.
        #[n(0)]
        trusted_first_load: bool,
        /// Redis held no anchor, or an old one, though the log has entries.
        #[n(1)]
        redis_was_lost: bool,
    },
    /// A checkpoint lies in the bucket, whole and read back.
    #[n(1)]
    Checkpoint(#[n(0)] CommittedCheckpoint),
    /// The owner accepted an older or incomplete head (`ACCEPT_HEAD`).
    #[n(2)]
    Accepted {
        /// SHA-256 over the newest anchor and the accepted head.
        #[cbor(n(0), with = "minicbor::bytes")]
        digest: [u8; 32],
        /// What the alarm said.
        #[n(1)]
        reason: String,
        /// Objects with a higher place than this entry, which are no part of the log.
        #[n(2)]
        passed_over: Vec<Place>,
    },
    /// Named before their objects are deleted.
    #[n(3)]
    Forgotten {
        /// Entries up to and with this one, and checkpoints before it.
        #[n(0)]
        up_to: Option<u64>,
        /// Markers of writers before this one.
        #[n(1)]
        markers: Vec<Term>,
    },
    /// Another log of the vault has entries: found empty later, it was taken away.
    #[n(4)]
    Begun {
        /// Its name.
        #[n(0)]
        log: String,
    },
}

/// A checkpoint that a loader may use, once the entry that says so is on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct CommittedCheckpoint {
    /// The checkpoint's own place: the last entry it contains, and who wrote the checkpoint.
    #[n(0)]
    pub(crate) place: Place,
    /// SHA-256 of that last entry's object.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) entry_hash: [u8; 32],
    /// SHA-256 of the checkpoint's head object.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) head_hash: [u8; 32],
    /// Length of the state in it.
    #[n(3)]
    pub(crate) size_bytes: u64,
    /// When it was taken, Unix milliseconds.
    #[n(4)]
    pub(crate) at_ms: u64,
}

/// The log's own state.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Book {
    /// Committed and not forgotten, oldest first.
    #[n(0)]
    pub(crate) checkpoints: Vec<CommittedCheckpoint>,
    /// Entries up to this one may be gone.
    #[n(1)]
    pub(crate) forgotten_up_to: Option<u64>,
    /// Objects above the head that the owner accepted as no part of the log.
    #[n(2)]
    pub(crate) passed_over: Vec<Place>,
    /// Other logs of the vault that have entries.
    #[n(3)]
    pub(crate) begun: Vec<String>,
}

impl Book {
    /// Takes in one operation.
    pub(crate) fn apply(&mut self, operation: &OwnOperation) {
        match operation {
            OwnOperation::Opened { .. } => {}
            OwnOperation::Checkpoint(checkpoint) => self.checkpoints.push(*checkpoint),
            OwnOperation::Accepted { passed_over, .. } => self.passed_over.extend_from_slice(passed_over),
            OwnOperation::Begun { log } if self.begun.contains(log) => {}
            OwnOperation::Begun { log } => self.begun.push(log.clone()),
            OwnOperation::Forgotten { up_to, .. } => {
                if let Some(up_to) = *up_to {
                    self.forgotten_up_to = self.forgotten_up_to.max(Some(up_to));
                    self.checkpoints.retain(|checkpoint| checkpoint.place.seq >= up_to);
                }
            }
        }
    }

    /// How far the log may be forgotten now, when that is further than it is. Entries from `kept_from` on are kept.
    pub(crate) fn forgettable(&self, now_ms: u64, retention_ms: u64, kept_from: u64) -> Option<u64> {
        let old = |checkpoint: &&CommittedCheckpoint| {
            checkpoint.at_ms.saturating_add(retention_ms) <= now_ms && checkpoint.place.seq < kept_from
        };
        let newest_old = self.checkpoints.iter().filter(old).map(|checkpoint| checkpoint.place.seq).max();
        newest_old.filter(|seq| Some(*seq) > self.forgotten_up_to)
    }

    /// The newest committed checkpoint.
    pub(crate) fn newest_checkpoint(&self) -> Option<&CommittedCheckpoint> {
        self.checkpoints.last()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn checkpoint(seq: u64, at_ms: u64) -> CommittedCheckpoint {
        let place = Place { term: Term { epoch: 1, writer: [1; 8] }, seq };
        CommittedCheckpoint { place, entry_hash: [seq as u8; 32], head_hash: [0xc0; 32], size_bytes: 10, at_ms }
    }

    fn book(checkpoints: &[CommittedCheckpoint]) -> Book {
        let mut book = Book::default();
        for checkpoint in checkpoints {
            book.apply(&OwnOperation::Checkpoint(*checkpoint));
        }
        book
    }

    #[test]
    fn only_what_the_newest_old_checkpoint_covers_may_be_forgotten() {
        let mut book = book(&[checkpoint(10, 1_000), checkpoint(20, 2_000), checkpoint(30, 3_000)]);
        assert_eq!(book.forgettable(1_999, 1_000, u64::MAX), None);
        assert_eq!(book.forgettable(2_000, 1_000, u64::MAX), Some(10));
        assert_eq!(book.forgettable(3_000, 1_000, u64::MAX), Some(20));
        book.apply(&OwnOperation::Forgotten { up_to: Some(20), markers: vec![] });
        assert_eq!(book.checkpoints, [checkpoint(20, 2_000), checkpoint(30, 3_000)]);
        assert_eq!(book.forgettable(3_999, 1_000, u64::MAX), None);
        assert_eq!(book.forgettable(4_000, 1_000, u64::MAX), Some(30));
    }

    #[test]
    fn what_another_log_still_follows_is_kept() {
        let book = book(&[checkpoint(10, 1_000), checkpoint(20, 2_000)]);
        for (kept_from, forgettable) in [(0, None), (10, None), (11, Some(10)), (20, Some(10)), (21, Some(20))] {
            assert_eq!(book.forgettable(9_000, 1_000, kept_from), forgettable, "{kept_from}");
        }
    }

    #[test]
    fn forgetting_never_goes_back() {
        let mut book = book(&[checkpoint(10, 0), checkpoint(20, 0)]);
        book.apply(&OwnOperation::Forgotten { up_to: Some(20), markers: vec![] });
        book.apply(&OwnOperation::Forgotten { up_to: Some(10), markers: vec![] });
        book.apply(&OwnOperation::Forgotten { up_to: None, markers: vec![] });
        assert_eq!(book.forgotten_up_to, Some(20));
        assert_eq!(book.newest_checkpoint(), Some(&checkpoint(20, 0)));
    }
}
