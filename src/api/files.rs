//! `/files`: content and versions of files.

use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;

use super::caller::Caller;
use super::conditional::version_of;
use super::content::{Conditions, Download, Upload};
use super::disposition::Disposition;
use super::nodes::page;
use super::openapi::Tag;
use super::problem::{Changing, Downloading, Listing, Refused};
use super::schema::{Done, NodeFound, VersionPage};
use super::text::{Cursor, EntityTags, GivenMediaType, NodeRef, VersionRef};
use crate::vault::Target;

/// The handlers of `/files`.
pub struct Files;

#[OpenApi(prefix_path = "/files", tag = "Tag::Files")]
impl Files {
    /// Download a file
    ///
    /// One range of bytes is served; several, or an invalid one, are answered 416.
    #[oai(
        path = "/:id/content",
        method = "get",
        operation_id = "download_file",
        request_header(name = "Range", ty = "Option<String>", description = "One range of bytes."),
        request_header(
            name = "If-Range",
            ty = "Option<String>",
            description = "Serve the range of this version only."
        ),
        request_header(name = "If-Match", ty = "Option<String>", description = "Serve this version or answer 412."),
        request_header(name = "If-None-Match", ty = "Option<String>", description = "Answer 304 for this version.")
    )]
    async fn download(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// An older version; without it, the present one.
        version: Query<Option<VersionRef>>,
        conditions: Conditions,
    ) -> Result<Download, Refused<Downloading>> {
        let file = caller.vault().open(caller.node(id.0)?, version.0.map(|version| version.0))?;
        Ok(conditions.answer(caller.reader(), file, Disposition::Attachment).await?)
    }

    /// Look at what a download would answer
    #[oai(
        path = "/:id/content",
        method = "head",
        operation_id = "inspect_file",
        request_header(name = "If-Match", ty = "Option<String>", description = "Answer 412 for another version."),
        request_header(name = "If-None-Match", ty = "Option<String>", description = "Answer 304 for this version.")
    )]
    async fn inspect(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// An older version; without it, the present one.
        version: Query<Option<VersionRef>>,
        conditions: Conditions,
    ) -> Result<Download, Refused<Downloading>> {
        let file = caller.vault().open(caller.node(id.0)?, version.0.map(|version| version.0))?;
        Ok(conditions.answer(caller.reader(), file, Disposition::Attachment).await?)
    }

    /// Upload a new version of a file
    ///
    /// The version before is kept until the retention ends. Nothing changes unless the whole content arrives.
    #[oai(path = "/:id/content", method = "put", operation_id = "replace_content")]
    async fn replace(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The content's media type; without it that of `Content-Type`, where it names one.
        r#type: Query<Option<GivenMediaType>>,
        /// The content's entity tag: with it, nothing happens when the content changed meanwhile.
        #[oai(name = "If-Match")]
        if_match: Header<Option<EntityTags>>,
        content: Upload,
    ) -> Result<NodeFound, Refused<Changing>> {
        let target = Target::Version { file: caller.own_node(id.0)?, if_match: version_of(if_match.0)? };
        Ok(content.store(&caller, caller.actor(), target, r#type.0).await?.into())
    }

    /// List the versions of a file, the present one first
    #[oai(path = "/:id/versions", method = "get", operation_id = "list_versions")]
    async fn versions(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The `next` of the page before.
        cursor: Query<Option<Cursor>>,
        /// Most versions of this page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<VersionPage>, Refused<Listing>> {
        Ok(Json(caller.vault().versions(caller.node(id.0)?, &page(cursor.0, limit.0))?.into()))
    }

    /// Make an older version of a file the present one
    ///
    /// What the file was until now is kept as an older version.
    #[oai(path = "/:id/versions/:version/restore", method = "post", operation_id = "restore_version")]
    async fn restore_version(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        version: Path<VersionRef>,
    ) -> Result<NodeFound, Refused<Changing>> {
        Ok(caller.vault().restore_version(caller.actor(), caller.own_node(id.0)?, version.0.0).await?.into())
    }

    /// Delete an older version of a file for ever
    #[oai(path = "/:id/versions/:version", method = "delete", operation_id = "delete_version")]
    async fn delete_version(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        version: Path<VersionRef>,
    ) -> Result<Done, Refused<Changing>> {
        caller.vault().delete_version(caller.actor(), caller.own_node(id.0)?, version.0.0).await?;
        Ok(Done::Done)
    }
}
