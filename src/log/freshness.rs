//! Is this the newest log? What the anchors prove about a chain, and what the owner may accept. Pure decisions.
//!
//! Every anchor must be the head or an ancestor of it. One that can't be opened, or lies on no part of the chain, is an
//! alarm; one older than the oldest entry that is kept proves nothing and is skipped, unless no newer one is known. With no
//! anchor anywhere the chain is trusted, and that is said.

use sha2::{Digest, Sha256};

use super::anchor::Anchor;
use super::chain::{Chain, Hash};

/// What one memory knows.
#[derive(Clone, Debug)]
pub(crate) enum Remembered {
    /// It holds no anchor.
    Nothing,
    /// It holds something that does not open.
    Unreadable,
    /// It holds this.
    Anchor(Anchor),
}

/// A memory's name, for the operator, with what it knows.
pub(crate) type Memory = (&'static str, Remembered);

/// What all memories together say.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing that was acknowledged is missing.
    Proven,
    /// No anchor exists: taken on trust.
    Trusted,
    /// The reasons why this can't be the newest log.
    Alarm(Vec<String>),
}

/// A verdict and what else should be said.
#[derive(Debug, PartialEq)]
pub(crate) struct Judgement {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Anchors that proved nothing.
    pub(crate) notices: Vec<String>,
}

/// The newest anchor that any memory knows.
pub(crate) fn newest(memories: &[Memory]) -> Option<&Anchor> {
    anchors(memories).map(|(_, anchor)| anchor).max_by_key(|anchor| anchor.place)
}

/// The lowest sequence number that the chain must reach down to so that every anchor can be compared.
pub(crate) fn deepest(memories: &[Memory]) -> u64 {
    anchors(memories).map(|(_, anchor)| anchor.place.seq).min().unwrap_or(u64::MAX)
}

/// Compares the chain with every memory.
pub(crate) fn judge(memories: &[Memory], chain: &Chain, forgotten_up_to: Option<u64>) -> Judgement {
    let newest = newest(memories);
    let mut alarms = Vec::new();
    let mut notices = Vec::new();
    for (name, remembered) in memories {
        let anchor = match remembered {
            Remembered::Nothing => continue,
            Remembered::Unreadable => {
                alarms.push(format!("the anchor in {name} can't be opened"));
                continue;
            }
            Remembered::Anchor(anchor) => anchor,
        };
        let (seq, head) = (anchor.place.seq, chain.head.seq);
        match chain.hashes.get(&seq) {
            Some(hash) if *hash == anchor.hash => {}
            Some(_) => alarms.push(format!("{name} remembers another entry {seq} than the bucket holds")),
            None if seq > head => {
                alarms.push(format!("{name} remembers entry {seq}, the bucket's log ends with entry {head}"));
            }
            None if Some(seq) <= forgotten_up_to && Some(anchor) != newest => {
                notices.push(format!("the anchor in {name} (entry {seq}) is older than the oldest entry that is kept"));
            }
            None => alarms.push(format!("{name} remembers entry {seq}, which no entry that is kept leads back to")),
        }
    }
    let verdict = if !alarms.is_empty() {
        Verdict::Alarm(alarms)
    } else if newest.is_none() {
        Verdict::Trusted
    } else {
        Verdict::Proven
    };
    Judgement { verdict, notices }
}

/// What the owner's answer to an alarm is bound to: SHA-256(newest anchor ‖ hash of the head).
pub(crate) fn acceptance(memories: &[Memory], head: &Hash) -> Hash {
    let anchor = newest(memories).map(Anchor::to_bytes).unwrap_or_default();
    Sha256::new().chain_update(anchor).chain_update(head).finalize().into()
}

fn anchors(memories: &[Memory]) -> impl Iterator<Item = (&'static str, &Anchor)> {
    memories.iter().filter_map(|(name, remembered)| match remembered {
        Remembered::Anchor(anchor) => Some((*name, anchor)),
        Remembered::Nothing | Remembered::Unreadable => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::name::{Place, Term};
    use super::*;
    use crate::crypto::VaultId;

    fn place(seq: u64) -> Place {
        Place { term: Term { epoch: 1, writer: [1; 8] }, seq }
    }

    fn chain(seqs: std::ops::RangeInclusive<u64>) -> Chain {
        let head = place(*seqs.end());
        let hashes = seqs.map(|seq| (seq, [seq as u8; 32])).collect();
        Chain { base: None, entries: vec![], head, hashes, passed_over: vec![] }
    }

    fn anchor(seq: u64, hash: u8) -> Remembered {
        Remembered::Anchor(Anchor::new("catalog", VaultId([0; 16]), place(seq), [hash; 32]))
    }

    fn verdict(memories: &[Memory], forgotten_up_to: Option<u64>) -> Verdict {
        judge(memories, &chain(10..=20), forgotten_up_to).verdict
    }

    fn is_alarm(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Alarm(_))
    }

    #[test]
    fn the_head_and_every_ancestor_are_proof() {
        for seq in 10..=20 {
            assert_eq!(verdict(&[("Redis", anchor(seq, seq as u8))], None), Verdict::Proven);
        }
    }

    #[test]
    fn no_anchor_anywhere_is_trust() {
        assert_eq!(
            verdict(&[("Redis", Remembered::Nothing), ("STATE_DIR", Remembered::Nothing)], None),
            Verdict::Trusted
        );
    }

    #[test]
    fn a_newer_or_another_entry_is_an_alarm_whatever_the_others_say() {
        for bad in [anchor(21, 21), anchor(15, 99), anchor(20, 0), Remembered::Unreadable] {
            assert!(is_alarm(&verdict(&[("memory", anchor(20, 20)), ("Redis", bad.clone())], None)), "{bad:?}");
            assert!(is_alarm(&verdict(&[("Redis", bad), ("STATE_DIR", Remembered::Nothing)], None)));
        }
    }

    #[test]
    fn an_anchor_older_than_what_is_kept_is_skipped_unless_it_is_the_newest() {
        let old = || ("STATE_DIR", anchor(5, 5));
        let judgement = judge(&[("Redis", anchor(20, 20)), old()], &chain(10..=20), Some(9));
        assert_eq!(judgement.verdict, Verdict::Proven);
        assert_eq!(judgement.notices.len(), 1);
        assert!(is_alarm(&verdict(&[old()], Some(9))));
        assert!(is_alarm(&verdict(&[("Redis", anchor(20, 20)), old()], Some(4))));
    }

    #[test]
    fn an_acceptance_is_bound_to_the_newest_anchor_and_to_the_head() {
        let base = acceptance(&[("Redis", anchor(20, 20))], &[1; 32]);
        assert_ne!(base, acceptance(&[("Redis", anchor(20, 20))], &[2; 32]));
        assert_ne!(base, acceptance(&[("Redis", anchor(21, 20))], &[1; 32]));
        assert_eq!(base, acceptance(&[("STATE_DIR", anchor(3, 3)), ("Redis", anchor(20, 20))], &[1; 32]));
        assert_ne!(base, acceptance(&[], &[1; 32]));
    }
}
