//! `/trash`: what can come back, until it is deleted for ever.

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::caller::Caller;
use super::nodes::page;
use super::openapi::Tag;
use super::problem::{Changing, Reading, Refused};
use super::schema::{Done, NodePage};
use super::text::{Cursor, NodeRef};

/// The handlers of `/trash`.
pub struct Trash;

#[OpenApi(prefix_path = "/trash", tag = "Tag::Trash")]
impl Trash {
    /// List the trash, newest first
    #[oai(path = "/", method = "get", operation_id = "list_trash")]
    async fn list(
        &self,
        caller: Caller,
        /// The `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// Most nodes of this page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<NodePage>, Refused<Reading>> {
        Ok(Json(caller.vault().trash_page(&page(cursor.0, limit.0))?.into()))
    }

    /// Delete everything in the trash for ever
    #[oai(path = "/", method = "delete", operation_id = "empty_trash")]
    async fn empty(&self, caller: Caller) -> Result<Done, Refused<Changing>> {
        caller.vault().empty_trash(caller.actor()).await?;
        Ok(Done::Done)
    }

    /// Delete one thing in the trash for ever
    #[oai(path = "/:id", method = "delete", operation_id = "delete_node")]
    async fn delete(&self, caller: Caller, id: Path<NodeRef>) -> Result<Done, Refused<Changing>> {
        caller.vault().delete_forever(caller.actor(), caller.own_node(id.0)?).await?;
        Ok(Done::Done)
    }
}
