//! A gate between a client and a private Redis: it can hold everything still, as if the client's process were stopped.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::TestRedis;

/// A gate in front of one Redis; it ends with the value.
pub(crate) struct RedisGate {
    url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    closed: watch::Sender<bool>,
    /// How often something arrived at the closed gate.
    waiting: watch::Sender<usize>,
}

impl RedisGate {
    /// An open gate.
    pub(crate) async fn start(redis: &TestRedis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("redis://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(State { closed: watch::Sender::new(false), waiting: watch::Sender::new(0) });
        let (ours, socket) = (Arc::clone(&state), redis.socket());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, socket.clone(), Arc::clone(&ours)));
            }
        });
        Self { url, state, task }
    }

    /// The URL for `REDIS_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Holds requests from now on.
    pub(crate) fn close(&self) {
        self.state.waiting.send_replace(0);
        self.state.closed.send_replace(true);
    }

    /// Resolves when a request waits at the closed gate.
    pub(crate) async fn knocked(&self) {
        self.state.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.expect("the gate is here");
    }

    /// Lets everything pass again.
    pub(crate) fn open(&self) {
        self.state.closed.send_replace(false);
    }
}

impl Drop for RedisGate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, socket: PathBuf, state: Arc<State>) {
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut bytes).await.unwrap_or(0);
            if read == 0 {
                return;
            }
            if *state.closed.borrow() {
                state.waiting.send_modify(|waiting| *waiting += 1);
                let _ = state.closed.subscribe().wait_for(|closed| !closed).await;
            }
            if to_server.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}
