//! The freshness anchor: the newest acknowledged entry, remembered outside the bucket.
//!
//! It lies sealed in Redis and, if `STATE_DIR` is set, in a file there; the process keeps it in memory too. This module
//! knows its bytes and its file. What an anchor proves is decided in [`super::freshness`].

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};

use super::chain::Hash;
use super::entry::{from_cbor, to_cbor};
use super::name::Place;
use crate::crypto::{Label, VaultId, VaultKeys};

/// The newest entry that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Anchor {
    #[n(0)]
    log: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    vault_id: [u8; 16],
    /// Where the entry lies.
    #[n(2)]
    pub(crate) place: Place,
    /// SHA-256 of its object.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) hash: Hash,
}

impl Anchor {
    /// Describes an entry.
    pub(crate) fn new(log: &str, vault_id: VaultId, place: Place, hash: Hash) -> Self {
        Self { log: log.to_owned(), vault_id: vault_id.0, place, hash }
    }

    /// The canonical bytes, which the owner's answer to an alarm is bound to.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// Seals it for a place that is not trusted.
    pub(crate) fn seal(&self, keys: &VaultKeys) -> Vec<u8> {
        keys.seal(Label::Anchor, self.log.as_bytes(), &self.to_bytes())
    }

    /// Opens what [`Anchor::seal`] made for this log of this vault.
    pub(crate) fn open(keys: &VaultKeys, log: &str, sealed: &[u8]) -> Option<Self> {
        let plain = keys.open(Label::Anchor, log.as_bytes(), sealed).ok()?;
        let anchor: Self = from_cbor(&plain)?;
        (anchor.log == log && anchor.vault_id == keys.vault_id().0).then_some(anchor)
    }
}

const EXTENSION: &str = "anchor";

/// The anchor's copy in `STATE_DIR`.
#[derive(Clone, Debug)]
pub(crate) struct AnchorFile(PathBuf);

impl AnchorFile {
    /// Names the file of one log of one vault.
    pub(crate) fn new(state_dir: &Path, vault_id: VaultId, log: &str) -> Self {
        Self(state_dir.join(format!("{}-{log}.{EXTENSION}", vault_id.hex())))
    }

    /// Whether a folder holds any vault's anchor.
    pub(crate) fn any_in(state_dir: &Path) -> io::Result<bool> {
        let files = match std::fs::read_dir(state_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            files => files?,
        };
        for file in files {
            if file?.path().extension().is_some_and(|extension| extension == EXTENSION) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the sealed anchor.
    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(&self.0) {
            Ok(sealed) => Ok(Some(sealed)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the sealed anchor: after a crash at any point the old or the new one is there, whole.
    pub(crate) fn write(&self, sealed: &[u8]) -> io::Result<()> {
        let folder = self.0.parent().expect("the path was made by joining a folder and a name");
        // For this user alone, or the next start's check would refuse the folder.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Of this process alone: another one may share the folder while it takes over.
        let fresh = self.0.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(sealed)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.0)?;
        std::fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("state");
        assert!(!AnchorFile::any_in(&state_dir).unwrap());
        let file = AnchorFile::new(&state_dir, VaultId([7; 16]), "catalog");
        assert_eq!(file.read().unwrap(), None);
        for sealed in [b"one".as_slice(), b"another"] {
            file.write(sealed).unwrap();
            assert_eq!(file.read().unwrap().as_deref(), Some(sealed));
        }
        assert!(AnchorFile::any_in(&state_dir).unwrap());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state_dir), mode(&file.0)), (0o700, 0o600));
        let other = AnchorFile::new(&state_dir, VaultId([8; 16]), "catalog");
        assert_eq!(other.read().unwrap(), None);
    }
}
