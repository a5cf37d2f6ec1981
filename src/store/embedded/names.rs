//! The names in a folder, in the order of their keys, remembered from one page of a listing to the next.
//!
//! Only the last large folder is remembered, and only until a name changes anywhere: this process has the folder to
//! itself, so it sees every change, and a page never lacks what was acknowledged before it was asked for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::key::is_ordinary;
use super::object::unless_absent;

/// A folder with no more names than this is read again for each page.
const MIN_REMEMBERED: usize = 1000;

/// Names in the order of their keys; a folder's name ends with a slash and sorts by it.
pub(super) type Names = Arc<Vec<Box<str>>>;

/// What is remembered.
#[derive(Default)]
pub(super) struct NameMemory(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// How many changes there were.
    changes: u64,
    folder: Option<(PathBuf, Names)>,
}

impl NameMemory {
    /// Forgets. **Must** be called after each change of a name and before the change is acknowledged.
    pub(super) fn changed(&self) {
        let mut memory = self.0.lock();
        memory.changes += 1;
        memory.folder = None;
    }

    /// Forgets because the listing is over.
    pub(super) fn finished(&self) {
        self.0.lock().folder = None;
    }

    /// The ordinary names in a folder; none if it is absent.
    pub(super) fn of(&self, path: &Path) -> io::Result<Names> {
        let before = {
            let memory = self.0.lock();
            if let Some((_, names)) = memory.folder.as_ref().filter(|(remembered, _)| remembered == path) {
                return Ok(Arc::clone(names));
            }
            memory.changes
        };
        let names = Arc::new(read(path)?);
        let mut memory = self.0.lock();
        if names.len() > MIN_REMEMBERED && memory.changes == before {
            memory.folder = Some((path.to_owned(), Arc::clone(&names)));
        }
        Ok(names)
    }
}

fn read(path: &Path) -> io::Result<Vec<Box<str>>> {
    let mut names = Vec::new();
    for entry in unless_absent(std::fs::read_dir(path))?.into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_ordinary(name)) else { continue };
        names.push(if entry.file_type()?.is_dir() { format!("{name}/").into() } else { Box::from(name) });
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(memory: &NameMemory, path: &Path) -> Vec<String> {
        memory.of(path).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_sort_as_their_keys_do() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a-b", "a0", "b", ".hidden", "Odd"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        std::fs::create_dir(folder.path().join("a")).unwrap();
        assert_eq!(names(&NameMemory::default(), folder.path()), ["a-b", "a/", "a0", "b"]);
        assert!(names(&NameMemory::default(), &folder.path().join("absent")).is_empty());
    }

    #[test]
    fn a_change_is_seen_at_once_and_a_small_folder_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let memory = NameMemory::default();
        for n in 0..=MIN_REMEMBERED {
            assert_eq!(names(&memory, folder.path()).len(), n);
            std::fs::write(folder.path().join(n.to_string()), b"").unwrap();
        }
        let full = MIN_REMEMBERED + 1;
        assert_eq!(names(&memory, folder.path()).len(), full);
        std::fs::write(folder.path().join("x"), b"").unwrap();
        assert_eq!(names(&memory, folder.path()).len(), full, "remembered");
        memory.changed();
        assert_eq!(names(&memory, folder.path()).len(), full + 1);
    }
}
