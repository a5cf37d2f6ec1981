//! `/files/{id}/grant`, `/files/{id}/ticket` and `/tickets`: content for whoever is not this request.
//!
//! A grant is for a client that reads the bucket by itself; a ticket is for a player or a navigation, which can send no
//! header. Both are bound to one version of one file.

use data_encoding::{BASE64, HEXLOWER};
use minicbor::{Decode, Encode};
use poem::Request;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object, OpenApi};
use time::OffsetDateTime;

use super::caller::{Caller, client_info};
use super::content::{Conditions, Download, Reader};
use super::disposition::Disposition;
use super::openapi::Tag;
use super::problem::{Code, Granting, Problem, Redeeming, Refused};
use super::schema::time_of;
use super::text::{NodeRef, TicketRef, VersionRef, given};
use super::{Context, PREFIX};
use crate::crypto::FORMAT;
use crate::vault::{DownloadGrant, Granted, NodeId, VersionId};

/// Which content to grant.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct GrantWanted {
    /// An older version; without it, the present one.
    version: MaybeUndefined<VersionRef>,
}

/// All that a client needs to read a version of a file from the bucket and to open it.
#[derive(Debug, Object)]
pub struct Grant {
    /// Reads the object, with `Range` or without. Whoever has it may: keep it as secret as the key.
    url: String,
    /// How to use it.
    method: GrantMethod,
    /// When it stops working; ask for a new grant then.
    expires_at: OffsetDateTime,
    /// The key that opens this version, 32 bytes in hex.
    key: String,
    /// The vault's id in hex, part of what each part is bound to.
    vault_id: String,
    /// The blob's id in hex.
    blob_id: String,
    /// The version of the format.
    format: u8,
    /// Bytes of plaintext in each part but the last, as a power of two.
    part_size_log2: u8,
    /// The same as a number.
    part_size: u64,
    /// How many parts there are.
    part_count: u32,
    /// Bytes of plaintext.
    size: u64,
    /// Bytes of the object.
    object_size: u64,
    /// The content's media type.
    #[oai(rename = "type")]
    media_type: String,
    /// The file's name.
    name: String,
    /// The version; its quoted form is the entity tag of the content.
    version: String,
    /// SHA-256 over the concatenated SHA-256 of each part, in hex.
    content_hash: String,
    /// The 24-byte salts of all parts, one after another, in base64.
    salts: String,
}

/// How a URL of the bucket is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum GrantMethod {
    /// It reads.
    #[oai(rename = "GET")]
    Get,
}

/// What the URL is for.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub struct TicketWanted {
    /// An older version; without it, the present one.
    version: MaybeUndefined<VersionRef>,
    /// Whether to show the content or to save it; without it, to save it. Only images, audio, video, PDF and plain text
    /// are shown; anything else is saved.
    disposition: MaybeUndefined<WantedDisposition>,
}

/// Whether to show content or to save it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Disposition", rename_all = "snake_case")]
pub enum WantedDisposition {
    /// Show it.
    Inline,
    /// Save it.
    Attachment,
}

/// A URL that needs no session header.
#[derive(Debug, Object)]
pub struct MadeTicket {
    /// The URL, relative to this origin. It ends with the session, and when it was not used for 60 seconds.
    url: String,
    /// When it ends unless it is used.
    expires_at: OffsetDateTime,
}

/// What a ticket is for, as the session keeps it.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
struct Subject {
    #[cbor(n(0), with = "minicbor::bytes")]
    file: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    version: [u8; 16],
    #[n(2)]
    is_inline: bool,
}

/// The handlers.
pub struct Grants;

#[OpenApi(tag = "Tag::Files")]
impl Grants {
    /// Get what it takes to read a file from the bucket itself
    ///
    /// The object is sealed: `docs/format.md` says how the key, the salts and the numbers here open it, whole or in part.
    #[oai(path = "/files/:id/grant", method = "post", operation_id = "grant_download")]
    async fn grant(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        wanted: Json<GrantWanted>,
    ) -> Result<Json<Grant>, Refused<Granting>> {
        let version = given(wanted.0.version)?.map(|version| version.0);
        Ok(Json(caller.vault().grant_download(&caller.actor(), caller.node(id.0)?, version).await?.into()))
    }

    /// Make a URL that a player or a navigation can use
    #[oai(path = "/files/:id/ticket", method = "post", operation_id = "make_ticket")]
    async fn make_ticket(
        &self,
        caller: Caller,
        id: Path<NodeRef>,
        wanted: Json<TicketWanted>,
    ) -> Result<Json<MadeTicket>, Refused<Granting>> {
        let (vault, file) = (caller.vault(), caller.node(id.0)?);
        let version = given(wanted.0.version)?.map(|version| version.0);
        let version = vault.open(file, version)?.version;
        let is_inline = given(wanted.0.disposition)? == Some(WantedDisposition::Inline);
        vault.grant(&caller.actor(), Granted::Ticket { file, version }).await?;
        let subject = Subject { file: *file.as_bytes(), version: version.0, is_inline };
        let made = caller.floors().sessions.make_ticket(&caller.session, subject.encode()).await?;
        let url = format!("{PREFIX}/tickets/{}", made.text.expose());
        Ok(Json(MadeTicket { url, expires_at: time_of(made.expires_at_ms) }))
    }

    /// Download by ticket
    ///
    /// What downloading the file would answer. One range of bytes is served; several, or an invalid one, are answered 416.
    #[oai(
        path = "/tickets/:ticket",
        method = "get",
        operation_id = "download_by_ticket",
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
        request: &Request,
        ticket: Path<TicketRef>,
        conditions: Conditions,
    ) -> Result<Download, Refused<Redeeming>> {
        Ok(redeem(request, &ticket.0, conditions).await?)
    }

    /// Look at what a download by ticket would answer
    #[oai(
        path = "/tickets/:ticket",
        method = "head",
        operation_id = "inspect_by_ticket",
        request_header(name = "If-Match", ty = "Option<String>", description = "Answer 412 for another version."),
        request_header(name = "If-None-Match", ty = "Option<String>", description = "Answer 304 for this version.")
    )]
    async fn inspect(
        &self,
        request: &Request,
        ticket: Path<TicketRef>,
        conditions: Conditions,
    ) -> Result<Download, Refused<Redeeming>> {
        Ok(redeem(request, &ticket.0, conditions).await?)
    }
}

async fn redeem(request: &Request, ticket: &TicketRef, conditions: Conditions) -> Result<Download, Problem> {
    let context = Context::of(request);
    let floors = context.coffer.floors()?;
    let epoch = floors.vault.session_epoch()?;
    let redeemed = floors.sessions.redeem(&ticket.0, &client_info(context), epoch).await?;
    let subject = Subject::decode(&redeemed.subject).ok_or(Code::TicketNotFound)?;
    let file = floors.vault.open(NodeId::from_bytes(subject.file), Some(VersionId(subject.version)))?;
    let disposition = if subject.is_inline { Disposition::inline(&file.media_type) } else { Disposition::Attachment };
    let held = Some(redeemed.hold());
    let reader = Reader { vault: &floors.vault, session: &redeemed.session, cut: &context.cut, held };
    conditions.answer(reader, file, disposition).await
}

impl Subject {
    fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("writing to memory cannot fail")
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }
}

impl From<DownloadGrant> for Grant {
    fn from(grant: DownloadGrant) -> Self {
        let DownloadGrant { shape, .. } = grant;
        Self {
            url: grant.url.into(),
            method: GrantMethod::Get,
            expires_at: time_of(grant.expires_ms),
            key: HEXLOWER.encode(grant.key.as_bytes()),
            vault_id: shape.vault_id.hex(),
            blob_id: shape.blob_id.hex(),
            format: FORMAT,
            part_size_log2: shape.geometry.k(),
            part_size: shape.geometry.part_size(),
            part_count: shape.part_count(),
            size: shape.size,
            object_size: shape.geometry.object_size(shape.size),
            media_type: grant.media_type.to_string(),
            name: grant.name.to_string(),
            version: grant.version.hex(),
            content_hash: HEXLOWER.encode(&grant.content_hash),
            salts: BASE64.encode(grant.salts.as_slice().as_flattened()),
        }
    }
}
