//! Who may work on an upload at this moment: many on its parts, or one on its end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock},
    time::timeout,
};

use crate::crypto::BlobId;
use crate::vault::error::VaultError;

/// How long somebody waits for another to be done.
const PATIENCE: Duration = Duration::from_secs(2);

type Gates = Arc<Mutex<HashMap<BlobId, Arc<RwLock<()>>>>>;

/// The claims on all uploads.
#[derive(Default)]
pub(super) struct Claims {
    gates: Gates,
}

/// A claim; it ends when dropped.
pub(super) struct Claim {
    gates: Gates,
    upload: BlobId,
    guard: Option<Guard>,
}

enum Guard {
    Shared { _guard: OwnedRwLockReadGuard<()> },
    Sole { _guard: OwnedRwLockWriteGuard<()> },
}

impl Claims {
    /// A claim beside others of its kind; [`VaultError::UploadBusy`] while somebody ends the upload.
    pub(super) async fn share(&self, upload: BlobId) -> Result<Claim, VaultError> {
        let guard = timeout(PATIENCE, self.gate(upload).read_owned()).await.ok();
        self.claim(upload, guard.map(|guard| Guard::Shared { _guard: guard }))
    }

    /// The only claim; [`VaultError::UploadBusy`] while somebody else works on the upload for long.
    pub(super) async fn own(&self, upload: BlobId) -> Result<Claim, VaultError> {
        let guard = timeout(PATIENCE, self.gate(upload).write_owned()).await.ok();
        self.claim(upload, guard.map(|guard| Guard::Sole { _guard: guard }))
    }

    /// The only claim, unless there is any other now.
    pub(super) fn try_own(&self, upload: BlobId) -> Option<Claim> {
        let guard = self.gate(upload).try_write_owned().ok();
        self.claim(upload, guard.map(|guard| Guard::Sole { _guard: guard })).ok()
    }

    fn gate(&self, upload: BlobId) -> Arc<RwLock<()>> {
        Arc::clone(self.gates.lock().entry(upload).or_default())
    }

    fn claim(&self, upload: BlobId, guard: Option<Guard>) -> Result<Claim, VaultError> {
        // Made in any case: dropping it takes an unused gate away.
        let claim = Claim { gates: Arc::clone(&self.gates), upload, guard };
        if claim.guard.is_some() { Ok(claim) } else { Err(VaultError::UploadBusy) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.guard = None;
        let mut gates = self.gates.lock();
        // Nobody can come by a gate but under this lock.
        if gates.get(&self.upload).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(&self.upload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: BlobId = BlobId([1; 16]);

    #[tokio::test]
    async fn many_share_and_one_owns() {
        let claims = Claims::default();
        let (first, second) = (claims.share(UPLOAD).await.unwrap(), claims.share(UPLOAD).await.unwrap());
        assert!(claims.try_own(UPLOAD).is_none());
        assert!(claims.try_own(BlobId([2; 16])).is_some(), "another upload is another matter");
        let (own, ()) = tokio::join!(claims.own(UPLOAD), async { drop((first, second)) });
        let own = own.unwrap();
        assert!(timeout(Duration::from_millis(20), claims.share(UPLOAD)).await.is_err(), "it waits");
        assert!(claims.try_own(UPLOAD).is_none());
        let (waited, ()) = tokio::join!(claims.share(UPLOAD), async { drop(own) });
        drop(waited.unwrap());
        assert!(claims.gates.lock().is_empty(), "nothing stays");
    }

    #[tokio::test]
    async fn who_waits_for_long_is_told_so() {
        let claims = Claims::default();
        let _own = claims.own(UPLOAD).await.unwrap();
        let (share, own) = tokio::join!(claims.share(UPLOAD), claims.own(UPLOAD));
        assert_eq!((share.err(), own.err()), (Some(VaultError::UploadBusy), Some(VaultError::UploadBusy)));
    }
}
