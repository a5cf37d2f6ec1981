//! Sealed content: how a file's bytes become the parts of one object, each part one Cobblestone-256 message.
//!
//! A part's key comes from the blob's data key, a salt that is fresh for every encryption, and a context that binds
//! vault, blob, part size, part number and whether it is the last. The catalog pins the salt of every part that counts,
//! so an older attempt of the same part is refused like anything else. The file's name and place are not bound: moving
//! re-encrypts nothing.

use std::fmt;

use sha2::{Digest, Sha256};

use super::cobblestone::{self, Message, PART_HEADER, Salt};
use super::keys::label;
use super::{BlobId, Dek, OpenError, VaultId, random};

/// A constant of the context, kept for a later use of the same blob id.
const GENERATION: u64 = 1;

/// The size is beyond what the format can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file of {0} bytes is larger than the format can hold")]
pub struct TooLarge(pub u64);

/// How a blob is cut into parts: each of 2^k bytes of plaintext but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Geometry {
    k: u8,
}

impl Geometry {
    /// The smallest part size, 8 MiB, as an exponent.
    pub const K_MIN: u8 = 23;
    /// The largest part size, 4 GiB, as an exponent.
    pub const K_MAX: u8 = 32;
    /// No blob has more parts.
    pub const MAX_PARTS: u32 = 8192;

    /// The geometry of a file of `size` bytes: the smallest parts of which at most [`Self::MAX_PARTS`] hold it.
    pub fn for_size(size: u64) -> Result<Self, TooLarge> {
        let fits = |k: &u8| size <= u64::from(Self::MAX_PARTS) << k;
        (Self::K_MIN..=Self::K_MAX).find(fits).map(|k| Self { k }).ok_or(TooLarge(size))
    }

    /// The geometry of a stream whose length is not known; it is refused past [`Self::max_size`], 64 GiB.
    pub fn for_stream() -> Self {
        Self { k: Self::K_MIN }
    }

    /// The geometry with this exponent, if the format knows it.
    pub fn from_k(k: u8) -> Option<Self> {
        (Self::K_MIN..=Self::K_MAX).contains(&k).then_some(Self { k })
    }

    /// The exponent, which the catalog keeps.
    pub fn k(self) -> u8 {
        self.k
    }

    /// Plaintext of every part but the last, in bytes.
    pub fn part_size(self) -> u64 {
        1 << self.k
    }

    /// The largest file, in bytes.
    pub fn max_size(self) -> u64 {
        u64::from(Self::MAX_PARTS) * self.part_size()
    }

    /// Number of parts of a file of `size` bytes, which **must** be at most [`Self::max_size`]; never 0.
    pub fn part_count(self, size: u64) -> u32 {
        let count = size.div_ceil(self.part_size()).max(1);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Plaintext length of a part in bytes; 0 for one that does not exist.
    pub fn part_plain_len(self, size: u64, part: u32) -> u64 {
        size.saturating_sub(u64::from(part) * self.part_size()).min(self.part_size())
    }

    /// Length of a sealed part over `plain_len` bytes.
    pub fn sealed_part_len(self, plain_len: u64) -> u64 {
        cobblestone::sealed_len(plain_len)
    }

    /// Length of the object of a file of `size` bytes.
    pub fn object_size(self, size: u64) -> u64 {
        let last = self.part_count(size) - 1;
        self.part_offset(last) + self.sealed_part_len(self.part_plain_len(size, last))
    }

    /// Where a part begins in the object.
    pub(super) fn part_offset(self, part: u32) -> u64 {
        u64::from(part) * self.sealed_part_len(self.part_size())
    }
}

/// A blob as its readers know it: which one, and its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobShape {
    /// The vault it belongs to.
    pub vault_id: VaultId,
    /// Its id.
    pub blob_id: BlobId,
    /// How it is cut.
    pub geometry: Geometry,
    /// Plaintext length in bytes.
    pub size: u64,
}

impl BlobShape {
    /// Number of its parts.
    pub fn part_count(&self) -> u32 {
        self.geometry.part_count(self.size)
    }

    /// The context of one of its parts.
    pub fn part(&self, part: u32) -> PartContext {
        let Self { vault_id, blob_id, geometry, .. } = *self;
        PartContext { vault_id, blob_id, geometry, part, is_final: part + 1 == self.part_count() }
    }
}

/// What a sealed part is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartContext {
    /// The vault.
    pub vault_id: VaultId,
    /// The blob.
    pub blob_id: BlobId,
    /// How the blob is cut.
    pub geometry: Geometry,
    /// The part's number, from 0.
    pub part: u32,
    /// Whether it is the blob's last.
    pub is_final: bool,
}

impl PartContext {
    /// The 62 bytes that enter the part's key.
    pub fn bytes(&self) -> [u8; 62] {
        let parts: [&[u8]; 7] = [
            label::CONTENT_CONTEXT,
            &self.vault_id.0,
            &self.blob_id.0,
            &GENERATION.to_be_bytes(),
            &[self.geometry.k],
            &self.part.to_be_bytes(),
            &[u8::from(self.is_final)],
        ];
        parts.concat().try_into().expect("16 + 16 + 16 + 8 + 1 + 4 + 1 bytes are 62")
    }
}

/// Appends the sealed part to `out` and returns the salt it was sealed with, which the catalog **must** pin.
///
/// Each call draws a fresh salt: to send a part again, send the same bytes; to seal it again is to make another attempt.
/// `out` grows once; passing it again after `clear` allocates nothing.
pub fn seal_part(dek: &Dek, context: &PartContext, plaintext: &[u8], out: &mut Vec<u8>) -> Salt {
    let salt = random::bytes();
    seal_part_with_salt(dek, context, &salt, plaintext, out);
    salt
}

pub(super) fn seal_part_with_salt(dek: &Dek, context: &PartContext, salt: &Salt, plaintext: &[u8], out: &mut Vec<u8>) {
    Message::derive(dek.as_bytes(), salt, &context.bytes()).seal(plaintext, out);
}

/// Opens single chunks of one part that was sealed with the pinned salt.
pub struct PartOpener(Message);

impl PartOpener {
    /// Derives the part's key.
    pub fn new(dek: &Dek, context: &PartContext, salt: &Salt) -> Self {
        Self(Message::derive(dek.as_bytes(), salt, &context.bytes()))
    }

    /// Refuses the first [`PART_HEADER`] bytes of a part unless they are exactly this one's.
    pub fn check_header(&self, header: &[u8; PART_HEADER]) -> Result<(), OpenError> {
        self.0.check_header(header)
    }

    /// Opens chunk `index` in place and returns the length of its plaintext, which is at the front.
    pub fn open_chunk(&self, index: u64, sealed: &mut [u8]) -> Result<usize, OpenError> {
        self.0.open_chunk(index, sealed)
    }
}

impl fmt::Debug for PartOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartOpener([secret])")
    }
}

/// The hash of a file's content: SHA-256 over the SHA-256 of each part's plaintext, in order.
#[derive(Debug, Clone, Default)]
pub struct ContentHash(Sha256);

impl ContentHash {
    /// Adds the SHA-256 of the next part's plaintext.
    pub fn push_part(&mut self, part_sha256: &[u8; 32]) {
        self.0.update(part_sha256);
    }

    /// The hash of all parts.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
impl Geometry {
    /// Parts smaller than the format allows, for tests of many parts.
    pub(crate) fn small(k: u8) -> Self {
        assert!((14..=Self::K_MAX).contains(&k), "a part is a whole number of chunks");
        Self { k }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256;

    const MIB: u64 = 1024 * 1024;
    const GIB: u64 = 1024 * MIB;

    #[test]
    fn part_size_grows_with_the_file_and_stops_at_the_limit() {
        let k = |size| Geometry::for_size(size).map(Geometry::k);
        assert_eq!(k(0), Ok(23));
        assert_eq!(k(64 * GIB), Ok(23));
        assert_eq!(k(64 * GIB + 1), Ok(24));
        assert_eq!(k(128 * GIB), Ok(24));
        let most = 8192 * 4 * GIB;
        assert_eq!(k(most), Ok(32));
        assert_eq!(k(most + 1), Err(TooLarge(most + 1)));
        assert_eq!(k(u64::MAX), Err(TooLarge(u64::MAX)));
        assert_eq!(Geometry::for_stream().max_size(), 64 * GIB);
        assert_eq!(Geometry::from_k(22), None);
        assert_eq!(Geometry::from_k(33), None);
        assert_eq!(Geometry::from_k(32).map(Geometry::part_size), Some(4 * GIB));
    }

    #[test]
    fn sizes_follow_the_formulas() {
        let geometry = Geometry::for_stream();
        assert_eq!(geometry.sealed_part_len(8 * MIB), 8_396_872);
        assert_eq!(geometry.object_size(0), 56 + 16);
        assert_eq!(geometry.object_size(1), 56 + 1 + 16);
        assert_eq!(geometry.object_size(8 * MIB), 8_396_872);
        assert_eq!(geometry.object_size(8 * MIB + 1), 8_396_872 + 56 + 1 + 16);
        let cases = [(0, 1), (1, 1), (8 * MIB, 1), (8 * MIB + 1, 2), (16 * MIB, 2), (64 * GIB, 8192)];
        for (size, parts) in cases {
            assert_eq!(geometry.part_count(size), parts, "{size}");
            let total: u64 = (0..parts).map(|part| geometry.part_plain_len(size, part)).sum();
            assert_eq!(total, size);
        }
        assert_eq!(geometry.part_plain_len(8 * MIB, 1), 0);
        assert_eq!(geometry.part_plain_len(8 * MIB, u32::MAX), 0);
    }

    fn blob(size: u64) -> BlobShape {
        BlobShape { vault_id: VaultId([1; 16]), blob_id: BlobId([2; 16]), geometry: Geometry::small(14), size }
    }

    #[test]
    fn the_context_is_laid_out_as_written_down() {
        let bytes = blob(40_000).part(2).bytes();
        let expected =
            [b"coffer/1/content".as_slice(), &[1; 16], &[2; 16], &[0, 0, 0, 0, 0, 0, 0, 1, 14, 0, 0, 0, 2, 1]].concat();
        assert_eq!(bytes.as_slice(), expected);
        assert_eq!(blob(40_000).part(1).bytes()[61], 0);
    }

    fn open_part(dek: &Dek, context: &PartContext, salt: &Salt, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        Message::derive(dek.as_bytes(), salt, &context.bytes()).open(sealed).map(|opened| opened.to_vec())
    }

    #[test]
    fn a_part_opens_only_with_its_salt_and_in_its_place() {
        let (dek, blob) = (Dek::generate(), blob(40_000));
        let mut sealed = Vec::new();
        let salt = seal_part(&dek, &blob.part(0), &[9; 16384], &mut sealed);
        assert_eq!(open_part(&dek, &blob.part(0), &salt, &sealed).unwrap().as_slice(), [9; 16384]);
        assert!(open_part(&dek, &blob.part(1), &salt, &sealed).is_err());
        assert!(open_part(&Dek::generate(), &blob.part(0), &salt, &sealed).is_err());
        assert!(open_part(&dek, &PartContext { is_final: true, ..blob.part(0) }, &salt, &sealed).is_err());
        let other = BlobShape { blob_id: BlobId([3; 16]), ..blob };
        assert!(open_part(&dek, &other.part(0), &salt, &sealed).is_err());

        let mut attempt = Vec::new();
        let newer = seal_part(&dek, &blob.part(0), &[9; 16384], &mut attempt);
        assert_ne!(newer, salt);
        assert!(open_part(&dek, &blob.part(0), &newer, &sealed).is_err());
    }

    #[test]
    fn sealing_again_into_one_buffer_allocates_nothing() {
        let (dek, blob) = (Dek::generate(), blob(16384));
        let mut out = Vec::new();
        seal_part(&dek, &blob.part(0), &[0; 16384], &mut out);
        let (capacity, place) = (out.capacity(), out.as_ptr());
        out.clear();
        seal_part(&dek, &blob.part(0), &[1; 16384], &mut out);
        assert_eq!((out.capacity(), out.as_ptr()), (capacity, place));
    }

    #[test]
    fn the_content_hash_is_over_the_parts_hashes() {
        let mut hash = ContentHash::default();
        hash.push_part(&sha256(b"one"));
        hash.push_part(&sha256(b"two"));
        assert_eq!(hash.finish(), sha256(&[sha256(b"one"), sha256(b"two")].concat()));
    }
}
