//! Commands and questions against the catalog alone: limits, refusals, where things come back to.

use super::{
    error::VaultError,
    fixture::{self, Book},
    id::NodeId,
    name::FileName,
    operation::Operation,
    page::{PageRequest, Sort},
    propose::{MAX_DEPTH, MAX_VERSIONS, NodePatch, OnConflict, Proposal, Target},
};
use crate::log::Machine;

impl Book {
    fn done<T>(&mut self, proposal: Proposal<T>) -> T {
        let (operations, value) = proposal.unwrap();
        self.now_ms += 1;
        self.commit(operations);
        value
    }

    fn folder(&mut self, parent: NodeId, text: &str) -> NodeId {
        self.done(self.catalog.propose_folder(parent, name(text)))
    }

    fn file(&mut self, parent: NodeId, text: &str, tag: u64) -> NodeId {
        let target = Target::New { parent, name: name(text), on_conflict: OnConflict::Fail };
        self.done(self.catalog.propose_content(target, fixture::blob(tag, 1)))
    }

    fn moved(&self, id: NodeId, parent: NodeId) -> Proposal<()> {
        self.catalog.propose_update(id, NodePatch { parent: Some(parent), ..NodePatch::default() }, None)
    }

    fn trash(&mut self, id: NodeId) {
        self.done(self.catalog.propose_trash(id, None));
    }

    fn restore(&mut self, id: NodeId, to: Option<NodeId>) -> (Option<NodeId>, String) {
        self.done(self.catalog.propose_restore(id, to));
        let view = self.catalog.view(id).unwrap();
        (view.parent, view.name)
    }
}

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn all() -> PageRequest {
    PageRequest { cursor: None, limit: 1000 }
}

const TOO_DEEP: VaultError = VaultError::LimitExceeded { what: "folders within folders", limit: MAX_DEPTH as u64 };

#[test]
fn the_depth_limit_holds_for_what_is_made_moved_and_restored() {
    let mut book = Book::new();
    let mut chain = vec![NodeId::ROOT];
    while chain.len() <= MAX_DEPTH {
        let id = book.folder(*chain.last().unwrap(), "d");
        chain.push(id);
    }
    assert_eq!(book.catalog.path(chain[MAX_DEPTH]).unwrap().len(), MAX_DEPTH);
    assert_eq!(book.catalog.propose_folder(chain[MAX_DEPTH], name("x")).unwrap_err(), TOO_DEEP);
    let target = |parent| Target::New { parent, name: name("x"), on_conflict: OnConflict::Fail };
    assert_eq!(book.catalog.check_target(&target(chain[MAX_DEPTH])), Err(TOO_DEEP));
    assert_eq!(book.catalog.check_target(&target(chain[MAX_DEPTH - 1])), Ok(()));
    let tree = book.folder(NodeId::ROOT, "tree");
    let inner = book.folder(tree, "inner");
    book.file(inner, "leaf", 1);
    assert_eq!(book.moved(tree, chain[MAX_DEPTH - 2]), Err(TOO_DEEP));
    assert!(book.moved(tree, chain[MAX_DEPTH - 3]).is_ok());
    book.trash(tree);
    assert_eq!(book.catalog.propose_restore(tree, Some(chain[MAX_DEPTH - 2])), Err(TOO_DEEP));
    assert!(book.catalog.propose_restore(tree, Some(chain[MAX_DEPTH - 3])).is_ok());
}

#[test]
fn the_number_of_versions_has_a_limit() {
    let mut book = Book::new();
    let file = book.file(NodeId::ROOT, "f", 1);
    let mut node = book.catalog.index.get(file).unwrap().clone();
    let super::node::Content::File(content) = &mut node.content else { unreachable!() };
    let version = |tag: usize| super::node::Version { blob: fixture::blob(tag as u64, 1), created_ms: 1 };
    content.older = (2..MAX_VERSIONS).map(version).collect();
    book.catalog.put_node(file, Some(node));
    let target = Target::Version { file, if_match: None };
    book.done(book.catalog.propose_content(target.clone(), fixture::blob(900_000, 1)));
    let refused = book.catalog.propose_content(target, fixture::blob(900_001, 1)).unwrap_err();
    assert_eq!(refused, VaultError::LimitExceeded { what: "versions of one file", limit: MAX_VERSIONS as u64 });
}

#[test]
fn what_comes_back_finds_a_place() {
    let mut book = Book::new();
    let (outer, other) = (book.folder(NodeId::ROOT, "outer"), book.folder(NodeId::ROOT, "other"));
    let inner = book.folder(outer, "inner");
    let file = book.file(inner, "a.txt", 1);
    book.trash(file);
    assert_eq!(book.restore(file, None), (Some(inner), "a.txt".into()), "to where it was");
    book.trash(file);
    book.file(inner, "a.txt", 2);
    assert_eq!(book.restore(file, None), (Some(inner), "a (2).txt".into()), "its name was taken");
    book.trash(file);
    book.trash(inner);
    assert_eq!(book.restore(file, None), (Some(outer), "a (2).txt".into()), "its folder is in the trash");
    book.trash(file);
    book.trash(outer);
    assert_eq!(book.restore(file, Some(other)), (Some(other), "a (2).txt".into()), "to where it was told");
    assert_eq!(book.restore(inner, None), (Some(NodeId::ROOT), "inner".into()), "the root is always there");
    book.trash(inner);
    let below = book.catalog.index.children(inner).next().unwrap().id;
    assert_eq!(book.restore(below, None), (Some(NodeId::ROOT), "a.txt".into()), "out of a folder in the trash");
    book.trash(file);
    book.trash(other);
    book.done(book.catalog.propose_discard(other));
    while let (operations, 1..) = book.catalog.propose_purge(0).unwrap() {
        book.commit(operations);
    }
    assert!(book.catalog.index.get(other).is_none());
    assert_eq!(book.restore(file, None), (Some(NodeId::ROOT), "a (2).txt".into()), "its folder is no more");
}

#[test]
fn a_name_that_was_given_up_is_free() {
    let mut book = Book::new();
    let first = book.folder(NodeId::ROOT, "e\u{301}");
    assert_eq!(book.catalog.propose_folder(NodeId::ROOT, name("é")), Err(VaultError::Exists { existing: first }));
    book.trash(first);
    let second = book.folder(NodeId::ROOT, "é");
    assert_eq!(book.restore(first, None).1, "é (2)");
    let patch = NodePatch { name: Some(name("É")), ..NodePatch::default() };
    book.done(book.catalog.propose_update(second, patch, None));
    assert_eq!(book.catalog.view(second).unwrap().name, "É", "another case is another name");
}

#[test]
fn a_folder_is_never_moved_into_itself() {
    let mut book = Book::new();
    let outer = book.folder(NodeId::ROOT, "outer");
    let inner = book.folder(outer, "inner");
    assert_eq!(book.moved(outer, inner), Err(VaultError::IntoItself));
    assert_eq!(book.moved(outer, outer), Err(VaultError::IntoItself));
    assert_eq!(book.moved(NodeId::ROOT, inner), Err(VaultError::IsRoot));
    assert_eq!(book.catalog.propose_trash(NodeId::ROOT, None), Err(VaultError::IsRoot));
    assert_eq!(book.moved(inner, outer).unwrap().0, [], "nothing changes");
}

#[test]
fn a_change_waits_for_nobody_who_looked_at_something_older() {
    let mut book = Book::new();
    let file = book.file(NodeId::ROOT, "a", 1);
    let seen = book.catalog.view(file).unwrap();
    let rename = |text: &str| NodePatch { name: Some(name(text)), ..NodePatch::default() };
    book.done(book.catalog.propose_update(file, rename("b"), Some(seen.revision)));
    let stale = book.catalog.propose_update(file, rename("c"), Some(seen.revision));
    assert_eq!(stale, Err(VaultError::PreconditionFailed));
    assert_eq!(book.catalog.propose_trash(file, Some(seen.revision)), Err(VaultError::PreconditionFailed));
    let version = seen.file.unwrap().id;
    let target = |if_match| Target::Version { file, if_match };
    book.done(book.catalog.propose_content(target(Some(version)), fixture::blob(2, 1)));
    let stale = book.catalog.propose_content(target(Some(version)), fixture::blob(3, 1));
    assert_eq!(stale.unwrap_err(), VaultError::PreconditionFailed);
}

#[test]
fn what_is_in_the_trash_only_comes_back_or_goes() {
    let mut book = Book::new();
    let folder = book.folder(NodeId::ROOT, "f");
    let file = book.file(folder, "x", 1);
    book.trash(folder);
    for id in [folder, file] {
        assert_eq!(book.catalog.propose_trash(id, None), Err(VaultError::InTrash));
        assert_eq!(book.catalog.propose_update(id, NodePatch::default(), None), Err(VaultError::InTrash));
        assert!(book.catalog.view(id).unwrap().trashed_ms.is_some());
    }
    assert_eq!(book.catalog.propose_folder(folder, name("y")), Err(VaultError::InTrash));
    assert_eq!(book.moved(folder, NodeId::ROOT), Err(VaultError::InTrash));
    assert_eq!(book.catalog.propose_restore(file, Some(folder)), Err(VaultError::InTrash));
    assert_eq!(book.catalog.children_page(folder, Sort::default(), &all()).unwrap().total, 1, "it can be looked at");
}

#[test]
fn the_trash_is_listed_newest_first_in_pages() {
    let mut book = Book::new();
    let ids: Vec<NodeId> = (0..7).map(|number| book.folder(NodeId::ROOT, &format!("{number}"))).collect();
    ids.iter().for_each(|id| book.trash(*id));
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = book.catalog.trash_page(&PageRequest { cursor, limit: 3 }).unwrap();
        assert_eq!(page.total, 7);
        seen.extend(page.items.into_iter().map(|node| node.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn versions_and_stars_are_listed_in_pages() {
    let mut book = Book::new();
    let file = book.file(NodeId::ROOT, "f", 1);
    for tag in 2..=5 {
        book.done(book.catalog.propose_content(Target::Version { file, if_match: None }, fixture::blob(tag, tag)));
    }
    let first = book.catalog.versions_page(file, &PageRequest { cursor: None, limit: 2 }).unwrap();
    let sizes = |items: &[super::view::VersionView]| items.iter().map(|item| item.size_bytes).collect::<Vec<_>>();
    assert_eq!((sizes(&first.items), first.total), (vec![5, 4], 5));
    assert_eq!((first.items[0].replaced_ms, first.items[1].replaced_ms), (None, Some(first.items[0].created_ms)));
    book.done(book.catalog.propose_version_purge(file, first.items[1].id));
    let rest = book.catalog.versions_page(file, &PageRequest { cursor: first.next, limit: 9 }).unwrap();
    assert_eq!((sizes(&rest.items), rest.next), (vec![3, 2, 1], None), "though its last item is gone");
    let current = first.items[0].id;
    assert_eq!(book.catalog.propose_version_purge(file, current), Err(VaultError::IsCurrent));

    let star = NodePatch { starred: Some(true), ..NodePatch::default() };
    let folder = book.folder(NodeId::ROOT, "z");
    for id in [file, folder] {
        book.done(book.catalog.propose_update(id, star.clone(), None));
    }
    let starred = |book: &Book| {
        let page = book.catalog.starred_page(Sort::default(), &all()).unwrap();
        page.items.into_iter().map(|node| node.id).collect::<Vec<_>>()
    };
    assert_eq!(starred(&book), [folder, file]);
    book.trash(folder);
    assert_eq!(starred(&book), [file]);
    book.restore(folder, None);
    assert_eq!(starred(&book), [folder, file], "the star comes back with it");
}

#[test]
fn upkeep_takes_what_is_due_and_no_more() {
    let mut book = Book::new();
    let (early, late) = (book.folder(NodeId::ROOT, "early"), book.folder(NodeId::ROOT, "late"));
    book.trash(early);
    let between = book.now_ms;
    book.trash(late);
    let (operations, count) = book.catalog.propose_trash_end(between).unwrap();
    assert_eq!((operations.as_slice(), count), (&[Operation::Discard { nodes: vec![early] }][..], 1));
    assert_eq!(book.catalog.propose_trash_end(between - 1).unwrap(), (vec![], 0));
    let file = book.file(NodeId::ROOT, "f", 1);
    for tag in 2..=3 {
        book.done(book.catalog.propose_content(Target::Version { file, if_match: None }, fixture::blob(tag, 1)));
    }
    let replaced_ms = book.now_ms;
    let count = |book: &Book, until_ms| book.catalog.propose_purge(until_ms).unwrap().1;
    assert_eq!((count(&book, replaced_ms - 2), count(&book, replaced_ms - 1), count(&book, replaced_ms)), (0, 1, 2));
    let seq = book.catalog.marks.restore_floor;
    let (operations, _) = book.catalog.propose_purge(replaced_ms).unwrap();
    book.commit(operations);
    assert!(book.catalog.marks.restore_floor > seq, "the vault can't be taken back to before a purge");
    assert_eq!(book.catalog.retired.waiting().len(), 2);
}

#[test]
fn answers_are_kept_for_a_day() {
    let mut book = Book::new();
    let node = book.folder(NodeId::ROOT, "a");
    let remember = |key: u8| Operation::Remember { key: [key; 32], fingerprint: [1; 32], node };
    book.commit(vec![remember(1)]);
    let made_ms = book.now_ms;
    let answered = |book: &Book, now_ms| book.catalog.answered(&[1; 32], &[1; 32], now_ms);
    assert_eq!(answered(&book, made_ms + super::ANSWER_LIFE_MS - 1), Ok(Some(node)));
    assert_eq!(answered(&book, made_ms + super::ANSWER_LIFE_MS), Ok(None));
    let other = book.catalog.answered(&[1; 32], &[2; 32], made_ms);
    assert_eq!(other, Err(VaultError::IdempotencyConflict));
    book.now_ms += super::ANSWER_LIFE_MS;
    book.commit(vec![remember(2)]);
    assert_eq!(book.catalog.answers.iter().len(), 1, "the old answer went with the new one");
    let restored = super::Catalog::restore(&book.catalog.snapshot()).unwrap();
    assert_eq!(restored.answered(&[2; 32], &[1; 32], book.now_ms), Ok(Some(node)));
}

#[test]
fn a_damaged_snapshot_is_refused_and_never_a_panic() {
    let mut book = Book::new();
    let folder = book.folder(NodeId::ROOT, "f");
    book.file(folder, "x", 1);
    book.trash(folder);
    let whole = book.catalog.snapshot();
    assert!(super::Catalog::restore(&whole).is_ok());
    for cut in 0..whole.len() {
        assert!(super::Catalog::restore(&whole[..cut]).is_err(), "{cut}");
    }
    assert!(super::Catalog::restore(&[whole.as_slice(), &[0]].concat()).is_err());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        // Most flips change a value and still are a snapshot; what counts is that none is believed blindly.
        let _ = super::Catalog::restore(&flipped);
    }
    let mut later = whole;
    later[2] = 2;
    assert!(super::Catalog::restore(&later).is_err(), "another schema");
}
