//! Two processes on one vault: the second waits, takes over when the first dies, and whoever was replaced neither writes
//! nor answers from what it remembers. COFFER_LONG=1 runs 200 schedules of harm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::chaos::chance::Chance;
use crate::chaos::check::{Doubts, compare, contents, steady_view};
use crate::chaos::client::Client;
use crate::chaos::worker::Worker;
use crate::chaos::{Load, is_long, say, summary, workers};
use crate::kit::coffer::problem_of;
use crate::kit::pair::Pair;
use crate::kit::proxy::{Fault, Trap};

const LEASE: Duration = Duration::from_secs(Pair::LEASE_SECS);

/// Beyond the lease: asking for it, loading, saying so, on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(3);

/// From so many changes in doubt on, all is stopped and settled.
const MANY_DOUBTS: usize = 24;

/// What a process has changed in the bucket after its first `seen` requests; before, it tried the bucket out.
fn written_by(pair: &Pair, process: usize, seen: usize) -> Vec<String> {
    let is_write = |line: &String| ["PUT ", "POST ", "DELETE "].iter().any(|method| line.starts_with(method));
    pair.proxies[process].requests().into_iter().skip(seen).filter(is_write).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_process_answers_health_alone_and_writes_nothing() {
    let mut pair = Pair::start().await;
    let seen = pair.proxies[1].requests().len();
    let login = pair.processes[0].log_in().await;
    login.upload("root", "a", "the first writes").await;
    let http = &login.client;
    let url = |path: &str| pair.processes[1].url(path);
    assert_eq!(http.get(url("/health/live")).send().await.unwrap().status(), StatusCode::OK);
    let ready = http.get(url("/health/ready")).send().await.unwrap();
    assert_eq!(problem_of(ready).await, (StatusCode::SERVICE_UNAVAILABLE, "NOT_READY".to_owned()));
    let credentials = json!({"email": "owner@coffer.test", "password": "whatever it is", "transport": "bearer"});
    let folder = json!({"parent": "root", "name": "b"});
    for request in [
        http.get(url("/api/v1/nodes/root")),
        http.get(url("/api/v1/nodes/root/children")),
        http.post(url("/api/v1/folders")).json(&folder),
        http.post(url("/api/v1/folders/root/files?name=c")).body("bytes"),
        http.post(url("/api/v1/session")).json(&credentials),
    ] {
        let response = request.bearer_auth(&login.token).send().await.unwrap();
        assert_eq!(problem_of(response).await, (StatusCode::SERVICE_UNAVAILABLE, "NOT_READY".to_owned()));
    }
    assert_eq!(written_by(&pair, 1, seen), Vec::<String>::new());
    assert!(!written_by(&pair, 0, 0).is_empty(), "the proxy sees what is written");
    pair.processes[0].kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_process_takes_over_within_the_lease() {
    let mut pair = Pair::start().await;
    let login = pair.processes[0].log_in().await;
    let file = login.upload("root", "a", "before").await;
    pair.processes[0].kill();
    let killed = Instant::now();
    pair.wait_for_any(&[1]).await;
    assert!(killed.elapsed() < LEASE + SLACK, "it took {:?}", killed.elapsed());
    let client = Client::new(vec![pair.processes[1].url("")], SLACK);
    client.log_in().await;
    assert_eq!(client.download(&format!("/files/{}/content", file["id"].as_str().unwrap())).await, b"before");

    // A process that is asked to end gives the lease back: nobody waits for its end.
    pair.processes[0].launch();
    pair.wait_until_standby(0).await;
    assert!(pair.processes[1].stop(), "it ended well");
    pair.wait_for_any(&[0]).await;
    pair.processes[0].log_in().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_wakes_up_after_its_lease_neither_writes_nor_answers_from_memory() {
    let mut pair = Pair::start().await;
    let login = pair.processes[0].log_in().await;
    let file = login.upload("root", "before", "old").await;
    let id = file["id"].as_str().unwrap().to_owned();
    pair.processes[0].signal("-STOP");
    pair.wait_for_any(&[1]).await;
    let second = pair.processes[1].log_in().await;
    let renamed = second.request(Method::PATCH, &format!("/nodes/{id}")).json(&json!({"name": "after"})).send().await;
    assert_eq!(renamed.unwrap().status(), StatusCode::OK);

    // These wait in its sockets for the moment when it wakes up.
    let folder = json!({"parent": "root", "name": "late"});
    let asked = [
        login.request(Method::GET, &format!("/nodes/{id}")),
        login.request(Method::GET, "/nodes/root/children"),
        login.request(Method::GET, &format!("/files/{id}/content")),
        login.request(Method::PATCH, &format!("/nodes/{id}")).json(&json!({"name": "late"})),
        login.request(Method::POST, "/folders").json(&folder),
        login.request(Method::POST, "/folders/root/files?name=late").body("late"),
        login.request(Method::DELETE, &format!("/nodes/{id}")),
    ];
    let asked: Vec<_> = asked.into_iter().map(|request| tokio::spawn(request.send())).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let seen = pair.proxies[0].requests().len();
    pair.processes[0].signal("-CONT");
    for answer in asked {
        let (status, code) = problem_of(answer.await.unwrap().unwrap()).await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && code != "READ_ONLY", "{status} {code}");
    }
    pair.wait_until_standby(0).await;
    assert_eq!(written_by(&pair, 0, seen), Vec::<String>::new());
    let children = second.get("/nodes/root/children").await;
    let names: Vec<&str> =
        children["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["after"]);

    pair.processes[1].kill();
    pair.wait_for_any(&[0]).await;
    assert_eq!(pair.processes[0].log_in().await.get(&format!("/nodes/{id}")).await["name"], "after");
}

/// What the proxy does meanwhile to requests of the process that serves, or of the one that waits.
#[derive(Clone, Copy, Debug)]
struct Delay {
    fault: Fault,
    objects: &'static str,
    of_the_second: bool,
}

/// What happens to the process that serves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    Nothing,
    Pause,
    Kill,
    FlushAll,
    PauseAndFlushAll,
}

const fn delay(fault: Fault, objects: &'static str) -> Option<Delay> {
    Some(Delay { fault, objects, of_the_second: false })
}

const fn delay_of_the_second(fault: Fault, objects: &'static str) -> Option<Delay> {
    Some(Delay { fault, objects, of_the_second: true })
}

/// The short run; the long one draws from its parts.
const SCHEDULES: [(Harm, Option<Delay>); 8] = [
    (Harm::Pause, None),
    (Harm::FlushAll, None),
    (Harm::Kill, delay(Fault::HoldRequest, "/log/")),
    (Harm::FlushAll, delay(Fault::Late, "/log/")),
    (Harm::Pause, delay(Fault::HoldAnswer, "/log/")),
    (Harm::PauseAndFlushAll, delay(Fault::HoldRequest, "/log/")),
    (Harm::FlushAll, delay_of_the_second(Fault::HoldRequest, "/writer/")),
    (Harm::PauseAndFlushAll, delay(Fault::HoldRequest, "/blob/")),
];

const FAULTS: [Fault; 4] = [Fault::HoldRequest, Fault::HoldAnswer, Fault::Late, Fault::LoseAnswer];

fn draw(chance: &mut Chance) -> (Harm, Option<Delay>) {
    let harms = vec![Harm::Nothing, Harm::Pause, Harm::Kill, Harm::FlushAll, Harm::FlushAll, Harm::PauseAndFlushAll];
    let harm = chance.pick(harms).unwrap();
    let fault = chance.pick(FAULTS.to_vec()).unwrap();
    let delay = match chance.within(0..6) {
        0 => None,
        1..4 => delay(fault, "/log/"),
        4 => delay_of_the_second(fault, "/writer/"),
        _ => delay(fault, "/blob/"),
    };
    (harm, delay)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_is_there_after_every_schedule() {
    let mut chance = Chance::from_environment();
    let pair = Pair::start().await;
    let client = Arc::new(Client::new(pair.urls(), Duration::from_secs(3)));
    client.log_in().await;
    let workers = workers(&client, &mut chance).await;
    let mut run = Run { pair, client, workers, chance };
    let schedules = if is_long() { (0..200).map(|_| draw(&mut run.chance)).collect() } else { SCHEDULES.to_vec() };
    let last = schedules.len() - 1;
    for (round, (harm, delay)) in schedules.into_iter().enumerate() {
        let begun = Instant::now();
        run.schedule(harm, delay).await;
        compare(&mut run.workers, &steady_view(&run.client).await, Doubts::Open);
        contents(&run.client, &run.workers, &mut run.chance, Some(1)).await;
        if run.doubts() > MANY_DOUBTS || round == last {
            run.settle().await;
        }
        say(format_args!("{round}: {harm:?} {delay:?}: {:?}, {}", begun.elapsed(), summary(&run.workers)));
    }
    contents(&run.client, &run.workers, &mut run.chance, None).await;
}

struct Run {
    pair: Pair,
    client: Arc<Client>,
    workers: Vec<Worker>,
    chance: Chance,
}

impl Run {
    /// One schedule of harm under load, until one process serves again and nothing is held back any more.
    async fn schedule(&mut self, harm: Harm, delay: Option<Delay>) {
        let first = self.pair.wait_for_any(&[0, 1]).await;
        let second = 1 - first;
        let load = Load::start(&self.client, std::mem::take(&mut self.workers));
        self.pass(50..400).await;
        let traps: Vec<Trap> = delay.map(|delay| self.trap(delay, [first, second])).into_iter().collect();
        self.pass(0..300).await;
        if matches!(harm, Harm::Pause | Harm::PauseAndFlushAll) {
            self.pair.processes[first].signal("-STOP");
        }
        match harm {
            Harm::Nothing => self.pass(0..3000).await,
            // Sometimes shorter than the lease, so that it goes on as if nothing had been.
            Harm::Pause => self.pass(500..4500).await,
            Harm::Kill => self.pair.processes[first].kill(),
            Harm::FlushAll => self.pair.flush_all().await,
            Harm::PauseAndFlushAll => {
                self.pair.flush_all().await;
                self.pass(0..2500).await;
            }
        }
        // What was held back arrives while the first still sleeps, or after it woke up, or before anybody took over.
        let releases_early = self.chance.one_in(3);
        if releases_early {
            traps.iter().for_each(Trap::release);
        }
        match harm {
            Harm::Pause | Harm::PauseAndFlushAll => self.pair.processes[first].signal("-CONT"),
            Harm::Kill if self.chance.one_in(2) => self.pair.processes[first].launch(),
            Harm::Kill if !delay.is_some_and(|delay| delay.of_the_second) => {
                self.pair.wait_for_any(&[second]).await;
                self.pair.processes[first].launch();
            }
            Harm::Kill => self.pair.processes[first].launch(),
            Harm::Nothing | Harm::FlushAll => self.pass(1500..3500).await,
        }
        self.pass(100..500).await;
        traps.iter().for_each(Trap::release);
        for trap in &traps {
            trap.done().await;
        }
        drop(traps);
        self.pair.wait_for_any(&[0, 1]).await;
        self.pass(200..500).await;
        self.workers = load.stop().await;
    }

    /// Both processes die: what is in doubt is decided.
    async fn settle(&mut self) {
        for process in &mut self.pair.processes {
            process.kill();
        }
        for process in &mut self.pair.processes {
            process.launch();
        }
        self.pair.wait_for_any(&[0, 1]).await;
        for worker in &mut self.workers {
            worker.repeat(&self.client).await;
        }
        compare(&mut self.workers, &steady_view(&self.client).await, Doubts::Settled);
    }

    fn trap(&mut self, delay: Delay, [first, second]: [usize; 2]) -> Trap {
        let proxy = &self.pair.proxies[if delay.of_the_second { second } else { first }];
        let counts = (0, usize::try_from(self.chance.within(1..3)).unwrap());
        let objects = delay.objects;
        proxy.trap(delay.fault, counts, move |line| line.starts_with("PUT ") && line.contains(objects))
    }

    async fn pass(&mut self, millis: std::ops::Range<u64>) {
        tokio::time::sleep(self.chance.millis(millis)).await;
    }

    fn doubts(&self) -> usize {
        self.workers.iter().map(|worker| worker.doubts.len()).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_without_a_lease_lose_nothing() {
    let mut pair = Pair::start().await;
    for round in 0..3 {
        let first = pair.wait_for_any(&[0, 1]).await;
        let held = pair.proxies[first]
            .trap(Fault::HoldRequest, (0, 1), |line| line.starts_with("PUT ") && line.contains("/log/"));
        let body = json!({"parent": "root", "name": format!("doubtful {round}")});
        let login = pair.processes[first].log_in().await;
        let doubtful = tokio::spawn(login.request(Method::POST, "/folders").json(&body).send());
        held.caught(1).await;
        pair.flush_all().await;
        pair.wait_for_any(&[1 - first]).await;
        let second = pair.processes[1 - first].log_in().await;
        let sure = second.create("/folders", &json!({"parent": "root", "name": format!("sure {round}")})).await;
        held.release();
        held.done().await;
        // The entry of the first arrived late: it lies beside the log and was not acknowledged.
        let answer = doubtful.await.unwrap();
        assert!(answer.is_err() || answer.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(second.get(&format!("/nodes/{}", sure["id"].as_str().unwrap())).await["name"], sure["name"]);
    }
    for process in &mut pair.processes {
        process.kill();
    }
    pair.processes[0].launch();
    pair.wait_for_any(&[0]).await;
    let children = pair.processes[0].log_in().await.get("/nodes/root/children").await;
    let names: Vec<&Value> = children["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["sure 0", "sure 1", "sure 2"]);
}
