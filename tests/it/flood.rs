//! Wrong passwords from many addresses, with headers that claim others: the limits hold, the owner goes on.
//!
//! The addresses are real: every one of 127.0.0.0/8 is this machine. `COFFER_LONG=1` makes the flood as long as a
//! patient attacker's.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::json;

use crate::kit::coffer::{Coffer, EMAIL, problem_of};

/// What the account may cost all strangers together, in tries of one network.
const ACCOUNT_FACTOR: usize = 20;
const LIMIT: usize = 5;

/// What the flood may add to the program's memory: two password checks, and what connections take.
const MEMORY_KIB: u64 = 256 * 1024;

fn flood() -> (u16, usize) {
    if std::env::var("COFFER_LONG").is_ok_and(|value| value == "1") { (500, 20) } else { (40, 7) }
}

fn client_at(address: Ipv4Addr) -> reqwest::Client {
    reqwest::Client::builder().local_address(Some(address.into())).build().unwrap()
}

/// One wrong password, under headers that a naive limit believes.
async fn guess(url: &str, client: &reqwest::Client, round: usize) -> (StatusCode, String) {
    let claimed = format!("203.0.113.{}", round % 250);
    // An account is one account, however it is written.
    let email = if round.is_multiple_of(2) { EMAIL.to_uppercase() } else { EMAIL.to_owned() };
    let guess = json!({"email": email, "password": format!("guess number {round}"), "transport": "bearer"});
    let request = client.post(url).json(&guess);
    let request = request.header("x-forwarded-for", &claimed).header("x-real-ip", &claimed);
    problem_of(request.header("forwarded", format!("for={claimed}")).send().await.unwrap()).await
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_bounded_and_the_owner_goes_on() {
    let (addresses, tries) = flood();
    let coffer = Coffer::start().await;
    let login = coffer.log_in().await;
    let memory = coffer.peak_memory_kib();
    let url = coffer.url("/api/v1/session");
    let guesses = futures_util::stream::iter(0..addresses).map(|number| {
        let [high, low] = (number + 1).to_be_bytes();
        let (client, url) = (client_at(Ipv4Addr::new(127, 1, high, low)), &url);
        async move {
            let mut seen = BTreeMap::<String, usize>::new();
            for round in 0..tries {
                let (status, code) = guess(url, &client, round).await;
                assert!(matches!(status.as_u16(), 401 | 429 | 503), "{status} {code}");
                *seen.entry(code).or_default() += 1;
            }
            seen
        }
    });
    let attack = guesses.buffer_unordered(16).collect::<Vec<_>>();
    let owner = async {
        for _ in 0..10 {
            login.get("/nodes/root").await;
        }
    };
    let (seen, ()) = tokio::join!(attack, owner);

    let checked = |codes: &BTreeMap<String, usize>| codes.get("WRONG_CREDENTIALS").copied().unwrap_or(0);
    for codes in &seen {
        assert!(checked(codes) <= LIMIT, "one address had more tries than one may have: {codes:?}");
    }
    let all: usize = seen.iter().map(checked).sum();
    assert!(all <= LIMIT * ACCOUNT_FACTOR, "{all} passwords were tried for one account");
    assert!(seen.iter().any(|codes| codes.contains_key("RATE_LIMITED")), "{seen:?}");
    // The owner's own place was logged in from before, and nobody locks it out.
    coffer.log_in().await;
    login.get("/nodes/root").await;
    let grown = coffer.peak_memory_kib() - memory;
    assert!(grown < MEMORY_KIB, "the flood took {grown} KiB");
}
