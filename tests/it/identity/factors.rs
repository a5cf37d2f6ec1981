//! Factors, budget and sessions on a real log and Redis, by a clock that the test moves.

use std::net::IpAddr;

use coffer::config::{OwnerConfig, Password, QuotaConfig, RedisConfig, Secret, SessionConfig};
use coffer::log::Log;
use coffer::owner::{Demand, FactorError, Factors, MAX_PASSKEYS, Owner, RelyingParty};
use coffer::session::{
    Asker, CHALLENGE_LIFE_MS, ClientInfo, Identity, Login, Meter, NewSession, Proof, ProofError, STEP_UP_MS, Session,
    SessionError, SessionState, Sessions, Transport, UNFINISHED_LIFE_MS,
};
use coffer::state::Redis;
use coffer::vault::{Actor, Catalog, Vault};
use url::Url;

use super::code_of;
use crate::kit::authenticator::{Authenticator, Ceremony};
use crate::kit::world::World;

const EMAIL: &str = "owner@example.org";
const PASSWORD: &str = "correct horse battery staple";
const ORIGIN: &str = "https://vault.example";
const RP_ID: &str = "vault.example";
const HOME: &str = "192.0.2.1";
const WRONG: Result<(), ProofError> = Err(ProofError::Factor(FactorError::Wrong));

struct House {
    world: World,
    _log: Log<Catalog>,
    vault: Vault,
    owner: Owner,
    factors: Factors,
    sessions: Sessions,
}

impl House {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut world = World::start().await;
        world.lease_secs = 120;
        let (vault, log) = world.vault().await;
        let redis = RedisConfig { url: Secret::new(world.redis.url().to_owned()), timeout_ms: 5_000 };
        let state = Redis::new(&redis).unwrap().for_vault(world.keys.clone());
        let mut config = SessionConfig {
            jwt_secrets: vec![Secret::new("a signing secret of more than thirty-two bytes".into())],
            ttl_secs: 30 * 86_400,
            idle_secs: 7 * 86_400,
            max_sessions: 3,
            login_limit: 5,
            login_window_secs: 900,
            quotas: QuotaConfig {
                owner_requests: 10_000,
                owner_uploads: 20_000,
                stranger_requests: 100,
                stranger_uploads: 50,
                request_window_secs: 900,
                upload_window_secs: 3_600,
            },
            mfa_required: false,
            secure_cookie: true,
        };
        change(&mut config);
        let password = Password::Plain(Secret::new(PASSWORD.into()));
        let owner = Owner::new(&OwnerConfig { email: EMAIL.into(), password, argon2_jobs: 2 }).unwrap();
        let sessions = Sessions::new(state, &config, owner.credential_digest(), world.clock.clone());
        let party = RelyingParty::new(&Url::parse(ORIGIN).unwrap());
        let factors = Factors::new(vault.clone(), party, config.mfa_required);
        Self { world, _log: log, vault, owner, factors, sessions }
    }

    fn identity(&self) -> Identity<'_> {
        Identity { owner: &self.owner, factors: &self.factors }
    }

    async fn try_from(&self, address: &str, password: &str) -> Result<NewSession, SessionError> {
        let login = Login {
            email: EMAIL.into(),
            password: Secret::new(password.into()),
            transport: Transport::Bearer,
            client: client(address),
        };
        let (demand, epoch) = (self.factors.demand().unwrap(), self.vault.session_epoch().unwrap());
        self.sessions.log_in(login, &self.owner, demand, epoch).await
    }

    async fn log_in(&self) -> Session {
        self.session(&self.try_from(HOME, PASSWORD).await.unwrap()).await
    }

    async fn session(&self, new: &NewSession) -> Session {
        self.authenticate(new).await.unwrap()
    }

    async fn authenticate(&self, new: &NewSession) -> Result<Session, SessionError> {
        let epoch = self.vault.session_epoch().unwrap();
        self.sessions.authenticate(new.token.expose(), &client(HOME), epoch).await
    }

    fn state(&self, session: &Session) -> SessionState {
        session.view.state(self.factors.demand().unwrap())
    }

    /// Enrols an authenticator app and waits until its first code is over.
    async fn enrol_app(&self, session: &Session) -> (Vec<u8>, Session) {
        let secret = self.sessions.begin_totp(session).await.unwrap().bytes().to_vec();
        let code = Secret::new(self.code(&secret));
        let made = self.sessions.confirm_totp(session, &code, asker(HOME), self.identity()).await.unwrap();
        self.world.clock.advance(90_000);
        (secret, self.session(&made).await)
    }

    async fn enrol_passkey(&self, session: &Session) -> Result<(Authenticator, Session), ProofError> {
        let key = Authenticator::new();
        let given = key.register(&Ceremony::create(&self.sessions.enrolment_challenge(session), ORIGIN, RP_ID));
        let (actor, factors) = (Actor::default(), &self.factors);
        let (_, made) = self.sessions.enrol_passkey(session, given, "key".into(), actor, factors).await?;
        Ok((key, self.session(&made).await))
    }

    fn code(&self, secret: &[u8]) -> String {
        code_of(secret, self.world.clock.now_ms() / 1_000)
    }

    async fn step_up(&self, session: &Session, proof: Proof, address: &str) -> Result<NewSession, ProofError> {
        self.sessions.step_up(session, proof, asker(address), self.identity()).await
    }

    async fn finish(&self, session: &Session, proof: Proof) -> Result<NewSession, ProofError> {
        self.sessions.finish_login(session, proof, asker(HOME), self.identity()).await
    }

    async fn by_passkey(&self, key: &Authenticator, challenge: &[u8]) -> Result<NewSession, ProofError> {
        let answer = key.answer(&Ceremony::get(challenge, ORIGIN, RP_ID));
        let epoch = self.vault.session_epoch().unwrap();
        self.sessions.log_in_with_passkey(answer, Transport::Bearer, asker(HOME), &self.factors, epoch).await
    }
}

fn client(address: &str) -> ClientInfo {
    let address = address.parse::<IpAddr>().unwrap();
    ClientInfo {
        address,
        user_agent: Some("Firefox/140.0 Linux".into()),
        language: None,
        proof: None,
        meter: Meter::default(),
    }
}

fn asker(address: &str) -> Asker {
    Asker { client: client(address), actor: Actor::default() }
}

fn totp(code: &str) -> Proof {
    Proof::Totp(Secret::new(code.into()))
}

fn limited<T>(answer: Result<T, ProofError>) -> Option<u64> {
    match answer {
        Err(ProofError::Session(
            SessionError::RateLimited { retry_after_secs } | SessionError::LockedOut { retry_after_secs },
        )) => Some(retry_after_secs),
        _ => None,
    }
}

#[tokio::test]
async fn a_code_works_once_and_in_its_time_alone() {
    let house = House::new().await;
    let (secret, _) = house.enrol_app(&house.log_in().await).await;
    let half = house.log_in().await;
    assert_eq!(house.state(&half), SessionState::MfaRequired);
    let code = house.code(&secret);
    house.world.clock.advance(30_000);
    let whole = house.finish(&half, totp(&code)).await.unwrap();
    assert_eq!(house.state(&house.session(&whole).await), SessionState::Active);
    assert_eq!(whole.expires_at_ms, house.world.clock.now_ms() + 30 * 86_400_000, "a whole session's life");
    let again = house.log_in().await;
    assert_eq!(house.finish(&again, totp(&code)).await.map(|_| ()), WRONG, "the same code in its time");
    let code = house.code(&secret);
    house.world.clock.advance(60_000);
    assert_eq!(house.finish(&again, totp(&code)).await.map(|_| ()), WRONG, "a code whose time is over");
    let password = Proof::Password(Secret::new(PASSWORD.into()));
    assert_eq!(house.finish(&again, password).await.map(|_| ()), WRONG, "a password is no second factor");
    assert!(house.finish(&again, totp(&house.code(&secret))).await.is_ok());
}

#[tokio::test]
async fn half_a_login_ends_soon_and_pushes_nobody_out() {
    let house = House::new().await;
    let (secret, owner) = house.enrol_app(&house.log_in().await).await;
    let mut halves = Vec::new();
    for _ in 0..20 {
        halves.push(house.try_from(HOME, PASSWORD).await.unwrap());
        house.world.clock.advance(1);
    }
    let epoch = house.vault.session_epoch().unwrap();
    let living = house.sessions.list(epoch).await.unwrap();
    assert!(living.iter().any(|view| view.id == owner.view.id), "the owner's session is none of theirs");
    assert_eq!(living.len(), 9, "eight may wait for their second factor");
    assert!(house.authenticate(&halves[11]).await.is_err());
    let last = house.session(&halves[19]).await;
    house.world.clock.advance(UNFINISHED_LIFE_MS - 2);
    assert!(house.authenticate(&halves[19]).await.is_ok());
    house.world.clock.advance(2);
    assert_eq!(house.authenticate(&halves[19]).await.unwrap_err(), SessionError::TokenExpired);
    let late = house.finish(&last, totp(&house.code(&secret))).await;
    assert_eq!(late.unwrap_err(), ProofError::Session(SessionError::InvalidToken));
}

#[tokio::test]
async fn knowing_the_password_gives_no_more_tries_at_codes() {
    let house = House::new().await;
    let (secret, _) = house.enrol_app(&house.log_in().await).await;
    let mut wrong = 0;
    let wait = loop {
        let half = match house.try_from(HOME, PASSWORD).await {
            Ok(half) => house.session(&half).await,
            Err(SessionError::LockedOut { retry_after_secs }) => break retry_after_secs,
            Err(other) => panic!("{other:?}"),
        };
        match house.finish(&half, totp("000000")).await {
            Err(ProofError::Factor(FactorError::Wrong)) => wrong += 1,
            other => break limited(other).unwrap(),
        }
        assert!(wrong <= 5, "a right password must not give tries back");
    };
    assert_eq!((wrong, wait), (5, 900));
    let refused = house.try_from(HOME, PASSWORD).await.unwrap_err();
    assert_eq!(refused, SessionError::RateLimited { retry_after_secs: 900 }, "one budget for password and code");
    house.world.clock.advance(900_000);
    let half = house.log_in().await;
    assert!(house.finish(&half, totp(&house.code(&secret))).await.is_ok());
}

#[tokio::test]
async fn a_lock_out_grows_until_something_right_is_shown() {
    let house = House::new().await;
    for wait in [900, 1_800, 3_600] {
        for _ in 0..5 {
            assert_eq!(house.try_from(HOME, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
        }
        let begins = house.try_from(HOME, "wrong").await.unwrap_err();
        assert_eq!(begins, SessionError::LockedOut { retry_after_secs: wait });
        let goes_on = house.try_from(HOME, PASSWORD).await.unwrap_err();
        assert_eq!(goes_on, SessionError::RateLimited { retry_after_secs: wait });
        house.world.clock.advance(wait * 1_000);
    }
    house.log_in().await;
    for _ in 0..5 {
        assert_eq!(house.try_from(HOME, "wrong").await.unwrap_err(), SessionError::WrongCredentials);
    }
    let begins = house.try_from(HOME, "wrong").await.unwrap_err();
    assert_eq!(begins, SessionError::LockedOut { retry_after_secs: 900 }, "as if it were the first");
}

#[tokio::test]
async fn a_fresh_proof_counts_for_ten_minutes() {
    let house = House::new().await;
    let session = house.log_in().await;
    assert!(house.sessions.is_fresh(&session), "a login is a proof");
    house.world.clock.advance(STEP_UP_MS - 1);
    assert!(house.sessions.is_fresh(&session));
    house.world.clock.advance(1);
    assert!(!house.sessions.is_fresh(&session));
    let recovery = Proof::Recovery(Secret::new("abcd-efgh-jkmn-pqrs".into()));
    assert_eq!(house.step_up(&session, recovery, HOME).await.map(|_| ()), WRONG, "not for this");
    let password = Proof::Password(Secret::new(PASSWORD.into()));
    let made = house.step_up(&session, password.clone(), HOME).await.unwrap();
    assert!(house.sessions.is_fresh(&house.session(&made).await));
    let again = house.step_up(&session, password, HOME).await.map(|_| ());
    assert_eq!(again, Err(ProofError::Session(SessionError::InvalidToken)), "the old session is no more");
}

#[tokio::test]
async fn what_a_session_left_going_on_follows_it_to_its_new_name() {
    let house = House::new().await;
    let session = house.log_in().await;
    let ended = tokio::spawn(session.ended());
    let made = house.step_up(&session, Proof::Password(Secret::new(PASSWORD.into())), HOME).await.unwrap();
    assert!(house.authenticate(&made).await.is_ok() && !ended.is_finished());
    house.sessions.revoke(made.session.id).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_revoked_session_is_not_renewed() {
    let house = House::new().await;
    let session = house.log_in().await;
    house.sessions.revoke(session.view.id).await.unwrap();
    let made = house.step_up(&session, Proof::Password(Secret::new(PASSWORD.into())), HOME).await.map(|_| ());
    assert_eq!(made, Err(ProofError::Session(SessionError::InvalidToken)));
    assert!(house.sessions.list(house.vault.session_epoch().unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_challenge_works_once_in_its_time_and_for_its_purpose() {
    let house = House::new().await;
    let (mut key, session) = house.enrol_passkey(&house.log_in().await).await.unwrap();
    let challenge = house.sessions.login_challenge();
    key.counter = 1;
    let answer = key.answer(&Ceremony::get(&challenge, ORIGIN, RP_ID));
    let epoch = house.vault.session_epoch().unwrap();
    let tries = (0..20).map(|_| {
        let (sessions, answer, factors) = (house.sessions.clone(), answer.clone(), house.factors.clone());
        tokio::spawn(async move {
            sessions.log_in_with_passkey(answer, Transport::Bearer, asker(HOME), &factors, epoch).await
        })
    });
    let mut successes = 0;
    for one in tries.collect::<Vec<_>>() {
        successes += usize::from(one.await.unwrap().is_ok());
    }
    assert_eq!(successes, 1);

    key.counter = 2;
    for (what, other) in [
        ("a session's", house.sessions.challenge(&session)),
        ("an enrolment's", house.sessions.enrolment_challenge(&session)),
        ("one of nobody", vec![0; challenge.len()]),
    ] {
        assert_eq!(house.by_passkey(&key, &other).await.map(|_| ()), WRONG, "{what}");
    }
    let challenge = house.sessions.login_challenge();
    house.world.clock.advance(CHALLENGE_LIFE_MS);
    assert_eq!(house.by_passkey(&key, &challenge).await.map(|_| ()), WRONG, "over");
    let challenge = house.sessions.login_challenge();
    assert!(house.by_passkey(&key, &challenge).await.is_ok());
    let passkey =
        |challenge: &[u8], key: &Authenticator| Proof::Passkey(key.answer(&Ceremony::get(challenge, ORIGIN, RP_ID)));
    key.counter = 3;
    let foreign = passkey(&house.sessions.login_challenge(), &key);
    assert_eq!(house.step_up(&session, foreign, HOME).await.map(|_| ()), WRONG, "a login's");
    let own = passkey(&house.sessions.challenge(&session), &key);
    assert!(house.step_up(&session, own, HOME).await.is_ok());
}

#[tokio::test]
async fn a_passkey_is_enrolled_once_and_only_so_many_are() {
    let house = House::new().await;
    let mut session = house.log_in().await;
    let key = Authenticator::new();
    for (number, expected) in [(0, true), (1, false)] {
        let given = key.register(&Ceremony::create(&house.sessions.enrolment_challenge(&session), ORIGIN, RP_ID));
        let (actor, factors) = (Actor::default(), &house.factors);
        match house.sessions.enrol_passkey(&session, given, "key".into(), actor, factors).await {
            Ok((_, made)) => session = house.session(&made).await,
            Err(error) => assert_eq!(error, ProofError::Factor(FactorError::Enrolled), "{number}"),
        }
        assert_eq!(house.factors.enrolled().unwrap().passkeys.len(), 1, "{expected}");
    }
    for _ in 1..MAX_PASSKEYS {
        session = house.enrol_passkey(&session).await.unwrap().1;
    }
    let refused = house.enrol_passkey(&session).await.map(|_| ());
    assert_eq!(refused, Err(ProofError::Factor(FactorError::TooMany)));
}

#[tokio::test]
async fn recovery_codes_need_a_factor_beside_them_and_go_with_the_last() {
    let house = House::new().await;
    let session = house.log_in().await;
    let alone = house.factors.renew_recovery_codes(Actor::default(), 0).await.map(|_| ());
    assert_eq!(alone, Err(FactorError::Alone));
    house.enrol_app(&session).await;
    let old = house.factors.renew_recovery_codes(Actor::default(), 0).await.unwrap();
    let new = house.factors.renew_recovery_codes(Actor::default(), 0).await.unwrap();
    let half = house.log_in().await;
    let proof = |code: &str| Proof::Recovery(Secret::new(code.into()));
    assert_eq!(house.finish(&half, proof(&old[0])).await.map(|_| ()), WRONG, "earlier codes are good no more");
    assert!(house.finish(&half, proof(&new[0].to_uppercase())).await.is_ok());
    assert_eq!(house.factors.enrolled().unwrap().recovery_codes, 9);
    house.factors.remove_totp(Actor::default()).await.unwrap();
    assert_eq!(house.factors.enrolled().unwrap().recovery_codes, 0);
    assert_eq!(house.factors.demand().unwrap(), Demand::None);
}
