//! HTTP: handlers described by the OpenAPI document that is generated from them.
//!
//! [`server`] accepts connections and bounds them; [`problem`] alone turns errors into statuses. Handlers extract, call
//! and convert; what they call knows no HTTP.

pub mod server;
pub mod stall;
pub mod headers;
pub mod client;
pub mod problem;
pub mod conditional;
pub mod disposition;
