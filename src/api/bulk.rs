//! `/bulk`: the same for many nodes at once. Deleting for ever asks more of its caller, so it has a route of its own.

use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object, OpenApi};

use super::caller::Caller;
use super::openapi::Tag;
use super::problem::{Changing, Code, Problem, Refused};
use super::text::{NodeRef, given};
use crate::vault::{self, BulkOutcome, NodeId, VaultError};

/// What to do with many nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum BulkAction {
    /// Put them into the trash.
    Trash,
    /// Take them out of the trash: to `parent`, or without it to where each was.
    Restore,
    /// Move them to `parent`.
    Move,
    /// Mark them.
    Star,
    /// Take the mark off.
    Unstar,
}

/// A change of many nodes.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct BulkChange {
    /// What to do.
    action: BulkAction,
    /// The nodes, in the order in which it is done.
    #[oai(validator(min_items = "1", max_items = "10000"))]
    ids: Vec<NodeRef>,
    /// The folder to move or restore to; for nothing else.
    parent: MaybeUndefined<NodeRef>,
}

/// What to delete.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct BulkDeletion {
    /// The nodes.
    #[oai(validator(min_items = "1", max_items = "10000"))]
    ids: Vec<NodeRef>,
}

/// What became of a change of many nodes.
#[derive(Debug, Clone, Object)]
pub struct BulkResult {
    /// How many are now as they were asked to be.
    pub done: u64,
    /// Those that stayed as they were.
    pub refused: Vec<BulkRefusal>,
}

/// Why a node stayed as it was.
#[derive(Debug, Clone, Object)]
pub struct BulkRefusal {
    /// The node.
    pub id: String,
    /// The kind of problem for programs, as in a `Problem`.
    #[oai(validator(pattern = "^[A-Z0-9_]+$"))]
    pub code: String,
    /// What stands in the way.
    pub detail: String,
}

/// The handlers of `/bulk`.
pub struct Bulk;

#[OpenApi(tag = "Tag::Nodes")]
impl Bulk {
    /// Trash, restore, move or star many folders and files
    ///
    /// Each is asked for in turn, by the same rules as alone. What these refuse is told and stays as it was; all others
    /// change together, in one step that is there whole or not at all.
    #[oai(path = "/bulk", method = "post", operation_id = "change_nodes")]
    async fn change(&self, caller: Caller, change: Json<BulkChange>) -> Result<Json<BulkResult>, Refused<Changing>> {
        let parent = given(change.0.parent)?.map(|parent| caller.node(parent)).transpose()?;
        let (action, ids) = (change.0.action.with(parent)?, nodes(&caller, change.0.ids)?);
        Ok(Json(caller.vault().bulk(caller.actor(), action, ids).await?.into()))
    }

    /// Delete many things in the trash for ever
    ///
    /// What is not in the trash is told and stays as it was; all others go together.
    #[oai(path = "/trash/delete", method = "post", operation_id = "delete_nodes")]
    async fn delete(
        &self,
        caller: Caller,
        deletion: Json<BulkDeletion>,
    ) -> Result<Json<BulkResult>, Refused<Changing>> {
        let ids = nodes(&caller, deletion.0.ids)?;
        Ok(Json(caller.vault().bulk(caller.actor(), vault::BulkAction::Delete, ids).await?.into()))
    }
}

fn nodes(caller: &Caller, ids: Vec<NodeRef>) -> Result<Vec<NodeId>, Problem> {
    ids.into_iter().map(|id| caller.own_node(id)).collect()
}

impl BulkAction {
    fn with(self, parent: Option<NodeId>) -> Result<vault::BulkAction, Problem> {
        match (self, parent) {
            (Self::Trash, None) => Ok(vault::BulkAction::Trash),
            (Self::Restore, to) => Ok(vault::BulkAction::Restore { to }),
            (Self::Move, Some(to)) => Ok(vault::BulkAction::Move { to }),
            (Self::Star, None) => Ok(vault::BulkAction::Star),
            (Self::Unstar, None) => Ok(vault::BulkAction::Unstar),
            (Self::Move, None) => Err(Problem::new(Code::InvalidRequest).with_detail("To move takes a parent.")),
            (Self::Trash | Self::Star | Self::Unstar, Some(_)) => {
                Err(Problem::new(Code::InvalidRequest).with_detail("A parent is for moving and restoring alone."))
            }
        }
    }
}

impl From<BulkOutcome> for BulkResult {
    fn from(outcome: BulkOutcome) -> Self {
        let refused = outcome.refused.into_iter().map(BulkRefusal::from).collect();
        Self { done: outcome.done as u64, refused }
    }
}

impl From<(NodeId, VaultError)> for BulkRefusal {
    fn from((id, error): (NodeId, VaultError)) -> Self {
        let problem = Problem::from(error);
        Self { id: id.to_string(), code: problem.code().name().to_owned(), detail: problem.detail().to_owned() }
    }
}
