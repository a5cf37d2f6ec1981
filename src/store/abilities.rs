//! What a bucket really does beyond what the vault cannot do without, as far as it was seen.
//!
//! Whoever decides by it reads it from the [`Store`]; what was never asked counts as not seen, so that not knowing is
//! always the cautious choice.

use serde::Serialize;

use super::Store;

/// What was seen of a bucket. The default is that nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// Bytes other than the signed ones are refused, with credentials and through a signed URL.
    pub refuses_wrong_bytes: bool,
    /// A second write of an object that must not exist is refused.
    pub refuses_overwrite: bool,
    /// An upload is not completed with an entity tag that none of its parts has.
    pub refuses_wrong_part: bool,
    /// What `x-amz-checksum-sha256` does for a part that is sent through a signed URL.
    pub part_checksum: PartChecksum,
}

/// What comes of a part that is sent through a signed URL with its `x-amz-checksum-sha256`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartChecksum {
    /// It was not seen.
    #[default]
    Unknown,
    /// The right bytes are refused because of it.
    Refused,
    /// Wrong bytes are taken in spite of it.
    Ignored,
    /// The right bytes are taken, and wrong ones refused.
    Enforced,
}

impl Store {
    /// What was seen of this bucket; every clone of this store knows the same.
    pub fn abilities(&self) -> Abilities {
        self.abilities.get().copied().unwrap_or_default()
    }

    /// Keeps what a probe saw. What is known already stays: a process asks once, before it uses the bucket.
    pub fn learn(&self, abilities: Abilities) {
        let _ = self.abilities.set(abilities);
    }
}
