//! Pure cryptography: keys, sealed records, wrapped keys, sealed content. No I/O, no clock, no async.
//!
//! `docs/format.md` describes every byte made here, and `tests/vectors/` fixes them. Two constructions carry all of it:
//! XChaCha20-Poly1305 with random 192-bit nonces for what is small (keys, descriptor, log, Redis), and Cobblestone-256
//! for what is large (content, checkpoints). Nothing is negotiated: the version is a byte that has one value, the key is
//! named by its id, and the algorithm follows from where the bytes are.
//!
//! Guarantees: plaintext leaves only after its tag has verified; a refused opening says one thing only; every sealing
//! draws its own nonce or salt here, so a caller cannot repeat one; secrets wipe themselves and never print.
//! It deliberately does not know where bytes are kept, what they mean, or who asks.

mod checkpoint;
mod cobblestone;
mod content;
mod descriptor;
mod entry;
mod id;
mod keys;
mod part;
pub mod random;
mod range;
mod record;
mod wrap;

#[cfg(test)]
mod tests;

pub use checkpoint::{CHECKPOINT_PART, CheckpointPart};
pub use cobblestone::{CHUNK_PLAIN, CHUNK_SEALED, PART_HEADER, SALT, Salt};
pub use content::{BlobShape, ContentHash, Geometry, PartContext, PartOpener, TooLarge, seal_part};
pub use descriptor::{Descriptor, FORMAT, open_descriptor, seal_descriptor};
pub use entry::{ENTRY_BODY_MAX, ENTRY_MAX, EntryPosition, OpenedEntry};
pub use id::{BlobId, Kid, VaultId};
pub use keys::{KeyRing, KeyRingError, RootKey, VaultKeys};
pub use part::{PlainPart, SealedPart};
pub use range::{PartSlice, RangeOpener, RangePlan, plan_range};
pub use record::{Label, RECORD_OVERHEAD, record_kid};
pub use wrap::{Dek, Purpose, WRAPPED_DEK, WrappedDek};

use sha2::{Digest, Sha256};

/// Why sealed bytes did not open. It never says which byte, which check or which part was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes name a root key that is not in the ring; with it they may open.
    #[error("sealed under root key {0}, which is not among the vault's keys")]
    UnknownKey(Kid),
    /// The bytes are not what was sealed there.
    #[error("sealed data was refused")]
    Refused,
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
