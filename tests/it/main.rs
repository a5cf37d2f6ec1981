//! Integration tests: real HTTP, a real Redis, a real S3 protocol.

mod kit;
mod redis_server;
