//! App tokens: what the owner lets programs do in their own name.
//!
//! A token is an id and a secret. The vault keeps, sealed among the owner's settings, the SHA-256 of the secret (32 random
//! bytes need no slow hash), what the token may do, and what it was made under: the owner's password and second factors
//! of that time. When these change, or its time is up, it is nobody's. It deliberately does not know requests: which
//! operation needs which scope is said where operations are, and who shows a token is found out by `session`.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::crypto::{random, sha256};
use crate::vault::{Actor, NodeId, Settings, Vault, VaultError};

/// How every token begins, so that a leaked one is recognised.
pub const TOKEN_PREFIX: &str = "coffer_";

/// Most tokens at one time.
pub const MAX_TOKENS: usize = 100;

/// Where they are among the settings.
const PLACE: &str = "token/";

/// What a token may be allowed; a set of these is the sum of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenScope {
    /// To look at nodes and their content.
    Read = 1,
    /// To change nodes and bring content.
    Write = 2,
    /// To bring new content, and nothing else.
    Upload = 4,
    /// To share.
    Share = 8,
    /// To read the audit trail.
    Audit = 16,
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenScopes(u8);

impl TokenScopes {
    /// The set of these.
    pub fn of(scopes: &[TokenScope]) -> Self {
        Self(scopes.iter().fold(0, |set, scope| set | *scope as u8))
    }

    /// Whether it holds the scope, or one that includes it.
    pub fn allow(self, scope: TokenScope) -> bool {
        let including = if scope == TokenScope::Upload { TokenScope::Write as u8 } else { 0 };
        self.0 & (scope as u8 | including) != 0
    }

    /// The scopes in it.
    pub fn list(self) -> Vec<TokenScope> {
        use TokenScope::{Audit, Read, Share, Upload, Write};
        [Read, Write, Upload, Share, Audit].into_iter().filter(|scope| self.0 & *scope as u8 != 0).collect()
    }
}

/// The public name of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// Reads what `Display` wrote: 32 lower-case hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    fn key(self) -> String {
        format!("{PLACE}{self}")
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// What the owner wants a token for.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What the owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: TokenScopes,
    /// The folder that it is confined to.
    pub folder: Option<NodeId>,
    /// When it ends, Unix milliseconds.
    pub expires_ms: Option<u64>,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppToken {
    /// Its public name.
    pub id: TokenId,
    /// What the owner calls it.
    pub name: String,
    /// SHA-256 of its secret.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: TokenScopes,
    /// The folder that it is confined to.
    pub folder: Option<NodeId>,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// When it ends, Unix milliseconds.
    pub expires_ms: Option<u64>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There are [`MAX_TOKENS`].
    #[error("there are as many tokens as there may be")]
    TooMany,
    /// What the vault refuses.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Record {
    #[n(0)]
    name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[n(2)]
    scopes: u8,
    #[cbor(n(3), with = "minicbor::bytes")]
    folder: Option<[u8; 16]>,
    #[n(4)]
    created_ms: u64,
    #[n(5)]
    expires_ms: Option<u64>,
    /// A digest of the password and the second factors that it was made under.
    #[cbor(n(6), with = "minicbor::bytes")]
    made_under: [u8; 32],
}

/// The tokens of one owner.
#[derive(Clone)]
pub struct AppTokens {
    vault: Vault,
    credential: [u8; 32],
}

impl AppTokens {
    /// The tokens in this vault of the owner with this credential.
    pub fn new(vault: Vault, credential: [u8; 32]) -> Self {
        Self { vault, credential }
    }

    /// Makes a token, whose text nobody sees again.
    ///
    /// # Errors
    /// [`TokenError::TooMany`], and what the vault refuses.
    pub async fn mint(&self, actor: Actor, new: NewToken, now_ms: u64) -> Result<(Secret, AppToken), TokenError> {
        let (id, secret) = (TokenId(random::bytes()), Zeroizing::new(random::bytes::<32>()));
        let token = AppToken {
            id,
            name: new.name,
            hash: sha256(secret.as_slice()),
            scopes: new.scopes,
            folder: new.folder,
            created_ms: now_ms,
            expires_ms: new.expires_ms,
        };
        let (made, credential) = (token.clone(), self.credential);
        self.vault
            .change_settings(actor, move |settings| {
                if settings.below(PLACE).count() >= MAX_TOKENS {
                    return Err(TokenError::TooMany);
                }
                Ok((vec![(made.id.key(), Some(made.encode(made_under(&credential, settings))))], ()))
            })
            .await?;
        let text = Zeroizing::new([&id.0[..], secret.as_slice()].concat());
        Ok((Secret::new(format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&text))), token))
    }

    /// All tokens, the oldest first; those that ended too, until they are revoked.
    ///
    /// # Errors
    /// What the vault refuses.
    pub fn list(&self) -> Result<Vec<AppToken>, VaultError> {
        let found = self.vault.settings(PLACE)?;
        let mut tokens: Vec<_> = found.iter().filter_map(|(key, value)| AppToken::decode(key, value)).collect();
        tokens.sort_by_key(|(token, _)| (token.created_ms, token.id.0));
        Ok(tokens.into_iter().map(|(token, _)| token).collect())
    }

    /// The living token of that text.
    ///
    /// # Errors
    /// What the vault refuses.
    pub fn find(&self, text: &str, now_ms: u64) -> Result<Option<AppToken>, VaultError> {
        let Some((id, secret)) = read(text) else { return Ok(None) };
        self.vault.read_settings(|settings| {
            let (token, made) = AppToken::decode(&id.key(), settings.get(&id.key())?)?;
            let is_right =
                token.hash.ct_eq(&sha256(secret.as_slice())) & made.ct_eq(&made_under(&self.credential, settings));
            let lives = token.expires_ms.is_none_or(|expires_ms| now_ms < expires_ms);
            (bool::from(is_right) && lives).then_some(token)
        })
    }

    /// Takes a token away; `None` when there is none of that name.
    ///
    /// # Errors
    /// What the vault refuses.
    pub async fn revoke(&self, actor: Actor, id: TokenId) -> Result<Option<AppToken>, VaultError> {
        self.vault
            .change_settings(actor, move |settings| {
                let found = settings.get(&id.key());
                let token = found.and_then(|value| AppToken::decode(&id.key(), value)).map(|(token, _)| token);
                Ok((found.map(|_| (id.key(), None)).into_iter().collect(), token))
            })
            .await
    }
}

impl AppToken {
    fn encode(&self, made_under: [u8; 32]) -> Vec<u8> {
        let record = Record {
            name: self.name.clone(),
            hash: self.hash,
            scopes: self.scopes.0,
            folder: self.folder.map(|folder| *folder.as_bytes()),
            created_ms: self.created_ms,
            expires_ms: self.expires_ms,
            made_under,
        };
        minicbor::to_vec(record).expect("writing to memory cannot fail")
    }

    /// `None` for what another version wrote.
    fn decode(key: &str, value: &[u8]) -> Option<(Self, [u8; 32])> {
        let id = TokenId::from_hex(key.strip_prefix(PLACE)?)?;
        let record: Record = minicbor::decode(value).ok()?;
        let token = Self {
            id,
            name: record.name,
            hash: record.hash,
            scopes: TokenScopes(record.scopes),
            folder: record.folder.map(NodeId::from_bytes),
            created_ms: record.created_ms,
            expires_ms: record.expires_ms,
        };
        Some((token, record.made_under))
    }
}

/// A digest of what the owner is recognised by now. A token made under another one is over: whoever changes password or
/// factors wants everyone out who came in before.
fn made_under(credential: &[u8; 32], settings: &Settings) -> [u8; 32] {
    let mut factors = credential.to_vec();
    factors.extend(sha256(settings.get("totp").map_or(&[][..], |secret| secret)));
    for (key, _) in settings.below("passkey/") {
        factors.extend(sha256(key.as_bytes()));
    }
    sha256(&factors)
}

fn read(text: &str) -> Option<(TokenId, Zeroizing<[u8; 32]>)> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.strip_prefix(TOKEN_PREFIX)?.as_bytes()).ok()?);
    let (id, secret) = bytes.split_at_checked(16)?;
    Some((TokenId(id.try_into().ok()?), Zeroizing::new(secret.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_change_may_bring_and_nothing_else_follows_from_anything() {
        use TokenScope::{Audit, Read, Share, Upload, Write};
        let all = [Read, Write, Upload, Share, Audit];
        for held in all {
            let set = TokenScopes::of(&[held]);
            assert_eq!(set.list(), [held]);
            for wanted in all {
                let allowed = held == wanted || (held, wanted) == (Write, Upload);
                assert_eq!(set.allow(wanted), allowed, "{held:?} {wanted:?}");
            }
        }
        assert!(all.into_iter().all(|scope| !TokenScopes::default().allow(scope)));
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let good = format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&[7; 48]));
        assert!(read(&good).is_some());
        for bad in ["", TOKEN_PREFIX, &good[..good.len() - 1], &good[1..], &format!("{good}A"), &format!("{good}=")] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
