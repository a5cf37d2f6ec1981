//! Which entries are the log: choosing the head and following it back. Pure decisions, no I/O.
//!
//! The head is the entry with the highest (epoch, writer, seq) whose ancestors are all there, back to a committed
//! checkpoint or to entry 0. Whatever had to be passed over to find it is told, so that the caller can raise the alarm.
//! The caller fetches what [`follow`] asks for and asks again; nothing here trusts a name, only the hashes of what was
//! opened under it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::name::Place;
use super::own::CommittedCheckpoint;

/// How many sequence numbers are asked for at once when entries are missing to go on.
const LOOK_BACK: u64 = 256;

/// SHA-256 of an entry's object.
pub(crate) type Hash = [u8; 32];

/// The `prev` of entry 0.
pub(crate) const NO_ENTRY: Hash = [0; 32];

/// What following back needs to know of an entry that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// SHA-256 of its object.
    pub(crate) hash: Hash,
    /// The previous entry's hash.
    pub(crate) prev: Hash,
    /// The checkpoints that it commits.
    pub(crate) checkpoints: Vec<CommittedCheckpoint>,
}

/// The entries that were fetched: `None` for one that does not open or is gone.
pub(crate) type Links = HashMap<Place, Option<Link>>;

/// The names that the bucket listed.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    by_seq: BTreeMap<u64, Vec<Place>>,
    descending: Vec<Place>,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Fetch these and ask again.
    Fetch(Vec<Place>),
    /// This is the log.
    Found(Chain),
    /// No entry leads back to a beginning.
    Nothing,
}

/// The log from its base to its head.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The checkpoint to start from, or nothing: start from the empty state.
    pub(crate) base: Option<CommittedCheckpoint>,
    /// The entries to apply after the base, oldest first.
    pub(crate) entries: Vec<Place>,
    /// The last entry.
    pub(crate) head: Place,
    /// The hash of each entry that was followed, at and below the base as far as it was asked for.
    pub(crate) hashes: BTreeMap<u64, Hash>,
    /// Objects above the head that can't be it.
    pub(crate) passed_over: Vec<Place>,
}

impl Listing {
    /// Takes the listed names, in any order.
    pub(crate) fn new(names: impl IntoIterator<Item = Place>) -> Self {
        let mut listing = Self::default();
        for name in names {
            listing.by_seq.entry(name.seq).or_default().push(name);
            listing.descending.push(name);
        }
        listing.descending.sort_unstable_by(|a, b| b.cmp(a));
        listing
    }

    /// Whether nothing was listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.descending.is_empty()
    }

    /// How many names were listed.
    pub(crate) fn len(&self) -> usize {
        self.descending.len()
    }

    /// The highest name.
    pub(crate) fn highest(&self) -> Option<Place> {
        self.descending.first().copied()
    }

    /// The names with a sequence number above `seq`, or all.
    pub(crate) fn above(&self, seq: Option<u64>) -> impl Iterator<Item = Place> {
        let from = seq.map_or(0, |seq| seq.saturating_add(1));
        self.by_seq.range(from..).flat_map(|(_, names)| names.iter().copied())
    }

    /// The names up to `seq` that share their number with no other: what a forgotten entry's object can be.
    pub(crate) fn single_up_to(&self, seq: u64) -> impl Iterator<Item = Place> {
        self.by_seq.range(..=seq).filter_map(|(_, names)| if let [one] = names[..] { Some(one) } else { None })
    }

    /// The names above `seq` that are not on `chain`: late entries of writers that were replaced.
    pub(crate) fn forks(&self, chain: &Chain) -> Vec<Place> {
        let floor = chain.base.map(|base| base.place.seq);
        let on_chain: HashSet<&Place> = chain.entries.iter().collect();
        let beside = |name: &&Place| Some(name.seq) > floor && !on_chain.contains(name);
        self.descending.iter().filter(beside).copied().collect()
    }

    fn at(&self, seq: u64) -> &[Place] {
        self.by_seq.get(&seq).map_or(&[], Vec::as_slice)
    }

    fn window(&self, seq: u64, links: &Links) -> Vec<Place> {
        let range = seq.saturating_sub(LOOK_BACK - 1)..=seq;
        let names = self.by_seq.range(range).flat_map(|(_, names)| names.iter().copied());
        names.filter(|name| !links.contains_key(name)).collect()
    }
}

/// Decides the chain from what is known, or names what must be fetched to decide.
///
/// Checkpoints whose head hash is in `unusable` are not taken as a base. Below the base, hashes are followed down to
/// `down_to` as far as entries are there.
pub(crate) fn follow(listing: &Listing, links: &Links, unusable: &HashSet<Hash>, down_to: u64) -> Step {
    let mut passed_over = Vec::new();
    let mut hopeless = HashSet::new();
    for candidate in listing.descending.iter().copied() {
        let link = match links.get(&candidate) {
            None => return Step::Fetch(listing.window(candidate.seq, links)),
            Some(None) => {
                passed_over.push(candidate);
                continue;
            }
            Some(Some(link)) => link,
        };
        if hopeless.contains(&candidate) {
            passed_over.push(candidate);
            continue;
        }
        match (Walk { listing, links, unusable, down_to }).back(candidate, link) {
            Trail::Unknown(names) => return Step::Fetch(names),
            Trail::Whole(chain) => return Step::Found(Chain { passed_over, ..chain }),
            Trail::Broken(visited) => {
                passed_over.push(candidate);
                hopeless.extend(visited);
            }
        }
    }
    Step::Nothing
}

struct Walk<'a> {
    listing: &'a Listing,
    links: &'a Links,
    unusable: &'a HashSet<Hash>,
    down_to: u64,
}

enum Trail {
    Unknown(Vec<Place>),
    Whole(Chain),
    Broken(Vec<Place>),
}

impl Walk<'_> {
    fn back(&self, head: Place, head_link: &Link) -> Trail {
        let (mut at, mut link) = (head, head_link);
        let mut path = Vec::new();
        let mut hashes = BTreeMap::new();
        let mut wanted: Option<CommittedCheckpoint> = None;
        let mut base: Option<CommittedCheckpoint> = None;
        loop {
            hashes.insert(at.seq, link.hash);
            if at.seq > 0 {
                hashes.insert(at.seq - 1, link.prev);
            }
            if base.is_none() {
                path.push(at);
                let newest = link.checkpoints.iter().rev().find(|c| !self.unusable.contains(&c.head_hash));
                wanted = wanted.or(newest.copied());
            }
            let is_base =
                |c: &CommittedCheckpoint| c.place.seq.checked_add(1) == Some(at.seq) && c.entry_hash == link.prev;
            if base.is_none() && wanted.as_ref().is_some_and(is_base) {
                base = wanted;
            }
            let done = at.seq == 0 || (base.is_some() && at.seq <= self.down_to.saturating_add(1));
            if done && (base.is_some() || link.prev == NO_ENTRY) {
                return self.whole(head, path, hashes, base);
            }
            match if at.seq == 0 { Parent::Missing } else { self.parent(at.seq - 1, &link.prev) } {
                Parent::Found(place, parent) => (at, link) = (place, parent),
                Parent::Unknown => return Trail::Unknown(self.listing.window(at.seq - 1, self.links)),
                Parent::Missing if base.is_some() => return self.whole(head, path, hashes, base),
                Parent::Missing => return Trail::Broken(path),
            }
        }
    }

    fn whole(
        &self,
        head: Place,
        mut path: Vec<Place>,
        hashes: BTreeMap<u64, Hash>,
        base: Option<CommittedCheckpoint>,
    ) -> Trail {
        path.reverse();
        Trail::Whole(Chain { base, entries: path, head, hashes, passed_over: Vec::new() })
    }

    fn parent(&self, seq: u64, hash: &Hash) -> Parent<'_> {
        let mut unknown = false;
        for name in self.listing.at(seq) {
            match self.links.get(name) {
                Some(Some(link)) if link.hash == *hash => return Parent::Found(*name, link),
                Some(_) => {}
                None => unknown = true,
            }
        }
        if unknown { Parent::Unknown } else { Parent::Missing }
    }
}

enum Parent<'a> {
    Found(Place, &'a Link),
    Unknown,
    Missing,
}

#[cfg(test)]
mod tests {
    use super::super::name::Term;
    use super::super::own::tests::checkpoint;
    use super::*;

    /// A bucket of entries whose hashes are made from their places.
    #[derive(Default)]
    struct Bucket {
        links: Links,
    }

    fn place(epoch: u64, seq: u64) -> Place {
        Place { term: Term { epoch, writer: [epoch as u8; 8] }, seq }
    }

    fn hash(place: Place) -> Hash {
        let mut hash = [1; 32];
        hash[..8].copy_from_slice(&place.term.epoch.to_be_bytes());
        hash[8..16].copy_from_slice(&place.seq.to_be_bytes());
        hash
    }

    impl Bucket {
        fn put(&mut self, at: Place, prev: Option<Place>) -> &mut Link {
            let link = Link { hash: hash(at), prev: prev.map_or(NO_ENTRY, hash), checkpoints: vec![] };
            self.links.entry(at).insert_entry(Some(link)).into_mut().as_mut().unwrap()
        }

        fn line(&mut self, epoch: u64, seqs: std::ops::Range<u64>, mut prev: Option<Place>) -> Option<Place> {
            for seq in seqs {
                self.put(place(epoch, seq), prev);
                prev = Some(place(epoch, seq));
            }
            prev
        }

        /// Answers every request for entries, as the loader does, and returns the end with the number of entries fetched.
        fn load_down_to(&self, unusable: &[Hash], down_to: u64) -> (Option<Chain>, usize) {
            let listing = Listing::new(self.links.keys().copied());
            let unusable = unusable.iter().copied().collect();
            let mut known = Links::new();
            loop {
                match follow(&listing, &known, &unusable, down_to) {
                    Step::Fetch(names) => {
                        assert!(!names.is_empty() && names.iter().all(|name| !known.contains_key(name)), "no progress");
                        known.extend(names.into_iter().map(|name| (name, self.links[&name].clone())));
                    }
                    Step::Found(chain) => return (Some(chain), known.len()),
                    Step::Nothing => return (None, known.len()),
                }
            }
        }

        fn load(&self) -> Chain {
            self.load_down_to(&[], u64::MAX).0.expect("a chain")
        }
    }

    #[test]
    fn an_empty_bucket_has_no_head() {
        assert!(Bucket::default().load_down_to(&[], u64::MAX).0.is_none());
    }

    #[test]
    fn one_line_is_followed_from_entry_0_to_the_last() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..1000, None);
        let chain = bucket.load();
        assert_eq!(chain.head, place(5, 999));
        assert_eq!(chain.entries, (0..1000).map(|seq| place(5, seq)).collect::<Vec<_>>());
        assert!(chain.base.is_none() && chain.passed_over.is_empty());
    }

    #[test]
    fn a_late_entry_of_a_replaced_writer_is_a_fork_beside_the_chain() {
        let mut bucket = Bucket::default();
        let shared = bucket.line(5, 0..10, None);
        bucket.line(6, 10..12, shared);
        bucket.line(5, 10..11, shared);
        let chain = bucket.load();
        assert_eq!(chain.head, place(6, 11));
        assert!(chain.passed_over.is_empty());
        let listing = Listing::new(bucket.links.keys().copied());
        assert_eq!(listing.forks(&chain), [place(5, 10)]);
        assert_eq!(listing.single_up_to(11).count(), 11);
    }

    #[test]
    fn a_missing_link_is_passed_over_and_told() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..10, None);
        bucket.links.remove(&place(5, 6));
        let chain = bucket.load();
        assert_eq!(chain.head, place(5, 5));
        assert_eq!(chain.passed_over, [place(5, 9), place(5, 8), place(5, 7)]);
    }

    #[test]
    fn an_entry_that_does_not_open_is_passed_over_and_told() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..10, None);
        bucket.links.insert(place(u64::MAX, 3), None);
        let chain = bucket.load();
        assert_eq!((chain.head, chain.passed_over), (place(5, 9), vec![place(u64::MAX, 3)]));
    }

    #[test]
    fn an_entry_0_that_names_a_parent_is_no_beginning() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..3, Some(place(4, 7)));
        assert!(bucket.load_down_to(&[], u64::MAX).0.is_none());
    }

    #[test]
    fn a_checkpoint_on_the_chain_is_the_base_and_spares_what_lies_before() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..2000, None);
        bucket.commit_checkpoint(1500, 1501);
        let (chain, fetched) = bucket.load_down_to(&[], u64::MAX);
        let chain = chain.unwrap();
        assert_eq!(chain.base.unwrap().place.seq, 1500);
        assert_eq!(chain.entries.first(), Some(&place(5, 1501)));
        assert_eq!(chain.hashes.keys().next(), Some(&1500));
        assert!(fetched <= 768, "{fetched}");
    }

    #[test]
    fn a_checkpoint_works_after_its_entries_are_gone() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..50, None);
        bucket.commit_checkpoint(20, 25);
        bucket.links.retain(|place, _| place.seq > 20);
        let chain = bucket.load_down_to(&[], 3).0.unwrap();
        assert_eq!(chain.base.unwrap().place.seq, 20);
        assert_eq!(chain.entries.len(), 29);
    }

    #[test]
    fn an_unusable_or_foreign_checkpoint_sends_the_loader_to_the_one_before() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..100, None);
        let old = bucket.commit_checkpoint(20, 21);
        let damaged = bucket.commit_checkpoint(60, 61);
        assert_eq!(bucket.load().base.unwrap().place.seq, 60);
        assert_eq!(bucket.load_down_to(&[damaged], u64::MAX).0.unwrap().base.unwrap().place.seq, 20);
        let chain = bucket.load_down_to(&[damaged, old], u64::MAX).0.unwrap();
        assert!(chain.base.is_none() && chain.entries.len() == 100);
    }

    #[test]
    fn hashes_are_followed_below_the_base_when_an_anchor_lies_there() {
        let mut bucket = Bucket::default();
        bucket.line(5, 0..100, None);
        bucket.commit_checkpoint(60, 61);
        let chain = bucket.load_down_to(&[], 30).0.unwrap();
        assert_eq!(chain.base.unwrap().place.seq, 60);
        assert_eq!(chain.entries.len(), 39);
        assert_eq!(chain.hashes.get(&30), Some(&hash(place(5, 30))));
    }

    impl Bucket {
        /// Commits a checkpoint as of `seq` in entry `by`; returns its head's hash.
        fn commit_checkpoint(&mut self, seq: u64, by: u64) -> Hash {
            let mut committed = checkpoint(seq, 0);
            committed.entry_hash = hash(place(5, seq));
            committed.head_hash = [seq as u8; 32];
            let link = self.links.get_mut(&place(5, by)).unwrap().as_mut().unwrap();
            link.checkpoints.push(committed);
            committed.head_hash
        }
    }
}
