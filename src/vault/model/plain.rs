//! The vault as a plain map, with every question answered by looking at all of it.

use std::collections::BTreeMap;

use crate::crypto::BlobId;
use crate::vault::{FileName, NodeId, index::Place};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plain {
    pub(super) parent: NodeId,
    pub(super) name: String,
    pub(super) standing: Place,
    pub(super) starred: bool,
    /// Newest last; none for a folder.
    pub(super) versions: Vec<(BlobId, u64)>,
}

/// The vault as a plain map, with every question answered by looking at all of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Model(pub(super) BTreeMap<NodeId, Plain>);

impl Model {
    pub(super) fn place(&self, id: NodeId) -> Option<Place> {
        if id == NodeId::ROOT {
            return Some(Place::Live);
        }
        let node = self.0.get(&id)?;
        if node.standing == Place::Live { self.place(node.parent) } else { Some(node.standing) }
    }

    pub(super) fn is_live_folder(&self, id: NodeId) -> bool {
        let is_folder = id == NodeId::ROOT || self.0.get(&id).is_some_and(|node| node.versions.is_empty());
        is_folder && self.place(id) == Some(Place::Live)
    }

    pub(super) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let mut all = self.0.iter();
        all.find(|(_, node)| node.standing == Place::Live && node.parent == parent && node.name == name)
            .map(|(id, _)| *id)
    }

    pub(super) fn is_inside(&self, mut id: NodeId, folder: NodeId) -> bool {
        while id != NodeId::ROOT && id != folder {
            id = self.0[&id].parent;
        }
        id == folder
    }

    pub(super) fn restore_parent(&self, mut id: NodeId) -> NodeId {
        loop {
            match self.place(id) {
                Some(Place::Live) => return id,
                Some(_) => id = self.0[&id].parent,
                None => return NodeId::ROOT,
            }
        }
    }

    pub(super) fn free_name(&self, parent: NodeId, name: &FileName, is_file: bool) -> String {
        let numbered = (2..).map(|number| name.numbered(number, is_file));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(|name| self.child(parent, name.as_str()).is_none()).unwrap().as_str().to_owned()
    }

    /// Everything below a node and the node, by paths, with what each file is.
    pub(super) fn shape(&self, id: NodeId, path: &str, found: &mut BTreeMap<String, Option<(BlobId, u64)>>) {
        found.insert(path.to_owned(), self.0[&id].versions.last().copied());
        for (child, node) in self.0.iter().filter(|(_, node)| node.parent == id && node.standing == Place::Live) {
            self.shape(*child, &format!("{path}/{}", node.name), found);
        }
    }

    // Changes, each with whether it is allowed; what is not changes nothing.

    pub(super) fn update(
        &mut self,
        id: NodeId,
        name: Option<&str>,
        parent: Option<NodeId>,
        starred: Option<bool>,
    ) -> bool {
        if id == NodeId::ROOT || self.place(id) != Some(Place::Live) {
            return false;
        }
        let node = self.0[&id].clone();
        let (to, called) = (parent.unwrap_or(node.parent), name.unwrap_or(&node.name));
        let fits = self.is_live_folder(to)
            && !self.is_inside(to, id)
            && self.child(to, called).is_none_or(|other| other == id);
        if fits {
            let (name, starred) = (called.to_owned(), starred.unwrap_or(node.starred));
            self.0.insert(id, Plain { parent: to, name, starred, ..node });
        }
        fits
    }

    pub(super) fn trash(&mut self, id: NodeId, since_ms: u64) -> bool {
        let fits = id != NodeId::ROOT && self.place(id) == Some(Place::Live);
        if fits {
            self.0.get_mut(&id).unwrap().standing = Place::InTrash { since_ms };
        }
        fits
    }

    pub(super) fn restore(&mut self, id: NodeId, to: Option<NodeId>) -> bool {
        let in_trash = matches!(self.place(id), Some(Place::InTrash { .. }));
        let fits = in_trash && to.is_none_or(|to| self.is_live_folder(to));
        if fits {
            let node = self.0[&id].clone();
            let parent = to.unwrap_or_else(|| self.restore_parent(node.parent));
            let name = self.free_name(parent, &FileName::parse(&node.name).unwrap(), !node.versions.is_empty());
            self.0.insert(id, Plain { parent, name, standing: Place::Live, ..node });
        }
        fits
    }

    pub(super) fn discard(&mut self, id: NodeId) -> bool {
        let fits = matches!(self.place(id), Some(Place::InTrash { .. }));
        if fits {
            self.0.get_mut(&id).unwrap().standing = Place::Gone;
        }
        fits
    }
}
