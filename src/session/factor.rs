//! Proofs: what the owner shows beside, or instead of, the password, and what follows.
//!
//! Guarantees: every secret that could be guessed is counted by the one budget before it is looked at; a code, a recovery
//! code and a challenge work once, however many try at one time; whoever shows a second factor, a fresh proof, or changes
//! a factor goes on under a new token, and the old one is nobody's; a change of factors ends every other session.

use zeroize::Zeroizing;

use super::challenge::CHALLENGE_LIFE_MS;
use super::record::Record;
use super::{ClientInfo, NewSession, Session, SessionError, Sessions, Transport, away};
use crate::config::Secret;
use crate::crypto::sha256;
use crate::owner::{
    Assertion, Busy, FactorError, Factors, Owner, PasskeyId, PasskeyView, Registration, TOTP_STEP_LIFE_MS, TotpSecret,
};
use crate::state::StateError;
use crate::vault::{Actor, VaultError};

/// How long an authenticator app that is being enrolled may take to show its first code.
const ENROLMENT_LIFE_MS: u64 = 10 * 60_000;

/// What challenges of a login are for; a session's are for its name, and its enrolments for that with this in front.
const LOGIN: &str = "login";
const ENROL: &str = "enrol ";

/// What the owner shows.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The password.
    Password(Secret),
    /// A code of the authenticator app.
    Totp(Secret),
    /// A recovery code.
    Recovery(Secret),
    /// A passkey's answer to a challenge.
    Passkey(Assertion),
}

/// Who judges a proof.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The password.
    pub owner: &'a Owner,
    /// Everything else.
    pub factors: &'a Factors,
}

/// Who shows it.
#[derive(Debug, Clone)]
pub struct Asker {
    /// What the budget counts.
    pub client: ClientInfo,
    /// What the log names.
    pub actor: Actor,
}

/// Why a proof brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The session or the budget.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The proof, or the factor.
    #[error(transparent)]
    Factor(#[from] FactorError),
}

impl From<VaultError> for ProofError {
    fn from(error: VaultError) -> Self {
        FactorError::from(error).into()
    }
}

impl Sessions {
    /// What authenticators know the owner by: it says nothing, and is the same for one vault.
    pub fn user_handle(&self) -> [u8; 32] {
        sha256(&[b"coffer/1/user-handle\0", self.0.state.vault_id().0.as_slice()].concat())
    }

    /// What a passkey must answer to log in.
    pub fn login_challenge(&self) -> Vec<u8> {
        self.0.challenges.make(LOGIN, self.0.clock.now_ms())
    }

    /// What a passkey must answer to prove something for this session.
    pub fn challenge(&self, session: &Session) -> Vec<u8> {
        self.0.challenges.make(&session.view.id.hex(), self.0.clock.now_ms())
    }

    /// What a passkey must answer to be enrolled by this session.
    pub fn enrolment_challenge(&self, session: &Session) -> Vec<u8> {
        self.0.challenges.make(&format!("{ENROL}{}", session.view.id), self.0.clock.now_ms())
    }

    /// Makes a session for whoever has one of the owner's passkeys, which is knowledge or body and possession in one. It is
    /// never locked out by others' failures.
    ///
    /// # Errors
    /// [`FactorError::Wrong`]; as [`Sessions::log_in`], but for its limits.
    pub async fn log_in_with_passkey(
        &self,
        assertion: Assertion,
        transport: Transport,
        asker: Asker,
        factors: &Factors,
        epoch: u64,
    ) -> Result<NewSession, ProofError> {
        let offered = self.offered_key(&asker.client)?;
        self.check_passkey(assertion, LOGIN.to_owned(), asker.actor, factors).await?;
        if let Some(offered) = &offered {
            self.use_up(offered).await?;
        }
        let mut record = self.new_record(&asker.client, transport, offered.map(|offered| offered.key), epoch);
        record.second_factor = true;
        Ok(self.begin(record).await?)
    }

    /// Ends a login that owes a second factor: the session goes on with all its rights, under a new token.
    ///
    /// # Errors
    /// [`FactorError::Wrong`], also for a password, which is no second factor; the budget's errors.
    pub async fn finish_login(
        &self,
        session: &Session,
        proof: Proof,
        asker: Asker,
        identity: Identity<'_>,
    ) -> Result<NewSession, ProofError> {
        if matches!(proof, Proof::Password(_)) {
            return Err(FactorError::Wrong.into());
        }
        self.check(session, proof, asker, identity).await?;
        let now_ms = self.0.clock.now_ms();
        Ok(self.renew(session, |record| proven(record, now_ms)).await?)
    }

    /// Takes a fresh proof that the owner is there: the session goes on under a new token.
    ///
    /// # Errors
    /// [`FactorError::Wrong`], also for a recovery code, which is not for this; the budget's errors.
    pub async fn step_up(
        &self,
        session: &Session,
        proof: Proof,
        asker: Asker,
        identity: Identity<'_>,
    ) -> Result<NewSession, ProofError> {
        if matches!(proof, Proof::Recovery(_)) {
            return Err(FactorError::Wrong.into());
        }
        self.check(session, proof, asker, identity).await?;
        let now_ms = self.0.clock.now_ms();
        Ok(self.renew(session, |record| record.proved_ms = now_ms).await?)
    }

    /// A secret for an authenticator app, kept until its first code comes or [`ENROLMENT_LIFE_MS`] are over.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`].
    pub async fn begin_totp(&self, session: &Session) -> Result<TotpSecret, SessionError> {
        let secret = TotpSecret::generate();
        let key = self.0.state.key("totp-enrolment", &session.view.id.hex());
        self.0.state.put(&key, secret.bytes(), ENROLMENT_LIFE_MS).await.map_err(away)?;
        Ok(secret)
    }

    /// Enrols the authenticator app that shows the right code.
    ///
    /// # Errors
    /// [`FactorError::NotFound`] when none was begun; [`FactorError::Wrong`]; the budget's errors.
    pub async fn confirm_totp(
        &self,
        session: &Session,
        code: &Secret,
        asker: Asker,
        identity: Identity<'_>,
    ) -> Result<NewSession, ProofError> {
        let key = self.0.state.key("totp-enrolment", &session.view.id.hex());
        let begun = match self.0.state.get(&key).await {
            Ok(found) => found,
            Err(StateError::Corrupt) => None,
            Err(StateError::Unavailable) => return Err(SessionError::RedisUnavailable.into()),
        };
        let secret = begun.and_then(|bytes| TotpSecret::from_slice(&bytes)).ok_or(FactorError::NotFound)?;
        let (budget, now_ms) = (&self.0.budget, self.0.clock.now_ms());
        let counted = budget.count(identity.owner.email(), asker.client.address, now_ms).await?;
        if !self.is_unused_code(&secret, code.expose()).await? {
            return Err(FactorError::Wrong.into());
        }
        budget.uncount(&counted).await?;
        identity.factors.enrol_totp(asker.actor, &secret, now_ms).await?;
        // What stays behind would enrol the same secret again, and ends by itself.
        let _ = self.0.state.delete(&key).await;
        self.factors_changed(session, true).await
    }

    /// Enrols the passkey that answered [`Sessions::enrolment_challenge`].
    ///
    /// # Errors
    /// [`FactorError`]; [`SessionError::RedisUnavailable`].
    pub async fn enrol_passkey(
        &self,
        session: &Session,
        given: Registration,
        name: String,
        actor: Actor,
        factors: &Factors,
    ) -> Result<(PasskeyView, NewSession), ProofError> {
        let (now_ms, purpose) = (self.0.clock.now_ms(), format!("{ENROL}{}", session.view.id));
        let challenges = self.0.challenges.clone();
        // A credential is enrolled once, so its challenge can't be used twice.
        let is_challenge = move |challenge: &[u8]| challenges.is_good(&purpose, challenge, now_ms);
        let passkey = factors.enrol_passkey(actor, &given, name, now_ms, is_challenge).await?;
        Ok((passkey, self.factors_changed(session, true).await?))
    }

    /// After a change of factors: every other session ends, and this one goes on under a new token. `shown` says whether a
    /// second factor was shown with the change.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`]: the change is made, and sessions that showed no second factor owe one.
    pub async fn factors_changed(&self, session: &Session, shown: bool) -> Result<NewSession, ProofError> {
        self.revoke_others(session.view.id).await?;
        let now_ms = self.0.clock.now_ms();
        let change = |record: &mut Record| {
            if shown {
                proven(record, now_ms);
            }
        };
        Ok(self.renew(session, change).await?)
    }

    /// Whether the proof is right. What can be guessed is counted first.
    async fn check(
        &self,
        session: &Session,
        proof: Proof,
        asker: Asker,
        Identity { owner, factors }: Identity<'_>,
    ) -> Result<(), ProofError> {
        let Asker { client, actor } = asker;
        if let Proof::Passkey(assertion) = proof {
            self.check_passkey(assertion, session.view.id.hex(), actor, factors).await?;
            return Ok(());
        }
        let budget = &self.0.budget;
        let counted = budget.count(owner.email(), client.address, self.0.clock.now_ms()).await?;
        let right = match proof {
            Proof::Password(password) => match owner.verify_password(password.expose()).await {
                Ok(right) => right,
                Err(Busy) => {
                    budget.uncount(&counted).await?;
                    return Err(SessionError::Busy.into());
                }
            },
            Proof::Totp(code) => match factors.totp()? {
                Some(secret) => self.is_unused_code(&secret, code.expose()).await?,
                None => false,
            },
            Proof::Recovery(code) => {
                let code = Zeroizing::new(code.expose().to_owned());
                match factors.spend_recovery_code(actor, code).await {
                    Ok(_) => true,
                    Err(FactorError::Wrong) => false,
                    Err(error) => return Err(error.into()),
                }
            }
            Proof::Passkey(_) => false,
        };
        if !right {
            return Err(FactorError::Wrong.into());
        }
        Ok(budget.forgive(&counted).await?)
    }

    /// Whether the code is right and its step was not used; it is from then on.
    async fn is_unused_code(&self, secret: &TotpSecret, code: &str) -> Result<bool, SessionError> {
        let Some(step) = secret.step_of(code, self.0.clock.now_ms()) else { return Ok(false) };
        let app = data_encoding::HEXLOWER.encode(&sha256(secret.bytes())[..8]);
        let key = self.0.state.key("totp-used", &format!("{app}-{step}"));
        self.0.state.put_new(&key, b"", TOTP_STEP_LIFE_MS).await.map_err(away)
    }

    async fn check_passkey(
        &self,
        assertion: Assertion,
        purpose: String,
        actor: Actor,
        factors: &Factors,
    ) -> Result<PasskeyId, ProofError> {
        let (now_ms, challenges) = (self.0.clock.now_ms(), self.0.challenges.clone());
        // A challenge stands in what was signed, so its digest stands for it.
        let answered = data_encoding::HEXLOWER.encode(&sha256(&assertion.client_data)[..16]);
        let is_challenge = move |challenge: &[u8]| challenges.is_good(&purpose, challenge, now_ms);
        let id = factors.use_passkey(actor, assertion, now_ms, is_challenge).await?;
        let key = self.0.state.key("challenge-used", &answered);
        match self.0.state.put_new(&key, b"", CHALLENGE_LIFE_MS).await.map_err(away)? {
            true => Ok(id),
            false => Err(FactorError::Wrong.into()),
        }
    }
}

fn proven(record: &mut Record, now_ms: u64) {
    (record.second_factor, record.unfinished, record.proved_ms) = (true, false, now_ms);
}
