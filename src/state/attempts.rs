//! Attempts within a sliding window: at most so many in any span of that length, counted before they are made.
//!
//! Each attempt is one random ticket with its time. Counting first bounds attempts made side by side; a ticket can be
//! given back when the attempt turns out not to count.

use redis::Cmd;

use super::{Key, State, StateError, decimal};
use crate::crypto::random;

/// A ticket that is in already was let through by a call whose answer was lost. With a limit of zero there is no oldest
/// ticket, and after a clock was set back it lies ahead; the wait is never longer than the window.
const ATTEMPT: &str = r"
local limit, window, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('ZCARD', KEYS[1]) >= limit then
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if not oldest[2] then return window end
  return math.max(1, math.min(window, tonumber(oldest[2]) + window - now))
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], window)
return 0";

/// One attempt, by which it can be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(String);

impl Ticket {
    /// A ticket like no other.
    pub fn new() -> Self {
        Self(data_encoding::HEXLOWER.encode(&random::bytes::<16>()))
    }
}

impl Default for Ticket {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It may, and is counted.
    Allowed,
    /// It may not, and is not counted; one may be made after `retry_after_ms`.
    Refused {
        /// Until the oldest counted attempt leaves the window; at least 1.
        retry_after_ms: u64,
    },
}

impl State {
    /// Counts one attempt unless `limit` were made in the `window_ms` before `now_ms`.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been counted.
    pub async fn attempt(
        &self,
        key: &Key,
        ticket: &Ticket,
        limit: u32,
        window_ms: u64,
        now_ms: u64,
    ) -> Result<Attempt, StateError> {
        let numbers = [decimal(u64::from(limit)), decimal(window_ms.max(1)), decimal(now_ms)];
        let arguments = [ticket.0.as_bytes(), &numbers[0], &numbers[1], &numbers[2]];
        let retry_after_ms: u64 = self.redis.run(ATTEMPT, &[key.as_str()], &arguments).await?;
        Ok(if retry_after_ms == 0 { Attempt::Allowed } else { Attempt::Refused { retry_after_ms } })
    }

    /// Makes an attempt uncounted.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it then leaves the window by itself.
    pub async fn give_back(&self, key: &Key, ticket: &Ticket) -> Result<(), StateError> {
        self.redis.call(&Cmd::zrem(key.as_str(), &ticket.0)).await
    }
}
