//! What leaves the vault: keys of content, and what lets a client move the bytes without it.
//!
//! A client that has a key opens that version for ever, and a URL cannot be taken back before its time; so each of them
//! passes [`Vault::grant`], the one door, where it is noted who got what. Behind the door is a [`Permit`], and only a
//! permit unwraps a key or signs a URL for somebody outside.
//!
//! It does not know how long a session lives: who may ask was decided above.

use std::time::Duration;

use url::Url;

use super::{
    Vault,
    actor::Actor,
    blob::{MediaType, Salts, SealedBlob},
    content::object_key,
    error::VaultError,
    id::{NodeId, VersionId},
    name::FileName,
};
use crate::{
    crypto::{BlobId, BlobShape, Dek, WrappedDek},
    store::{BodyDigest, MultipartId, SignedPut},
};

/// What is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// The key of a version, and a URL that reads its object.
    Download {
        /// The file.
        file: NodeId,
        /// Which of its versions.
        version: VersionId,
    },
    /// A URL of the vault's own that needs no session header.
    Ticket {
        /// The file.
        file: NodeId,
        /// Which of its versions.
        version: VersionId,
    },
    /// The key of content that is to come.
    UploadKey {
        /// What it will be called in the bucket.
        blob: BlobId,
    },
    /// URLs that write parts of it.
    UploadParts {
        /// What it will be called in the bucket.
        blob: BlobId,
        /// How many URLs.
        count: usize,
    },
}

/// All that a client needs to read a version from the bucket by itself.
#[derive(Debug, Clone)]
pub struct DownloadGrant {
    /// Reads the object, all of it or one range; whoever has it may, without a header.
    pub url: Url,
    /// When the URL ends, in Unix milliseconds.
    pub expires_ms: u64,
    /// Opens the content.
    pub key: Dek,
    /// Vault, blob, how it is cut, bytes of plaintext.
    pub shape: BlobShape,
    /// The salt of each part.
    pub salts: Salts,
    /// SHA-256 over the concatenated SHA-256 of each part's plaintext.
    pub content_hash: [u8; 32],
    /// What the content was declared to be.
    pub media_type: MediaType,
    /// The file's name now.
    pub name: FileName,
    /// The version.
    pub version: VersionId,
}

/// Leave to give something out, until `expires_ms`.
pub struct Permit<'a> {
    vault: &'a Vault,
    ttl: Duration,
    /// When URLs that are signed under it end at the latest, in Unix milliseconds.
    pub expires_ms: u64,
}

impl Vault {
    /// Notes that `actor` is given `what`, and lets it happen. Nothing **may** be given out without it.
    ///
    /// # Errors
    /// [`VaultError::NotServing`]: who lost the vault gives nothing out any more.
    pub async fn grant(&self, actor: &Actor, what: Granted) -> Result<Permit<'_>, VaultError> {
        self.ask(|_| Ok(()))?;
        tracing::info!(session = actor.session, ?what, "granted");
        let ttl_secs = self.0.config.url_ttl_secs;
        // A signature's time has no fraction of a second.
        let now_secs = self.0.clock.now_ms() / 1_000;
        let expires_ms = (now_secs + ttl_secs) * 1_000;
        Ok(Permit { vault: self, ttl: Duration::from_secs(ttl_secs), expires_ms })
    }

    /// What it takes to read a version of a file without the vault; the current one unless another is named.
    ///
    /// # Errors
    /// As [`Vault::open`]; [`VaultError::Corrupt`] when the key is wrapped under a root that is not here.
    pub async fn grant_download(
        &self,
        actor: &Actor,
        file: NodeId,
        version: Option<VersionId>,
    ) -> Result<DownloadGrant, VaultError> {
        let opened = self.open(file, version)?;
        let (blob, version) = (&*opened.blob, opened.version);
        let permit = self.grant(actor, Granted::Download { file, version }).await?;
        Ok(DownloadGrant {
            url: permit.read_url(blob.id).await?,
            expires_ms: permit.expires_ms,
            key: permit.key(blob)?,
            shape: self.0.contents.shape(blob),
            salts: blob.salts.clone(),
            content_hash: blob.content_hash,
            media_type: opened.media_type,
            name: opened.name,
            version,
        })
    }
}

impl Permit<'_> {
    /// The key of content.
    fn key(&self, blob: &SealedBlob) -> Result<Dek, VaultError> {
        Ok(self.vault.0.contents.key(blob)?)
    }

    /// The key of content that is to come.
    pub(super) fn upload_key(&self, blob: BlobId, dek: &WrappedDek) -> Result<Dek, VaultError> {
        Ok(self.vault.0.contents.key_of(blob, dek)?)
    }

    /// A URL that writes part `part` (from 0) of a multipart upload, or the object itself where there is none.
    pub(super) async fn write_url(
        &self,
        (blob, multipart): (BlobId, Option<&MultipartId>),
        part: u32,
        length: u64,
        digest: &BodyDigest,
    ) -> Result<SignedPut, VaultError> {
        let (store, key) = (&self.vault.0.store, object_key(blob));
        let signed = match multipart {
            Some(multipart) => store.presign_part((&key, multipart), part + 1, length, digest, self.ttl),
            None => store.presign_new_object(&key, length, digest, self.ttl),
        };
        signed.map_err(refused)
    }

    /// A URL that reads a blob's object.
    async fn read_url(&self, blob: BlobId) -> Result<Url, VaultError> {
        self.vault.0.store.presign_get(&object_key(blob), self.ttl).map_err(refused)
    }
}

/// Signing asks nobody, so a refusal is a fault of the settings.
fn refused(error: crate::store::StoreError) -> VaultError {
    super::content::ContentError::from(error).into()
}
