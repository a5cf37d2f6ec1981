//! Blobs that nothing names any more. They are remembered for ever: a purged blob is never named again.
//!
//! A blob waits here from the operation that purged it until its object is known to be deleted, so a deletion that a
//! crash interrupted goes on later.

use std::collections::{BTreeMap, BTreeSet};

use crate::crypto::BlobId;

/// What became of a purged blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its object may still be in the bucket.
    Purged,
    /// Its object is gone.
    Deleted,
}

/// The fate of every blob that was purged.
#[derive(Debug, Default)]
pub(super) struct Retired {
    fates: BTreeMap<BlobId, Fate>,
    waiting: BTreeSet<BlobId>,
}

impl Retired {
    /// Sets or takes back a fate, and gives the one before. The only way to change anything here.
    pub(super) fn replace(&mut self, blob: BlobId, fate: Option<Fate>) -> Option<Fate> {
        match fate {
            Some(Fate::Purged) => _ = self.waiting.insert(blob),
            Some(Fate::Deleted) | None => _ = self.waiting.remove(&blob),
        }
        match fate {
            Some(fate) => self.fates.insert(blob, fate),
            None => self.fates.remove(&blob),
        }
    }

    pub(super) fn get(&self, blob: BlobId) -> Option<Fate> {
        self.fates.get(&blob).copied()
    }

    /// Blobs whose objects are still to be deleted.
    pub(super) fn waiting(&self) -> &BTreeSet<BlobId> {
        &self.waiting
    }

    /// Blobs whose objects are gone, in ascending order.
    pub(super) fn deleted(&self) -> impl Iterator<Item = BlobId> {
        self.fates.iter().filter(|(_, fate)| **fate == Fate::Deleted).map(|(blob, _)| *blob)
    }
}
