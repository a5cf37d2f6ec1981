//! Questions to the catalog. Each answers from one consistent state.

use super::{
    catalog::Catalog,
    error::VaultError,
    id::{NodeId, VersionId},
    index::{Ordered, Place},
    node::{Node, Version},
    page::{self, Cursor, Page, PageRequest, Sort},
    view::{NodeView, Standpoint, Stats, VersionView},
};
use crate::crypto::BlobId;

/// The listings whose cursors are none of a folder's orders.
const TRASH: u8 = 100;
const VERSIONS: u8 = 101;

impl Catalog {
    /// The node, in the trash or not.
    pub(super) fn view(&self, id: NodeId) -> Result<NodeView, VaultError> {
        self.visible(id).map(|node| self.view_of(node))
    }

    /// The folders above a node, the root first; those above the trash are not among them.
    pub(super) fn path(&self, id: NodeId) -> Result<Vec<NodeView>, VaultError> {
        let node = self.visible(id)?;
        let mut above: Vec<NodeView> = self.index.upwards(node).skip(1).map(|node| self.view_of(node)).collect();
        above.reverse();
        Ok(above)
    }

    /// Where a node is, seen from a folder that is in the tree.
    pub(super) fn standpoint(&self, id: NodeId, folder: NodeId) -> Result<Standpoint, VaultError> {
        let node = self.visible(id)?;
        let (mut found, mut last) = (Standpoint::Outside, id);
        for (steps, above) in self.index.upwards(node).enumerate() {
            if above.id == folder {
                found = if steps == 0 { Standpoint::Itself } else { Standpoint::Below };
            }
            last = above.id;
        }
        // What is in the trash, or below it, does not lead up to the root.
        Ok(if last == NodeId::ROOT { found } else { Standpoint::Outside })
    }

    /// A page of what a folder holds; folders come first in every order.
    pub(super) fn children_page(
        &self,
        folder: NodeId,
        sort: Sort,
        request: &PageRequest,
    ) -> Result<Page<NodeView>, VaultError> {
        if !self.visible(folder)?.is_folder() {
            return Err(VaultError::NotAFolder);
        }
        self.index.children_by(folder, sort.key, |list| self.page_of(list, sort, request))
    }

    /// The page of what a folder holds that begins at a place of the order.
    pub(super) fn children_at(
        &self,
        folder: NodeId,
        sort: Sort,
        offset: usize,
        limit: usize,
    ) -> Result<Page<NodeView>, VaultError> {
        let limit = PageRequest { cursor: None, limit }.limit()?;
        if !self.visible(folder)?.is_folder() {
            return Err(VaultError::NotAFolder);
        }
        self.index.children_by(folder, sort.key, |list| {
            let (nodes, next) = page::slice_at(&self.index, list, sort, offset, limit);
            let items = nodes.into_iter().map(|node| self.view_of(node)).collect();
            Ok(Page { items, next, total: list.slots().len() as u64 })
        })
    }

    /// A page of the starred nodes that are not in the trash.
    pub(super) fn starred_page(&self, sort: Sort, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        let is_live = |node: &Node| self.index.place(node) == Place::Live;
        let slots = self.index.slots();
        let list = self.index.starred().filtered(slots, is_live).sorted_by(slots, sort.key);
        self.page_of(&list, sort, request)
    }

    fn page_of(&self, list: &Ordered, sort: Sort, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        let (nodes, next) = page::slice(&self.index, list, sort, request)?;
        let items = nodes.into_iter().map(|node| self.view_of(node)).collect();
        Ok(Page { items, next, total: list.slots().len() as u64 })
    }

    /// A page of what was put into the trash, newest first.
    pub(super) fn trash_page(&self, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        let (limit, cursor) = (request.limit()?, request.cursor(TRASH)?);
        let end = cursor.map_or((u64::MAX, NodeId::from_bytes([0xFF; 16])), |cursor| (cursor.number, cursor.id));
        let mut rest =
            self.index.trash().range(..end).rev().filter_map(|(since_ms, id)| Some((since_ms, self.index.get(*id)?)));
        let found: Vec<_> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(found.last()).map(|(since_ms, node)| Cursor::after(TRASH, node, **since_ms, ""));
        let items = found.into_iter().map(|(_, node)| self.view_of(node)).collect();
        Ok(Page { items, next, total: self.index.trash().len() as u64 })
    }

    /// A page of a file's versions, newest first.
    pub(super) fn versions_page(&self, file: NodeId, request: &PageRequest) -> Result<Page<VersionView>, VaultError> {
        let (limit, cursor) = (request.limit()?, request.cursor(VERSIONS)?);
        let node = self.visible(file)?;
        let file = node.file().ok_or(VaultError::NotAFile)?;
        let replaced = file.replaced().map(|(version, at_ms)| VersionView::of(version, Some(at_ms)));
        let all: Vec<VersionView> = replaced.chain(std::iter::once(VersionView::of(&file.current, None))).collect();
        let to_come = match &cursor {
            None => all.len(),
            Some(cursor) => all.iter().position(|version| version.id.hex() == cursor.text).unwrap_or_else(|| {
                // That version is gone; its time still says where it was.
                all.partition_point(|version| version.created_ms <= cursor.number)
            }),
        };
        let mut rest = all[..to_come].iter().rev();
        let items: Vec<VersionView> = rest.by_ref().take(limit).cloned().collect();
        let last = rest.next().and(items.last());
        let next = last.map(|last| Cursor::after(VERSIONS, node, last.created_ms, &last.id.hex()));
        Ok(Page { items, next, total: all.len() as u64 })
    }

    /// A version of a file with all it takes to open it; the current one when none is named.
    pub(super) fn content(&self, file: NodeId, version: Option<VersionId>) -> Result<(&Node, &Version), VaultError> {
        let node = self.visible(file)?;
        let file = node.file().ok_or(VaultError::NotAFile)?;
        let found = match version {
            None => Some(&file.current),
            Some(id) => file.versions().find(|version| version.id() == id),
        };
        Ok((node, found.ok_or(VaultError::NotFound)?))
    }

    /// The vault in numbers.
    pub(super) fn stats(&self, bytes_limit: Option<u64>) -> Stats {
        let files = self.index.files();
        Stats {
            bytes_used: self.index.bytes_used(),
            bytes_limit,
            files,
            folders: (self.index.len() as u64 - 1).saturating_sub(files),
            trashed: self.index.trash().len() as u64,
        }
    }

    fn view_of(&self, node: &Node) -> NodeView {
        NodeView::of(&self.index, node)
    }

    /// What a request with this `Idempotency-Key` made before.
    pub(super) fn answered(
        &self,
        key: &[u8; 32],
        fingerprint: &[u8; 32],
        now_ms: u64,
    ) -> Result<Option<NodeId>, VaultError> {
        match self.answers.get(key, now_ms) {
            Some(answer) if answer.fingerprint != *fingerprint => Err(VaultError::IdempotencyConflict),
            answer => Ok(answer.map(|answer| answer.node)),
        }
    }

    /// Whether the catalog knows this blob, or knows that its object is to be deleted or was.
    pub(super) fn knows(&self, blob: BlobId) -> bool {
        self.retired.get(blob).is_some() || self.index.uses(blob) > 0
    }
}
