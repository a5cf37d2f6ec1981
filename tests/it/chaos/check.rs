//! Compares what the vault shows with what the workers know.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::chance::Chance;
use super::client::Client;
use super::model::{Change, Seen, Tree};
use super::worker::{Worker, seen};

/// Between two looks at a vault that may still be at work.
const PAUSE: Duration = Duration::from_millis(100);

/// Everything in the vault by id, the root not.
pub(crate) type View = BTreeMap<String, Seen>;

/// Whether a change in doubt can still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubts {
    /// Every process that knew of it is gone: what is not there will never be.
    Settled,
    /// One of the processes may still be at it: what is there stays, what is not may come.
    Open,
}

/// Looks until two views in a row are equal: a change in doubt may still be on its way.
pub(crate) async fn steady_view(client: &Client) -> View {
    let mut last = view(client).await;
    loop {
        tokio::time::sleep(PAUSE).await;
        let next = view(client).await;
        if next == last {
            return next;
        }
        last = next;
    }
}

/// Walks through all folders and the trash.
pub(crate) async fn view(client: &Client) -> View {
    let root = client.get("/nodes/root").await;
    let mut folders = vec![root["id"].as_str().unwrap().to_owned()];
    let mut found = View::new();
    let mut take = |items: Vec<serde_json::Value>, is_trash: bool, folders: &mut Vec<String>| {
        for item in items {
            let id = item["id"].as_str().unwrap().to_owned();
            if item["kind"] == "folder" {
                folders.push(id.clone());
            }
            let node = Seen { is_trashed: is_trash, ..seen(&item) };
            assert!(found.insert(id.clone(), node).is_none(), "{id} is in two places");
        }
    };
    take(client.list("/trash").await, true, &mut folders);
    while let Some(folder) = folders.pop() {
        take(client.list(&format!("/nodes/{folder}/children")).await, false, &mut folders);
    }
    found
}

/// Settles what can be settled, and fails unless the vault shows what was acknowledged and nothing else.
pub(crate) fn compare(workers: &mut [Worker], view: &View, doubts: Doubts) {
    let mut known: HashSet<String> = HashSet::new();
    for worker in workers.iter_mut() {
        settle(worker, view, doubts);
        for (id, node) in &worker.tree.0 {
            let (expected, seen) = (Seen::of(node), view.get(id));
            if seen != Some(&expected) {
                worker.fail(&format!("{id} should be {expected:?} and is {seen:?}"));
            }
        }
        known.extend(worker.tree.0.keys().cloned());
    }
    if let Some((id, node)) = view.iter().find(|(id, _)| !known.contains(*id)) {
        let owner = workers.iter().find(|worker| worker.tree.0.contains_key(&node.parent)).unwrap_or(&workers[0]);
        owner.fail(&format!("nobody made {id}, {node:?}, or it was deleted for ever"));
    }
}

fn settle(worker: &mut Worker, view: &View, doubts: Doubts) {
    for change in std::mem::take(&mut worker.doubts) {
        let made = id_made_by(&change, view);
        if is_there(worker, &change, made.as_deref(), view) {
            worker.note(format!("seen: {change:?}"));
            worker.tree.apply(&change, made.as_deref().unwrap_or_default());
        } else if doubts == Doubts::Open {
            worker.doubts.push(change);
        } else {
            worker.note(format!("not there: {change:?}"));
        }
    }
}

/// Names are never used twice, so a name tells what made the node.
fn id_made_by(change: &Change, view: &View) -> Option<String> {
    let Change::Create { parent, name, .. } = change else { return None };
    let is_it = |(_, node): &(&String, &Seen)| node.name == *name && node.parent == *parent;
    view.iter().find(is_it).map(|(id, _)| id.clone())
}

/// Whether a change in doubt is there. Half a change is neither: [`compare`] finds it.
fn is_there(worker: &Worker, change: &Change, made: Option<&str>, view: &View) -> bool {
    let changed = match change {
        Change::Create { .. } => return made.is_some(),
        _ => change.touches()[0],
    };
    let mut after = Tree(worker.tree.0.clone());
    after.apply(change, "");
    view.get(changed) == after.0.get(changed).map(Seen::of).as_ref()
}

/// Downloads some files with all their versions, or everything, and compares every byte.
pub(crate) async fn contents(client: &Client, workers: &[Worker], chance: &mut Chance, sample: Option<usize>) {
    for worker in workers {
        let doubtful: HashSet<&str> = worker.doubts.iter().flat_map(Change::touches).collect();
        let is_plain_file = |id: &&String| !worker.tree.0[*id].is_folder() && !doubtful.contains(id.as_str());
        let mut files: Vec<String> = worker.tree.0.keys().filter(is_plain_file).cloned().collect();
        if let Some(sample) = sample {
            let all = files;
            files = (0..sample).filter_map(|_| chance.pick(all.clone())).collect();
        }
        for id in files {
            let versions = client.list(&format!("/files/{id}/versions")).await;
            let expected = &worker.tree.0[&id].versions;
            if versions.len() != expected.len() {
                worker.fail(&format!("{id} has {} versions of {}", versions.len(), expected.len()));
            }
            for (version, content) in versions.iter().rev().zip(expected) {
                let version = version["id"].as_str().unwrap();
                let bytes = client.download(&format!("/files/{id}/content?version={version}")).await;
                if bytes != content.bytes() {
                    worker.fail(&format!("version {version} of {id} has other bytes"));
                }
            }
        }
    }
}
