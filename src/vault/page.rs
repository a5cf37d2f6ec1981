//! Pages of a listing: a slice of an order, and a cursor to the next one.
//!
//! A cursor names the last item by what it was sorted by, not by its place: what comes or goes in between neither
//! repeats nor hides anything else, and the last item itself may be gone. Folders come before files in every order and
//! both directions, and equal values are in the order of names. A page costs what is on it.

use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Encode};

use super::{
    codec,
    error::VaultError,
    id::NodeId,
    index::{Index, Ordered, Rank, SortKey},
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
    pub(super) name: FileName,
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
        Rank { is_file: self.is_file, number: self.number, text: &self.text, name: &self.name, id: self.id }
    }
}

impl Sort {
    /// Distinguishes the cursors of all orders, below the numbers of other listings.
    fn listing(self) -> u8 {
        self.key as u8 * 2 + u8::from(self.descending)
    }
}

/// The page of a list, sorted by `sort.key`, that begins at a place, and the cursor after it: what a scroll bar asks for.
///
/// A place is where a node stands at this moment; only a cursor walks a list that changes without a gap.
pub(super) fn slice_at<'a>(
    index: &'a Index,
    list: &Ordered,
    sort: Sort,
    offset: usize,
    limit: usize,
) -> (Vec<&'a Node>, Option<String>) {
    let (all, folders) = (list.slots(), list.folders(index.slots()));
    let place = |at: usize| match (sort.descending, at < folders) {
        (false, _) => at,
        (true, true) => folders - 1 - at,
        (true, false) => all.len() - 1 - (at - folders),
    };
    let end = offset.saturating_add(limit).min(all.len());
    let slots: Vec<u32> = (offset..end).map(|at| all[place(at)]).collect();
    let found: Vec<&Node> = index.nodes(&slots).collect();
    let last = found.last().filter(|_| end < all.len());
    let next = last.map(|last| Cursor::after(sort.listing(), last, sort.key.number(last), sort.key.text(last)));
    (found, next)
}

/// One page of a list that is sorted by `sort.key`, and the cursor after it.
pub(super) fn slice<'a>(
    index: &'a Index,
    list: &Ordered,
    sort: Sort,
    request: &PageRequest,
) -> Result<(Vec<&'a Node>, Option<String>), VaultError> {
    let (limit, cursor) = (request.limit()?, request.cursor(sort.listing())?);
    let (slots, files_from) = (index.slots(), list.folders(index.slots()));
    let mut found: Vec<&Node> = Vec::new();
    for (is_file, part) in [(false, 0..files_from), (true, files_from..list.slots().len())] {
        let rest = match &cursor {
            Some(cursor) if cursor.is_file != is_file => {
                if is_file {
                    part
                } else {
                    part.end..part.end
                }
            }
            Some(cursor) if sort.descending => {
                part.start..list.before(slots, cursor.rank()).clamp(part.start, part.end)
            }
            Some(cursor) => list.up_to(slots, cursor.rank()).clamp(part.start, part.end)..part.end,
            None => part,
        };
        // One more than asked for tells whether there is a next page.
        let most = limit + 1 - found.len();
        let nodes = index.nodes(&list.slots()[rest]);
        if sort.descending { found.extend(nodes.rev().take(most)) } else { found.extend(nodes.take(most)) }
    }
    let next = (found.len() > limit).then(|| {
        let last = found[limit - 1];
        Cursor::after(sort.listing(), last, sort.key.number(last), sort.key.text(last))
    });
    found.truncate(limit);
    Ok((found, next))
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
        let (index, sort) = (&book.catalog.index, sort.parse::<Sort>().unwrap());
        let request = PageRequest { cursor: cursor.map(str::to_owned), limit };
        index.children_by(NodeId::ROOT, sort.key, |list| slice(index, list, sort, &request)).unwrap()
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
    fn a_place_leads_into_every_order_and_the_cursor_goes_on_from_there() {
        let book = book();
        let index = &book.catalog.index;
        for sort in SORTS {
            let whole = all(&book, sort, MAX_PAGE);
            let parsed = sort.parse::<Sort>().unwrap();
            for offset in [0, 1, 9, 10, 11, whole.len() - 1, whole.len(), usize::MAX] {
                let (found, next) = index
                    .children_by(NodeId::ROOT, parsed.key, |list| {
                        Ok::<_, VaultError>(slice_at(index, list, parsed, offset, 3))
                    })
                    .unwrap();
                let expected: Vec<NodeId> = whole.iter().copied().skip(offset).take(3).collect();
                assert_eq!(found.iter().map(|node| node.id).collect::<Vec<_>>(), expected, "{sort} from {offset}");
                assert_eq!(next.is_some(), offset < whole.len().saturating_sub(3), "{sort} from {offset}");
                if let Some(next) = next {
                    let (rest, _) = page(&book, sort, Some(&next), MAX_PAGE);
                    assert_eq!(rest.iter().map(|node| node.id).collect::<Vec<_>>(), whole[offset + 3..], "{sort}");
                }
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
                let of = |node: &&Node| (sort.key.number(node), sort.key.text(node).to_owned(), node.name.clone());
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
    fn a_kept_order_follows_every_change() {
        let mut book = book();
        let id = |number: u8| NodeId::from_bytes([number; 16]);
        let changes = [
            vec![Operation::Trash { id: id(100) }, Operation::Trash { id: id(1) }],
            vec![Operation::AddVersion { file: id(101), blob: fixture::blob(900, 3) }],
            vec![Operation::Restore { id: id(100), parent: NodeId::ROOT, name: name("back") }],
            vec![Operation::Rename { id: id(102), name: name("f100") }],
            vec![Operation::Move { id: id(103), parent: id(2), name: name("away") }],
            vec![Operation::CreateFolder { id: id(90), parent: NodeId::ROOT, name: name("new") }],
        ];
        for change in changes {
            book.now_ms += 1;
            book.commit(change);
            let index = &book.catalog.index;
            for key in [SortKey::Size, SortKey::Modified] {
                let anew = index.children_of(NodeId::ROOT).sorted_by(index.slots(), key);
                index.children_by(NodeId::ROOT, key, |kept| assert_eq!(kept.slots(), anew.slots(), "{key:?}"));
            }
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
