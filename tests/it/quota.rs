//! Quotas over HTTP: told on every answer, not passed by any header, and refused before a body is read.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::kit::coffer::{Coffer, problem_of};

const FEW: &[(&str, &str)] =
    &[("OWNER_REQUESTS", "10"), ("OWNER_UPLOADS", "2"), ("STRANGER_REQUESTS", "5"), ("STRANGER_UPLOADS", "1")];

#[tokio::test]
async fn every_counted_answer_tells_what_is_left() {
    let coffer = Coffer::start_with(FEW).await;
    let login = coffer.log_in().await;
    let header = |response: &reqwest::Response, name: &str| response.headers()[name].to_str().unwrap().to_owned();
    for left in (0..10).rev() {
        // Wrong requests count as right ones do.
        let path = if left % 2 == 0 { "/nodes/root" } else { "/nodes/nothing" };
        let response = login.request(Method::GET, path).send().await.unwrap();
        assert_ne!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&response, "ratelimit-policy"), "\"requests\";q=10;w=900");
        assert!(header(&response, "ratelimit").starts_with(&format!("\"requests\";r={left};t=")));
    }
    let refused = login.request(Method::GET, "/nodes/root").send().await.unwrap();
    assert!(header(&refused, "ratelimit").starts_with("\"requests\";r=0;t="));
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=90).contains(&wait), "{wait}");
    assert_eq!(problem_of(refused).await, (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED".to_owned()));
    let uncounted = coffer.client.get(coffer.url("/health/live")).send().await.unwrap();
    assert!(!uncounted.headers().contains_key("ratelimit"));
}

#[tokio::test]
async fn uploads_have_a_quota_of_their_own_and_their_bodies_are_not_read_past_it() {
    let coffer = Coffer::start_with(FEW).await;
    let login = coffer.log_in().await;
    for name in ["one", "two"] {
        login.upload("root", name, "content").await;
    }
    let body = json!({"parent": "root", "name": "three", "size": 1});
    for request in [
        login.request(Method::POST, "/folders/root/files?name=three").body("content"),
        login.request(Method::POST, "/uploads").json(&body),
    ] {
        assert_eq!(problem_of(request.send().await.unwrap()).await.0, StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(login.get("/nodes/root/children").await["total"], 2);
}

#[tokio::test]
async fn no_header_makes_a_stranger_another_one() {
    let coffer = Coffer::start_with(FEW).await;
    let ask = |round: u8| {
        let request = coffer.client.get(coffer.url("/api/v1/nodes/root"));
        let other = format!("198.51.100.{round}");
        request
            .header("x-forwarded-for", &other)
            .header("x-real-ip", &other)
            .header("forwarded", format!("for={other}"))
            .header("cf-connecting-ip", &other)
            .header("true-client-ip", &other)
            .bearer_auth(format!("forged-{round}"))
            .send()
    };
    for round in 0..5 {
        assert_eq!(ask(round).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(5).await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    // The owner comes from the same address, and strangers took nothing from the session.
    let login = coffer.log_in().await;
    login.get("/nodes/root").await;
    let ticket = coffer.client.get(coffer.url(&format!("/api/v1/tickets/{}", "0".repeat(64)))).send().await.unwrap();
    assert_eq!(ticket.status(), StatusCode::TOO_MANY_REQUESTS, "guessing tickets is a stranger's request");
}

#[tokio::test]
async fn a_configured_proxys_clients_are_told_apart() {
    let mut settings = FEW.to_vec();
    settings.push(("TRUSTED_PROXIES", "127.0.0.1"));
    let coffer = Coffer::start_with(&settings).await;
    let ask = |address: &'static str| {
        coffer.client.get(coffer.url("/api/v1/nodes/root")).header("x-forwarded-for", address).send()
    };
    for _ in 0..5 {
        assert_eq!(ask("198.51.100.1").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask("198.51.100.1").await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("198.51.100.2").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // What the client itself claimed before the proxy's word is not believed.
    assert_eq!(ask("198.51.100.9, 198.51.100.1").await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
}
