//! Attempts at a secret: at most so many in any window, counted before they are made, and after that a lock-out that
//! grows each time it comes again.
//!
//! Each attempt is one random ticket with its time. Counting first bounds attempts made side by side; a ticket can be
//! given back when the attempt turns out not to count. A key is a hash of tickets, the end of the lock-out under way and
//! the number of lock-outs, which is forgotten [`MEMORY_MS`] after the last one.

use redis::Cmd;

use super::{Key, State, StateError, decimal};
use crate::crypto::random;

/// The longest lock-out.
pub const LONGEST_LOCKOUT_MS: u64 = 24 * 3_600 * 1_000;

/// How long lock-outs are remembered, so that the next one is longer.
pub const MEMORY_MS: u64 = 2 * LONGEST_LOCKOUT_MS;

/// A ticket that is in already was let through by a call whose answer was lost. After a clock was set back, a lock-out
/// lasts no longer than its longest. Answers the wait, and whether a lock-out begins with it.
const ATTEMPT: &str = r"
local key, ticket = KEYS[1], ARGV[1]
local limit, window, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local longest, memory = tonumber(ARGV[5]), tonumber(ARGV[6])
local ends = tonumber(redis.call('HGET', key, 'locked') or '0')
if ends > now then return {math.min(ends - now, longest), 0} end
local all, count = redis.call('HGETALL', key), 0
for i = 1, #all, 2 do
  local field, at = all[i], tonumber(all[i + 1])
  if field == ticket then return {0, 0} end
  if field ~= 'locked' and field ~= 'lockouts' then
    if at <= now - window then redis.call('HDEL', key, field) else count = count + 1 end
  end
end
if count < limit then
  redis.call('HSET', key, ticket, now)
  local ttl = redis.call('PTTL', key)
  if ttl < window then redis.call('PEXPIRE', key, window) end
  return {0, 0}
end
local lockouts = tonumber(redis.call('HGET', key, 'lockouts') or '0')
local wait = math.min(window * 2 ^ math.min(lockouts, 32), math.max(longest, window))
redis.call('DEL', key)
redis.call('HSET', key, 'locked', string.format('%.0f', now + wait), 'lockouts', lockouts + 1)
redis.call('PEXPIRE', key, string.format('%.0f', wait + memory))
return {wait, 1}";

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
        /// Until the lock-out ends; at least 1.
        retry_after_ms: u64,
        /// Whether the lock-out begins with this attempt.
        begins: bool,
    },
}

impl State {
    /// Counts one attempt unless `limit` were made in the `window_ms` before `now_ms`: then the attempt is refused, and
    /// every further one for `window_ms`, which doubles with each lock-out that follows.
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
        let numbers = [u64::from(limit), window_ms.max(1), now_ms, LONGEST_LOCKOUT_MS, MEMORY_MS].map(decimal);
        let mut arguments = vec![ticket.0.as_bytes()];
        arguments.extend(numbers.iter().map(Vec::as_slice));
        let (retry_after_ms, begins): (u64, u8) = self.redis.run(ATTEMPT, &[key.as_str()], &arguments).await?;
        Ok(match retry_after_ms {
            0 => Attempt::Allowed,
            _ => Attempt::Refused { retry_after_ms, begins: begins == 1 },
        })
    }

    /// Makes an attempt uncounted.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it then leaves the window by itself.
    pub async fn give_back(&self, key: &Key, ticket: &Ticket) -> Result<(), StateError> {
        self.redis.call(&Cmd::hdel(key.as_str(), &ticket.0)).await
    }
}
