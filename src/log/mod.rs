//! The sealed log: what must last about the tree.
