//! Sorted lists of nodes: folders before files, each by one property, and equals in natural order of names.
//!
//! A list holds 4-byte slots and compares through the nodes in them, so it costs 4 bytes for each node.

use std::cmp::Ordering;

use super::{FileName, Node, NodeId};

/// Slots that lie together: some 300 KiB.
const CHUNK: usize = 1024;

/// Where the nodes lie; a node keeps its slot for as long as it exists. They lie in chunks that never move, without an
/// allocation for each and without a copy of them all when there are more.
#[derive(Default)]
pub(in crate::vault) struct Slots(Vec<Vec<Option<Node>>>);

impl Slots {
    pub(super) fn get(&self, slot: u32) -> Option<&Node> {
        self.0.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?.as_ref()
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<Node> {
        self.0.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)?.take()
    }

    /// Fills a slot that [`Slots::grow`] made.
    pub(super) fn put(&mut self, slot: u32, node: Node) {
        self.0[slot as usize / CHUNK][slot as usize % CHUNK] = Some(node);
    }

    /// A new empty slot.
    pub(super) fn grow(&mut self) -> u32 {
        if self.0.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.0.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.0.len() - 1) * CHUNK;
        let chunk = self.0.last_mut().expect("a chunk was pushed where there was none with room");
        chunk.push(None);
        u32::try_from(before + chunk.len() - 1).expect("four billion nodes exceed any memory")
    }
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortKey {
    /// Natural order of names.
    #[default]
    Name,
    /// Bytes.
    Size,
    /// When the content last changed.
    Modified,
    /// When the node was made.
    Created,
    /// Media type.
    Kind,
}

impl SortKey {
    /// A size or a time.
    pub(in crate::vault) fn number(self, node: &Node) -> u64 {
        match self {
            Self::Size => node.size_bytes(),
            Self::Modified => node.modified_ms(),
            Self::Created => node.created_ms,
            Self::Name | Self::Kind => 0,
        }
    }

    /// A media type.
    pub(in crate::vault) fn text(self, node: &Node) -> &str {
        match (self, node.file()) {
            (Self::Kind, Some(file)) => file.current.blob.media_type.as_str(),
            _ => "",
        }
    }
}

/// Where a node stands in a list, by everything that an order looks at. Within a folder names are unique; among the
/// starred the id decides between equal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::vault) struct Rank<'a> {
    pub(in crate::vault) is_file: bool,
    pub(in crate::vault) number: u64,
    pub(in crate::vault) text: &'a str,
    pub(in crate::vault) name: &'a FileName,
    pub(in crate::vault) id: NodeId,
}

impl<'a> Rank<'a> {
    /// The rank of a node.
    pub(in crate::vault) fn of(node: &'a Node, key: SortKey) -> Self {
        let (number, text) = (key.number(node), key.text(node));
        Self { is_file: !node.is_folder(), number, text, name: &node.name, id: node.id }
    }
}

/// A sorted list of slots.
#[derive(Default)]
pub(in crate::vault) struct Ordered {
    key: SortKey,
    slots: Vec<u32>,
}

impl Ordered {
    /// A list of nothing, by name.
    pub(super) const fn empty() -> Self {
        Self { key: SortKey::Name, slots: Vec::new() }
    }

    /// What it is sorted by.
    pub(super) fn key(&self) -> SortKey {
        self.key
    }

    /// The slots in order.
    pub(in crate::vault) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// The nodes of this list, which **must** be by name, in another order.
    pub(in crate::vault) fn sorted_by(&self, slots: &Slots, key: SortKey) -> Self {
        let keyed = self.slots.iter().filter_map(|slot| {
            let node = slots.get(*slot)?;
            Some((!node.is_folder(), key.number(node), key.text(node), *slot))
        });
        let mut keyed: Vec<_> = keyed.collect();
        // Equals keep the order of names, without a look at them.
        keyed.sort_by(|a, b| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)));
        Self { key, slots: keyed.into_iter().map(|(.., slot)| slot).collect() }
    }

    /// The same order without the nodes that don't pass.
    pub(in crate::vault) fn filtered(&self, slots: &Slots, passes: impl Fn(&Node) -> bool) -> Self {
        let passing = self.slots.iter().copied().filter(|slot| slots.get(*slot).is_some_and(&passes));
        Self { key: self.key, slots: passing.collect() }
    }

    /// How many folders there are; they come first.
    pub(in crate::vault) fn folders(&self, slots: &Slots) -> usize {
        self.slots.partition_point(|slot| slots.get(*slot).is_some_and(Node::is_folder))
    }

    /// How many nodes come before this rank.
    pub(in crate::vault) fn before(&self, slots: &Slots, rank: Rank<'_>) -> usize {
        // A restored snapshot and most uploads come in order.
        if self.slots.last().is_none_or(|last| self.compare(slots, *last, rank).is_lt()) {
            return self.slots.len();
        }
        self.slots.partition_point(|slot| self.compare(slots, *slot, rank).is_lt())
    }

    /// How many nodes come before this rank or at it.
    pub(in crate::vault) fn up_to(&self, slots: &Slots, rank: Rank<'_>) -> usize {
        self.slots.partition_point(|slot| self.compare(slots, *slot, rank).is_le())
    }

    /// The slot of the folder or file of that name, in a list by name.
    pub(super) fn find(&self, slots: &Slots, name: &FileName) -> Option<u32> {
        [false, true].into_iter().find_map(|is_file| {
            let at = self.before(slots, Rank { is_file, number: 0, text: "", name, id: NodeId::ROOT });
            let slot = *self.slots.get(at)?;
            slots.get(slot).filter(|node| node.name == *name).map(|_| slot)
        })
    }

    pub(super) fn insert(&mut self, slots: &Slots, slot: u32) {
        let Some(node) = slots.get(slot) else { return };
        let at = self.before(slots, Rank::of(node, self.key));
        self.slots.insert(at, slot);
    }

    pub(super) fn remove(&mut self, slots: &Slots, slot: u32) {
        let Some(node) = slots.get(slot) else { return };
        let at = self.before(slots, Rank::of(node, self.key));
        if self.slots.get(at) == Some(&slot) {
            self.slots.remove(at);
        }
    }

    fn compare(&self, slots: &Slots, slot: u32, rank: Rank<'_>) -> Ordering {
        slots.get(slot).map_or(Ordering::Less, |node| Rank::of(node, self.key).cmp(&rank))
    }
}
