//! Direct uploads: what a client sends to the bucket itself becomes content only when all of it is what it was said to be.

mod attacks;
mod careless;
mod endings;
mod exchange;
mod refusals;
mod sweep;

/// Bytes without a period that a chunk or part could hide.
fn text(size: usize) -> Vec<u8> {
    let mut state = 7u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..size).map(next).collect()
}
