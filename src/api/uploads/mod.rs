//! `/uploads`: content that the client seals and sends to the bucket itself.

pub mod schema;

use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path};
use poem_openapi::payload::Json;

use super::caller::Caller;
use super::openapi::Tag;
use super::problem::{Continuing, Reading, Refused, Uploading};
use super::schema::{Done, NodeFound};
use super::text::{IdempotencyKey, UploadRef};
use crate::vault::{PartToConfirm, PartToSign};
use schema::{
    Completion, NewUpload, PartsToConfirm, PartsToSign, Progress, SignedPart, SignedParts, Upload, UploadBegun,
    UploadPage,
};

/// The handlers of `/uploads`.
pub struct Uploads;

#[OpenApi(prefix_path = "/uploads", tag = "Tag::Uploads")]
impl Uploads {
    /// Begin a direct upload
    ///
    /// The name can be taken now, and the size counts as used until the upload ends: complete, cancelled, or by time.
    #[oai(path = "/", method = "post", operation_id = "begin_upload")]
    async fn begin(
        &self,
        caller: Caller,
        /// Makes a repetition harmless while the upload is unfinished.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        upload: Json<NewUpload>,
    ) -> Result<UploadBegun, Refused<Uploading>> {
        let actor = caller.creator("begin_upload", key.0.as_ref());
        let (target, size_bytes, media_type) = upload.0.parsed(&caller)?;
        Ok(caller.vault().begin_upload(&actor, target, size_bytes, media_type).await?.into())
    }

    /// List unfinished uploads, the oldest first
    #[oai(path = "/", method = "get", operation_id = "list_uploads")]
    async fn list(&self, caller: Caller) -> Result<Json<UploadPage>, Refused<Reading>> {
        Ok(Json(caller.vault().unfinished_uploads().await?.into()))
    }

    /// Look at an unfinished upload, to go on with it
    #[oai(path = "/:id", method = "get", operation_id = "get_upload")]
    async fn get(&self, caller: Caller, id: Path<UploadRef>) -> Result<Json<Upload>, Refused<Continuing>> {
        Ok(Json(caller.vault().upload_state(&caller.actor(), caller.upload(id.0).await?).await?.into()))
    }

    /// Cancel an upload
    ///
    /// All that it holds is given back. One that is not there is as good as cancelled.
    #[oai(path = "/:id", method = "delete", operation_id = "cancel_upload")]
    async fn cancel(&self, caller: Caller, id: Path<UploadRef>) -> Result<Done, Refused<Uploading>> {
        caller.vault().cancel_upload(caller.upload(id.0).await?).await?;
        Ok(Done::Done)
    }

    /// Get URLs to send parts to
    ///
    /// Each encryption of a part has a salt of its own. The same part, salt and checksum again gives a fresh URL.
    #[oai(path = "/:id/parts", method = "post", operation_id = "sign_parts")]
    async fn sign(
        &self,
        caller: Caller,
        id: Path<UploadRef>,
        parts: Json<PartsToSign>,
    ) -> Result<Json<SignedParts>, Refused<Uploading>> {
        let parts = parts.0.parts.into_iter().map(PartToSign::try_from).collect::<Result<_, _>>()?;
        let urls = caller.vault().sign_parts(&caller.actor(), caller.upload(id.0).await?, parts).await?;
        Ok(Json(SignedParts { items: urls.into_iter().map(SignedPart::from).collect() }))
    }

    /// Confirm parts that the bucket took
    ///
    /// Of a part that is confirmed again the later confirmation counts.
    #[oai(path = "/:id/parts/confirm", method = "post", operation_id = "confirm_parts")]
    async fn confirm(
        &self,
        caller: Caller,
        id: Path<UploadRef>,
        parts: Json<PartsToConfirm>,
    ) -> Result<Json<Progress>, Refused<Uploading>> {
        let parts = parts.0.parts.into_iter().map(PartToConfirm::try_from).collect::<Result<_, _>>()?;
        Ok(Json(caller.vault().confirm_parts(caller.upload(id.0).await?, parts).await?.into()))
    }

    /// Complete an upload
    ///
    /// What lies in the bucket is checked, then it is the file's content. Repeated within 24 hours it answers the same node.
    #[oai(path = "/:id/complete", method = "post", operation_id = "complete_upload")]
    async fn complete(
        &self,
        caller: Caller,
        id: Path<UploadRef>,
        completion: Json<Completion>,
    ) -> Result<NodeFound, Refused<Uploading>> {
        let upload = caller.complete_or_open_upload(id.0).await?;
        let made = caller.vault().complete_upload(caller.actor(), upload, completion.0.content_hash.0).await?;
        caller.made(made.id)?;
        Ok(made.into())
    }
}
