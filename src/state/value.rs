//! Sealed values, each under a key of its own.

use redis::Cmd;
use zeroize::Zeroizing;

use super::{State, StateError};
use crate::crypto::Label;
use crate::telemetry::metrics::{METRICS, Sealed};

/// Sets a new value, and says yes again to the identical bytes when the first answer was lost.
const PUT_NEW: &str = r"
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0";

/// The full name of a value: `<vault hex>:<kind>:<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl State {
    /// The key of the value `id` of a kind. Neither is sealed, so an id **must not** be a secret or a person's data.
    pub fn key(&self, kind: &'static str, id: &str) -> Key {
        Key(self.name(&format!("{kind}:{id}")))
    }

    /// The value, opened; `None` when there is none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; [`StateError::Corrupt`] for bytes that were not sealed under this very key.
    pub async fn get(&self, key: &Key) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        let sealed: Option<Vec<u8>> = self.redis.call(&Cmd::get(key.as_str())).await?;
        sealed.map(|record| self.open(key.as_str(), &record)).transpose()
    }

    /// Sets the value for `ttl_ms`, whatever it was.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been set, also later.
    pub async fn put(&self, key: &Key, value: &[u8], ttl_ms: u64) -> Result<(), StateError> {
        self.redis.call(&Cmd::pset_ex(key.as_str(), self.seal(key.as_str(), value), ttl_ms.max(1))).await
    }

    /// Sets the value for `ttl_ms` when there is none; `false` when there is.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been set, also later.
    pub async fn put_new(&self, key: &Key, value: &[u8], ttl_ms: u64) -> Result<bool, StateError> {
        let sealed = self.seal(key.as_str(), value);
        self.redis.run(PUT_NEW, &[key.as_str()], &[&sealed, &super::decimal(ttl_ms.max(1))]).await
    }

    /// Removes the value; `false` when there was none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been removed.
    pub async fn delete(&self, key: &Key) -> Result<bool, StateError> {
        self.redis.call(&Cmd::del(key.as_str())).await
    }

    pub(super) fn seal(&self, name: &str, value: &[u8]) -> Vec<u8> {
        self.keys.seal(Label::Redis, name.as_bytes(), value)
    }

    pub(super) fn open(&self, name: &str, record: &[u8]) -> Result<Zeroizing<Vec<u8>>, StateError> {
        self.keys.open(Label::Redis, name.as_bytes(), record).map_err(|_| {
            METRICS.unopened(Sealed::Redis);
            StateError::Corrupt
        })
    }
}
