//! Content between a client and the bucket: sealed on the way in, verified and opened on the way out.
//!
//! Guarantees: a blob that [`Contents::seal`] returned is whole in the bucket; until it returns, a client that goes
//! away or a body that is not what it was announced to be leaves no part behind. What [`Contents::open`] gives out was
//! verified byte for byte against the pinned salts. Either way holds at most [`PARTS_IN_MEMORY`] parts of memory for
//! each upload and about a megabyte for each download, whatever the file's size: who reads slowly is waited for.
//!
//! Knows no catalog: which file a blob belongs to, quota and names are the vault's.

mod download;
mod media;
mod proof;
mod upload;

use std::io;

use crate::config::VaultConfig;
use crate::crypto::{BlobId, BlobShape, Dek, OpenError, Purpose, VaultKeys, WrappedDek};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::{METRICS, Sealed};

use super::blob::{MediaType, SealedBlob};

pub use download::Plaintext;
pub use upload::PARTS_IN_MEMORY;

/// What a client says about content before it sends it.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// Length in bytes, when it is known.
    pub size_bytes: Option<u64>,
    /// Media type, when it is known.
    pub media_type: Option<MediaType>,
}

/// Why content was not moved.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// More bytes than a file may have.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// More or fewer bytes arrived than were declared.
    #[error("the content has another length than declared")]
    WrongLength,
    /// The content is not of its declared media type.
    #[error("the content is not {declared}")]
    WrongMediaType {
        /// What it was declared to be.
        declared: MediaType,
    },
    /// The client's body broke off, with the error of the stream that the caller gave.
    #[error("the content broke off")]
    Interrupted(#[source] io::Error),
    /// The bucket did not take or give the content.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// The bucket gave other bytes than were sealed, or they were sealed under a key that is not here.
    #[error("the stored content is damaged")]
    Corrupt,
}

impl From<OpenError> for ContentError {
    fn from(_: OpenError) -> Self {
        METRICS.unopened(Sealed::Content);
        Self::Corrupt
    }
}

/// The vault's contents in its bucket.
#[derive(Clone, Debug)]
pub struct Contents {
    store: Store,
    keys: VaultKeys,
    max_file_size: u64,
}

impl Contents {
    /// The contents of the vault of `keys` in `store`; files of at most `max_file_size` are taken.
    pub fn new(store: Store, keys: VaultKeys, config: &VaultConfig) -> Self {
        Self { store, keys, max_file_size: config.max_file_size }
    }

    /// The key of a blob's content; the caller **must** have leave to see it.
    pub(super) fn key(&self, blob: &SealedBlob) -> Result<Dek, ContentError> {
        self.key_of(blob.id, &blob.dek)
    }

    /// The same, of content that is to come.
    pub(super) fn key_of(&self, blob: BlobId, dek: &WrappedDek) -> Result<Dek, ContentError> {
        Ok(self.keys.unwrap(dek, blob, Purpose::Content)?)
    }

    /// A blob as its readers know it.
    pub(super) fn shape(&self, blob: &SealedBlob) -> BlobShape {
        BlobShape { vault_id: self.keys.vault_id(), blob_id: blob.id, geometry: blob.geometry, size: blob.size_bytes }
    }
}

/// The key of a blob's object.
pub fn object_key(id: BlobId) -> String {
    format!("blob/{}", id.hex())
}
