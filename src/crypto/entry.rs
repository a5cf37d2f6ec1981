//! Log entries as objects: `1 | kid(16) | vault_id(16) | prev(32) | nonce(24) | ciphertext | tag(16)`.
//!
//! The body is `u32 length ‖ CBOR ‖ zeros` to a multiple of 256 bytes, so sizes of entries say little. An entry opens
//! only at the place it was sealed for: log, sequence, epoch, writer and predecessor are all in the associated data.
//! What the CBOR means is the log's business.

use super::keys::label;
use super::record::{FRAME, NONCE, TAG, frame, labelled, open_after, record_kid, seal_after};
use super::{OpenError, VaultKeys, random};

/// The largest entry object, in bytes.
pub const ENTRY_MAX: usize = 16 * 1024 * 1024;
/// The largest body that fits into an entry, in bytes.
pub const ENTRY_BODY_MAX: usize = (ENTRY_MAX - HEADER - NONCE - TAG) / PAD * PAD - LENGTH;

const HEADER: usize = FRAME + 16 + 32;
const LENGTH: usize = 4;
const PAD: usize = 256;

/// Where in which log an entry stands; its object's name says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPosition {
    /// The log's name.
    pub log: &'static str,
    /// Its number in the chain, from 0.
    pub seq: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Its writer.
    pub writer: [u8; 8],
}

/// What an entry held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedEntry {
    /// SHA-256 of the previous entry's object; zeros for the first.
    pub prev: [u8; 32],
    /// The CBOR, without padding.
    pub body: Vec<u8>,
}

impl VaultKeys {
    /// Seals an entry that follows the object whose SHA-256 is `prev`. `body` **must** be at most [`ENTRY_BODY_MAX`] bytes.
    ///
    /// # Panics
    /// When the body is longer.
    pub fn seal_entry(&self, at: &EntryPosition, prev: &[u8; 32], body: &[u8]) -> Vec<u8> {
        self.seal_entry_with_nonce(at, prev, body, &random::bytes())
    }

    /// Opens the entry that stands at `at`. That `prev` is the predecessor's hash is for the caller to check.
    pub fn open_entry(&self, at: &EntryPosition, object: &[u8]) -> Result<OpenedEntry, OpenError> {
        if object.len() > ENTRY_MAX {
            return Err(OpenError::Refused);
        }
        let kid = record_kid(object)?;
        let (header, _) = object.split_first_chunk::<HEADER>().ok_or(OpenError::Refused)?;
        let (vault_id, prev) = header[FRAME..].split_first_chunk::<16>().ok_or(OpenError::Refused)?;
        let prev: [u8; 32] = prev.try_into().map_err(|_| OpenError::Refused)?;
        if *vault_id != self.vault_id().0 {
            return Err(OpenError::Refused);
        }
        let key = self.opening_key(kid, &[label::LOG, at.log])?;
        let mut padded = open_after(HEADER, &key, &self.entry_aad(at, &prev), object)?;
        let body = unpad(std::mem::take(&mut *padded)).ok_or(OpenError::Refused)?;
        Ok(OpenedEntry { prev, body })
    }

    pub(super) fn seal_entry_with_nonce(
        &self,
        at: &EntryPosition,
        prev: &[u8; 32],
        body: &[u8],
        nonce: &[u8; NONCE],
    ) -> Vec<u8> {
        assert!(body.len() <= ENTRY_BODY_MAX, "a log entry of {} bytes is larger than its limit", body.len());
        let (kid, key) = self.sealing_key(&[label::LOG, at.log]);
        let header = [frame(kid).as_slice(), &self.vault_id().0, prev].concat();
        seal_after(&header, &key, nonce, &self.entry_aad(at, prev), &pad(body))
    }

    fn entry_aad(&self, at: &EntryPosition, prev: &[u8; 32]) -> Vec<u8> {
        let label = [label::LOG, at.log].concat();
        let parts: [&[u8]; 5] = [&self.vault_id().0, &at.seq.to_be_bytes(), &at.epoch.to_be_bytes(), &at.writer, prev];
        labelled(&label, &parts)
    }
}

/// `u32 length ‖ body ‖ zeros`, to the smallest multiple of [`PAD`] that holds it.
fn pad(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("an entry's body is at most 16 MiB");
    let padded = padded_len(body.len());
    let mut out = Vec::with_capacity(padded);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out.resize(padded, 0);
    out
}

/// Undoes [`pad`], and accepts nothing that it would not have made.
fn unpad(mut padded: Vec<u8>) -> Option<Vec<u8>> {
    let (length, rest) = padded.split_first_chunk::<LENGTH>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let zeros = rest.get(length..)?;
    if padded.len() != padded_len(length) || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    padded.truncate(LENGTH + length);
    padded.drain(..LENGTH);
    Some(padded)
}

fn padded_len(body: usize) -> usize {
    (LENGTH + body).next_multiple_of(PAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRing, RootKey, VaultId};

    const AT: EntryPosition = EntryPosition { log: "catalog", seq: 7, epoch: 9, writer: [3; 8] };

    fn keys(vault: u8) -> VaultKeys {
        VaultKeys::new(&KeyRing::new(vec![RootKey::new("k".into(), &[1; 32])]).unwrap(), VaultId([vault; 16]))
    }

    #[test]
    fn an_entry_opens_only_at_its_place() {
        let keys = keys(1);
        let object = keys.seal_entry(&AT, &[8; 32], b"body");
        let opened = keys.open_entry(&AT, &object).unwrap();
        assert_eq!(opened, OpenedEntry { prev: [8; 32], body: b"body".to_vec() });
        let elsewhere = [
            EntryPosition { log: "audit", ..AT },
            EntryPosition { seq: 8, ..AT },
            EntryPosition { epoch: 8, ..AT },
            EntryPosition { writer: [4; 8], ..AT },
        ];
        for at in elsewhere {
            assert_eq!(keys.open_entry(&at, &object).unwrap_err(), OpenError::Refused, "{at:?}");
        }
        assert_eq!(super::tests::keys(2).open_entry(&AT, &object).unwrap_err(), OpenError::Refused);
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let keys = keys(1);
        let object = keys.seal_entry(&AT, &[8; 32], b"body");
        for at in 0..object.len() {
            let mut flipped = object.clone();
            flipped[at] ^= 1;
            assert!(keys.open_entry(&AT, &flipped).is_err(), "{at}");
            assert!(keys.open_entry(&AT, &object[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn sizes_come_in_steps_of_256() {
        let keys = keys(1);
        let overhead = HEADER + NONCE + TAG;
        for (body, padded) in [(0, 256), (1, 256), (252, 256), (253, 512), (508, 512), (509, 768)] {
            let object = keys.seal_entry(&AT, &[0; 32], &vec![1; body]);
            assert_eq!(object.len(), overhead + padded, "{body}");
            assert_eq!(keys.open_entry(&AT, &object).unwrap().body.len(), body);
        }
    }

    #[test]
    fn padding_is_checked_to_the_last_byte() {
        let good = pad(b"abc");
        assert_eq!(unpad(good.clone()).unwrap(), b"abc");
        let mut dirty = good.clone();
        dirty[255] = 1;
        let mut longer = good.clone();
        longer.resize(512, 0);
        let mut lying = good.clone();
        lying[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        for bad in [dirty, longer, lying, good[..255].to_vec(), vec![], vec![0; 3]] {
            assert!(unpad(bad).is_none());
        }
    }

    #[test]
    fn the_largest_body_fits_and_one_byte_more_does_not() {
        let padded = pad(&vec![1; ENTRY_BODY_MAX]);
        let object = HEADER + NONCE + padded.len() + TAG;
        assert!(object <= ENTRY_MAX && object + PAD > ENTRY_MAX);
        assert_eq!(unpad(padded).map(|body| body.len()), Some(ENTRY_BODY_MAX));
        assert_eq!(padded_len(ENTRY_BODY_MAX + 1), padded_len(ENTRY_BODY_MAX) + PAD);

        let keys = keys(1);
        let mut grown = keys.seal_entry(&AT, &[0; 32], b"body");
        grown.resize(ENTRY_MAX + 1, 0);
        assert_eq!(keys.open_entry(&AT, &grown).unwrap_err(), OpenError::Refused);
        let too_long = std::panic::catch_unwind(|| keys.seal_entry(&AT, &[0; 32], &vec![1; ENTRY_BODY_MAX + 1]));
        assert!(too_long.is_err());
    }
}
