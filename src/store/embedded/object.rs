//! Whole objects: find, publish, remove. A change of one key is one rename or one unlink, and conditions are checked under the key's lock,
//! so of any number of conditional writers exactly one wins.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Result, s3_error};

use super::disk_fault;
use super::folder::{Folder, flush_folder, nanoseconds, time_of};
use super::key::Key;

/// What is known of an object without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectInfo {
    /// Length in bytes.
    pub(super) size_bytes: u64,
    /// Modification time, unique to this write.
    pub(super) stamp: u64,
}

impl ObjectInfo {
    pub(super) fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { size_bytes: metadata.len(), stamp: nanoseconds(metadata.modified()?) })
    }

    /// Not a digest of the bytes; written so that no client takes it for an MD5.
    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(format!("{:016x}-{:x}", self.stamp, self.size_bytes))
    }

    pub(super) fn modified(&self) -> SystemTime {
        time_of(self.stamp)
    }
}

/// What a write or removal demands of the object that is there before it.
#[derive(Default)]
pub(super) struct WriteCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteCondition {
    pub(super) fn check(&self, current: Option<&ObjectInfo>) -> S3Result<()> {
        match (&self.if_none_match, current) {
            (None, _) | (Some(ETagCondition::Any), None) => {}
            (Some(ETagCondition::Any), Some(_)) => return Err(s3_error!(PreconditionFailed)),
            (Some(ETagCondition::ETag(_)), _) => {
                return Err(s3_error!(NotImplemented, "If-None-Match of a write takes only *"));
            }
        }
        match (&self.if_match, current) {
            (None, _) | (Some(ETagCondition::Any), Some(_)) => Ok(()),
            (Some(_), None) => Err(s3_error!(NoSuchKey)),
            (Some(ETagCondition::ETag(etag)), Some(info)) if etag.strong_cmp(&info.etag()) => Ok(()),
            (Some(ETagCondition::ETag(_)), Some(_)) => Err(s3_error!(PreconditionFailed)),
        }
    }
}

impl Folder {
    /// Opens an object for reading. Bytes and info belong together whatever happens to the key meanwhile.
    pub(super) fn find(&self, key: &Key) -> io::Result<Option<(File, ObjectInfo)>> {
        for home in self.homes(key) {
            let Some(file) = unless_absent(File::open(home))? else { continue };
            let metadata = file.metadata()?;
            if metadata.is_file() {
                return Ok(Some((file, ObjectInfo::of(&metadata)?)));
            }
        }
        Ok(None)
    }

    /// What is known of an object.
    pub(super) fn info(&self, key: &Key) -> io::Result<Option<ObjectInfo>> {
        Ok(self.locate(key)?.map(|(_, info)| info))
    }

    /// Makes a complete, flushed file the object of a key: durable when this returns.
    pub(super) fn publish(&self, key: &Key, from: &Path, condition: &WriteCondition) -> S3Result<ObjectInfo> {
        let file = File::options().write(true).open(from).map_err(disk_fault)?;
        file.sync_data().map_err(disk_fault)?;
        let (info, touched) = {
            let _guard = self.lock_key(key);
            let current = self.locate(key).map_err(disk_fault)?;
            condition.check(current.as_ref().map(|(_, info)| info))?;
            let stamp = self.stamp(current.as_ref().map_or(0, |(_, info)| info.stamp));
            file.set_modified(time_of(stamp)).map_err(disk_fault)?;
            let info = ObjectInfo::of(&file.metadata().map_err(disk_fault)?).map_err(disk_fault)?;
            let current_home = current.map(|(home, _)| home);
            (info, self.settle(key, from, current_home).map_err(disk_fault)?)
        };
        flush_folder(&touched).map_err(disk_fault)?;
        Ok(info)
    }

    /// Removes an object durably; an absent one is fine unless the condition demands it.
    pub(super) fn remove(&self, key: &Key, condition: &WriteCondition) -> S3Result<()> {
        let touched = self.unlink(key, condition)?;
        touched.map_or(Ok(()), |folder| flush_folder(&folder)).map_err(disk_fault)
    }

    /// Removes an object, and returns the folder that the caller **must** flush before it acknowledges this.
    pub(super) fn unlink(&self, key: &Key, condition: &WriteCondition) -> S3Result<Option<PathBuf>> {
        let _guard = self.lock_key(key);
        let current = self.locate(key).map_err(disk_fault)?;
        condition.check(current.as_ref().map(|(_, info)| info))?;
        let Some((home, _)) = current else { return Ok(None) };
        std::fs::remove_file(&home).map_err(disk_fault)?;
        self.names().changed();
        Ok(home.parent().map(Path::to_owned))
    }

    /// Where the object of a key lies now.
    fn locate(&self, key: &Key) -> io::Result<Option<(PathBuf, ObjectInfo)>> {
        for home in self.homes(key) {
            let Some(metadata) = unless_absent(home.metadata())? else { continue };
            if metadata.is_file() {
                return Ok(Some((home, ObjectInfo::of(&metadata)?)));
            }
        }
        Ok(None)
    }

    /// Renames into the current home, else into the first home that is free (`a` and `a/b` cannot both be plain).
    fn settle(&self, key: &Key, from: &Path, current_home: Option<PathBuf>) -> io::Result<PathBuf> {
        if let Some(home) = current_home {
            return self.place(from, &home);
        }
        let mut blocked = None;
        for home in self.homes(key) {
            match self.place(from, &home) {
                Err(error) if is_blocked(&error) => {
                    blocked = Some(error);
                }
                done => return done,
            }
        }
        Err(blocked.unwrap_or_else(|| ErrorKind::NotFound.into()))
    }
}

/// Whether another key's file or folder is in the way, or a name is longer than this file system takes.
fn is_blocked(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::InvalidFilename)
}

/// `None` where nothing can be at a path: it is absent, or a file is in the way, or a name is longer than this file system takes.
pub(super) fn unless_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound || is_blocked(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
