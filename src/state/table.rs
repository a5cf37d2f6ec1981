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

/// Sets fields that still are what was found, all of them or none. Bears being executed twice.
const SET: &str = r"
local new = 0
for i = 3, #ARGV, 3 do
  local found = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if found ~= ARGV[i + 1] and found ~= ARGV[i + 2] then return 0 end
  if found == '' then new = new + 1 end
end
if redis.call('HLEN', KEYS[1]) + new > tonumber(ARGV[1]) then return 2 end
for i = 3, #ARGV, 3 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1";

const PUT: &str = r"
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1";

/// Moves what is there to another field with another value, and removes ARGV[5..]. Bears being executed twice.
const RENAME: &str = r"
if redis.call('HGET', KEYS[1], ARGV[2]) == ARGV[3] then return 1 end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
for i = 5, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
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
    pub(super) state: State,
    pub(super) name: String,
}

/// A value as it was found: opened, and as the bytes that [`Table::replace`] compares.
pub struct Found {
    /// The value.
    pub value: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
}

/// What became of a change of many fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Made,
    /// A field is not what was found any more; nothing was changed.
    Outdated,
    /// The table would hold too much; nothing was changed.
    Full,
}

impl State {
    /// The table `id` of a kind. Neither is sealed, so they **must not** be secrets.
    pub fn table_of(&self, kind: &'static str, id: &str) -> Table {
        Table { state: self.clone(), name: self.name(&format!("{kind}:{id}")) }
    }

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

    /// Several values in the order of their fields, which **must not** be none.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub async fn get_many(&self, fields: &[String]) -> Result<Vec<Option<Found>>, StateError> {
        let mut command = redis::cmd("HMGET");
        command.arg(&self.name).arg(fields);
        let sealed: Vec<Option<Vec<u8>>> = self.state.redis.call(&command).await?;
        let opened = fields.iter().zip(sealed);
        opened.map(|(field, sealed)| sealed.map(|sealed| self.open(field, sealed)).transpose()).collect()
    }

    /// How many fields there are.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn count(&self) -> Result<u64, StateError> {
        self.state.redis.call(&Cmd::hlen(&self.name)).await
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

    /// Removes a field that is there and the fields `beside`, and sets the field `to`, in one step; `false` when it is not
    /// there any more, and nothing was changed. The whole table ends `ttl_ms` after that.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been done, also later.
    pub async fn rename(
        &self,
        field: &str,
        to: &str,
        value: &[u8],
        ttl_ms: u64,
        beside: &[String],
    ) -> Result<bool, StateError> {
        let (sealed, ttl_ms) = (self.seal(to, value), decimal(ttl_ms.max(1)));
        let mut arguments: Vec<&[u8]> = vec![field.as_bytes(), to.as_bytes(), &sealed, &ttl_ms];
        arguments.extend(beside.iter().map(|field| field.as_bytes()));
        self.state.redis.run(RENAME, &[&self.name], &arguments).await
    }

    /// Sets distinct fields, all of them or none, if each still is what was found (nothing, or a value) and the table then
    /// holds at most `max`. The whole table ends `ttl_ms` after that.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been done.
    pub async fn set_many(
        &self,
        changes: &[(String, Option<Found>, Vec<u8>)],
        max: usize,
        ttl_ms: u64,
    ) -> Result<Outcome, StateError> {
        let sealed: Vec<_> = changes.iter().map(|(field, _, value)| self.seal(field, value)).collect();
        let (max, ttl_ms) = (decimal(max as u64), decimal(ttl_ms.max(1)));
        let mut arguments: Vec<&[u8]> = vec![&max, &ttl_ms];
        for ((field, found, _), sealed) in changes.iter().zip(&sealed) {
            let found = found.as_ref().map_or(&[][..], |found| &found.sealed);
            arguments.extend([field.as_bytes(), found, sealed]);
        }
        let made: u8 = self.state.redis.run(SET, &[&self.name], &arguments).await?;
        Ok(match made {
            1 => Outcome::Made,
            2 => Outcome::Full,
            _ => Outcome::Outdated,
        })
    }

    /// Sets fields whatever they were. The whole table ends `ttl_ms` after that.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been done, also later.
    pub async fn put_many(&self, values: &[(String, Vec<u8>)], ttl_ms: u64) -> Result<(), StateError> {
        let sealed: Vec<_> = values.iter().map(|(field, value)| self.seal(field, value)).collect();
        let ttl_ms = decimal(ttl_ms.max(1));
        let mut arguments: Vec<&[u8]> = vec![&ttl_ms];
        for ((field, _), sealed) in values.iter().zip(&sealed) {
            arguments.extend([field.as_bytes(), sealed]);
        }
        self.state.redis.run(PUT, &[&self.name], &arguments).await
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

    pub(super) fn open(&self, field: &str, sealed: Vec<u8>) -> Result<Found, StateError> {
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
