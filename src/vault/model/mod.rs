//! The catalog against a plain map: the same random commands on both, and after each one they must agree on everything
//! that can be asked. Along the way every commit is tried and taken back first, snapshots are restored, and in the end
//! the log is replayed.

mod plain;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use self::plain::{Model, Plain};
use super::{
    bulk::BulkAction,
    copy::{CopyTarget, IfTaken},
    error::VaultError,
    fixture::{self, Book},
    id::NodeId,
    index::Place,
    name::FileName,
    natural,
    node::Node,
    operation::{OlderVersion, Operation},
    propose::{NodePatch, OnConflict, Proposal, Target},
};
use crate::crypto::BlobId;
use crate::log::{CommitMeta, Machine};

const NAMES: [&str; 6] = ["a", "A", "a (2)", "b.txt", "b (2).txt", "10"];

#[derive(Debug, Clone)]
enum Command {
    Folder { parent: usize, name: usize },
    Upload { parent: usize, name: usize, on_conflict: OnConflict },
    Version { file: usize },
    Update { node: usize, name: Option<usize>, parent: Option<usize>, starred: Option<bool> },
    Trash { node: usize },
    Restore { node: usize, to: Option<usize> },
    Discard { node: usize },
    DropVersion { file: usize, version: usize },
    RestoreVersion { file: usize, version: usize },
    Copy { node: usize, parent: usize, name: Option<usize>, if_taken: IfTaken },
    Bulk { action: usize, nodes: Vec<usize>, to: Option<usize> },
    Purge { most: usize },
}

fn command() -> impl Strategy<Value = Command> {
    let (node, name) = (0..64_usize, 0..NAMES.len());
    let taken = prop_oneof![Just(IfTaken::Fail), Just(IfTaken::Number)];
    let conflict = prop_oneof![Just(OnConflict::Fail), Just(OnConflict::Replace), Just(OnConflict::KeepBoth)];
    prop_oneof![
        4 => (node.clone(), name.clone()).prop_map(|(parent, name)| Command::Folder { parent, name }),
        4 => (node.clone(), name.clone(), conflict)
            .prop_map(|(parent, name, on_conflict)| Command::Upload { parent, name, on_conflict }),
        2 => node.clone().prop_map(|file| Command::Version { file }),
        4 => (node.clone(), prop::option::of(name), prop::option::of(node.clone()), prop::option::of(any::<bool>()))
            .prop_map(|(node, name, parent, starred)| Command::Update { node, name, parent, starred }),
        3 => node.clone().prop_map(|node| Command::Trash { node }),
        3 => (node.clone(), prop::option::of(node.clone())).prop_map(|(node, to)| Command::Restore { node, to }),
        1 => node.clone().prop_map(|node| Command::Discard { node }),
        1 => (node.clone(), 0..3_usize).prop_map(|(file, version)| Command::DropVersion { file, version }),
        1 => (node.clone(), 0..3_usize).prop_map(|(file, version)| Command::RestoreVersion { file, version }),
        3 => (node.clone(), node.clone(), prop::option::of(0..NAMES.len()), taken)
            .prop_map(|(node, parent, name, if_taken)| Command::Copy { node, parent, name, if_taken }),
        3 => (0..6_usize, prop::collection::vec(node.clone(), 1..12), prop::option::of(node))
            .prop_map(|(action, nodes, to)| Command::Bulk { action, nodes, to }),
        1 => (1..5_usize).prop_map(|most| Command::Purge { most }),
    ]
}

/// Both sides of the comparison.
struct Pair {
    book: Book,
    model: Model,
    /// Every id that ever was, so that commands also meet what is gone.
    ids: Vec<NodeId>,
    blobs: u64,
}

impl Pair {
    fn id(&self, at: usize) -> NodeId {
        self.ids[at % self.ids.len()]
    }

    fn commit<T>(&mut self, proposal: Proposal<T>) -> Option<T> {
        let (operations, value) = proposal.ok()?;
        let before = self.book.catalog.snapshot();
        self.book.catalog.begin();
        for (index, operation) in (0..).zip(&operations) {
            let stamp = crate::log::Stamp { seq: u64::MAX, index, at_ms: 1 };
            self.book.catalog.apply(&stamp, &CommitMeta::default(), operation).unwrap();
        }
        self.book.catalog.rollback();
        assert!(before == self.book.catalog.snapshot(), "a rollback leaves no trace");
        self.book.commit(operations);
        Some(value)
    }

    fn run(&mut self, command: Command) {
        self.book.now_ms += 1;
        let name = |at: usize| FileName::parse(NAMES[at]).unwrap();
        match command {
            Command::Folder { parent, name: at } => {
                let parent = self.id(parent);
                let expected = self.model.is_live_folder(parent) && self.model.child(parent, NAMES[at]).is_none();
                let made = self.commit(self.book.catalog.propose_folder(parent, name(at)));
                assert_eq!(made.is_some(), expected);
                if let Some(id) = made {
                    self.add(id, parent, NAMES[at], Vec::new());
                }
            }
            Command::Upload { parent, name: at, on_conflict } => self.upload(self.id(parent), name(at), on_conflict),
            Command::Version { file } => {
                let file = self.id(file);
                let expected = self.model.place(file) == Some(Place::Live) && !self.model.is_live_folder(file);
                let blob = self.blob();
                let version = (blob.id, blob.size_bytes);
                let target = Target::Version { file, if_match: None };
                let made = self.commit(self.book.catalog.propose_content(target, blob));
                assert_eq!(made.is_some(), expected);
                if expected {
                    self.model.0.get_mut(&file).unwrap().versions.push(version);
                }
            }
            Command::Update { node, name: at, parent, starred } => {
                let (id, parent) = (self.id(node), parent.map(|at| self.id(at)));
                self.update(id, at.map(|at| NAMES[at]), parent, starred);
            }
            Command::Trash { node } => {
                let id = self.id(node);
                let expected = self.model.trash(id, self.book.now_ms);
                assert_eq!(self.commit(self.book.catalog.propose_trash(id, None)).is_some(), expected);
            }
            Command::Restore { node, to } => {
                let (id, to) = (self.id(node), to.map(|at| self.id(at)));
                let expected = self.model.restore(id, to);
                assert_eq!(self.commit(self.book.catalog.propose_restore(id, to)).is_some(), expected);
            }
            Command::Discard { node } => {
                let id = self.id(node);
                let expected = self.model.discard(id);
                assert_eq!(self.commit(self.book.catalog.propose_discard(id)).is_some(), expected);
            }
            Command::DropVersion { file, version } => self.drop_version(self.id(file), version),
            Command::RestoreVersion { file, version } => self.restore_version(self.id(file), version),
            Command::Copy { node, parent, name, if_taken } => {
                let name = name.map(|at| FileName::parse(NAMES[at]).unwrap());
                self.copy(self.id(node), CopyTarget { parent: self.id(parent), name, if_taken });
            }
            Command::Bulk { action, nodes, to } => {
                let nodes = nodes.into_iter().map(|at| self.id(at)).collect();
                self.bulk(action, nodes, to.map(|at| self.id(at)));
            }
            Command::Purge { most } => self.purge(most),
        }
    }

    fn blob(&mut self) -> super::blob::SealedBlob {
        self.blobs += 1;
        fixture::blob(self.blobs, self.blobs * 10)
    }

    fn add(&mut self, id: NodeId, parent: NodeId, name: &str, versions: Vec<(BlobId, u64)>) {
        let node = Plain { parent, name: name.to_owned(), standing: Place::Live, starred: false, versions };
        assert!(self.model.0.insert(id, node).is_none());
        self.ids.push(id);
    }

    fn upload(&mut self, parent: NodeId, name: FileName, on_conflict: OnConflict) {
        let blob = self.blob();
        let version = (blob.id, blob.size_bytes);
        let taken = self.model.child(parent, name.as_str());
        let takes_version = taken.filter(|id| !self.model.0[id].versions.is_empty());
        let fits = match on_conflict {
            OnConflict::Fail => taken.is_none(),
            OnConflict::Replace => taken.is_none() || takes_version.is_some(),
            OnConflict::KeepBoth => true,
        };
        let expected = self.model.is_live_folder(parent) && fits;
        let target = Target::New { parent, name: name.clone(), on_conflict };
        let made = self.commit(self.book.catalog.propose_content(target, blob));
        assert_eq!(made.is_some(), expected);
        let Some(id) = made else { return };
        match (taken, on_conflict) {
            (Some(taken), OnConflict::Replace) => {
                assert_eq!(id, taken);
                self.model.0.get_mut(&id).unwrap().versions.push(version);
            }
            _ => {
                let name = self.model.free_name(parent, &name, true);
                self.add(id, parent, &name, vec![version]);
            }
        }
    }

    fn update(&mut self, id: NodeId, name: Option<&str>, parent: Option<NodeId>, starred: Option<bool>) {
        let patch = NodePatch { name: name.map(|name| FileName::parse(name).unwrap()), parent, starred };
        let expected = self.model.update(id, name, parent, starred);
        assert_eq!(self.commit(self.book.catalog.propose_update(id, patch, None)).is_some(), expected);
    }

    fn copy(&mut self, source: NodeId, target: CopyTarget) {
        let CopyTarget { parent, name, if_taken } = target.clone();
        let proposal = self.book.catalog.propose_copy(source, target);
        let made = proposal.as_ref().map_or(Vec::new(), |(operations, _)| operations.clone());
        let copy = self.commit(proposal);
        let node = self.model.0.get(&source).filter(|_| self.model.place(source) == Some(Place::Live)).cloned();
        let fits = |node: &Plain| {
            let name = name.as_ref().map_or(node.name.as_str(), FileName::as_str);
            self.model.is_live_folder(parent)
                && !self.model.is_inside(parent, source)
                && (if_taken == IfTaken::Number || self.model.child(parent, name).is_none())
        };
        assert_eq!(copy.is_some(), node.as_ref().is_some_and(fits));
        let (Some(copy), Some(node)) = (copy, node) else { return };
        let called = name.unwrap_or_else(|| FileName::parse(&node.name).unwrap());
        let called = self.model.free_name(parent, &called, !node.versions.is_empty());
        let (mut original, mut copied) = (BTreeMap::new(), BTreeMap::new());
        self.model.shape(source, "", &mut original);
        for operation in made {
            match operation {
                Operation::CreateFolder { id, parent, name } => self.add(id, parent, name.as_str(), Vec::new()),
                Operation::CopyFile { id, parent, name, source } => {
                    let content = *self.model.0[&source].versions.last().unwrap();
                    self.add(id, parent, name.as_str(), vec![content]);
                }
                other => panic!("{other:?} makes no copy"),
            }
        }
        self.model.shape(copy, "", &mut copied);
        assert_eq!(copied, original);
        assert_eq!((self.model.0[&copy].name.as_str(), self.model.0[&copy].parent), (called.as_str(), parent));
    }

    fn bulk(&mut self, action: usize, nodes: Vec<NodeId>, to: Option<NodeId>) {
        let folder = to.unwrap_or(NodeId::ROOT);
        let actions = [
            BulkAction::Trash,
            BulkAction::Restore { to },
            BulkAction::Move { to: folder },
            BulkAction::Star,
            BulkAction::Unstar,
            BulkAction::Delete,
        ];
        let mut named = BTreeSet::new();
        let refused: Vec<NodeId> = nodes
            .iter()
            .copied()
            .filter(|id| named.insert(*id))
            .filter(|id| !match action {
                0 => self.model.trash(*id, self.book.now_ms),
                1 => self.model.restore(*id, to),
                2 => self.model.update(*id, None, Some(folder), None),
                3 => self.model.update(*id, None, None, Some(true)),
                4 => self.model.update(*id, None, None, Some(false)),
                _ => self.model.discard(*id),
            })
            .collect();
        let stamp = crate::log::Stamp { seq: u64::MAX, index: 0, at_ms: 1 };
        let before = self.book.catalog.snapshot();
        self.book.catalog.begin();
        let proposal = self.book.catalog.try_bulk(stamp, actions[action], &nodes);
        self.book.catalog.rollback();
        assert!(before == self.book.catalog.snapshot(), "an attempt leaves no trace");
        let outcome = self.commit(proposal).unwrap();
        assert_eq!(outcome.done, named.len() - refused.len());
        assert_eq!(outcome.refused.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), refused);
    }

    fn restore_version(&mut self, id: NodeId, at: usize) {
        let versions = self.model.0.get(&id).map(|node| node.versions.clone()).unwrap_or_default();
        let Some((version, _)) = versions.get(at) else { return };
        let expected = self.model.place(id) == Some(Place::Live);
        assert_eq!(self.commit(self.book.catalog.propose_version_restore(id, *version)).is_some(), expected);
        if expected {
            let versions = &mut self.model.0.get_mut(&id).unwrap().versions;
            let restored = versions.remove(at);
            versions.push(restored);
        }
    }

    fn drop_version(&mut self, id: NodeId, at: usize) {
        let visible = self.model.place(id).is_some_and(|place| place != Place::Gone);
        let versions = self.model.0.get(&id).map(|node| node.versions.clone()).unwrap_or_default();
        let Some((version, _)) = versions.get(at) else { return };
        let expected = visible && at + 1 < versions.len();
        assert_eq!(self.commit(self.book.catalog.propose_version_purge(id, *version)).is_some(), expected);
        if expected {
            self.model.0.get_mut(&id).unwrap().versions.remove(at);
        }
    }

    fn purge(&mut self, most: usize) {
        let nodes = self.book.catalog.discarded_nodes(most);
        assert!(nodes.len() <= most);
        let gone = self.model.0.keys().filter(|id| self.model.place(**id) == Some(Place::Gone)).count();
        assert_eq!(nodes.is_empty(), gone == 0);
        if nodes.is_empty() {
            return;
        }
        let operation = self.book.catalog.purge(nodes.clone(), Vec::new());
        self.commit(Ok((vec![operation], ())));
        for id in nodes {
            assert_eq!(self.model.place(id), Some(Place::Gone));
            self.model.0.remove(&id);
        }
    }

    /// Everything that can be asked has the same answer on both sides.
    fn compare(&self) {
        let (index, model) = (&self.book.catalog.index, &self.model);
        assert_eq!(index.len(), model.0.len() + 1);
        for id in &self.ids {
            let node = index.get(*id);
            assert_eq!(node.map(|node| index.place(node)), model.place(*id));
            let folder = node.is_none_or(Node::is_folder);
            let mut expected: Vec<_> = model
                .0
                .iter()
                .filter(|(_, child)| folder && child.standing == Place::Live && child.parent == *id)
                .map(|(id, child)| (!child.versions.is_empty(), child.name.as_str(), *id))
                .collect();
            expected.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| natural::compare(a.1, b.1)));
            let children: Vec<_> =
                index.children(*id).map(|child| (!child.is_folder(), child.name.as_str(), child.id)).collect();
            assert_eq!(children, expected);
            for (_, name, child) in expected {
                assert_eq!(index.child(*id, &FileName::parse(name).unwrap()).unwrap().id, child);
            }
        }
        let trash: Vec<_> = index.trash().iter().copied().collect();
        let mut expected: Vec<_> = model
            .0
            .iter()
            .filter_map(|(id, node)| match node.standing {
                Place::InTrash { since_ms } => Some((since_ms, *id)),
                _ => None,
            })
            .collect();
        expected.sort();
        assert_eq!(trash, expected);
        let listed: BTreeSet<_> = index.names().all().filter(|hit| !index.hidden().holds(hit.slot)).collect();
        let listed: BTreeSet<_> = listed.into_iter().filter_map(|hit| Some(index.at(hit.slot)?.id)).collect();
        let live = |id: &&NodeId| model.place(**id) == Some(Place::Live);
        assert_eq!(listed, model.0.keys().filter(live).copied().collect());
        let starred: BTreeSet<_> = index.nodes(index.starred().slots()).map(|node| node.id).collect();
        assert_eq!(starred, model.0.iter().filter(|(_, node)| node.starred).map(|(id, _)| *id).collect());
        let blobs: BTreeMap<_, _> = model.0.values().flat_map(|node| node.versions.iter().copied()).collect();
        assert_eq!(index.bytes_used(), blobs.values().sum::<u64>());
        assert_eq!(index.files(), model.0.values().filter(|node| !node.versions.is_empty()).count() as u64);
        let outdated: BTreeSet<_> = index.outdated().iter().map(|(_, id)| *id).collect();
        let expected = model.0.iter().filter(|(_, node)| node.versions.len() > 1).map(|(id, _)| *id).collect();
        assert_eq!(outdated, expected);
        for tag in 1..=self.blobs {
            let blob = fixture::blob(tag, 0).id;
            let uses = model.0.values().flat_map(|node| &node.versions).filter(|(used, _)| *used == blob);
            assert_eq!(index.uses(blob), uses.count());
            let was_named = self.book.entries.iter().any(|(_, operation)| match operation {
                Operation::Purge { blobs, .. } => blobs.contains(&blob),
                _ => false,
            });
            assert_eq!(self.book.catalog.retired.get(blob).is_some(), was_named);
            assert!(!(was_named && blobs.contains_key(&blob)), "a purged blob is needed by nobody");
        }
    }

    /// A restored snapshot is the same catalog, in bytes and in answers.
    fn check_snapshot(&mut self) {
        let bytes = self.book.catalog.snapshot();
        self.book.catalog = super::Catalog::restore(&bytes).unwrap();
        assert!(self.book.catalog.snapshot() == bytes, "a snapshot of a restored snapshot is the same");
        self.compare();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_catalog_agrees_with_a_plain_map(commands in prop::collection::vec(command(), 1..80)) {
        let mut pair = Pair { book: Book::new(), model: Model::default(), ids: vec![NodeId::ROOT], blobs: 0 };
        for (step, command) in commands.into_iter().enumerate() {
            pair.run(command);
            pair.compare();
            if step % 16 == 15 {
                pair.check_snapshot();
            }
        }
        pair.check_snapshot();
        let mut replayed = super::Catalog::empty();
        for (stamp, operation) in &pair.book.entries {
            replayed.apply(stamp, &CommitMeta::default(), operation).unwrap();
        }
        prop_assert!(replayed.snapshot() == pair.book.catalog.snapshot(), "a replay gives the same state");
    }
}

#[test]
fn a_refused_operation_leaves_no_trace() {
    let mut book = Book::new();
    let (folder, file, loose) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]), NodeId::from_bytes([3; 16]));
    let name = |text: &str| FileName::parse(text).unwrap();
    let (first, second) = (fixture::blob(1, 1), fixture::blob(2, 1));
    book.commit(vec![
        Operation::CreateFolder { id: folder, parent: NodeId::ROOT, name: name("a") },
        Operation::AddFile { id: file, parent: folder, name: name("f"), blob: first.clone() },
        Operation::CreateFolder { id: loose, parent: NodeId::ROOT, name: name("b") },
        Operation::AddVersion { file, blob: second.clone() },
    ]);
    let older = OlderVersion { file, version: first.id };
    let gone = NodeId::from_bytes([9; 16]);
    let mut short = fixture::blob(3, 20 << 20);
    short.salts = super::blob::Salts::new(&[[0; 24]]).unwrap();
    let refused = [
        Operation::CreateFolder { id: folder, parent: NodeId::ROOT, name: name("new") },
        Operation::CreateFolder { id: gone, parent: NodeId::ROOT, name: name("a") },
        Operation::CreateFolder { id: gone, parent: file, name: name("x") },
        Operation::CreateFolder { id: gone, parent: gone, name: name("x") },
        Operation::AddFile { id: gone, parent: folder, name: name("x"), blob: first.clone() },
        Operation::AddFile { id: gone, parent: folder, name: name("x"), blob: short },
        Operation::AddVersion { file: folder, blob: fixture::blob(4, 1) },
        Operation::AddVersion { file, blob: second },
        Operation::Rename { id: loose, name: name("a") },
        Operation::Rename { id: NodeId::ROOT, name: name("x") },
        Operation::Move { id: folder, parent: folder, name: name("a") },
        Operation::Trash { id: gone },
        Operation::Trash { id: NodeId::ROOT },
        Operation::Restore { id: folder, parent: NodeId::ROOT, name: name("x") },
        Operation::Discard { nodes: vec![folder] },
        Operation::Purge { nodes: vec![file], versions: vec![], blobs: vec![first.id] },
        Operation::Purge { nodes: vec![], versions: vec![older], blobs: vec![] },
        Operation::Purge { nodes: vec![], versions: vec![older, older], blobs: vec![first.id] },
        Operation::Deleted { blobs: vec![first.id] },
        Operation::RaiseSessionEpoch { epoch: 0 },
        Operation::Abandon { blobs: vec![first.id] },
    ];
    let before = book.catalog.snapshot();
    for operation in refused {
        let stamp = crate::log::Stamp { seq: 99, index: 0, at_ms: 99 };
        assert!(book.catalog.apply(&stamp, &CommitMeta::default(), &operation).is_err(), "{operation:?}");
        assert!(book.catalog.snapshot() == before, "{operation:?}");
    }
    book.commit(vec![Operation::Purge { nodes: vec![], versions: vec![older], blobs: vec![first.id] }]);
    let stamp = crate::log::Stamp { seq: 99, index: 0, at_ms: 99 };
    let again = Operation::AddVersion { file, blob: first };
    assert!(book.catalog.apply(&stamp, &CommitMeta::default(), &again).is_err(), "a purged blob is never named again");
    assert_eq!(book.catalog.propose_discard(file), Err(VaultError::NotInTrash));
}
