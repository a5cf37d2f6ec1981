//! The folder on disk: its layout, its lock, and the steps that make a change durable.
//!
//! ```text
//! ROOT/blob/<hex>, ROOT/vault, ...   objects with ordinary keys, as plain files with the object's bytes and nothing else
//! ROOT/.store/odd/                   objects with any other key (see the key module)
//! ROOT/.store/uploads/<id>/          multipart uploads in progress (see the upload module)
//! ROOT/.store/staging/               files being written; emptied when the folder is opened
//! ROOT/.store/cors.json              which pages may use the bucket, once somebody set that (see the cors module)
//! ROOT/.store/lock                   held by the one process that has the folder open
//! ```
//!
//! There is no metadata beside the bytes: an object's ETag is its size and its modification time, which this store sets to
//! a value that it never gives twice. So a single rename decides each change, there is nothing to fall out of step in a crash,
//! and a copy of the folder that keeps times keeps ETags.
//!
//! A file is written under staging, flushed, then renamed to its place, and the folder that holds it is flushed before the
//! change is acknowledged. Everything here blocks; callers run it off the async threads.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, MutexGuard};

use super::key::Key;
use super::names::NameMemory;

/// The store's own part of the folder. No plain home begins with a dot.
pub(super) const OWN_FOLDER: &str = ".store";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Locks that keys share by hash: enough that two busy keys seldom meet.
const KEY_LOCKS: usize = 64;

/// An open folder. One process at a time has it.
pub(super) struct Folder {
    root: PathBuf,
    odd: PathBuf,
    uploads: PathBuf,
    staging: PathBuf,
    staged: AtomicU64,
    last_stamp: Mutex<u64>,
    names: NameMemory,
    key_locks: [Mutex<()>; KEY_LOCKS],
    _lock: File,
}

/// A file under staging that nobody else sees. Dropping it removes it.
pub(super) struct Staged {
    pub(super) file: File,
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, makes it (for its owner's eyes only) if it is absent, and clears away what a crash left half written.
    ///
    /// Fails with `ErrorKind::WouldBlock` while another process has it open.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        let own = root.join(OWN_FOLDER);
        let folder = Self {
            odd: own.join("odd"),
            uploads: own.join("uploads"),
            staging: own.join("staging"),
            staged: AtomicU64::new(0),
            last_stamp: Mutex::new(0),
            names: NameMemory::default(),
            key_locks: std::array::from_fn(|_| Mutex::new(())),
            _lock: {
                make_folder(&own)?;
                lock(&own.join("lock"))?
            },
            root,
        };
        remove_tree(&folder.staging)?;
        for path in [&folder.odd, &folder.uploads, &folder.staging] {
            make_folder(path)?;
        }
        Ok(folder)
    }

    /// Where plain objects lie.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where objects with odd keys lie.
    pub(super) fn odd(&self) -> &Path {
        &self.odd
    }

    /// Where uploads in progress lie.
    pub(super) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// The names listed last, to be told of every change.
    pub(super) fn names(&self) -> &NameMemory {
        &self.names
    }

    /// The places where the key's object may lie: at most one of them is a file.
    pub(super) fn homes(&self, key: &Key) -> impl Iterator<Item = PathBuf> {
        let plain = key.plain_home().map(|home| self.root.join(home));
        plain.into_iter().chain([self.odd.join(key.odd_home())])
    }

    /// Serializes the changes of one key. Held only from the check of a condition to the rename.
    pub(super) fn lock_key(&self, key: &Key) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.key_locks[hasher.finish() as usize % KEY_LOCKS].lock()
    }

    /// A fresh empty file under staging.
    pub(super) fn stage(&self) -> io::Result<Staged> {
        let path = self.staging_path();
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        Ok(Staged { file, path })
    }

    /// A fresh path under staging, where nothing lies yet.
    pub(super) fn staging_path(&self) -> PathBuf {
        self.staging.join(self.staged.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// A modification time in Unix nanoseconds, later than every one before it and than `earlier`.
    pub(super) fn stamp(&self, earlier: u64) -> u64 {
        let mut last = self.last_stamp.lock();
        *last = nanoseconds(SystemTime::now()).max(earlier.saturating_add(1)).max(last.saturating_add(1));
        *last
    }

    /// Renames a file to `home`, making the folders above it, and returns the folder to flush.
    pub(super) fn place(&self, from: &Path, home: &Path) -> io::Result<PathBuf> {
        let folder = home.parent().unwrap_or(&self.root);
        match std::fs::rename(from, home) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_folder(folder)?;
                std::fs::rename(from, home)?;
            }
            done => done?,
        }
        self.names.changed();
        Ok(folder.to_owned())
    }

    /// Takes a folder out of sight in one step, then removes it.
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        let hidden = self.staging_path();
        std::fs::rename(path, &hidden)?;
        if let Some(parent) = path.parent() {
            flush_folder(parent)?;
        }
        remove_tree(&hidden)
    }
}

impl Staged {
    /// Where the file lies until it is renamed.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Absent once it was renamed to its place; anything else is cleared at the next opening.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Unix nanoseconds of a time, 0 before 1970.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The time of Unix nanoseconds.
pub(super) fn time_of(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// Makes a folder and those above it, each flushed into its parent. A file in the way is `ErrorKind::NotADirectory`.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if path.is_dir() {
                Ok(())
            } else {
                Err(ErrorKind::NotADirectory.into())
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            make_folder(parent)?;
            make_folder(path)
        }
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), flush_folder),
    }
}

/// Makes the names in a folder durable.
pub(super) fn flush_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates an empty file whose name is all that matters.
pub(super) fn make_mark(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(drop)
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(io::Error::new(ErrorKind::WouldBlock, "another process has this store's folder open"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_clears_what_a_crash_left_in_staging() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let left = folder.staging_path();
        std::fs::write(&left, b"half an object").unwrap();
        drop(folder);
        Folder::open(root.path()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_folder_is_open_once_and_made_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("a/b");
        let open = Folder::open(&root).unwrap();
        assert_eq!(root.metadata().unwrap().permissions().mode() & 0o777, FOLDER_MODE);
        assert_eq!(Folder::open(&root).err().unwrap().kind(), ErrorKind::WouldBlock);
        drop(open);
        assert!(Folder::open(&root).is_ok());
    }

    #[test]
    fn stamps_never_repeat_and_outrun_the_object_they_replace() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let future = nanoseconds(SystemTime::now()) + 3_600_000_000_000;
        let mut last = 0;
        for earlier in [0, 0, 0, future, 0, future] {
            let stamp = folder.stamp(earlier);
            assert!(stamp > last && stamp > earlier);
            last = stamp;
        }
    }
}
