//! Sealed Redis: everything that may be lost.
//!
//! Every command is bounded by one timeout and nothing queues without end: while Redis is away each call says
//! [`StateError::Unavailable`] at once, and the first call after its return succeeds. Values are sealed under the vault's
//! keys with their full Redis key as additional data, so that neither a dump nor a swap of two values is of use; what a
//! script must compare (the lease, attempts) holds random numbers only, and the anchor arrives here already sealed.
//!
//! A command that was given up may still be executed later, by a Redis that was only slow. So whatever is written
//! here either bears that (a delete, a value under a key of its own) or goes through a script that compares first.
//!
//! It deliberately does not know what the values mean.

mod anchor;
mod attempts;
mod lease;
mod link;
mod quota;
mod table;
mod value;

use std::sync::Arc;

use redis::{Cmd, FromRedisValue};

use crate::config::RedisConfig;
use crate::crypto::{VaultId, VaultKeys};

pub use anchor::Advance;
pub use attempts::{Attempt, LONGEST_LOCKOUT_MS, MEMORY_MS, Ticket};
pub use lease::BootstrapLease;
pub use quota::{Rate, Taken};
pub use table::{Found, Outcome, Table};
pub use value::Key;

use link::Link;

/// What went wrong with Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Redis did not answer in time, or refused. Whether a change was made is not known.
    #[error("redis is not available")]
    Unavailable,
    /// A value is not what this vault sealed under that key.
    #[error("a value in redis is not what this vault put there")]
    Corrupt,
}

/// One Redis server, reached over one connection that mends itself. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
}

impl Redis {
    /// Reads the settings; connects only when first asked something.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] when the URL is none that a Redis can have.
    pub fn new(config: &RedisConfig) -> Result<Self, StateError> {
        Ok(Self { link: Arc::new(Link::new(config)?) })
    }

    /// Whether Redis answers now.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), StateError> {
        self.call(&redis::cmd("PING")).await
    }

    /// The part of Redis that belongs to one vault.
    pub fn for_vault(&self, keys: VaultKeys) -> State {
        let prefix = keys.vault_id().hex().into();
        State { redis: self.clone(), keys, prefix }
    }

    async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StateError> {
        self.link.call(command).await
    }

    async fn run<T: FromRedisValue>(&self, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Result<T, StateError> {
        self.link.run(script, keys, arguments).await
    }
}

/// One vault's part of Redis: every key begins with the vault's id. Cheap to clone.
#[derive(Clone)]
pub struct State {
    redis: Redis,
    keys: VaultKeys,
    prefix: Arc<str>,
}

impl State {
    /// The vault whose state this is.
    pub fn vault_id(&self) -> VaultId {
        self.keys.vault_id()
    }

    /// Whether Redis answers now.
    ///
    /// # Errors
    /// [`StateError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), StateError> {
        self.redis.ping().await
    }

    fn name(&self, kind: &str) -> String {
        format!("{}:{kind}", self.prefix)
    }
}

/// A script's argument for a number.
fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}
