//! Pages of a listing: a slice of an order, and a cursor to the next one.
//!
//! A cursor names the last item by what it was sorted by, not by its place: what comes or goes in between neither
//! repeats nor hides anything else, and the last item itself may be gone. Folders come before files in every order and
//! both directions. By name a page costs what is on it; by anything else it costs a look at each sibling, and equal
//! values are in the order of names.

use std::{cmp::Ordering, ops::Range, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Encode};

use super::{
    codec,
    error::VaultError,
    id::NodeId,
    index::{Index, Ordered, Rank},
    name::FileName,
    node::Node,
};

/// Most items on one page.
pub const MAX_PAGE: usize = 1000;

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; none when this is the last.
    pub next: Option<String>,
    /// Items on all pages together.
    pub total: u64,
}

/// What a folder's children are sorted by.
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

/// An order; its text is the key's name, with `-` before it for the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// From the highest to the lowest.
    pub descending: bool,
}

/// The text names no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sort is one of name, size, modified, created, kind, or one of them after \"-\"")]
pub struct InvalidSort;

impl FromStr for Sort {
    type Err = InvalidSort;

    fn from_str(text: &str) -> Result<Self, InvalidSort> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let key = match name {
            "name" => SortKey::Name,
            "size" => SortKey::Size,
            "modified" => SortKey::Modified,
            "created" => SortKey::Created,
            "kind" => SortKey::Kind,
            _ => return Err(InvalidSort),
        };
        Ok(Self { key, descending })
    }
}

/// Which part of a listing is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// [`Page::next`] of the page before; none for the first.
    pub cursor: Option<String>,
    /// Most items, from 1 to [`MAX_PAGE`].
    pub limit: usize,
}

impl PageRequest {
    /// The limit, checked.
    pub(super) fn limit(&self) -> Result<usize, VaultError> {
        if (1..=MAX_PAGE).contains(&self.limit) {
            return Ok(self.limit);
        }
        Err(VaultError::LimitExceeded { what: "items on a page, and at least 1", limit: MAX_PAGE as u64 })
    }

    /// The cursor, when it was made by a listing of this kind.
    pub(super) fn cursor(&self, listing: u8) -> Result<Option<Cursor>, VaultError> {
        self.cursor.as_deref().map(|text| Cursor::read(text, listing)).transpose()
    }
}

/// The last item of a page, by everything that an order may look at.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Cursor {
    /// Which listing and order it belongs to.
    #[n(0)]
    listing: u8,
    #[cbor(n(1), with = "codec::fixed")]
    pub(super) id: NodeId,
    #[n(2)]
    is_file: bool,
    #[n(3)]
    name: FileName,
    /// A size or a time.
    #[n(4)]
    pub(super) number: u64,
    /// A media type or a version.
    #[n(5)]
    pub(super) text: String,
}

impl Cursor {
    /// A cursor after this node; `number` is what the listing sorts by besides.
    pub(super) fn after(listing: u8, node: &Node, number: u64, text: &str) -> String {
        let (id, is_file, name, text) = (node.id, !node.is_folder(), node.name.clone(), text.to_owned());
        let cursor = Self { listing, id, is_file, name, number, text };
        BASE64URL_NOPAD.encode(&minicbor::to_vec(cursor).expect("writing to a vector can't fail"))
    }

    fn read(text: &str, listing: u8) -> Result<Self, VaultError> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| VaultError::InvalidCursor)?;
        let cursor: Self = minicbor::decode(&bytes).map_err(|_| VaultError::InvalidCursor)?;
        if cursor.listing == listing { Ok(cursor) } else { Err(VaultError::InvalidCursor) }
    }

    fn rank(&self) -> Rank<'_> {
        Rank { is_file: self.is_file, name: &self.name, id: self.id }
    }
}

impl Sort {
    /// Distinguishes the cursors of all orders, below the numbers of other listings.
    fn listing(self) -> u8 {
        self.key as u8 * 2 + u8::from(self.descending)
    }

    fn number(self, node: &Node) -> u64 {
        match self.key {
            SortKey::Size => node.size_bytes(),
            SortKey::Modified => node.modified_ms(),
            SortKey::Created => node.created_ms,
            SortKey::Name | SortKey::Kind => 0,
        }
    }

    fn text(self, node: &Node) -> &str {
        match (self.key, node.file()) {
            (SortKey::Kind, Some(file)) => file.current.blob.media_type.as_str(),
            _ => "",
        }
    }
}

/// One page of an ordered list, and the cursor after it.
pub(super) fn slice<'a>(
    index: &'a Index,
    list: &'a Ordered,
    sort: Sort,
    request: &PageRequest,
) -> Result<(Vec<&'a Node>, Option<String>), VaultError> {
    let (limit, cursor) = (request.limit()?, request.cursor(sort.listing())?);
    let cursor = cursor.as_ref();
    let files_from = list.folders(index.slots());
    let mut found: Vec<&Node> = Vec::new();
    for (is_file, part) in [(false, 0..files_from), (true, files_from..list.slots().len())] {
        if cursor.is_some_and(|cursor| cursor.is_file && !is_file) {
            continue;
        }
        let cursor = cursor.filter(|cursor| cursor.is_file == is_file);
        // One more than asked for tells whether there is a next page.
        let most = limit + 1 - found.len();
        let group = Group { index, list, part, sort };
        found.extend(if sort.key == SortKey::Name {
            group.by_name(cursor, most)
        } else {
            group.by_value(cursor, most)
        });
    }
    let next = (found.len() > limit).then(|| {
        let last = found[limit - 1];
        Cursor::after(sort.listing(), last, sort.number(last), sort.text(last))
    });
    found.truncate(limit);
    Ok((found, next))
}

/// The folders or the files of a list.
struct Group<'a> {
    index: &'a Index,
    list: &'a Ordered,
    part: Range<usize>,
    sort: Sort,
}

impl<'a> Group<'a> {
    /// What of the list is still to come after the cursor, where its names alone decide.
    fn rest(&self, cursor: Option<&Cursor>) -> Range<usize> {
        let (slots, Range { start, end }) = (self.index.slots(), self.part.clone());
        match cursor {
            Some(cursor) if self.sort.descending => start..self.list.before(slots, cursor.rank()).clamp(start, end),
            Some(cursor) => self.list.up_to(slots, cursor.rank()).clamp(start, end)..end,
            None => start..end,
        }
    }

    fn by_name(&self, cursor: Option<&Cursor>, most: usize) -> Vec<&'a Node> {
        let nodes = self.index.nodes(&self.list.slots()[self.rest(cursor)]);
        if self.sort.descending { nodes.rev().take(most).collect() } else { nodes.take(most).collect() }
    }

    fn by_value(&self, cursor: Option<&Cursor>, most: usize) -> Vec<&'a Node> {
        let named_after = self.rest(cursor);
        let nodes = self.part.clone().zip(self.index.nodes(&self.list.slots()[self.part.clone()]));
        let mut keys: Vec<(u64, &str, usize, &Node)> = nodes
            .map(|(at, node)| (self.sort.number(node), self.sort.text(node), at, node))
            .filter(|(number, text, at, _)| {
                let Some(cursor) = cursor else { return true };
                match self.directed((*number, *text).cmp(&(cursor.number, &cursor.text))) {
                    Ordering::Less => false,
                    Ordering::Equal => named_after.contains(at),
                    Ordering::Greater => true,
                }
            })
            .collect();
        let compare = |a: &(u64, &str, usize, &Node), b: &(u64, &str, usize, &Node)| {
            self.directed((a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)))
        };
        if keys.len() > most {
            keys.select_nth_unstable_by(most, compare);
            keys.truncate(most);
        }
        keys.sort_unstable_by(compare);
        keys.into_iter().map(|(.., node)| node).collect()
    }

    fn directed(&self, ordering: Ordering) -> Ordering {
        if self.sort.descending { ordering.reverse() } else { ordering }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{
        fixture::{self, Book},
        operation::Operation,
    };

    const SORTS: [&str; 10] =
        ["name", "-name", "size", "-size", "modified", "-modified", "created", "-created", "kind", "-kind"];

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    /// Folders and files with equal and different sizes, times and types.
    fn book() -> Book {
        let mut book = Book::new();
        for number in 0..10_u8 {
            let id = NodeId::from_bytes([number + 1; 16]);
            book.commit(vec![Operation::CreateFolder { id, parent: NodeId::ROOT, name: name(&format!("d{number}")) }]);
        }
        for number in 0..40_u8 {
            let mut blob = fixture::blob(u64::from(number) + 1, u64::from(number % 5));
            blob.media_type = crate::vault::MediaType::parse(["image/png", "text/plain"][number as usize % 2]).unwrap();
            let id = NodeId::from_bytes([number + 100; 16]);
            book.now_ms += u64::from(number % 3 == 0);
            let name = name(&format!("f{}", u32::from(number) * 7 % 40));
            book.commit(vec![Operation::AddFile { id, parent: NodeId::ROOT, name, blob }]);
        }
        book
    }

    fn page<'a>(book: &'a Book, sort: &str, cursor: Option<&str>, limit: usize) -> (Vec<&'a Node>, Option<String>) {
        let (index, sort) = (&book.catalog.index, sort.parse().unwrap());
        let request = PageRequest { cursor: cursor.map(str::to_owned), limit };
        slice(index, index.children_of(NodeId::ROOT), sort, &request).unwrap()
    }

    fn all(book: &Book, sort: &str, limit: usize) -> Vec<NodeId> {
        let (mut ids, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let (nodes, next) = page(book, sort, cursor.as_deref(), limit);
            assert!(nodes.len() <= limit && (nodes.len() == limit || next.is_none()));
            ids.extend(nodes.iter().map(|node| node.id));
            match next {
                Some(next) => cursor = Some(next),
                None => return ids,
            }
        }
    }

    #[test]
    fn pages_of_any_size_are_the_whole_order() {
        let book = book();
        for text in SORTS {
            let sort: Sort = text.parse().unwrap();
            let index = &book.catalog.index;
            let mut expected: Vec<&Node> = index.children(NodeId::ROOT).collect();
            expected.sort_by(|a, b| {
                let of = |node: &&Node| (sort.number(node), sort.text(node).to_owned(), node.name.clone());
                let by_value = of(a).cmp(&of(b));
                let by_value = if sort.descending { by_value.reverse() } else { by_value };
                b.is_folder().cmp(&a.is_folder()).then(by_value)
            });
            let expected: Vec<NodeId> = expected.into_iter().map(|node| node.id).collect();
            for limit in [1, 3, 10, 11, 49, 50, 51, MAX_PAGE] {
                assert_eq!(all(&book, text, limit), expected, "{text} by {limit}");
            }
        }
    }

    #[test]
    fn a_cursor_outlives_its_item() {
        for sort in SORTS {
            let mut book = book();
            let whole = all(&book, sort, MAX_PAGE);
            let (nodes, next) = page(&book, sort, None, 20);
            let gone: Vec<NodeId> = nodes[15..].iter().map(|node| node.id).collect();
            book.commit(gone.into_iter().map(|id| Operation::Trash { id }).collect());
            let (rest, _) = page(&book, sort, next.as_deref(), MAX_PAGE);
            assert_eq!(rest.iter().map(|node| node.id).collect::<Vec<_>>(), whole[20..], "{sort}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_order_and_a_page_has_limits() {
        let book = book();
        let index = &book.catalog.index;
        let refused = |cursor: Option<&str>, limit, sort: &str| {
            let request = PageRequest { cursor: cursor.map(str::to_owned), limit };
            slice(index, index.children_of(NodeId::ROOT), sort.parse().unwrap(), &request).err()
        };
        let (_, next) = page(&book, "name", None, 5);
        assert_eq!(refused(next.as_deref(), 5, "name"), None);
        assert_eq!(refused(next.as_deref(), 5, "-name"), Some(VaultError::InvalidCursor));
        for cursor in ["", "x", "====", "oA", &"A".repeat(10_000)] {
            assert_eq!(refused(Some(cursor), 5, "name"), Some(VaultError::InvalidCursor), "{cursor}");
        }
        assert!(refused(None, 0, "name").is_some());
        assert!(refused(None, 1, "name").is_none());
        assert!(refused(None, MAX_PAGE, "name").is_none());
        assert!(refused(None, MAX_PAGE + 1, "name").is_some());
    }

    #[test]
    fn unknown_orders_are_refused() {
        for text in ["", "-", "--name", "Name", "name,size", "id"] {
            assert_eq!(text.parse::<Sort>(), Err(InvalidSort), "{text}");
        }
    }
}
