//! `/sessions`: every place where the owner is logged in.

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::caller::Caller;
use super::openapi::Tag;
use super::problem::{Changing, Code, Reading, Refused};
use super::schema::Done;
use super::session::Session;
use super::text::SessionRef;

/// All living sessions.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct SessionPage {
    /// The sessions, the one used last first.
    items: Vec<Session>,
    /// Always absent: sessions are listed whole.
    next: Option<String>,
    /// How many there are.
    total: u64,
}

/// The handlers of `/sessions`.
pub struct Sessions;

#[OpenApi(prefix_path = "/sessions", tag = "Tag::Sessions")]
impl Sessions {
    /// List where the owner is logged in
    #[oai(path = "/", method = "get", operation_id = "list_sessions")]
    async fn list(&self, caller: Caller) -> Result<Json<SessionPage>, Refused<Reading>> {
        let floors = caller.floors();
        let views = floors.sessions.list(floors.vault.session_epoch()?).await?;
        let items: Vec<_> =
            views.iter().map(|view| Session::new(view, &caller.session.view.id, caller.demand)).collect();
        Ok(Json(SessionPage { total: items.len() as u64, items, next: None }))
    }

    /// End one session
    #[oai(path = "/:id", method = "delete", operation_id = "revoke_session")]
    async fn revoke(&self, caller: Caller, id: Path<SessionRef>) -> Result<Done, Refused<Changing>> {
        if !caller.floors().sessions.revoke(id.0.0).await? {
            return Err(Code::SessionNotFound.into());
        }
        Ok(Done::Done)
    }

    /// End all sessions
    #[oai(path = "/", method = "delete", operation_id = "revoke_sessions")]
    async fn revoke_all(
        &self,
        caller: Caller,
        /// Keep the session that asks.
        keep_current: Query<Option<bool>>,
    ) -> Result<Done, Refused<Changing>> {
        let sessions = &caller.floors().sessions;
        match keep_current.0 {
            Some(true) => sessions.revoke_others(caller.session.view.id).await?,
            _ => sessions.revoke_all().await?,
        };
        Ok(Done::Done)
    }
}
