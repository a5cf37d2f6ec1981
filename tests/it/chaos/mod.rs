//! A load of changes with a plain model beside it, for tests that do harm while it runs.
//!
//! Each worker changes nodes of its own, one after the other, and notes in its [`model::Tree`] what was acknowledged. A
//! change without a clear answer is a doubt: it may be there whole or not at all, and its nodes are left alone until that
//! is seen. [`check`] compares everything that the vault shows with all models together: an acknowledged change that is
//! missing, a refused one that is there, half a change and a node that nobody made are all found.

pub(crate) mod chance;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod content;
pub(crate) mod model;
pub(crate) mod worker;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use chance::Chance;
use client::Client;
use worker::Worker;

/// How many clients change something at the same time.
const WORKERS: u64 = 3;

/// Whether the long variants are asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("COFFER_LONG").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The workers of a run, each with a folder of its own.
pub(crate) async fn workers(client: &Client, chance: &mut Chance) -> Vec<Worker> {
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(Worker::new(client, number, chance.fork()).await);
    }
    workers
}

/// Tells how a run goes, and how to repeat it; the runner shows it when the test fails, or with `--no-capture`.
#[expect(clippy::print_stderr, reason = "a run of many minutes shows where it is")]
pub(crate) fn say(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}

/// What the workers have done so far.
pub(crate) fn summary(workers: &[Worker]) -> String {
    let sum = |count: fn(&Worker) -> usize| workers.iter().map(count).sum::<usize>();
    let (acknowledged, doubted) = (sum(|worker| worker.acknowledged), sum(|worker| worker.doubted));
    let (open, nodes) = (sum(|worker| worker.doubts.len()), sum(|worker| worker.tree.0.len()));
    format!("{acknowledged} changes acknowledged, {doubted} were in doubt, {open} are; {nodes} nodes")
}

/// A load that runs.
pub(crate) struct Load {
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<Worker>>,
}

impl Load {
    /// Starts all workers.
    pub(crate) fn start(client: &Arc<Client>, workers: Vec<Worker>) -> Self {
        let stop = CancellationToken::new();
        let run = |worker: Worker| tokio::spawn(worker.run(Arc::clone(client), stop.clone()));
        Self { tasks: workers.into_iter().map(run).collect(), stop }
    }

    /// Lets each worker end what it has begun.
    pub(crate) async fn stop(self) -> Vec<Worker> {
        self.stop.cancel();
        let mut workers = Vec::new();
        for task in self.tasks {
            match task.await {
                Ok(worker) => workers.push(worker),
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        }
        workers
    }
}
