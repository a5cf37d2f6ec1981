//! Chance that can be repeated: SplitMix64 (Steele, Lea and Flood, 2014) from a seed that is printed.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stream of numbers.
pub(crate) struct Chance(u64);

impl Chance {
    /// From `COFFER_SEED`, else from the time; the seed is printed, so that a failure shows it.
    pub(crate) fn from_environment() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let drawn = u64::try_from(now).unwrap();
        let seed = std::env::var("COFFER_SEED").map_or(drawn, |seed| seed.parse().unwrap());
        super::say(format_args!("repeat with COFFER_SEED={seed}"));
        Self(seed)
    }

    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.number())
    }

    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, which must not be empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.within(0..times) == 0
    }

    /// One of these; none of nothing.
    pub(crate) fn pick<T>(&mut self, mut from: Vec<T>) -> Option<T> {
        if from.is_empty() {
            return None;
        }
        let at = self.within(0..from.len() as u64);
        Some(from.swap_remove(usize::try_from(at).unwrap()))
    }

    /// Some milliseconds.
    pub(crate) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }
}
