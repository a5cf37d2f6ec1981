//! One client with its own part of the tree.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::chance::Chance;
use super::client::{Answer, Client, is_passing};
use super::content::Content;
use super::model::{Change, Node, Seen, Tree};

/// From so many nodes on, more is taken away than made.
const ENOUGH_NODES: usize = 45;
/// How long a read of a process that may be stopped is waited for.
const GLANCE: Duration = Duration::from_millis(700);
/// Changes that are shown when something is wrong.
const SHOWN: usize = 40;

/// A client, its model, and what it does not know.
pub(crate) struct Worker {
    /// What was acknowledged.
    pub(crate) tree: Tree,
    /// Changes without a clear answer.
    pub(crate) doubts: Vec<Change>,
    /// How many changes were acknowledged.
    pub(crate) acknowledged: usize,
    /// How many were in doubt at some time.
    pub(crate) doubted: usize,
    number: u64,
    home: String,
    chance: Chance,
    serial: u64,
    journal: Vec<String>,
}

impl Worker {
    /// Makes the worker's folder.
    pub(crate) async fn new(client: &Client, number: u64, chance: Chance) -> Self {
        let body = json!({"parent": "root", "name": format!("home of {number}")});
        let answer = client.send(client.request(Method::POST, "/folders").await.json(&body)).await;
        let Answer::Done(made) = answer else { panic!("no folder for worker {number}: {answer:?}") };
        let home = made["id"].as_str().unwrap().to_owned();
        let parent = made["parent"].as_str().unwrap().to_owned();
        let name = made["name"].as_str().unwrap().to_owned();
        let node = Node { parent, name, starred: false, is_trashed: false, versions: vec![] };
        let tree = Tree(BTreeMap::from([(home.clone(), node)]));
        Self { tree, doubts: vec![], acknowledged: 0, doubted: 0, number, home, chance, serial: 0, journal: vec![] }
    }

    /// Changes one thing after the other until it is stopped.
    pub(crate) async fn run(mut self, client: Arc<Client>, stop: CancellationToken) -> Self {
        while !stop.is_cancelled() {
            let change = self.choose();
            self.make(&client, change).await;
        }
        self
    }

    /// Repeats some of the creations in doubt under their keys: that is safe, and settles them.
    pub(crate) async fn repeat(&mut self, client: &Client) {
        for change in std::mem::take(&mut self.doubts) {
            if matches!(change, Change::Create { .. }) && self.chance.one_in(2) {
                self.make(client, change).await;
            } else {
                self.doubts.push(change);
            }
        }
    }

    /// Ends the test with what was done last.
    pub(crate) fn fail(&self, what: &str) -> ! {
        let from = self.journal.len().saturating_sub(SHOWN);
        panic!("{what}\nthe last changes of worker {}:\n{}", self.number, self.journal[from..].join("\n"));
    }

    /// Notes something for those who read about a failure.
    pub(crate) fn note(&mut self, line: String) {
        self.journal.push(line);
    }

    async fn make(&mut self, client: &Client, change: Change) {
        let answer = client.send(request(client, &change).await).await;
        match answer {
            Answer::Done(made) => {
                let id = made["id"].as_str().unwrap_or_default();
                self.note(format!("done: {change:?} {id}"));
                self.tree.apply(&change, id);
                self.acknowledged += 1;
                self.look_at(client, &change, id).await;
            }
            Answer::Refused(code) if is_passing(&code) => self.note(format!("{code}: {change:?}")),
            Answer::Refused(code) => self.fail(&format!("{code} to {change:?}, which the acknowledged state allows")),
            Answer::Unknown(why) => {
                self.note(format!("in doubt ({why}): {change:?}"));
                self.doubted += 1;
                self.doubts.push(change);
            }
        }
    }

    /// Whoever answers a read after the acknowledgement must know the change.
    async fn look_at(&mut self, client: &Client, change: &Change, made: &str) {
        let id = match change {
            Change::Create { .. } => made,
            _ => change.touches()[0],
        };
        if !self.chance.one_in(2) {
            return;
        }
        for process in 0..client.processes() {
            let request = client.request_to(process, Method::GET, &format!("/nodes/{id}")).await;
            let Ok(response) = request.timeout(GLANCE).send().await else { continue };
            let status = response.status().as_u16();
            let Ok(text) = response.text().await else { continue };
            let expected = self.tree.0.get(id).map(|node| self.expected(id, node));
            let seen = (status == 200).then(|| seen(&serde_json::from_str(&text).unwrap()));
            let is_fresh = match status {
                200 => seen == expected,
                404 => expected.is_none(),
                401 | 503 => true,
                _ => false,
            };
            if !is_fresh {
                self.fail(&format!("process {process} answered {status} {text} about {id} after {change:?}"));
            }
        }
    }

    /// A node shows that it is in the trash also when only a folder above it was put there.
    fn expected(&self, id: &str, node: &Node) -> Seen {
        Seen { is_trashed: !self.tree.is_live(id), ..Seen::of(node) }
    }

    fn choose(&mut self) -> Change {
        let is_crowded = self.tree.0.len() > ENOUGH_NODES;
        let draw = if is_crowded { self.chance.within(40..120) } else { self.chance.within(0..100) };
        let chosen = match draw {
            0..30 => Some(self.create(Content::small)),
            30..33 => Some(self.create(Content::large)),
            33..40 => Some(self.create_folder()),
            40..50 => self.replace(),
            50..70 => self.update(),
            70..82 | 100..110 => self.movable(|node| !node.is_trashed).map(|id| Change::Trash { id }),
            82..90 => self.restore(),
            _ => self.delete(),
        };
        chosen.unwrap_or_else(|| self.create(Content::small))
    }

    fn create(&mut self, content: impl Fn(&mut Chance) -> Content) -> Change {
        let content = Some(content(&mut self.chance));
        Change::Create { parent: self.folder(), name: self.name(), content, key: self.key() }
    }

    fn create_folder(&mut self) -> Change {
        Change::Create { parent: self.folder(), name: self.name(), content: None, key: self.key() }
    }

    fn replace(&mut self) -> Option<Change> {
        let id = self.movable(|node| !node.is_trashed && !node.is_folder())?;
        let present = self.tree.0[&id].versions.last().map(|content| content.hash.clone());
        loop {
            let large = self.chance.one_in(8);
            let content = if large { Content::large(&mut self.chance) } else { Content::small(&mut self.chance) };
            // In doubt, the same content again (nothing, mostly) could not be told from what is there.
            if Some(&content.hash) != present.as_ref() {
                return Some(Change::Replace { id, content });
            }
        }
    }

    fn update(&mut self) -> Option<Change> {
        let id = self.movable(|node| !node.is_trashed)?;
        let (wants_name, wants_parent) = match self.chance.within(0..4) {
            0 => (true, false),
            1 => (false, true),
            2 => (true, true),
            _ => (false, false),
        };
        let name = wants_name.then(|| self.name());
        let below: HashSet<String> = self.tree.below(&id).into_iter().collect();
        let parent = self.folder();
        let is_elsewhere = !below.contains(&parent) && self.tree.0[&id].parent != parent;
        let parent = (wants_parent && is_elsewhere).then_some(parent);
        let starred = (name.is_none() && parent.is_none()).then(|| !self.tree.0[&id].starred);
        Some(Change::Update { id, name, parent, starred })
    }

    fn restore(&mut self) -> Option<Change> {
        let id = self.movable(|node| node.is_trashed)?;
        let below = self.tree.below(&id);
        let elsewhere = self.folder();
        let was = &self.tree.0[&id].parent;
        if self.tree.is_live(was) && self.tree.0.contains_key(was) && !self.is_in_doubt(was) && self.chance.one_in(2) {
            return Some(Change::Restore { id, to: None });
        }
        (!below.contains(&elsewhere)).then_some(Change::Restore { id, to: Some(elsewhere) })
    }

    /// Things that were put into the trash before the folder they were in stay there when it goes: those are left out.
    fn delete(&mut self) -> Option<Change> {
        let id = self.movable(|node| node.is_trashed)?;
        let below = self.tree.below(&id);
        let is_plain = below.iter().skip(1).all(|id| !self.tree.0[id].is_trashed);
        is_plain.then_some(Change::Delete { id })
    }

    /// A node with nothing in doubt in it, whose folders are not in the trash.
    fn movable(&mut self, wanted: impl Fn(&Node) -> bool) -> Option<String> {
        let is_free = |id: &&String| {
            let node = &self.tree.0[*id];
            let is_below_trash = self.tree.0.contains_key(&node.parent) && !self.tree.is_live(&node.parent);
            **id != self.home && wanted(node) && (node.is_trashed || !is_below_trash) && !self.is_in_doubt(id)
        };
        let found: Vec<String> = self.tree.0.keys().filter(is_free).cloned().collect();
        self.chance.pick(found)
    }

    /// A folder to put something into.
    fn folder(&mut self) -> String {
        let is_open = |id: &&String| {
            let node = &self.tree.0[*id];
            node.is_folder() && self.tree.is_live(id) && !self.is_shaky(id)
        };
        let found: Vec<String> = self.tree.0.keys().filter(is_open).cloned().collect();
        self.chance.pick(found).unwrap_or_else(|| self.home.clone())
    }

    /// Whether a change to the node itself or to a folder above it is in doubt.
    fn is_shaky(&self, id: &str) -> bool {
        let changed = self.doubts.iter().filter(|doubt| !matches!(doubt, Change::Create { .. }));
        let changed: HashSet<&str> = changed.map(|doubt| doubt.touches()[0]).collect();
        let mut upwards = std::iter::successors(Some(id), |id| self.tree.0.get(*id).map(|node| node.parent.as_str()));
        upwards.any(|id| changed.contains(id))
    }

    /// Whether the node, something in it or a folder above it is in doubt.
    fn is_in_doubt(&self, id: &str) -> bool {
        if self.doubts.is_empty() {
            return false;
        }
        let touched: HashSet<&str> =
            self.doubts.iter().flat_map(Change::touches).filter(|id| *id != self.home).collect();
        let below = self.tree.below(id);
        below.iter().any(|id| touched.contains(id.as_str())) || self.is_shaky(id)
    }

    /// Never the same twice, and not plain ASCII.
    fn name(&mut self) -> String {
        self.serial += 1;
        format!("né {} & {}", self.number, self.serial)
    }

    fn key(&mut self) -> String {
        format!("{}-{:016x}", self.number, self.chance.number())
    }
}

/// What the API's JSON of a node shows.
pub(crate) fn seen(node: &Value) -> Seen {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let file = &node["file"];
    Seen {
        parent: text(&node["parent"]),
        name: text(&node["name"]),
        starred: node["starred"].as_bool().unwrap(),
        is_trashed: node["trashed_at"].is_string(),
        content: file["size_bytes"].as_u64().map(|size| (size, text(&file["content_hash"]))),
    }
}

async fn request(client: &Client, change: &Change) -> RequestBuilder {
    match change {
        Change::Create { parent, name, content: None, key } => {
            let body = json!({"parent": parent, "name": name});
            client.request(Method::POST, "/folders").await.header("idempotency-key", key).json(&body)
        }
        Change::Create { parent, name, content: Some(content), key } => {
            let request =
                client.request(Method::POST, &format!("/folders/{parent}/files")).await.query(&[("name", name)]);
            with_content(request.header("idempotency-key", key), content)
        }
        Change::Update { id, name, parent, starred } => {
            let pairs = [("name", json!(name)), ("parent", json!(parent)), ("starred", json!(starred))];
            let body: BTreeMap<_, _> = pairs.into_iter().filter(|(_, value)| !value.is_null()).collect();
            client.request(Method::PATCH, &format!("/nodes/{id}")).await.json(&body)
        }
        Change::Replace { id, content } => {
            with_content(client.request(Method::PUT, &format!("/files/{id}/content")).await, content)
        }
        Change::Trash { id } => client.request(Method::DELETE, &format!("/nodes/{id}")).await,
        Change::Restore { id, to } => {
            let request = client.request(Method::POST, &format!("/nodes/{id}/restore")).await;
            request.query(&to.iter().map(|to| ("parent", to)).collect::<Vec<_>>())
        }
        Change::Delete { id } => client.request(Method::DELETE, &format!("/trash/{id}")).await,
    }
}

fn with_content(request: RequestBuilder, content: &Content) -> RequestBuilder {
    request.header("content-type", "application/octet-stream").body(content.bytes())
}
