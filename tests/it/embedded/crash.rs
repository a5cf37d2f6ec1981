//! The store as a process of its own, killed in the middle of its work.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::noise;
use crate::kit::embedded::{ACCESS_KEY, BUCKET, SECRET_KEY, TestStore, client};

const KILLS: u64 = 5;
const WRITERS: u64 = 4;

/// Runs `coffer store` on a folder; the URL of its listener comes from its first line.
async fn run_store(root: &TempDir) -> (Child, String) {
    let mut store = Command::new(env!("CARGO_BIN_EXE_coffer"))
        .args(["store", "--bind", "127.0.0.1:0", "--bucket", BUCKET, "--root"])
        .arg(root.path())
        .env_clear()
        .env("S3_ACCESS_KEY_ID", ACCESS_KEY)
        .env("S3_SECRET_ACCESS_KEY", SECRET_KEY)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let line = BufReader::new(store.stdout.take().unwrap()).lines().next_line().await.unwrap();
    let url = line.expect("the store says where it listens").strip_suffix(&format!("/{BUCKET}")).unwrap().to_owned();
    (store, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_kill_is_whole_and_nothing_is_half_there() {
    let root = tempfile::tempdir().unwrap();
    let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    for kill in 0..KILLS {
        let (mut store, url) = run_store(&root).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|writer| {
            let (client, acknowledged, is_over) = (client(&url), Arc::clone(&acknowledged), Arc::clone(&is_over));
            tokio::spawn(async move {
                for n in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let (key, seed) = (format!("blob/{writer}-{}", n % 7), kill << 32 | writer << 24 | n);
                    let put = client.put_object().bucket(BUCKET).key(&key).body(noise(length(seed), seed).into());
                    // Without an answer either the old or the new object may be there.
                    acknowledged.lock().remove(&key);
                    if put.send().await.is_ok() {
                        acknowledged.lock().insert(key, seed);
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        tokio::time::sleep(std::time::Duration::from_millis(150 + 37 * kill)).await;
        store.start_kill().unwrap();
        store.wait().await.unwrap();
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
    }
    let store = TestStore::serve(root).await;
    assert_eq!(store.staged(), 0);
    let acknowledged = acknowledged.lock().clone();
    assert!(acknowledged.len() > 3, "the writers got something done");
    for (key, seed) in acknowledged {
        let found = super::get(&store, &key).await.unwrap();
        assert!(found == noise(length(seed), seed), "{key}");
    }
    for file in store.root.path().join("blob").read_dir().unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(LENGTHS.contains(&bytes.len()), "half an object");
    }
}

const LENGTHS: [usize; 4] = [17, 4096, 700_000, 3 << 20];

fn length(seed: u64) -> usize {
    LENGTHS[usize::try_from(seed % 4).unwrap()]
}
