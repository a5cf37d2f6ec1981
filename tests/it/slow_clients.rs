//! Clients that are slow, silent, or never end, against the real accept loop: they are cut off, and others keep their
//! pace meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coffer::api::server::{self, Limits, MAX_HEADER_BYTES, MAX_HEADERS};
use coffer::api::stall::{MIN_PROGRESS_BYTES, PacedBody};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Time limits of the loop under test.
const LIMIT: Duration = Duration::from_millis(300);

/// Far longer than any limit: what is not over by then has no limit.
const PATIENCE: Duration = Duration::from_secs(20);

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

struct Loop {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

/// `/echo` answers the length of the body, `/endless` never stops, `/slow` takes three limits, `/refuse` reads nothing.
async fn handler(_peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = PacedBody::new(body, &parts.headers, LIMIT);
    match parts.uri.path() {
        "/endless" => {
            let frames = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[0; 65_536]))));
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
        "/slow" => {
            tokio::time::sleep(3 * LIMIT).await;
            Response::new(full("done".into()))
        }
        "/refuse" => {
            let mut response = Response::new(full("refused".into()));
            *response.status_mut() = StatusCode::CONFLICT;
            response
        }
        _ => match body.collect().await {
            Ok(body) => Response::new(full(body.to_bytes().len().to_string())),
            Err(error) => {
                let mut response = Response::new(full(error.kind().to_string()));
                *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
                response
            }
        },
    }
}

async fn start(connections: usize, drain: Duration) -> Loop {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { connections, first_byte: LIMIT, headers: LIMIT, write_stall: LIMIT, drain };
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(server::serve(listener, limits, shutdown.clone(), handler));
    Loop { address, shutdown, task }
}

impl Loop {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What the server says until it closes, and how long that took.
    async fn say(&self, text: &str) -> (String, Duration) {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let begun = Instant::now();
        (read_to_close(&mut stream).await, begun.elapsed())
    }
}

async fn read_to_close(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is a close as well.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the server closes");
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let server = start(8, LIMIT).await;
    let (said, took) = server.say("").await;
    assert_eq!(said, "");
    assert!(took < PATIENCE / 2);
}

#[tokio::test]
async fn dribbled_headers_are_cut_off() {
    let server = start(8, LIMIT).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let begun = Instant::now();
    let dribble = async {
        while stream.write_all(b"X-A: b\r\n").await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "headers may dribble for ever");
            tokio::time::sleep(LIMIT / 10).await;
        }
    };
    dribble.await;
}

#[tokio::test]
async fn headers_are_bounded_in_bytes_and_in_number() {
    let server = start(8, LIMIT).await;
    let with = |headers: String| format!("GET /echo HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let bytes = |n: usize| with(format!("A: {}\r\n", "b".repeat(n)));
    let count = |n: usize| with("A: b\r\n".repeat(n));
    for (request, status) in [
        (bytes(MAX_HEADER_BYTES - 100), "200"),
        (bytes(MAX_HEADER_BYTES + 1), "431"),
        (count(MAX_HEADERS - 1), "200"),
        (count(MAX_HEADERS), "431"),
    ] {
        let (said, _) = server.say(&request).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{}: {said}", request.len());
    }
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_cut_off() {
    let server = start(8, LIMIT).await;
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n";
    let (said, _) = server.say(head).await;
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");

    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let drip = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(LIMIT / 10).await;
        }
    };
    let mut first = [0; 12];
    tokio::select! {
        () = drip => panic!("closed without an answer"),
        said = tokio::time::timeout(PATIENCE, read.read_exact(&mut first)) => {
            said.expect("one byte at a time is not progress").unwrap();
        }
    }
    assert_eq!(&first, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_slow_body_that_makes_progress_arrives() {
    let server = start(8, LIMIT).await;
    let mut stream = server.connect().await;
    let chunk = vec![b'x'; usize::try_from(MIN_PROGRESS_BYTES).unwrap()];
    let rounds = 12;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        rounds * chunk.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..rounds {
        stream.write_all(&chunk).await.unwrap();
        tokio::time::sleep(LIMIT / 4).await;
    }
    let said = read_to_close(&mut stream).await;
    assert!(said.ends_with(&(rounds * chunk.len()).to_string()), "{said}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection() {
    let server = start(1, LIMIT).await;
    let mut stalled = server.connect().await;
    stalled.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // The only slot is free again once the stalled connection is gone.
    let (said, _) = server.say("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test]
async fn connections_are_bounded_and_slow_ones_delay_nobody() {
    let server = start(64, LIMIT).await;
    let mut slow = Vec::new();
    for _ in 0..48 {
        let mut stream = server.connect().await;
        stream.write_all(b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n").await.unwrap();
        slow.push(stream);
    }
    let mut latencies = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let (said, _) = server.say("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        latencies.push(begun.elapsed());
    }
    latencies.sort_unstable();
    assert!(latencies[latencies.len() / 2] < LIMIT, "{latencies:?}");
}

#[tokio::test]
async fn an_early_refusal_is_read_by_a_client_that_is_still_sending() {
    let server = start(8, LIMIT).await;
    let body = "x".repeat(256 * 1024);
    for _ in 0..20 {
        let (said, _) = server
            .say(&format!(
                "POST /refuse HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .await;
        assert!(said.ends_with("refused"), "{said}");
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_without_being_invited() {
    let server = start(8, LIMIT).await;
    let (said, _) =
        server.say("POST /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 409"), "{said}");
}

#[tokio::test]
async fn a_shutdown_lets_requests_end_and_drops_what_outlasts_the_drain() {
    let server = start(8, PATIENCE).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(LIMIT / 2).await;
    server.shutdown.cancel();
    assert!(read_to_close(&mut slow).await.ends_with("done"));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nothing listens any more");

    let server = start(8, LIMIT).await;
    let mut endless = server.connect().await;
    endless.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while endless.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    });
    tokio::time::sleep(LIMIT / 2).await;
    server.shutdown.cancel();
    tokio::time::timeout(PATIENCE, server.task).await.expect("the drain ends").unwrap();
    reader.await.unwrap();
}
