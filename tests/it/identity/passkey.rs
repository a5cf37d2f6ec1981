//! What a passkey's answer must be to count, each rule broken by itself.

use coffer::owner::{Credential, RelyingParty};
use minicbor::Encoder;
use url::Url;

use crate::kit::authenticator::{Authenticator, BACKED_UP, BACKUP_ELIGIBLE, Ceremony, PRESENT, VERIFIED};

const ORIGIN: &str = "https://vault.example";
const RP_ID: &str = "vault.example";
const CHALLENGE: &[u8] = b"a challenge that was given out";

fn party() -> RelyingParty {
    RelyingParty::new(&Url::parse("https://vault.example/").unwrap())
}

fn is_challenge(challenge: &[u8]) -> bool {
    challenge == CHALLENGE
}

fn creation() -> Ceremony {
    Ceremony::create(CHALLENGE, ORIGIN, RP_ID)
}

fn login() -> Ceremony {
    Ceremony::get(CHALLENGE, ORIGIN, RP_ID)
}

fn enrolled(key: &Authenticator) -> Credential {
    party().register(&key.register(&creation()), is_challenge).unwrap()
}

/// Everything about the browser's and the authenticator's word that makes an answer somebody else's.
fn lies(honest: &Ceremony) -> Vec<(&'static str, Ceremony)> {
    let honest = || honest.clone();
    vec![
        ("another question", Ceremony { kind: "payment.get", ..honest() }),
        ("another challenge", Ceremony { challenge: b"another".to_vec(), ..honest() }),
        ("no challenge", Ceremony { challenge: Vec::new(), ..honest() }),
        ("a subdomain", Ceremony { origin: "https://evil.vault.example".into(), ..honest() }),
        ("a longer origin", Ceremony { origin: "https://vault.example.evil".into(), ..honest() }),
        ("another scheme", Ceremony { origin: "http://vault.example".into(), ..honest() }),
        ("another port", Ceremony { origin: "https://vault.example:8443".into(), ..honest() }),
        ("a frame in another page", Ceremony { cross_origin: true, ..honest() }),
        ("another relying party", Ceremony { rp_id: "example".into(), ..honest() }),
        ("nobody there", Ceremony { flags: VERIFIED, ..honest() }),
        ("somebody, not known who", Ceremony { flags: PRESENT, ..honest() }),
        ("a copy of what can't be copied", Ceremony { flags: PRESENT | VERIFIED | BACKED_UP, ..honest() }),
    ]
}

#[test]
fn an_honest_passkey_is_enrolled_and_believed() {
    let mut key = Authenticator::new();
    let mut known = enrolled(&key);
    assert_eq!((known.id.as_slice(), known.counter), (key.credential_id.as_slice(), 0));
    for _ in 0..3 {
        key.counter += 5;
        known = party().check(&key.answer(&login()), &known, is_challenge).unwrap();
        assert_eq!(known.counter, key.counter);
    }
}

#[test]
fn every_lie_is_refused_at_enrolment_and_at_login() {
    let key = Authenticator::new();
    let known = enrolled(&key);
    for (what, ceremony) in lies(&creation()) {
        assert!(party().register(&key.register(&ceremony), is_challenge).is_err(), "{what}");
    }
    for (what, ceremony) in lies(&login()) {
        assert!(party().check(&key.answer(&ceremony), &known, is_challenge).is_err(), "{what}");
    }
    assert!(party().register(&key.register(&login()), is_challenge).is_err(), "a login enrols nothing");
    assert!(party().check(&key.answer(&creation()), &known, is_challenge).is_err(), "an enrolment logs nobody in");
}

#[test]
fn any_changed_byte_of_what_was_signed_is_refused() {
    let key = Authenticator::new();
    let known = enrolled(&key);
    let honest = key.answer(&login());
    for at in 0..honest.authenticator_data.len() {
        let mut changed = honest.clone();
        changed.authenticator_data[at] ^= 1;
        assert!(party().check(&changed, &known, is_challenge).is_err(), "authenticator data {at}");
        changed.authenticator_data.truncate(at);
        assert!(party().check(&changed, &known, is_challenge).is_err(), "authenticator data cut to {at}");
    }
    for at in 0..honest.client_data.len() {
        let mut changed = honest.clone();
        changed.client_data[at] ^= 1;
        assert!(party().check(&changed, &known, is_challenge).is_err(), "client data {at}");
    }
    for at in 0..honest.signature.len() {
        let mut changed = honest.clone();
        changed.signature[at] ^= 1;
        assert!(party().check(&changed, &known, is_challenge).is_err(), "signature {at}");
    }
    let other = Authenticator::new();
    assert!(party().check(&other.answer(&login()), &known, is_challenge).is_err(), "another key");
}

#[test]
fn a_counter_that_was_seen_to_count_goes_on() {
    let mut key = Authenticator::new();
    key.counter = 7;
    let known = enrolled(&key);
    for (counter, believed) in [(0, false), (6, false), (7, false), (8, true), (u32::MAX, true)] {
        key.counter = counter;
        assert_eq!(party().check(&key.answer(&login()), &known, is_challenge).is_ok(), believed, "{counter}");
    }
    key.counter = 0;
    let uncounted = enrolled(&key);
    assert!(party().check(&key.answer(&login()), &uncounted, is_challenge).is_ok(), "one that never counts");
}

#[test]
fn whether_a_passkey_may_be_copied_never_changes() {
    let key = Authenticator::new();
    let synced = |backed_up| PRESENT | VERIFIED | BACKUP_ELIGIBLE | backed_up;
    let known = party().register(&key.register(&Ceremony { flags: synced(0), ..creation() }), is_challenge).unwrap();
    assert!(known.backup_eligible && !known.backed_up);
    assert!(party().check(&key.answer(&login()), &known, is_challenge).is_err());
    let copied = key.answer(&Ceremony { flags: synced(BACKED_UP), ..login() });
    assert!(party().check(&copied, &known, is_challenge).unwrap().backed_up);
}

#[test]
fn only_keys_of_known_kinds_are_enrolled() {
    let key = Authenticator::new();
    let honest = key.cose_key();
    let refused = |cose: &[u8]| party().register(&key.register_key(&creation(), cose), is_challenge).is_err();
    assert!(!refused(&honest));
    let mut hmac = Encoder::new(Vec::new());
    hmac.map(3).unwrap().u8(1).unwrap().u8(4).unwrap().u8(3).unwrap().u8(5).unwrap();
    hmac.i8(-1).unwrap().bytes(&[0; 32]).unwrap();
    assert!(refused(&hmac.into_writer()), "a symmetric key");
    for at in [2, 4, 6] {
        let mut other = honest.clone();
        other[at] ^= 2;
        assert!(refused(&other), "another kind, algorithm or curve: {at}");
    }
    for cut in 0..honest.len() {
        assert!(refused(&honest[..cut]), "{cut}");
    }
    assert!(refused(&[honest.as_slice(), &[0]].concat()), "something follows it");
}

#[test]
fn damaged_attestations_are_refused_and_never_a_panic() {
    let key = Authenticator::new();
    let honest = key.register(&creation());
    for at in 0..honest.attestation.len() {
        let mut cut = honest.clone();
        cut.attestation.truncate(at);
        assert!(party().register(&cut, is_challenge).is_err(), "{at}");
        let mut flipped = honest.clone();
        flipped.attestation[at] ^= 0xFF;
        // Some bytes are nobody's business, such as the authenticator's make; none may be a panic.
        let _ = party().register(&flipped, is_challenge);
    }
    let mut long = honest;
    long.client_data.extend(vec![b' '; 4_096]);
    assert!(party().register(&long, is_challenge).is_err());
}
