//! The catalog's operations: the only things that ever change it, in the form in which they last.
//!
//! An operation is `[number, {key: value, ...}]` in deterministic CBOR. It says what became of the tree, not what was
//! asked for: every choice (a new id, a free name, which blobs nobody needs any more) was made before, so applying it
//! again gives the same state. `docs/format.md` lists numbers and keys; a number or key once used keeps its meaning.
//!
//! Numbers 0 to 31 are the log's own. Free for what comes next: 49 to 63 owner settings, 64 to 79 shares, 80 to 95
//! thumbnails and previews, 96 to 111 jobs, 112 to 127 direct uploads. A blob's keys from 16 on are left for what hangs
//! on a version.

use minicbor::{Decode, Encode};

use super::{
    blob::SealedBlob,
    codec,
    id::{NodeId, VersionId},
    name::FileName,
    settings::SettingValue,
};
use crate::crypto::BlobId;

/// One change of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Operation {
    /// A new, empty folder.
    #[n(32)]
    CreateFolder {
        /// The new node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// The folder it is in.
        #[cbor(n(1), with = "codec::fixed")]
        parent: NodeId,
        /// Its name there.
        #[n(2)]
        name: FileName,
    },
    /// A new file with its first version.
    #[n(33)]
    AddFile {
        /// The new node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// The folder it is in.
        #[cbor(n(1), with = "codec::fixed")]
        parent: NodeId,
        /// Its name there.
        #[n(2)]
        name: FileName,
        /// Its content.
        #[n(3)]
        blob: SealedBlob,
    },
    /// A file's content is replaced; what it was stays as an older version.
    #[n(34)]
    AddVersion {
        /// The file.
        #[cbor(n(0), with = "codec::fixed")]
        file: NodeId,
        /// Its new content.
        #[n(1)]
        blob: SealedBlob,
    },
    /// A node has another name in the same folder.
    #[n(35)]
    Rename {
        /// The node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// Its new name.
        #[n(1)]
        name: FileName,
    },
    /// A node is in another folder, perhaps under another name.
    #[n(36)]
    Move {
        /// The node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// The folder it is in now.
        #[cbor(n(1), with = "codec::fixed")]
        parent: NodeId,
        /// Its name there.
        #[n(2)]
        name: FileName,
    },
    /// The owner's mark is set or taken off.
    #[n(37)]
    Star {
        /// The node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// Whether it has the mark now.
        #[n(1)]
        starred: bool,
    },
    /// A node goes to the trash, and all below it with it.
    #[n(38)]
    Trash {
        /// The node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
    },
    /// A node comes back from the trash.
    #[n(39)]
    Restore {
        /// The node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// The folder it comes back to.
        #[cbor(n(1), with = "codec::fixed")]
        parent: NodeId,
        /// Its name there.
        #[n(2)]
        name: FileName,
    },
    /// Nodes in the trash are deleted for ever, with all below them. They are invisible from here on.
    #[n(40)]
    Discard {
        /// The nodes.
        #[cbor(n(0), with = "codec::fixed_list")]
        nodes: Vec<NodeId>,
    },
    /// Discarded nodes and older versions leave the catalog. Blobs that nothing names any more may be deleted after this
    /// is committed, and may never be named again.
    #[n(41)]
    Purge {
        /// Nodes, each after all below it.
        #[cbor(n(0), with = "codec::fixed_list")]
        nodes: Vec<NodeId>,
        /// Older versions of files that stay.
        #[n(1)]
        versions: Vec<OlderVersion>,
        /// Exactly the blobs that nothing names any more, in ascending order.
        #[cbor(n(2), with = "codec::fixed_list")]
        blobs: Vec<BlobId>,
    },
    /// The objects of purged blobs are deleted from the bucket.
    #[n(42)]
    Deleted {
        /// The blobs.
        #[cbor(n(0), with = "codec::fixed_list")]
        blobs: Vec<BlobId>,
    },
    /// What a request with an `Idempotency-Key` made, kept so that its repetition gets the same answer.
    #[n(43)]
    Remember {
        /// SHA-256 of the key.
        #[cbor(n(0), with = "codec::fixed")]
        key: [u8; 32],
        /// SHA-256 of what was asked for.
        #[cbor(n(1), with = "codec::fixed")]
        fingerprint: [u8; 32],
        /// What it made.
        #[cbor(n(2), with = "codec::fixed")]
        node: NodeId,
    },
    /// Every session of an earlier epoch is void.
    #[n(44)]
    RaiseSessionEpoch {
        /// The new epoch.
        #[n(0)]
        epoch: u64,
    },
    /// Sealed objects that never became content, since the commit that should have named them was refused. They may be
    /// deleted after this is committed, and may never be named again.
    #[n(45)]
    Abandon {
        /// The blobs.
        #[cbor(n(0), with = "codec::fixed_list")]
        blobs: Vec<BlobId>,
    },
    /// A new file with the content that another has now; both name the same blob.
    #[n(46)]
    CopyFile {
        /// The new node.
        #[cbor(n(0), with = "codec::fixed")]
        id: NodeId,
        /// The folder it is in.
        #[cbor(n(1), with = "codec::fixed")]
        parent: NodeId,
        /// Its name there.
        #[n(2)]
        name: FileName,
        /// The file whose content it has.
        #[cbor(n(3), with = "codec::fixed")]
        source: NodeId,
    },
    /// An older version is what the file is again; what it was until now becomes the newest of the older ones.
    #[n(47)]
    RestoreVersion {
        /// The file.
        #[cbor(n(0), with = "codec::fixed")]
        file: NodeId,
        /// The version.
        #[cbor(n(1), with = "codec::fixed")]
        version: VersionId,
    },
    /// A setting of the owner has another value, or none any more.
    #[n(48)]
    SetSetting {
        /// Its key.
        #[n(0)]
        key: String,
        /// Its value; without one it is taken away.
        #[n(1)]
        value: Option<SettingValue>,
    },
}

/// An older version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct OlderVersion {
    /// The file.
    #[cbor(n(0), with = "codec::fixed")]
    pub file: NodeId,
    /// The version.
    #[cbor(n(1), with = "codec::fixed")]
    pub version: VersionId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::fixture;

    #[test]
    fn every_operation_reads_back_and_has_its_number() {
        let (id, parent) = (NodeId::from_bytes([1; 16]), NodeId::ROOT);
        let name = FileName::parse("ä.txt").unwrap();
        let blob = fixture::blob(7, 20 << 20);
        let version = OlderVersion { file: id, version: blob.id };
        let operations = [
            (32, Operation::CreateFolder { id, parent, name: name.clone() }),
            (33, Operation::AddFile { id, parent, name: name.clone(), blob: blob.clone() }),
            (34, Operation::AddVersion { file: id, blob: blob.clone() }),
            (46, Operation::CopyFile { id, parent, name: name.clone(), source: parent }),
            (47, Operation::RestoreVersion { file: id, version: blob.id }),
            (35, Operation::Rename { id, name: name.clone() }),
            (36, Operation::Move { id, parent, name: name.clone() }),
            (37, Operation::Star { id, starred: true }),
            (38, Operation::Trash { id }),
            (39, Operation::Restore { id, parent, name }),
            (40, Operation::Discard { nodes: vec![id, parent] }),
            (41, Operation::Purge { nodes: vec![id], versions: vec![version], blobs: vec![blob.id] }),
            (42, Operation::Deleted { blobs: vec![blob.id, BlobId([2; 16])] }),
            (43, Operation::Remember { key: [3; 32], fingerprint: [4; 32], node: id }),
            (44, Operation::RaiseSessionEpoch { epoch: 1 << 40 }),
            (45, Operation::Abandon { blobs: vec![blob.id] }),
            (48, Operation::SetSetting { key: "totp".into(), value: Some(minicbor::decode(&[0x41, 9]).unwrap()) }),
            (48, Operation::SetSetting { key: "totp".into(), value: None }),
        ];
        for (number, operation) in operations {
            let bytes = minicbor::to_vec(&operation).unwrap();
            assert_eq!(bytes[..3], [0x82, 0x18, number], "[number, {{...}}]");
            assert_eq!(minicbor::decode::<Operation>(&bytes).unwrap(), operation);
        }
    }

    #[test]
    fn the_form_of_an_operation_is_fixed() {
        let id = NodeId::from_bytes([0xAB; 16]);
        let operation = Operation::Rename { id, name: FileName::parse("a").unwrap() };
        let hex = data_encoding::HEXLOWER.encode(&minicbor::to_vec(&operation).unwrap());
        assert_eq!(hex, format!("821823a20050{}016161", "ab".repeat(16)));
    }

    #[test]
    fn damaged_values_are_refused() {
        let whole = minicbor::to_vec(Operation::Deleted { blobs: vec![BlobId([2; 16])] }).unwrap();
        // One byte fewer than a blob id, in a byte string that says so.
        let mut short = whole.clone();
        short.pop();
        short[5] -= 1;
        assert!(minicbor::decode::<Operation>(&whole).is_ok());
        assert!(minicbor::decode::<Operation>(&short).is_err());
        assert!(minicbor::decode::<Operation>(&[0x82, 0x18, 99, 0xA0]).is_err(), "an unknown number");
    }
}
