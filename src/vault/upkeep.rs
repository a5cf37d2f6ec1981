//! What time and deletion leave to do.

use super::{catalog::Catalog, id::NodeId};

impl Catalog {
    /// Discarded nodes that may be purged now, each after all below it.
    pub(super) fn discarded_nodes(&self, most: usize) -> Vec<NodeId> {
        let mut found = Vec::new();
        for top in self.index.discarded().iter().filter_map(|id| self.index.get(*id)) {
            // Walked backwards, a tree in which folders come first has every node after all below it.
            let mut ahead = vec![(top, false)];
            while let Some((node, is_open)) = ahead.pop() {
                if found.len() == most {
                    return found;
                }
                if is_open || !node.is_folder() {
                    found.push(node.id);
                    continue;
                }
                ahead.push((node, true));
                // The last child goes first: taking it out of the folder's list moves nothing.
                ahead.extend(self.index.children(node.id).map(|child| (child, false)));
            }
        }
        found
    }
}
