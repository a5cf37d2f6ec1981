//! Coffer.
fn main() {}
