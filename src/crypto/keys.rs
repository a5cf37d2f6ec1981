//! The key schedule: root keys from the environment, and every key that is derived from them.
//!
//! ```text
//! root --HKDF-SHA-512(salt = empty,    info = label)--> kid (16 bytes, public), descriptor
//! root --HKDF-SHA-512(salt = vault id, info = label)--> wrap, log/<name>, checkpoint, and one for each sealed record's label
//! ```
//! A root key is chosen by the id that sealed bytes carry, never by trying one after another. The first of the ring
//! seals; the others only open.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::{Kid, OpenError, VaultId};

/// Every label of format version 1. Two uses never share one.
pub(super) mod label {
    pub(crate) const KID: &str = "coffer/1/kid";
    pub(crate) const DESCRIPTOR: &str = "coffer/1/descriptor";
    pub(crate) const WRAP: &str = "coffer/1/wrap";
    pub(crate) const LOG: &str = "coffer/1/log/"; // the log's name follows
    pub(crate) const CHECKPOINT: &str = "coffer/1/checkpoint";
    pub(crate) const CHECKPOINT_HEAD: &str = "coffer/1/checkpoint-head";
    pub(crate) const REDIS: &str = "coffer/1/redis";
    pub(crate) const ANCHOR: &str = "coffer/1/anchor";
    pub(crate) const MARKER: &str = "coffer/1/marker";
    pub(crate) const SHARE: &str = "coffer/1/share";
    pub(crate) const LINK: &str = "coffer/1/link";
    pub(crate) const CONTENT_CONTEXT: &[u8; 16] = b"coffer/1/content";
    pub(crate) const CHECKPOINT_CONTEXT: &[u8; 16] = b"coffer/1/check\0\0";
}

/// A 32-byte key that wipes itself.
pub(super) type SecretKey = Zeroizing<[u8; 32]>;

/// One root key of the vault's environment, under the name that its owner gave it.
#[derive(Clone)]
pub struct RootKey {
    name: String,
    kid: Kid,
    secret: SecretKey,
}

impl RootKey {
    /// A root key; `secret` **must** be 32 uniformly random bytes.
    pub fn new(name: String, secret: &[u8; 32]) -> Self {
        let kid = Kid(*Schedule::extract(secret, &[]).derive(&[label::KID]));
        Self { name, kid, secret: Zeroizing::new(*secret) }
    }

    /// The name its owner gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its public id.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The key of the descriptor object: it must open before the vault's id is known.
    pub(super) fn descriptor_key(&self) -> SecretKey {
        Schedule::extract(&self.secret, &[]).derive(&[label::DESCRIPTOR])
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({}, {})", self.name, self.kid)
    }
}

/// Why root keys do not make a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key to seal with.
    #[error("no root key is given")]
    Empty,
    /// Two entries hold one secret.
    #[error("root keys {0:?} and {1:?} are the same key")]
    SameKey(String, String),
}

/// The root keys of a vault, the active one first.
#[derive(Debug, Clone)]
pub struct KeyRing(Vec<RootKey>);

impl KeyRing {
    /// A ring of at least one key, all different.
    pub fn new(roots: Vec<RootKey>) -> Result<Self, KeyRingError> {
        if roots.is_empty() {
            return Err(KeyRingError::Empty);
        }
        for (at, root) in roots.iter().enumerate() {
            if let Some(twin) = roots[..at].iter().find(|other| other.kid == root.kid) {
                return Err(KeyRingError::SameKey(twin.name.clone(), root.name.clone()));
            }
        }
        Ok(Self(roots))
    }

    /// The key that seals.
    pub fn active(&self) -> &RootKey {
        &self.0[0]
    }

    /// The key with this id.
    pub fn by_kid(&self, kid: Kid) -> Option<&RootKey> {
        self.0.iter().find(|root| root.kid == kid)
    }

    /// All keys, the active one first.
    pub fn iter(&self) -> impl Iterator<Item = &RootKey> {
        self.0.iter()
    }
}

/// The keys of one vault: seals under the active root, opens under any of the ring. Cheap to clone.
#[derive(Clone)]
pub struct VaultKeys {
    vault_id: VaultId,
    schedules: Arc<[(Kid, Schedule)]>,
}

impl VaultKeys {
    /// The keys that `ring` holds for the vault `vault_id`.
    pub fn new(ring: &KeyRing, vault_id: VaultId) -> Self {
        let schedules = ring.iter().map(|root| (root.kid, Schedule::extract(&root.secret, &vault_id.0))).collect();
        Self { vault_id, schedules }
    }

    /// The vault these keys belong to.
    pub fn vault_id(&self) -> VaultId {
        self.vault_id
    }

    /// The id of the root key that seals.
    pub fn active_kid(&self) -> Kid {
        self.schedules[0].0
    }

    /// The active root's key for `label`, given in parts.
    pub(super) fn sealing_key(&self, label: &[&str]) -> (Kid, SecretKey) {
        let (kid, schedule) = &self.schedules[0];
        (*kid, schedule.derive(label))
    }

    /// The key for `label` of the root that is named `kid`.
    pub(super) fn opening_key(&self, kid: Kid, label: &[&str]) -> Result<SecretKey, OpenError> {
        let found = self.schedules.iter().find(|(known, _)| *known == kid);
        found.map(|(_, schedule)| schedule.derive(label)).ok_or(OpenError::UnknownKey(kid))
    }
}

impl fmt::Debug for VaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKeys({}, [secret])", self.vault_id)
    }
}

/// HKDF-SHA-512 (RFC 5869) after its extract step. Keys are expanded when used: about a microsecond, and none lies around.
struct Schedule(Zeroizing<[u8; 64]>);

impl Schedule {
    fn extract(root: &[u8; 32], salt: &[u8]) -> Self {
        let (mut prk, _) = Hkdf::<Sha512>::extract(Some(salt), root);
        let schedule = Self(Zeroizing::new(prk.into()));
        zeroize::Zeroize::zeroize(prk.as_mut_slice());
        schedule
    }

    fn derive<const N: usize>(&self, label: &[&str]) -> Zeroizing<[u8; N]> {
        let hkdf = Hkdf::<Sha512>::from_prk(self.0.as_slice()).expect("64 bytes are one SHA-512 output");
        let info: Vec<&[u8]> = label.iter().map(|part| part.as_bytes()).collect();
        let mut key = Zeroizing::new([0; N]);
        hkdf.expand_multi_info(&info, key.as_mut_slice()).expect("a key is shorter than 255 SHA-512 outputs");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(name: &str, byte: u8) -> RootKey {
        RootKey::new(name.into(), &[byte; 32])
    }

    #[test]
    fn a_ring_wants_at_least_one_key_and_no_twins() {
        assert_eq!(KeyRing::new(vec![]).unwrap_err(), KeyRingError::Empty);
        let twins = KeyRing::new(vec![root("a", 1), root("b", 2), root("c", 1)]).unwrap_err();
        assert_eq!(twins, KeyRingError::SameKey("a".into(), "c".into()));
        let ring = KeyRing::new(vec![root("a", 1), root("b", 2)]).unwrap();
        assert_eq!(ring.active().name(), "a");
        assert_eq!(ring.by_kid(root("x", 2).kid()).unwrap().name(), "b");
        assert!(ring.by_kid(Kid([0; 16])).is_none());
    }

    #[test]
    fn every_label_root_and_vault_gives_its_own_key() {
        let ring = KeyRing::new(vec![root("a", 1), root("b", 2)]).unwrap();
        let labels =
            [label::WRAP, label::CHECKPOINT, label::CHECKPOINT_HEAD, label::REDIS, label::ANCHOR, label::MARKER];
        let mut keys = std::collections::HashSet::new();
        for vault in [VaultId([1; 16]), VaultId([2; 16])] {
            let vault_keys = VaultKeys::new(&ring, vault);
            for kid in ring.iter().map(RootKey::kid) {
                for label in labels {
                    assert!(keys.insert(*vault_keys.opening_key(kid, &[label]).unwrap()), "{label}");
                }
            }
        }
        assert_eq!(keys.len(), 2 * 2 * labels.len());
    }

    #[test]
    fn an_unknown_key_is_named() {
        let keys = VaultKeys::new(&KeyRing::new(vec![root("a", 1)]).unwrap(), VaultId([1; 16]));
        let stranger = root("b", 2).kid();
        assert_eq!(keys.opening_key(stranger, &[label::WRAP]).unwrap_err(), OpenError::UnknownKey(stranger));
    }

    #[test]
    fn debug_shows_no_secret() {
        let ring = KeyRing::new(vec![root("main", 0xee)]).unwrap();
        let keys = VaultKeys::new(&ring, VaultId([1; 16]));
        let text = format!("{ring:?} {keys:?}");
        assert!(
            text.contains("main") && !text.contains("ee, ") && !text.contains("238") && !text.contains(&"ee".repeat(4))
        );
    }
}
