//! Cobblestone-256 (c2sp.org/chunked-encryption with AES-256-GCM): one message of any length, opened as a whole or by chunk.
//!
//! ```text
//! key(32) ‖ base nonce(12) ‖ commitment(32) = HKDF-Expand-SHA-512(prk = key, info = INFO ‖ salt(24) ‖ context)
//! message = salt ‖ commitment ‖ chunk 0 ‖ chunk 1 ‖ ... ‖ last chunk
//! chunk i = AES-256-GCM(16 KiB, nonce = base nonce XOR i), no associated data; the last one is always shorter, maybe empty
//! ```
//! A chunk authenticates its index by the nonce and its length by the tag, and only the last is short: order and end are
//! proven without more. The commitment makes a message open under one key and context only. It deliberately knows
//! nothing of blobs and parts; see [`super::content`].

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use hmac::{Hmac, Mac};
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::OpenError;

/// Plaintext of every chunk but the last, in bytes.
pub const CHUNK_PLAIN: usize = 16 * 1024;
/// A sealed chunk, in bytes.
pub const CHUNK_SEALED: usize = CHUNK_PLAIN + TAG;
/// Length of a salt in bytes.
pub const SALT: usize = 24;
/// What a message begins with: salt and commitment, in bytes.
pub const PART_HEADER: usize = SALT + COMMITMENT;

/// What makes one encryption's key its own.
pub type Salt = [u8; SALT];

pub(super) const INFO: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
/// Length of a chunk's tag in bytes.
pub(super) const TAG: usize = 16;
const COMMITMENT: usize = 32;
const NONCE: usize = 12;
/// Chunks are numbered below this.
const MAX_CHUNKS: u64 = 1 << 38;

/// Length of the message over `plain_len` bytes.
pub(super) const fn sealed_len(plain_len: u64) -> u64 {
    PART_HEADER as u64 + plain_len + TAG as u64 * (plain_len / CHUNK_PLAIN as u64 + 1)
}

/// The derived key of one message: seals it, or opens any of its chunks.
pub(super) struct Message {
    cipher: Aes256Gcm,
    base_nonce: [u8; NONCE],
    header: [u8; PART_HEADER],
}

impl Message {
    /// Derives the key of the message with this salt and context.
    pub(super) fn derive(key: &[u8; 32], salt: &Salt, context: &[u8]) -> Self {
        let mut okm = Zeroizing::new([0; 32 + NONCE + COMMITMENT]);
        expand(key, &[INFO, salt, context], okm.as_mut_slice());
        let mut message = Self {
            cipher: Aes256Gcm::new_from_slice(&okm[..32]).expect("the key has 32 bytes"),
            base_nonce: [0; NONCE],
            header: [0; PART_HEADER],
        };
        message.base_nonce.copy_from_slice(&okm[32..32 + NONCE]);
        message.header[..SALT].copy_from_slice(salt);
        message.header[SALT..].copy_from_slice(&okm[32 + NONCE..]);
        message
    }

    /// Refuses a header other than this message's own, in constant time.
    pub(super) fn check_header(&self, header: &[u8]) -> Result<(), OpenError> {
        if bool::from(self.header.as_slice().ct_eq(header)) { Ok(()) } else { Err(OpenError::Refused) }
    }

    /// Appends the whole message to `out`, which grows once.
    pub(super) fn seal(&self, plaintext: &[u8], out: &mut Vec<u8>) {
        out.reserve(sealed_len(plaintext.len() as u64) as usize);
        out.extend_from_slice(&self.header);
        let (full, last) = plaintext.as_chunks::<CHUNK_PLAIN>();
        for (index, chunk) in full.iter().map(<[u8; CHUNK_PLAIN]>::as_slice).chain([last]).enumerate() {
            let start = out.len();
            out.extend_from_slice(chunk);
            let tag = self.seal_chunk(index as u64, &mut out[start..]);
            out.extend_from_slice(&tag);
        }
    }

    /// Seals a message where it lies: room for the header, then chunks of plaintext, each with room for its tag. Each
    /// chunk is shown to `see` just before.
    pub(super) fn seal_in_place(&self, message: &mut [u8], mut see: impl FnMut(&[u8])) {
        let (header, chunks) = message.split_at_mut(PART_HEADER);
        header.copy_from_slice(&self.header);
        for (index, chunk) in chunks.chunks_mut(CHUNK_SEALED).enumerate() {
            let (text, tag) = chunk.split_last_chunk_mut().expect("every chunk has room for its tag");
            see(text);
            *tag = self.seal_chunk(index as u64, text);
        }
    }

    /// Opens a sealed chunk in place and returns the length of its plaintext, which is at the front.
    ///
    /// A chunk of [`CHUNK_SEALED`] bytes opens only where it is not the last, a shorter one only where it is. A refused
    /// chunk stays the ciphertext that it was.
    pub(super) fn open_chunk(&self, index: u64, sealed: &mut [u8]) -> Result<usize, OpenError> {
        if index >= MAX_CHUNKS || sealed.len() > CHUNK_SEALED {
            return Err(OpenError::Refused);
        }
        let (text, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(OpenError::Refused)?;
        let nonce = self.nonce(index);
        self.cipher
            .decrypt_inout_detached((&nonce).into(), &[], (&mut *text).into(), &Tag::from(*tag))
            .map_err(|_| OpenError::Refused)?;
        Ok(text.len())
    }

    /// Opens a whole message, its header included.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (header, body) = sealed.split_at_checked(PART_HEADER).ok_or(OpenError::Refused)?;
        self.check_header(header)?;
        let (full, last) = body.as_chunks::<CHUNK_SEALED>();
        let mut plaintext = Zeroizing::new(Vec::with_capacity(body.len()));
        for (index, chunk) in full.iter().map(<[u8; CHUNK_SEALED]>::as_slice).chain([last]).enumerate() {
            let start = plaintext.len();
            plaintext.extend_from_slice(chunk);
            let opened = self.open_chunk(index as u64, &mut plaintext[start..])?;
            plaintext.truncate(start + opened);
        }
        Ok(plaintext)
    }

    fn seal_chunk(&self, index: u64, text: &mut [u8]) -> [u8; TAG] {
        self.cipher
            .encrypt_inout_detached((&self.nonce(index)).into(), &[], text.into())
            .expect("a chunk is far below AES-GCM's limit")
            .into()
    }

    fn nonce(&self, index: u64) -> [u8; NONCE] {
        let mut nonce = self.base_nonce;
        for (byte, counter) in nonce[NONCE - 8..].iter_mut().zip(index.to_be_bytes()) {
            *byte ^= counter;
        }
        nonce
    }
}

/// HKDF-Expand with SHA-512 (RFC 5869, 2.3). The `hkdf` crate refuses a key that is shorter than the hash, as this one is.
pub(super) fn expand(prk: &[u8; 32], info: &[&[u8]], out: &mut [u8]) {
    let mut previous = Zeroizing::new([0u8; 64]);
    for (block, counter) in out.chunks_mut(64).zip(1u8..) {
        let mut mac = Hmac::<Sha512>::new_from_slice(prk).expect("HMAC takes a key of any length");
        if counter > 1 {
            mac.update(previous.as_slice());
        }
        info.iter().for_each(|part| mac.update(part));
        mac.update(&[counter]);
        previous.copy_from_slice(&mac.finalize().into_bytes());
        block.copy_from_slice(&previous[..block.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn seal(salt: u8, context: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Message::derive(&KEY, &[salt; SALT], context).seal(plaintext, &mut out);
        out
    }

    #[test]
    fn messages_have_the_length_of_the_formula_and_come_back() {
        for len in [0, 1, CHUNK_PLAIN - 1, CHUNK_PLAIN, CHUNK_PLAIN + 1, 2 * CHUNK_PLAIN, 3 * CHUNK_PLAIN + 5] {
            let plaintext: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let sealed = seal(1, b"context", &plaintext);
            assert_eq!(sealed.len() as u64, sealed_len(len as u64), "{len}");
            let message = Message::derive(&KEY, &[1; SALT], b"context");
            assert_eq!(*message.open(&sealed).unwrap(), plaintext);
        }
    }

    #[test]
    fn the_reference_crate_opens_ours_and_we_open_its() {
        let key = cobblestone::Key256::from_bytes(&KEY);
        for len in [0, 1, 100, CHUNK_PLAIN - 1, CHUNK_PLAIN, CHUNK_PLAIN + 1, 5 * CHUNK_PLAIN] {
            let plaintext: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
            let ours = seal(3, b"context", &plaintext);
            assert_eq!(cobblestone::decrypt(&key, b"context", &ours).unwrap(), plaintext, "{len}");
            let theirs = cobblestone::encrypt(&key, b"context", &plaintext).unwrap();
            let salt = theirs[..SALT].try_into().unwrap();
            assert_eq!(*Message::derive(&KEY, &salt, b"context").open(&theirs).unwrap(), plaintext, "{len}");
        }
    }

    #[test]
    fn another_key_salt_or_context_is_refused_by_the_commitment() {
        let sealed = seal(1, b"context", b"text");
        for other in [
            Message::derive(&[8; 32], &[1; SALT], b"context"),
            Message::derive(&KEY, &[2; SALT], b"context"),
            Message::derive(&KEY, &[1; SALT], b"other"),
        ] {
            assert_eq!(other.check_header(&sealed[..PART_HEADER]).unwrap_err(), OpenError::Refused);
            assert!(other.open(&sealed).is_err());
        }
    }

    #[test]
    fn a_failed_chunk_leaves_no_plaintext() {
        let message = Message::derive(&KEY, &[1; SALT], b"");
        let mut chunk = seal(1, b"", &[0x55; 1000])[PART_HEADER..].to_vec();
        chunk[0] ^= 1;
        let before = chunk.clone();
        assert_eq!(message.open_chunk(0, &mut chunk).unwrap_err(), OpenError::Refused);
        assert_eq!(chunk, before);
        assert!(message.open_chunk(0, &mut [0; TAG - 1]).is_err());
        assert!(message.open_chunk(0, &mut [0; CHUNK_SEALED + 1]).is_err());
        assert!(message.open_chunk(MAX_CHUNKS, &mut [0; TAG]).is_err());
    }
}
