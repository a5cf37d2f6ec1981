//! Quotas: how many requests within a window, by the generic cell rate algorithm (GCRA, ITU-T I.371, annex A).
//!
//! One number is kept for each quota: the moment at which all of it would be free again. Taking one moves it on by
//! `window / limit`; where it would then lie more than a window ahead, nothing is taken. So the whole quota may be
//! used at once, and comes back evenly. Times are the vault's, in microseconds, as whole numbers below 2^53.
//!
//! Taking may be executed twice when a connection breaks; then one is counted too many.

use super::{Found, Key, State, StateError, Table, decimal};

/// `take` as every script here has it. A moment more than a window ahead was stored before a clock was set back, or under
/// a longer window: it says nothing.
macro_rules! script {
    ($body:literal) => {
        concat!(
            r"
local function take(key, limit, window, now)
  local step = math.max(1, math.floor(window / limit))
  local free = math.max(tonumber(redis.call('GET', key) or now), now)
  if free > now + window then free = now end
  local ahead = free + step - now
  if ahead > window then return 0, 0, free - now, ahead - window end
  redis.call('SET', key, string.format('%.0f', free + step), 'PX', math.ceil(ahead / 1000))
  return 1, math.floor((window - ahead) / step), ahead, 0
end",
            $body
        )
    };
}

const TAKE: &str = script!(
    r"
return {false, take(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))}"
);

/// A value's holder takes from one quota, and who has none from another.
const GET_AND_TAKE: &str = script!(
    r"
local found = redis.call('HGET', KEYS[1], ARGV[2])
local key, limit, window = KEYS[2], ARGV[3], ARGV[4]
if not found then key, limit, window = KEYS[3], ARGV[5], ARGV[6] end
return {found, take(key, tonumber(limit), tonumber(window), tonumber(ARGV[1]))}"
);

/// How much, and in which time it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; at least 1.
    pub limit: u32,
    /// Until a used-up quota is whole again, milliseconds; at least 1.
    pub window_ms: u64,
}

/// A quota after one was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// When one may be taken, in milliseconds from now; `None` where one was taken.
    pub refused_for_ms: Option<u64>,
    /// How many are left.
    pub remaining: u32,
    /// Until it is whole again, milliseconds.
    pub whole_after_ms: u64,
}

type Answer = (Option<Vec<u8>>, u8, u32, u64, u64);

impl State {
    /// Takes one from a quota.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been taken.
    pub async fn take(&self, key: &Key, rate: Rate, now_ms: u64) -> Result<Taken, StateError> {
        let [limit, window] = rate.arguments();
        let answer: Answer = self.redis.run(TAKE, &[key.as_str()], &[&limit, &window, &micros(now_ms)]).await?;
        Ok(Taken::of(&answer))
    }
}

impl Table {
    /// One value as [`Table::get`] finds it, and one taken in the same round trip: from `holder`'s quota where the field
    /// has a value, else from `stranger`'s.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been taken. A value that was not sealed for its field is an error inside.
    pub async fn get_and_take(
        &self,
        field: &str,
        holder: (&Key, Rate),
        stranger: (&Key, Rate),
        now_ms: u64,
    ) -> Result<(Result<Option<Found>, StateError>, Taken), StateError> {
        let [limit, window] = holder.1.arguments();
        let [stranger_limit, stranger_window] = stranger.1.arguments();
        let now = micros(now_ms);
        let arguments = [&now, field.as_bytes(), &limit, &window, &stranger_limit, &stranger_window];
        let keys = [self.name.as_str(), holder.0.as_str(), stranger.0.as_str()];
        let answer: Answer = self.state.redis.run(GET_AND_TAKE, &keys, &arguments).await?;
        let taken = Taken::of(&answer);
        Ok((answer.0.map(|sealed| self.open(field, sealed)).transpose(), taken))
    }
}

impl Rate {
    fn arguments(self) -> [Vec<u8>; 2] {
        [decimal(u64::from(self.limit.max(1))), micros(self.window_ms.max(1))]
    }
}

impl Taken {
    fn of((_, is_taken, remaining, whole_after, refused_for): &Answer) -> Self {
        Self {
            refused_for_ms: (*is_taken == 0).then(|| refused_for.div_ceil(1_000).max(1)),
            remaining: *remaining,
            whole_after_ms: whole_after.div_ceil(1_000),
        }
    }
}

fn micros(millis: u64) -> Vec<u8> {
    decimal(millis.saturating_mul(1_000))
}
