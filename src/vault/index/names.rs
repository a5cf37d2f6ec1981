//! The names of everything that is listed somewhere, folded, one after another in one text that is searched from end to
//! end: at gigabytes in a second a million names take milliseconds, and an inverted index would take ten times the
//! memory. A name costs its bytes, six for its slot, and eight in a table.
//!
//! A name is followed by its node's slot in six control characters, which no name and no folded query holds: whatever is
//! found lies within one name, and the slot is found behind it. What was taken out is overwritten, and the text is packed
//! when an eighth of it is of that kind.
//!
//! It knows no tree: a name below a folder in the trash is still here, and it is for the caller to know that.

use memchr::memmem::Finder;

use super::{Node, Standing};
use crate::vault::fold::fold;

/// Control characters behind each name, of five bits each: more slots than any memory holds.
const CODE: usize = 6;

/// What stands where a name was taken out. It occurs in no text.
const NOTHING: u8 = 0xFF;

/// Less than this is not worth packing, in bytes.
const SMALL_WASTE: usize = 64 << 10;

/// Seconds are kept to this power of two, so that they fit beside a mark for some centuries. Who needs the order within
/// looks at the node.
const MOMENT_MS_LOG2: u32 = 12;

/// The highest bit of a [`Entry::moment`]: the node is a folder.
const FOLDER: u32 = 1 << 31;

/// Where a slot's name lies in the text, and when it last changed.
#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    moment: u32,
}

/// No name.
const NONE: Entry = Entry { start: u32::MAX, moment: 0 };

/// The folded names of all listed nodes.
#[derive(Default)]
pub(in crate::vault) struct Names {
    text: Vec<u8>,
    entries: Vec<Entry>,
    wasted: usize,
}

/// A name that holds what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::vault) struct Hit {
    pub(in crate::vault) slot: u32,
    pub(in crate::vault) grade: Grade,
    /// When the node last changed, coarsely; later is higher.
    pub(in crate::vault) moment: u32,
    pub(in crate::vault) is_folder: bool,
}

/// How well a name fits, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::vault) enum Grade {
    /// It is what was looked for.
    Whole,
    /// It begins with it.
    Start,
    /// One of its words does.
    Word,
    /// It holds it somewhere.
    Inside,
}

impl Names {
    /// Takes the change of a slot from one node to another, or from and to nothing.
    pub(super) fn replace(&mut self, slot: u32, old: Option<&Node>, new: Option<&Node>) {
        let (old, new) = (old.filter(is_listed), new.filter(is_listed));
        match (old, new) {
            (Some(old), Some(new)) if old.name == new.name => {
                let known = &mut self.entries[slot as usize];
                *known = entry(known.start, new);
            }
            (old, new) => {
                if old.is_some() {
                    self.take(slot);
                }
                if let Some(new) = new {
                    self.add(slot, new);
                }
            }
        }
    }

    /// Every name that holds `query`, which **must** be folded, in no order. `found` answers the lowest grade that it still
    /// has use for; below that, grades are not told apart.
    pub(in crate::vault) fn find(&self, query: &str, mut found: impl FnMut(Hit) -> Grade) {
        let query = query.as_bytes();
        if query.is_empty() || query.iter().any(u8::is_ascii_control) {
            return;
        }
        let finder = Finder::new(query);
        let (mut from, mut lowest) = (0, Grade::Inside);
        while let Some(at) = finder.find(&self.text[from..]).map(|at| from + at) {
            // A name holds no control character, and behind each stands its slot.
            let end = self.end_of_name(at + query.len());
            let slot = decode(&self.text[end..end + CODE]);
            let known = self.entries[slot as usize];
            let start = known.start as usize;
            let grade = grade(&self.text[start..end], at - start, query, lowest);
            lowest = found(known.hit(slot, grade));
            from = end + CODE;
        }
    }

    /// Everything that is listed, in no order.
    pub(in crate::vault) fn all(&self) -> impl Iterator<Item = Hit> {
        let listed = (0..).zip(&self.entries).filter(|(_, entry)| entry.start != NONE.start);
        listed.map(|(slot, entry)| entry.hit(slot, Grade::Whole))
    }

    fn add(&mut self, slot: u32, node: &Node) {
        let at = slot as usize;
        if self.entries.len() <= at {
            self.entries.resize(at + 1, NONE);
        }
        debug_assert!(self.entries[at].start == NONE.start, "a slot has one name");
        let start = u32::try_from(self.text.len()).expect("four billion bytes of names exceed any memory");
        self.entries[at] = entry(start, node);
        self.text.extend_from_slice(fold(node.name.as_str()).as_bytes());
        self.text.extend_from_slice(&encode(slot));
    }

    fn take(&mut self, slot: u32) {
        let entry = std::mem::replace(&mut self.entries[slot as usize], NONE);
        let start = entry.start as usize;
        let end = self.end_of_name(start) + CODE;
        if end == self.text.len() {
            // A change that is tried and taken back leaves nothing behind.
            self.text.truncate(start);
            return;
        }
        self.text[start..end].fill(NOTHING);
        self.wasted += end - start;
        if self.wasted > SMALL_WASTE.max(self.text.len() / 8) {
            self.pack();
        }
    }

    /// Moves every name to the front, in the order in which they lie.
    fn pack(&mut self) {
        let (mut from, mut to) = (0, 0);
        while from < self.text.len() {
            if self.text[from] == NOTHING {
                from += 1;
                continue;
            }
            let end = self.end_of_name(from) + CODE;
            let slot = decode(&self.text[end - CODE..end]);
            self.text.copy_within(from..end, to);
            self.entries[slot as usize].start = u32::try_from(to).expect("it was further behind");
            (from, to) = (end, to + end - from);
        }
        self.text.truncate(to);
        self.wasted = 0;
    }

    /// Where the name that reaches to `within` at least ends.
    fn end_of_name(&self, within: usize) -> usize {
        let rest = self.text[within..].iter().position(u8::is_ascii_control);
        within + rest.expect("a name is followed by its slot")
    }
}

impl Entry {
    fn hit(self, slot: u32, grade: Grade) -> Hit {
        Hit { slot, grade, moment: self.moment & !FOLDER, is_folder: self.moment & FOLDER != 0 }
    }
}

fn is_listed(node: &&Node) -> bool {
    node.standing == Standing::Live && node.id != super::NodeId::ROOT
}

fn entry(start: u32, node: &Node) -> Entry {
    let kind = if node.is_folder() { FOLDER } else { 0 };
    Entry { start, moment: moment(node.modified_ms()) | kind }
}

/// A Unix time in milliseconds, coarsely.
pub(in crate::vault) fn moment(unix_ms: u64) -> u32 {
    u32::try_from(unix_ms >> MOMENT_MS_LOG2).map_or(FOLDER - 1, |coarse| coarse.min(FOLDER - 1))
}

fn encode(slot: u32) -> [u8; CODE] {
    std::array::from_fn(|digit| (slot >> (5 * digit) & 31) as u8)
}

fn decode(code: &[u8]) -> u32 {
    code.iter().rev().fold(0, |slot, digit| slot << 5 | u32::from(*digit))
}

/// How well a name fits that holds the query first at `first`.
fn grade(name: &[u8], first: usize, query: &[u8], lowest: Grade) -> Grade {
    if first == 0 {
        return if name.len() == query.len() { Grade::Whole } else { Grade::Start };
    }
    let begins_word = |at: usize| name[at..].starts_with(query) && !ends_in_word(&name[..at]);
    match lowest >= Grade::Word && (first..=name.len() - query.len()).any(begins_word) {
        true => Grade::Word,
        false => Grade::Inside,
    }
}

/// Whether the last character is part of a word.
fn ends_in_word(text: &[u8]) -> bool {
    match text.last() {
        Some(last) if last.is_ascii() => last.is_ascii_alphanumeric(),
        _ => {
            let first = text.iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(0);
            let letter = std::str::from_utf8(&text[first..]).ok().and_then(|text| text.chars().next());
            letter.is_some_and(char::is_alphanumeric)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::vault::{FileName, NodeId, node::Content};

    fn node(name: &str, modified_ms: u64) -> Node {
        Node {
            id: NodeId::from_bytes([1; 16]),
            parent: NodeId::ROOT,
            name: FileName::parse(name).unwrap(),
            standing: Standing::Live,
            starred: false,
            created_ms: modified_ms,
            seq: 0,
            index: 0,
            content: Content::Folder,
        }
    }

    fn found(names: &Names, query: &str) -> Vec<(u32, Grade)> {
        let mut all = Vec::new();
        names.find(query, |hit| {
            all.push((hit.slot, hit.grade));
            Grade::Inside
        });
        all.sort();
        all
    }

    #[test]
    fn names_are_graded_by_where_they_hold_the_query() {
        let mut names = Names::default();
        let all =
            ["Tax", "tax 2024", "My Tax.pdf", "syntax", "syntax-tax", "taxi", "Überstaxe", "é-tax", "étax", "ta x"];
        for (slot, name) in (0..).zip(all) {
            names.replace(slot, None, Some(&node(name, 1)));
        }
        let expected = [
            (0, Grade::Whole),
            (1, Grade::Start),
            (2, Grade::Word),
            (3, Grade::Inside),
            (4, Grade::Word),
            (5, Grade::Start),
            (6, Grade::Inside),
            (7, Grade::Word),
            (8, Grade::Inside),
        ];
        assert_eq!(found(&names, "tax"), expected);
        assert_eq!(found(&names, "e-t"), [(7, Grade::Start)]);
        for nothing in ["", "\u{1}", "taxx", "\0", "x\u{1f}"] {
            assert_eq!(found(&names, nothing), [], "{nothing:?}");
        }
    }

    #[test]
    fn a_change_of_time_or_kind_is_seen_without_another_name() {
        let mut names = Names::default();
        let (old, new) = (node("a", 1 << MOMENT_MS_LOG2), node("a", 9 << MOMENT_MS_LOG2));
        names.replace(7, None, Some(&old));
        names.replace(7, Some(&old), Some(&new));
        let all: Vec<Hit> = names.all().collect();
        assert_eq!(all, [Hit { slot: 7, grade: Grade::Whole, moment: 9, is_folder: true }]);
        let trashed = Node { standing: Standing::Trashed { since_ms: 1 }, ..new.clone() };
        names.replace(7, Some(&new), Some(&trashed));
        assert_eq!((names.all().count(), names.text.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_text_agrees_with_a_map(
            changes in prop::collection::vec((0..12_u32, prop::option::of("[abÄ ]{1,30}[b]")), 1..400),
            query in "[ab ]{1,3}",
        ) {
            let (mut names, mut map) = (Names::default(), BTreeMap::<u32, Node>::new());
            for (slot, name) in changes {
                let new = name.map(|name| node(&name, u64::from(slot)));
                names.replace(slot, map.get(&slot), new.as_ref());
                match new {
                    Some(new) => _ = map.insert(slot, new),
                    None => _ = map.remove(&slot),
                }
                // Far below the waste that it waits for.
                if names.wasted > 200 {
                    names.pack();
                }
            }
            let listed: Vec<u32> = names.all().map(|hit| hit.slot).collect();
            prop_assert_eq!(listed, map.keys().copied().collect::<Vec<_>>());
            let slots: Vec<u32> = found(&names, &query).into_iter().map(|(slot, _)| slot).collect();
            let expected = map.iter().filter(|(_, node)| fold(node.name.as_str()).contains(&query));
            prop_assert_eq!(slots, expected.map(|(slot, _)| *slot).collect::<Vec<_>>());
        }
    }
}
