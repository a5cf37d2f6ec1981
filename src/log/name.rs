//! Names of the log's objects: where an entry, a marker and a checkpoint lie in the bucket.
//!
//! A name carries the whole position (sequence number, epoch, writer), so that no two writers ever share one and nothing
//! is ever overwritten. What is read from a listing is a claim of the bucket: the sealed content decides, with the
//! position as its associated data. Parsing is strict, a name that is written in any other way is foreign.

use std::fmt;

use data_encoding::HEXLOWER;
use minicbor::{Decode, Encode};

/// Where the take-over markers of all logs of a vault lie.
pub(crate) const MARKERS: &str = "writer/";
/// Where all logs lie.
pub(crate) const LOGS: &str = "log/";
/// Where all checkpoints lie.
pub(crate) const CHECKPOINTS: &str = "checkpoint/";

/// One writer's time in office: 8 random bytes drawn at each take-over.
pub type Writer = [u8; 8];

/// A take-over, ordered by (epoch, writer): of two, the higher one is the rightful writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Term {
    /// Rises with each take-over; starts at Unix milliseconds.
    #[n(0)]
    pub epoch: u64,
    /// Tells two writers of one epoch apart.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub writer: Writer,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.epoch, HEXLOWER.encode(&self.writer))
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Term {
    /// The marker's key in the bucket.
    pub(crate) fn marker_key(&self) -> String {
        format!("{MARKERS}{self}")
    }

    /// Reads a marker's key back.
    pub(crate) fn from_marker_key(key: &str) -> Option<Self> {
        parse_term(key.strip_prefix(MARKERS)?)
    }
}

/// An entry's or a checkpoint's place, ordered by (epoch, writer, seq): the highest is the head.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Place {
    /// Who wrote it.
    #[n(0)]
    pub term: Term,
    /// Its number, from 0 without gaps.
    #[n(1)]
    pub seq: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.seq, self.term)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Place {
    /// The entry's key in the bucket.
    pub(crate) fn entry_key(&self, log: &str) -> String {
        format!("{LOGS}{log}/{self}")
    }

    /// Reads an entry's key back.
    pub(crate) fn from_entry_key(log: &str, key: &str) -> Option<Self> {
        parse_place(key.strip_prefix(LOGS)?.strip_prefix(log)?.strip_prefix('/')?)
    }

    /// The key of one part of the checkpoint of this place.
    pub(crate) fn part_key(&self, log: &str, part: u32) -> String {
        format!("{CHECKPOINTS}{log}/{self}/{part:08x}")
    }

    /// The key of the head of the checkpoint of this place.
    pub(crate) fn head_key(&self, log: &str) -> String {
        format!("{CHECKPOINTS}{log}/{self}/head")
    }

    /// Reads the place out of any key of a checkpoint.
    pub(crate) fn from_checkpoint_key(log: &str, key: &str) -> Option<Self> {
        let rest = key.strip_prefix(CHECKPOINTS)?.strip_prefix(log)?.strip_prefix('/')?;
        let (place, object) = rest.split_once('/')?;
        let known = object == "head" || (object.len() == 8 && is_lower_hex(object));
        if known { parse_place(place) } else { None }
    }
}

/// The prefix of a log's entries.
pub(crate) fn entries_of(log: &str) -> String {
    format!("{LOGS}{log}/")
}

/// Digits of a sequence number that differ within a block of names.
const BLOCK_DIGITS: u32 = 2;

/// The block of names that a sequence number is in.
pub(crate) fn block_of(seq: u64) -> u64 {
    seq >> (4 * BLOCK_DIGITS)
}

/// The prefix of the entries of one block: a listing of 256 numbers, whatever the length of the log.
pub(crate) fn names_in_block(log: &str, block: u64) -> String {
    format!("{}{block:014x}", entries_of(log))
}

/// The prefix of a log's checkpoints.
pub(crate) fn checkpoints_of(log: &str) -> String {
    format!("{CHECKPOINTS}{log}/")
}

fn parse_place(text: &str) -> Option<Place> {
    let (seq, term) = text.split_once('-')?;
    Some(Place { seq: parse_u64(seq)?, term: parse_term(term)? })
}

fn parse_term(text: &str) -> Option<Term> {
    let (epoch, writer) = text.split_once('-')?;
    if !is_lower_hex(writer) {
        return None;
    }
    let writer = HEXLOWER.decode(writer.as_bytes()).ok()?.try_into().ok()?;
    Some(Term { epoch: parse_u64(epoch)?, writer })
}

fn parse_u64(text: &str) -> Option<u64> {
    if text.len() == 16 && is_lower_hex(text) { u64::from_str_radix(text, 16).ok() } else { None }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_itself() {
        let term = Term { epoch: 0x0123_4567_89ab_cdef, writer: [0xfe; 8] };
        let place = Place { term, seq: 42 };
        assert_eq!(place.entry_key("catalog"), "log/catalog/000000000000002a-0123456789abcdef-fefefefefefefefe");
        assert_eq!(Term::from_marker_key(&term.marker_key()), Some(term));
        assert_eq!(Place::from_entry_key("catalog", &place.entry_key("catalog")), Some(place));
        assert_eq!(Place::from_checkpoint_key("catalog", &place.part_key("catalog", 7)), Some(place));
        assert_eq!(Place::from_checkpoint_key("catalog", &place.head_key("catalog")), Some(place));
    }

    #[test]
    fn a_name_written_in_any_other_way_is_foreign() {
        let good = "000000000000002a-0123456789abcdef-fefefefefefefefe";
        let bad = [
            String::new(),
            good.to_uppercase(),
            format!("+{}", &good[1..]),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
            good.replace('-', "_"),
            format!("{good}-"),
            format!("0{good}"),
            format!("{good}/head"),
        ];
        for name in bad {
            assert_eq!(Place::from_entry_key("catalog", &format!("log/catalog/{name}")), None, "{name}");
        }
        assert_eq!(Place::from_entry_key("catalog", &format!("log/audit/{good}")), None);
        assert_eq!(Place::from_checkpoint_key("catalog", &format!("checkpoint/catalog/{good}/other")), None);
        assert_eq!(Place::from_checkpoint_key("catalog", &format!("checkpoint/catalog/{good}/0000000G")), None);
    }

    #[test]
    fn a_block_holds_the_names_of_256_numbers() {
        let key = |seq| Place { term: Term { epoch: 1, writer: [0; 8] }, seq }.entry_key("catalog");
        for seq in [0, 0xff, 0x100, 0xabcd, u64::MAX] {
            assert!(key(seq).starts_with(&names_in_block("catalog", block_of(seq))), "{seq}");
        }
        assert!(!key(0x100).starts_with(&names_in_block("catalog", block_of(0xff))));
    }

    #[test]
    fn the_head_is_the_highest_epoch_whatever_its_sequence_number() {
        let low = Place { term: Term { epoch: 1, writer: [9; 8] }, seq: 900 };
        let high = Place { term: Term { epoch: 2, writer: [0; 8] }, seq: 3 };
        assert!(high > low);
        assert!(Place { seq: 4, ..high } > high);
        assert!(Place { term: Term { writer: [1; 8], ..high.term }, seq: 0 } > high);
    }
}
