//! Data keys and how they are kept: wrapped under a root key, bound to one blob and one purpose of one vault.
//!
//! Rotation re-wraps these 89 bytes; content is never touched.

use std::fmt;

use zeroize::Zeroizing;

use super::keys::{SecretKey, label};
use super::record::{FRAME, NONCE, VERSION, frame, labelled, open_after, record_kid, seal_after};
use super::{BlobId, Kid, OpenError, RECORD_OVERHEAD, VaultKeys, random};

/// Length of a wrapped data key in bytes.
pub const WRAPPED_DEK: usize = RECORD_OVERHEAD + 32;

/// The data key of one blob: 32 random bytes that wipe themselves.
#[derive(Clone)]
pub struct Dek(SecretKey);

impl Dek {
    /// A fresh key.
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random::fill(key.as_mut_slice());
        Self(key)
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes; the caller **must not** let them reach a log, an error or the bucket.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek([secret])")
    }
}

/// What a data key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A file's content.
    Content = 1,
    /// A small picture of it.
    Thumbnail = 2,
    /// A larger picture of it.
    Preview = 3,
}

/// A data key under a root key: safe to keep anywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WrappedDek([u8; WRAPPED_DEK]);

impl WrappedDek {
    /// Reads exactly [`WRAPPED_DEK`] bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; WRAPPED_DEK] {
        &self.0
    }
}

impl fmt::Debug for WrappedDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedDek")
    }
}

impl VaultKeys {
    /// Wraps `dek` under the active root, for this blob and purpose alone.
    pub fn wrap(&self, dek: &Dek, blob_id: BlobId, purpose: Purpose) -> WrappedDek {
        self.wrap_with_nonce(dek, blob_id, purpose, &random::bytes())
    }

    /// Unwraps the data key of this blob and purpose.
    pub fn unwrap(&self, wrapped: &WrappedDek, blob_id: BlobId, purpose: Purpose) -> Result<Dek, OpenError> {
        let kid = record_kid(&wrapped.0)?;
        let key = self.opening_key(kid, &[label::WRAP])?;
        let opened = open_after(FRAME, &key, &self.wrap_aad(kid, blob_id, purpose), &wrapped.0)?;
        let mut dek = Zeroizing::new([0; 32]);
        dek.copy_from_slice(&opened);
        Ok(Dek(dek))
    }

    pub(super) fn wrap_with_nonce(
        &self,
        dek: &Dek,
        blob_id: BlobId,
        purpose: Purpose,
        nonce: &[u8; NONCE],
    ) -> WrappedDek {
        let (kid, key) = self.sealing_key(&[label::WRAP]);
        let aad = self.wrap_aad(kid, blob_id, purpose);
        let sealed = seal_after(&frame(kid), &key, nonce, &aad, dek.as_bytes());
        WrappedDek::from_slice(&sealed).expect("a sealed key of 32 bytes has one length")
    }

    fn wrap_aad(&self, kid: Kid, blob_id: BlobId, purpose: Purpose) -> Vec<u8> {
        labelled(label::WRAP, &[&self.vault_id().0, &blob_id.0, &[purpose as u8, VERSION], &kid.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRing, RootKey, VaultId};

    fn keys(root: u8, vault: u8) -> VaultKeys {
        VaultKeys::new(&KeyRing::new(vec![RootKey::new("k".into(), &[root; 32])]).unwrap(), VaultId([vault; 16]))
    }

    #[test]
    fn a_wrapped_key_opens_only_for_its_vault_blob_and_purpose() {
        let (keys, dek, blob) = (keys(1, 1), Dek::generate(), BlobId::random());
        let wrapped = keys.wrap(&dek, blob, Purpose::Content);
        assert_eq!(wrapped.as_bytes().len(), 89);
        assert_eq!(keys.unwrap(&wrapped, blob, Purpose::Content).unwrap().as_bytes(), dek.as_bytes());
        assert_eq!(keys.unwrap(&wrapped, BlobId::random(), Purpose::Content).unwrap_err(), OpenError::Refused);
        for other in [Purpose::Thumbnail, Purpose::Preview] {
            assert_eq!(keys.unwrap(&wrapped, blob, other).unwrap_err(), OpenError::Refused);
        }
        assert_eq!(super::tests::keys(1, 2).unwrap(&wrapped, blob, Purpose::Content).unwrap_err(), OpenError::Refused);
        let kid = keys.active_kid();
        let stranger = super::tests::keys(2, 1).unwrap(&wrapped, blob, Purpose::Content).unwrap_err();
        assert_eq!(stranger, OpenError::UnknownKey(kid));
    }

    #[test]
    fn every_flip_is_refused() {
        let (keys, blob) = (keys(1, 1), BlobId::random());
        let wrapped = keys.wrap(&Dek::generate(), blob, Purpose::Content);
        for at in 0..WRAPPED_DEK {
            let mut flipped = wrapped;
            flipped.0[at] ^= 0x80;
            assert!(keys.unwrap(&flipped, blob, Purpose::Content).is_err(), "{at}");
        }
        assert!(WrappedDek::from_slice(&wrapped.0[1..]).is_none());
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Dek::from_bytes([7; 32])), "Dek([secret])");
    }
}
