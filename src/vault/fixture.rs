//! What the vault's tests share.

use super::{
    blob::{MediaType, Salts, SealedBlob},
    catalog::Catalog,
    operation::Operation,
};
use crate::crypto::{BlobId, Geometry, WrappedDek};
use crate::log::{CommitMeta, Machine, Stamp};

/// A blob of that size; equal tags give equal blobs, larger ones larger ids, and the index takes some for one another at
/// first sight.
pub(super) fn blob(tag: u64, size_bytes: u64) -> SealedBlob {
    let mut id = [0x5A; 16];
    id[..4].copy_from_slice(&u32::try_from(tag / 3).unwrap().to_be_bytes());
    id[4..12].copy_from_slice(&tag.to_be_bytes());
    let geometry = Geometry::from_k(23).unwrap();
    let salts = vec![[7; 24]; geometry.part_count(size_bytes) as usize];
    SealedBlob {
        id: BlobId(id),
        dek: WrappedDek::from_slice(&[1; 89]).unwrap(),
        geometry,
        size_bytes,
        salts: Salts::new(&salts).unwrap(),
        content_hash: [9; 32],
        media_type: MediaType::parse("text/plain").unwrap(),
    }
}

/// A catalog with an entry for each commit, as the log would make it.
pub(super) struct Book {
    pub(super) catalog: Catalog,
    pub(super) entries: Vec<(Stamp, Operation)>,
    pub(super) now_ms: u64,
    seq: u64,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { catalog: Catalog::empty(), entries: Vec::new(), now_ms: 1_000_000, seq: 0 }
    }

    /// Commits what was proposed, through a tentative application that is taken back, as the log does.
    pub(super) fn commit(&mut self, operations: Vec<Operation>) {
        self.seq += 1;
        let stamped: Vec<_> = operations
            .into_iter()
            .enumerate()
            .map(|(index, operation)| {
                (Stamp { seq: self.seq, index: u32::try_from(index).unwrap(), at_ms: self.now_ms }, operation)
            })
            .collect();
        self.catalog.begin();
        for (stamp, operation) in &stamped {
            self.catalog.apply(stamp, &CommitMeta::default(), operation).unwrap();
        }
        self.catalog.rollback();
        for (stamp, operation) in stamped {
            self.catalog.apply(&stamp, &CommitMeta::default(), &operation).unwrap();
            self.entries.push((stamp, operation));
        }
    }
}
