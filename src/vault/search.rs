//! Finding and looking back over the whole vault: what is called so, and what changed last.
//!
//! What fits best comes first: the name itself, names that begin so, words in a name that do, names that hold it; among
//! equals what changed last, then the order of names. Nothing in the trash is found. Both look at every name that there
//! is, which takes milliseconds for a million, and keep no more than the page.

use std::cmp::{Ordering, Reverse};

use super::{
    Vault,
    catalog::Catalog,
    error::VaultError,
    fold::fold,
    id::NodeId,
    index::{Grade, Hidden, Hit, Index, moment},
    name::FileName,
    node::Node,
    page::{Cursor, Page, PageRequest},
    view::NodeView,
};

/// The listings of this module, as their cursors name them.
const FOUND: u8 = 102;
const RECENT: u8 = 103;

/// Hits that are kept at least before the best of them are chosen.
const MIN_KEPT: usize = 256;

impl Vault {
    /// A page of the folders and files whose names hold a text, the best first, whatever its case and accents.
    ///
    /// # Errors
    /// [`VaultError::InvalidCursor`], [`VaultError::LimitExceeded`] unless the limit is from 1 to [`super::MAX_PAGE`];
    /// [`VaultError::NotServing`].
    pub async fn search(&self, text: String, request: PageRequest) -> Result<Page<NodeView>, VaultError> {
        self.look(move |catalog| catalog.search_page(&text, &request)).await
    }

    /// A page of all files, what changed last first.
    ///
    /// # Errors
    /// As [`Vault::search`].
    pub async fn recent(&self, request: PageRequest) -> Result<Page<NodeView>, VaultError> {
        self.look(move |catalog| catalog.recent_page(&request)).await
    }

    /// Looks through the whole catalog where it keeps no other request waiting.
    async fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Catalog) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let vault = self.clone();
        tokio::task::spawn_blocking(move || vault.ask(question)).await.expect("looking does not panic")
    }
}

impl Catalog {
    pub(super) fn search_page(&self, text: &str, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        let mut best = Best::of(&self.index, FOUND, request)?;
        self.index.names().find(fold(text).trim(), |hit| best.take(hit));
        Ok(best.into_page())
    }

    pub(super) fn recent_page(&self, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        let mut best = Best::of(&self.index, RECENT, request)?;
        for file in self.index.names().all().filter(|hit| !hit.is_folder) {
            best.take(file);
        }
        Ok(best.into_page())
    }
}

/// Keeps the best of what comes by after the cursor, and counts all of it.
struct Best<'a> {
    index: &'a Index,
    hidden: Hidden,
    listing: u8,
    after: Option<(Grade, u32, Cursor)>,
    /// One more than fits on the page.
    most: usize,
    kept: Vec<Hit>,
    /// The worst of the best so far, once there are enough.
    worst: Option<Hit>,
    total: u64,
}

/// Where something stands in the whole list, as far as the node itself knows.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Standing<'a>(Reverse<u64>, &'a FileName, NodeId);

impl<'a> Best<'a> {
    fn of(index: &'a Index, listing: u8, request: &PageRequest) -> Result<Self, VaultError> {
        let (limit, cursor) = (request.limit()?, request.cursor(listing)?);
        let after = cursor
            .map(|cursor| Ok::<_, VaultError>((grade_of(&cursor)?, moment(cursor.number), cursor)))
            .transpose()?;
        let (hidden, kept) = (index.hidden(), Vec::new());
        Ok(Self { index, hidden, listing, after, most: limit + 1, kept, worst: None, total: 0 })
    }

    /// Takes a hit in, and answers which grade would still be of use.
    fn take(&mut self, hit: Hit) -> Grade {
        if !self.hidden.holds(hit.slot) {
            self.total += 1;
            if self.is_of_use(&hit) {
                self.kept.push(hit);
                if self.kept.len() >= MIN_KEPT.max(2 * self.most) {
                    self.choose();
                }
            }
        }
        self.worst.map_or(Grade::Inside, |worst| worst.grade)
    }

    fn is_of_use(&self, hit: &Hit) -> bool {
        let is_after = self.after.as_ref().is_none_or(|(grade, moment, cursor)| {
            let coarse = (hit.grade, Reverse(hit.moment)).cmp(&(*grade, Reverse(*moment)));
            let exact = || standing(self.node(hit)).cmp(&Standing(Reverse(cursor.number), &cursor.name, cursor.id));
            coarse.then_with(exact).is_gt()
        });
        is_after && self.worst.is_none_or(|worst| self.compare(hit, &worst).is_lt())
    }

    /// Lets all go but the best.
    fn choose(&mut self) {
        if self.kept.len() >= self.most {
            let mut kept = std::mem::take(&mut self.kept);
            let (_, worst, _) = kept.select_nth_unstable_by(self.most - 1, |a, b| self.compare(a, b));
            self.worst = Some(*worst);
            kept.truncate(self.most);
            self.kept = kept;
        }
    }

    fn into_page(mut self) -> Page<NodeView> {
        self.choose();
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_unstable_by(|a, b| self.compare(a, b));
        let next = (kept.len() == self.most).then(|| {
            kept.pop();
            let last = kept.last().expect("a page has room for one at least");
            let node = self.node(last);
            Cursor::after(self.listing, node, node.modified_ms(), name_of(last.grade))
        });
        let items = kept.iter().map(|hit| NodeView::of(self.index, self.node(hit))).collect();
        Page { items, next, total: self.total }
    }

    /// The coarse moment decides without a look at the nodes, nearly always.
    fn compare(&self, a: &Hit, b: &Hit) -> Ordering {
        let coarse = (a.grade, Reverse(a.moment)).cmp(&(b.grade, Reverse(b.moment)));
        coarse.then_with(|| standing(self.node(a)).cmp(&standing(self.node(b))))
    }

    fn node(&self, hit: &Hit) -> &'a Node {
        self.index.at(hit.slot).expect("a name belongs to a node")
    }
}

fn standing(node: &Node) -> Standing<'_> {
    Standing(Reverse(node.modified_ms()), &node.name, node.id)
}

fn name_of(grade: Grade) -> &'static str {
    match grade {
        Grade::Whole => "whole",
        Grade::Start => "start",
        Grade::Word => "word",
        Grade::Inside => "inside",
    }
}

fn grade_of(cursor: &Cursor) -> Result<Grade, VaultError> {
    let all = [Grade::Whole, Grade::Start, Grade::Word, Grade::Inside];
    all.into_iter().find(|grade| name_of(*grade) == cursor.text).ok_or(VaultError::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{fixture::Book, operation::Operation};

    fn book(names: &[(&str, u64)]) -> Book {
        let mut book = Book::new();
        for (number, (name, at_s)) in (1..).zip(names) {
            book.now_ms = at_s * 1000;
            let (id, name) = (NodeId::from_bytes([number; 16]), FileName::parse(name).unwrap());
            book.commit(vec![Operation::AddFile {
                id,
                parent: NodeId::ROOT,
                name,
                blob: crate::vault::fixture::blob(number.into(), 1),
            }]);
        }
        book
    }

    fn names(page: Page<NodeView>) -> Vec<String> {
        page.items.into_iter().map(|node| node.name).collect()
    }

    fn all(mut page_of: impl FnMut(&PageRequest) -> Page<NodeView>, limit: usize) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = page_of(&PageRequest { cursor, limit });
            assert!(page.items.len() <= limit && (page.items.len() == limit || page.next.is_none()));
            cursor = page.next.clone();
            found.extend(names(page));
            if cursor.is_none() {
                return found;
            }
        }
    }

    #[test]
    fn the_best_come_first_and_among_equals_the_latest() {
        let made = [
            ("old tax", 100),
            ("Tax", 1),
            ("taxes b", 50),
            ("taxes a", 50),
            ("taxi", 90),
            ("syntax", 500),
            ("new tax", 200),
            ("other", 900),
            ("TÁX plan", 60),
        ];
        let book = book(&made);
        let expected =
            ["Tax", "taxi", "TÁX plan", "taxes a", "taxes b", "new tax", "old tax", "syntax"].map(str::to_owned);
        for limit in 1..10 {
            let search = |request: &PageRequest| book.catalog.search_page(" tÀx ", request).unwrap();
            assert_eq!(all(search, limit), expected, "{limit}");
            assert_eq!(search(&PageRequest { cursor: None, limit }).total, 8);
        }
        for nothing in ["", "  ", "\u{301}", "tax tax", "\u{1}"] {
            let page = book.catalog.search_page(nothing, &PageRequest { cursor: None, limit: 1 }).unwrap();
            assert_eq!((page.items.len(), page.next, page.total), (0, None, 0), "{nothing:?}");
        }
    }

    #[test]
    fn many_hits_are_paged_like_few() {
        let made: Vec<(String, u64)> = (0..200).map(|n: u64| (format!("f{n}"), n * 7919 % 211 * 3)).collect();
        let made: Vec<(&str, u64)> = made.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        let book = book(&made);
        let mut expected = made.clone();
        expected.sort_by_key(|(_, at)| Reverse(*at));
        let expected: Vec<_> = expected.into_iter().map(|(name, _)| name.to_owned()).collect();
        for limit in [1, 7, 199, 200, 1000] {
            assert_eq!(all(|request| book.catalog.search_page("F", request).unwrap(), limit), expected, "{limit}");
            assert_eq!(all(|request| book.catalog.recent_page(request).unwrap(), limit), expected, "{limit}");
        }
    }

    #[test]
    fn nothing_in_the_trash_is_found() {
        let mut book = book(&[("a", 10), ("ab", 20)]);
        let id = |number| NodeId::from_bytes([number; 16]);
        let name = |text| FileName::parse(text).unwrap();
        let (outer, inner, leaf) = (id(50), id(51), id(52));
        book.commit(vec![
            Operation::CreateFolder { id: outer, parent: NodeId::ROOT, name: name("a outer") },
            Operation::CreateFolder { id: inner, parent: outer, name: name("a inner") },
            Operation::AddFile {
                id: leaf,
                parent: inner,
                name: name("a leaf"),
                blob: crate::vault::fixture::blob(9, 1),
            },
        ]);
        let found = |book: &Book| {
            let request = PageRequest { cursor: None, limit: 9 };
            let (search, recent) = (book.catalog.search_page("a", &request), book.catalog.recent_page(&request));
            (search.unwrap().total, recent.unwrap().total)
        };
        assert_eq!(found(&book), (5, 3), "folders are found, and are not among the recent files");
        book.commit(vec![Operation::Trash { id: outer }]);
        assert_eq!(found(&book), (2, 2));
        book.commit(vec![Operation::Trash { id: id(1) }, Operation::Discard { nodes: vec![outer] }]);
        assert_eq!(found(&book), (1, 1));
        book.commit(vec![Operation::Restore { id: id(1), parent: NodeId::ROOT, name: name("a") }]);
        assert_eq!(found(&book), (2, 2));
    }

    #[test]
    fn a_cursor_belongs_to_its_listing() {
        let book = book(&[("a", 1), ("ab", 2)]);
        let request = |cursor| PageRequest { cursor, limit: 1 };
        let next = book.catalog.recent_page(&request(None)).unwrap().next;
        assert!(book.catalog.recent_page(&request(next.clone())).is_ok());
        assert_eq!(book.catalog.search_page("a", &request(next)), Err(VaultError::InvalidCursor));
        let trash = Cursor::after(FOUND, book.catalog.index.get(NodeId::ROOT).unwrap(), 0, "other");
        assert_eq!(book.catalog.search_page("a", &request(Some(trash))), Err(VaultError::InvalidCursor));
        let over = PageRequest { cursor: None, limit: 1001 };
        assert!(matches!(book.catalog.search_page("a", &over), Err(VaultError::LimitExceeded { .. })));
    }
}
