//! Reading part of a blob: which bytes of the object hold a range of the file, and how to open them as they arrive.
//!
//! A plan is one contiguous run of the object: whole chunks, in order, with a part's header wherever its first chunk is
//! read. Where the range reaches the end of a part, the part's last chunk is in it too, so a download of the whole file
//! verifies every byte of the object.

use std::fmt;
use std::ops::Range;

use super::cobblestone::{CHUNK_PLAIN, CHUNK_SEALED, PART_HEADER, Salt};
use super::content::{BlobShape, Geometry, PartOpener};
use super::{Dek, OpenError};

/// What to fetch for a range of a file, and what to make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePlan {
    /// The bytes of the object, for one request; empty when there is nothing to read.
    pub object: Range<u64>,
    /// The parts in it, in order.
    pub steps: Vec<PartSlice>,
}

/// The chunks of one part that a plan reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSlice {
    /// The part's number.
    pub part: u32,
    /// Whether its header is read before the first chunk.
    pub has_header: bool,
    /// The first chunk read.
    pub first_chunk: u64,
    /// How many chunks are read.
    pub chunk_count: u64,
    /// Plaintext bytes to drop from the front of the first chunk.
    pub skip: u64,
    /// Plaintext bytes to give out after that.
    pub take: u64,
}

/// Plans the part of `range` that lies within a file of `size` bytes.
///
/// An empty range of a file that is not empty needs nothing; that of an empty file reads its one empty chunk.
pub fn plan_range(geometry: Geometry, size: u64, range: Range<u64>) -> RangePlan {
    let end = range.end.min(size);
    let start = range.start.min(end);
    if start == end && size > 0 {
        return RangePlan { object: 0..0, steps: Vec::new() };
    }
    let part_of = |offset: u64| (offset >> geometry.k()) as u32;
    let (first, last) = (part_of(start), part_of(end.saturating_sub(1)));
    let slice = |part: u32| {
        let origin = u64::from(part) << geometry.k();
        let plain_len = geometry.part_plain_len(size, part);
        plan_part(part, plain_len, start.saturating_sub(origin)..(end - origin).min(plain_len))
    };
    let steps: Vec<PartSlice> = (first..=last).map(slice).collect();
    let begin = geometry.part_offset(first) + steps[0].object_offset(steps[0].first_chunk);
    let tail = steps[steps.len() - 1];
    let tail_len = geometry.sealed_part_len(geometry.part_plain_len(size, last));
    let finish = geometry.part_offset(last) + tail.object_offset(tail.first_chunk + tail.chunk_count).min(tail_len);
    RangePlan { object: begin..finish, steps }
}

/// `range` is relative to the part, and within its `plain_len` bytes.
fn plan_part(part: u32, plain_len: u64, range: Range<u64>) -> PartSlice {
    let chunk = CHUNK_PLAIN as u64;
    let first_chunk = range.start / chunk;
    let past_chunk = if range.end == plain_len { plain_len / chunk + 1 } else { range.end.div_ceil(chunk) };
    PartSlice {
        part,
        has_header: first_chunk == 0,
        first_chunk,
        chunk_count: past_chunk - first_chunk,
        skip: range.start % chunk,
        take: range.end - range.start,
    }
}

impl PartSlice {
    /// Where a chunk begins, from the start of its sealed part; chunk 0 takes the header along.
    fn object_offset(&self, chunk: u64) -> u64 {
        if chunk == 0 { 0 } else { PART_HEADER as u64 + chunk * CHUNK_SEALED as u64 }
    }
}

/// Opens the bytes of a plan as they arrive, in any pieces, and gives out plaintext whose tags have verified.
pub struct RangeOpener {
    dek: Dek,
    blob: BlobShape,
    object: Range<u64>,
    steps: std::vec::IntoIter<(PartSlice, Salt)>,
    reader: Option<PartReader>,
    /// A piece of a header or chunk that has not arrived whole.
    pending: Vec<u8>,
    failed: bool,
}

impl RangeOpener {
    /// An opener for `range` of the blob, with the pinned salts of all its parts.
    pub fn new(dek: Dek, blob: BlobShape, salts: &[Salt], range: Range<u64>) -> Result<Self, OpenError> {
        if salts.len() != blob.part_count() as usize {
            return Err(OpenError::Refused);
        }
        let plan = plan_range(blob.geometry, blob.size, range);
        let steps: Vec<_> = plan.steps.into_iter().map(|step| (step, salts[step.part as usize])).collect();
        let mut opener = Self {
            dek,
            blob,
            object: plan.object,
            steps: steps.into_iter(),
            reader: None,
            pending: Vec::new(),
            failed: false,
        };
        opener.next_part();
        Ok(opener)
    }

    /// The bytes of the object to fetch in one request and to push in order.
    pub fn object(&self) -> Range<u64> {
        self.object.clone()
    }

    /// Takes the next bytes of [`Self::object`] and appends what they opened to `out`.
    ///
    /// After an error nothing more opens. Bytes beyond the plan are an error.
    pub fn push(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        if self.failed {
            return Err(OpenError::Refused);
        }
        let result = self.open(sealed, out);
        self.failed = result.is_err();
        result
    }

    /// Refuses an end before every byte of the plan was pushed and verified.
    pub fn finish(self) -> Result<(), OpenError> {
        if self.failed || self.reader.is_some() { Err(OpenError::Refused) } else { Ok(()) }
    }

    fn open(&mut self, mut sealed: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        while !sealed.is_empty() {
            let reader = self.reader.as_mut().ok_or(OpenError::Refused)?;
            let missing = reader.unit_len() - self.pending.len();
            let Some((now, later)) = sealed.split_at_checked(missing) else {
                self.pending.extend_from_slice(sealed);
                return Ok(());
            };
            sealed = later;
            if self.pending.is_empty() {
                reader.open_unit(now, out)?;
            } else {
                self.pending.extend_from_slice(now);
                reader.open_unit(&self.pending, out)?;
                self.pending.clear();
            }
            if reader.is_done() {
                self.next_part();
            }
        }
        Ok(())
    }

    fn next_part(&mut self) {
        self.reader = self.steps.next().map(|(slice, salt)| PartReader {
            opener: PartOpener::new(&self.dek, &self.blob.part(slice.part), &salt),
            plain_len: self.blob.geometry.part_plain_len(self.blob.size, slice.part),
            wants_header: slice.has_header,
            chunks: slice.first_chunk..slice.first_chunk + slice.chunk_count,
            skip: slice.skip as usize,
            take: slice.take,
        });
    }
}

impl fmt::Debug for RangeOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeOpener({}, {:?}, [secret])", self.blob.blob_id, self.object)
    }
}

/// The part that is being read.
struct PartReader {
    opener: PartOpener,
    plain_len: u64,
    wants_header: bool,
    chunks: Range<u64>,
    skip: usize,
    take: u64,
}

impl PartReader {
    /// Length of the header or chunk that comes next; never 0 before the part is done.
    fn unit_len(&self) -> usize {
        if self.wants_header {
            return PART_HEADER;
        }
        let rest = self.plain_len - self.chunks.start * CHUNK_PLAIN as u64;
        rest.min(CHUNK_PLAIN as u64) as usize + (CHUNK_SEALED - CHUNK_PLAIN)
    }

    fn open_unit(&mut self, unit: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        if self.wants_header {
            let header = unit.try_into().map_err(|_| OpenError::Refused)?;
            self.opener.check_header(header)?;
            self.wants_header = false;
            return Ok(());
        }
        let start = out.len();
        out.extend_from_slice(unit);
        let opened = self.opener.open_chunk(self.chunks.start, &mut out[start..]);
        let Ok(opened) = opened else {
            out.truncate(start);
            return Err(OpenError::Refused);
        };
        out.truncate(start + opened);
        out.drain(start..start + self.skip);
        out.truncate(start + self.take.min((opened - self.skip) as u64) as usize);
        self.take -= (out.len() - start) as u64;
        self.skip = 0;
        self.chunks.start += 1;
        Ok(())
    }

    fn is_done(&self) -> bool {
        !self.wants_header && self.chunks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BlobId, VaultId, seal_part};

    const CHUNK: u64 = CHUNK_PLAIN as u64;

    type Sealed = (Dek, BlobShape, Vec<Salt>, Vec<u8>, Vec<u8>);

    fn sealed(size: u64) -> Sealed {
        let blob =
            BlobShape { vault_id: VaultId([1; 16]), blob_id: BlobId([2; 16]), geometry: Geometry::small(15), size };
        let dek = Dek::generate();
        let plaintext: Vec<u8> = (0..size).map(|i| (i / 251 + i) as u8).collect();
        let mut object = Vec::new();
        let salts = (0..blob.part_count())
            .map(|part| {
                let start = u64::from(part) * blob.geometry.part_size();
                let end = start + blob.geometry.part_plain_len(size, part);
                seal_part(&dek, &blob.part(part), &plaintext[start as usize..end as usize], &mut object)
            })
            .collect();
        assert_eq!(object.len() as u64, blob.geometry.object_size(size));
        (dek, blob, salts, plaintext, object)
    }

    fn assert_reads((dek, blob, salts, plaintext, object): &Sealed, range: Range<u64>, piece: usize) {
        let mut opener = RangeOpener::new(dek.clone(), *blob, salts, range.clone()).unwrap();
        let bytes = opener.object();
        let mut out = Vec::new();
        for piece in object[bytes.start as usize..bytes.end as usize].chunks(piece) {
            opener.push(piece, &mut out).unwrap();
        }
        opener.finish().unwrap();
        assert!(out == plaintext[range.start as usize..range.end as usize], "{range:?}");
    }

    #[test]
    fn ranges_at_every_edge_are_slices_of_the_file() {
        let size = 2 * 2 * CHUNK + 5;
        let file = sealed(size);
        let edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 4 * CHUNK, size];
        for start in edges {
            for end in edges.into_iter().filter(|end| *end >= start) {
                for piece in [1000, usize::MAX] {
                    assert_reads(&file, start..end, piece);
                }
            }
        }
        for size in [0, 1, CHUNK, 2 * CHUNK, 4 * CHUNK] {
            assert_reads(&sealed(size), 0..size, 7777);
        }
    }

    #[test]
    fn plans_name_exactly_the_chunks_they_need() {
        let geometry = Geometry::for_stream();
        let size = 20_000_000;
        let plan = plan_range(geometry, size, 20_000..20_001);
        assert_eq!(plan.object, 56 + 16_400..56 + 2 * 16_400);
        let slice = PartSlice { part: 0, has_header: false, first_chunk: 1, chunk_count: 1, skip: 3616, take: 1 };
        assert_eq!(plan.steps, [slice]);

        let whole = plan_range(geometry, size, 0..size);
        assert_eq!(whole.object, 0..geometry.object_size(size));
        assert_eq!(whole.steps.len(), 3);
        assert_eq!(whole.steps[1].chunk_count, 513);
        assert_eq!(plan_range(geometry, size, 0..u64::MAX), whole);

        let nothing = RangePlan { object: 0..0, steps: vec![] };
        assert_eq!(plan_range(geometry, size, 5..5), nothing);
        assert_eq!(plan_range(geometry, size, size..u64::MAX), nothing);
        #[expect(clippy::reversed_empty_ranges, reason = "a reversed range is what is tested")]
        let reversed = plan_range(geometry, size, 9..5);
        assert_eq!(reversed, nothing);
        let empty = plan_range(geometry, 0, 0..0);
        assert_eq!(empty.object, 0..72);
        assert_eq!(empty.steps[0].chunk_count, 1);
    }

    #[test]
    fn short_long_and_wrong_answers_are_refused() {
        let (dek, blob, salts, _, object) = sealed(50_000);
        let open = |bytes: &[u8]| {
            let mut opener = RangeOpener::new(dek.clone(), blob, &salts, 0..50_000).unwrap();
            let mut out = Vec::new();
            opener.push(bytes, &mut out)?;
            opener.finish()
        };
        assert_eq!(open(&object), Ok(()));
        assert_eq!(open(&object[..object.len() - 1]), Err(OpenError::Refused));
        assert_eq!(open(&[]), Err(OpenError::Refused));
        assert_eq!(open(&[object.as_slice(), &[0]].concat()), Err(OpenError::Refused));
        assert_eq!(open(&object[1..]), Err(OpenError::Refused));
        assert!(RangeOpener::new(dek.clone(), blob, &salts[1..], 0..1).is_err());
    }

    #[test]
    fn after_an_error_nothing_more_opens() {
        let (dek, blob, salts, _, object) = sealed(50_000);
        let mut opener = RangeOpener::new(dek, blob, &salts, 0..50_000).unwrap();
        let mut out = Vec::new();
        let mut bad = object.clone();
        bad[60] ^= 1;
        assert!(opener.push(&bad[..20_000], &mut out).is_err());
        assert!(out.is_empty());
        assert!(opener.push(&object, &mut out).is_err());
        assert!(out.is_empty());
        assert!(opener.finish().is_err());
    }
}
