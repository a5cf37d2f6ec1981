//! What callers get to see of the tree: plain values, copied out of the index.

use super::{
    id::{NodeId, VersionId},
    index::{Index, Place},
    node::{Node, Revision, Version},
};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It holds other nodes.
    Folder,
    /// It holds bytes.
    File,
}

/// Where a node is, seen from a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standpoint {
    /// It is the folder itself.
    Itself,
    /// It is below the folder.
    Below,
    /// It is elsewhere, or one of them is in the trash.
    Outside,
}

/// A folder or file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its identity.
    pub id: NodeId,
    /// What it is.
    pub kind: Kind,
    /// Its name; the root's is empty.
    pub name: String,
    /// The folder it is in, or was in before the trash; none for the root.
    pub parent: Option<NodeId>,
    /// When it was made, in Unix milliseconds.
    pub created_ms: u64,
    /// When its content last changed, in Unix milliseconds; a folder's is its making.
    pub modified_ms: u64,
    /// The change that last touched it, for `If-Match`.
    pub revision: Revision,
    /// Marked by the owner.
    pub starred: bool,
    /// Since when it has been in the trash, by itself or with a folder above it, in Unix milliseconds.
    pub trashed_ms: Option<u64>,
    /// How many nodes a folder holds; none for a file.
    pub children: Option<u64>,
    /// A file's content; none for a folder.
    pub file: Option<VersionView>,
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    /// Its identity, and the ETag of its content.
    pub id: VersionId,
    /// Bytes of plaintext.
    pub size_bytes: u64,
    /// What it was declared to be.
    pub media_type: String,
    /// SHA-256 over the concatenated SHA-256 of each part's plaintext.
    pub content_hash: [u8; 32],
    /// When it became the file's content, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was replaced, in Unix milliseconds; none for the current one.
    pub replaced_ms: Option<u64>,
}

/// The vault in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Plaintext bytes of all versions, the trash included.
    pub bytes_used: u64,
    /// The owner's limit for them.
    pub bytes_limit: Option<u64>,
    /// Files, the trash included.
    pub files: u64,
    /// Folders, the trash included and the root not.
    pub folders: u64,
    /// What lies in the trash by itself.
    pub trashed: u64,
}

impl NodeView {
    pub(super) fn of(index: &Index, node: &Node) -> Self {
        Self {
            id: node.id,
            kind: if node.is_folder() { Kind::Folder } else { Kind::File },
            name: node.name.as_str().to_owned(),
            parent: (node.id != NodeId::ROOT).then_some(node.parent),
            created_ms: node.created_ms,
            modified_ms: node.modified_ms(),
            revision: node.revision(),
            starred: node.starred,
            trashed_ms: match index.place(node) {
                Place::InTrash { since_ms } => Some(since_ms),
                Place::Live | Place::Gone => None,
            },
            children: node.is_folder().then(|| index.children(node.id).len() as u64),
            file: node.file().map(|file| VersionView::of(&file.current, None)),
        }
    }
}

impl VersionView {
    pub(super) fn of(version: &Version, replaced_ms: Option<u64>) -> Self {
        Self {
            id: version.id(),
            size_bytes: version.blob.size_bytes,
            media_type: version.blob.media_type.as_str().to_owned(),
            content_hash: version.blob.content_hash,
            created_ms: version.created_ms,
            replaced_ms,
        }
    }
}
