//! Which nodes are out of sight although they stand in their folders: all below a folder in the trash, and below one that
//! was deleted for ever. A folder goes there in one step, so what it holds is not told; who looks over the whole vault
//! asks here once, at the cost of a bit for each node and a step for each hidden one.

use super::{Index, Node, NodeId};

/// A bit for each slot.
pub(in crate::vault) struct Hidden(Vec<u64>);

impl Hidden {
    /// Whether the node of the slot is out of sight.
    pub(in crate::vault) fn holds(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }
}

impl Index {
    /// What is out of sight now.
    pub(in crate::vault) fn hidden(&self) -> Hidden {
        let tops = self.trash().iter().map(|(_, id)| *id).chain(self.discarded().iter().copied());
        let mut ahead: Vec<u32> = tops.filter_map(|id: NodeId| self.slot(id)).collect();
        let mut bits = Vec::new();
        while let Some(folder) = ahead.pop() {
            let Some(children) = self.children.get(&folder) else { continue };
            for slot in children.slots() {
                let at = *slot as usize / 64;
                if bits.len() <= at {
                    bits.resize(at + 1, 0);
                }
                bits[at] |= 1 << (slot % 64);
            }
            // Folders come first.
            let is_folder = |slot: &&u32| self.slots.get(**slot).is_some_and(Node::is_folder);
            ahead.extend(children.slots().iter().take_while(is_folder));
        }
        Hidden(bits)
    }
}
