//! What a hostile bucket may try against sealed bytes, at random: every try is refused, and nothing unverified comes out.
//!
//! `PROPTEST_CASES` sets how many tries; the default keeps a run in seconds.

use std::collections::HashMap;
use std::ops::Range;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use proptest::prelude::*;
use proptest::sample::Index;

use super::key_and_nonce;
use crate::cobblestone::Message;
use crate::*;

const VAULT: VaultId = VaultId([7; 16]);

/// A sealed file as the catalog and the bucket hold it.
struct Stored {
    dek: Dek,
    shape: BlobShape,
    salts: Vec<Salt>,
    plaintext: Vec<u8>,
    object: Vec<u8>,
}

impl Stored {
    fn new(k: u8, size: u64, seed: u8) -> Self {
        let shape = BlobShape { vault_id: VAULT, blob_id: BlobId::random(), geometry: Geometry::small(k), size };
        let plaintext: Vec<u8> = (0..size).map(|i| (i * 131 + i / 257) as u8 ^ seed).collect();
        let mut stored = Self { dek: Dek::generate(), shape, salts: vec![], plaintext, object: vec![] };
        for part in 0..shape.part_count() {
            let text = &stored.plaintext[stored.plain_range(part)];
            let salt = seal_part(&stored.dek, &shape.part(part), text, &mut stored.object);
            stored.salts.push(salt);
        }
        assert_eq!(stored.object.len() as u64, shape.geometry.object_size(size));
        stored
    }

    fn plain_range(&self, part: u32) -> Range<usize> {
        let start = (u64::from(part) * self.shape.geometry.part_size()) as usize;
        start..start + self.shape.geometry.part_plain_len(self.shape.size, part) as usize
    }

    fn sealed_range(&self, part: u32) -> Range<usize> {
        let start = self.shape.geometry.part_offset(part) as usize;
        let text = self.shape.geometry.part_plain_len(self.shape.size, part);
        start..start + self.shape.geometry.sealed_part_len(text) as usize
    }

    /// Reads `range` from what a bucket answers with, in pieces of `piece` bytes.
    fn read(&self, object: &[u8], range: Range<u64>, piece: usize) -> (Vec<u8>, Result<(), OpenError>) {
        let mut opener = RangeOpener::new(self.dek.clone(), self.shape, &self.salts, range).unwrap();
        let bytes = opener.object();
        let end = object.len().min(bytes.end as usize);
        let answer = object.get(bytes.start as usize..end).unwrap_or_default();
        let mut out = Vec::new();
        let result = answer.chunks(piece).try_for_each(|piece| opener.push(piece, &mut out));
        (out, result.and_then(|()| opener.finish()))
    }

    /// The whole file must be refused, and what was given out before must be its true beginning.
    fn assert_refused(&self, object: &[u8]) -> Result<(), TestCaseError> {
        let mut opener = RangeOpener::new(self.dek.clone(), self.shape, &self.salts, 0..self.shape.size).unwrap();
        let mut out = Vec::new();
        let result = opener.push(object, &mut out).and_then(|()| opener.finish());
        prop_assert_eq!(result, Err(OpenError::Refused));
        prop_assert!(self.plaintext.starts_with(&out));
        Ok(())
    }
}

/// What is done to an object.
#[derive(Debug, Clone)]
enum Attack {
    Flip(Index, u8),
    Cut(Index),
    Append(Vec<u8>),
    CutAtChunk(Index),
    DropPart(Index),
    SwapParts(Index, Index),
    SwapChunks(Index, Index),
    RepeatChunk(Index),
    OtherBlob(Index),
    OlderAttempt(Index),
}

fn attack() -> impl Strategy<Value = Attack> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 1u8..).prop_map(|(at, mask)| Attack::Flip(at, mask)),
        index().prop_map(Attack::Cut),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Attack::Append),
        index().prop_map(Attack::CutAtChunk),
        index().prop_map(Attack::DropPart),
        (index(), index()).prop_map(|(a, b)| Attack::SwapParts(a, b)),
        (index(), index()).prop_map(|(a, b)| Attack::SwapChunks(a, b)),
        index().prop_map(Attack::RepeatChunk),
        index().prop_map(Attack::OtherBlob),
        index().prop_map(Attack::OlderAttempt),
    ]
}

impl Attack {
    fn apply(&self, stored: &Stored, mut object: Vec<u8>) -> Vec<u8> {
        let len = object.len();
        if len == 0 {
            return object;
        }
        let parts = stored.shape.part_count() as usize;
        let clip = |range: Range<usize>| range.start.min(len)..range.end.min(len);
        let part = |at: &Index| clip(stored.sealed_range(at.index(parts) as u32));
        let chunk = |at: &Index| {
            let start = PART_HEADER + at.index(len.div_ceil(CHUNK_SEALED)) * CHUNK_SEALED;
            clip(start..start + CHUNK_SEALED)
        };
        match self {
            Self::Flip(at, mask) => object[at.index(len)] ^= mask,
            Self::Cut(at) => object.truncate(at.index(len)),
            Self::Append(bytes) => object.extend(bytes),
            Self::CutAtChunk(at) => object.truncate(chunk(at).start),
            Self::DropPart(at) => drop(object.drain(part(at))),
            Self::SwapParts(a, b) => swap(&mut object, part(a), part(b)),
            Self::SwapChunks(a, b) => swap(&mut object, chunk(a), chunk(b)),
            Self::RepeatChunk(at) => {
                let bytes = object[chunk(at)].to_vec();
                object.splice(chunk(at).end..chunk(at).end, bytes);
            }
            Self::OtherBlob(at) => {
                let other = Stored::new(stored.shape.geometry.k(), stored.shape.size, 0);
                object.splice(part(at), other.object[stored.sealed_range(at.index(parts) as u32)].to_vec());
            }
            Self::OlderAttempt(at) => {
                let number = at.index(parts) as u32;
                let mut older = Vec::new();
                let text = vec![0xaa; stored.plain_range(number).len()];
                seal_part(&stored.dek, &stored.shape.part(number), &text, &mut older);
                object.splice(part(at), older);
            }
        }
        object
    }
}

fn swap(object: &mut Vec<u8>, a: Range<usize>, b: Range<usize>) {
    let (first, second) = if a.start <= b.start { (a, b) } else { (b, a) };
    if first.end > second.start {
        return;
    }
    let moved = [&object[second.clone()], &object[first.end..second.start], &object[first.clone()]].concat();
    object.splice(first.start..second.end, moved);
}

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_range_is_a_slice(k in 14u8..17, size in 0u64..150_000, ends: (Index, Index), piece in 1usize..40_000) {
        let stored = Stored::new(k, size, 1);
        let (a, b) = (ends.0.index(size as usize + 1) as u64, ends.1.index(size as usize + 1) as u64);
        let range = a.min(b)..a.max(b);
        let (out, result) = stored.read(&stored.object, range.clone(), piece.max(size as usize / 500));
        prop_assert_eq!(result, Ok(()));
        prop_assert!(out == stored.plaintext[range.start as usize..range.end as usize]);
    }

    #[test]
    fn no_changed_object_opens(k in 14u8..16, size in 0u64..100_000, attacks in prop::collection::vec(attack(), 1..3)) {
        let stored = Stored::new(k, size, 2);
        let object = attacks.iter().fold(stored.object.clone(), |object, attack| attack.apply(&stored, object));
        prop_assume!(object != stored.object);
        stored.assert_refused(&object)?;
    }

    #[test]
    fn a_range_from_a_changed_object_is_refused_or_true(size in 1u64..100_000, attack in attack(), ends: (Index, Index)) {
        let stored = Stored::new(14, size, 3);
        let (a, b) = (ends.0.index(size as usize + 1) as u64, ends.1.index(size as usize + 1) as u64);
        let range = a.min(b)..a.max(b);
        let (out, result) = stored.read(&attack.apply(&stored, stored.object.clone()), range.clone(), 10_000);
        let truth = &stored.plaintext[range.start as usize..range.end as usize];
        prop_assert!(truth.starts_with(&out));
        prop_assert!(result.is_err() || out == truth);
    }

    #[test]
    fn objects_of_one_size_look_alike(size in 0u64..200_000) {
        let (one, two) = (Stored::new(15, size, 4), Stored::new(15, size, 5));
        prop_assert_eq!(one.object.len(), two.object.len());
    }

    #[test]
    fn log_entries_take_few_sizes(a in 0usize..5_000, b in 0usize..5_000) {
        let keys = keys();
        let size = |body| keys.seal_entry(&AT, &[0; 32], &vec![1; body]).len();
        prop_assert_eq!(size(a) == size(b), (a + 4).div_ceil(256) == (b + 4).div_ceil(256));
    }

    #[test]
    fn no_changed_record_opens(at: Index, mask in 1u8.., aad: Vec<u8>, text: Vec<u8>) {
        let (keys, blob) = (keys(), BlobId::random());
        let flip = |sealed: &[u8]| {
            let mut flipped = sealed.to_vec();
            flipped[at.index(sealed.len())] ^= mask;
            flipped
        };
        let record = keys.seal(Label::Redis, &aad, &text);
        prop_assert_eq!(keys.open(Label::Redis, &aad, &record).map(|opened| opened.to_vec()), Ok(text.clone()));
        prop_assert!(keys.open(Label::Redis, &aad, &flip(&record)).is_err());
        let entry = keys.seal_entry(&AT, &[1; 32], &text);
        prop_assert!(keys.open_entry(&AT, &flip(&entry)).is_err());
        let wrapped = keys.wrap(&Dek::generate(), blob, Purpose::Content);
        let wrapped = WrappedDek::from_slice(&flip(wrapped.as_bytes())).unwrap();
        prop_assert!(keys.unwrap(&wrapped, blob, Purpose::Content).is_err());
    }

    #[test]
    fn no_key_and_nonce_meet_two_plaintexts(steps in prop::collection::vec(step(), 1..60)) {
        let mut uses: HashMap<([u8; 32], [u8; 12]), [u8; 32]> = HashMap::new();
        let (dek, shape) = (Dek::generate(), BlobShape {
            vault_id: VAULT, blob_id: BlobId::random(), geometry: Geometry::small(14), size: 3 * 16_384,
        });
        let mut sent: [Option<Vec<u8>>; 3] = Default::default();
        for Step { part, source, retry } in steps {
            let context = shape.part(part);
            let kept = sent[part as usize].take().filter(|_| retry == Retry::SameBytes);
            let sealed = kept.unwrap_or_else(|| {
                let mut out = Vec::new();
                seal_part(&dek, &context, &[source; 16_384], &mut out);
                out
            });
            let salt = sealed[..SALT].try_into().unwrap();
            for (index, chunk) in sealed[PART_HEADER..].chunks(CHUNK_SEALED).enumerate() {
                let pair = key_and_nonce(dek.as_bytes(), &salt, &context.bytes(), index as u64);
                let ciphertext = sha256(chunk);
                prop_assert_eq!(*uses.entry(pair).or_insert(ciphertext), ciphertext);
            }
            sent[part as usize] = Some(sealed);
        }
    }
}

/// One sending of a part: after an error, after a crash, or after the source has changed.
#[derive(Debug, Clone, Copy)]
struct Step {
    part: u32,
    source: u8,
    retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Retry {
    /// The network failed: the sealed bytes are still there.
    SameBytes,
    /// They are gone, or the source was read again.
    SealAgain,
}

fn step() -> impl Strategy<Value = Step> {
    let retry = prop_oneof![Just(Retry::SameBytes), Just(Retry::SealAgain)];
    (0u32..3, 0u8..3, retry).prop_map(|(part, source, retry)| Step { part, source, retry })
}

const AT: EntryPosition = EntryPosition { log: "catalog", seq: 1, epoch: 2, writer: [3; 8] };

fn keys() -> VaultKeys {
    VaultKeys::new(&KeyRing::new(vec![RootKey::new("k".into(), &[1; 32])]).unwrap(), VAULT)
}

#[test]
fn another_version_byte_is_a_hard_error_everywhere() {
    let (keys, blob) = (keys(), BlobId::random());
    let ring = KeyRing::new(vec![RootKey::new("k".into(), &[1; 32])]).unwrap();
    for version in (0..=255).filter(|version| *version != 1) {
        let change = |mut sealed: Vec<u8>| {
            assert_eq!(std::mem::replace(&mut sealed[0], version), 1);
            sealed
        };
        let descriptor = Descriptor { format: FORMAT, vault_id: VAULT, created_ms: 0 };
        let descriptor = open_descriptor(&ring, &change(seal_descriptor(&ring, &descriptor)));
        assert_eq!(descriptor.unwrap_err(), OpenError::Refused);
        let record = keys.open(Label::Anchor, b"", &change(keys.seal(Label::Anchor, b"", b"anchor")));
        assert_eq!(record.unwrap_err(), OpenError::Refused);
        let entry = keys.open_entry(&AT, &change(keys.seal_entry(&AT, &[0; 32], b"body")));
        assert_eq!(entry.unwrap_err(), OpenError::Refused);
        let wrapped = change(keys.wrap(&Dek::generate(), blob, Purpose::Content).as_bytes().to_vec());
        let dek = keys.unwrap(&WrappedDek::from_slice(&wrapped).unwrap(), blob, Purpose::Content);
        assert_eq!(dek.unwrap_err(), OpenError::Refused);
    }
}

#[test]
fn swapped_entries_and_swapped_redis_values_are_refused() {
    let keys = keys();
    let next = EntryPosition { seq: AT.seq + 1, ..AT };
    let (one, two) = (keys.seal_entry(&AT, &[0; 32], b"one"), keys.seal_entry(&next, &sha256(b"one"), b"two"));
    assert_eq!(keys.open_entry(&AT, &two).unwrap_err(), OpenError::Refused);
    assert_eq!(keys.open_entry(&next, &one).unwrap_err(), OpenError::Refused);
    let (a, b) = (keys.seal(Label::Redis, b"session:a", b"a"), keys.seal(Label::Redis, b"session:b", b"b"));
    assert_eq!(keys.open(Label::Redis, b"session:a", &b).unwrap_err(), OpenError::Refused);
    assert_eq!(keys.open(Label::Redis, b"session:b", &a).unwrap_err(), OpenError::Refused);
}

/// Multiplication in GCM's field (NIST SP 800-38D, 6.3), for the test below.
fn multiply(x: u128, y: u128) -> u128 {
    let (mut product, mut v) = (0, y);
    for bit in (0..128).rev() {
        product ^= if x >> bit & 1 == 1 { v } else { 0 };
        v = v >> 1 ^ if v & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

/// x^(2^128 - 2).
fn inverse(x: u128) -> u128 {
    let mut power = x;
    let mut product = 1 << 127; // one, in GCM's order of bits
    for _ in 1..128 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

/// Two keys under which one AES-GCM ciphertext is valid ("Invisible Salamanders", Dodis et al. 2018; CVE-2025-14762):
/// AES-GCM alone opens it under both, the message's commitment opens it under one.
#[test]
fn one_ciphertext_does_not_open_under_two_keys() {
    let (salt, contexts) = ([4; SALT], [b"one", b"two"]);
    let derived = contexts.map(|context| key_and_nonce(&[9; 32], &salt, context, 0));
    let gcm = derived.map(|(key, nonce)| (Aes256Gcm::new((&key).into()), nonce));
    let tag = |(cipher, nonce): &(Aes256Gcm, [u8; 12]), aad: &[u8]| {
        let tag = cipher.encrypt_inout_detached(nonce.into(), aad, (&mut [] as &mut [u8]).into()).unwrap();
        u128::from_be_bytes(tag.into())
    };
    // The tag of nothing is the mask; the tag of one block of zeros as data is mask + length * H.
    let mask = gcm.each_ref().map(|key| tag(key, b""));
    let h = [0, 1].map(|i| multiply(tag(&gcm[i], &[0; 16]) ^ mask[i], inverse(128 << 64)));
    // tag = c0 H^3 + c1 H^2 + length H + mask: choose c0, and solve for the c1 that makes both tags one.
    let square = h.map(|h| multiply(h, h));
    let (c0, length) = (0x1234_5678, 256);
    let side = |i: usize| multiply(c0, multiply(square[i], h[i])) ^ multiply(length, h[i]) ^ mask[i];
    let c1 = multiply(side(0) ^ side(1), inverse(square[0] ^ square[1]));
    let shared_tag = side(0) ^ multiply(c1, square[0]);
    let ciphertext = [c0, c1].map(u128::to_be_bytes).concat();
    let shared_tag = shared_tag.to_be_bytes();

    for (cipher, nonce) in &gcm {
        let mut text = ciphertext.clone();
        cipher
            .decrypt_inout_detached(nonce.into(), &[], text.as_mut_slice().into(), &Tag::from(shared_tag))
            .expect("AES-GCM commits to no key");
    }
    let messages = contexts.map(|context| Message::derive(&[9; 32], &salt, context));
    for owner in 0..2 {
        let mut sealed = Vec::new();
        messages[owner].seal(b"", &mut sealed);
        sealed.truncate(PART_HEADER);
        sealed.extend([ciphertext.as_slice(), &shared_tag].concat());
        assert!(messages[owner].open(&sealed).is_ok());
        assert_eq!(messages[1 - owner].open(&sealed).unwrap_err(), OpenError::Refused);
    }
}
