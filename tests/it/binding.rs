//! Sessions that are bound to a key or to a client, over HTTP: the owner's requests pass, copies end the session.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::coffer::{Coffer, EMAIL, PASSWORD, json_of, problem_of};
use crate::kit::prover::{Prover, hash_of};

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn nonce_of(headers: &HeaderMap) -> String {
    headers["dpop-nonce"].to_str().unwrap().to_owned()
}

/// A client that keeps a key, with the session that is bound to it.
struct Bound<'a> {
    coffer: &'a Coffer,
    key: Prover,
    token: String,
    session: String,
    nonce: String,
    is_cookie: bool,
}

impl<'a> Bound<'a> {
    async fn log_in(coffer: &'a Coffer, transport: &str) -> Self {
        let key = Prover::new();
        let body = json!({"email": EMAIL, "password": PASSWORD, "transport": transport});
        let url = coffer.url("/api/v1/session");
        let send = async |proof: String| {
            let request = coffer.client.post(&url).header("dpop", proof).header("origin", coffer.url(""));
            request.json(&body).send().await.unwrap()
        };
        let first = send(key.sign(&Prover::claims("POST", &url, now_secs(), None, None))).await;
        let nonce = nonce_of(first.headers());
        let challenge = first.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.starts_with("DPoP ") && challenge.contains("use_dpop_nonce"), "{challenge}");
        assert!(first.headers().contains_key("date"), "a client with a wrong clock sets it by this");
        assert_eq!(problem_of(first).await, (StatusCode::UNAUTHORIZED, "USE_DPOP_NONCE".into()));
        let made = send(key.sign(&Prover::claims("POST", &url, now_secs(), Some(&nonce), None))).await;
        let cookie = made.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        let body = json_of(made, StatusCode::CREATED).await;
        assert_eq!(body["session"]["binding"], "key");
        let cookie = cookie.map(|cookie| cookie.split(['=', ';']).nth(1).unwrap().to_owned());
        let token = cookie.clone().unwrap_or_else(|| body["access_token"].as_str().unwrap().to_owned());
        let session = body["session"]["id"].as_str().unwrap().to_owned();
        Self { coffer, key, token, session, nonce, is_cookie: cookie.is_some() }
    }

    fn ath(&self) -> String {
        if self.is_cookie { self.session.clone() } else { hash_of(&self.token) }
    }

    fn proof(&self, method: &str, path: &str) -> String {
        let url = self.coffer.url(path);
        self.key.sign(&Prover::claims(method, &url, now_secs(), Some(&self.nonce), Some(&self.ath())))
    }

    async fn get(&self, path: &str, proof: Option<&str>) -> Response {
        let mut request = self.coffer.client.request(Method::GET, self.coffer.url(path));
        request = match self.is_cookie {
            true => request.header("cookie", format!("coffer={}", self.token)),
            false => request.header("authorization", format!("DPoP {}", self.token)),
        };
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        request.send().await.unwrap()
    }
}

const NODE: &str = "/api/v1/nodes/root";

#[tokio::test]
async fn a_bound_session_works_with_its_key_alone() {
    let coffer = Coffer::start().await;
    for transport in ["bearer", "cookie"] {
        let bound = Bound::log_in(&coffer, transport).await;
        let proof = bound.proof("GET", NODE);
        let answer = bound.get(NODE, Some(&proof)).await;
        assert_eq!(nonce_of(answer.headers()), bound.nonce);
        json_of(answer, StatusCode::OK).await;
        let replay = bound.get(NODE, Some(&proof)).await;
        assert_eq!(problem_of(replay).await, (StatusCode::UNAUTHORIZED, "INVALID_DPOP_PROOF".into()));
        let of_another_path = bound.get("/api/v1/trash", Some(&bound.proof("GET", NODE))).await;
        assert_eq!(problem_of(of_another_path).await.1, "INVALID_DPOP_PROOF");
        let bare = bound.get(NODE, None).await;
        assert_eq!(nonce_of(bare.headers()), bound.nonce);
        assert_eq!(problem_of(bare).await.1, "USE_DPOP_NONCE");
        // The query is no part of what is proven (RFC 9449, section 4.2).
        let listed = "/api/v1/nodes/root/children";
        let answer = bound.get(&format!("{listed}?limit=1"), Some(&bound.proof("GET", listed))).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_copied_token_with_another_key_is_dead_for_both() {
    let coffer = Coffer::start().await;
    for transport in ["bearer", "cookie"] {
        let bound = Bound::log_in(&coffer, transport).await;
        let (url, ath) = (coffer.url(NODE), bound.ath());
        let thief = Prover::new().sign(&Prover::claims("GET", &url, now_secs(), Some(&bound.nonce), Some(&ath)));
        let refused = bound.get(NODE, Some(&thief)).await;
        assert_eq!(problem_of(refused).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".into()));
        let owner = bound.get(NODE, Some(&bound.proof("GET", NODE))).await;
        assert_eq!(problem_of(owner).await.1, "INVALID_TOKEN");
    }
}

#[tokio::test]
async fn a_cookie_in_another_client_is_refused_and_dead_for_both() {
    let coffer = Coffer::start().await;
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let updated = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0";
    let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "cookie"});
    let login = coffer.client.post(coffer.url("/api/v1/session")).header("origin", coffer.url(""));
    let login = login.header("user-agent", firefox).header("accept-language", "de,en;q=0.5").json(&body);
    let answer = login.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let session: Value = json_of(answer, StatusCode::CREATED).await;
    assert_eq!(
        (&session["session"]["binding"], &session["session"]["device"]),
        (&json!("client"), &json!("Firefox on Linux"))
    );
    let from = async |agent: &str, language: &str| {
        let request = coffer.client.get(coffer.url(NODE)).header("cookie", &cookie);
        let answer = request.header("user-agent", agent).header("accept-language", language).send().await.unwrap();
        answer.status()
    };
    assert_eq!(from(firefox, "de,en;q=0.5").await, StatusCode::OK);
    assert_eq!(from(updated, "de").await, StatusCode::OK, "an update is no theft");
    assert_eq!(from("curl/8.14.1", "").await, StatusCode::UNAUTHORIZED);
    assert_eq!(from(firefox, "de,en;q=0.5").await, StatusCode::UNAUTHORIZED, "dead for both");
}
