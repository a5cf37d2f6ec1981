//! What a session is bound to: proofs at the edges of their time, forged ones, and clients that changed.

use coffer::session::{Binding, MAX_PROOF_BYTES, MAX_PROOF_NAME_BYTES, NONCE_WINDOW_MS, PROOF_SKEW_SECS, ShownProof};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::kit::prover::{Claims, Prover, hash_of};

const LOGIN: &str = "https://vault.example/api/v1/session";
const PLACE: &str = "https://vault.example/api/v1/nodes/root";

fn shows(proof: String, method: &str, url: &str) -> ClientInfo {
    let url = Url::parse(url).unwrap();
    ClientInfo { proof: Some(ShownProof { text: Secret::new(proof), method: method.into(), url }), ..client(HOME) }
}

/// A client with a key and the session that is bound to it.
struct Bound {
    house: House,
    key: Prover,
    new: NewSession,
}

impl Bound {
    async fn new(transport: Transport) -> Self {
        let (house, key) = (House::new().await, Prover::new());
        let claims = Prover::claims("POST", LOGIN, START_MS / 1_000, Some(&house.sessions.nonce()), None);
        let (email, password) = (EMAIL.into(), Secret::new(PASSWORD.into()));
        let login = Login { email, password, transport, client: shows(key.sign(&claims), "POST", LOGIN) };
        let new = house.sessions.log_in(login, &house.owner, Demand::None, EPOCH).await.unwrap();
        assert_eq!(new.session.binding, Binding::Key);
        Self { house, key, new }
    }

    fn ath(&self) -> String {
        match self.new.session.transport {
            Transport::Bearer => hash_of(self.new.token.expose()),
            Transport::Cookie => self.new.session.id.hex(),
        }
    }

    fn claims(&self) -> Claims {
        let (now, nonce) = (self.house.clock.now_ms() / 1_000, self.house.sessions.nonce());
        Prover::claims("GET", PLACE, now, Some(&nonce), Some(&self.ath()))
    }

    async fn ask(&self, client: &ClientInfo) -> Result<Session, SessionError> {
        self.house.sessions.authenticate(self.new.token.expose(), client, EPOCH).await
    }

    async fn show(&self, proof: String) -> Result<(), SessionError> {
        self.ask(&shows(proof, "GET", PLACE)).await.map(drop)
    }

    async fn lives(&self) -> bool {
        self.show(self.key.sign(&self.claims())).await.is_ok()
    }
}

#[tokio::test]
async fn a_proof_opens_the_session_of_its_key_once() {
    for transport in [Transport::Bearer, Transport::Cookie] {
        let bound = Bound::new(transport).await;
        let proof = bound.key.sign(&bound.claims());
        assert_eq!(bound.show(proof.clone()).await, Ok(()));
        assert_eq!(bound.show(proof).await, Err(SessionError::InvalidProof), "a replay");
        assert!(bound.lives().await, "a replay ends nothing");
    }
}

#[tokio::test]
async fn of_many_replays_at_once_one_is_let_in() {
    let bound = Bound::new(Transport::Bearer).await;
    let client = shows(bound.key.sign(&bound.claims()), "GET", PLACE);
    let asked = (0..50).map(|_| {
        let (sessions, token, client) = (bound.house.sessions.clone(), bound.new.token.clone(), client.clone());
        tokio::spawn(async move { sessions.authenticate(token.expose(), &client, EPOCH).await.is_ok() })
    });
    let mut let_in = 0;
    for answer in asked.collect::<Vec<_>>() {
        let_in += usize::from(answer.await.unwrap());
    }
    assert_eq!(let_in, 1);
}

#[tokio::test]
async fn a_proof_for_something_else_is_refused_and_ends_nothing() {
    let bound = Bound::new(Transport::Bearer).await;
    let wrong = [
        ("htm", json!("POST")),
        ("htm", json!("get")),
        ("htu", json!("https://vault.example/api/v1/nodes/other")),
        ("htu", json!("https://vault.example/api/v1/nodes/root/")),
        ("htu", json!("http://vault.example/api/v1/nodes/root")),
        ("htu", json!("https://vault.example:444/api/v1/nodes/root")),
        ("htu", json!("https://other.example/api/v1/nodes/root")),
        ("htu", json!("https://you@vault.example/api/v1/nodes/root")),
        ("htu", json!("/api/v1/nodes/root")),
        ("ath", json!(hash_of("another token"))),
        ("ath", json!(bound.new.session.id.hex())),
        ("ath", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(MAX_PROOF_NAME_BYTES + 1))),
        ("jti", Value::Null),
        ("iat", json!("1")),
        ("iat", json!(-1)),
        ("iat", Value::Null),
    ];
    for (member, value) in wrong {
        let mut claims = bound.claims();
        claims[member] = value.clone();
        assert_eq!(bound.show(bound.key.sign(&claims)).await, Err(SessionError::InvalidProof), "{member} {value}");
    }
    for url in ["https://vault.example/api/v1/nodes/root?x=1", "https://VAULT.example:443/api/v1/./nodes/root#x"] {
        let mut claims = bound.claims();
        claims["htu"] = json!(url);
        assert_eq!(bound.show(bound.key.sign(&claims)).await, Ok(()), "{url}");
    }
    let mut longest = bound.claims();
    longest["jti"] = json!("x".repeat(MAX_PROOF_NAME_BYTES));
    assert_eq!(bound.show(bound.key.sign(&longest)).await, Ok(()));
}

#[tokio::test]
async fn a_stale_nonce_and_a_skewed_clock_ask_for_another_proof() {
    let bound = Bound::new(Transport::Bearer).await;
    let (now, nonce) = (START_MS / 1_000, bound.house.sessions.nonce());
    let with = |member: &str, value: Value| {
        let mut claims = bound.claims();
        claims[member] = value;
        bound.key.sign(&claims)
    };
    for iat in [now - PROOF_SKEW_SECS, now, now + PROOF_SKEW_SECS] {
        assert_eq!(bound.show(with("iat", json!(iat))).await, Ok(()), "{iat}");
    }
    for (member, value) in [
        ("iat", json!(now - PROOF_SKEW_SECS - 1)),
        ("iat", json!(now + PROOF_SKEW_SECS + 1)),
        ("iat", json!(0)),
        ("nonce", json!("")),
        ("nonce", json!("another")),
        ("nonce", Value::Null),
    ] {
        assert_eq!(bound.show(with(member, value.clone())).await, Err(SessionError::ProofWanted), "{member} {value}");
    }
    assert_eq!(bound.ask(&client(HOME)).await.map(drop), Err(SessionError::ProofWanted), "no proof at all");
    bound.house.clock.advance(2 * NONCE_WINDOW_MS);
    let old = bound.key.sign(&{
        let mut claims = bound.claims();
        claims["nonce"] = json!(nonce);
        claims
    });
    assert_eq!(bound.show(old).await, Err(SessionError::ProofWanted));
    assert!(bound.lives().await);
}

#[tokio::test]
async fn another_key_with_the_token_ends_the_session_for_both() {
    let bound = Bound::new(Transport::Cookie).await;
    let stream = bound.ask(&shows(bound.key.sign(&bound.claims()), "GET", PLACE)).await.unwrap().ended();
    let id = bound.new.session.id;
    let thief = Prover::new().sign(&bound.claims());
    assert_eq!(bound.show(thief).await, Err(SessionError::Suspicious { session: id }));
    stream.await;
    assert_eq!(bound.show(bound.key.sign(&bound.claims())).await, Err(SessionError::InvalidToken));
}

#[tokio::test]
async fn the_token_alone_from_another_client_ends_the_session_for_both() {
    let thief = ClientInfo { user_agent: Some("curl/8.14.1".into()), ..client(HOME) };
    let bound = Bound::new(Transport::Cookie).await;
    let id = bound.new.session.id;
    assert_eq!(bound.ask(&thief).await.map(drop), Err(SessionError::Suspicious { session: id }));
    assert!(!bound.lives().await);

    let house = House::new().await;
    let new = house.log_in().await;
    assert_eq!(new.session.binding, Binding::Client);
    let updated = client(HOME).user_agent.map(|agent| agent.replace("140", "141"));
    let updated = ClientInfo { user_agent: updated, address: [203, 0, 113, 9].into(), ..client(HOME) };
    let ask = async |client| house.sessions.authenticate(new.token.expose(), client, EPOCH).await.map(drop);
    assert_eq!(ask(&updated).await, Ok(()), "an update on the way is no theft");
    assert_eq!(ask(&thief).await, Err(SessionError::Suspicious { session: new.session.id }));
    assert_eq!(ask(&client(HOME)).await, Err(SessionError::InvalidToken));
}

#[tokio::test]
async fn a_key_is_proof_enough_for_a_client_that_looks_different() {
    let bound = Bound::new(Transport::Bearer).await;
    let proof = shows(bound.key.sign(&bound.claims()), "GET", PLACE);
    let different = ClientInfo { user_agent: Some("Another/1".into()), language: Some("fr".into()), ..proof };
    assert!(bound.ask(&different).await.is_ok());
    assert!(bound.lives().await);
}

#[tokio::test]
async fn what_is_no_proof_is_refused_and_ends_nothing() {
    let bound = Bound::new(Transport::Bearer).await;
    let (key, claims) = (&bound.key, bound.claims());
    let good = key.sign(&claims);
    let [header, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let under = |change: &dyn Fn(&mut Value)| {
        let mut header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()});
        change(&mut header);
        key.sign_under(&header, &claims)
    };
    let other = Prover::new().jwk();
    let mut bad = vec![
        String::new(),
        "..".into(),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!("{header}.{body}.{}", "A".repeat(86)),
        format!("{good}.{signature}"),
        format!("{good},{good}"),
        format!(" {good}"),
        "x".repeat(1_000_000),
        under(&|header| header["typ"] = json!("JWT")),
        under(&|header| header["alg"] = json!("none")),
        under(&|header| header["alg"] = json!("HS256")),
        under(&|header| header["alg"] = json!("ES384")),
        under(&|header| header["crit"] = json!(["b64"])),
        under(&|header| header["jwk"] = other.clone()),
        under(&|header| header["jwk"]["kty"] = json!("oct")),
        under(&|header| header["jwk"]["crv"] = json!("P-384")),
        under(&|header| header["jwk"]["d"] = json!("AAAA")),
        under(&|header| header["jwk"]["x"] = json!("")),
        under(&|header| header["jwk"]["x"] = json!(format!("{}=", key.jwk()["x"].as_str().unwrap()))),
        under(&|header| header["jwk"]["y"] = json!("A".repeat(43))),
        under(&|header| header["jwk"] = json!("AAAA")),
        under(&|header| header["padding"] = json!("x".repeat(MAX_PROOF_BYTES))),
    ];
    for position in [0, header.len() + 3, good.len() - 10] {
        let mut flipped = good.clone().into_bytes();
        flipped[position] ^= 1;
        bad.push(String::from_utf8(flipped).unwrap());
    }
    for proof in bad {
        assert_eq!(bound.show(proof.clone()).await, Err(SessionError::InvalidProof), "{proof:.300}");
    }
    assert_eq!(bound.show(good).await, Ok(()));
}

#[tokio::test]
async fn a_login_with_a_bad_proof_makes_no_session_and_counts_no_password() {
    let (house, key) = (House::new().await, Prover::new());
    let nonce = house.sessions.nonce();
    let try_with = async |claims: &Claims| {
        let (email, password) = (EMAIL.into(), Secret::new(PASSWORD.into()));
        let client = shows(key.sign(claims), "POST", LOGIN);
        let login = Login { email, password, transport: Transport::Bearer, client };
        house.sessions.log_in(login, &house.owner, Demand::None, EPOCH).await.map(|new| new.session.binding)
    };
    let right = Prover::claims("POST", LOGIN, START_MS / 1_000, Some(&nonce), None);
    for _ in 0..10 {
        let stale = Prover::claims("POST", LOGIN, START_MS / 1_000, None, None);
        assert_eq!(try_with(&stale).await, Err(SessionError::ProofWanted));
        let elsewhere = Prover::claims("POST", PLACE, START_MS / 1_000, Some(&nonce), None);
        assert_eq!(try_with(&elsewhere).await, Err(SessionError::InvalidProof));
        let of_a_session = Prover::claims("POST", LOGIN, START_MS / 1_000, Some(&nonce), Some("another session"));
        assert_eq!(try_with(&of_a_session).await, Err(SessionError::InvalidProof));
    }
    assert_eq!(house.owner.checks(), 0);
    assert_eq!(try_with(&right).await, Ok(Binding::Key));
    assert_eq!(try_with(&right).await, Err(SessionError::InvalidProof), "a proof of a login works once, too");
    assert_eq!(house.sessions.list(EPOCH).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_ticket_needs_no_proof_and_ends_with_the_session() {
    let bound = Bound::new(Transport::Bearer).await;
    let session = bound.ask(&shows(bound.key.sign(&bound.claims()), "GET", PLACE)).await.unwrap();
    let made = bound.house.sessions.make_ticket(&session, b"file".to_vec()).await.unwrap();
    let ticket = coffer::session::Ticket::from_hex(made.text.expose()).unwrap();
    let player = ClientInfo { user_agent: Some("A player".into()), ..client("203.0.113.9") };
    assert!(bound.house.sessions.redeem(&ticket, &player, EPOCH).await.is_ok());
    assert!(bound.lives().await, "a player's traits are not the session's");
    bound.house.sessions.revoke(session.view.id).await.unwrap();
    assert!(bound.house.sessions.redeem(&ticket, &player, EPOCH).await.is_err());
}

#[tokio::test]
async fn changed_secrets_ask_for_a_fresh_nonce_and_keep_the_session() {
    let bound = Bound::new(Transport::Bearer).await;
    let old_nonce = bound.house.sessions.nonce();
    let next = || Secret::new("the next signing secret, of a good length too".into());
    let overlapping = bound.house.restarted(|config| config.jwt_secrets.insert(0, next()));
    let proof = |nonce: &str| {
        let claims = Prover::claims("GET", PLACE, START_MS / 1_000, Some(nonce), Some(&bound.ath()));
        shows(bound.key.sign(&claims), "GET", PLACE)
    };
    let ask =
        async |client: ClientInfo| overlapping.authenticate(bound.new.token.expose(), &client, EPOCH).await.map(drop);
    assert_eq!(ask(proof(&old_nonce)).await, Err(SessionError::ProofWanted));
    assert_eq!(ask(proof(&overlapping.nonce())).await, Ok(()));
}
