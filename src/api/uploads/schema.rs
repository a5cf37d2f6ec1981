//! What requests and answers of `/uploads` say.

use data_encoding::HEXLOWER;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Enum, Object};
use time::OffsetDateTime;

use crate::api::PREFIX;
use crate::api::caller::Caller;
use crate::api::conditional::version_of;
use crate::api::folders::OnConflict;
use crate::api::problem::{Code, Problem};
use crate::api::schema::time_of;
use crate::api::text::{
    ContentDigest, EntityTags, GivenEtag, GivenMd5, GivenMediaType, GivenName, GivenSalt, GivenSha256, NodeRef, given,
};
use crate::crypto::FORMAT;
use crate::vault::{
    self, ConfirmedPart, FileName, ListedUpload, MediaType, OpenUpload, PartToConfirm, PartToSign, Target, UploadPlan,
};

/// Content that is to come.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct NewUpload {
    /// The folder of a new file; with `name`.
    parent: MaybeUndefined<NodeRef>,
    /// The name of a new file; with `parent`.
    name: MaybeUndefined<GivenName>,
    /// What happens when the name is taken: without it, nothing.
    on_conflict: MaybeUndefined<OnConflict>,
    /// The file that gets a new version, instead of `parent` and `name`.
    file: MaybeUndefined<NodeRef>,
    /// The entity tag that the file's content must have, where that matters.
    if_match: MaybeUndefined<EntityTags>,
    /// Bytes of plaintext.
    #[oai(validator(minimum(value = "0"), maximum(value = "9007199254740991")))]
    size: u64,
    /// The content's media type; its first bytes must not contradict it.
    r#type: MaybeUndefined<GivenMediaType>,
}

/// What URLs hold the bytes to, beside their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Checksum {
    /// `x-amz-checksum-sha256`.
    Sha256,
    /// `Content-MD5`: the bucket checks nothing better, and parts are signed with their `md5`.
    Md5,
}

/// A part that was confirmed.
#[derive(Debug, Object)]
#[oai(rename = "ConfirmedPart", skip_serializing_if_is_none)]
pub struct UploadedPart {
    /// The part, from 0.
    part: u32,
    /// The salt that it was sealed under, in hex.
    salt: String,
    /// What the bucket answered, without quotes.
    etag: Option<String>,
    /// Sealed bytes.
    length: u64,
    /// SHA-256 of the sealed bytes, in hex.
    sha256: String,
}

/// An unfinished upload, with all that is needed to go on with it. `docs/format.md` says how parts are sealed.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct Upload {
    /// Its id; the same as `blob_id`.
    id: String,
    /// The vault's id, in hex.
    vault_id: String,
    /// The blob's id, in hex.
    blob_id: String,
    /// The version of the sealed format.
    format: u8,
    /// The base-2 logarithm of `part_size`: the k of the format.
    part_size_log2: u8,
    /// Plaintext bytes of each part but the last.
    part_size: u64,
    /// How many parts there are.
    part_count: u32,
    /// Bytes of plaintext.
    size: u64,
    /// The declared media type.
    r#type: Option<String>,
    /// The folder of a new file.
    parent: Option<String>,
    /// The name of a new file.
    name: Option<String>,
    /// The file that gets a new version.
    file: Option<String>,
    /// What happens when the name is taken.
    on_conflict: Option<OnConflict>,
    /// When it was begun.
    created_at: OffsetDateTime,
    /// When it ends at the latest.
    expires_at: OffsetDateTime,
    /// Whether the only part is written as the object itself.
    single_put: bool,
    /// What URLs hold the bytes to.
    checksum: Checksum,
    /// The data key, 32 bytes in hex.
    key: String,
    /// The parts that were confirmed, in order.
    parts: Vec<UploadedPart>,
}

/// An unfinished upload.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct UploadSummary {
    /// Its id; the same as `blob_id`.
    id: String,
    /// The vault's id, in hex.
    vault_id: String,
    /// The blob's id, in hex.
    blob_id: String,
    /// The version of the sealed format.
    format: u8,
    /// The base-2 logarithm of `part_size`: the k of the format.
    part_size_log2: u8,
    /// Plaintext bytes of each part but the last.
    part_size: u64,
    /// How many parts there are.
    part_count: u32,
    /// Bytes of plaintext.
    size: u64,
    /// The declared media type.
    r#type: Option<String>,
    /// The folder of a new file.
    parent: Option<String>,
    /// The name of a new file.
    name: Option<String>,
    /// The file that gets a new version.
    file: Option<String>,
    /// What happens when the name is taken.
    on_conflict: Option<OnConflict>,
    /// When it was begun.
    created_at: OffsetDateTime,
    /// When it ends at the latest.
    expires_at: OffsetDateTime,
    /// Whether the only part is written as the object itself.
    single_put: bool,
    /// What URLs hold the bytes to.
    checksum: Checksum,
    /// How many parts were confirmed.
    confirmed_parts: u64,
}

/// All unfinished uploads.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct UploadPage {
    /// The uploads, oldest first.
    items: Vec<UploadSummary>,
    /// Always absent: uploads are listed whole.
    next: Option<String>,
    /// How many there are.
    total: u64,
}

/// An encryption of a part, for which a URL is wanted.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct SealedPart {
    /// The part, from 0.
    #[oai(validator(minimum(value = "0"), maximum(value = "8191")))]
    part: u32,
    /// Sealed bytes: what the format gives this part.
    #[oai(validator(minimum(value = "0"), maximum(value = "9007199254740991")))]
    length: u64,
    /// SHA-256 of the sealed bytes.
    sha256: GivenSha256,
    /// MD5 of the sealed bytes, where the upload's `checksum` is `md5`.
    md5: MaybeUndefined<GivenMd5>,
    /// The salt that it was sealed under: a fresh one for every encryption.
    salt: GivenSalt,
}

/// Encryptions of parts.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct PartsToSign {
    /// The parts.
    #[oai(validator(min_items = "1", max_items = "100"))]
    pub(super) parts: Vec<SealedPart>,
}

/// Where and how a part is sent.
#[derive(Debug, Object)]
pub struct SignedPart {
    /// The part, from 0.
    part: u32,
    /// The method of the request.
    method: String,
    /// Where it goes.
    url: String,
    /// The headers to send, exactly these beside `Content-Length`.
    headers: std::collections::HashMap<String, String>,
    /// When the URL ends.
    expires_at: OffsetDateTime,
}

/// Where and how parts are sent, in the order in which they were asked for.
#[derive(Debug, Object)]
pub struct SignedParts {
    /// The parts.
    pub(super) items: Vec<SignedPart>,
}

/// A part that the bucket took.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct SentPart {
    /// The part, from 0.
    #[oai(validator(minimum(value = "0"), maximum(value = "8191")))]
    part: u32,
    /// The salt that it was sealed under.
    salt: GivenSalt,
    /// The `ETag` that the bucket answered; may be left out with `single_put`.
    etag: MaybeUndefined<GivenEtag>,
}

/// Parts that the bucket took.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct PartsToConfirm {
    /// The parts.
    #[oai(validator(min_items = "1", max_items = "100"))]
    pub(super) parts: Vec<SentPart>,
}

/// How far an upload is.
#[derive(Debug, Object)]
#[oai(rename = "UploadProgress")]
pub struct Progress {
    /// Parts that were confirmed.
    confirmed_parts: u64,
    /// Parts in all.
    part_count: u32,
}

/// What the client says of the whole.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct Completion {
    /// SHA-256 over the concatenated SHA-256 of each part's plaintext.
    pub(super) content_hash: ContentDigest,
}

/// An upload was begun.
#[derive(ApiResponse)]
pub enum UploadBegun {
    /// The upload.
    #[oai(status = 201)]
    Begun(
        Json<Upload>,
        /// Where the upload is.
        #[oai(header = "Location")]
        String,
    ),
}

impl NewUpload {
    /// Where it goes, its bytes and its type.
    pub(super) fn parsed(self, caller: &Caller) -> Result<(Target, u64, Option<MediaType>), Problem> {
        let (on_conflict, if_match) = (given(self.on_conflict)?, given(self.if_match)?);
        let target = match (given(self.parent)?, given(self.name)?, given(self.file)?) {
            (Some(parent), Some(name), None) if if_match.is_none() => Target::New {
                parent: caller.node(parent)?,
                name: FileName::parse(&name.0)?,
                on_conflict: on_conflict.unwrap_or(OnConflict::Fail).into(),
            },
            (None, None, Some(file)) if on_conflict.is_none() => {
                Target::Version { file: caller.node(file)?, if_match: version_of(if_match)? }
            }
            _ => {
                let detail = "Give parent, name and perhaps on_conflict for a new file; or file and perhaps if_match.";
                return Err(Problem::new(Code::InvalidRequest).with_detail(detail));
            }
        };
        let media_type = given(self.r#type)?.map(|text| MediaType::parse(&text.0)).transpose();
        let media_type = media_type.map_err(vault::VaultError::from)?;
        Ok((caller.target(target)?, self.size, media_type))
    }
}

/// Where an upload goes, as answers show it: parent, name, file, `on_conflict`.
type Place = (Option<String>, Option<String>, Option<String>, Option<OnConflict>);

fn place(target: Target) -> Place {
    match target {
        Target::New { parent, name, on_conflict } => {
            (Some(parent.to_string()), Some(name.to_string()), None, Some(on_conflict.into()))
        }
        Target::Version { file, .. } => (None, None, Some(file.to_string()), None),
    }
}

impl From<OpenUpload> for Upload {
    fn from(upload: OpenUpload) -> Self {
        let UploadPlan { id, vault_id, geometry, size_bytes, media_type, target, .. } = upload.plan;
        let (parent, name, file, on_conflict) = place(target);
        Self {
            id: id.hex(),
            vault_id: vault_id.hex(),
            blob_id: id.hex(),
            format: FORMAT,
            part_size_log2: geometry.k(),
            part_size: geometry.part_size(),
            part_count: geometry.part_count(size_bytes),
            size: size_bytes,
            r#type: media_type.map(|media_type| media_type.to_string()),
            parent,
            name,
            file,
            on_conflict,
            created_at: time_of(upload.plan.created_ms),
            expires_at: time_of(upload.plan.expires_ms),
            single_put: upload.plan.single_put,
            checksum: upload.plan.checksum.into(),
            key: HEXLOWER.encode(upload.key.as_bytes()),
            parts: upload.parts.into_iter().map(UploadedPart::from).collect(),
        }
    }
}

impl From<OpenUpload> for UploadBegun {
    fn from(upload: OpenUpload) -> Self {
        let location = format!("{}/uploads/{}", PREFIX, upload.plan.id.hex());
        Self::Begun(Json(upload.into()), location)
    }
}

impl From<ListedUpload> for UploadSummary {
    fn from(upload: ListedUpload) -> Self {
        let UploadPlan { id, vault_id, geometry, size_bytes, media_type, target, .. } = upload.plan;
        let (parent, name, file, on_conflict) = place(target);
        Self {
            id: id.hex(),
            vault_id: vault_id.hex(),
            blob_id: id.hex(),
            format: FORMAT,
            part_size_log2: geometry.k(),
            part_size: geometry.part_size(),
            part_count: geometry.part_count(size_bytes),
            size: size_bytes,
            r#type: media_type.map(|media_type| media_type.to_string()),
            parent,
            name,
            file,
            on_conflict,
            created_at: time_of(upload.plan.created_ms),
            expires_at: time_of(upload.plan.expires_ms),
            single_put: upload.plan.single_put,
            checksum: upload.plan.checksum.into(),
            confirmed_parts: upload.confirmed_parts,
        }
    }
}

impl From<ConfirmedPart> for UploadedPart {
    fn from(part: ConfirmedPart) -> Self {
        let (salt, sha256) = (HEXLOWER.encode(&part.salt), HEXLOWER.encode(&part.sha256));
        Self { part: part.part, salt, etag: part.etag, length: part.length, sha256 }
    }
}

impl TryFrom<SealedPart> for PartToSign {
    type Error = Problem;

    fn try_from(part: SealedPart) -> Result<Self, Problem> {
        let SealedPart { part, length, sha256, md5, salt } = part;
        Ok(Self { part, length, salt: salt.0, sha256: sha256.0, md5: given(md5)?.map(|md5| md5.0) })
    }
}

impl From<vault::PartUrl> for SignedPart {
    fn from(url: vault::PartUrl) -> Self {
        let put = url.put;
        Self {
            part: url.part,
            method: "PUT".to_owned(),
            url: put.url.into(),
            headers: put.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            expires_at: time_of(url.expires_ms),
        }
    }
}

impl TryFrom<SentPart> for PartToConfirm {
    type Error = Problem;

    fn try_from(part: SentPart) -> Result<Self, Problem> {
        Ok(Self { part: part.part, salt: part.salt.0, etag: given(part.etag)?.map(|etag| etag.0) })
    }
}

impl From<vault::Checksum> for Checksum {
    fn from(checksum: vault::Checksum) -> Self {
        match checksum {
            vault::Checksum::Sha256 => Self::Sha256,
            vault::Checksum::Md5 => Self::Md5,
        }
    }
}

impl From<vault::Progress> for Progress {
    fn from(progress: vault::Progress) -> Self {
        let vault::Progress { confirmed_parts, part_count } = progress;
        Self { confirmed_parts, part_count }
    }
}

impl From<Vec<ListedUpload>> for UploadPage {
    fn from(uploads: Vec<ListedUpload>) -> Self {
        let items: Vec<_> = uploads.into_iter().map(UploadSummary::from).collect();
        Self { total: items.len() as u64, items, next: None }
    }
}
