//! A small exhaustive model of the writers' protocol: every interleaving of three writers, with PUTs that land late, a
//! lease that ends at any time and a Redis that is emptied under them.
//!
//! The head is chosen by the product's own [`follow`]. At every state a fresh loader must find every acknowledged entry,
//! and the anchor in Redis must not raise a false alarm. Protocols that leave a step out are run too, to see that the
//! model finds what is wrong with them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::chain::{Chain, Hash, Link, Links, Listing, NO_ENTRY, Step as Follow, follow};
use super::name::{Place, Term};

const WRITERS: usize = 3;

/// (epoch, writer, seq): an entry.
type Id = (u8, u8, u8);

/// Which protocol is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Argued,
    /// Acknowledges without listing the markers after the PUT.
    NoListAfterPut,
    /// Lists the log before it puts its marker.
    LoadBeforeMarker,
    /// Serves as soon as it has loaded: its first entry is a caller's.
    NoFirstEntry,
}

/// How much may happen.
#[derive(Clone, Copy)]
struct Bounds {
    entries_per_writer: u8,
    lease_ends: u8,
    flushes: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Idle,
    Claim,
    EarlyLoad,
    PutMarker,
    ListMarkers,
    Load,
    Put,
    Wait(Id),
    Confirm(Id),
    Script(Id),
    Gone,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Writer {
    step: Step,
    epoch: u8,
    head: Option<Id>,
    parent_anchor: Option<Id>,
    written: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    writers: [Writer; WRITERS],
    lease: Option<u8>,
    anchor: Option<Id>,
    markers: BTreeSet<(u8, u8)>,
    landed: BTreeMap<Id, Option<Id>>,
    flying: BTreeMap<Id, Option<Id>>,
    /// Acknowledged, or read by someone.
    promised: BTreeSet<Id>,
    lease_ends: u8,
    flushes: u8,
}

fn place(id: Id) -> Place {
    Place { term: Term { epoch: u64::from(id.0), writer: [id.1; 8] }, seq: u64::from(id.2) }
}

fn hash(id: Id) -> Hash {
    let mut hash = [0xff; 32];
    (hash[0], hash[1], hash[2]) = id;
    hash
}

impl State {
    fn new(bounds: Bounds) -> Self {
        let writer = Writer { step: Step::Idle, epoch: 0, head: None, parent_anchor: None, written: 0 };
        Self {
            writers: std::array::from_fn(|_| writer.clone()),
            lease: None,
            anchor: None,
            markers: BTreeSet::new(),
            landed: BTreeMap::new(),
            flying: BTreeMap::new(),
            promised: BTreeSet::new(),
            lease_ends: bounds.lease_ends,
            flushes: bounds.flushes,
        }
    }

    /// What a loader would take for the log now.
    fn chain(&self) -> Option<Chain> {
        let listing = Listing::new(self.landed.keys().copied().map(place));
        let link = |(id, prev): (&Id, &Option<Id>)| {
            let link = Link { hash: hash(*id), prev: prev.map_or(NO_ENTRY, hash), checkpoints: vec![] };
            (place(*id), Some(link))
        };
        let links: Links = self.landed.iter().map(link).collect();
        match follow(&listing, &links, &HashSet::new(), u64::MAX) {
            Follow::Found(chain) => Some(chain),
            Follow::Nothing => None,
            Follow::Fetch(names) => panic!("everything is known: {names:?}"),
        }
    }

    fn check(&self) -> Result<(), String> {
        let chain = self.chain();
        let entries = chain.as_ref().map_or(&[][..], |chain| &chain.entries);
        if chain.as_ref().is_some_and(|chain| !chain.passed_over.is_empty()) {
            return Err(format!("a missing link: {self:?}"));
        }
        let missing = |id: &&Id| !entries.contains(&place(**id));
        if let Some(lost) = self.promised.iter().find(missing) {
            return Err(format!("{lost:?} was promised and is lost: {self:?}"));
        }
        if let Some(anchor) = self.anchor.iter().find(missing) {
            return Err(format!("a false alarm about {anchor:?}: {self:?}"));
        }
        Ok(())
    }

    fn successors(&self, protocol: Protocol, bounds: Bounds) -> Vec<Self> {
        let mut next: Vec<Self> = (0..WRITERS).filter_map(|writer| self.advance(writer, protocol, bounds)).collect();
        for (id, prev) in &self.flying {
            let mut state = self.clone();
            state.flying.remove(id);
            state.landed.insert(*id, *prev);
            next.push(state);
        }
        if self.lease.is_some() && self.lease_ends > 0 {
            next.push(Self { lease: None, lease_ends: self.lease_ends - 1, ..self.clone() });
        }
        if self.anchor.is_some() && self.flushes > 0 {
            next.push(Self { lease: None, anchor: None, flushes: self.flushes - 1, ..self.clone() });
        }
        next
    }

    /// One step of a writer; `None` when it waits for something or is gone.
    fn advance(&self, number: usize, protocol: Protocol, bounds: Bounds) -> Option<Self> {
        let mut state = self.clone();
        let me = u8::try_from(number).expect("three writers");
        let mut writer = state.writers[number].clone();
        let is_outranked = state.markers.iter().any(|marker| *marker > (writer.epoch, me));
        writer.step = match writer.step {
            Step::Gone => return None,
            Step::Idle if state.lease.is_some() => return None,
            Step::Idle => {
                state.lease = Some(me);
                Step::Claim
            }
            Step::Claim => {
                let known = state.markers.last().map_or(0, |marker| marker.0);
                writer.epoch = known.max(state.anchor.map_or(0, |anchor| anchor.0)) + 1;
                writer.parent_anchor = state.anchor;
                if protocol == Protocol::LoadBeforeMarker { Step::EarlyLoad } else { Step::PutMarker }
            }
            Step::EarlyLoad => {
                writer.head = state.head();
                Step::PutMarker
            }
            Step::PutMarker => {
                state.markers.insert((writer.epoch, me));
                Step::ListMarkers
            }
            Step::ListMarkers if is_outranked => Step::Gone,
            Step::ListMarkers => Step::Load,
            Step::Load => {
                if protocol != Protocol::LoadBeforeMarker {
                    writer.head = state.head();
                }
                if protocol == Protocol::NoFirstEntry {
                    state.promised.extend(writer.head);
                }
                if writer.head.is_some_and(|head| head.0 >= writer.epoch) { Step::Gone } else { Step::Put }
            }
            Step::Put => {
                let id = (writer.epoch, me, writer.head.map_or(0, |head| head.2 + 1));
                state.flying.insert(id, writer.head);
                Step::Wait(id)
            }
            Step::Wait(id) if !state.landed.contains_key(&id) => return None,
            Step::Wait(id) if protocol == Protocol::NoListAfterPut => Step::Script(id),
            Step::Wait(id) => Step::Confirm(id),
            Step::Confirm(_) if is_outranked => Step::Gone,
            Step::Confirm(id) => Step::Script(id),
            Step::Script(id) if state.lease == Some(me) && state.anchor == writer.parent_anchor => {
                state.anchor = Some(id);
                state.promised.insert(id);
                writer.head = Some(id);
                writer.parent_anchor = Some(id);
                writer.written += 1;
                if writer.written < bounds.entries_per_writer { Step::Put } else { Step::Gone }
            }
            Step::Script(_) => Step::Gone,
        };
        state.writers[number] = writer;
        Some(state)
    }

    fn head(&self) -> Option<Id> {
        let head = self.chain()?.head;
        let number = |long: u64| u8::try_from(long).expect("small numbers");
        Some((number(head.term.epoch), head.term.writer[0], number(head.seq)))
    }
}

/// Visits every state and returns how many there are, or what is wrong with one.
fn explore(protocol: Protocol, bounds: Bounds) -> Result<usize, String> {
    let first = State::new(bounds);
    let mut seen = HashSet::from([first.clone()]);
    let mut left = vec![first];
    while let Some(state) = left.pop() {
        for next in state.successors(protocol, bounds) {
            if seen.contains(&next) {
                continue;
            }
            if next.landed != state.landed || next.promised != state.promised || next.anchor != state.anchor {
                next.check()?;
            }
            seen.insert(next.clone());
            left.push(next);
        }
    }
    Ok(seen.len())
}

const SHORT: Bounds = Bounds { entries_per_writer: 1, lease_ends: 2, flushes: 1 };
const LONG: Bounds = Bounds { entries_per_writer: 2, lease_ends: 3, flushes: 2 };

#[test]
fn no_interleaving_of_three_writers_loses_what_was_acknowledged() {
    let is_long = std::env::var_os("COFFER_LONG").is_some();
    let states = explore(Protocol::Argued, if is_long { LONG } else { SHORT }).unwrap();
    assert!(states > 10_000, "only {states} states: the model does not move");
}

#[test]
fn the_model_finds_what_is_wrong_with_protocols_that_leave_a_step_out() {
    for protocol in [Protocol::NoListAfterPut, Protocol::LoadBeforeMarker, Protocol::NoFirstEntry] {
        assert!(explore(protocol, SHORT).is_err(), "{protocol:?} should fail");
    }
}
