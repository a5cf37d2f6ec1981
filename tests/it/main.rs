//! Integration tests: real HTTP, a real Redis, a real S3 protocol.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics where it stands")]

mod binding;
mod bucket_rules;
mod chaos;
mod commands;
mod content;
mod direct;
mod embedded;
mod events;
mod flood;
mod grants;
mod http;
mod identity;
mod kill;
mod kit;
mod leaks;
mod log;
mod login;
mod lying_bucket;
mod metrics;
mod outage;
mod owner;
mod overview;
mod probe;
mod quota;
mod rclone;
mod redis_server;
mod rollback;
mod round_trip;
mod session;
mod slow_clients;
mod start;
mod state;
mod takeover;
mod tokens;
mod tree;
mod vault;
mod walls;
