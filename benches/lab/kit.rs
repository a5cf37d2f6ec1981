//! The tests' way to start the real program and a real Redis.

#[path = "../../tests/it/kit/coffer.rs"]
pub(crate) mod coffer;
#[path = "../../tests/it/kit/lent.rs"]
mod lent;
#[path = "../../tests/it/kit/redis.rs"]
mod redis;

pub(crate) use redis::TestRedis;
