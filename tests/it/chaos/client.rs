//! Requests to whichever process serves the vault, and what their answers prove.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::kit::coffer::{EMAIL, PASSWORD};

/// How long the vault may be away before the test gives up.
const AWAY_LIMIT: Duration = Duration::from_secs(45);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(25);
/// Most nodes of a page.
const PAGE: &str = "1000";

/// What an answer proves.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Acknowledged.
    Done(Value),
    /// Not done, and will not be: the problem's code.
    Refused(String),
    /// Nothing.
    Unknown(String),
}

/// The owner, logged in to a vault that one of several processes serves.
pub(crate) struct Client {
    http: reqwest::Client,
    roots: Vec<String>,
    serving: AtomicUsize,
    token: Mutex<String>,
    patience: Duration,
}

impl Client {
    /// A client of these processes that waits so long for an answer.
    pub(crate) fn new(roots: Vec<String>, patience: Duration) -> Self {
        let http = reqwest::Client::builder().build().unwrap();
        Self { http, roots, serving: AtomicUsize::new(0), token: Mutex::new(String::new()), patience }
    }

    /// How many processes there are.
    pub(crate) fn processes(&self) -> usize {
        self.roots.len()
    }

    /// A request to the process that seems to serve.
    pub(crate) async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_to(self.serving.load(Ordering::Relaxed), method, path).await
    }

    /// A request to one of the processes.
    pub(crate) async fn request_to(&self, process: usize, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1{path}", self.roots[process]);
        self.http.request(method, url).bearer_auth(&*self.token.lock().await).timeout(self.patience)
    }

    /// Sends it and judges the answer. Turns to the other process, or logs in again, where the answer asks for it.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = judge(request.send().await).await;
        match &answer {
            Answer::Done(_) => {}
            Answer::Refused(code) if code == "INVALID_TOKEN" || code == "AUTHENTICATION_REQUIRED" => {
                self.log_in().await;
            }
            Answer::Refused(code) if !is_passing(code) => {}
            Answer::Refused(_) | Answer::Unknown(_) => self.turn().await,
        }
        answer
    }

    /// Logs in, if a process lets it.
    pub(crate) async fn log_in(&self) {
        let mut token = self.token.lock().await;
        let url = format!("{}/api/v1/session", self.roots[self.serving.load(Ordering::Relaxed)]);
        let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "bearer"});
        let request = self.http.post(url).json(&body).timeout(self.patience);
        if let Answer::Done(answer) = judge(request.send().await).await {
            answer["access_token"].as_str().unwrap().clone_into(&mut token);
        } else {
            self.turn().await;
        }
    }

    /// To the next process, after a moment.
    async fn turn(&self) {
        let next = |at: usize| Some((at + 1) % self.roots.len());
        let _ = self.serving.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        tokio::time::sleep(PAUSE).await;
    }

    /// The JSON of a GET, as soon as a process gives it.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self.send(self.request(Method::GET, path).await).await {
                Answer::Done(value) => return value,
                Answer::Refused(code) if !is_passing(&code) => panic!("GET {path}: {code}"),
                other => assert!(begun.elapsed() < AWAY_LIMIT, "GET {path}: {other:?}"),
            }
        }
    }

    /// Everything on all pages.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit={PAGE}{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { return items };
            cursor = format!("&cursor={next}");
        }
    }

    /// A content, as soon as a process gives it.
    pub(crate) async fn download(&self, path: &str) -> Vec<u8> {
        let begun = Instant::now();
        loop {
            let request = self.request(Method::GET, path).await.timeout(AWAY_LIMIT);
            if let Ok(response) = request.send().await {
                let status = response.status();
                assert!(status != StatusCode::NOT_FOUND && status != StatusCode::BAD_GATEWAY, "{path}: {status}");
                if let (StatusCode::OK, Ok(bytes)) = (status, response.bytes().await) {
                    return bytes.into();
                }
            }
            assert!(begun.elapsed() < AWAY_LIMIT, "{path} cannot be downloaded");
            // Whatever it was, this finds out and does what helps.
            self.get("/nodes/root").await;
        }
    }
}

/// Whether a refusal is over as soon as the vault serves again.
pub(crate) fn is_passing(code: &str) -> bool {
    const PASSING: [&str; 7] = [
        "NOT_READY",
        "BUSY",
        "REDIS_UNAVAILABLE",
        "STORAGE_UNAVAILABLE",
        "UNREACHABLE",
        "INVALID_TOKEN",
        "AUTHENTICATION_REQUIRED",
    ];
    PASSING.contains(&code)
}

async fn judge(response: Result<reqwest::Response, reqwest::Error>) -> Answer {
    let response = match response {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Answer::Refused("UNREACHABLE".to_owned()),
        Err(error) => return Answer::Unknown(format!("{error:?}")),
    };
    let status = response.status();
    let text = match response.text().await {
        Ok(text) => text,
        // The status says that it was done, and a change whose answer was cut off is a doubt nevertheless.
        Err(error) => return Answer::Unknown(format!("{status}, {error}")),
    };
    let body: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    let code = body["code"].as_str().unwrap_or_default();
    match status {
        _ if status.is_success() => Answer::Done(body),
        StatusCode::INTERNAL_SERVER_ERROR => panic!("the vault failed: {text}"),
        _ if code == "OUTCOME_UNKNOWN" => Answer::Unknown(code.to_owned()),
        _ => Answer::Refused(code.to_owned()),
    }
}
