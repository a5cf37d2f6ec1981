//! Metrics: for whoever has the token or the listener, and never with anything that a person or a client chose.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::kit::coffer::{Coffer, EMAIL, PASSWORD, problem_of};

const TOKEN: &str = "u7Wq3ZkX1vB9nM5cT0yRfPsD2hJgL8aE";

async fn read(coffer: &Coffer) -> String {
    let answer = coffer.client.get(coffer.url("/metrics")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    answer.text().await.unwrap()
}

/// The value of one series; 0 where it is not there yet.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn the_metrics_say_what_happened_and_name_nobody() {
    let mut coffer = Coffer::start_with(&[("METRICS_TOKEN", TOKEN)]).await;
    let login = coffer.log_in().await;
    let wrong = json!({"email": "canary@coffer.test", "password": "canary-password", "transport": "bearer"});
    for _ in 0..6 {
        coffer.client.post(coffer.url("/api/v1/session")).json(&wrong).send().await.unwrap();
    }
    let file = login.upload("root", "canary.txt", "canary content").await;
    let id = file["id"].as_str().unwrap().to_owned();
    login.download(&id).await;
    login.request(Method::GET, "/nodes/canary").send().await.unwrap();
    coffer.client.request("CANARY".parse().unwrap(), coffer.url("/canary/path")).send().await.unwrap();

    let text = read(&coffer).await;
    for (series, least) in [
        ("coffer_http_requests_total{method=\"POST\",route=\"/session\",status=\"201\"}", 1.0),
        ("coffer_http_requests_total{method=\"GET\",route=\"/files/{id}/content\",status=\"200\"}", 1.0),
        ("coffer_http_requests_total{method=\"GET\",route=\"/nodes/{id}\",status=\"404\"}", 1.0),
        ("coffer_logins_total{result=\"right\"}", 1.0),
        ("coffer_logins_total{result=\"wrong\"}", 5.0),
        ("coffer_logins_total{result=\"locked_out\"}", 1.0),
        ("coffer_bucket_seconds_count{operation=\"PutObject\",result=\"done\"}", 1.0),
        ("coffer_redis_seconds_count{result=\"done\"}", 5.0),
        ("coffer_state{kind=\"ready\"}", 1.0),
        ("coffer_state{kind=\"sessions\"}", 1.0),
        ("coffer_state{kind=\"files\"}", 1.0),
    ] {
        assert!(value(&text, series) >= least, "{series} in\n{text}");
    }
    for leak in ["canary", "CANARY", EMAIL, PASSWORD, &login.token, &id, "127.0.0.1", TOKEN] {
        assert!(!text.contains(leak), "{leak} in\n{text}");
    }
    coffer.redis.kill();
    login.request(Method::GET, "/nodes/root").send().await.unwrap();
    let text = read(&coffer).await;
    assert!(value(&text, "coffer_redis_seconds_count{result=\"failed\"}") >= 1.0, "{text}");
}

#[tokio::test]
async fn only_the_token_opens_the_metrics_and_it_opens_nothing_else() {
    let coffer = Coffer::start_with(&[("METRICS_TOKEN", TOKEN)]).await;
    let login = coffer.log_in().await;
    let near = format!("{TOKEN}x");
    for token in ["", "x", &near, &TOKEN[1..], &login.token] {
        let answer = coffer.client.get(coffer.url("/metrics")).bearer_auth(token).send().await.unwrap();
        assert_eq!(problem_of(answer).await, (StatusCode::UNAUTHORIZED, "INVALID_TOKEN".to_owned()), "{token}");
    }
    let nothing = coffer.client.get(coffer.url("/metrics")).send().await.unwrap();
    assert_eq!(nothing.status(), StatusCode::UNAUTHORIZED);
    let vault = coffer.client.get(coffer.url("/api/v1/nodes/root")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(vault.status(), StatusCode::UNAUTHORIZED);
    assert!(!coffer.output().contains(TOKEN));
}

#[tokio::test]
async fn without_a_token_the_metrics_are_on_their_own_listener_alone() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let coffer = Coffer::start_with(&[("METRICS_BIND", &format!("127.0.0.1:{port}"))]).await;
    let public = coffer.client.get(coffer.url("/metrics")).send().await.unwrap();
    assert_eq!(problem_of(public).await, (StatusCode::NOT_FOUND, "NOT_FOUND".to_owned()));
    let own = |path: &str| coffer.client.get(format!("http://127.0.0.1:{port}{path}")).send();
    let answer = own("/metrics").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert!(answer.text().await.unwrap().contains("coffer_state{kind=\"ready\"} 1"));
    for path in ["/", "/api/v1/session", "/openapi.json", "/health/live"] {
        assert_eq!(own(path).await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
}
