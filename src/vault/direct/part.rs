//! The parts of an upload: a URL for each encryption, and the word of the client that it arrived.

use std::collections::BTreeMap;

use crate::{
    crypto::{BlobId, Salt},
    state::Outcome,
    store::BodyDigest,
    vault::{Vault, actor::Actor, error::VaultError, grant::Granted},
};

use super::{
    Checksum, PartToConfirm, PartToSign, PartUrl, Progress,
    draft::{Candidate, Confirmation, Draft},
};

/// Most parts in one request.
pub const MAX_PARTS_AT_ONCE: usize = 100;

/// Encryptions that an upload may try for each part, on average, and for all of them besides.
const TRIES_PER_PART: usize = 8;
const TRIES_BESIDES: usize = 64;

/// How often a request is tried again because another one signed the same parts meanwhile.
const ATTEMPTS: usize = 4;

impl Vault {
    /// Gives out a URL for each of these encryptions. They are written down first: what can arrive is known, and a salt
    /// that comes with other bytes, or for another part, is refused for ever.
    ///
    /// # Errors
    /// Those of [`Vault::upload_state`]; [`VaultError::InvalidPart`], [`VaultError::SaltReused`],
    /// [`VaultError::UploadBusy`], and [`VaultError::LimitExceeded`] past eight encryptions for each part.
    pub async fn sign_parts(
        &self,
        actor: &Actor,
        id: BlobId,
        parts: Vec<PartToSign>,
    ) -> Result<Vec<PartUrl>, VaultError> {
        self.refuse_read_only()?;
        let _claim = self.0.uploads.claims.share(id).await?;
        let draft = self.draft(id).await?;
        for part in &parts {
            check_part(&draft, part)?;
        }
        self.write_candidates(&draft, &parts).await?;
        let permit = self.grant(actor, Granted::UploadParts { blob: id, count: parts.len() }).await?;
        let multipart = draft.multipart();
        let mut urls = Vec::with_capacity(parts.len());
        for PartToSign { part, length, sha256, md5, .. } in parts {
            let digest = match md5 {
                Some(md5) if draft.checksum == Checksum::Md5 => BodyDigest::Md5(md5),
                _ => BodyDigest::Sha256(sha256),
            };
            let put = permit.write_url((id, multipart.as_ref()), part, length, &digest).await?;
            urls.push(PartUrl { part, put, expires_ms: permit.expires_ms });
        }
        Ok(urls)
    }

    /// Takes the client's word for parts that arrived. Of a part that is confirmed again the later word counts.
    ///
    /// # Errors
    /// Those of [`Vault::upload_state`]; [`VaultError::NotSigned`], [`VaultError::InvalidPart`], [`VaultError::UploadBusy`].
    pub async fn confirm_parts(&self, id: BlobId, parts: Vec<PartToConfirm>) -> Result<Progress, VaultError> {
        let _claim = self.0.uploads.claims.share(id).await?;
        let draft = self.draft(id).await?;
        let salts: Vec<Salt> = parts.iter().map(|part| part.salt).collect();
        let candidates = self.0.uploads.drafts.candidates(id, &salts).await?;
        let mut confirmations = Vec::with_capacity(parts.len());
        for (PartToConfirm { part, salt, etag }, found) in parts.into_iter().zip(candidates) {
            let candidate = found.map(|(candidate, _)| candidate).filter(|candidate| candidate.part == part);
            let Candidate { sha256, .. } = candidate.ok_or(VaultError::NotSigned { part })?;
            let etag = etag.map(|etag| bare_etag(&etag).to_owned());
            if etag.is_none() && draft.multipart().is_some() {
                return Err(VaultError::InvalidPart { part, reason: "needs the entity tag that the bucket answered" });
            }
            confirmations.push(Confirmation { part, salt, sha256, etag });
        }
        let confirmed_parts = self.0.uploads.drafts.confirm(&draft, &confirmations, self.0.clock.now_ms()).await?;
        Ok(Progress { confirmed_parts, part_count: draft.part_count() })
    }

    async fn write_candidates(&self, draft: &Draft, parts: &[PartToSign]) -> Result<(), VaultError> {
        let max = draft.part_count() as usize * TRIES_PER_PART + TRIES_BESIDES;
        let wanted = by_salt(parts)?;
        let salts: Vec<Salt> = wanted.keys().copied().collect();
        for _ in 0..ATTEMPTS {
            let found = self.0.uploads.drafts.candidates(draft.id, &salts).await?;
            let mut changes = Vec::with_capacity(salts.len());
            for ((salt, wanted), found) in wanted.iter().zip(found) {
                let known = found.as_ref().map(|(candidate, _)| *candidate);
                let is_other = |known: Candidate| (known.part, known.sha256) != (wanted.part, wanted.sha256);
                if known.is_some_and(is_other) {
                    return Err(VaultError::SaltReused { part: wanted.part });
                }
                let is_repeated = wanted.is_repeated || known.is_some();
                changes.push((*salt, found.map(|(_, found)| found), Candidate { is_repeated, ..*wanted }));
            }
            match self.0.uploads.drafts.set_candidates(draft, changes, max, self.0.clock.now_ms()).await? {
                Outcome::Made => return Ok(()),
                Outcome::Outdated => {}
                Outcome::Full => {
                    return Err(VaultError::LimitExceeded { what: "encryptions in one upload", limit: max as u64 });
                }
            }
        }
        Err(VaultError::UploadBusy)
    }
}

/// The entity tag without quotes, which some clients and some buckets leave out.
pub(super) fn bare_etag(etag: &str) -> &str {
    etag.trim().trim_matches('"')
}

fn check_part(draft: &Draft, part: &PartToSign) -> Result<(), VaultError> {
    let refused = |reason| Err(VaultError::InvalidPart { part: part.part, reason });
    if part.part >= draft.part_count() {
        return refused("is none of this upload");
    }
    if part.length != draft.part_length(part.part) {
        return refused("has another length than the format gives it");
    }
    if draft.checksum == Checksum::Md5 && part.md5.is_none() {
        return refused("needs its md5 for this bucket");
    }
    Ok(())
}

/// What is wanted under each salt; a salt twice for the same bytes is one wish for two URLs.
fn by_salt(parts: &[PartToSign]) -> Result<BTreeMap<Salt, Candidate>, VaultError> {
    let mut wanted = BTreeMap::new();
    for PartToSign { part, salt, sha256, .. } in parts {
        let candidate = Candidate { part: *part, sha256: *sha256, is_repeated: false };
        let Some(before) = wanted.insert(*salt, candidate) else { continue };
        if (before.part, before.sha256) != (*part, *sha256) {
            return Err(VaultError::SaltReused { part: *part });
        }
        wanted.insert(*salt, Candidate { is_repeated: true, ..candidate });
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_salt_is_one_encryption_within_a_request_too() {
        let sign = |part, salt: u8, sha256: u8| {
            let (salt, sha256) = ([salt; 24], [sha256; 32]);
            PartToSign { part, length: 1, salt, sha256, md5: None }
        };
        let wanted = by_salt(&[sign(0, 1, 1), sign(0, 2, 2), sign(0, 1, 1)]).unwrap();
        assert_eq!(wanted.values().map(|wanted| wanted.is_repeated).collect::<Vec<_>>(), [true, false]);
        assert_eq!(by_salt(&[sign(0, 1, 1), sign(0, 1, 2)]), Err(VaultError::SaltReused { part: 0 }));
        assert_eq!(by_salt(&[sign(0, 1, 1), sign(1, 1, 1)]), Err(VaultError::SaltReused { part: 1 }));
    }

    #[test]
    fn an_entity_tag_is_the_same_with_and_without_quotes() {
        assert_eq!(bare_etag("\"abc\""), "abc");
        assert_eq!(bare_etag("abc"), "abc");
    }
}
