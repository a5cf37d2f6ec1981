//! The language-neutral vectors of `tests/vectors/`: made here with fixed nonces and salts, and opened again from the files.
//!
//! After a change that is meant to alter them (a new version of the format, or a new case) write them again with
//! `cargo test --package coffer-crypto -- --ignored write_the_vectors`; a vector of a released version never changes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::keys::label;
use crate::*;

#[derive(Serialize, Deserialize)]
struct File<T> {
    about: String,
    cases: Vec<T>,
}

/// Bytes that are written as lower-case hex.
#[derive(Debug, Clone, PartialEq)]
struct Hex(Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER.decode(text.as_bytes()).map(Hex).map_err(serde::de::Error::custom)
    }
}

impl Hex {
    fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> Hex {
    Hex(bytes.as_ref().to_vec())
}

/// Fixed bytes that look random: SHA-256 of their name.
fn fixed<const N: usize>(name: &str) -> [u8; N] {
    sha256(name.as_bytes())[..N].try_into().unwrap()
}

fn ring(root: &[u8; 32]) -> KeyRing {
    KeyRing::new(vec![RootKey::new("vectors".into(), root)]).unwrap()
}

fn vault_keys(root: &Hex, vault_id: &Hex) -> VaultKeys {
    VaultKeys::new(&ring(&root.array()), VaultId(vault_id.array()))
}

/// A plaintext of any length: byte i is (31 i + floor(i / 251)) mod 256.
fn pattern(size: u64) -> Vec<u8> {
    (0..size).map(|i| (31 * i + i / 251) as u8).collect()
}

#[derive(Serialize, Deserialize)]
struct KeyCase {
    root: Hex,
    vault_id: Hex,
    kid: Hex,
    descriptor_key: Hex,
    keys: BTreeMap<String, Hex>,
}

const KEY_LABELS: [&str; 10] = [
    label::WRAP,
    "coffer/1/log/catalog",
    "coffer/1/log/audit",
    label::CHECKPOINT,
    label::CHECKPOINT_HEAD,
    label::REDIS,
    label::ANCHOR,
    label::MARKER,
    label::SHARE,
    label::LINK,
];

fn key_case(name: &str) -> KeyCase {
    let (root, vault_id) = (fixed(&format!("{name} root")), fixed(&format!("{name} vault")));
    let ring = ring(&root);
    let keys = VaultKeys::new(&ring, VaultId(vault_id));
    let kid = ring.active().kid();
    KeyCase {
        root: hex(root),
        vault_id: hex(vault_id),
        kid: hex(kid.0),
        descriptor_key: hex(*ring.active().descriptor_key()),
        keys: KEY_LABELS.iter().map(|text| (text.to_string(), hex(*keys.opening_key(kid, &[text]).unwrap()))).collect(),
    }
}

#[derive(Serialize, Deserialize)]
struct DescriptorCase {
    root: Hex,
    nonce: Hex,
    format: u8,
    vault_id: Hex,
    created_ms: u64,
    object: Hex,
    opens: bool,
}

fn descriptor_cases() -> Vec<DescriptorCase> {
    let (root, nonce, vault_id) = (fixed("root"), fixed("descriptor nonce"), fixed("vault"));
    let case = |format, edit: fn(&mut Vec<u8>)| {
        let descriptor = Descriptor { format, vault_id: VaultId(vault_id), created_ms: 1_790_000_000_123 };
        let mut object = descriptor::seal_descriptor_with_nonce(&ring(&root), &descriptor, &nonce);
        edit(&mut object);
        let opens = open_descriptor(&ring(&root), &object).is_ok();
        let (root, nonce, vault_id) = (hex(root), hex(nonce), hex(vault_id));
        DescriptorCase { root, nonce, format, vault_id, created_ms: 1_790_000_000_123, object: Hex(object), opens }
    };
    vec![
        case(1, |_| ()),
        case(2, |_| ()),
        case(1, |object| object[0] = 2),
        case(1, |object| object[20] ^= 1),
        case(1, |object| object.truncate(object.len() - 1)),
    ]
}

#[derive(Serialize, Deserialize)]
struct RecordCase {
    root: Hex,
    vault_id: Hex,
    label: String,
    aad: Hex,
    nonce: Hex,
    plaintext: Hex,
    record: Hex,
}

const RECORD_LABELS: [(Label, &str); 6] = [
    (Label::CheckpointHead, label::CHECKPOINT_HEAD),
    (Label::Redis, label::REDIS),
    (Label::Anchor, label::ANCHOR),
    (Label::Marker, label::MARKER),
    (Label::Share, label::SHARE),
    (Label::Link, label::LINK),
];

fn record_case((at, (label, text)): (usize, &(Label, &str))) -> RecordCase {
    let (root, vault_id) = (hex(fixed::<32>("root")), hex(fixed::<16>("vault")));
    let nonce = fixed(&format!("{text} nonce"));
    let (aad, plaintext) = (text.as_bytes()[..at * 2].to_vec(), pattern(at as u64 * 50));
    let record = vault_keys(&root, &vault_id).seal_with_nonce(*label, &aad, &plaintext, &nonce);
    RecordCase {
        root,
        vault_id,
        label: text.to_string(),
        aad: Hex(aad),
        nonce: hex(nonce),
        plaintext: Hex(plaintext),
        record: Hex(record),
    }
}

#[derive(Serialize, Deserialize)]
struct WrapCase {
    root: Hex,
    vault_id: Hex,
    blob_id: Hex,
    purpose: u8,
    nonce: Hex,
    dek: Hex,
    wrapped: Hex,
}

const PURPOSES: [Purpose; 3] = [Purpose::Content, Purpose::Thumbnail, Purpose::Preview];

fn wrap_case(purpose: Purpose) -> WrapCase {
    let (root, vault_id) = (hex(fixed::<32>("root")), hex(fixed::<16>("vault")));
    let (blob_id, dek) = (fixed(&format!("blob {purpose:?}")), fixed(&format!("dek {purpose:?}")));
    let nonce = fixed(&format!("wrap {purpose:?}"));
    let keys = vault_keys(&root, &vault_id);
    let wrapped = keys.wrap_with_nonce(&Dek::from_bytes(dek), BlobId(blob_id), purpose, &nonce);
    WrapCase {
        root,
        vault_id,
        blob_id: hex(blob_id),
        purpose: purpose as u8,
        nonce: hex(nonce),
        dek: hex(dek),
        wrapped: hex(wrapped.as_bytes()),
    }
}

#[derive(Serialize, Deserialize)]
struct EntryCase {
    root: Hex,
    vault_id: Hex,
    log: String,
    seq: u64,
    epoch: u64,
    writer: Hex,
    prev: Hex,
    nonce: Hex,
    body: Hex,
    object: Hex,
    sha256: Hex,
}

/// A chain of three entries in the catalog, and one entry of the audit log.
fn entry_cases() -> Vec<EntryCase> {
    let mut prev = [0; 32];
    let mut cases = Vec::new();
    for (log, seq, size) in [("catalog", 0, 0), ("catalog", 1, 252), ("catalog", 2, 253), ("audit", 0, 9)] {
        if seq == 0 {
            prev = [0; 32];
        }
        let (root, vault_id) = (hex(fixed::<32>("root")), hex(fixed::<16>("vault")));
        let at = EntryPosition { log, seq, epoch: 1_790_000_000_000 + seq, writer: fixed("writer") };
        let nonce = fixed(&format!("{log} {seq}"));
        let body = pattern(size);
        let object = vault_keys(&root, &vault_id).seal_entry_with_nonce(&at, &prev, &body, &nonce);
        let hash = sha256(&object);
        cases.push(EntryCase {
            root,
            vault_id,
            log: log.into(),
            seq,
            epoch: at.epoch,
            writer: hex(at.writer),
            prev: hex(prev),
            nonce: hex(nonce),
            body: Hex(body),
            object: Hex(object),
            sha256: hex(hash),
        });
        prev = hash;
    }
    cases
}

#[derive(Serialize, Deserialize)]
struct ContentCase {
    dek: Hex,
    vault_id: Hex,
    blob_id: Hex,
    k: u8,
    size: u64,
    salts: Vec<Hex>,
    /// The first 56 bytes of each part.
    headers: Vec<Hex>,
    object_size: u64,
    object_sha256: Hex,
    content_hash: Hex,
    /// Left out where it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Hex>,
}

const CONTENT_INLINE: usize = 50_000;

impl ContentCase {
    fn shape(&self) -> BlobShape {
        let geometry = Geometry::small(self.k);
        let (vault_id, blob_id) = (VaultId(self.vault_id.array()), BlobId(self.blob_id.array()));
        BlobShape { vault_id, blob_id, geometry, size: self.size }
    }
}

fn content_case(&(k, size): &(u8, u64)) -> ContentCase {
    let name = format!("content {k} {size}");
    let (dek, blob_id) = (fixed(&format!("{name} dek")), fixed(&format!("{name} blob")));
    let vault_id = fixed("vault");
    let geometry = Geometry::small(k);
    let shape = BlobShape { vault_id: VaultId(vault_id), blob_id: BlobId(blob_id), geometry, size };
    let (mut object, mut salts, mut headers, mut hash) = (vec![], vec![], vec![], ContentHash::default());
    let plaintext = pattern(size);
    for part in 0..shape.part_count() {
        let start = (u64::from(part) * geometry.part_size()) as usize;
        let text = &plaintext[start..start + geometry.part_plain_len(size, part) as usize];
        let (salt, begin): (Salt, usize) = (fixed(&format!("{name} salt {part}")), object.len());
        content::seal_part_with_salt(&Dek::from_bytes(dek), &shape.part(part), &salt, text, &mut object);
        headers.push(hex(&object[begin..begin + PART_HEADER]));
        salts.push(hex(salt));
        hash.push_part(&sha256(text));
    }
    ContentCase {
        dek: hex(dek),
        vault_id: hex(vault_id),
        blob_id: hex(blob_id),
        k,
        size,
        salts,
        headers,
        object_size: object.len() as u64,
        object_sha256: hex(sha256(&object)),
        content_hash: hex(hash.finish()),
        object: (object.len() < CONTENT_INLINE).then_some(Hex(object)),
    }
}

const CONTENT: [(u8, u64); 9] = [
    (23, 0),
    (23, 1),
    (23, 16_383),
    (23, 16_384),
    (23, 16_385),
    (14, 2 * 16_384 + 100),
    (14, 2 * 16_384),
    (15, 100_000),
    (23, (1 << 23) + 1),
];

#[derive(Serialize, Deserialize)]
struct RangeCase {
    k: u8,
    size: u64,
    start: u64,
    end: u64,
    object_start: u64,
    object_end: u64,
    steps: Vec<StepCase>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct StepCase {
    part: u32,
    has_header: bool,
    first_chunk: u64,
    chunk_count: u64,
    skip: u64,
    take: u64,
}

const RANGES: [(u8, u64, u64, u64); 14] = [
    (23, 0, 0, 0),
    (23, 1, 0, 1),
    (23, 16_384, 0, 16_384),
    (23, 16_384, 16_383, 16_384),
    (23, 20_000_000, 0, 1),
    (23, 20_000_000, 20_000, 20_001),
    (23, 20_000_000, 16_383, 16_385),
    (23, 20_000_000, 8_388_607, 8_388_609),
    (23, 20_000_000, 8_388_608, 16_777_216),
    (23, 20_000_000, 0, 20_000_000),
    (23, 20_000_000, 5, 5),
    (23, 20_000_000, 19_999_999, 30_000_000),
    (24, 68_719_476_737, 68_719_476_000, 68_719_476_737),
    (32, 35_184_372_088_832, 35_184_372_088_831, 35_184_372_088_832),
];

fn plan(&(k, size, start, end): &(u8, u64, u64, u64)) -> RangeCase {
    let plan = plan_range(Geometry::from_k(k).unwrap(), size, start..end);
    let steps = plan.steps.into_iter().map(|PartSlice { part, has_header, first_chunk, chunk_count, skip, take }| {
        StepCase { part, has_header, first_chunk, chunk_count, skip, take }
    });
    let (object_start, object_end) = (plan.object.start, plan.object.end);
    RangeCase { k, size, start, end, object_start, object_end, steps: steps.collect() }
}

#[derive(Serialize, Deserialize)]
struct CheckpointCase {
    root: Hex,
    vault_id: Hex,
    log: u8,
    seq: u64,
    epoch: u64,
    writer: Hex,
    part: u32,
    is_final: bool,
    salt: Hex,
    size: u64,
    sealed: Hex,
}

fn checkpoint_case(&(log, part, is_final, size): &(u8, u32, bool, u64)) -> CheckpointCase {
    let (root, vault_id) = (hex(fixed::<32>("root")), hex(fixed::<16>("vault")));
    let (seq, epoch, writer, salt) = (4_096, 1_790_000_000_000, fixed("writer"), fixed(&format!("checkpoint {part}")));
    let place = CheckpointPart { log, seq, epoch, writer, part, is_final };
    let sealed = vault_keys(&root, &vault_id).seal_checkpoint_part_with_salt(&place, &salt, &pattern(size));
    CheckpointCase {
        root,
        vault_id,
        log,
        seq,
        epoch,
        writer: hex(writer),
        part,
        is_final,
        salt: hex(salt),
        size,
        sealed: Hex(sealed),
    }
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "tests", "vectors", &format!("{name}.json")].iter().collect()
}

fn file<T: Serialize>(about: &str, cases: Vec<T>) -> String {
    serde_json::to_string_pretty(&File { about: about.into(), cases }).unwrap() + "\n"
}

fn load<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let file: File<T> = serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap();
    assert!(!file.cases.is_empty());
    file.cases
}

fn all() -> [(&'static str, String); 8] {
    let content =
        "Whole blobs. Byte i of the plaintext is (31 i + floor(i / 251)) mod 256; k below 23 occurs only here.";
    let range = "Plans for reading [start, end) of a file of `size` bytes cut into parts of 2^k.";
    let head = [(1, 0, false, 20_000), (1, 1, true, 0), (2, 0, true, 5)];
    let records = RECORD_LABELS.iter().enumerate().map(record_case).collect();
    [
        ("keys", file("The key schedule.", vec![key_case("first"), key_case("second")])),
        ("descriptor", file("The object `vault`. Where `opens` is false it must be refused.", descriptor_cases())),
        ("record", file("Sealed records.", records)),
        ("wrap", file("Wrapped data keys.", PURPOSES.map(wrap_case).into())),
        ("entry", file("Log entries; `sha256` is of the object. The body is any bytes here.", entry_cases())),
        ("content", file(content, CONTENT.iter().map(content_case).collect())),
        ("range", file(range, RANGES.iter().map(plan).collect())),
        (
            "checkpoint",
            file(
                "Checkpoint parts; the plaintext is the pattern of content.json.",
                head.iter().map(checkpoint_case).collect(),
            ),
        ),
    ]
}

#[test]
#[ignore = "writes tests/vectors; for a change that is meant to alter them"]
fn write_the_vectors() {
    for (name, text) in all() {
        std::fs::write(path(name), text).unwrap();
    }
}

#[test]
fn the_committed_vectors_are_what_this_code_makes() {
    for (name, text) in all() {
        assert!(std::fs::read_to_string(path(name)).unwrap() == text, "tests/vectors/{name}.json has drifted");
    }
}

#[test]
fn sealed_vectors_open() {
    for case in load::<DescriptorCase>("descriptor") {
        let opened = open_descriptor(&ring(&case.root.array()), &case.object.0);
        assert_eq!(opened.is_ok(), case.opens);
        if let Ok(opened) = opened {
            assert_eq!((hex(opened.vault_id.0), opened.created_ms), (case.vault_id, case.created_ms));
        }
    }
    for case in load::<RecordCase>("record") {
        let (label, _) = RECORD_LABELS.iter().find(|(_, text)| *text == case.label).unwrap();
        let opened = vault_keys(&case.root, &case.vault_id).open(*label, &case.aad.0, &case.record.0).unwrap();
        assert_eq!(*opened, case.plaintext.0);
    }
    for case in load::<WrapCase>("wrap") {
        let wrapped = WrappedDek::from_slice(&case.wrapped.0).unwrap();
        let purpose = PURPOSES[case.purpose as usize - 1];
        let blob_id = BlobId(case.blob_id.array());
        let dek = vault_keys(&case.root, &case.vault_id).unwrap(&wrapped, blob_id, purpose).unwrap();
        assert_eq!(hex(dek.as_bytes()), case.dek);
    }
    for case in load::<EntryCase>("entry") {
        let log = if case.log == "audit" { "audit" } else { "catalog" };
        let at = EntryPosition { log, seq: case.seq, epoch: case.epoch, writer: case.writer.array() };
        let opened = vault_keys(&case.root, &case.vault_id).open_entry(&at, &case.object.0).unwrap();
        assert_eq!((opened.body, hex(opened.prev)), (case.body.0, case.prev));
    }
    for case in load::<CheckpointCase>("checkpoint") {
        let keys = vault_keys(&case.root, &case.vault_id);
        let CheckpointCase { log, seq, epoch, part, is_final, .. } = case;
        let place = CheckpointPart { log, seq, epoch, writer: case.writer.array(), part, is_final };
        let opened = keys.open_checkpoint_part(keys.active_kid(), &place, &case.salt.array(), &case.sealed.0).unwrap();
        assert!(*opened == pattern(case.size));
    }
}

#[test]
fn content_vectors_open_as_a_whole_and_by_range() {
    for case in load::<ContentCase>("content") {
        let Some(object) = &case.object else { continue };
        let salts: Vec<Salt> = case.salts.iter().map(Hex::array).collect();
        for start in [0, 1, 16_384, case.size / 2] {
            let range = start.min(case.size)..case.size;
            let dek = Dek::from_bytes(case.dek.array());
            let mut opener = RangeOpener::new(dek, case.shape(), &salts, range.clone()).unwrap();
            let (bytes, mut out) = (opener.object(), Vec::new());
            opener.push(&object.0[bytes.start as usize..bytes.end as usize], &mut out).unwrap();
            opener.finish().unwrap();
            assert!(out == pattern(case.size)[range.start as usize..]);
        }
    }
}
