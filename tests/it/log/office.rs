//! Two logs under one lease: they begin, serve and end together, and each is proven by itself.

use coffer::log::{CommitMeta, Head, Inconsistent, Log, Machine, Office, Stamp, Status, prove};

use super::basics::eventually;
use super::*;

/// The same map as the second log of a vault.
struct Beside {
    map: Map,
    heads: Vec<u64>,
}

impl Machine for Beside {
    const NAME: &'static str = "audit";
    const NUMBER: u8 = 2;
    type Operation = Change;

    fn empty() -> Self {
        Self { map: Map::empty(), heads: vec![] }
    }

    fn apply(&mut self, stamp: &Stamp, meta: &CommitMeta, operation: &Change) -> Result<(), Inconsistent> {
        self.map.apply(stamp, meta, operation)
    }

    fn begin(&mut self) {
        self.map.begin();
    }

    fn rollback(&mut self) {
        self.map.rollback();
    }

    fn keep(&mut self) {
        self.map.keep();
    }

    fn landed(&mut self, head: &Head) {
        self.heads.push(head.place.seq);
    }

    fn snapshot(&self) -> Vec<u8> {
        self.map.snapshot()
    }

    fn restore(snapshot: &[u8]) -> Result<Self, Inconsistent> {
        Ok(Self { map: Map::restore(snapshot)?, heads: vec![] })
    }
}

struct Pair {
    first: Log<Map>,
    second: Log<Beside>,
}

impl Pair {
    fn start(world: &World, vault: &Vault) -> Self {
        let mut office = Office::new(world.parts(vault));
        let (first, second) = (office.ward(30), office.ward(30));
        office.open();
        Self { first, second }
    }

    async fn serving(world: &World, vault: &Vault) -> Self {
        let pair = Self::start(world, vault);
        pair.both(|status| matches!(status, Status::Serving { .. })).await;
        pair
    }

    async fn both(&self, wanted: impl Fn(&Status) -> bool) {
        wait_for(&self.first, &wanted).await;
        eventually(async || wanted(&self.second.status().borrow())).await;
    }

    async fn put(&self, key: u64, value: u64) {
        put(&self.first, key, value).await.unwrap();
        self.put_beside(key, value).await.unwrap();
    }

    async fn put_beside(&self, key: u64, value: u64) -> Result<(), CommitError<()>> {
        self.second.commit(meta(), move |_, _| Ok((vec![Change::Put { key, value }], ()))).await.map(|_| ())
    }

    fn values(&self) -> [BTreeMap<u64, u64>; 2] {
        [values(&self.first), self.second.read(|beside| beside.map.values.clone()).unwrap()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_logs_share_lease_and_marker_and_keep_what_they_acknowledged() {
    let world = World::start().await;
    let vault = world.vault();
    for round in 1..=3 {
        let pair = Pair::serving(&world, &vault).await;
        assert_eq!(pair.first.takeover().unwrap().term, pair.second.takeover().unwrap().term);
        pair.put(round, round * 2).await;
        let expected = map((1..=round).map(|key| (key, key * 2)));
        assert_eq!(pair.values(), [expected.clone(), expected]);
        let landed = pair.second.read(|beside| beside.heads.clone()).unwrap();
        assert_eq!(landed, (0..=pair.second.extent().unwrap().0.place.seq).collect::<Vec<_>>());
        eventually(async || world.keys_of(&vault, "writer/").await.len() == 1).await;
        pair.first.stop().await;
        eventually(async || *pair.second.status().borrow() == Status::Stopped).await;
        assert!(pair.second.read(|_| ()).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_the_term_for_both_and_both_come_back() {
    let world = World::start().await;
    let vault = world.vault();
    let pair = Pair::serving(&world, &vault).await;
    pair.put(1, 1).await;
    let epoch = pair.first.takeover().unwrap().term.epoch;
    world.expire_lease(&vault).await;
    let later = async || {
        let terms = [pair.first.takeover().map(|it| it.term), pair.second.takeover().map(|it| it.term)];
        terms[0] == terms[1] && terms[0].is_some_and(|term| term.epoch > epoch)
    };
    eventually(later).await;
    pair.both(|status| matches!(status, Status::Serving { .. })).await;
    pair.put(2, 2).await;
    assert_eq!(pair.values(), [map([(1, 1), (2, 2)]), map([(1, 1), (2, 2)])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_takes_over_both() {
    let world = World::start().await;
    let vault = world.vault();
    let first = Pair::serving(&world, &vault).await;
    let second = Pair::start(&world, &vault);
    first.put(1, 1).await;
    assert_eq!(*second.second.status().borrow(), Status::Standby);
    first.second.stop().await;
    second.both(|status| matches!(status, Status::Serving { .. })).await;
    second.put(2, 2).await;
    assert_eq!(second.values(), [map([(1, 1), (2, 2)]), map([(1, 1), (2, 2)])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_log_that_was_emptied_is_an_alarm_and_the_first_one_serves() {
    let mut world = World::start().await;
    let mut vault = world.vault();
    let pair = Pair::serving(&world, &vault).await;
    pair.put(1, 1).await;
    pair.first.stop().await;
    // A start that knows that the second was begun: the first one wrote it down.
    let pair = Pair::serving(&world, &vault).await;
    pair.first.stop().await;
    let store = world.store(&vault);
    for key in world.keys_of(&vault, "log/audit/").await {
        store.delete(&key).await.unwrap();
    }
    // Not even an anchor remembers it.
    world.redis.flush_all().await;
    let pair = Pair::start(&world, &vault);
    wait_for(&pair.first, |status| matches!(status, Status::Serving { .. })).await;
    let Status::ReadOnly { reason, accept } = pair.second.status().borrow().clone() else { panic!("it serves") };
    assert!(reason.contains("was begun"), "{reason}");
    assert!(matches!(pair.put_beside(2, 2).await, Err(CommitError::ReadOnly(_))));
    put(&pair.first, 2, 2).await.unwrap();
    pair.first.stop().await;

    vault.config.accept_head = accept;
    let pair = Pair::serving(&world, &vault).await;
    assert_eq!(pair.values(), [map([(1, 1), (2, 2)]), map([])]);
    assert!(pair.second.takeover().unwrap().accepted.is_some());
    pair.put(3, 3).await;
    pair.first.stop().await;
    let pair = Pair::serving(&world, &vault).await;
    assert_eq!(pair.values()[1], map([(3, 3)]), "the same answer once more does no harm");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_the_first_leaves_the_second_serving() {
    let world = World::start().await;
    let vault = world.vault();
    let pair = Pair::serving(&world, &vault).await;
    pair.put(1, 1).await;
    let newest = world.keys_of(&vault, "log/catalog/").await.pop().unwrap();
    pair.first.stop().await;
    world.store(&vault).delete(&newest).await.unwrap();
    let pair = Pair::start(&world, &vault);
    wait_for(&pair.first, |status| matches!(status, Status::ReadOnly { .. })).await;
    pair.put_beside(2, 2).await.unwrap();
    assert!(matches!(put(&pair.first, 2, 2).await, Err(CommitError::ReadOnly(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_read_again_along_the_chain_alone() {
    let world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    for key in 0..300 {
        put(&log, key, key).await.unwrap();
    }
    let (head, _) = log.extent().unwrap();
    let entries = log.entries(250, &head).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.place.seq).collect::<Vec<_>>(), (250..=300).collect::<Vec<_>>());
    let (_, meta, operation) = &entries[0].operations[0];
    assert_eq!((meta.actor.as_str(), operation), ("owner", &Change::Put { key: 249, value: 249 }));
    // Another hash is another chain.
    let stranger = Head { hash: [7; 32], ..head };
    assert!(log.entries(250, &stranger).await.is_err());
    let missing = entries[20].place;
    world.store(&vault).delete(&format!("log/catalog/{missing}")).await.unwrap();
    assert!(log.entries(250, &head).await.unwrap_err().to_string().contains(&missing.seq.to_string()));
    assert_eq!(log.entries(missing.seq + 1, &head).await.unwrap().len(), entries.len() - 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_names_the_entry_that_is_wrong() {
    let world = World::start().await;
    let vault = world.vault();
    let log = world.serving(&vault).await;
    for key in 0..20 {
        put(&log, key, key).await.unwrap();
    }
    log.stop().await;
    let parts = world.parts(&vault);
    let whole = prove::<Map>(&parts).await.unwrap();
    assert_eq!((whole.entries, whole.is_anchored), (21, true), "{whole:?}");
    assert!(whole.faults.is_empty() && whole.forks.is_empty(), "{whole:?}");

    let store = world.store(&vault);
    let keys = world.keys_of(&vault, "log/catalog/").await;
    let key = &keys[9];
    let good = store.get(key, 1 << 20).await.unwrap();
    for at in [0, 20, 40, good.len() / 2, good.len() - 1] {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        store.put(key, bad.into()).await.unwrap();
        let proof = prove::<Map>(&parts).await.unwrap();
        assert!(proof.faults.iter().any(|fault| fault.object == *key), "{at}: {proof:?}");
        assert_eq!(proof.entries, 20, "the rest is followed");
    }
    store.put(key, good).await.unwrap();
    assert!(prove::<Map>(&parts).await.unwrap().faults.is_empty());

    store.delete(keys.last().unwrap()).await.unwrap();
    let proof = prove::<Map>(&parts).await.unwrap();
    assert!(proof.faults.iter().any(|fault| fault.what.contains("Redis remembers entry 20")), "{proof:?}");
    store.delete(&keys[4]).await.unwrap();
    let proof = prove::<Map>(&parts).await.unwrap();
    assert!(proof.faults.iter().any(|fault| fault.object.ends_with("entry 4")), "{proof:?}");
}
