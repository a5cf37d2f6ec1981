//! The places that parts have in an upload's data: which part lies where, and that no two writers share a place.

use std::collections::{BTreeMap, HashSet};

use super::part::Part;
use super::upload::MAX_OBJECT_BYTES;

/// A place that was given to one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    offset: u64,
    epoch: u64,
}

impl Place {
    /// Where it begins.
    pub(super) fn offset(self) -> u64 {
        self.offset
    }
}

/// The places of one upload.
#[derive(Default)]
pub(super) struct Places {
    /// The size of the parts that have one.
    stride: Option<u64>,
    /// Parts whose place was given out.
    taken: HashSet<u32>,
    /// Rises when the data is cut short: places given out before are lost.
    epoch: u64,
}

impl Places {
    /// The places of the parts that stand.
    pub(super) fn of<'p>(parts: impl Iterator<Item = &'p Part>) -> Self {
        let mut places = Self::default();
        for (part, offset) in parts.filter_map(|part| Some((part, part.offset?))) {
            places.taken.insert(part.number);
            places.stride = Some(if part.number == 1 { part.size_bytes } else { offset / u64::from(part.number - 1) });
        }
        places
    }

    /// A place for a part, if it has one that nobody wrote to. The first part to come decides on the size.
    pub(super) fn give(&mut self, number: u32, size_bytes: u64) -> Option<Place> {
        let stride = *self.stride.get_or_insert(size_bytes);
        let offset = u64::from(number - 1).checked_mul(stride)?;
        let fits = size_bytes <= stride && offset.saturating_add(size_bytes) <= MAX_OBJECT_BYTES;
        (fits && self.taken.insert(number)).then_some(Place { offset, epoch: self.epoch })
    }

    /// Takes back what a writer did not finish.
    pub(super) fn give_up(&mut self, number: u32, place: Place) {
        if self.stands(place) {
            self.taken.remove(&number);
        }
    }

    /// Whether a place is still its writer's.
    pub(super) fn stands(&self, place: Place) -> bool {
        place.epoch == self.epoch
    }

    /// Takes the places back that no standing part has.
    pub(super) fn forget_writers(&mut self, parts: &BTreeMap<u32, Part>) {
        self.epoch += 1;
        self.taken.retain(|number| parts.get(number).is_some_and(|part| part.offset.is_some()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_first_size_or_less_have_a_place_once() {
        let mut places = Places::default();
        let offset = |place: Option<Place>| place.map(Place::offset);
        assert_eq!(offset(places.give(2, 100)), Some(100));
        assert_eq!(offset(places.give(1, 100)), Some(0));
        assert_eq!(offset(places.give(3, 7)), Some(200));
        assert_eq!(places.give(4, 101), None, "larger than its place");
        assert_eq!(places.give(2, 100), None, "taken");
    }

    #[test]
    fn a_place_comes_back_when_its_writer_gives_up_but_not_from_one_that_lost_it() {
        let mut places = Places::default();
        let first = places.give(1, 100).unwrap();
        places.give_up(1, first);
        let second = places.give(1, 100).unwrap();
        places.forget_writers(&BTreeMap::new());
        assert!(!places.stands(second));
        let third = places.give(1, 100).unwrap();
        places.give_up(1, second);
        assert!(places.stands(third) && places.give(1, 100).is_none());
    }

    #[test]
    fn no_place_lies_beyond_the_largest_object() {
        let mut places = Places::default();
        assert!(places.give(1, MAX_OBJECT_BYTES / 4).is_some());
        assert!(places.give(4, MAX_OBJECT_BYTES / 4).is_some());
        assert_eq!(places.give(5, 1), None);
    }
}
