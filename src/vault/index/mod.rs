//! The index: every node of the vault in memory, with all that makes questions cheap.
//!
//! There is one way to change it: [`Index::replace`] puts one node in the place of another (or of nothing) and keeps
//! every derived structure right: the order and uniqueness of names in a folder, the trash, the stars, the versions
//! that wait for their end, the bytes in use. So any change is undone by replacing back, in reverse order.
//!
//! Folders' children are sorted lists of 4-byte slots: the order gives pages and uniqueness at once, and costs a
//! `memmove` of at most 4 bytes for each sibling when one is added or goes. Nodes in the trash stay out of their
//! parent's list, so their names are free; nodes below them are not touched at all.
//!
//! The children by another property than their names are sorted when somebody asks for a page, and that order is then
//! kept in step like every other until other folders are asked for: who pages through a large folder waits once.
//!
//! It does not know which changes make sense (`propose.rs`), nor what is allowed to follow what (`apply.rs`).

mod hidden;
mod names;
mod order;

use std::collections::{BTreeSet, HashMap, HashSet};

use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::crypto::BlobId;

pub(super) use self::hidden::Hidden;
pub(super) use self::names::{Grade, Hit, Names, moment};
pub use self::order::SortKey;
pub(super) use self::order::{Ordered, Rank, Slots};
use super::{
    blob::MediaType,
    id::NodeId,
    name::FileName,
    node::{Content, File, Node, Standing},
};

/// Distinct media types that are kept once for all; more are kept with each file.
const MAX_SHARED_MEDIA_TYPES: usize = 1024;

/// Orders other than by name that are kept, each of one folder: 4 bytes for each node in it.
const MAX_KEPT_ORDERS: usize = 2;

/// All nodes and what follows from them.
pub(super) struct Index {
    slots: Slots,
    free: Vec<u32>,
    by_id: HashTable<u32>,
    by_blob: HashTable<BlobUse>,
    /// How many versions use a blob that more than one ever used; no other of its uses is kept then.
    shared: HashMap<BlobId, u32>,
    children: HashMap<u32, Ordered>,
    /// Folders' children in other orders, the last asked for last.
    kept_orders: Mutex<Vec<(u32, Ordered)>>,
    starred: Ordered,
    names: Names,
    /// Roots of the trash, by time.
    trash: BTreeSet<(u64, NodeId)>,
    discarded: BTreeSet<NodeId>,
    /// Files with older versions, by the moment the oldest was replaced.
    outdated: BTreeSet<(u64, NodeId)>,
    bytes_used: u64,
    files: u64,
    media_types: HashSet<MediaType>,
}

/// One version's use of a blob. The hash is kept because a slot does not say which of its blobs is meant.
#[derive(Clone, Copy)]
struct BlobUse {
    hash: u32,
    slot: u32,
}

/// Where a node stands, with all folders above it taken into account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the tree.
    Live,
    /// In the trash, by itself or with a folder above it.
    InTrash {
        /// When it went there, in Unix milliseconds.
        since_ms: u64,
    },
    /// Deleted for ever.
    Gone,
}

impl Index {
    /// An index that holds the root folder alone.
    pub(super) fn new() -> Self {
        let mut index = Self {
            slots: Slots::default(),
            free: Vec::new(),
            by_id: HashTable::new(),
            by_blob: HashTable::new(),
            shared: HashMap::new(),
            children: HashMap::new(),
            kept_orders: Mutex::default(),
            starred: Ordered::default(),
            names: Names::default(),
            trash: BTreeSet::new(),
            discarded: BTreeSet::new(),
            outdated: BTreeSet::new(),
            bytes_used: 0,
            files: 0,
            media_types: HashSet::new(),
        };
        index.replace(NodeId::ROOT, Some(root()));
        index
    }

    /// Puts `node` in the place of the node `id` and gives back what was there.
    ///
    /// The caller **must** see to it that `node.id == id`, that a live node's parent is a folder in the index without
    /// another live child of that name, and that a folder has no live children left when it goes.
    pub(super) fn replace(&mut self, id: NodeId, node: Option<Node>) -> Option<Node> {
        debug_assert!(node.as_ref().is_none_or(|node| node.id == id));
        let found = self.slot(id);
        if let Some(slot) = found {
            self.unlink(slot);
        }
        let old = found.and_then(|slot| self.slots.take(slot));
        let slot = match (node, found) {
            (Some(mut node), found) => {
                self.share_media_type(&mut node);
                let slot = found.unwrap_or_else(|| self.allot(id));
                self.slots.put(slot, node);
                self.link(slot);
                Some(slot)
            }
            (None, found) => found.inspect(|slot| self.release(id, *slot)),
        };
        if let Some(slot) = slot {
            self.names.replace(slot, old.as_ref(), self.slots.get(slot));
            self.account(slot, old.as_ref());
        }
        old
    }

    /// The node, wherever it stands.
    pub(super) fn get(&self, id: NodeId) -> Option<&Node> {
        self.slots.get(self.slot(id)?)
    }

    /// The node in a slot.
    pub(super) fn at(&self, slot: u32) -> Option<&Node> {
        self.slots.get(slot)
    }

    /// The folded names of all that is listed.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Where the node stands.
    pub(super) fn place(&self, node: &Node) -> Place {
        for node in self.upwards(node) {
            match node.standing {
                Standing::Trashed { since_ms } => return Place::InTrash { since_ms },
                Standing::Discarded => return Place::Gone,
                Standing::Live if node.id == NodeId::ROOT => return Place::Live,
                Standing::Live => {}
            }
        }
        Place::Gone
    }

    /// The node and the folders above it, up to the root, the trash's edge, or what was deleted for ever.
    pub(super) fn upwards<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Node> {
        std::iter::successors(Some(node), |node| {
            (node.standing == Standing::Live && node.id != NodeId::ROOT).then(|| self.get(node.parent)).flatten()
        })
    }

    /// The live child of that name.
    pub(super) fn child(&self, folder: NodeId, name: &FileName) -> Option<&Node> {
        let slot = self.children_of(folder).find(&self.slots, name)?;
        self.slots.get(slot)
    }

    /// The live children: folders first, then files, each in natural order.
    pub(super) fn children(&self, folder: NodeId) -> impl DoubleEndedIterator<Item = &Node> + ExactSizeIterator {
        self.nodes(self.children_of(folder).slots())
    }

    /// The same as a list to page through.
    pub(super) fn children_of(&self, folder: NodeId) -> &Ordered {
        static NONE: Ordered = Ordered::empty();
        self.slot(folder).and_then(|slot| self.children.get(&slot)).unwrap_or(&NONE)
    }

    /// Reads the same list in any order.
    pub(super) fn children_by<R>(&self, folder: NodeId, key: SortKey, read: impl FnOnce(&Ordered) -> R) -> R {
        let (by_name, slot) = (self.children_of(folder), self.slot(folder));
        let Some(slot) = slot.filter(|_| key != SortKey::Name) else { return read(by_name) };
        let mut kept = self.kept_orders.lock();
        let found = kept.iter().position(|(folder, order)| (*folder, order.key()) == (slot, key));
        let order = match found {
            Some(at) => kept.remove(at),
            None => (slot, by_name.sorted_by(&self.slots, key)),
        };
        if kept.len() == MAX_KEPT_ORDERS {
            kept.remove(0);
        }
        kept.push(order);
        read(&kept[kept.len() - 1].1)
    }

    /// The starred nodes in the same order, wherever they stand.
    pub(super) fn starred(&self) -> &Ordered {
        &self.starred
    }

    /// The nodes in these slots.
    pub(super) fn nodes<'a>(&'a self, slots: &[u32]) -> impl DoubleEndedIterator<Item = &'a Node> + ExactSizeIterator {
        slots.iter().map(|slot| self.slots.get(*slot).expect("a list names only slots that are in use"))
    }

    /// The slots themselves, to compare by.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// What was put into the trash by itself, with the moment, oldest first.
    pub(super) fn trash(&self) -> &BTreeSet<(u64, NodeId)> {
        &self.trash
    }

    /// What was deleted for ever and is still here, each with all below it.
    pub(super) fn discarded(&self) -> &BTreeSet<NodeId> {
        &self.discarded
    }

    /// The files with older versions, by the moment the oldest of these was replaced.
    pub(super) fn outdated(&self) -> &BTreeSet<(u64, NodeId)> {
        &self.outdated
    }

    /// All nodes, the root first: folders before what they hold, siblings in order; then the trash, then what waits to
    /// be purged.
    pub(super) fn all(&self) -> impl Iterator<Item = &Node> {
        let root = std::iter::once(NodeId::ROOT);
        let trash = self.trash.iter().map(|(_, id)| *id);
        let tops = root.chain(trash).chain(self.discarded.iter().copied());
        tops.filter_map(|id| self.get(id)).flat_map(|top| self.below(top))
    }

    /// The node and all below it, each before what it holds.
    pub(super) fn below<'a>(&'a self, top: &'a Node) -> impl Iterator<Item = &'a Node> {
        let mut ahead = vec![top];
        std::iter::from_fn(move || {
            let node = ahead.pop()?;
            ahead.extend(self.children(node.id).rev());
            Some(node)
        })
    }

    /// How many versions use this blob.
    pub(super) fn uses(&self, blob: BlobId) -> usize {
        match self.shared.get(&blob) {
            Some(uses) => *uses as usize,
            None => usize::from(self.only_use(blob, |slot| self.slots.get(slot)).is_some()),
        }
    }

    /// The only use of a blob that is not shared, by the nodes as `node_in` has them.
    fn only_use<'a>(&'a self, blob: BlobId, node_in: impl Fn(u32) -> Option<&'a Node>) -> Option<BlobUse> {
        let hash = short_hash(blob);
        let names_it = |file: &File| file.versions().any(|version| version.id() == blob);
        let is_of_blob =
            |used: &&BlobUse| used.hash == hash && node_in(used.slot).and_then(Node::file).is_some_and(names_it);
        self.by_blob.iter_hash(spread(hash)).find(is_of_blob).copied()
    }

    /// Plaintext bytes of all versions, those in the trash included, a shared blob counted once.
    pub(super) fn bytes_used(&self) -> u64 {
        self.bytes_used
    }

    /// How many files there are, those in the trash included.
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    /// How many nodes there are, the root included.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn slot(&self, id: NodeId) -> Option<u32> {
        self.by_id.find(hash_of(id), |slot| self.slots.get(*slot).is_some_and(|node| node.id == id)).copied()
    }

    /// A slot for a node that is not here yet; the caller fills it at once.
    fn allot(&mut self, id: NodeId) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.slots.grow());
        let slots = &self.slots;
        self.by_id.insert_unique(hash_of(id), slot, |slot| slots.get(*slot).map_or(0, |node| hash_of(node.id)));
        slot
    }

    /// Forgets a slot whose node was taken out.
    fn release(&mut self, id: NodeId, slot: u32) {
        if let Ok(entry) = self.by_id.find_entry(hash_of(id), |used| *used == slot) {
            entry.remove();
        }
        self.children.remove(&slot);
        self.free.push(slot);
    }

    /// Takes the node in the slot out of every order it is in.
    fn unlink(&mut self, slot: u32) {
        let Some(node) = self.slots.get(slot) else { return };
        let id = node.id;
        match node.standing {
            Standing::Live if id == NodeId::ROOT => {}
            Standing::Live => {
                if let Some(parent) = self.slot(node.parent)
                    && let Some(siblings) = self.children.get_mut(&parent)
                {
                    siblings.remove(&self.slots, slot);
                    if siblings.slots().is_empty() {
                        self.children.remove(&parent);
                    }
                    for (_, order) in self.kept_orders.get_mut().iter_mut().filter(|(folder, _)| *folder == parent) {
                        order.remove(&self.slots, slot);
                    }
                }
            }
            Standing::Trashed { since_ms } => _ = self.trash.remove(&(since_ms, id)),
            Standing::Discarded => _ = self.discarded.remove(&id),
        }
        if node.starred {
            self.starred.remove(&self.slots, slot);
        }
        if let Some(file) = node.file() {
            self.files -= 1;
            if let Some((_, since_ms)) = file.replaced().next() {
                self.outdated.remove(&(since_ms, id));
            }
        }
    }

    /// Puts the node in the slot into every order it belongs to.
    fn link(&mut self, slot: u32) {
        let Some(node) = self.slots.get(slot) else { return };
        let id = node.id;
        match node.standing {
            Standing::Live if id == NodeId::ROOT => {}
            Standing::Live => {
                if let Some(parent) = self.slot(node.parent) {
                    self.children.entry(parent).or_default().insert(&self.slots, slot);
                    for (_, order) in self.kept_orders.get_mut().iter_mut().filter(|(folder, _)| *folder == parent) {
                        order.insert(&self.slots, slot);
                    }
                }
            }
            Standing::Trashed { since_ms } => _ = self.trash.insert((since_ms, id)),
            Standing::Discarded => _ = self.discarded.insert(id),
        }
        if node.starred {
            self.starred.insert(&self.slots, slot);
        }
        if let Some(file) = node.file() {
            self.files += 1;
            if let Some((_, since_ms)) = file.replaced().next() {
                self.outdated.insert((since_ms, id));
            }
        }
    }

    /// Brings the uses of blobs and the bytes in use up to date after the node in `slot` took the place of `old`.
    fn account(&mut self, slot: u32, old: Option<&Node>) {
        for (blob, change, size_bytes) in changed_uses(old, self.slots.get(slot)) {
            let shared = self.shared.get(&blob).copied();
            let node_in = |used| if used == slot { old } else { self.slots.get(used) };
            let only = if shared.is_none() { self.only_use(blob, node_in) } else { None };
            let before = shared.unwrap_or(u32::from(only.is_some()));
            let uses = before.checked_add_signed(change).expect("what a node no longer uses it did use");
            if let Some(only) = only {
                self.forget_use(only);
            }
            if (before, uses) == (0, 1) {
                let only = BlobUse { hash: short_hash(blob), slot };
                self.by_blob.insert_unique(spread(only.hash), only, |used| spread(used.hash));
            } else if uses > 0 {
                self.shared.insert(blob, uses);
            } else {
                self.shared.remove(&blob);
            }
            match (before, uses) {
                (0, _) => self.bytes_used += size_bytes,
                (_, 0) => self.bytes_used -= size_bytes,
                _ => {}
            }
        }
    }

    fn forget_use(&mut self, only: BlobUse) {
        let is_it = |used: &BlobUse| used.hash == only.hash && used.slot == only.slot;
        if let Ok(entry) = self.by_blob.find_entry(spread(only.hash), is_it) {
            entry.remove();
        }
    }

    /// Keeps one copy of a media type for all files that have it.
    fn share_media_type(&mut self, node: &mut Node) {
        let Content::File(File { current, .. }) = &mut node.content else { return };
        let media_type = &mut current.blob.media_type;
        match self.media_types.get(media_type.as_str()) {
            Some(known) => *media_type = known.clone(),
            None if self.media_types.len() < MAX_SHARED_MEDIA_TYPES => _ = self.media_types.insert(media_type.clone()),
            None => {}
        }
    }
}

/// The root is a node like any other, but made by no operation and listed nowhere.
fn root() -> Node {
    Node {
        id: NodeId::ROOT,
        parent: NodeId::ROOT,
        name: FileName::accepted(""),
        standing: Standing::Live,
        starred: false,
        created_ms: 0,
        seq: 0,
        index: 0,
        content: Content::Folder,
    }
}

/// How many more or fewer times each blob is used by `new` than by `old`, with its size.
fn changed_uses(old: Option<&Node>, new: Option<&Node>) -> Vec<(BlobId, i32, u64)> {
    let (old, new) = (old.and_then(Node::file), new.and_then(Node::file));
    let mut changes = Vec::new();
    if let (Some(old), Some(new)) = (old, new)
        && old.older.is_same(&new.older)
        && old.current.id() == new.current.id()
    {
        return changes;
    }
    for (file, change) in [(old, -1), (new, 1)] {
        for version in file.into_iter().flat_map(File::versions) {
            changes.push((version.id(), change, version.blob.size_bytes));
        }
    }
    changes.sort_unstable_by_key(|(blob, ..)| *blob);
    changes.dedup_by(|later, first| {
        let is_same = later.0 == first.0;
        first.1 += if is_same { later.1 } else { 0 };
        is_same
    });
    changes.retain(|(_, change, _)| *change != 0);
    changes
}

/// Ids are random, so a part of them is a hash.
fn hash_of(id: NodeId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn short_hash(blob: BlobId) -> u32 {
    let [a, b, c, d, ..] = blob.0;
    u32::from_le_bytes([a, b, c, d])
}

/// The table looks at the highest and the lowest bits.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
