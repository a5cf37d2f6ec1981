//! What a session is bound to, and what follows when a request does not fit.
//!
//! A session whose login showed a proof of possession is bound to that key, and each request must prove it. Any other
//! session is bound to traits of its client that stay the same while it lives: program and system without their
//! versions, and the first language. Traits are no secret and stop nobody who knows them; they notice a token that was
//! copied carelessly.
//!
//! Whoever comes with the token and another key, or with the token alone from another client, has copied it: the session
//! is over for everybody. A proof that is only late, early, or for something else is refused, and the session lives on.

use subtle::ConstantTimeEq;

use super::proof::{Flaw, Opened, Thumbprint, token_hash};
use super::record::{Record, Transport};
use super::{ClientInfo, SessionError, SessionId, Sessions, away, proof};
use crate::crypto::sha256;

/// Characters of a language tag that count.
const MAX_LANGUAGE_CHARS: usize = 35;

/// What is shown beside a token that names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All that the session is bound to.
    Fits,
    /// Too little, or not of now: another proof is asked for.
    Again,
    /// A proof that is none for this request.
    Wrong,
    /// Somebody else has the token.
    Stolen,
}

impl ClientInfo {
    /// A digest of the traits that stay.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let agent = self.user_agent.as_deref().unwrap_or_default();
        let agent: String = agent.chars().filter(|c| !c.is_ascii_digit() && !matches!(c, '.' | '_')).collect();
        let language = self.language.as_deref().unwrap_or_default();
        let first = language.split([',', ';']).next().unwrap_or_default().trim();
        let first: String = first.chars().take(MAX_LANGUAGE_CHARS).collect();
        sha256(format!("{agent}\0{}", first.to_ascii_lowercase()).as_bytes())
    }
}

impl Sessions {
    /// The nonce that the next proof must name.
    pub fn nonce(&self) -> String {
        self.0.nonces.current(self.0.clock.now_ms())
    }

    /// The key that a new session is to be bound to: that of the proof its request shows, if it shows one.
    ///
    /// # Errors
    /// [`SessionError::InvalidProof`]; [`SessionError::ProofWanted`] when it is not of now. The proof is not used up.
    pub(super) fn offered_key(&self, client: &ClientInfo) -> Result<Option<Opened>, SessionError> {
        let Some(shown) = &client.proof else { return Ok(None) };
        // A proof that names a token is for a session that there is already.
        let opened = shown.open().filter(|opened| !opened.names_token()).ok_or(SessionError::InvalidProof)?;
        match shown.judge(&opened, &self.0.nonces, self.0.clock.now_ms()) {
            Ok(()) => Ok(Some(opened)),
            Err(Flaw::Stale) => Err(SessionError::ProofWanted),
            Err(Flaw::Wrong) => Err(SessionError::InvalidProof),
        }
    }

    /// Uses a proof up.
    ///
    /// # Errors
    /// [`SessionError::InvalidProof`] when it was used before; [`SessionError::RedisUnavailable`].
    pub(super) async fn use_up(&self, opened: &Opened) -> Result<(), SessionError> {
        let key = self.0.state.key("proof", &opened.name());
        match self.0.state.put_new(&key, b"", proof::REMEMBERED_MS).await.map_err(away)? {
            true => Ok(()),
            false => Err(SessionError::InvalidProof),
        }
    }

    /// Whether the request may use the session; ends it where it was stolen.
    pub(super) async fn check_binding(
        &self,
        (id, record): (SessionId, &Record),
        token: &str,
        client: &ClientInfo,
    ) -> Result<(), SessionError> {
        let opened = client.proof.as_ref().and_then(proof::ShownProof::open);
        match self.fit((id, record), token, client, opened.as_ref()) {
            Fit::Fits => match opened.filter(|_| record.key_thumbprint.is_some()) {
                Some(opened) => self.use_up(&opened).await,
                None => Ok(()),
            },
            Fit::Again => Err(SessionError::ProofWanted),
            Fit::Wrong => Err(SessionError::InvalidProof),
            Fit::Stolen => {
                self.revoke(id).await?;
                Err(SessionError::Suspicious { session: id })
            }
        }
    }

    fn fit(
        &self,
        (id, record): (SessionId, &Record),
        token: &str,
        client: &ClientInfo,
        opened: Option<&Opened>,
    ) -> Fit {
        let is_same_client = bool::from(client.fingerprint().ct_eq(&record.fingerprint));
        let Some(key) = record.key_thumbprint else {
            return if is_same_client { Fit::Fits } else { Fit::Stolen };
        };
        // A page cannot read its cookie, so it names the session by its public id, which is a hash of the token's secret.
        let token_hash = match record.transport {
            Transport::Bearer => token_hash(token),
            Transport::Cookie => id.hex(),
        };
        match (&client.proof, opened.filter(|opened| opened.is_for(&token_hash))) {
            (Some(_), Some(opened)) if opened.key != Thumbprint(key) => Fit::Stolen,
            (Some(shown), Some(opened)) => match shown.judge(opened, &self.0.nonces, self.0.clock.now_ms()) {
                Ok(()) => Fit::Fits,
                Err(Flaw::Stale) => Fit::Again,
                Err(Flaw::Wrong) => Fit::Wrong,
            },
            _ if !is_same_client => Fit::Stolen,
            // Two tabs may log in at the same time: the proof of one then goes with the cookie of the other.
            (Some(_), None) => Fit::Wrong,
            (None, _) => Fit::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Meter;

    fn fingerprint(agent: &str, language: Option<&str>) -> [u8; 32] {
        let (address, user_agent) = ([192, 0, 2, 1].into(), Some(agent.to_owned()));
        ClientInfo { address, user_agent, language: language.map(str::to_owned), proof: None, meter: Meter::default() }
            .fingerprint()
    }

    #[test]
    fn an_update_changes_no_fingerprint_and_another_client_does() {
        let old = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let new = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0.2) Gecko/20100101 Firefox/141.0.2";
        let same = fingerprint(old, Some("de-DE,en;q=0.5"));
        for language in ["de-DE,en;q=0.9", "DE-de, fr", "de-DE;q=1"] {
            assert_eq!(same, fingerprint(new, Some(language)), "{language}");
        }
        for (agent, language) in [
            (old, Some("en-US")),
            (old, None),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", Some("de-DE")),
            ("curl/8.14.1", Some("de-DE")),
            ("", Some("de-DE")),
        ] {
            assert_ne!(same, fingerprint(agent, language), "{agent} {language:?}");
        }
        assert_eq!(fingerprint("curl/8.14.1", None), fingerprint("curl/7.88.1", Some("")));
    }
}
