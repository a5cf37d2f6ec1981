//! Tests of the whole floor: fixed vectors, published vectors, and what a hostile bucket may try.

mod properties;
mod vectors;
mod wycheproof;

use super::Salt;
use super::cobblestone::{INFO, expand};

/// The AES-GCM key and nonce of a message's chunk: the pair that must never meet two plaintexts.
fn key_and_nonce(key: &[u8; 32], salt: &Salt, context: &[u8], index: u64) -> ([u8; 32], [u8; 12]) {
    let mut okm = [0; 44];
    expand(key, &[INFO, salt, context], &mut okm);
    let (key, base_nonce) = okm.split_first_chunk().unwrap();
    let nonce = u128::from_be_bytes([[0; 4].as_slice(), base_nonce].concat().try_into().unwrap()) ^ u128::from(index);
    (*key, nonce.to_be_bytes()[4..].try_into().unwrap())
}
