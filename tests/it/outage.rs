//! Redis, then the bucket, away under load: every refusal says why, work goes on by itself when they are back, and
//! nothing that was answered is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::TestBucket;
use crate::kit::coffer::{Coffer, Login};
use crate::kit::proxy::{Fault, Proxy};

const WORKERS: usize = 4;

/// How long what should come may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an answer may be while something is away.
const REASONS: [&str; 6] =
    ["REDIS_UNAVAILABLE", "STORAGE_UNAVAILABLE", "OUTCOME_UNKNOWN", "NOT_READY", "BUSY", "READ_ONLY"];

/// Folders made and looked at without end.
struct Load {
    made: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

/// What one worker was told.
#[derive(Default)]
struct Told {
    made: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

async fn work(worker: usize, login: Login, load: Arc<Load>) -> Told {
    let mut told = Told::default();
    for round in 0.. {
        if load.stop.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("{worker}-{round}");
        let body = json!({"parent": "root", "name": name});
        let made = login.request(Method::POST, "/folders").json(&body).send().await.unwrap();
        let read = login.request(Method::GET, "/nodes/root").send().await.unwrap();
        match made.status().as_u16() {
            201 => {
                told.made.insert(name);
                load.made.fetch_add(1, Ordering::SeqCst);
            }
            503 => {
                let problem: Value = made.json().await.unwrap();
                assert!(REASONS.contains(&problem["code"].as_str().unwrap()), "{problem}");
                told.unknown.insert(name);
                load.refused.fetch_add(1, Ordering::SeqCst);
                // A client that is refused waits a little.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("a folder was answered {other}: {}", made.text().await.unwrap()),
        }
        let status = read.status().as_u16();
        assert!(matches!(status, 200 | 503), "a read was answered {status}: {}", read.text().await.unwrap());
    }
    told
}

async fn until_more(counter: &AtomicUsize, more: usize) {
    let wanted = counter.load(Ordering::SeqCst) + more;
    let reached = async {
        while counter.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the load goes on");
}

/// All names in the root.
async fn names(login: &Login) -> Vec<String> {
    let mut names = Vec::new();
    let mut next = String::new();
    loop {
        let page = login.get(&format!("/nodes/root/children?limit=1000{next}")).await;
        names.extend(page["items"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return names,
        }
    }
}

#[tokio::test]
async fn what_goes_away_under_load_comes_back_and_loses_nothing() {
    let bucket = TestBucket::start_process();
    let proxy = Proxy::start(bucket.url()).await;
    let settings = bucket.settings(proxy.url());
    let mut settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([("OWNER_REQUESTS", "10000000"), ("S3_REQUEST_TIMEOUT_SECS", "5")]);
    let mut coffer = Coffer::start_with(&settings).await;
    let login = coffer.log_in().await;
    let load = Arc::new(Load { made: 0.into(), refused: 0.into(), stop: false.into() });
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        workers.spawn(work(worker, login.clone(), load.clone()));
    }
    until_more(&load.made, 20).await;

    coffer.redis.kill();
    until_more(&load.refused, 2 * WORKERS).await;
    coffer.wait_until("without Redis", |status, body| status == 503 && body["code"] == "REDIS_UNAVAILABLE").await;
    let live = coffer.client.get(coffer.url("/health/live")).send().await.unwrap();
    assert_eq!(live.status(), 200);
    coffer.redis.restart().await;
    coffer.wait_until_ready().await;
    until_more(&load.made, 20).await;

    let away = proxy.trap(Fault::LoseRequest, (0, usize::MAX), |_| true);
    until_more(&load.refused, 2 * WORKERS).await;
    drop(away);
    coffer.wait_until_ready().await;
    until_more(&load.made, 20).await;
    load.stop.store(true, Ordering::SeqCst);

    let (mut made, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    while let Some(told) = workers.join_next().await {
        let told = told.unwrap();
        made.extend(told.made);
        unknown.extend(told.unknown);
    }
    coffer.restart().await;
    let found = names(&login).await;
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "nothing is there twice");
    assert!(made.is_subset(&once), "what was answered is there: {:?}", made.difference(&once).collect::<Vec<_>>());
    let more: Vec<&String> = once.difference(&made).filter(|name| !unknown.contains(*name)).collect();
    assert!(more.is_empty(), "nothing is there that nobody asked for: {more:?}");
}
