//! What the tests stand on: real servers, started privately for each test and gone with it.

pub(crate) mod authenticator;
pub(crate) mod backup;
pub(crate) mod bucket;
pub(crate) mod bucket_process;
pub(crate) mod careless;
pub(crate) mod coffer;
pub(crate) mod direct;
pub(crate) mod embedded;
pub(crate) mod lent;
pub(crate) mod lying_bucket;
pub(crate) mod pair;
pub(crate) mod prover;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod rclone;
pub(crate) mod redis_gate;
pub(crate) mod world;

pub(crate) use bucket::TestBucket;
pub(crate) use embedded::TestStore;
pub(crate) use redis::TestRedis;
