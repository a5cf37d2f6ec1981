//! Sealed records: `1 | kid(16) | nonce(24) | ciphertext | tag(16)`, XChaCha20-Poly1305 with a random nonce.
//!
//! The label chooses the key and begins the associated data, so a record of one use never opens as another's. What the
//! record stands for (a Redis key, an object key) is the caller's part of the associated data.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::keys::{SecretKey, label};
use super::{Kid, OpenError, VaultKeys, random};

/// What a record holds beyond its plaintext, in bytes.
pub const RECORD_OVERHEAD: usize = FRAME + NONCE + TAG;

pub(super) const VERSION: u8 = 1;
pub(super) const NONCE: usize = 24;
pub(super) const TAG: usize = 16;
/// `1 | kid`, how everything sealed under a root key begins.
pub(super) const FRAME: usize = 1 + 16;

/// What a sealed record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The head of a checkpoint.
    CheckpointHead,
    /// A value in Redis.
    Redis,
    /// The newest acknowledged place of a log.
    Anchor,
    /// The claim of a writer on an epoch.
    Marker,
    /// What a share lets its visitor open.
    Share,
    /// The secret part of a share's link.
    Link,
}

impl Label {
    fn text(self) -> &'static str {
        match self {
            Self::CheckpointHead => label::CHECKPOINT_HEAD,
            Self::Redis => label::REDIS,
            Self::Anchor => label::ANCHOR,
            Self::Marker => label::MARKER,
            Self::Share => label::SHARE,
            Self::Link => label::LINK,
        }
    }
}

impl VaultKeys {
    /// Seals `plaintext` under the active root; it opens only with the same label and `aad`.
    pub fn seal(&self, label: Label, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.seal_with_nonce(label, aad, plaintext, &random::bytes())
    }

    /// Opens a record that was sealed with this label and `aad` under any root of the ring.
    pub fn open(&self, label: Label, aad: &[u8], record: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.opening_key(record_kid(record)?, &[label.text()])?;
        open_after(FRAME, &key, &labelled(label.text(), &[aad]), record)
    }

    pub(super) fn seal_with_nonce(&self, label: Label, aad: &[u8], plaintext: &[u8], nonce: &[u8; NONCE]) -> Vec<u8> {
        let (kid, key) = self.sealing_key(&[label.text()]);
        seal_after(&frame(kid), &key, nonce, &labelled(label.text(), &[aad]), plaintext)
    }
}

/// The id of the root key that anything sealed under one names: record, wrapped key, descriptor or log entry.
pub fn record_kid(sealed: &[u8]) -> Result<Kid, OpenError> {
    match sealed.split_first_chunk::<FRAME>() {
        Some(([VERSION, kid @ ..], _)) => Ok(Kid(*kid)),
        _ => Err(OpenError::Refused),
    }
}

pub(super) fn frame(kid: Kid) -> [u8; FRAME] {
    let mut frame = [VERSION; FRAME];
    frame[1..].copy_from_slice(&kid.0);
    frame
}

/// Associated data: the label, a zero byte, then `parts`.
pub(super) fn labelled(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut aad = [label.as_bytes(), b"\0"].concat();
    aad.extend(parts.concat());
    aad
}

/// `prefix ‖ nonce ‖ ciphertext ‖ tag`.
pub(super) fn seal_after(prefix: &[u8], key: &SecretKey, nonce: &[u8; NONCE], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + NONCE + plaintext.len() + TAG);
    out.extend_from_slice(prefix);
    out.extend_from_slice(nonce);
    let start = out.len();
    out.extend_from_slice(plaintext);
    let tag = XChaCha20Poly1305::new((&**key).into())
        .encrypt_inout_detached(nonce.into(), aad, (&mut out[start..]).into())
        .expect("what is sealed in memory is far below ChaCha20's 256 GiB");
    out.extend_from_slice(&tag);
    out
}

/// Opens what [`seal_after`] made with a prefix of `prefix` bytes.
pub(super) fn open_after(
    prefix: usize,
    key: &SecretKey,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let body = sealed.get(prefix..).ok_or(OpenError::Refused)?;
    let (nonce, body) = body.split_first_chunk::<NONCE>().ok_or(OpenError::Refused)?;
    let (ciphertext, tag) = body.split_last_chunk::<TAG>().ok_or(OpenError::Refused)?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    XChaCha20Poly1305::new((&**key).into())
        .decrypt_inout_detached(nonce.into(), aad, plaintext.as_mut_slice().into(), &Tag::from(*tag))
        .map_err(|_| OpenError::Refused)?;
    Ok(plaintext)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRing, RootKey, VaultId};

    const LABELS: [Label; 6] =
        [Label::CheckpointHead, Label::Redis, Label::Anchor, Label::Marker, Label::Share, Label::Link];

    fn keys(roots: &[u8]) -> VaultKeys {
        let roots = roots.iter().map(|byte| RootKey::new(format!("k{byte}"), &[*byte; 32])).collect();
        VaultKeys::new(&KeyRing::new(roots).unwrap(), VaultId([9; 16]))
    }

    #[test]
    fn a_record_opens_only_under_its_label_and_data() {
        let keys = keys(&[1]);
        let record = keys.seal(Label::Redis, b"here", b"value");
        assert_eq!(record.len(), RECORD_OVERHEAD + 5);
        assert_eq!(keys.open(Label::Redis, b"here", &record).unwrap().as_slice(), b"value");
        assert_eq!(keys.open(Label::Redis, b"there", &record).unwrap_err(), OpenError::Refused);
        for label in LABELS.into_iter().filter(|label| *label != Label::Redis) {
            assert_eq!(keys.open(label, b"here", &record).unwrap_err(), OpenError::Refused);
        }
    }

    #[test]
    fn an_older_root_still_opens_and_a_dropped_one_is_named() {
        let record = keys(&[1]).seal(Label::Redis, b"", b"old");
        assert_eq!(keys(&[2, 1]).open(Label::Redis, b"", &record).unwrap().as_slice(), b"old");
        let kid = keys(&[1]).active_kid();
        assert_eq!(keys(&[2]).open(Label::Redis, b"", &record).unwrap_err(), OpenError::UnknownKey(kid));
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let keys = keys(&[1]);
        let record = keys.seal(Label::Anchor, b"", b"anchor");
        for at in 0..record.len() {
            let mut flipped = record.clone();
            flipped[at] ^= 1;
            assert!(keys.open(Label::Anchor, b"", &flipped).is_err(), "{at}");
            assert!(keys.open(Label::Anchor, b"", &record[..at]).is_err(), "{at}");
        }
        assert!(keys.open(Label::Anchor, b"", &[record.as_slice(), b"\0"].concat()).is_err());
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let keys = keys(&[1]);
        assert_ne!(keys.seal(Label::Redis, b"", b"same"), keys.seal(Label::Redis, b"", b"same"));
    }
}
