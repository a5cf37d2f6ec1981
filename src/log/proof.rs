//! The chain proven from outside: every retained entry opened and followed, without a lease and without a state.
//!
//! It names each object that is wrong. While a writer is at work, entries that are written after the listing are not looked
//! at, and an anchor that moved meanwhile is no fault as long as it lies beyond the head that was seen.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt as _, stream};

use super::anchor::AnchorFile;
use super::chain::{Chain, Hash, Link, NO_ENTRY};
use super::entry::{Envelope, Operation};
use super::freshness::{Verdict, judge};
use super::load::{FETCHES_AT_ONCE, LoadError, Memories, fetch_one};
use super::name::{LOGS, Place, entries_of};
use super::own::OwnOperation;
use super::{LogParts, Machine};

/// What was found of a log.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Entries that lie on the chain.
    pub entries: u64,
    /// The oldest and the newest of them.
    pub span: Option<(Place, Place)>,
    /// Entries beside the chain: unacknowledged writes of writers that were replaced.
    pub forks: Vec<Place>,
    /// What is wrong; nothing in a log that is proven.
    pub faults: Vec<Fault>,
    /// Whether an anchor outside the bucket says that the head is the newest.
    pub is_anchored: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The object, or what else it is about.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

/// What proving needs to know of an entry.
struct Known {
    link: Link,
    forgotten_up_to: Option<u64>,
    passed_over: Vec<Place>,
}

/// Opens and follows every entry of a log that the bucket holds.
///
/// # Errors
/// In words: bucket or Redis did not answer.
pub async fn prove<M: Machine>(parts: &LogParts) -> Result<Proof, String> {
    let file = parts.config.state_dir.as_deref();
    let file = file.map(|folder| AnchorFile::new(folder, parts.keys.vault_id(), M::NAME));
    // Before the listing: whatever they remember is there by then.
    let memories = Memories::ask(parts, M::NAME, None, file.as_ref()).await.map_err(|error| error.to_string())?;
    let listed = parts.store.list(&entries_of(M::NAME)).await.map_err(|error| error.to_string())?;
    let mut proof = Proof::default();
    let mut names = Vec::new();
    for object in &listed {
        match Place::from_entry_key(M::NAME, &object.key) {
            Some(place) => names.push(place),
            None => proof.fault(&object.key, "is no entry's name"),
        }
    }
    let mut fetched = stream::iter(names)
        .map(|place| async move { (place, fetch_one::<M>(parts, place).await) })
        .buffered(FETCHES_AT_ONCE);
    let mut known: BTreeMap<Place, Known> = BTreeMap::new();
    while let Some((place, opened)) = fetched.next().await {
        match opened {
            Ok(Some((link, fetched))) => match Envelope::<M::Operation>::decode(&fetched.body) {
                Ok(envelope) => {
                    let own = envelope.commits.iter().flat_map(|commit| commit.operations());
                    known.insert(place, Known::of(link, own));
                }
                Err(error) => proof.fault(&place.entry_key(M::NAME), &error.to_string()),
            },
            Ok(None) => proof.fault(&place.entry_key(M::NAME), "was changed or is gone"),
            Err(LoadError::Refused(reason)) => proof.fault(&place.entry_key(M::NAME), &reason),
            Err(error) => return Err(error.to_string()),
        }
    }
    proof.follow::<M>(&known, &memories);
    Ok(proof)
}

impl Known {
    fn of<'a, O: 'a>(link: Link, operations: impl Iterator<Item = &'a Operation<O>>) -> Self {
        let mut known = Self { link, forgotten_up_to: None, passed_over: Vec::new() };
        for operation in operations {
            match operation {
                Operation::Own(OwnOperation::Forgotten { up_to, .. }) => {
                    known.forgotten_up_to = known.forgotten_up_to.max(*up_to);
                }
                Operation::Own(OwnOperation::Accepted { passed_over, .. }) => {
                    known.passed_over.extend_from_slice(passed_over);
                }
                _ => {}
            }
        }
        known
    }
}

impl Proof {
    fn fault(&mut self, object: &str, what: &str) {
        self.faults.push(Fault { object: object.to_owned(), what: what.to_owned() });
    }

    /// Follows the chain back from the highest entry that opens, and goes on below each break.
    fn follow<M: Machine>(&mut self, known: &BTreeMap<Place, Known>, memories: &Memories) {
        let passed_over: Vec<Place> = known.values().flat_map(|entry| entry.passed_over.iter().copied()).collect();
        let head = known.keys().rev().find(|place| !passed_over.contains(place)).copied();
        let Some(head) = head else {
            if memories.epoch() > 0 {
                self.fault(&format!("{LOGS}{}", M::NAME), "has no entries though an anchor remembers some");
            }
            return;
        };
        let by_hash: HashMap<Hash, Place> = known.iter().map(|(place, entry)| (entry.link.hash, *place)).collect();
        let (mut hashes, mut at, mut forgotten) = (BTreeMap::new(), head, None);
        loop {
            let entry = &known[&at];
            hashes.insert(at.seq, entry.link.hash);
            forgotten = forgotten.max(entry.forgotten_up_to);
            if at.seq == 0 {
                if entry.link.prev != NO_ENTRY {
                    self.fault(&at.entry_key(M::NAME), "is the first entry and yet names another before it");
                }
                break;
            }
            let before = by_hash.get(&entry.link.prev).filter(|place| place.seq + 1 == at.seq);
            let Some(before) = before.copied().or_else(|| self.bridge::<M>(known, at, forgotten)) else { break };
            at = before;
        }
        self.entries = hashes.len() as u64;
        self.span = Some((at, head));
        self.forks = known.keys().filter(|place| !on(&hashes, known, place)).copied().collect();
        let chain = Chain { base: None, entries: vec![], head, hashes, passed_over: vec![] };
        let judgement = judge(&memories.all, &chain, forgotten);
        self.is_anchored = judgement.verdict == Verdict::Proven;
        if let Verdict::Alarm(reasons) = judgement.verdict {
            reasons.iter().for_each(|reason| self.fault(M::NAME, reason));
        }
    }

    /// Where to go on below an entry whose predecessor is not there; the break is a fault unless the log was forgotten
    /// up to there.
    fn bridge<M: Machine>(
        &mut self,
        known: &BTreeMap<Place, Known>,
        at: Place,
        forgotten: Option<u64>,
    ) -> Option<Place> {
        let below =
            known.keys().filter(|place| place.seq < at.seq).max_by_key(|place| (place.seq, place.term)).copied();
        if below.is_none() && Some(at.seq) <= forgotten.map(|seq| seq + 1) {
            return None;
        }
        self.fault(&format!("{LOGS}{}, entry {}", M::NAME, at.seq - 1), "is not what the next entry was written after");
        below
    }
}

fn on(hashes: &BTreeMap<u64, Hash>, known: &BTreeMap<Place, Known>, place: &Place) -> bool {
    hashes.get(&place.seq) == known.get(place).map(|entry| &entry.link.hash)
}
