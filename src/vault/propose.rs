//! What people ask for, turned into operations.
//!
//! A proposal looks at the state with everything before it already applied, refuses with an answer made for people, or
//! says which operations make it true. It changes nothing itself. Asking for what is already so proposes nothing.

use minicbor::{Decode, Encode};

use super::{
    blob::SealedBlob,
    catalog::Catalog,
    error::VaultError,
    id::{NodeId, VersionId},
    index::Place,
    name::FileName,
    node::{Node, Revision},
    operation::{OlderVersion, Operation},
};

/// Deepest place of a node: the root is at 0.
pub const MAX_DEPTH: usize = 128;

/// Most versions of one file, the current one included.
pub const MAX_VERSIONS: usize = 10_000;

/// Highest number in `name (number).ext` before the search for a free name ends.
const MAX_NUMBERED: u32 = 10_000;

/// Operations, and what their caller gets once they are committed.
pub(super) type Proposal<T> = Result<(Vec<Operation>, T), VaultError>;

/// What an upload does when its name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum OnConflict {
    /// Nothing: the upload is refused.
    #[default]
    #[n(0)]
    Fail,
    /// It becomes a new version of the file of that name.
    #[n(1)]
    Replace,
    /// It gets the first free name of the form `name (2).ext`.
    #[n(2)]
    KeepBoth,
}

/// What to change about a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodePatch {
    /// Another name.
    pub name: Option<FileName>,
    /// Another folder.
    pub parent: Option<NodeId>,
    /// Set the owner's mark, or take it off.
    pub starred: Option<bool>,
}

/// Where an upload goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A new file.
    New {
        /// The folder.
        parent: NodeId,
        /// The name asked for.
        name: FileName,
        /// What to do when it is taken.
        on_conflict: OnConflict,
    },
    /// A new version of a file.
    Version {
        /// The file.
        file: NodeId,
        /// The version that it must have now, where the caller cares.
        if_match: Option<VersionId>,
    },
}

impl Catalog {
    /// A new folder.
    pub(super) fn propose_folder(&self, parent: NodeId, name: FileName) -> Proposal<NodeId> {
        self.room_below(parent, 1)?;
        self.name_is_free(parent, &name)?;
        let id = NodeId::generate();
        Ok((vec![Operation::CreateFolder { id, parent, name }], id))
    }

    /// Sealed content becomes a file or a version.
    pub(super) fn propose_content(&self, target: Target, blob: SealedBlob) -> Proposal<NodeId> {
        match self.resolve(target)? {
            Slot::File(file) => Ok((vec![Operation::AddVersion { file, blob }], file)),
            Slot::Name(parent, name) => {
                let id = NodeId::generate();
                Ok((vec![Operation::AddFile { id, parent, name, blob }], id))
            }
        }
    }

    /// Whether an upload to that place would be accepted now.
    pub(super) fn check_target(&self, target: &Target) -> Result<(), VaultError> {
        self.resolve(target.clone()).map(|_| ())
    }

    /// Another name, folder or mark for a node.
    pub(super) fn propose_update(&self, id: NodeId, patch: NodePatch, if_match: Option<Revision>) -> Proposal<()> {
        let node = self.live(id)?;
        check_match(node, if_match)?;
        if id == NodeId::ROOT {
            return Err(VaultError::IsRoot);
        }
        let mut operations = Vec::new();
        let parent = patch.parent.unwrap_or(node.parent);
        let name = patch.name.unwrap_or_else(|| node.name.clone());
        if parent != node.parent {
            let folder = self.room_below(parent, self.height(node))?;
            if self.index.upwards(folder).any(|above| above.id == id) {
                return Err(VaultError::IntoItself);
            }
        }
        if parent != node.parent || name != node.name {
            self.name_is_free(parent, &name)?;
            operations.push(match parent == node.parent {
                true => Operation::Rename { id, name },
                false => Operation::Move { id, parent, name },
            });
        }
        if let Some(starred) = patch.starred.filter(|starred| *starred != node.starred) {
            operations.push(Operation::Star { id, starred });
        }
        Ok((operations, ()))
    }

    /// A node goes to the trash.
    pub(super) fn propose_trash(&self, id: NodeId, if_match: Option<Revision>) -> Proposal<()> {
        let node = self.live(id)?;
        check_match(node, if_match)?;
        if id == NodeId::ROOT {
            return Err(VaultError::IsRoot);
        }
        Ok((vec![Operation::Trash { id }], ()))
    }

    /// A node comes back: to the folder given, else to where it was, else to the nearest folder above that still is.
    /// When its name is taken there, it gets a numbered one.
    pub(super) fn propose_restore(&self, id: NodeId, to: Option<NodeId>) -> Proposal<()> {
        let node = self.trashed(id)?;
        let parent = to.unwrap_or_else(|| self.nearest_live(node.parent));
        self.room_below(parent, self.height(node))?;
        let name = self.free_name(parent, &node.name, !node.is_folder())?;
        Ok((vec![Operation::Restore { id, parent, name }], ()))
    }

    /// A node in the trash is deleted for ever.
    pub(super) fn propose_discard(&self, id: NodeId) -> Proposal<()> {
        self.trashed(id)?;
        Ok((vec![Operation::Discard { nodes: vec![id] }], ()))
    }

    /// An older version is what the file is again.
    pub(super) fn propose_version_restore(&self, file: NodeId, version: VersionId) -> Proposal<()> {
        let versions = self.live(file)?.file().ok_or(VaultError::NotAFile)?;
        if versions.current.id() == version {
            return Ok((Vec::new(), ()));
        }
        if !versions.older.iter().any(|older| older.id() == version) {
            return Err(VaultError::NotFound);
        }
        Ok((vec![Operation::RestoreVersion { file, version }], ()))
    }

    /// An older version of a file is deleted for ever.
    pub(super) fn propose_version_purge(&self, file: NodeId, version: VersionId) -> Proposal<()> {
        let node = self.visible(file)?;
        let versions = node.file().ok_or(VaultError::NotAFile)?;
        if versions.current.id() == version {
            return Err(VaultError::IsCurrent);
        }
        if !versions.older.iter().any(|older| older.id() == version) {
            return Err(VaultError::NotFound);
        }
        Ok((vec![self.purge(Vec::new(), vec![OlderVersion { file, version }])], ()))
    }

    /// The operation that purges these, with the blobs that nothing needs then.
    pub(super) fn purge(&self, nodes: Vec<NodeId>, versions: Vec<OlderVersion>) -> Operation {
        let mut dropped = std::collections::BTreeMap::<_, usize>::new();
        let files = nodes.iter().filter_map(|id| self.index.get(*id)?.file());
        let of_nodes = files.flat_map(|file| file.versions().map(|version| version.id()));
        for blob in of_nodes.chain(versions.iter().map(|older| older.version)) {
            *dropped.entry(blob).or_default() += 1;
        }
        dropped.retain(|blob, uses| self.index.uses(*blob) == *uses);
        Operation::Purge { nodes, versions, blobs: dropped.into_keys().collect() }
    }

    /// The node, unless it was deleted for ever.
    pub(super) fn visible(&self, id: NodeId) -> Result<&Node, VaultError> {
        let node = self.index.get(id).ok_or(VaultError::NotFound)?;
        if self.index.place(node) == Place::Gone { Err(VaultError::NotFound) } else { Ok(node) }
    }

    pub(super) fn live(&self, id: NodeId) -> Result<&Node, VaultError> {
        let node = self.index.get(id).ok_or(VaultError::NotFound)?;
        match self.index.place(node) {
            Place::Live => Ok(node),
            Place::InTrash { .. } => Err(VaultError::InTrash),
            Place::Gone => Err(VaultError::NotFound),
        }
    }

    fn trashed(&self, id: NodeId) -> Result<&Node, VaultError> {
        let node = self.index.get(id).ok_or(VaultError::NotFound)?;
        match self.index.place(node) {
            Place::Live => Err(VaultError::NotInTrash),
            Place::InTrash { .. } => Ok(node),
            Place::Gone => Err(VaultError::NotFound),
        }
    }

    fn live_folder(&self, id: NodeId) -> Result<&Node, VaultError> {
        self.live(id).and_then(|node| if node.is_folder() { Ok(node) } else { Err(VaultError::NotAFolder) })
    }

    /// The folder, when a tree of that height fits below it.
    pub(super) fn room_below(&self, folder: NodeId, height: usize) -> Result<&Node, VaultError> {
        let folder = self.live_folder(folder)?;
        // The folder itself is among those counted, and the root is at depth 0.
        let depth = self.index.upwards(folder).count() - 1;
        if depth + height > MAX_DEPTH {
            return Err(VaultError::LimitExceeded { what: "folders within folders", limit: MAX_DEPTH as u64 });
        }
        Ok(folder)
    }

    /// How many levels the node and what is below it take. Costs a step for each folder below.
    pub(super) fn height(&self, node: &Node) -> usize {
        let mut height = 0;
        let mut level = vec![node.id];
        while !level.is_empty() {
            height += 1;
            let folders =
                |id: &NodeId| self.index.children(*id).take_while(|node| node.is_folder()).map(|node| node.id);
            let below: Vec<NodeId> = level.iter().flat_map(folders).collect();
            if below.is_empty() && level.iter().any(|id| self.index.children(*id).len() > 0) {
                height += 1;
            }
            level = below;
        }
        height
    }

    pub(super) fn name_is_free(&self, parent: NodeId, name: &FileName) -> Result<(), VaultError> {
        match self.index.child(parent, name) {
            Some(existing) => Err(VaultError::Exists { existing: existing.id }),
            None => Ok(()),
        }
    }

    /// The name itself, or with the lowest number that makes it free.
    pub(super) fn free_name(&self, parent: NodeId, name: &FileName, is_file: bool) -> Result<FileName, VaultError> {
        let Some(existing) = self.index.child(parent, name) else { return Ok(name.clone()) };
        (2..=MAX_NUMBERED)
            .map(|number| name.numbered(number, is_file))
            .find(|name| self.index.child(parent, name).is_none())
            .ok_or(VaultError::Exists { existing: existing.id })
    }

    /// The first folder from there upwards that is in the tree.
    fn nearest_live(&self, mut id: NodeId) -> NodeId {
        while let Some(folder) = self.index.get(id) {
            if self.index.place(folder) == Place::Live {
                return id;
            }
            id = folder.parent;
        }
        NodeId::ROOT
    }

    fn resolve(&self, target: Target) -> Result<Slot, VaultError> {
        match target {
            Target::Version { file, if_match } => {
                let node = self.live(file)?;
                let current = node.file().ok_or(VaultError::NotAFile)?.current.id();
                if if_match.is_some_and(|expected| expected != current) {
                    return Err(VaultError::PreconditionFailed);
                }
                room_for_version(node)
            }
            Target::New { parent, name, on_conflict } => {
                self.room_below(parent, 1)?;
                match (self.index.child(parent, &name), on_conflict) {
                    (None, _) => Ok(Slot::Name(parent, name)),
                    (Some(existing), OnConflict::Replace) if !existing.is_folder() => room_for_version(existing),
                    (Some(_), OnConflict::KeepBoth) => Ok(Slot::Name(parent, self.free_name(parent, &name, true)?)),
                    (Some(existing), _) => Err(VaultError::Exists { existing: existing.id }),
                }
            }
        }
    }
}

/// Where content goes once the name is settled.
enum Slot {
    File(NodeId),
    Name(NodeId, FileName),
}

fn room_for_version(node: &Node) -> Result<Slot, VaultError> {
    if node.file().is_some_and(|file| file.older.len() + 1 >= MAX_VERSIONS) {
        return Err(VaultError::LimitExceeded { what: "versions of one file", limit: MAX_VERSIONS as u64 });
    }
    Ok(Slot::File(node.id))
}

fn check_match(node: &Node, if_match: Option<Revision>) -> Result<(), VaultError> {
    match if_match {
        Some(expected) if expected != node.revision() => Err(VaultError::PreconditionFailed),
        _ => Ok(()),
    }
}
