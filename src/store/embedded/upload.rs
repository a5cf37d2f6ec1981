//! Multipart uploads in progress.
//!
//! ```text
//! uploads/<id>/upload.json    the key and what was asked at creation
//! uploads/<id>/data           the object being assembled
//! uploads/<id>/<part>         one file for each part; its name says all about it (see the part module)
//! ```
//!
//! Parts of one size, which is how clients cut a file, are written straight to their place in `data`, so completing the upload is one
//! rename and copies nothing. A part that has no place there (of another size, or a second attempt while the first still stands)
//! is a file of its own and is copied into place at completion. A part counts only once its name is there, which happens after its
//! bytes are flushed; a failed attempt leaves no name, and an earlier attempt stands until then.
//!
//! An upload whose `data` is gone was completed; opening the store removes what is left of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::disk_fault;
use super::folder::{Folder, Staged, flush_folder, make_mark};
use super::key::Key;
use super::object::{ObjectInfo, WriteCondition, unless_absent};
use super::part::{Claimed, Part};
use super::place::{Place, Places};

/// The largest object, as in S3.
pub(super) const MAX_OBJECT_BYTES: u64 = 5 << 40;
/// The smallest part but the last, as in S3.
pub(super) const MIN_PART_BYTES: u64 = 5 << 20;

const DATA: &str = "data";
const DETAILS: &str = "upload.json";

/// The uploads in progress of one folder.
pub(super) struct Uploads {
    folder: Arc<Folder>,
    open: Mutex<HashMap<String, Arc<Upload>>>,
}

/// One upload in progress.
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) details: Details,
    pub(super) initiated: SystemTime,
    path: PathBuf,
    gate: RwLock<Gate>,
    /// Locked after the gate, and never for long.
    places: Mutex<Places>,
}

/// What was asked for when the upload was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Details {
    pub(super) key: String,
    /// The checksum algorithm named at creation; only SHA256 is taken.
    pub(super) checksum: Option<String>,
}

/// Read-locked for each write into `data`, write-locked for each change of what counts.
struct Gate {
    is_open: bool,
    parts: BTreeMap<u32, Part>,
}

/// A part being written. Dropping it before `finish` gives its place up.
pub(super) struct PartWriter {
    upload: Arc<Upload>,
    number: u32,
    target: Target,
    is_finished: bool,
}

enum Target {
    Place { data: File, place: Place },
    Own(Staged),
}

impl Uploads {
    /// Finds the uploads that outlived the last process, and removes what is left of completed ones.
    pub(super) fn open(folder: Arc<Folder>) -> io::Result<Self> {
        for entry in std::fs::read_dir(folder.uploads())? {
            let path = entry?.path();
            if !path.join(DATA).exists() {
                folder.discard(&path)?;
            }
        }
        Ok(Self { folder, open: Mutex::default() })
    }

    /// Begins an upload, durably.
    pub(super) fn create(&self, details: Details) -> S3Result<Arc<Upload>> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| disk_fault(io::Error::other(error)))?;
        let id = data_encoding::HEXLOWER.encode(&id);
        let path = self.folder.uploads().join(&id);
        self.write_new(&path, &details).map_err(disk_fault)?;
        self.find(&id, &details.key)
    }

    /// The upload of this id, which must be for this key.
    pub(super) fn find(&self, id: &str, key: &str) -> S3Result<Arc<Upload>> {
        let upload = self.load(id).map_err(disk_fault)?;
        upload.filter(|upload| upload.details.key == key).ok_or_else(no_such_upload)
    }

    /// All uploads, by key and then by age.
    pub(super) fn list(&self) -> S3Result<Vec<Arc<Upload>>> {
        let mut uploads = Vec::new();
        for entry in std::fs::read_dir(self.folder.uploads()).map_err(disk_fault)? {
            let name = entry.map_err(disk_fault)?.file_name();
            if let Some(id) = name.to_str() {
                uploads.extend(self.load(id).map_err(disk_fault)?);
            }
        }
        uploads.sort_by(|a, b| (&a.details.key, a.initiated, &a.id).cmp(&(&b.details.key, b.initiated, &b.id)));
        Ok(uploads)
    }

    /// Gives an upload up with all its parts. Parts being written fail at their next step.
    pub(super) fn abort(&self, upload: &Upload) -> S3Result<()> {
        let mut gate = upload.gate()?;
        self.close(upload, &mut gate)
    }

    /// Makes the named parts the object, and ends the upload.
    pub(super) fn complete(
        &self,
        upload: &Upload,
        named: &[Claimed],
        expected_bytes: Option<u64>,
        condition: &WriteCondition,
    ) -> S3Result<ObjectInfo> {
        let mut gate = upload.gate()?;
        let parts = gate.chosen(named)?;
        if expected_bytes.is_some_and(|expected| expected != parts.iter().map(|part| part.size_bytes).sum::<u64>()) {
            return Err(s3_error!(InvalidRequest, "the parts do not add up to the size that the completion names"));
        }
        let key = Key::parse(&upload.details.key)?;
        let info = {
            let assembled = upload.assemble(&self.folder, &mut gate, &parts).map_err(disk_fault)?;
            self.folder.publish(&key, assembled.path(), condition)?
        };
        // The object is there; what is left of the upload has no data and goes at the next opening at the latest.
        let _ = self.close(upload, &mut gate);
        Ok(info)
    }

    fn close(&self, upload: &Upload, gate: &mut Gate) -> S3Result<()> {
        gate.is_open = false;
        let discarded = self.folder.discard(&upload.path);
        // Only now, or the folder could be read and the upload opened a second time before it is gone.
        self.open.lock().remove(&upload.id);
        discarded.map_err(disk_fault)
    }

    fn write_new(&self, path: &Path, details: &Details) -> io::Result<()> {
        let fresh = self.folder.staging_path();
        super::folder::make_folder(&fresh)?;
        make_mark(&fresh.join(DATA))?;
        let details = serde_json::to_vec(details)?;
        let staged = self.folder.stage()?;
        staged.file.write_all_at(&details, 0)?;
        staged.file.sync_all()?;
        std::fs::rename(staged.path(), fresh.join(DETAILS))?;
        flush_folder(&fresh)?;
        std::fs::rename(&fresh, path)?;
        flush_folder(self.folder.uploads())
    }

    fn load(&self, id: &str) -> io::Result<Option<Arc<Upload>>> {
        if id.len() != 32 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(None);
        }
        let mut open = self.open.lock();
        if let Some(upload) = open.get(id) {
            return Ok(Some(Arc::clone(upload)));
        }
        let path = self.folder.uploads().join(id);
        let Some(details) = unless_absent(std::fs::read(path.join(DETAILS)))? else { return Ok(None) };
        if !path.join(DATA).exists() {
            return Ok(None);
        }
        let gate = Gate::read(&path)?;
        let upload = Arc::new(Upload {
            id: id.to_owned(),
            details: serde_json::from_slice(&details)?,
            initiated: path.join(DETAILS).metadata()?.modified()?,
            places: Mutex::new(Places::of(gate.parts.values())),
            gate: RwLock::new(gate),
            path,
        });
        open.insert(id.to_owned(), Arc::clone(&upload));
        Ok(Some(upload))
    }
}

impl Upload {
    /// Begins to write a part of a known size.
    pub(super) fn begin_part(self: &Arc<Self>, folder: &Folder, number: u32, size_bytes: u64) -> S3Result<PartWriter> {
        let _gate = self.gate()?;
        let place = self.places.lock().give(number, size_bytes);
        let data = place.map(|place| File::options().write(true).open(self.path.join(DATA)).map(|data| (data, place)));
        let target = match data {
            Some(Ok((data, place))) => Ok(Target::Place { data, place }),
            Some(Err(error)) => Err(error),
            None => folder.stage().map(Target::Own),
        };
        if let (Err(_), Some(place)) = (&target, place) {
            self.places.lock().give_up(number, place);
        }
        Ok(PartWriter { upload: Arc::clone(self), number, target: target.map_err(disk_fault)?, is_finished: false })
    }

    /// The parts that stand, by number.
    pub(super) fn parts(&self) -> S3Result<Vec<Part>> {
        let gate = self.gate.read();
        if !gate.is_open {
            return Err(no_such_upload());
        }
        Ok(gate.parts.values().cloned().collect())
    }

    fn gate(&self) -> S3Result<RwLockWriteGuard<'_, Gate>> {
        let gate = self.gate.write();
        if gate.is_open { Ok(gate) } else { Err(no_such_upload()) }
    }

    /// Brings the parts together in one file, in place where their places fit.
    fn assemble(&self, folder: &Folder, gate: &mut Gate, parts: &[Part]) -> io::Result<Assembled> {
        if let [part] = parts
            && part.offset.is_none()
        {
            return Ok(Assembled::InPlace(self.path.join(part.file_name())));
        }
        let offsets = parts.iter().scan(0, |end, part| Some(std::mem::replace(end, *end + part.size_bytes)));
        if parts.iter().zip(offsets.clone()).any(|(part, offset)| part.offset.is_some_and(|place| place != offset)) {
            return self.copy_all(folder, parts).map(Assembled::Copied);
        }
        let path = self.path.join(DATA);
        let total: u64 = parts.iter().map(|part| part.size_bytes).sum();
        let length = path.metadata()?.len();
        if parts.iter().any(|part| part.offset.is_some_and(|offset| offset + part.size_bytes > length)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length > total {
            // What lies beyond the end belongs to parts that were not named: they go before their bytes do.
            for part in gate.take_beyond(total) {
                std::fs::remove_file(self.path.join(part.file_name()))?;
            }
            flush_folder(&self.path)?;
            self.places.lock().forget_writers(&gate.parts);
        }
        let mut data = File::options().write(true).open(&path)?;
        for (part, offset) in parts.iter().zip(offsets) {
            if part.offset.is_none() {
                data.seek(SeekFrom::Start(offset))?;
                io::copy(&mut File::open(self.path.join(part.file_name()))?, &mut data)?;
            }
        }
        data.set_len(total)?;
        Ok(Assembled::InPlace(path))
    }

    fn copy_all(&self, folder: &Folder, parts: &[Part]) -> io::Result<Staged> {
        let mut staged = folder.stage()?;
        let mut data = File::open(self.path.join(DATA))?;
        for part in parts {
            let copied = match part.offset {
                Some(offset) => {
                    data.seek(SeekFrom::Start(offset))?;
                    io::copy(&mut io::Read::take(&mut data, part.size_bytes), &mut staged.file)?
                }
                None => io::copy(&mut File::open(self.path.join(part.file_name()))?, &mut staged.file)?,
            };
            if copied != part.size_bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(staged)
    }
}

/// The whole object, about to be published.
enum Assembled {
    InPlace(PathBuf),
    Copied(Staged),
}

impl Assembled {
    fn path(&self) -> &Path {
        match self {
            Self::InPlace(path) => path,
            Self::Copied(staged) => staged.path(),
        }
    }
}

impl Gate {
    /// Reads the names of an upload's folder. Of two attempts at one part, left by a crash, the later one stands.
    fn read(path: &Path) -> io::Result<Self> {
        let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
        for entry in std::fs::read_dir(path)? {
            let name = entry?.file_name();
            let Some(part) = name.to_str().and_then(Part::parse) else { continue };
            let is_later = parts.get(&part.number).is_none_or(|other| other.stamp < part.stamp);
            let earlier = if is_later { parts.insert(part.number, part) } else { Some(part) };
            if let Some(earlier) = earlier {
                std::fs::remove_file(path.join(earlier.file_name()))?;
            }
        }
        Ok(Self { is_open: true, parts })
    }

    /// The parts that a completion names, checked as S3 does.
    fn chosen(&self, named: &[Claimed]) -> S3Result<Vec<Part>> {
        if named.is_empty() {
            return Err(s3_error!(MalformedXML, "a completion names at least one part"));
        }
        if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut parts = Vec::with_capacity(named.len());
        for claimed in named {
            let part = self.parts.get(&claimed.number).filter(|part| claimed.names(part));
            let part =
                part.ok_or_else(|| s3_error!(InvalidPart, "part {} is absent or another one", claimed.number))?;
            parts.push(part.clone());
        }
        if parts.iter().rev().skip(1).any(|part| part.size_bytes < MIN_PART_BYTES) {
            return Err(s3_error!(EntityTooSmall));
        }
        if parts.iter().map(|part| part.size_bytes).sum::<u64>() > MAX_OBJECT_BYTES {
            return Err(s3_error!(EntityTooLarge));
        }
        Ok(parts)
    }

    /// Takes out the parts whose place ends beyond a length.
    fn take_beyond(&mut self, length: u64) -> Vec<Part> {
        let is_beyond = |part: &Part| part.offset.is_some_and(|offset| offset + part.size_bytes > length);
        let numbers: Vec<u32> = self.parts.values().filter(|part| is_beyond(part)).map(|part| part.number).collect();
        numbers.iter().filter_map(|number| self.parts.remove(number)).collect()
    }
}

impl PartWriter {
    /// Writes bytes of the part. Once the upload has ended nothing is written any more, whatever file its bytes are in by then.
    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> S3Result<()> {
        match &self.target {
            Target::Own(staged) => staged.file.write_all_at(bytes, at).map_err(disk_fault),
            Target::Place { data, place } => {
                let gate = self.upload.gate.read();
                if !gate.is_open || !self.upload.places.lock().stands(*place) {
                    return Err(no_such_upload());
                }
                data.write_all_at(bytes, place.offset() + at).map_err(disk_fault)
            }
        }
    }

    /// Makes the part stand, in place of an earlier attempt: durable when this returns.
    pub(super) fn finish(mut self, folder: &Folder, size_bytes: u64, sha256: [u8; 32]) -> S3Result<Part> {
        let flushed = match &self.target {
            Target::Own(staged) => staged.file.sync_data().map(|()| None),
            Target::Place { data, place } => data.sync_data().map(|()| Some(*place)),
        };
        let place = flushed.map_err(disk_fault)?;
        let offset = place.map(|place| place.offset());
        let (part, earlier) = {
            let mut gate = self.upload.gate()?;
            if place.is_some_and(|place| !self.upload.places.lock().stands(place)) {
                return Err(no_such_upload());
            }
            let earlier = gate.parts.get(&self.number).map_or(0, |part| part.stamp);
            let part = Part { number: self.number, stamp: folder.stamp(earlier), size_bytes, sha256, offset };
            let path = self.upload.path.join(part.file_name());
            match &self.target {
                Target::Own(staged) => std::fs::rename(staged.path(), path),
                Target::Place { .. } => make_mark(&path),
            }
            .map_err(disk_fault)?;
            self.is_finished = true;
            let earlier = gate.parts.insert(self.number, part.clone());
            (part, earlier)
        };
        flush_folder(&self.upload.path).map_err(disk_fault)?;
        if let Some(earlier) = earlier {
            // The later attempt stands whether or not this name goes.
            let _ = std::fs::remove_file(self.upload.path.join(earlier.file_name()));
        }
        Ok(part)
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        if let Target::Place { place, .. } = &self.target
            && !self.is_finished
        {
            self.upload.places.lock().give_up(self.number, *place);
        }
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload)
}
