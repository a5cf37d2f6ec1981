//! `/tokens`: what programs may do in the owner's name.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use time::OffsetDateTime;

use super::caller::Caller;
use super::openapi::Tag;
use super::problem::{Changing, Code, Problem, Reading, Refused};
use super::schema::{Done, time_of};
use super::text::{Label, NodeRef, TokenRef, given};
use crate::owner::{AppToken, NewToken, TokenError, TokenScope, TokenScopes};
use crate::session::TokenUse;
use crate::vault::Kind;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "TokenScope", rename_all = "snake_case")]
pub enum GivenScope {
    /// Look at files and folders, and download.
    Read,
    /// Change files and folders, and upload.
    Write,
    /// Upload new files, and nothing else; needs a folder.
    Upload,
    /// Make and change shares.
    Share,
    /// Read the audit trail.
    Audit,
}

/// A token to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct TokenWanted {
    /// What to call it.
    name: Label,
    /// What it may do.
    #[oai(validator(min_items = "1", max_items = "5"))]
    scopes: Vec<GivenScope>,
    /// The folder that it is confined to, with all below it; without it, the whole vault.
    folder: MaybeUndefined<NodeRef>,
    /// When it ends; without it, when it is revoked.
    expires_at: MaybeUndefined<OffsetDateTime>,
}

/// A token, without its secret.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Token {
    /// Its id.
    id: String,
    /// What it is called.
    name: String,
    /// What it may do.
    scopes: Vec<GivenScope>,
    /// The folder that it is confined to.
    folder: Option<String>,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it ends.
    expires_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    last_used_at: Option<OffsetDateTime>,
    /// The address that it was last used from.
    last_address: Option<String>,
}

/// A token with its secret, which is never shown again.
#[derive(Debug, Object)]
pub struct MadeToken {
    /// What the program sends: `Authorization: Bearer <secret>`.
    secret: String,
    /// The token.
    token: Token,
}

/// All tokens.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct TokenPage {
    /// The tokens, the oldest first.
    items: Vec<Token>,
    /// Always absent: tokens are listed whole.
    next: Option<String>,
    /// How many there are.
    total: u64,
}

/// A token was made.
#[derive(ApiResponse)]
pub enum TokenCreated {
    /// The token with its secret.
    #[oai(status = 201)]
    Created(Json<MadeToken>),
}

/// The handlers of `/tokens`.
pub struct Tokens;

#[OpenApi(prefix_path = "/tokens", tag = "Tag::Sessions")]
impl Tokens {
    /// Let a program in
    ///
    /// The secret is shown once. The token ends with its time, when it is revoked, and when the owner's password or second
    /// factors change.
    #[oai(path = "/", method = "post", operation_id = "create_token")]
    async fn create(&self, caller: Caller, wanted: Json<TokenWanted>) -> Result<TokenCreated, Refused<Changing>> {
        let now_ms = caller.floors().sessions.now_ms();
        let new = wanted.0.parsed(&caller, now_ms)?;
        let (secret, token) = caller.floors().tokens.mint(caller.actor(), new, now_ms).await?;
        let made = MadeToken { secret: secret.expose().to_owned(), token: Token::new(token, None) };
        Ok(TokenCreated::Created(Json(made)))
    }

    /// List the tokens
    #[oai(path = "/", method = "get", operation_id = "list_tokens")]
    async fn list(&self, caller: Caller) -> Result<Json<TokenPage>, Refused<Reading>> {
        let floors = caller.floors();
        let tokens = floors.tokens.list()?;
        let uses = floors.sessions.uses_of(&tokens).await?;
        let items: Vec<_> = tokens.into_iter().zip(uses).map(|(token, last)| Token::new(token, last)).collect();
        Ok(Json(TokenPage { total: items.len() as u64, items, next: None }))
    }

    /// Revoke a token
    ///
    /// It ends at once, with everything that goes on under it.
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_token")]
    async fn revoke(&self, caller: Caller, id: Path<TokenRef>) -> Result<Done, Refused<Changing>> {
        let floors = caller.floors();
        let token = floors.tokens.revoke(caller.actor(), id.0.0).await?.ok_or(Code::TokenNotFound)?;
        floors.sessions.end_app(&token).await;
        Ok(Done::Done)
    }
}

impl TokenWanted {
    fn parsed(self, caller: &Caller, now_ms: u64) -> Result<NewToken, Problem> {
        let invalid = |detail: &'static str| Problem::new(Code::InvalidRequest).with_detail(detail);
        let scopes: Vec<_> = self.scopes.into_iter().map(TokenScope::from).collect();
        let folder = given(self.folder)?.map(|folder| caller.node(folder)).transpose()?;
        if let Some(folder) = folder
            && caller.vault().node(folder)?.kind != Kind::Folder
        {
            return Err(Problem::new(Code::Conflict).with_detail("A token is confined to a folder, not to a file."));
        }
        if scopes.contains(&TokenScope::Upload) && folder.is_none() {
            return Err(invalid("A token that may only upload needs a folder to upload to."));
        }
        let expires_ms = given(self.expires_at)?.map(|at| u64::try_from(at.unix_timestamp()).unwrap_or(0) * 1_000);
        if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Err(invalid("expires_at is over already."));
        }
        Ok(NewToken { name: self.name.0, scopes: TokenScopes::of(&scopes), folder, expires_ms })
    }
}

impl Token {
    fn new(token: AppToken, last: Option<TokenUse>) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            scopes: token.scopes.list().into_iter().map(GivenScope::from).collect(),
            folder: token.folder.map(|folder| folder.to_string()),
            created_at: time_of(token.created_ms),
            expires_at: token.expires_ms.map(time_of),
            last_used_at: last.as_ref().map(|last| time_of(last.at_ms)),
            last_address: last.map(|last| last.address),
        }
    }
}

impl From<GivenScope> for TokenScope {
    fn from(scope: GivenScope) -> Self {
        match scope {
            GivenScope::Read => Self::Read,
            GivenScope::Write => Self::Write,
            GivenScope::Upload => Self::Upload,
            GivenScope::Share => Self::Share,
            GivenScope::Audit => Self::Audit,
        }
    }
}

impl From<TokenScope> for GivenScope {
    fn from(scope: TokenScope) -> Self {
        match scope {
            TokenScope::Read => Self::Read,
            TokenScope::Write => Self::Write,
            TokenScope::Upload => Self::Upload,
            TokenScope::Share => Self::Share,
            TokenScope::Audit => Self::Audit,
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::TooMany => Self::new(Code::Conflict).with_detail("Revoke a token first: there may be 100."),
            TokenError::Vault(error) => error.into(),
        }
    }
}
