//! Coffer: a single owner's vault on an S3 bucket that it does not trust.
//!
//! Read the modules in this order: [`crypto`] (bytes), [`store`] and [`state`] (where bytes go), [`log`] (what lasts),
//! [`vault`] (the domain), [`owner`] and [`session`] (who may), [`api`] (HTTP), [`cmd`] (the program).

pub use coffer_crypto as crypto;

pub mod store;
pub mod state;
pub mod log;
pub mod vault;
pub mod owner;
pub mod session;
pub mod api;
pub mod web;
pub mod config;
pub mod telemetry;
pub mod cmd;
