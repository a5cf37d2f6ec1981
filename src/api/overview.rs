//! `/search`, `/recent`, `/starred`, `/storage`: the vault as a whole, wherever things lie.

use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::caller::Caller;
use super::nodes::{Order, page};
use super::openapi::Tag;
use super::problem::{Reading, Refused};
use super::schema::NodePage;
use super::text::{Cursor, SearchText};
use crate::vault::Stats;

/// How full the vault is.
#[derive(Debug, Clone, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Storage {
    /// Bytes of all versions of all files, the trash included. What copies share counts once.
    pub used_bytes: u64,
    /// As many as there may be; absent where there is no limit.
    pub limit_bytes: Option<u64>,
    /// How many files there are, the trash included.
    pub files: u64,
    /// How many folders there are, the trash included and the root not.
    pub folders: u64,
    /// How many things were put into the trash.
    pub trashed: u64,
}

/// The handlers of the whole vault.
pub struct Overview;

#[OpenApi(tag = "Tag::Nodes")]
impl Overview {
    /// Find folders and files by name
    ///
    /// Found is what holds the text in its name, whatever the case and accents of either, and is not in the trash. First
    /// comes what is called so, then what begins so, then what has a word that does, then the rest; among equals what
    /// changed last.
    #[oai(path = "/search", method = "get", operation_id = "search_nodes")]
    async fn search(
        &self,
        caller: Caller,
        /// What to look for.
        q: Query<SearchText>,
        /// The `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// Most nodes of this page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<NodePage>, Refused<Reading>> {
        Ok(Json(caller.vault().search(q.0.0, page(cursor.0, limit.0)).await?.into()))
    }

    /// List all files, what changed last first
    #[oai(path = "/recent", method = "get", operation_id = "list_recent")]
    async fn recent(
        &self,
        caller: Caller,
        /// The `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// Most files of this page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<NodePage>, Refused<Reading>> {
        Ok(Json(caller.vault().recent(page(cursor.0, limit.0)).await?.into()))
    }

    /// List what the owner marked and is not in the trash
    #[oai(path = "/starred", method = "get", operation_id = "list_starred")]
    async fn starred(
        &self,
        caller: Caller,
        /// The order; `-` turns it around.
        sort: Query<Option<Order>>,
        /// The `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// Most nodes of this page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<NodePage>, Refused<Reading>> {
        let sort = sort.0.unwrap_or(Order::Name).into();
        Ok(Json(caller.vault().starred(sort, &page(cursor.0, limit.0))?.into()))
    }

    /// Say how full the vault is
    #[oai(path = "/storage", method = "get", operation_id = "get_storage")]
    async fn storage(&self, caller: Caller) -> Result<Json<Storage>, Refused<Reading>> {
        Ok(Json(caller.vault().stats()?.into()))
    }
}

impl From<Stats> for Storage {
    fn from(stats: Stats) -> Self {
        let Stats { bytes_used, bytes_limit, files, folders, trashed } = stats;
        Self { used_bytes: bytes_used, limit_bytes: bytes_limit, files, folders, trashed }
    }
}
