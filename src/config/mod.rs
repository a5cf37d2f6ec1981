//! Configuration: alone reads the environment, and turns it into structs that are known to be good.
//!
//! A leaf: it imports none of our other modules, and any of them may import its own small struct from here.

mod clock;
mod network;
mod report;
mod secret;
mod settings;

pub use clock::Clock;
pub use network::{Network, NotANetwork};
pub use report::{Finding, Report, Severity};
pub use secret::{RootSecret, Secret};
pub use settings::{
    Config, Endpoint, HttpConfig, LogConfig, OwnerConfig, Password, RedisConfig, SessionConfig, StoreConfig,
    TelemetryConfig, VaultConfig,
};
