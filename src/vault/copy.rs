//! Copies: new nodes over the same sealed content. Not a byte moves, whatever the size; each copy has a life of its own
//! from then on, and the sealed object stays for as long as any of them needs it.
//!
//! A folder is copied with all it holds, in one change. What is copied is what the files are now: neither their older
//! versions nor their stars.

use super::{
    Actor, Vault,
    catalog::Catalog,
    error::VaultError,
    fingerprint::Fingerprint,
    id::NodeId,
    index::Place,
    name::FileName,
    node::{Content, File, Older, Version},
    operation::Operation,
    propose::Proposal,
    view::NodeView,
};
use crate::log::{Inconsistent, Stamp};

/// Most files and folders that one copy makes.
pub const MAX_COPIED: usize = 10_000;

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyTarget {
    /// The folder.
    pub parent: NodeId,
    /// Its name there; without one, that of what is copied.
    pub name: Option<FileName>,
    /// What to do when the name is taken.
    pub if_taken: IfTaken,
}

/// What becomes of a copy whose name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfTaken {
    /// Nothing: it is refused.
    #[default]
    Fail,
    /// It gets the first free name of the form `name (2).ext`.
    Number,
}

impl Vault {
    /// Copies a file, or a folder with all it holds.
    ///
    /// # Errors
    /// [`VaultError::LimitExceeded`] for more than [`MAX_COPIED`] nodes or their depth; [`VaultError::Exists`],
    /// [`VaultError::IntoItself`], [`VaultError::IsRoot`], [`VaultError::InTrash`], what is wrong with the parent, and
    /// [`VaultError::IdempotencyConflict`].
    pub async fn copy(&self, actor: Actor, source: NodeId, target: CopyTarget) -> Result<NodeView, VaultError> {
        let asked = Fingerprint::of_copy(source, &target);
        self.create(actor, asked, move |catalog| catalog.propose_copy(source, target)).await
    }
}

impl Catalog {
    /// A node, and all below it, once more.
    pub(super) fn propose_copy(&self, source: NodeId, target: CopyTarget) -> Proposal<NodeId> {
        let node = self.live(source)?;
        if source == NodeId::ROOT {
            return Err(VaultError::IsRoot);
        }
        let CopyTarget { parent, name, if_taken } = target;
        // Before anything that costs a step for each of them.
        self.index.below(node).nth(MAX_COPIED).map_or(Ok(()), |_| {
            Err(VaultError::LimitExceeded { what: "files and folders in one copy", limit: MAX_COPIED as u64 })
        })?;
        let folder = self.room_below(parent, self.height(node))?;
        if self.index.upwards(folder).any(|above| above.id == source) {
            return Err(VaultError::IntoItself);
        }
        let name = name.unwrap_or_else(|| node.name.clone());
        let name = match if_taken {
            IfTaken::Fail => self.name_is_free(parent, &name).map(|()| name)?,
            IfTaken::Number => self.free_name(parent, &name, !node.is_folder())?,
        };
        let copy = NodeId::generate();
        let mut operations = Vec::new();
        let mut ahead = vec![(node, copy, parent, name)];
        while let Some((node, id, parent, name)) = ahead.pop() {
            operations.push(match node.is_folder() {
                true => Operation::CreateFolder { id, parent, name },
                false => Operation::CopyFile { id, parent, name, source: node.id },
            });
            let children = self.index.children(node.id).rev();
            ahead.extend(children.map(|child| (child, NodeId::generate(), id, child.name.clone())));
        }
        Ok((operations, copy))
    }

    /// Applies [`Operation::CopyFile`].
    pub(super) fn copy_file(
        &mut self,
        stamp: &Stamp,
        id: NodeId,
        place: (NodeId, &FileName),
        source: NodeId,
    ) -> Result<(), Inconsistent> {
        let original = self.index.get(source).filter(|node| self.index.place(node) == Place::Live);
        let file =
            original.and_then(|node| node.file()).ok_or(Inconsistent("what is copied is no file in the tree"))?;
        let current = Version { blob: file.current.blob.clone(), created_ms: stamp.at_ms };
        self.create(stamp, id, place, Content::File(File { current, older: Older::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::fixture::{self, Book};

    fn id(number: u8) -> NodeId {
        NodeId::from_bytes([number; 16])
    }

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    fn to(parent: NodeId) -> CopyTarget {
        CopyTarget { parent, name: None, if_taken: IfTaken::Number }
    }

    /// A folder that holds so many nodes, itself counted.
    fn tree(nodes: usize) -> Book {
        let mut book = Book::new();
        let mut made = vec![Operation::CreateFolder { id: id(1), parent: NodeId::ROOT, name: name("tree") }];
        made.extend((1..nodes).map(|number| Operation::CreateFolder {
            id: NodeId::generate(),
            parent: id(1),
            name: name(&number.to_string()),
        }));
        book.commit(made);
        book
    }

    #[test]
    fn the_size_of_a_copy_has_a_limit() {
        let (operations, _) = tree(MAX_COPIED).catalog.propose_copy(id(1), to(NodeId::ROOT)).unwrap();
        assert_eq!(operations.len(), MAX_COPIED);
        let refused = tree(MAX_COPIED + 1).catalog.propose_copy(id(1), to(NodeId::ROOT)).unwrap_err();
        assert!(matches!(refused, VaultError::LimitExceeded { limit, .. } if limit == MAX_COPIED as u64));
    }

    #[test]
    fn a_copy_goes_where_a_node_may_go() {
        let mut book = tree(2);
        let inner = book.catalog.index.children(id(1)).next().unwrap().id;
        let copied = |book: &Book, source, target| book.catalog.propose_copy(source, target).map(|_| ());
        assert_eq!(copied(&book, id(1), to(inner)), Err(VaultError::IntoItself));
        assert_eq!(copied(&book, id(1), to(id(1))), Err(VaultError::IntoItself));
        assert_eq!(copied(&book, NodeId::ROOT, to(id(1))), Err(VaultError::IsRoot));
        assert_eq!(copied(&book, id(9), to(NodeId::ROOT)), Err(VaultError::NotFound));
        let same = CopyTarget { if_taken: IfTaken::Fail, ..to(NodeId::ROOT) };
        assert_eq!(copied(&book, id(1), same.clone()), Err(VaultError::Exists { existing: id(1) }));
        assert_eq!(copied(&book, id(1), CopyTarget { name: Some(name("free")), ..same }), Ok(()));
        book.commit(vec![Operation::Trash { id: id(1) }]);
        assert_eq!(copied(&book, inner, to(NodeId::ROOT)), Err(VaultError::InTrash));
    }

    #[test]
    fn sealed_content_stays_until_its_last_copy_is_gone() {
        let mut book = Book::new();
        let blob = fixture::blob(1, 100);
        book.commit(vec![Operation::AddFile {
            id: id(1),
            parent: NodeId::ROOT,
            name: name("a.txt"),
            blob: blob.clone(),
        }]);
        let copies = [(); 2].map(|()| {
            let (operations, copy) = book.catalog.propose_copy(id(1), to(NodeId::ROOT)).unwrap();
            book.commit(operations);
            copy
        });
        let view = book.catalog.view(copies[1]).unwrap();
        assert_eq!((view.name.as_str(), view.file.unwrap().id), ("a (3).txt", blob.id));
        assert_eq!((book.catalog.index.bytes_used(), book.catalog.index.uses(blob.id)), (100, 3));
        for (left, gone) in [copies[0], id(1), copies[1]].into_iter().enumerate().map(|(n, gone)| (2 - n, gone)) {
            book.commit(vec![Operation::Trash { id: gone }, Operation::Discard { nodes: vec![gone] }]);
            let (operations, _) = book.catalog.propose_purge(0).unwrap();
            book.commit(operations);
            let is_purged = book.catalog.retired.waiting().contains(&blob.id);
            assert_eq!((book.catalog.index.uses(blob.id), is_purged), (left, left == 0));
        }
        assert_eq!(book.catalog.index.bytes_used(), 0);
    }
}
