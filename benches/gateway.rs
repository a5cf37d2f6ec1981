//! The gateway beside a plain transfer of the same bytes by the same S3 client, in one run: `cargo bench --bench gateway`.
//!
//! The store runs as a process of its own. `BENCH_GIB` sets the size (1), `BENCH_ROUNDS` the rounds (3), `BENCH_MEMORY=1`
//! adds four uploads of 2 GiB at once with a look at the vault's memory.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and ends where it fails")]
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "the kit serves the tests as well")]

mod lab;

use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer::crypto::{BlobId, BlobShape, Dek, Geometry, VaultId, random, seal_part};
use coffer::store::{CompletedPart, Payload, Store};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lab::kit::coffer::Login;
use lab::{Cost, StoreProcess, memory, metered, timed, vault_process};
use reqwest::Method;

const MIB: u64 = 1 << 20;
const PART: u64 = 8 * MIB;
/// Parts in flight of the plain transfer, as many as the gateway has.
const IN_FLIGHT: usize = 3;
const SMALL_FILES: usize = 2_000;
const SMALL_SIZE: usize = 4096;
const SMALL_IN_FLIGHT: usize = 16;

#[tokio::main]
async fn main() {
    let size = number("BENCH_GIB", 1) << 30;
    let store = StoreProcess::start();
    let vault = store.vault().await;
    let login = vault.log_in().await;
    let part = noise(PART as usize);

    sealing(&part);
    large(&store, &login, &part, size).await;
    small(&store, &login).await;
    if number("BENCH_MEMORY", 0) == 1 {
        resident(&login, &part).await;
    }
}

/// Sealing alone, beside what OpenSSL says of this machine.
fn sealing(part: &[u8]) {
    let shape = BlobShape {
        vault_id: VaultId::random(),
        blob_id: BlobId::random(),
        geometry: Geometry::for_stream(),
        size: PART,
    };
    let (dek, context) = (Dek::generate(), shape.part(0));
    let mut sealed = Vec::new();
    let begun = Instant::now();
    let mut bytes = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        sealed.clear();
        seal_part(&dek, &context, part, &mut sealed);
        bytes += part.len();
    }
    println!("sealing alone, one core: {:.2} GB/s", bytes as f64 / begun.elapsed().as_secs_f64() / 1e9);
    let speed = std::process::Command::new("openssl")
        .args(["speed", "-elapsed", "-seconds", "3", "-bytes", "16384", "-evp", "aes-256-gcm"])
        .output();
    let text = speed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    println!("openssl speed, one core: {}", text.lines().last().unwrap_or("openssl is not installed"));
}

async fn large(store: &StoreProcess, login: &Login, part: &Bytes, size: u64) {
    let plain = store.client();
    let mut costs: [Vec<Cost>; 5] = Default::default();
    let rounds = number("BENCH_ROUNDS", 3);
    for round in 0..rounds {
        let key = format!("large-{round}");
        let (_, put_unhashed) = metered(store, put(&plain, "unhashed", part, size, Payload::Sealed)).await;
        let (_, put_plain) = metered(store, put(&plain, &key, part, size, Payload::Hashed)).await;
        let (file, upload) = metered(store, upload(login, &key, part, size)).await;
        let (_, get_plain) = metered(store, get(&plain, &key, size)).await;
        let (_, download) = metered(store, download(login, &file, size)).await;
        for (all, cost) in costs.iter_mut().zip([put_plain, put_unhashed, upload, get_plain, download]) {
            all.push(cost);
        }
    }
    let names = ["plain up", "plain up, body not in the signature", "gateway up", "plain down", "gateway down"];
    let [put, put_unhashed, upload, get, download] = costs.map(|all| Cost::median(&all));
    for (name, cost) in names.iter().zip([put, put_unhashed, upload, get, download]) {
        println!("{name}: {}, {}", rate(size, cost.wall), cost.cpu(size as f64 / f64::from(1 << 30)));
    }
    let ratio = |plain: Cost, gateway: Cost| plain.wall.as_secs_f64() / gateway.wall.as_secs_f64();
    println!(
        "gateway / plain, medians of {rounds}: up {:.2} (body not in the signature: {:.2}), down {:.2}",
        ratio(put, upload),
        ratio(put_unhashed, upload),
        ratio(get, download)
    );
}

async fn put(store: &Store, key: &str, part: &Bytes, size: u64, payload: Payload) {
    let id = store.create_multipart(key).await.unwrap();
    let numbers = stream::iter(1..=u32::try_from(size / PART).unwrap());
    let parts = numbers.map(|number| {
        let (id, body) = (&id, part.clone());
        async move {
            let etag = store.upload_part(key, id, number, body, payload).await;
            etag.map(|etag| CompletedPart { number, etag, sha256: None })
        }
    });
    let parts: Vec<_> = parts.buffered(IN_FLIGHT).try_collect().await.unwrap();
    store.complete_multipart(key, &id, &parts).await.unwrap();
}

async fn get(store: &Store, key: &str, size: u64) {
    let mut body = store.get_range(key, 0..size).await.unwrap();
    while let Some(bytes) = body.next().await {
        std::hint::black_box(bytes.unwrap());
    }
}

async fn upload(login: &Login, name: &str, part: &Bytes, size: u64) -> String {
    let pieces: Vec<_> = part.chunks(MIB as usize).map(|piece| part.slice_ref(piece)).collect();
    let body =
        stream::iter((0..size / MIB).map(move |i| Ok::<_, std::io::Error>(pieces[i as usize % pieces.len()].clone())));
    let file = login.upload("root", name, reqwest::Body::wrap_stream(body)).await;
    file["id"].as_str().unwrap().to_owned()
}

async fn download(login: &Login, file: &str, size: u64) {
    let response = login.request(Method::GET, &format!("/files/{file}/content")).send().await.unwrap();
    let mut body = response.bytes_stream();
    let mut received = 0;
    while let Some(bytes) = body.next().await {
        received += bytes.unwrap().len() as u64;
    }
    assert_eq!(received, size);
}

async fn small(store: &StoreProcess, login: &Login) {
    let plain = store.client();
    let content = noise(SMALL_SIZE);
    let folder = login.create("/folders", &serde_json::json!({"parent": "root", "name": "small"})).await;
    let folder = folder["id"].as_str().unwrap();
    let puts = stream::iter(0..SMALL_FILES).map(|i| {
        let (plain, content) = (&plain, content.clone());
        async move { plain.put(&format!("small-{i}"), content).await.map(drop) }
    });
    let (done, put) = timed(puts.buffer_unordered(SMALL_IN_FLIGHT).try_collect::<()>()).await;
    done.unwrap();
    let uploads = stream::iter(0..SMALL_FILES).map(|i| {
        let content = content.clone();
        async move { drop(login.upload(folder, &format!("small-{i}"), content).await) }
    });
    let ((), upload) = timed(uploads.buffer_unordered(SMALL_IN_FLIGHT).collect::<()>()).await;
    println!(
        "{SMALL_FILES} files of {SMALL_SIZE} bytes at concurrency {SMALL_IN_FLIGHT}: plain {:.0}/s, gateway {:.0}/s, ratio {:.2}",
        SMALL_FILES as f64 / put.as_secs_f64(),
        SMALL_FILES as f64 / upload.as_secs_f64(),
        put.as_secs_f64() / upload.as_secs_f64()
    );
}

/// Four uploads of 2 GiB at once: the vault's resident memory before, at its peak, and half a minute after.
async fn resident(login: &Login, part: &Bytes) {
    let idle = memory(vault_process(), "VmRSS:");
    // 5 resets the peak (proc(5), clear_refs).
    std::fs::write(format!("/proc/{}/clear_refs", vault_process()), "5").unwrap();
    let names = ["four-0", "four-1", "four-2", "four-3"];
    let uploads = names.map(|name| upload(login, name, part, 2 << 30));
    let (_, took) = timed(futures_util::future::join_all(uploads)).await;
    let peak = memory(vault_process(), "VmHWM:");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let after = memory(vault_process(), "VmRSS:");
    println!(
        "four uploads of 2 GiB at once in {:.0} s: resident idle {} MiB, peak {} MiB, 30 s after {} MiB",
        took.as_secs_f64(),
        idle / MIB,
        peak / MIB,
        after / MIB
    );
}

fn noise(len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    random::fill(&mut bytes);
    bytes.into()
}

fn rate(size: u64, took: Duration) -> String {
    format!("{:.0} MB/s", size as f64 / took.as_secs_f64() / 1e6)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
