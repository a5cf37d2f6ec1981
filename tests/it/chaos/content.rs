//! What a file holds, remembered as a seed.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::chance::Chance;

/// Plaintext bytes of a part.
const PART: usize = 8 << 20;
/// Bytes of a chunk.
const CHUNK: u64 = 16_384;

/// Bytes that can be made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    seed: u64,
    /// How many bytes.
    pub(crate) size: usize,
    /// What the API calls `content_hash`: SHA-256 over the SHA-256 of each part.
    pub(crate) hash: String,
}

impl Content {
    /// A small file: empty, around the edges of a chunk, or some tens of KiB.
    pub(crate) fn small(chance: &mut Chance) -> Self {
        let size = match chance.within(0..8) {
            0 => 0,
            1 => chance.within(CHUNK - 1..CHUNK + 2),
            _ => chance.within(1..5 * CHUNK),
        };
        Self::new(chance, size)
    }

    /// A file of two or three parts.
    pub(crate) fn large(chance: &mut Chance) -> Self {
        let size = chance.within(PART as u64 + 1..2 * PART as u64 + 2 * CHUNK);
        Self::new(chance, size)
    }

    fn new(chance: &mut Chance, size: u64) -> Self {
        let mut content = Self { seed: chance.number(), size: usize::try_from(size).unwrap(), hash: String::new() };
        let bytes = content.bytes();
        let mut parts: Vec<&[u8]> = bytes.chunks(PART).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let hashes: Vec<u8> = parts.into_iter().flat_map(Sha256::digest).collect();
        content.hash = HEXLOWER.encode(&Sha256::digest(hashes));
        content
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut chance = Chance::new(self.seed);
        let mut bytes = Vec::with_capacity(self.size + 8);
        while bytes.len() < self.size {
            bytes.extend(chance.number().to_le_bytes());
        }
        bytes.truncate(self.size);
        bytes
    }
}
