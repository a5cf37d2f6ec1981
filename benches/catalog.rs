//! A catalog of many files, made through the API: `cargo bench --bench catalog`.
//!
//! `BENCH_FILES` files (100,000) go into one folder, as many again into `BENCH_FOLDERS` folders (1,000). Then: start-up,
//! memory for each file, a page, a rename, a move of the big folder, and how many log entries the last two wrote; in the
//! end the folders are copied until there are `BENCH_NAMES` names (1,000,000), and some are looked for.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and ends where it fails")]
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "the kit serves the tests as well")]

mod lab;

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use lab::kit::coffer::{Coffer, Login};
use lab::{StoreProcess, median, memory, timed, vault_process};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// As many as the vault takes at once.
const IN_FLIGHT: usize = 16;
const ROUNDS: usize = 21;
const SETTLED: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let (files, folders) = (number("BENCH_FILES", 100_000), number("BENCH_FOLDERS", 1_000));
    let store = StoreProcess::start();
    let mut vault = store.vault().await;
    restart(&mut vault).await;
    let empty = memory(vault_process(), "VmRSS:");
    let login = vault.log_in().await;
    let big = folder(&login, "big").await;
    let ((), one) = timed(fill(&login, vec![big.clone()], files)).await;
    let many: Vec<String> = stream::iter(0..folders).then(|i| folder_named(&login, i)).collect().await;
    let ((), spread) = timed(fill(&login, many.clone(), files)).await;
    println!(
        "{files} files into one folder: {:.0}/s; into {folders} folders: {:.0}/s",
        files as f64 / one.as_secs_f64(),
        files as f64 / spread.as_secs_f64()
    );

    let starts = [restart(&mut vault).await, restart(&mut vault).await, restart(&mut vault).await];
    println!(
        "start-up with {} files: {:.2} s (median of 3)",
        2 * files,
        median(starts.map(|it| it.as_secs_f64()).into())
    );
    // A checkpoint that became due is in memory while it is written.
    tokio::time::sleep(SETTLED).await;
    let used = memory(vault_process(), "VmRSS:").saturating_sub(empty);
    println!("resident memory for each file: {} bytes", used / (2 * files as u64));

    let login = vault.log_in().await;
    pages(&login, &big).await;
    changes(&store, &login, &big).await;
    names(&login, &many, 2 * files, number("BENCH_NAMES", 1_000_000)).await;
}

async fn restart(vault: &mut Coffer) -> Duration {
    vault.stop();
    vault.launch();
    timed(vault.wait_until_ready()).await.1
}

async fn folder(login: &Login, name: &str) -> String {
    login.create("/folders", &json!({"parent": "root", "name": name})).await["id"].as_str().unwrap().to_owned()
}

async fn folder_named(login: &Login, number: usize) -> String {
    folder(login, &format!("folder {number}")).await
}

/// Names of 20 bytes, content of one byte.
async fn fill(login: &Login, folders: Vec<String>, files: usize) {
    let uploads = stream::iter(0..files).map(|i| {
        let folder = folders[i % folders.len()].clone();
        async move { drop(login.upload(&folder, &format!("file-{i:011}.txt"), "x").await) }
    });
    uploads.buffer_unordered(IN_FLIGHT).collect::<()>().await;
}

/// Pages of 1,000: the first by each order, which is sorted for the first who asks, and all of them one after another.
async fn pages(login: &Login, folder: &str) {
    for sort in ["name", "-size", "-modified", "kind"] {
        let mut took = vec![];
        for _ in 0..ROUNDS {
            let (page, time) = timed(login.get(&format!("/nodes/{folder}/children?limit=1000&sort={sort}"))).await;
            assert_eq!(page["items"].as_array().unwrap().len().min(1), 1);
            took.push(time.as_secs_f64() * 1e3);
        }
        println!(
            "a page of 1,000 by {sort}: {:.1} ms, asked for the first time {:.1} ms",
            median(took.clone()),
            took[0]
        );
    }
    let (mut next, mut took) = (Value::Null, vec![]);
    loop {
        let cursor = next.as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let path = format!("/nodes/{folder}/children?limit=1000&sort=-modified{cursor}");
        let (page, time) = timed(login.get(&path)).await;
        took.push(time.as_secs_f64() * 1e3);
        next = page["next"].clone();
        if next.is_null() {
            break;
        }
    }
    println!("{} pages by -modified to the end, each: {:.1} ms", took.len(), median(took));
}

async fn changes(store: &StoreProcess, login: &Login, big: &str) {
    let page = login.get(&format!("/nodes/{big}/children?limit=1")).await;
    let file = page["items"][0]["id"].as_str().unwrap().to_owned();
    let target = folder(login, "target").await;
    let mut renames = vec![];
    let before = store.objects("log/catalog");
    for round in 0..ROUNDS {
        renames.push(patch(login, &file, &json!({"name": format!("renamed {round}")})).await);
    }
    let entries = store.objects("log/catalog") - before;
    println!("a rename in the big folder: {:.1} ms, {:.2} PUTs", median(renames), entries as f64 / ROUNDS as f64);
    let before = store.objects("log/catalog");
    let mut moves = vec![];
    for round in 0..ROUNDS {
        let parent = if round % 2 == 0 { target.as_str() } else { "root" };
        moves.push(patch(login, big, &json!({"parent": parent})).await);
    }
    let entries = store.objects("log/catalog") - before;
    println!("a move of the big folder: {:.1} ms, {:.2} PUTs", median(moves), entries as f64 / ROUNDS as f64);
}

async fn names(login: &Login, folders: &[String], mut have: usize, wanted: usize) {
    let target = folder(login, "copies").await;
    let each = have / 2 / folders.len() + 1;
    let (target, copied) = (target.as_str(), wanted.saturating_sub(have).div_ceil(each));
    let copies = stream::iter(0..copied).map(|i| async move {
        let body = json!({"parent": target, "name": format!("copy {i}")});
        drop(login.create(&format!("/nodes/{}/copy", folders[i % folders.len()]), &body).await);
    });
    let ((), took) = timed(copies.buffer_unordered(IN_FLIGHT).collect::<()>()).await;
    println!("{copied} copies of folders of {each}: {:.0}/s", copied as f64 / took.as_secs_f64());
    have += copied * each;
    for text in ["nothing like it", "777777", "copy 77", "7", "e", "file"] {
        let (mut took, mut total) = (vec![], Value::Null);
        for _ in 0..ROUNDS {
            let (page, time) = timed(login.get(&format!("/search?limit=50&q={text}"))).await;
            total = page["total"].clone();
            took.push(time.as_secs_f64() * 1e3);
        }
        println!("\"{text}\" among {have} names: {total} found, {:.1} ms", median(took));
    }
    let mut took = vec![];
    for _ in 0..ROUNDS {
        took.push(timed(login.get("/recent?limit=50")).await.1.as_secs_f64() * 1e3);
    }
    println!("the latest 50 of them: {:.1} ms", median(took));
}

async fn patch(login: &Login, node: &str, body: &Value) -> f64 {
    let request = login.request(Method::PATCH, &format!("/nodes/{node}")).json(body);
    let (response, took) = timed(request.send()).await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{}", response.text().await.unwrap());
    took.as_secs_f64() * 1e3
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
