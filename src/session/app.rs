//! Requests of programs that show an app token instead of a session.
//!
//! A token stands for a session that nobody logged in to: it has a name and an end, its streams are told when it is taken
//! away, and what it may do comes with it. It is kept in the vault, not in Redis, which knows its last use alone.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::record::{Binding, SessionView, Transport};
use super::{ClientInfo, Session, SessionError, SessionId, Sessions, TOUCH_MS, away};
use crate::owner::{AppToken, AppTokens};
use crate::state::Table;

/// How long a last use is remembered.
const USE_KEPT_MS: u64 = 400 * 24 * 3_600 * 1_000;

/// The end of a token without one, for those who reckon with an end: a hundred years.
const FAR_MS: u64 = 100 * 365 * 24 * 3_600 * 1_000;

/// When and from where a token was last used.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TokenUse {
    /// When, Unix milliseconds, to within a minute.
    #[n(0)]
    pub at_ms: u64,
    /// From where.
    #[n(1)]
    pub address: String,
}

impl Sessions {
    /// The session that a token stands for, and the token.
    ///
    /// # Errors
    /// [`SessionError::InvalidToken`]; [`SessionError::RedisUnavailable`] also where the vault does not serve.
    pub async fn authenticate_app(
        &self,
        tokens: &AppTokens,
        text: &str,
        client: &ClientInfo,
    ) -> Result<(Session, AppToken), SessionError> {
        let now_ms = self.0.clock.now_ms();
        let find = || tokens.find(text, now_ms).map_err(|_| SessionError::RedisUnavailable);
        let Some(token) = find()? else {
            self.count_stranger(client).await?;
            return Err(SessionError::InvalidToken);
        };
        let id = SessionId(token.hash);
        let signal = self.0.signals.of(id);
        // Again: a token that was taken away before the signal was held did not give it.
        find()?.ok_or(SessionError::InvalidToken)?;
        let last = self.note_use(id, client, now_ms).await?;
        let expires_ms = token.expires_ms.unwrap_or(now_ms.saturating_add(FAR_MS));
        let view = SessionView {
            id,
            created_ms: token.created_ms,
            last_seen_ms: last.at_ms,
            expires_ms,
            device: token.name.clone(),
            address: last.address,
            transport: Transport::Bearer,
            binding: Binding::Client,
            second_factor: true,
            proved_ms: 0,
            unfinished: false,
        };
        let remaining = Duration::from_millis(expires_ms.saturating_sub(now_ms));
        Ok((Session { view, remaining, signal }, token))
    }

    /// When tokens were last used, in the order of `tokens`.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`].
    pub async fn uses_of(&self, tokens: &[AppToken]) -> Result<Vec<Option<TokenUse>>, SessionError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.uses().all().await.map_err(away)?;
        let last = |token: &AppToken| {
            let field = SessionId(token.hash).hex();
            let (_, found) = all.iter().find(|(known, _)| *known == field)?;
            minicbor::decode(&found.as_ref().ok()?.value).ok()
        };
        Ok(tokens.iter().map(last).collect())
    }

    /// Ends what goes on under a token that was taken away.
    pub async fn end_app(&self, token: &AppToken) {
        self.0.signals.give(SessionId(token.hash));
        // A use that stays ends by itself.
        let _ = self.uses().remove(&SessionId(token.hash).hex()).await;
    }

    /// Notes the use and counts the request: the first one as its network's, since nothing is known of the token yet.
    async fn note_use(&self, id: SessionId, client: &ClientInfo, now_ms: u64) -> Result<TokenUse, SessionError> {
        let found = self.0.quotas.find(&self.uses(), id, &client.meter, client.address, now_ms).await?;
        let known = found.and_then(|found| minicbor::decode::<TokenUse>(&found.value).ok());
        if let Some(known) = known.filter(|known| now_ms.saturating_sub(known.at_ms) < TOUCH_MS) {
            return Ok(known);
        }
        let now = TokenUse { at_ms: now_ms, address: client.address.to_canonical().to_string() };
        let bytes = minicbor::to_vec(&now).expect("writing to memory cannot fail");
        self.uses().put_many(&[(id.hex(), bytes)], USE_KEPT_MS).await.map_err(away)?;
        Ok(now)
    }

    fn uses(&self) -> Table {
        self.0.state.table("token-uses")
    }
}
