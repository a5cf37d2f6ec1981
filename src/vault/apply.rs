//! What each operation does to the catalog.
//!
//! An operation that the state does not allow is refused as inconsistent. Proposals never make one (`propose.rs` checks
//! the same rules first, with answers made for people), so a refusal here means that the log was not written by this
//! program's rules, and nothing after it can be trusted.

use std::collections::BTreeSet;

use super::{
    answers::Answer,
    blob::SealedBlob,
    catalog::{Catalog, Marks},
    id::{NodeId, VersionId},
    index::Place,
    name::FileName,
    node::{Content, File, Node, Older, Standing, Version},
    operation::{OlderVersion, Operation},
    retired::Fate,
};
use crate::crypto::BlobId;
use crate::log::{Inconsistent, Stamp};

/// How many answers whose time is over go with each new one: more than come, so none stays for long.
const ANSWERS_DROPPED: usize = 2;

impl Catalog {
    /// Applies one operation, perhaps in part when it fails: the caller takes it back.
    pub(super) fn perform(&mut self, stamp: &Stamp, operation: &Operation) -> Result<(), Inconsistent> {
        match operation {
            Operation::CreateFolder { id, parent, name } => self.create(stamp, *id, (*parent, name), Content::Folder),
            Operation::AddFile { id, parent, name, blob } => {
                let current = self.fresh(stamp, blob)?;
                self.create(stamp, *id, (*parent, name), Content::File(File { current, older: Older::default() }))
            }
            Operation::AddVersion { file, blob } => self.add_version(stamp, *file, blob),
            Operation::Rename { id, name } => self.put_at(stamp, *id, None, name),
            Operation::Move { id, parent, name } => self.put_at(stamp, *id, Some(*parent), name),
            Operation::Star { id, starred } => {
                let mut node = self.copy_at(*id, Place::Live)?;
                node.starred = *starred;
                self.put(stamp, node)
            }
            Operation::Trash { id } => {
                let mut node = self.copy_at(*id, Place::Live)?;
                node.standing = Standing::Trashed { since_ms: stamp.at_ms };
                self.put(stamp, node)
            }
            Operation::Restore { id, parent, name } => self.restore_to(stamp, *id, *parent, name),
            Operation::Discard { nodes } => nodes.iter().try_for_each(|id| {
                let mut node = self.copy_in_trash(*id)?;
                node.standing = Standing::Discarded;
                self.put(stamp, node)
            }),
            Operation::Purge { nodes, versions, blobs } => self.perform_purge(stamp, nodes, versions, blobs),
            Operation::Deleted { blobs } => blobs.iter().try_for_each(|blob| match self.retired.get(*blob) {
                Some(Fate::Purged) => {
                    self.put_fate(*blob, Fate::Deleted);
                    Ok(())
                }
                _ => Err(Inconsistent("a blob was deleted that was not purged")),
            }),
            Operation::Remember { key, fingerprint, node } => {
                let answer = Answer { fingerprint: *fingerprint, node: *node, at_ms: stamp.at_ms };
                self.put_answer(*key, Some(answer));
                for _ in 0..ANSWERS_DROPPED {
                    if let Some(key) = self.answers.surplus(stamp.at_ms) {
                        self.put_answer(key, None);
                    }
                }
                Ok(())
            }
            Operation::RaiseSessionEpoch { epoch } if *epoch > self.marks.session_epoch => {
                self.put_marks(Marks { session_epoch: *epoch, ..self.marks });
                Ok(())
            }
            Operation::RaiseSessionEpoch { .. } => Err(Inconsistent("the session epoch did not rise")),
            Operation::Abandon { blobs } => blobs.iter().try_for_each(|blob| {
                if self.knows(*blob) {
                    return Err(Inconsistent("an abandoned blob is known"));
                }
                self.put_fate(*blob, Fate::Purged);
                Ok(())
            }),
            Operation::CopyFile { id, parent, name, source } => self.copy_file(stamp, *id, (*parent, name), *source),
            Operation::RestoreVersion { file, version } => self.restore_version(stamp, *file, *version),
            Operation::SetSetting { key, value } => self.set_setting(key, value.as_ref()),
        }
    }

    pub(super) fn create(
        &mut self,
        stamp: &Stamp,
        id: NodeId,
        (parent, name): (NodeId, &FileName),
        content: Content,
    ) -> Result<(), Inconsistent> {
        if self.index.get(id).is_some() {
            return Err(Inconsistent("a new node has the id of another"));
        }
        self.check_place(id, parent, name)?;
        let node = Node {
            id,
            parent,
            name: name.clone(),
            standing: Standing::Live,
            starred: false,
            created_ms: stamp.at_ms,
            seq: stamp.seq,
            index: stamp.index,
            content,
        };
        self.put(stamp, node)
    }

    fn add_version(&mut self, stamp: &Stamp, id: NodeId, blob: &SealedBlob) -> Result<(), Inconsistent> {
        let current = self.fresh(stamp, blob)?;
        let mut node = self.copy_at(id, Place::Live)?;
        let Content::File(file) = &mut node.content else { return Err(Inconsistent("a folder has no versions")) };
        file.older = file.versions().cloned().collect();
        file.current = current;
        self.put(stamp, node)
    }

    fn restore_version(&mut self, stamp: &Stamp, id: NodeId, version: VersionId) -> Result<(), Inconsistent> {
        let mut node = self.copy_at(id, Place::Live)?;
        let Content::File(file) = &mut node.content else { return Err(Inconsistent("a folder has no versions")) };
        let found = file.older.iter().find(|older| older.id() == version).cloned();
        let found = found.ok_or(Inconsistent("a restored version is not among the older ones"))?;
        file.older = file.versions().filter(|kept| kept.id() != version).cloned().collect();
        file.current = Version { created_ms: stamp.at_ms, ..found };
        self.put(stamp, node)
    }

    fn put_at(
        &mut self,
        stamp: &Stamp,
        id: NodeId,
        parent: Option<NodeId>,
        name: &FileName,
    ) -> Result<(), Inconsistent> {
        let mut node = self.copy_at(id, Place::Live)?;
        node.parent = parent.unwrap_or(node.parent);
        self.check_place(id, node.parent, name)?;
        node.name = name.clone();
        self.put(stamp, node)
    }

    fn restore_to(&mut self, stamp: &Stamp, id: NodeId, parent: NodeId, name: &FileName) -> Result<(), Inconsistent> {
        let mut node = self.copy_in_trash(id)?;
        self.check_place(id, parent, name)?;
        (node.parent, node.name, node.standing) = (parent, name.clone(), Standing::Live);
        self.put(stamp, node)
    }

    fn perform_purge(
        &mut self,
        stamp: &Stamp,
        nodes: &[NodeId],
        versions: &[OlderVersion],
        blobs: &[BlobId],
    ) -> Result<(), Inconsistent> {
        let mut dropped = BTreeSet::new();
        for id in nodes {
            let node = self.copy_at(*id, Place::Gone)?;
            if self.index.children(*id).len() > 0 {
                return Err(Inconsistent("a folder was purged before what it holds"));
            }
            dropped.extend(node.file().into_iter().flat_map(File::versions).map(Version::id));
            self.put_node(*id, None);
        }
        for older in versions {
            let mut node = self.index.get(older.file).cloned().ok_or(Inconsistent("a purged version has no file"))?;
            let Content::File(file) = &mut node.content else { return Err(Inconsistent("a folder has no versions")) };
            let before = file.older.len();
            file.older = file.older.iter().filter(|version| version.id() != older.version).cloned().collect();
            if file.older.len() == before {
                return Err(Inconsistent("a purged version is not among the older ones"));
            }
            dropped.insert(older.version);
            self.put(stamp, node)?;
        }
        dropped.retain(|blob| self.index.uses(*blob) == 0);
        if !dropped.iter().eq(blobs) {
            return Err(Inconsistent("a purge names other blobs than those that nothing needs"));
        }
        for blob in dropped {
            self.put_fate(blob, Fate::Purged);
        }
        self.put_marks(Marks { restore_floor: self.marks.restore_floor.max(stamp.seq), ..self.marks });
        Ok(())
    }

    /// Puts a node that was changed, or is new, into the index.
    fn put(&mut self, stamp: &Stamp, mut node: Node) -> Result<(), Inconsistent> {
        if node.id == NodeId::ROOT {
            return Err(Inconsistent("the root never changes"));
        }
        (node.seq, node.index) = (stamp.seq, stamp.index);
        self.put_node(node.id, Some(node));
        Ok(())
    }

    /// A copy of the node, which must stand there.
    fn copy_at(&self, id: NodeId, place: Place) -> Result<Node, Inconsistent> {
        let node = self.index.get(id).ok_or(Inconsistent("a node does not exist"))?;
        if self.index.place(node) == place { Ok(node.clone()) } else { Err(Inconsistent("a node is elsewhere")) }
    }

    /// A copy of the node, which must be in the trash.
    fn copy_in_trash(&self, id: NodeId) -> Result<Node, Inconsistent> {
        let node = self.index.get(id).ok_or(Inconsistent("a node does not exist"))?;
        match self.index.place(node) {
            Place::InTrash { .. } => Ok(node.clone()),
            Place::Live | Place::Gone => Err(Inconsistent("a node is not in the trash")),
        }
    }

    /// A node may stand in a live folder that is not below it and where nothing else has its name.
    fn check_place(&self, id: NodeId, parent: NodeId, name: &FileName) -> Result<(), Inconsistent> {
        let folder = self.index.get(parent).ok_or(Inconsistent("a parent does not exist"))?;
        if !folder.is_folder() || self.index.place(folder) != Place::Live {
            return Err(Inconsistent("a parent is no folder in the tree"));
        }
        if self.index.upwards(folder).any(|above| above.id == id) {
            return Err(Inconsistent("a folder is inside itself"));
        }
        match self.index.child(parent, name) {
            Some(other) if other.id != id => Err(Inconsistent("two nodes of one folder have the same name")),
            _ => Ok(()),
        }
    }

    /// A new version out of a blob that was never named before.
    fn fresh(&self, stamp: &Stamp, blob: &SealedBlob) -> Result<Version, Inconsistent> {
        if self.knows(blob.id) {
            return Err(Inconsistent("a blob is named a second time"));
        }
        if !blob.is_whole() {
            return Err(Inconsistent("a blob has another number of salts than parts"));
        }
        Ok(Version { blob: blob.clone(), created_ms: stamp.at_ms })
    }
}
