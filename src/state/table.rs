//! Sealed values kept together under one key, so that they can be listed, counted and removed in one step.
//!
//! A table is a Redis hash. Each value is bound to `<vault hex>:<table>:<field>`, as if it had a key of its own.

use redis::Cmd;
use zeroize::Zeroizing;

use super::{State, StateError, decimal};

/// Removes ARGV[5..], then adds one where there is room. Bears being executed twice.
const ADD: &str = r"
for i = 5, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1";

const REPLACE: &str = r"
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found == ARGV[3] then return 1 end
if found ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1";

const CLEAR: &str = r"
local kept = ARGV[1] and redis.call('HGET', KEYS[1], ARGV[1])
local ttl = redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
if kept then
  redis.call('HSET', KEYS[1], ARGV[1], kept)
  if ttl > 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
end
return 1";

/// Sealed values under one key. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    state: State,
    name: String,
}

/// A value as it was found: opened, and as the bytes that [`Table::replace`] compares.
pub struct Found {
    /// The value.
    pub value: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
}

impl State {
    /// The table of that name. The name and its fields are not sealed, so they **must not** be secrets.
    pub fn table(&self, name: &'static str) -> Table {
        Table { state: self.clone(), name: self.name(name) }
    }
}

impl Table {
    /// One value; `None` when there is none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; [`StateError::Corrupt`] for bytes that were not sealed for this field.
    pub async fn get(&self, field: &str) -> Result<Option<Found>, StateError> {
        let sealed: Option<Vec<u8>> = self.state.redis.call(&Cmd::hget(&self.name, field)).await?;
        sealed.map(|sealed| self.open(field, sealed)).transpose()
    }

    /// Every field with its value; a value that was not sealed for its field is an error of its own.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn all(&self) -> Result<Vec<(String, Result<Found, StateError>)>, StateError> {
        let sealed: Vec<(String, Vec<u8>)> = self.state.redis.call(&Cmd::hgetall(&self.name)).await?;
        Ok(sealed
            .into_iter()
            .map(|(field, sealed)| {
                let found = self.open(&field, sealed);
                (field, found)
            })
            .collect())
    }

    /// Removes the fields `instead_of` and adds one, in one step; `false` when the table still holds `max` others. The
    /// whole table ends `ttl_ms` after the last addition.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been done, also later.
    pub async fn add(
        &self,
        field: &str,
        value: &[u8],
        max: usize,
        ttl_ms: u64,
        instead_of: &[String],
    ) -> Result<bool, StateError> {
        let sealed = self.seal(field, value);
        let (max, ttl_ms) = (decimal(max as u64), decimal(ttl_ms.max(1)));
        let mut arguments: Vec<&[u8]> = vec![field.as_bytes(), &sealed, &max, &ttl_ms];
        arguments.extend(instead_of.iter().map(|field| field.as_bytes()));
        self.state.redis.run(ADD, &[&self.name], &arguments).await
    }

    /// Sets a field's value if it is still what was found; `false` when it was changed or removed since.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been set.
    pub async fn replace(&self, field: &str, found: &Found, value: &[u8]) -> Result<bool, StateError> {
        let sealed = self.seal(field, value);
        self.state.redis.run(REPLACE, &[&self.name], &[field.as_bytes(), &found.sealed, &sealed]).await
    }

    /// Removes a field; `false` when there was none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been removed.
    pub async fn remove(&self, field: &str) -> Result<bool, StateError> {
        self.state.redis.call(&Cmd::hdel(&self.name, field)).await
    }

    /// Removes every field, or every one but `keep`, in one step.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been done.
    pub async fn clear(&self, keep: Option<&str>) -> Result<(), StateError> {
        let arguments: Vec<&[u8]> = keep.iter().map(|field| field.as_bytes()).collect();
        self.state.redis.run(CLEAR, &[&self.name], &arguments).await
    }

    fn open(&self, field: &str, sealed: Vec<u8>) -> Result<Found, StateError> {
        let value = self.state.open(&self.full_name(field), &sealed)?;
        Ok(Found { value, sealed })
    }

    fn seal(&self, field: &str, value: &[u8]) -> Vec<u8> {
        self.state.seal(&self.full_name(field), value)
    }

    fn full_name(&self, field: &str) -> String {
        format!("{}:{field}", self.name)
    }
}
