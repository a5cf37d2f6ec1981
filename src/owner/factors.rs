//! The owner's second factors, kept in the vault's settings: an authenticator app, recovery codes, passkeys.
//!
//! Guarantees: what is decided about a factor is decided on the committed state, so a recovery code and a passkey's
//! counter are used once however many try at one time; while `MFA_REQUIRED` is set the last factor can't be taken away.
//! It deliberately does not know sessions, budgets, or where challenges come from.

use std::sync::Arc;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::passkey::{Assertion, Credential, Refused, Registration, RelyingParty};
use super::recovery::RecoverySet;
use super::totp::TotpSecret;
use crate::crypto::sha256;
use crate::vault::{Actor, SettingChanges, Settings, Vault, VaultError};

/// Most passkeys.
pub const MAX_PASSKEYS: usize = 20;

/// Longest name of a passkey, in characters.
pub const MAX_PASSKEY_NAME_CHARS: usize = 64;

const TOTP: &str = "totp";
const RECOVERY: &str = "recovery/codes";
const PASSKEYS: &str = "passkey/";

/// Settings below these belong to second factors.
const OURS: [&str; 3] = [TOTP, "recovery/", PASSKEYS];

/// Why a factor was not taken, changed or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactorError {
    /// It is not what it must be.
    #[error("the proof is wrong")]
    Wrong,
    /// There is no such factor.
    #[error("there is no such factor")]
    NotFound,
    /// The authenticator is enrolled already.
    #[error("this authenticator is enrolled already")]
    Enrolled,
    /// Recovery codes stand in for a factor, and there is none.
    #[error("recovery codes need another factor beside them")]
    Alone,
    /// The last factor stays while one is required.
    #[error("a second factor is required, and this is the last one")]
    Last,
    /// As many as there may be.
    #[error("passkeys: at most {MAX_PASSKEYS}")]
    TooMany,
    /// What the vault says.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What is asked of the owner beside the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    None,
    /// To prove a factor that is enrolled.
    Prove,
    /// To enrol one: the settings require it, and there is none.
    Enrol,
}

/// The id of a passkey: 32 characters of lower-case hex, made from the credential's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyId(String);

/// A passkey, as the owner's list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyView {
    /// Its id here.
    pub id: PasskeyId,
    /// The credential's id, as authenticators know it.
    pub credential_id: Vec<u8>,
    /// The owner's name for it.
    pub name: String,
    /// When it was enrolled, Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used.
    pub used_ms: Option<u64>,
    /// Whether it is kept on other devices too, as far as it said.
    pub backed_up: bool,
}

/// Everything that is enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Since when there is an authenticator app, Unix milliseconds.
    pub totp_ms: Option<u64>,
    /// How many recovery codes are left.
    pub recovery_codes: usize,
    /// The passkeys, the oldest first.
    pub passkeys: Vec<PasskeyView>,
    /// Whether a factor is required.
    pub required: bool,
}

/// The owner's second factors. Cheap to clone.
#[derive(Clone)]
pub struct Factors {
    vault: Vault,
    party: Arc<RelyingParty>,
    required: bool,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct KeptTotp {
    #[cbor(n(0), with = "minicbor::bytes")]
    secret: Vec<u8>,
    #[n(1)]
    created_ms: u64,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct KeptPasskey {
    #[n(0)]
    credential: Credential,
    #[n(1)]
    name: String,
    #[n(2)]
    created_ms: u64,
    #[n(3)]
    used_ms: Option<u64>,
}

impl Factors {
    /// The factors in that vault, for owners who reach it as that party; `required` is `MFA_REQUIRED`.
    pub fn new(vault: Vault, party: RelyingParty, required: bool) -> Self {
        Self { vault, party: Arc::new(party), required }
    }

    /// Whom passkeys are for.
    pub fn party(&self) -> &RelyingParty {
        &self.party
    }

    /// What is asked beside the password.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn demand(&self) -> Result<Demand, VaultError> {
        let count = self.vault.read_settings(count)?;
        Ok(match (count, self.required) {
            (1.., _) => Demand::Prove,
            (0, true) => Demand::Enrol,
            (0, false) => Demand::None,
        })
    }

    /// Everything that is enrolled.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn enrolled(&self) -> Result<Enrolled, VaultError> {
        self.vault.read_settings(|settings| {
            let mut passkeys: Vec<_> = passkeys(settings).map(|(id, kept)| kept.view(id)).collect();
            passkeys.sort_by(|a, b| a.created_ms.cmp(&b.created_ms).then_with(|| a.id.0.cmp(&b.id.0)));
            Enrolled {
                totp_ms: read::<KeptTotp>(settings, TOTP).map(|kept| kept.created_ms),
                recovery_codes: read::<RecoverySet>(settings, RECOVERY).map_or(0, |set| set.left()),
                passkeys,
                required: self.required,
            }
        })
    }

    /// The secret that the authenticator app shares.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn totp(&self) -> Result<Option<TotpSecret>, VaultError> {
        self.vault.read_settings(|settings| {
            let kept = read::<KeptTotp>(settings, TOTP)?;
            TotpSecret::from_slice(&Zeroizing::new(kept.secret))
        })
    }

    /// Enrols an authenticator app, in the place of an earlier one. That it gives the right codes was checked before.
    ///
    /// # Errors
    /// [`FactorError::Vault`].
    pub async fn enrol_totp(&self, actor: Actor, secret: &TotpSecret, now_ms: u64) -> Result<(), FactorError> {
        let kept = written(&KeptTotp { secret: secret.bytes().to_vec(), created_ms: now_ms });
        self.change(actor, move |_| Ok((vec![(TOTP.to_owned(), Some(kept))], ()))).await
    }

    /// Takes the authenticator app away.
    ///
    /// # Errors
    /// [`FactorError::NotFound`], [`FactorError::Last`], [`FactorError::Vault`].
    pub async fn remove_totp(&self, actor: Actor) -> Result<(), FactorError> {
        let required = self.required;
        self.change(actor, move |settings| Ok((removal(settings, TOTP, required)?, ()))).await
    }

    /// New recovery codes, shown this once; earlier ones are good no more.
    ///
    /// # Errors
    /// [`FactorError::Alone`], [`FactorError::Vault`].
    pub async fn renew_recovery_codes(&self, actor: Actor, now_ms: u64) -> Result<Vec<Zeroizing<String>>, FactorError> {
        let (set, codes) = RecoverySet::generate(now_ms);
        let kept = written(&set);
        self.change(actor, move |settings| match count(settings) {
            0 => Err(FactorError::Alone),
            _ => Ok((vec![(RECOVERY.to_owned(), Some(kept))], codes)),
        })
        .await
    }

    /// Uses up a recovery code, and says how many are left.
    ///
    /// # Errors
    /// [`FactorError::Wrong`], [`FactorError::Vault`].
    pub async fn spend_recovery_code(&self, actor: Actor, code: Zeroizing<String>) -> Result<usize, FactorError> {
        self.change(actor, move |settings| {
            let set = read::<RecoverySet>(settings, RECOVERY).ok_or(FactorError::Wrong)?;
            let rest = set.without(&code).ok_or(FactorError::Wrong)?;
            Ok((vec![(RECOVERY.to_owned(), Some(written(&rest)))], rest.left()))
        })
        .await
    }

    /// Enrols a passkey. `is_challenge` says whether that challenge was given out for it.
    ///
    /// # Errors
    /// [`FactorError::Wrong`], [`FactorError::Enrolled`], [`FactorError::TooMany`], [`FactorError::Vault`].
    pub async fn enrol_passkey(
        &self,
        actor: Actor,
        given: &Registration,
        name: String,
        now_ms: u64,
        is_challenge: impl FnOnce(&[u8]) -> bool,
    ) -> Result<PasskeyView, FactorError> {
        let credential = self.party.register(given, is_challenge).map_err(wrong)?;
        let id = PasskeyId::of(&credential.id);
        let kept = KeptPasskey { credential, name, created_ms: now_ms, used_ms: None };
        self.change(actor, move |settings| {
            if settings.get(&id.key()).is_some() {
                return Err(FactorError::Enrolled);
            }
            if settings.below(PASSKEYS).count() >= MAX_PASSKEYS {
                return Err(FactorError::TooMany);
            }
            let change = (id.key(), Some(written(&kept)));
            Ok((vec![change], kept.view(id)))
        })
        .await
    }

    /// Believes an assertion, and notes its use. `is_challenge` says whether that challenge was given out for it; that
    /// it is used once is the caller's to see to.
    ///
    /// While the vault only reads, a passkey that does not count is believed without a note: the owner must be able to
    /// look at what is wrong.
    ///
    /// # Errors
    /// [`FactorError::Wrong`], [`FactorError::Vault`].
    pub async fn use_passkey(
        &self,
        actor: Actor,
        given: Assertion,
        now_ms: u64,
        is_challenge: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> Result<PasskeyId, FactorError> {
        let id = PasskeyId::of(&given.credential_id);
        let known = self.vault.setting(&id.key())?.and_then(|value| minicbor::decode::<KeptPasskey>(&value).ok());
        let known = known.ok_or(FactorError::Wrong)?;
        let used = self.party.check(&given, &known.credential, &is_challenge).map_err(wrong)?;
        let (party, noted) = (self.party.clone(), id.clone());
        let done = self.change(actor, move |settings| {
            // Once more, on the state as it is when the use is noted: two uses of one counter have one winner.
            let mut kept = read::<KeptPasskey>(settings, &noted.key()).ok_or(FactorError::Wrong)?;
            kept.credential = party.check(&given, &kept.credential, &is_challenge).map_err(wrong)?;
            kept.used_ms = Some(now_ms);
            Ok((vec![(noted.key(), Some(written(&kept)))], ()))
        });
        match done.await {
            Err(FactorError::Vault(VaultError::ReadOnly { .. })) if used.counter == 0 => Ok(id),
            done => done.map(|()| id),
        }
    }

    /// Gives a passkey another name.
    ///
    /// # Errors
    /// [`FactorError::NotFound`], [`FactorError::Vault`].
    pub async fn rename_passkey(&self, actor: Actor, id: PasskeyId, name: String) -> Result<PasskeyView, FactorError> {
        self.change(actor, move |settings| {
            let mut kept = read::<KeptPasskey>(settings, &id.key()).ok_or(FactorError::NotFound)?;
            kept.name = name;
            let change = (id.key(), Some(written(&kept)));
            Ok((vec![change], kept.view(id)))
        })
        .await
    }

    /// Takes a passkey away.
    ///
    /// # Errors
    /// [`FactorError::NotFound`], [`FactorError::Last`], [`FactorError::Vault`].
    pub async fn remove_passkey(&self, actor: Actor, id: PasskeyId) -> Result<(), FactorError> {
        let required = self.required;
        self.change(actor, move |settings| Ok((removal(settings, &id.key(), required)?, ()))).await
    }

    async fn change<T: Send + 'static>(
        &self,
        actor: Actor,
        propose: impl FnOnce(&Settings) -> Result<(SettingChanges, T), FactorError> + Send + 'static,
    ) -> Result<T, FactorError> {
        self.vault.change_settings(actor, propose).await
    }
}

/// Takes all second factors away and ends every session: the way back for an owner who lost them, from the console.
///
/// # Errors
/// As every change of the vault.
pub async fn reset_factors(vault: &Vault, actor: Actor) -> Result<usize, VaultError> {
    vault.clear_settings(actor, |key| OURS.iter().any(|ours| key.starts_with(ours))).await
}

impl PasskeyId {
    fn of(credential_id: &[u8]) -> Self {
        Self(data_encoding::HEXLOWER.encode(&sha256(credential_id)[..16]))
    }

    /// Reads what [`PasskeyId::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key(&self) -> String {
        format!("{PASSKEYS}{}", self.0)
    }
}

impl KeptPasskey {
    fn view(&self, id: PasskeyId) -> PasskeyView {
        PasskeyView {
            id,
            credential_id: self.credential.id.clone(),
            name: self.name.clone(),
            created_ms: self.created_ms,
            used_ms: self.used_ms,
            backed_up: self.credential.backed_up,
        }
    }
}

fn wrong(refused: Refused) -> FactorError {
    tracing::debug!(%refused, "not believed");
    FactorError::Wrong
}

/// How many factors there are that recovery codes can stand in for.
fn count(settings: &Settings) -> usize {
    usize::from(settings.get(TOTP).is_some()) + settings.below(PASSKEYS).count()
}

fn passkeys(settings: &Settings) -> impl Iterator<Item = (PasskeyId, KeptPasskey)> {
    settings.below(PASSKEYS).filter_map(|(key, value)| {
        let id = PasskeyId::parse(key.strip_prefix(PASSKEYS)?)?;
        Some((id, minicbor::decode(value).ok()?))
    })
}

/// Takes a factor away, and the recovery codes with the last one.
fn removal(settings: &Settings, key: &str, required: bool) -> Result<SettingChanges, FactorError> {
    settings.get(key).ok_or(FactorError::NotFound)?;
    let mut changes = vec![(key.to_owned(), None)];
    if count(settings) == 1 {
        if required {
            return Err(FactorError::Last);
        }
        changes.push((RECOVERY.to_owned(), None));
    }
    Ok(changes)
}

fn read<T: for<'b> Decode<'b, ()>>(settings: &Settings, key: &str) -> Option<T> {
    minicbor::decode(settings.get(key)?).ok()
}

fn written(value: &impl Encode<()>) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory cannot fail")
}
