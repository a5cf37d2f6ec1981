//! Sessions: a signed token and the Redis record that decides.
