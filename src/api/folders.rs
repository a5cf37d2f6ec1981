//! `/folders`: making folders, and files in them.

use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::caller::Caller;
use super::content::Upload;
use super::openapi::Tag;
use super::problem::{Changing, Refused};
use super::schema::NodeCreated;
use super::text::{GivenMediaType, GivenName, IdempotencyKey, NodeRef};
use crate::vault::{self, FileName};

/// A folder to make.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NewFolder {
    /// The folder it goes into.
    parent: NodeRef,
    /// Its name.
    name: GivenName,
}

/// What happens when the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum OnConflict {
    /// Nothing: the answer is 409.
    Fail,
    /// It becomes a new version of the file of that name.
    Replace,
    /// It gets a number.
    KeepBoth,
}

/// The handlers of `/folders`.
pub struct Folders;

#[OpenApi(prefix_path = "/folders", tag = "Tag::Folders")]
impl Folders {
    /// Make a folder
    #[oai(path = "/", method = "post", operation_id = "create_folder")]
    async fn create(
        &self,
        caller: Caller,
        /// Makes a repetition harmless.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        folder: Json<NewFolder>,
    ) -> Result<NodeCreated, Refused<Changing>> {
        let actor = caller.creator("create_folder", key.0.as_ref());
        let name = FileName::parse(&folder.0.name.0)?;
        Ok(caller.vault().create_folder(actor, caller.node(folder.0.parent)?, name).await?.into())
    }

    /// Upload a new file
    ///
    /// The body is the content, of any length, streamed and sealed on its way. Nothing of it stays when it does not
    /// arrive whole, when it is larger than the vault takes, or when it contradicts its declared type.
    #[oai(path = "/:id/files", method = "post", operation_id = "upload_file")]
    #[expect(clippy::too_many_arguments, reason = "each argument is a parameter of the description")]
    async fn upload(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        /// The file's name.
        name: Query<GivenName>,
        /// The content's media type; without it that of `Content-Type`, where it names one.
        r#type: Query<Option<GivenMediaType>>,
        /// What happens when the name is taken: without it, nothing.
        on_conflict: Query<Option<OnConflict>>,
        /// Makes a repetition harmless.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        content: Upload,
    ) -> Result<NodeCreated, Refused<Changing>> {
        let actor = caller.creator("upload_file", key.0.as_ref());
        let target = caller.target(vault::Target::New {
            parent: caller.node(id.0)?,
            name: FileName::parse(&name.0.0)?,
            on_conflict: on_conflict.0.unwrap_or(OnConflict::Fail).into(),
        })?;
        Ok(content.store(&caller, actor, target, r#type.0).await?.into())
    }
}

impl From<vault::OnConflict> for OnConflict {
    fn from(choice: vault::OnConflict) -> Self {
        match choice {
            vault::OnConflict::Fail => Self::Fail,
            vault::OnConflict::Replace => Self::Replace,
            vault::OnConflict::KeepBoth => Self::KeepBoth,
        }
    }
}

impl From<OnConflict> for vault::OnConflict {
    fn from(choice: OnConflict) -> Self {
        match choice {
            OnConflict::Fail => Self::Fail,
            OnConflict::Replace => Self::Replace,
            OnConflict::KeepBoth => Self::KeepBoth,
        }
    }
}
