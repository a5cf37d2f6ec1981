//! Checkpoint parts: the state of a log as Cobblestone-256 messages, each bound to its checkpoint and its number.
//!
//! A part carries no key id. Its head, a sealed record under [`super::Label::CheckpointHead`], names the root key by
//! [`super::record_kid`] and pins the salt of every part.

use zeroize::Zeroizing;

use super::cobblestone::{Message, Salt};
use super::keys::label;
use super::{Kid, OpenError, VaultId, VaultKeys, random};

/// Plaintext of every checkpoint part but the last, in bytes.
pub const CHECKPOINT_PART: usize = 8 * 1024 * 1024;

/// Which part of which checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointPart {
    /// The log's number: 1 catalog, 2 audit.
    pub log: u8,
    /// The last entry that the checkpoint holds.
    pub seq: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Its writer.
    pub writer: [u8; 8],
    /// The part's number, from 0.
    pub part: u32,
    /// Whether it is the checkpoint's last.
    pub is_final: bool,
}

impl CheckpointPart {
    fn context(&self, vault_id: VaultId) -> Vec<u8> {
        let parts: [&[u8]; 8] = [
            label::CHECKPOINT_CONTEXT,
            &vault_id.0,
            &[self.log],
            &self.seq.to_be_bytes(),
            &self.epoch.to_be_bytes(),
            &self.writer,
            &self.part.to_be_bytes(),
            &[u8::from(self.is_final)],
        ];
        parts.concat()
    }
}

impl VaultKeys {
    /// Seals a part under the active root; returns its salt, which the head **must** pin, and its bytes.
    pub fn seal_checkpoint_part(&self, part: &CheckpointPart, plaintext: &[u8]) -> (Salt, Vec<u8>) {
        let salt = random::bytes();
        (salt, self.seal_checkpoint_part_with_salt(part, &salt, plaintext))
    }

    /// Opens a part that was sealed with the pinned `salt` under the root `kid`, the one that its head names.
    pub fn open_checkpoint_part(
        &self,
        kid: Kid,
        part: &CheckpointPart,
        salt: &Salt,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.opening_key(kid, &[label::CHECKPOINT])?;
        Message::derive(&key, salt, &part.context(self.vault_id())).open(sealed)
    }

    pub(super) fn seal_checkpoint_part_with_salt(
        &self,
        part: &CheckpointPart,
        salt: &Salt,
        plaintext: &[u8],
    ) -> Vec<u8> {
        let (_, key) = self.sealing_key(&[label::CHECKPOINT]);
        let mut out = Vec::new();
        Message::derive(&key, salt, &part.context(self.vault_id())).seal(plaintext, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRing, RootKey};

    const PART: CheckpointPart = CheckpointPart { log: 1, seq: 2, epoch: 3, writer: [4; 8], part: 5, is_final: false };

    fn keys(vault: u8) -> VaultKeys {
        VaultKeys::new(&KeyRing::new(vec![RootKey::new("k".into(), &[1; 32])]).unwrap(), VaultId([vault; 16]))
    }

    #[test]
    fn a_part_opens_only_in_its_place() {
        let keys = keys(1);
        let kid = keys.active_kid();
        let (salt, sealed) = keys.seal_checkpoint_part(&PART, b"state");
        assert_eq!(keys.open_checkpoint_part(kid, &PART, &salt, &sealed).unwrap().as_slice(), b"state");
        let elsewhere = [
            CheckpointPart { log: 2, ..PART },
            CheckpointPart { seq: 9, ..PART },
            CheckpointPart { epoch: 9, ..PART },
            CheckpointPart { writer: [9; 8], ..PART },
            CheckpointPart { part: 9, ..PART },
            CheckpointPart { is_final: true, ..PART },
        ];
        for part in elsewhere {
            assert_eq!(keys.open_checkpoint_part(kid, &part, &salt, &sealed).unwrap_err(), OpenError::Refused);
        }
        assert!(super::tests::keys(2).open_checkpoint_part(kid, &PART, &salt, &sealed).is_err());
        let (newer, _) = keys.seal_checkpoint_part(&PART, b"state");
        assert!(keys.open_checkpoint_part(kid, &PART, &newer, &sealed).is_err());
        let stranger = Kid([0; 16]);
        let refused = keys.open_checkpoint_part(stranger, &PART, &salt, &sealed).unwrap_err();
        assert_eq!(refused, OpenError::UnknownKey(stranger));
    }

    #[test]
    fn the_context_is_laid_out_as_written_down() {
        let context = PART.context(VaultId([7; 16]));
        assert_eq!(context.len(), 62);
        assert_eq!(&context[..16], b"coffer/1/check\0\0");
        assert_eq!(&context[16..33], [[7; 16].as_slice(), &[1]].concat());
    }
}
