//! The descriptor: the object `vault`, which says which vault a bucket holds.
//!
//! It opens with a root key alone, before the vault's id is known; a wrong key fails here, by name, and nothing else of
//! the bucket is read.

use minicbor::{Decode, Encode};

use super::keys::label;
use super::record::{FRAME, NONCE, VERSION, frame, labelled, open_after, record_kid, seal_after};
use super::{KeyRing, Kid, OpenError, VaultId, random};

/// The version of the format that this code reads and writes.
pub const FORMAT: u8 = 1;

/// What the descriptor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Version of the format, [`FORMAT`].
    pub format: u8,
    /// The vault's id.
    pub vault_id: VaultId,
    /// When the vault was made, Unix milliseconds.
    pub created_ms: u64,
}

/// Seals the descriptor under the ring's active key.
pub fn seal_descriptor(ring: &KeyRing, descriptor: &Descriptor) -> Vec<u8> {
    seal_descriptor_with_nonce(ring, descriptor, &random::bytes())
}

/// Opens a descriptor of this [`FORMAT`] under any key of the ring.
pub fn open_descriptor(ring: &KeyRing, object: &[u8]) -> Result<Descriptor, OpenError> {
    let kid = record_kid(object)?;
    let root = ring.by_kid(kid).ok_or(OpenError::UnknownKey(kid))?;
    let cbor = open_after(FRAME, &root.descriptor_key(), &aad(kid), object)?;
    let body: Body = minicbor::decode(&cbor).map_err(|_| OpenError::Refused)?;
    if body.format != FORMAT || body.encode() != *cbor {
        return Err(OpenError::Refused);
    }
    Ok(Descriptor { format: body.format, vault_id: VaultId(body.vault_id), created_ms: body.created_ms })
}

pub(super) fn seal_descriptor_with_nonce(ring: &KeyRing, descriptor: &Descriptor, nonce: &[u8; NONCE]) -> Vec<u8> {
    let root = ring.active();
    let body = Body { format: descriptor.format, vault_id: descriptor.vault_id.0, created_ms: descriptor.created_ms };
    seal_after(&frame(root.kid()), &root.descriptor_key(), nonce, &aad(root.kid()), &body.encode())
}

/// The CBOR map inside.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(1)]
    format: u8,
    #[cbor(n(2), with = "minicbor::bytes")]
    vault_id: [u8; 16],
    #[n(3)]
    created_ms: u64,
}

impl Body {
    fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("writing to memory does not fail")
    }
}

fn aad(kid: Kid) -> Vec<u8> {
    labelled(label::DESCRIPTOR, &[&[VERSION], &kid.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootKey;

    fn ring(roots: &[u8]) -> KeyRing {
        KeyRing::new(roots.iter().map(|byte| RootKey::new(format!("k{byte}"), &[*byte; 32])).collect()).unwrap()
    }

    fn descriptor() -> Descriptor {
        Descriptor { format: FORMAT, vault_id: VaultId([5; 16]), created_ms: 1_790_000_000_000 }
    }

    #[test]
    fn it_comes_back_under_an_older_key_and_names_a_missing_one() {
        let object = seal_descriptor(&ring(&[1]), &descriptor());
        assert_eq!(open_descriptor(&ring(&[2, 1]), &object).unwrap(), descriptor());
        let kid = ring(&[1]).active().kid();
        assert_eq!(open_descriptor(&ring(&[2]), &object).unwrap_err(), OpenError::UnknownKey(kid));
    }

    #[test]
    fn another_format_and_loose_cbor_are_refused() {
        let ring = ring(&[1]);
        let newer = seal_descriptor(&ring, &Descriptor { format: FORMAT + 1, ..descriptor() });
        assert_eq!(open_descriptor(&ring, &newer).unwrap_err(), OpenError::Refused);

        let root = ring.active();
        let body = Body { format: 1, vault_id: [5; 16], created_ms: 7 }.encode();
        let mut unknown_key = body.clone();
        unknown_key[0] += 1; // one more pair in the map
        unknown_key.extend([4, 0]);
        let trailing = [body.as_slice(), &[0]].concat();
        for cbor in [unknown_key, trailing, b"\xa0".to_vec(), vec![]] {
            let object = seal_after(&frame(root.kid()), &root.descriptor_key(), &[0; 24], &aad(root.kid()), &cbor);
            assert_eq!(open_descriptor(&ring, &object).unwrap_err(), OpenError::Refused);
        }
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let ring = ring(&[1]);
        let object = seal_descriptor(&ring, &descriptor());
        for at in 0..object.len() {
            let mut flipped = object.clone();
            flipped[at] ^= 4;
            assert!(open_descriptor(&ring, &flipped).is_err(), "{at}");
            assert!(open_descriptor(&ring, &object[..at]).is_err(), "{at}");
        }
    }
}
