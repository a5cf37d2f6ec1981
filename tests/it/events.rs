//! What changes, told as it happens; and how everything that goes on ends with its session.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::kit::coffer::{Coffer, Login, problem_of};

/// How long something that should come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long what goes on may outlive its session on a machine with nothing else to do is 1 s; tests run beside others.
const END_LIMIT: Duration = Duration::from_secs(5);

/// One event.
#[derive(Debug)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// A client that follows.
struct Follower {
    stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

async fn ask(login: &Login, last: Option<&str>) -> Response {
    let mut request = login.request(Method::GET, "/events");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

impl Follower {
    async fn start(login: &Login, last: Option<&str>) -> (Self, Event) {
        let answer = ask(login, last).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let mut follower = Self { stream: Box::pin(answer.bytes_stream()), text: String::new() };
        let ready = follower.next().await.unwrap();
        assert_eq!(ready.name, "ready");
        (follower, ready)
    }

    /// The next event; `None` when the stream ended, in whatever way.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                if let Some(id) = field("id") {
                    let data = serde_json::from_str(field("data").unwrap()).unwrap();
                    return Some(Event { id: id.to_owned(), name: field("event").unwrap().to_owned(), data });
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("something comes")?.ok()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn change(&mut self) -> (String, Value) {
        let event = self.next().await.unwrap();
        assert_eq!(event.name, "change", "{event:?}");
        (event.id, event.data)
    }
}

async fn folder(login: &Login, name: &str) -> String {
    login.create("/folders", &json!({"parent": "root", "name": name})).await["id"].as_str().unwrap().to_owned()
}

async fn change(login: &Login, node: &str, change: &Value) {
    let answer = login.request(Method::PATCH, &format!("/nodes/{node}")).json(change).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn every_change_is_told_in_order_and_is_there_when_it_is_told() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (mut one, _) = Follower::start(&login, None).await;
    let (mut two, _) = Follower::start(&coffer.log_in().await, None).await;
    let a = folder(&login, "a").await;
    let (_, told) = one.change().await;
    assert_eq!(
        (&told["kind"], &told["nodes"], &told["parent"]),
        (&json!("folder_created"), &json!([a]), &json!("root"))
    );
    assert!(told["at"].as_str().unwrap().ends_with('Z') && told.get("name").is_none(), "{told}");
    assert_eq!(login.get(&format!("/nodes/{a}")).await["name"], "a");
    let file = login.upload(&a, "f", "content").await["id"].as_str().unwrap().to_owned();
    change(&login, &file, &json!({"name": "g"})).await;
    change(&login, &file, &json!({"parent": "root", "starred": true})).await;
    change(&login, &file, &json!({"starred": false})).await;
    let replaced = login.request(Method::PUT, &format!("/files/{file}/content")).body("other").send().await.unwrap();
    assert_eq!(replaced.status(), StatusCode::OK);
    for (method, path) in [
        (Method::DELETE, format!("/nodes/{file}")),
        (Method::POST, format!("/nodes/{file}/restore")),
        (Method::DELETE, format!("/nodes/{file}")),
    ] {
        assert!(login.request(method, &path).send().await.unwrap().status().is_success(), "{path}");
    }
    let mut places = Vec::new();
    for kind in [
        "file_created",
        "renamed",
        "moved",
        "starred",
        "unstarred",
        "content_changed",
        "trashed",
        "restored",
        "trashed",
    ] {
        let (id, told) = one.change().await;
        assert_eq!((&told["kind"], &told["nodes"]), (&json!(kind), &json!([file])));
        let (seq, index) = id.split_once('-').unwrap();
        places.push((seq.parse::<u64>().unwrap(), index.parse::<u32>().unwrap()));
    }
    assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
    assert_eq!(two.change().await.1["kind"], "folder_created", "each follower has a place of its own");
}

#[tokio::test]
async fn a_follower_resumes_where_it_was_and_is_told_when_it_cannot() {
    let mut coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let (mut follower, ready) = Follower::start(&login, None).await;
    folder(&login, "1").await;
    let (first, _) = follower.change().await;
    drop(follower);
    let (two, three) = (folder(&login, "2").await, folder(&login, "3").await);
    for (last, expected) in [(first.as_str(), vec![&two, &three]), (ready.id.as_str(), vec![&two, &three])] {
        let (mut follower, resumed) = Follower::start(&login, Some(last)).await;
        assert_eq!(resumed.id, last);
        if last == ready.id {
            follower.change().await;
        }
        for node in expected {
            assert_eq!(follower.change().await.1["nodes"], json!([node]));
        }
    }
    for lost in ["0-0", "18446744073709551615-0"] {
        let (mut follower, _) = Follower::start(&login, Some(lost)).await;
        let reset = follower.next().await.unwrap();
        assert_eq!(reset.name, "reset");
        let (mut again, _) = Follower::start(&login, Some(&reset.id)).await;
        let four = folder(&login, &format!("after {lost}")).await;
        assert_eq!(follower.change().await.1["nodes"], json!([four]));
        assert_eq!(again.change().await.1["nodes"], json!([four]));
    }
    for wrong in ["x", "1", "1-2-3", "-1-0", "99999999999999999999-0"] {
        assert_eq!(
            problem_of(ask(&login, Some(wrong)).await).await,
            (StatusCode::BAD_REQUEST, "INVALID_REQUEST".into())
        );
    }
    let (mut follower, ready) = Follower::start(&login, None).await;
    let begun = Instant::now();
    assert!(coffer.stop());
    assert!(follower.next().await.is_none());
    assert!(begun.elapsed() < PATIENCE / 4, "the stop waited for a stream of events: {:?}", begun.elapsed());
    coffer.launch();
    coffer.wait_until_ready().await;
    // What was told before the restart is not known any more: it may be the newest place, or before it.
    let (mut follower, _) = Follower::start(&login, Some(&ready.id)).await;
    let node = folder(&login, "after the restart").await;
    let mut next = follower.next().await.unwrap();
    if next.name == "reset" {
        next = follower.next().await.unwrap();
    }
    assert_eq!(next.data["nodes"], json!([node]));
}

#[tokio::test]
async fn streams_are_bounded_and_one_that_ends_makes_room() {
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(Follower::start(&login, None).await.0);
    }
    let refused = ask(&login, None).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem_of(refused).await, (StatusCode::SERVICE_UNAVAILABLE, "BUSY".into()));
    drop(streams.pop());
    let begun = Instant::now();
    while ask(&login, None).await.status() != StatusCode::OK {
        assert!(begun.elapsed() < PATIENCE, "the place is not free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let nobody = coffer.client.get(coffer.url("/api/v1/events")).send().await.unwrap();
    assert_eq!(problem_of(nobody).await.1, "AUTHENTICATION_REQUIRED");
}

/// A connection whose client takes little at a time: the kernel holds back the rest.
async fn slow_connection(coffer: &Coffer, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    let address = coffer.url("").replace("http://", "");
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads 20 KB at a time, five times a second, until the connection ends.
async fn read_slowly(mut stream: TcpStream, begun: tokio::sync::oneshot::Sender<()>) -> (Instant, u64) {
    let (mut buffer, mut read) = (vec![0; 20_000], 0);
    let mut begun = Some(begun);
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return (Instant::now(), read),
            Ok(bytes) => read += bytes as u64,
        }
        if read > 100_000
            && let Some(begun) = begun.take()
        {
            let _ = begun.send(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the measurement is shown")]
async fn events_a_slow_download_and_an_upload_end_with_their_session() {
    let coffer = Coffer::start().await;
    let (login, other) = (coffer.log_in().await, coffer.log_in().await);
    let size = 64 << 20;
    let file = login.upload("root", "large", vec![7_u8; size]).await["id"].as_str().unwrap().to_owned();

    let (mut events, _) = Follower::start(&login, None).await;
    let request = format!(
        "GET /api/v1/files/{file}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        login.token
    );
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let download = tokio::spawn(read_slowly(slow_connection(&coffer, &request).await, begun));
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    let request = login.request(Method::POST, "/folders/root/files?name=cut").body(reqwest::Body::wrap_stream(body));
    let upload = tokio::spawn(async move { (request.send().await.unwrap(), Instant::now()) });
    for _ in 0..3 {
        sender.send(Ok(vec![0; 50_000])).await.unwrap();
    }
    tokio::time::timeout(PATIENCE, has_begun).await.unwrap().unwrap();
    assert!(!download.is_finished() && !upload.is_finished());

    let revoked = Instant::now();
    let answer = other.request(Method::DELETE, "/sessions?keep_current=true").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(events.next().await.is_none());
    let events_took = revoked.elapsed();
    let (answer, ended) = upload.await.unwrap();
    let upload_took = ended - revoked;
    assert_eq!(problem_of(answer).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".into()));
    let (ended, read) = tokio::time::timeout(PATIENCE, download).await.unwrap().unwrap();
    let download_took = ended - revoked;
    eprintln!("after the revocation: events {events_took:?}, upload {upload_took:?}, download {download_took:?}");
    assert!(read < size as u64 / 4, "{read} bytes came through");
    for took in [events_took, upload_took, download_took] {
        assert!(took < END_LIMIT, "{took:?}");
    }
    assert_eq!(other.get("/nodes/root/children").await["total"], 1, "the upload left nothing");
}
