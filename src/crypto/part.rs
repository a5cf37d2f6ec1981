//! A part on its way from plaintext to sealed bytes, in one buffer.
//!
//! Plaintext is laid out as the sealed part will be, with room for the header and each chunk's tag, and sealed where it
//! lies: it is never in memory twice, and each chunk is hashed and sealed while it is in the nearest cache.

use std::fmt;

use sha2::{Digest, Sha256};

use super::cobblestone::{self, CHUNK_PLAIN, Message, PART_HEADER, Salt, TAG};
use super::{Dek, PartContext, random};

/// Plaintext of one part, as much as has arrived.
pub struct PlainPart {
    bytes: Vec<u8>,
    plain_len: usize,
}

/// A sealed part, and what the catalog keeps of it.
#[derive(Debug)]
pub struct SealedPart {
    /// The bytes of the object.
    pub bytes: Vec<u8>,
    /// The salt, which the catalog **must** pin.
    pub salt: Salt,
    /// SHA-256 of the plaintext, for [`super::ContentHash`].
    pub plain_sha256: [u8; 32],
}

impl PlainPart {
    /// An empty part in this buffer, whatever was in it.
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[0; PART_HEADER]);
        Self { bytes: buffer, plain_len: 0 }
    }

    /// Plaintext bytes so far.
    pub fn len(&self) -> usize {
        self.plain_len
    }

    /// Whether there is no plaintext yet.
    pub fn is_empty(&self) -> bool {
        self.plain_len == 0
    }

    /// The plaintext from its start, up to a whole chunk of it.
    pub fn start(&self) -> &[u8] {
        &self.bytes[PART_HEADER..][..self.plain_len.min(CHUNK_PLAIN)]
    }

    /// Whether so many more bytes of plaintext fit, and can be sealed, without another allocation.
    pub fn has_room(&self, more: usize) -> bool {
        cobblestone::sealed_len((self.plain_len + more) as u64) <= self.bytes.capacity() as u64
    }

    /// Moves to a larger buffer.
    pub fn move_to(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&self.bytes);
        self.bytes = buffer;
    }

    /// Appends plaintext.
    pub fn push(&mut self, mut plaintext: &[u8]) {
        while !plaintext.is_empty() {
            let room = CHUNK_PLAIN - self.plain_len % CHUNK_PLAIN;
            let (now, later) = plaintext.split_at(room.min(plaintext.len()));
            self.bytes.extend_from_slice(now);
            self.plain_len += now.len();
            if now.len() == room {
                self.bytes.extend_from_slice(&[0; TAG]);
            }
            plaintext = later;
        }
    }

    /// Seals all of it under a fresh salt. To send the part again, send the same bytes: to seal it again is to make
    /// another attempt.
    pub fn seal(self, dek: &Dek, context: &PartContext) -> SealedPart {
        self.seal_with_salt(dek, context, random::bytes())
    }

    fn seal_with_salt(mut self, dek: &Dek, context: &PartContext, salt: Salt) -> SealedPart {
        self.bytes.extend_from_slice(&[0; TAG]);
        let mut hash = Sha256::new();
        let message = Message::derive(dek.as_bytes(), &salt, &context.bytes());
        message.seal_in_place(&mut self.bytes, |chunk| hash.update(chunk));
        SealedPart { bytes: self.bytes, salt, plain_sha256: hash.finalize().into() }
    }
}

impl fmt::Debug for PlainPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainPart({} bytes)", self.plain_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::seal_part_with_salt;
    use crate::{BlobId, BlobShape, Geometry, VaultId, sha256};

    #[test]
    fn a_part_in_pieces_is_the_part_in_one() {
        let dek = Dek::generate();
        let mut buffer = Vec::new();
        for len in [0, 1, CHUNK_PLAIN - 1, CHUNK_PLAIN, CHUNK_PLAIN + 1, 2 * CHUNK_PLAIN, 3 * CHUNK_PLAIN + 7] {
            let blob = BlobShape {
                vault_id: VaultId([1; 16]),
                blob_id: BlobId([2; 16]),
                geometry: Geometry::for_stream(),
                size: len as u64,
            };
            let plaintext: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let mut expected = Vec::new();
            seal_part_with_salt(&dek, &blob.part(0), &[5; 24], &plaintext, &mut expected);
            for piece in [1, 1000, CHUNK_PLAIN, usize::MAX] {
                let mut part = PlainPart::new(buffer);
                plaintext.chunks(piece).for_each(|piece| part.push(piece));
                assert_eq!(part.len(), len);
                assert_eq!(part.start(), &plaintext[..len.min(CHUNK_PLAIN)]);
                let sealed = part.seal_with_salt(&dek, &blob.part(0), [5; 24]);
                assert!(sealed.bytes == expected, "{len} by {piece}");
                assert_eq!(sealed.plain_sha256, sha256(&plaintext));
                buffer = sealed.bytes;
            }
        }
    }

    #[test]
    fn a_buffer_that_has_room_does_not_grow() {
        let context = BlobShape {
            vault_id: VaultId([1; 16]),
            blob_id: BlobId([2; 16]),
            geometry: Geometry::for_stream(),
            size: 0,
        };
        for len in [0, 100, CHUNK_PLAIN, CHUNK_PLAIN + 1] {
            let mut part = PlainPart::new(Vec::with_capacity(cobblestone::sealed_len(len as u64) as usize));
            let place = part.bytes.as_ptr();
            assert!(part.has_room(len));
            part.push(&vec![3; len]);
            assert!(part.has_room(0));
            assert_eq!(part.seal(&Dek::generate(), &context.part(0)).bytes.as_ptr(), place);
        }
        let mut part = PlainPart::new(Vec::with_capacity(100));
        part.push(&[9; 20]);
        assert!(part.has_room(8) && !part.has_room(100));
        part.move_to(Vec::with_capacity(1000));
        assert!(part.has_room(100));
        assert_eq!(part.start(), [9; 20]);
    }
}
