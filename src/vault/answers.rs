//! What requests with an `Idempotency-Key` made: a repetition within a day gets the same answer and changes nothing.

use std::collections::{BTreeSet, HashMap};

use super::id::NodeId;

/// How long an answer is kept.
pub const ANSWER_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// How many answers are kept at most; past this the oldest goes early.
pub const MAX_ANSWERS: usize = 131_072;

/// What one request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// SHA-256 of what was asked for.
    pub(super) fingerprint: [u8; 32],
    /// What it made.
    pub(super) node: NodeId,
    /// When, in Unix milliseconds.
    pub(super) at_ms: u64,
}

/// All answers by the SHA-256 of their key.
#[derive(Debug, Default)]
pub(super) struct Answers {
    by_key: HashMap<[u8; 32], Answer>,
    by_age: BTreeSet<(u64, [u8; 32])>,
}

impl Answers {
    /// Sets or takes away an answer, and gives the one before. The only way to change anything here.
    pub(super) fn replace(&mut self, key: [u8; 32], answer: Option<Answer>) -> Option<Answer> {
        let old = match answer {
            Some(answer) => self.by_key.insert(key, answer),
            None => self.by_key.remove(&key),
        };
        if let Some(old) = old {
            self.by_age.remove(&(old.at_ms, key));
        }
        if let Some(answer) = answer {
            self.by_age.insert((answer.at_ms, key));
        }
        old
    }

    /// The answer to that key, unless its time is over.
    pub(super) fn get(&self, key: &[u8; 32], now_ms: u64) -> Option<&Answer> {
        self.by_key.get(key).filter(|answer| !is_over(answer.at_ms, now_ms))
    }

    /// The oldest answer, when its time is over or there are too many.
    pub(super) fn surplus(&self, now_ms: u64) -> Option<[u8; 32]> {
        let (at_ms, key) = self.by_age.first()?;
        (is_over(*at_ms, now_ms) || self.by_key.len() > MAX_ANSWERS).then_some(*key)
    }

    /// All answers, oldest first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = ([u8; 32], &Answer)> {
        self.by_age.iter().map(|(_, key)| (*key, &self.by_key[key]))
    }
}

fn is_over(at_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) >= ANSWER_LIFE_MS
}
