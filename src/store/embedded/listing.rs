//! Listing keys in the order of their bytes.
//!
//! Only the folders that the prefix can reach are read, only the entries of the page are looked at closer than by name, and a group under
//! a delimiter costs one key. Memory is bounded by the largest single folder, not by the store.

use std::io;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::vec;

use super::folder::Folder;
use super::key::{OddName, is_ordinary, parse_odd_name};
use super::names::NameMemory;
use super::object::{ObjectInfo, unless_absent};

/// What to list.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    pub(super) after: After,
    /// The most entries of a page.
    pub(super) limit: usize,
}

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum After {
    #[default]
    Beginning,
    /// After this key.
    Key(String),
    /// After every key that begins so.
    Group(String),
}

/// One entry of a page.
#[derive(Debug)]
pub(super) enum Entry {
    Object(String, ObjectInfo),
    /// All keys with this beginning, rolled up at the delimiter.
    Group(String),
}

/// One page, in order.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// Whether another entry follows.
    pub(super) is_truncated: bool,
}

impl Page {
    /// Where the next page begins.
    pub(super) fn next(&self) -> Option<After> {
        let last = self.entries.last().filter(|_| self.is_truncated)?;
        Some(match last {
            Entry::Object(key, _) => After::Key(key.clone()),
            Entry::Group(group) => After::Group(group.clone()),
        })
    }
}

impl Folder {
    /// Lists one page.
    pub(super) fn list(&self, query: &Query) -> io::Result<Page> {
        if query.limit == 0 {
            return Ok(Page::default());
        }
        let mut odd = Vec::new();
        collect_odd(self.odd(), "", query, &mut odd)?;
        odd.sort_unstable();
        let odd = odd.into_iter().peekable();
        let mut walk = Walk { names: self.names(), query, group: None, odd, page: Page::default() };

        let base = query.prefix.rfind('/').map_or("", |end| &query.prefix[..=end]);
        let mut flow = ControlFlow::Continue(());
        if base.is_empty() || base[..base.len() - 1].split('/').all(is_ordinary) {
            flow = walk.folder(&self.root().join(base), base)?;
        }
        if flow.is_continue() {
            // Full or not, there is nothing after these.
            let _ = walk.drain_odd(None)?;
        }
        if !walk.page.is_truncated {
            self.names().finished();
        }
        Ok(walk.page)
    }
}

impl Query {
    /// Whether the page may hold this key.
    fn admits(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
            && match &self.after {
                After::Beginning => true,
                After::Key(after) => key > after.as_str(),
                After::Group(group) => key > group.as_str() && !key.starts_with(group.as_str()),
            }
    }

    /// Whether the page may hold a key that begins with `beginning`.
    fn admits_below(&self, beginning: &str) -> bool {
        (beginning.starts_with(&self.prefix) || self.prefix.starts_with(beginning))
            && match &self.after {
                After::Beginning => true,
                After::Key(after) => beginning > after.as_str() || after.starts_with(beginning),
                After::Group(group) => {
                    !beginning.starts_with(group.as_str())
                        && (beginning > group.as_str() || group.starts_with(beginning))
                }
            }
    }

    /// Where in the sorted names of a folder the page may begin.
    fn first(&self, names: &[Box<str>], base: &str) -> usize {
        let after = match &self.after {
            After::Beginning => "",
            After::Key(after) | After::Group(after) => after,
        };
        let position = |bound: &str| match bound.strip_prefix(base) {
            // The one before may be the folder that the bound lies in.
            Some(rest) => names.partition_point(|name| &**name < rest).saturating_sub(1),
            None if bound > base => names.len(),
            None => 0,
        };
        position(after).max(position(&self.prefix))
    }

    /// The group that a key of the prefix is rolled up into.
    fn group_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let start = self.prefix.len();
        key[start..].find(delimiter).map(|at| &key[..start + at + delimiter.len()])
    }
}

/// A walk over the plain folders in the order of keys, with the odd keys merged in.
struct Walk<'q> {
    names: &'q NameMemory,
    query: &'q Query,
    /// The group emitted last: its other keys are passed over.
    group: Option<String>,
    odd: Peekable<vec::IntoIter<(String, PathBuf)>>,
    page: Page,
}

impl Walk<'_> {
    /// Walks a folder whose keys begin with `base`; `Break` when the page is full.
    fn folder(&mut self, path: &Path, base: &str) -> io::Result<ControlFlow<()>> {
        let names = self.names.of(path)?;
        let first = self.query.first(&names, base);
        for name in &names[first..] {
            let key = format!("{base}{name}");
            if !key.starts_with(&self.query.prefix) && key.as_str() > self.query.prefix.as_str() {
                break;
            }
            let path = path.join(name.trim_end_matches('/'));
            let flow = if name.ends_with('/') {
                if !self.query.admits_below(&key) || self.is_in_last_group(&key) {
                    continue;
                }
                self.folder(&path, &key)?
            } else if self.query.admits(&key) {
                match self.drain_odd(Some(&key))? {
                    ControlFlow::Continue(()) => self.offer(&key, &path)?,
                    full => full,
                }
            } else {
                continue;
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether a key or folder belongs to the group emitted last.
    fn is_in_last_group(&self, key: &str) -> bool {
        self.group.as_deref().is_some_and(|group| key.starts_with(group))
    }

    /// Offers the odd keys before `key`, or all of them.
    fn drain_odd(&mut self, key: Option<&str>) -> io::Result<ControlFlow<()>> {
        while let Some((odd, path)) = self.odd.next_if(|(odd, _)| key.is_none_or(|key| odd.as_str() < key)) {
            if self.offer(&odd, &path)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes the next admitted key into the page.
    fn offer(&mut self, key: &str, path: &Path) -> io::Result<ControlFlow<()>> {
        if self.is_in_last_group(key) {
            return Ok(ControlFlow::Continue(()));
        }
        let entry = if let Some(group) = self.query.group_of(key) {
            Entry::Group(group.to_owned())
        } else {
            // Removed since its folder was read: not there any more.
            let Some(metadata) = unless_absent(path.metadata())? else { return Ok(ControlFlow::Continue(())) };
            Entry::Object(key.to_owned(), ObjectInfo::of(&metadata)?)
        };
        if self.page.entries.len() == self.query.limit {
            self.page.is_truncated = true;
            return Ok(ControlFlow::Break(()));
        }
        if let Entry::Group(group) = &entry {
            self.group = Some(group.clone());
        }
        self.page.entries.push(entry);
        Ok(ControlFlow::Continue(()))
    }
}

/// Collects the admitted keys below a folder of odd keys that stands for `digits`.
fn collect_odd(path: &Path, digits: &str, query: &Query, found: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let Some(entries) = unless_absent(std::fs::read_dir(path))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        match name.to_str().and_then(|name| parse_odd_name(digits, name)) {
            Some(OddName::Folder(digits)) => collect_odd(&entry.path(), &digits, query, found)?,
            Some(OddName::File(digits)) => {
                let key = data_encoding::HEXLOWER
                    .decode(digits.as_bytes())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                found.extend(key.filter(|key| query.admits(key)).map(|key| (key, entry.path())));
            }
            None => {}
        }
    }
    Ok(())
}
