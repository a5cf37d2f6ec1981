//! Everything that lies in a vault's bucket, by its key: to look through, and to set the bucket back to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use coffer::store::Store;
use tempfile::TempDir;

use super::coffer::Coffer;

/// Far more than a test's object.
const MAX_OBJECT_BYTES: u64 = 64 << 20;

/// A bucket as it once was.
pub(crate) struct BucketCopy(Form);

enum Form {
    /// Made by `cp -a`, as an owner would back the folder up.
    Folder(TempDir),
    /// Taken out through the protocol.
    Objects(BTreeMap<String, Vec<u8>>),
}

impl BucketCopy {
    /// The bucket of a stopped vault.
    pub(crate) async fn of(coffer: &Coffer) -> Self {
        if coffer.lent().is_some() {
            return Self(Form::Objects(objects(coffer).await));
        }
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&coffer.bucket_folder(), &copy.path().join("bucket"));
        Self(Form::Folder(copy))
    }

    /// Makes the bucket of a stopped vault what it was, newer objects gone.
    pub(crate) async fn swap_in(&self, coffer: &Coffer) {
        match &self.0 {
            Form::Folder(copy) => {
                std::fs::remove_dir_all(coffer.bucket_folder()).unwrap();
                copy_folder(&copy.path().join("bucket"), &coffer.bucket_folder());
            }
            Form::Objects(copy) => {
                let store = Store::new(coffer.lent().unwrap(), None);
                for object in store.list("").await.unwrap() {
                    store.delete(&object.key).await.unwrap();
                }
                for (key, bytes) in copy {
                    store.put(key, bytes.clone().into()).await.unwrap();
                }
            }
        }
    }
}

/// Every object with its bytes.
pub(crate) async fn objects(coffer: &Coffer) -> BTreeMap<String, Vec<u8>> {
    let Some(place) = coffer.lent() else { return files(&coffer.bucket_folder()) };
    let store = Store::new(place, None);
    let mut found = BTreeMap::new();
    for object in store.list("").await.unwrap() {
        let bytes = store.get(&object.key, MAX_OBJECT_BYTES).await.unwrap();
        found.insert(object.key, bytes.into());
    }
    found
}

/// Every file with its bytes, the embedded store's own beside the objects.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                // One that is being written may be gone by now.
                found.insert(key, std::fs::read(&path).unwrap_or_default());
            }
        }
    }
    found
}

fn copy_folder(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}
