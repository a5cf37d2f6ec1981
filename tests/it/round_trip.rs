//! Files go in and come out with equal bytes, whatever their size, and every range is the slice it names.

use reqwest::StatusCode;
use sha2::{Digest, Sha256};

use crate::kit::coffer::Coffer;

const CHUNK: usize = 16_384;
const PART: usize = 8 * 1024 * 1024;

/// Bytes that compress and repeat nowhere, the same for the same seed.
fn content(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        // xorshift64*, Vigna 2016.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

#[tokio::test]
async fn every_edge_of_chunk_and_part_comes_back_equal_also_after_a_restart() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let sizes = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, PART - 1, PART, PART + 1, 2 * PART + CHUNK + 5];
    let mut files = Vec::new();
    for (seed, size) in sizes.into_iter().enumerate() {
        let bytes = content(seed as u64, size);
        let node = login.upload("root", &format!("{size}.bin"), bytes.clone()).await;
        assert_eq!(node["file"]["size_bytes"], size, "{node}");
        files.push((node["id"].as_str().unwrap().to_owned(), bytes));
    }
    for (id, bytes) in &files {
        assert_eq!(digest(&login.download(id).await), digest(bytes), "{} bytes", bytes.len());
    }
    coffer.restart().await;
    for (id, bytes) in &files {
        assert_eq!(digest(&login.download(id).await), digest(bytes), "{} bytes, restarted", bytes.len());
    }
}

#[tokio::test]
async fn a_stream_of_unknown_length_comes_back_equal() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    for size in [0, 1, CHUNK, PART - 1, PART, PART + 1, 2 * PART + 5] {
        let bytes = content(size as u64, size);
        let pieces: Vec<_> = bytes.chunks(70_001).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let node = login.upload("root", &format!("stream-{size}"), body).await;
        assert_eq!(node["file"]["size_bytes"], size, "{node}");
        assert_eq!(digest(&login.download(node["id"].as_str().unwrap()).await), digest(&bytes), "{size} bytes");
    }
}

#[tokio::test]
async fn random_ranges_are_slices() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let bytes = content(7, 2 * PART + 3 * CHUNK + 17);
    let node = login.upload("root", "ranges", bytes.clone()).await;
    let id = node["id"].as_str().unwrap();
    let size = bytes.len();
    let draws = content(11, 200 * 16);
    let draw = |at: usize| u64::from_le_bytes(draws[at * 8..at * 8 + 8].try_into().unwrap()) as usize;
    let mut ranges: Vec<(usize, usize)> = (0..200)
        .map(|n| (draw(2 * n) % size, draw(2 * n + 1) % (5 * CHUNK)))
        .map(|(first, length)| (first, (first + length).min(size - 1)))
        .collect();
    for edge in [CHUNK, PART, PART + CHUNK, 2 * PART] {
        ranges.extend([(edge - 1, edge - 1), (edge, edge), (edge - 1, edge), (edge - CHUNK, edge + CHUNK)]);
    }
    ranges.extend([(0, size - 1), (1, size - 2), (PART - 1, 2 * PART)]);
    for (first, last) in ranges {
        let (status, body) = login.range(id, &format!("bytes={first}-{last}")).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT);
        assert!(body == bytes[first..=last], "bytes {first}-{last} differ");
    }
    let (status, body) = login.range(id, "bytes=-5").await;
    assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &bytes[size - 5..]));
}

/// The row of the 3 GiB file: streamed both ways, never held. Needs COFFER_LONG=1, 4 GB of disk and some minutes.
#[tokio::test]
async fn three_gib_go_in_and_out() {
    let long = std::env::var_os("COFFER_LONG").is_some();
    let blocks: u64 = if long { 3 * 1024 } else { 40 };
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let block = |n: u64| content(n, 1024 * 1024);
    let mut hash = Sha256::new();
    for n in 0..blocks {
        hash.update(block(n));
    }
    let expected = hash.finalize();
    let stream = futures_util::stream::iter((0..blocks).map(move |n| Ok::<_, std::io::Error>(block(n))));
    let node = login.upload("root", "big", reqwest::Body::wrap_stream(stream)).await;
    let id = node["id"].as_str().unwrap();
    let mut response = login.request(reqwest::Method::GET, &format!("/files/{id}/content")).send().await.unwrap();
    let mut hash = Sha256::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        hash.update(&piece);
    }
    assert_eq!(hash.finalize(), expected);
    for n in 0..200 {
        let at = (n * 7_919 * 104_729) % (blocks * 1024 * 1024 - 70_000);
        let (from, length) = (at, 1 + (n * 331) % 69_999);
        let (_, body) = login.range(id, &format!("bytes={from}-{}", from + length - 1)).await;
        let mut expected = block(from >> 20);
        expected.extend(block((from >> 20) + 1));
        let start = usize::try_from(from & 0xF_FFFF).unwrap();
        assert!(body == expected[start..start + usize::try_from(length).unwrap()], "{length} bytes at {from} differ");
    }
}
