//! The operating system's randomness, the only source of nonces, salts, keys and ids.

/// Fills `buf` with random bytes.
///
/// # Panics
/// When the operating system has none to give: there is no safe way to go on.
pub fn fill(buf: &mut [u8]) {
    getrandom::fill(buf).expect("the operating system always has randomness once it has booted");
}

/// `N` random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
