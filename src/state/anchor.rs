//! The freshness anchor of each log: the newest entry that was acknowledged.
//!
//! The bytes arrive sealed and are compared as they are; sealing draws a nonce, so equal bytes are the same anchor.

use redis::Cmd;

use super::lease::holder;
use super::{State, StateError};

/// An anchor that is set already comes first: the answer to an earlier, identical call was lost, and what it did stands
/// whoever holds the lease by now.
const ADVANCE: &str = r"
local anchor = redis.call('GET', KEYS[2])
if anchor == ARGV[3] then return 0 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 1 end
if (anchor or '') ~= ARGV[2] then return 2 end
redis.call('SET', KEYS[2], ARGV[3])
return 0";

const SET: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1";

/// What [`State::advance_anchor`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The anchor is the next one, now or already.
    Done,
    /// The lease is not the writer's any more; nothing was changed.
    NotWriter,
    /// The anchor is not the parent; nothing was changed.
    NotParent,
}

impl State {
    /// A log's anchor as it was set, still sealed; `None` when there is none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn anchor(&self, log: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.redis.call(&Cmd::get(self.anchor_key(log))).await
    }

    /// Moves a log's anchor from `parent` (`None`: there is none yet) to `next`, in one step, while `writer` holds the
    /// lease. The same call may be repeated until it is answered.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; the anchor may have moved.
    pub async fn advance_anchor(
        &self,
        log: &str,
        writer: [u8; 8],
        parent: Option<&[u8]>,
        next: &[u8],
    ) -> Result<Advance, StateError> {
        let keys = [self.lease_key(), self.anchor_key(log)];
        let found: u8 = self
            .redis
            .run(ADVANCE, &[&keys[0], &keys[1]], &[&holder(writer), parent.unwrap_or_default(), next])
            .await?;
        Ok(match found {
            0 => Advance::Done,
            1 => Advance::NotWriter,
            _ => Advance::NotParent,
        })
    }

    /// Sets a log's anchor whatever it was, as a take-over does; `false` when `writer` does not hold the lease.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; the anchor may have been set.
    pub async fn set_anchor(&self, log: &str, writer: [u8; 8], next: &[u8]) -> Result<bool, StateError> {
        let keys = [self.lease_key(), self.anchor_key(log)];
        self.redis.run(SET, &[&keys[0], &keys[1]], &[&holder(writer), next]).await
    }

    fn anchor_key(&self, log: &str) -> String {
        self.name(&format!("anchor:{log}"))
    }
}
