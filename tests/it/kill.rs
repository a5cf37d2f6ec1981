//! `kill -9` at random moments under a mixed load, a restart each time: whatever was acknowledged is there, nothing is
//! half there, and no file has lost its bytes. COFFER_LONG=1 kills 200 times.

use std::sync::Arc;
use std::time::Duration;

use crate::chaos::chance::Chance;
use crate::chaos::check::{Doubts, compare, contents, view};
use crate::chaos::client::Client;
use crate::chaos::{Load, is_long, say, summary, workers};
use crate::kit::coffer::Coffer;

/// Files of each worker that are downloaded after each kill.
const SAMPLE: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_every_kill() {
    let kills = if is_long() { 200 } else { 10 };
    let mut chance = Chance::from_environment();
    let mut coffer = Coffer::start().await;
    let client = Arc::new(Client::new(vec![coffer.url("")], Duration::from_secs(30)));
    client.log_in().await;
    let mut workers = workers(&client, &mut chance).await;
    for kill in 0..kills {
        let load = Load::start(&client, workers);
        tokio::time::sleep(chance.millis(20..900)).await;
        coffer.kill();
        workers = load.stop().await;
        coffer.launch();
        if chance.one_in(5) {
            // Also while it waits for the lease, takes over and loads.
            tokio::time::sleep(chance.millis(0..2600)).await;
            coffer.kill();
            coffer.launch();
        }
        coffer.wait_until_ready().await;
        for worker in &mut workers {
            worker.repeat(&client).await;
        }
        compare(&mut workers, &view(&client).await, Doubts::Settled);
        contents(&client, &workers, &mut chance, Some(SAMPLE)).await;
        say(format_args!("kill {kill}: {}", summary(&workers)));
    }
    contents(&client, &workers, &mut chance, None).await;
    let acknowledged: usize = workers.iter().map(|worker| worker.acknowledged).sum();
    assert!(acknowledged > kills, "the load did nothing: {}", summary(&workers));
}
