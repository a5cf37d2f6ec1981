//! `/nodes`: what folders and files have in common.

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object, OpenApi};

use super::caller::Caller;
use super::conditional::revision_of;
use super::openapi::Tag;
use super::problem::{Changing, Code, Listing, Problem, Reading, Refused};
use super::schema::{Done, Node, NodeCreated, NodeFound, NodePage};
use super::text::{Cursor, EntityTags, GivenName, IdempotencyKey, NodeRef, given};
use crate::vault::{CopyTarget, FileName, IfTaken, NodePatch, PageRequest, Sort, SortKey};

/// Nodes on a page when the client does not say.
const DEFAULT_PAGE: u32 = 100;

/// The order of a list; folders come first in every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "NodeOrder")]
pub enum Order {
    /// By name, in natural order.
    #[oai(rename = "name")]
    Name,
    /// By name, backwards.
    #[oai(rename = "-name")]
    NameDown,
    /// Smallest first.
    #[oai(rename = "size")]
    Size,
    /// Largest first.
    #[oai(rename = "-size")]
    SizeDown,
    /// Oldest change first.
    #[oai(rename = "modified")]
    Modified,
    /// Newest change first.
    #[oai(rename = "-modified")]
    ModifiedDown,
    /// Oldest first.
    #[oai(rename = "created")]
    Created,
    /// Newest first.
    #[oai(rename = "-created")]
    CreatedDown,
    /// By media type.
    #[oai(rename = "kind")]
    Kind,
    /// By media type, backwards.
    #[oai(rename = "-kind")]
    KindDown,
}

/// What to change. What is absent stays.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NodeChange {
    /// Another name.
    name: MaybeUndefined<GivenName>,
    /// Another folder.
    parent: MaybeUndefined<NodeRef>,
    /// Whether the owner marks it.
    starred: MaybeUndefined<bool>,
}

/// Where a copy goes.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NodeCopy {
    /// The folder.
    parent: NodeRef,
    /// Its name there; without one it keeps its own.
    name: MaybeUndefined<GivenName>,
    /// What happens when the name is taken: without it, nothing.
    on_conflict: MaybeUndefined<CopyConflict>,
}

/// What happens when the name of a copy is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CopyConflict {
    /// Nothing: the answer is 409.
    Fail,
    /// It gets a number.
    KeepBoth,
}

/// The folders above a folder or file.
#[derive(Debug, Clone, Object)]
pub struct NodePath {
    /// The folders, the root first; none for the root.
    pub items: Vec<Node>,
}

/// The handlers of `/nodes`.
pub struct Nodes;

#[OpenApi(prefix_path = "/nodes", tag = "Tag::Nodes")]
impl Nodes {
    /// Read a folder or file
    #[oai(path = "/:id", method = "get", operation_id = "get_node")]
    async fn get(&self, caller: Caller, id: Path<NodeRef>) -> Result<NodeFound, Refused<Reading>> {
        Ok(caller.vault().node(caller.node(id.0)?)?.into())
    }

    /// Rename, move or star a folder or file
    ///
    /// Whatever the size of what is moved, it takes the same short time.
    #[oai(path = "/:id", method = "patch", operation_id = "update_node")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The node's entity tag: with it, nothing happens when somebody else changed the node meanwhile.
        #[oai(name = "If-Match")]
        if_match: Header<Option<EntityTags>>,
        change: Json<NodeChange>,
    ) -> Result<NodeFound, Refused<Changing>> {
        let patch = change.0.into_patch(&caller)?;
        let revision = revision_of(if_match.0)?;
        Ok(caller.vault().update(caller.actor(), caller.own_node(id.0)?, patch, revision).await?.into())
    }

    /// Put a folder or file into the trash
    #[oai(path = "/:id", method = "delete", operation_id = "trash_node")]
    async fn trash(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The node's entity tag: with it, nothing happens when somebody else changed the node meanwhile.
        #[oai(name = "If-Match")]
        if_match: Header<Option<EntityTags>>,
    ) -> Result<Done, Refused<Changing>> {
        caller.vault().trash(caller.actor(), caller.own_node(id.0)?, revision_of(if_match.0)?).await?;
        Ok(Done::Done)
    }

    /// Take a folder or file out of the trash
    ///
    /// It returns to where it was, or to the nearest folder above that still exists; a taken name gets a number.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_node")]
    async fn restore(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The folder to restore to; without it, where it was.
        parent: Query<Option<NodeRef>>,
    ) -> Result<NodeFound, Refused<Changing>> {
        let to = parent.0.map(|parent| caller.node(parent)).transpose()?;
        Ok(caller.vault().restore(caller.actor(), caller.own_node(id.0)?, to).await?.into())
    }

    /// Copy a file, or a folder with all it holds
    ///
    /// Copies share their content until one of them changes: no bytes move, and what they share counts once. Older
    /// versions and marks are not copied. Up to 10,000 files and folders are copied at once.
    #[oai(path = "/:id/copy", method = "post", operation_id = "copy_node")]
    async fn copy(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// Makes a repetition harmless.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        copy: Json<NodeCopy>,
    ) -> Result<NodeCreated, Refused<Changing>> {
        let actor = caller.creator("copy_node", key.0.as_ref());
        let target = copy.0.into_target(&caller)?;
        Ok(caller.vault().copy(actor, caller.node(id.0)?, target).await?.into())
    }

    /// List the folders above a folder or file, the root first
    ///
    /// A token that is confined to a folder is told of no other.
    #[oai(path = "/:id/path", method = "get", operation_id = "get_path")]
    async fn path(&self, caller: Caller, id: Path<NodeRef>) -> Result<Json<NodePath>, Refused<Reading>> {
        let above = caller.vault().path(caller.node(id.0)?)?;
        let items = above.into_iter().filter(|folder| caller.made(folder.id).is_ok()).map(Node::from).collect();
        Ok(Json(NodePath { items }))
    }

    /// List a folder
    #[expect(clippy::too_many_arguments, reason = "each argument is a parameter of the description")]
    #[oai(path = "/:id/children", method = "get", operation_id = "list_children")]
    async fn children(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The order; `-` turns it around.
        sort: Query<Option<Order>>,
        /// The `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// Instead of a cursor: how many nodes come before this page, in this order and at this moment.
        offset: Query<Option<u32>>,
        /// Most nodes of this page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<NodePage>, Refused<Listing>> {
        let (sort, request) = (sort.0.unwrap_or(Order::Name).into(), page(cursor.0, limit.0));
        let folder = caller.node(id.0)?;
        let found = match (offset.0, &request.cursor) {
            (Some(_), Some(_)) => {
                return Err(Problem::new(Code::InvalidRequest)
                    .with_detail("A page begins at a cursor or at an offset.")
                    .into());
            }
            (Some(offset), None) => caller.vault().children_at(folder, sort, offset as usize, request.limit)?,
            (None, _) => caller.vault().children(folder, sort, &request)?,
        };
        Ok(Json(found.into()))
    }
}

impl NodeChange {
    fn into_patch(self, caller: &Caller) -> Result<NodePatch, Problem> {
        let name = given(self.name)?.map(|name| FileName::parse(&name.0)).transpose()?;
        let parent = given(self.parent)?.map(|parent| caller.node(parent)).transpose()?;
        Ok(NodePatch { name, parent, starred: given(self.starred)? })
    }
}

impl NodeCopy {
    fn into_target(self, caller: &Caller) -> Result<CopyTarget, Problem> {
        let name = given(self.name)?.map(|name| FileName::parse(&name.0)).transpose()?;
        let if_taken = match given(self.on_conflict)? {
            Some(CopyConflict::KeepBoth) => IfTaken::Number,
            Some(CopyConflict::Fail) | None => IfTaken::Fail,
        };
        Ok(CopyTarget { parent: caller.node(self.parent)?, name, if_taken })
    }
}

impl From<Order> for Sort {
    fn from(order: Order) -> Self {
        let (key, descending) = match order {
            Order::Name => (SortKey::Name, false),
            Order::NameDown => (SortKey::Name, true),
            Order::Size => (SortKey::Size, false),
            Order::SizeDown => (SortKey::Size, true),
            Order::Modified => (SortKey::Modified, false),
            Order::ModifiedDown => (SortKey::Modified, true),
            Order::Created => (SortKey::Created, false),
            Order::CreatedDown => (SortKey::Created, true),
            Order::Kind => (SortKey::Kind, false),
            Order::KindDown => (SortKey::Kind, true),
        };
        Self { key, descending }
    }
}

/// The part of a list that is asked for.
pub fn page(cursor: Option<Cursor>, limit: Option<u32>) -> PageRequest {
    PageRequest { cursor: cursor.map(|cursor| cursor.0), limit: limit.unwrap_or(DEFAULT_PAGE) as usize }
}
