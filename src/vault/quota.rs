//! Room for uploads: how many at once, and how many bytes the vault still takes.
//!
//! An upload reserves its bytes before the first of them is read and holds them until it is committed or given up, so
//! uploads side by side never exceed the limit together. Reservations live in memory alone: after a restart there are no
//! uploads through the gateway either, and what direct uploads hold is restored from their drafts.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;

use super::error::VaultError;
use crate::{config::VaultConfig, crypto::BlobId};

/// The room of one vault.
#[derive(Debug)]
pub(super) struct Quota {
    limit_bytes: Option<u64>,
    max_uploads: usize,
    max_unfinished: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: u64,
    /// When each upload began, in Unix milliseconds.
    begun: BTreeMap<u64, u64>,
    next: u64,
    /// Bytes that each direct upload holds.
    held: BTreeMap<BlobId, u64>,
}

impl Quota {
    pub(super) fn new(config: &VaultConfig) -> Arc<Self> {
        Self::with_limits(config.storage_limit, config.concurrent_uploads, config.unfinished_uploads)
    }

    fn with_limits(limit_bytes: Option<u64>, max_uploads: usize, max_unfinished: usize) -> Arc<Self> {
        Arc::new(Self { limit_bytes, max_uploads, max_unfinished, taken: Mutex::default() })
    }

    /// The owner's limit.
    pub(super) fn limit_bytes(&self) -> Option<u64> {
        self.limit_bytes
    }

    /// When the oldest upload on its way began, in Unix milliseconds.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.taken.lock().begun.values().min().copied()
    }

    /// Begins an upload of so many bytes. `used` gives the bytes of the committed state; it is asked under the lock, so
    /// that an upload counts as reserved until it counts as used.
    pub(super) fn begin(
        self: &Arc<Self>,
        now_ms: u64,
        size_bytes: u64,
        used: impl FnOnce() -> Result<u64, VaultError>,
    ) -> Result<Reservation, VaultError> {
        let mut taken = self.taken.lock();
        if taken.begun.len() >= self.max_uploads {
            return Err(VaultError::TooManyUploads);
        }
        self.check(&taken, size_bytes, used)?;
        let number = taken.next;
        taken.next += 1;
        taken.bytes += size_bytes;
        taken.begun.insert(number, now_ms);
        Ok(Reservation { quota: Arc::clone(self), number, bytes: size_bytes })
    }

    /// Holds room for a direct upload until [`Quota::release`]; `used` as for [`Quota::begin`].
    pub(super) fn hold(
        &self,
        upload: BlobId,
        size_bytes: u64,
        used: impl FnOnce() -> Result<u64, VaultError>,
    ) -> Result<(), VaultError> {
        let mut taken = self.taken.lock();
        if taken.held.len() >= self.max_unfinished {
            return Err(VaultError::TooManyUploads);
        }
        self.check(&taken, size_bytes, used)?;
        taken.hold(upload, size_bytes);
        Ok(())
    }

    /// Holds room for a direct upload that had it before, whatever the limits are now.
    pub(super) fn restore(&self, upload: BlobId, size_bytes: u64) {
        self.taken.lock().hold(upload, size_bytes);
    }

    /// Whether everything that is used and reserved is within the limit.
    pub(super) fn check_held(&self, used: impl FnOnce() -> Result<u64, VaultError>) -> Result<(), VaultError> {
        self.check(&self.taken.lock(), 0, used)
    }

    /// Gives back what a direct upload held.
    pub(super) fn release(&self, upload: BlobId) {
        let mut taken = self.taken.lock();
        if let Some(bytes) = taken.held.remove(&upload) {
            taken.bytes -= bytes;
        }
    }

    /// The direct uploads that hold room.
    pub(super) fn held(&self) -> Vec<BlobId> {
        self.taken.lock().held.keys().copied().collect()
    }

    fn check(
        &self,
        taken: &Taken,
        more: u64,
        used: impl FnOnce() -> Result<u64, VaultError>,
    ) -> Result<(), VaultError> {
        let Some(limit_bytes) = self.limit_bytes else { return Ok(()) };
        let sum = used()?.saturating_add(taken.bytes).saturating_add(more);
        if sum > limit_bytes { Err(VaultError::StorageFull { limit_bytes }) } else { Ok(()) }
    }
}

impl Taken {
    fn hold(&mut self, upload: BlobId, size_bytes: u64) {
        if let Entry::Vacant(place) = self.held.entry(upload) {
            place.insert(size_bytes);
            self.bytes = self.bytes.saturating_add(size_bytes);
        }
    }
}

/// The room of one upload; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    quota: Arc<Quota>,
    number: u64,
    bytes: u64,
}

impl Reservation {
    /// Takes room for more bytes than were announced.
    pub(super) fn grow(&mut self, more: u64, used: impl FnOnce() -> Result<u64, VaultError>) -> Result<(), VaultError> {
        let mut taken = self.quota.taken.lock();
        self.quota.check(&taken, more, used)?;
        taken.bytes += more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut taken = self.quota.taken.lock();
        taken.bytes -= self.bytes;
        taken.begun.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: VaultError = VaultError::StorageFull { limit_bytes: 100 };

    #[test]
    fn reservations_and_used_bytes_share_one_limit() {
        let quota = Quota::with_limits(Some(100), 3, 0);
        let first = quota.begin(1, 60, || Ok(0)).unwrap();
        assert_eq!(quota.begin(1, 41, || Ok(0)).err(), Some(FULL));
        assert_eq!(quota.begin(1, 1, || Ok(40)).err(), Some(FULL));
        assert_eq!(quota.begin(1, u64::MAX, || Ok(40)).err(), Some(FULL));
        let mut second = quota.begin(2, 0, || Ok(0)).unwrap();
        second.grow(40, || Ok(0)).unwrap();
        assert_eq!(second.grow(1, || Ok(0)), Err(FULL));
        drop(first);
        second.grow(60, || Ok(0)).unwrap();
        drop(second);
        assert!(quota.begin(3, 100, || Ok(0)).is_ok());
    }

    #[test]
    fn direct_uploads_hold_room_until_it_is_given_back_once() {
        let quota = Quota::with_limits(Some(100), 3, 2);
        let (a, b, c) = (BlobId([1; 16]), BlobId([2; 16]), BlobId([3; 16]));
        quota.hold(a, 60, || Ok(0)).unwrap();
        assert_eq!(quota.hold(b, 41, || Ok(0)).err(), Some(FULL));
        assert_eq!(quota.begin(1, 41, || Ok(0)).err(), Some(FULL), "the gateway knows of them");
        quota.hold(b, 40, || Ok(0)).unwrap();
        assert_eq!(quota.hold(c, 0, || Ok(0)).err(), Some(VaultError::TooManyUploads));
        quota.restore(c, 100);
        quota.restore(c, 100);
        assert_eq!(quota.check_held(|| Ok(0)), Err(FULL));
        for _ in 0..2 {
            quota.release(c);
        }
        assert_eq!((quota.check_held(|| Ok(0)), quota.check_held(|| Ok(1))), (Ok(()), Err(FULL)));
        assert_eq!(quota.held(), [a, b]);
        quota.release(a);
        assert!(quota.begin(1, 60, || Ok(0)).is_ok());
    }

    #[test]
    fn only_so_many_uploads_go_on_at_once() {
        let quota = Quota::with_limits(None, 2, 0);
        let first = quota.begin(5, u64::MAX / 2, || Ok(0)).unwrap();
        let _second = quota.begin(6, 0, || Ok(0)).unwrap();
        assert_eq!(quota.begin(7, 0, || Ok(0)).err(), Some(VaultError::TooManyUploads));
        assert_eq!(quota.oldest_ms(), Some(5));
        drop(first);
        assert_eq!(quota.oldest_ms(), Some(6));
        assert!(quota.begin(7, 0, || Ok(0)).is_ok());
    }
}
