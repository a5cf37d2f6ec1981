//! The tree as it was acknowledged: a plain map, and the changes to it.

use std::collections::BTreeMap;

use super::content::Content;

/// A folder or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The folder it is in.
    pub(crate) parent: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether it is marked.
    pub(crate) starred: bool,
    /// Whether it was put into the trash itself.
    pub(crate) is_trashed: bool,
    /// A file's contents, oldest first; a folder has none.
    pub(crate) versions: Vec<Content>,
}

impl Node {
    /// Whether it holds other nodes.
    pub(crate) fn is_folder(&self) -> bool {
        self.versions.is_empty()
    }
}

/// What the API shows of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) starred: bool,
    pub(crate) is_trashed: bool,
    /// Size and hash of a file's content.
    pub(crate) content: Option<(u64, String)>,
}

impl Seen {
    /// What should be seen of a node.
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            parent: node.parent.clone(),
            name: node.name.clone(),
            starred: node.starred,
            is_trashed: node.is_trashed,
            content: node.versions.last().map(|content| (content.size as u64, content.hash.clone())),
        }
    }
}

/// A change. It names all that it will leave behind, so that it can be recognized.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A new folder, or a new file where there is content.
    Create { parent: String, name: String, content: Option<Content>, key: String },
    /// Name, folder and star at once.
    Update { id: String, name: Option<String>, parent: Option<String>, starred: Option<bool> },
    /// A new version.
    Replace { id: String, content: Content },
    /// Into the trash.
    Trash { id: String },
    /// Out of the trash, to where it was or to another folder.
    Restore { id: String, to: Option<String> },
    /// For ever, with all that is in it.
    Delete { id: String },
}

impl Change {
    /// The nodes that must be left alone while it is in doubt.
    pub(crate) fn touches(&self) -> Vec<&str> {
        match self {
            Self::Create { parent, .. } => vec![parent],
            Self::Update { id, parent, .. } => std::iter::once(id).chain(parent).map(String::as_str).collect(),
            Self::Restore { id, to } => std::iter::once(id).chain(to).map(String::as_str).collect(),
            Self::Replace { id, .. } | Self::Trash { id } | Self::Delete { id } => vec![id],
        }
    }
}

/// Nodes by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Node>);

impl Tree {
    /// Takes in a change; `made` is the id of what it created.
    pub(crate) fn apply(&mut self, change: &Change, made: &str) {
        match change.clone() {
            Change::Create { parent, name, content, .. } => {
                let versions = content.into_iter().collect();
                let node = Node { parent, name, starred: false, is_trashed: false, versions };
                assert!(self.0.insert(made.to_owned(), node).is_none(), "{made} was made twice");
            }
            Change::Update { id, name, parent, starred } => {
                let node = self.node(&id);
                node.name = name.unwrap_or(std::mem::take(&mut node.name));
                node.parent = parent.unwrap_or(std::mem::take(&mut node.parent));
                node.starred = starred.unwrap_or(node.starred);
            }
            Change::Replace { id, content } => self.node(&id).versions.push(content),
            Change::Trash { id } => self.node(&id).is_trashed = true,
            Change::Restore { id, to } => {
                let node = self.node(&id);
                node.is_trashed = false;
                node.parent = to.unwrap_or(std::mem::take(&mut node.parent));
            }
            Change::Delete { id } => {
                for id in self.below(&id) {
                    self.0.remove(&id);
                }
            }
        }
    }

    fn node(&mut self, id: &str) -> &mut Node {
        self.0.get_mut(id).expect("a change is made to a node that is there")
    }

    /// The node and everything in it.
    pub(crate) fn below(&self, id: &str) -> Vec<String> {
        let mut found = vec![id.to_owned()];
        let mut at = 0;
        while let Some(folder) = found.get(at).cloned() {
            found.extend(self.0.iter().filter(|(_, node)| node.parent == folder).map(|(id, _)| id.clone()));
            at += 1;
        }
        found
    }

    /// Whether neither the node nor a folder above it is in the trash.
    pub(crate) fn is_live(&self, id: &str) -> bool {
        let mut above = self.0.get(id);
        while let Some(node) = above {
            if node.is_trashed {
                return false;
            }
            above = self.0.get(&node.parent);
        }
        true
    }
}
