//! One change for many nodes at once: one entry in the log, however many they are.
//!
//! Each node is asked for in turn, in the state that the ones before it leave, by the same rules as if it had been asked
//! for alone. What these refuse stays as it is and is told; all others take effect together.

use std::collections::BTreeSet;

use super::{
    Actor, Vault,
    catalog::Catalog,
    error::VaultError,
    id::NodeId,
    propose::{NodePatch, Proposal},
};
use crate::log::{CommitMeta, Machine, Stamp};

/// Most nodes of one change.
pub const MAX_BULK: usize = 10_000;

/// What to do with each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// Put it into the trash.
    Trash,
    /// Take it out of the trash: to this folder, else to where it was.
    Restore {
        /// The folder.
        to: Option<NodeId>,
    },
    /// Move it.
    Move {
        /// The folder.
        to: NodeId,
    },
    /// Set the owner's mark.
    Star,
    /// Take the mark off.
    Unstar,
    /// Delete it for ever; it is in the trash.
    Delete,
}

/// What became of a change of many nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BulkOutcome {
    /// How many are now as they were asked to be.
    pub done: usize,
    /// Those that stayed as they were, and why.
    pub refused: Vec<(NodeId, VaultError)>,
}

impl Vault {
    /// Does the same with many nodes, in the order in which they are named; a repeated one counts once.
    ///
    /// # Errors
    /// [`VaultError::LimitExceeded`] unless there are 1 to [`MAX_BULK`] of them; what the log refuses. What is wrong with
    /// a single node is no error of the whole.
    pub async fn bulk(&self, actor: Actor, action: BulkAction, nodes: Vec<NodeId>) -> Result<BulkOutcome, VaultError> {
        if !(1..=MAX_BULK).contains(&nodes.len()) {
            return Err(VaultError::LimitExceeded {
                what: "nodes in one change, and at least 1",
                limit: MAX_BULK as u64,
            });
        }
        let tried = self
            .0
            .log
            .commit_tried(actor.into(), move |catalog: &mut Catalog, stamp| catalog.try_bulk(stamp, action, &nodes));
        let outcome = super::facade::answer_of(tried.await)?;
        if action == BulkAction::Delete {
            self.0.upkeep_wanted.notify_one();
        }
        Ok(outcome)
    }
}

impl Catalog {
    /// Applies what can be done, from the stamp on, and says what that is. Applies nothing when it fails.
    pub(super) fn try_bulk(&mut self, stamp: Stamp, action: BulkAction, nodes: &[NodeId]) -> Proposal<BulkOutcome> {
        self.begin();
        let tried = self.do_in_turn(stamp, action, nodes);
        match tried {
            Ok(_) => self.keep(),
            Err(_) => self.rollback(),
        }
        tried
    }

    fn do_in_turn(&mut self, mut stamp: Stamp, action: BulkAction, nodes: &[NodeId]) -> Proposal<BulkOutcome> {
        let (mut seen, mut operations, mut outcome) = (BTreeSet::new(), Vec::new(), BulkOutcome::default());
        for id in nodes.iter().copied().filter(|id| seen.insert(*id)) {
            match self.propose_one(action, id) {
                Ok((more, ())) => {
                    for operation in &more {
                        let applied = self.apply(&stamp, &CommitMeta::default(), operation);
                        applied.map_err(|error| {
                            tracing::error!(%error, "a proposal does not apply to the state it was made for");
                            VaultError::Inconsistent
                        })?;
                        stamp.index += 1;
                    }
                    operations.extend(more);
                    outcome.done += 1;
                }
                Err(refusal) => outcome.refused.push((id, refusal)),
            }
        }
        Ok((operations, outcome))
    }

    fn propose_one(&self, action: BulkAction, id: NodeId) -> Proposal<()> {
        let changed = |patch| self.propose_update(id, patch, None);
        match action {
            BulkAction::Trash => self.propose_trash(id, None),
            BulkAction::Restore { to } => self.propose_restore(id, to),
            BulkAction::Move { to } => changed(NodePatch { parent: Some(to), ..NodePatch::default() }),
            BulkAction::Star => changed(NodePatch { starred: Some(true), ..NodePatch::default() }),
            BulkAction::Unstar => changed(NodePatch { starred: Some(false), ..NodePatch::default() }),
            BulkAction::Delete => self.propose_discard(id),
        }
    }
}
