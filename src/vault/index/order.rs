//! Sorted lists of nodes: folders before files, each in natural order of names.
//!
//! A list holds 4-byte slots and compares through the nodes in them, so it costs 4 bytes for each node.

use std::cmp::Ordering;

use super::{FileName, Node, NodeId};

/// Where the nodes lie; a node keeps its slot for as long as it exists.
#[derive(Default)]
pub(in crate::vault) struct Slots(Vec<Option<Box<Node>>>);

impl Slots {
    pub(super) fn get(&self, slot: u32) -> Option<&Node> {
        self.0.get(slot as usize)?.as_deref()
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<Box<Node>> {
        self.0.get_mut(slot as usize)?.take()
    }

    /// Fills a slot that [`Slots::grow`] made.
    pub(super) fn put(&mut self, slot: u32, node: Box<Node>) {
        self.0[slot as usize] = Some(node);
    }

    /// A new empty slot.
    pub(super) fn grow(&mut self) -> u32 {
        self.0.push(None);
        u32::try_from(self.0.len() - 1).expect("four billion nodes exceed any memory")
    }
}

/// What a list is sorted by. Within a folder names are unique; among the starred the id decides between equal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::vault) struct Rank<'a> {
    pub(in crate::vault) is_file: bool,
    pub(in crate::vault) name: &'a FileName,
    pub(in crate::vault) id: NodeId,
}

impl<'a> Rank<'a> {
    /// The rank of a node.
    pub(in crate::vault) fn of(node: &'a Node) -> Self {
        Self { is_file: !node.is_folder(), name: &node.name, id: node.id }
    }
}

/// A sorted list of slots.
#[derive(Default)]
pub(in crate::vault) struct Ordered(Vec<u32>);

impl Ordered {
    /// A list of nothing.
    pub(super) const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The slots in order.
    pub(in crate::vault) fn slots(&self) -> &[u32] {
        &self.0
    }

    /// The same order without the nodes that don't pass.
    pub(in crate::vault) fn filtered(&self, slots: &Slots, passes: impl Fn(&Node) -> bool) -> Self {
        Self(self.0.iter().copied().filter(|slot| slots.get(*slot).is_some_and(&passes)).collect())
    }

    /// How many folders there are; they come first.
    pub(in crate::vault) fn folders(&self, slots: &Slots) -> usize {
        self.0.partition_point(|slot| slots.get(*slot).is_some_and(Node::is_folder))
    }

    /// How many nodes come before this rank.
    pub(in crate::vault) fn before(&self, slots: &Slots, rank: Rank<'_>) -> usize {
        // A restored snapshot and most uploads come in order.
        if self.0.last().is_none_or(|last| compare(slots, *last, rank).is_lt()) {
            return self.0.len();
        }
        self.0.partition_point(|slot| compare(slots, *slot, rank).is_lt())
    }

    /// How many nodes come before this rank or at it.
    pub(in crate::vault) fn up_to(&self, slots: &Slots, rank: Rank<'_>) -> usize {
        self.0.partition_point(|slot| compare(slots, *slot, rank).is_le())
    }

    /// The slot of the folder or file of that name.
    pub(super) fn find(&self, slots: &Slots, name: &FileName) -> Option<u32> {
        [false, true].into_iter().find_map(|is_file| {
            let at = self.before(slots, Rank { is_file, name, id: NodeId::ROOT });
            let slot = *self.0.get(at)?;
            slots.get(slot).filter(|node| node.name == *name).map(|_| slot)
        })
    }

    pub(super) fn insert(&mut self, slots: &Slots, slot: u32) {
        let Some(rank) = slots.get(slot).map(Rank::of) else { return };
        let at = self.before(slots, rank);
        self.0.insert(at, slot);
    }

    pub(super) fn remove(&mut self, slots: &Slots, slot: u32) {
        let Some(rank) = slots.get(slot).map(Rank::of) else { return };
        let at = self.before(slots, rank);
        if self.0.get(at) == Some(&slot) {
            self.0.remove(at);
        }
    }
}

fn compare(slots: &Slots, slot: u32, rank: Rank<'_>) -> Ordering {
    slots.get(slot).map_or(Ordering::Less, |node| Rank::of(node).cmp(&rank))
}
