//! The operations that write: objects, removals and multipart uploads.

use std::path::PathBuf;
use std::sync::Arc;

use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error as DeleteError, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, ObjectIdentifier, Part as ListedPart, PutObjectInput, PutObjectOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};

use super::folder::{Folder, Staged, flush_folder};
use super::inbound::{Claims, Sink, receive, refuse};
use super::key::Key;
use super::object::WriteCondition;
use super::part::{Claimed, MAX_PART_NUMBER, Part};
use super::read::{page_size, signed, spelling};
use super::upload::{Details, PartWriter, Upload, Uploads};
use super::{disk_fault, off_thread};

/// The largest body of one request, as in S3.
const MAX_BODY_BYTES: u64 = 5 << 30;
/// The most keys of one DeleteObjects, as in S3.
const MAX_REMOVALS: usize = 1000;

impl Sink for Staged {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> S3Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, at).map_err(disk_fault)
    }
}

impl Sink for PartWriter {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> S3Result<()> {
        Self::write_at(self, bytes, at)
    }
}

/// PutObject.
pub(super) async fn put(folder: Arc<Folder>, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let S3Request { input, headers, uri, trailing_headers, .. } = request;
    let key = Key::parse(&input.key)?;
    let claims = within_limit(Claims::of(&headers, &uri, input.content_length)?)?;
    let condition = WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
    let body = input.body.unwrap_or_else(empty);
    let (begun_in, begun_as) = (Arc::clone(&folder), key.clone());
    let begun = off_thread(move || {
        // Spares the disk where the answer is known already; what counts is the check when it is published.
        condition.check(begun_in.info(&begun_as).map_err(disk_fault)?.as_ref())?;
        Ok((begun_in.stage().map_err(disk_fault)?, condition))
    });
    let (staged, condition) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return refuse(body, error).await,
    };
    let (staged, received) = receive(body, staged, claims, trailing_headers).await?;
    let info = off_thread(move || folder.publish(&key, staged.path(), &condition)).await?;
    Ok(PutObjectOutput {
        e_tag: Some(info.etag()),
        checksum_sha256: received.sha256.map(|sha256| data_encoding::BASE64.encode(&sha256)),
        ..Default::default()
    })
}

/// DeleteObjects: each key for itself, in the order given, all flushed before the answer.
pub(super) fn remove_many(folder: &Folder, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    if input.delete.objects.len() > MAX_REMOVALS {
        return Err(s3_error!(MalformedXML, "at most {MAX_REMOVALS} keys are removed at once"));
    }
    let is_quiet = input.delete.quiet.unwrap_or_default();
    let (mut deleted, mut errors, mut touched) = (Vec::new(), Vec::new(), Vec::<PathBuf>::new());
    for object in input.delete.objects {
        match remove_one(folder, &object) {
            Ok(path) => {
                touched.extend(path);
                deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
            }
            Err(error) => errors.push(DeleteError {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(object.key),
                version_id: None,
            }),
        }
    }
    touched.sort_unstable();
    touched.dedup();
    for path in touched {
        flush_folder(&path).map_err(disk_fault)?;
    }
    Ok(DeleteObjectsOutput { deleted: (!is_quiet).then_some(deleted), errors: Some(errors), ..Default::default() })
}

fn remove_one(folder: &Folder, object: &ObjectIdentifier) -> S3Result<Option<PathBuf>> {
    if object.version_id.is_some() || object.size.is_some() || object.last_modified_time.is_some() {
        return Err(s3_error!(NotImplemented, "this store removes by key and ETag only"));
    }
    let condition = WriteCondition { if_match: object.e_tag.clone().map(ETagCondition::ETag), if_none_match: None };
    folder.unlink(&Key::parse(&object.key)?, &condition)
}

/// CreateMultipartUpload.
pub(super) fn create(uploads: &Uploads, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    let key = Key::parse(&input.key)?;
    let checksum = input.checksum_algorithm.map(|algorithm| algorithm.as_str().to_owned());
    let is_composite = input.checksum_type.as_ref().is_none_or(|kind| kind.as_str() == ChecksumType::COMPOSITE);
    if checksum.as_deref().is_some_and(|algorithm| algorithm != ChecksumAlgorithm::SHA256) || !is_composite {
        return Err(s3_error!(NotImplemented, "uploads in parts take only composite SHA256 checksums"));
    }
    let upload = uploads.create(Details { key: key.as_str().to_owned(), checksum })?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: algorithm_of(&upload),
        key: Some(input.key),
        upload_id: Some(upload.id.clone()),
        ..Default::default()
    })
}

/// UploadPart.
pub(super) async fn put_part(
    folder: Arc<Folder>,
    uploads: Arc<Uploads>,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let S3Request { input, headers, uri, trailing_headers, .. } = request;
    let number = part_number(input.part_number)?;
    let claims = within_limit(Claims::of(&headers, &uri, input.content_length)?)?.with_sha256();
    let body = input.body.unwrap_or_else(empty);
    let (begun_in, length) = (Arc::clone(&folder), claims.length());
    let begun =
        off_thread(move || uploads.find(&input.upload_id, &input.key)?.begin_part(&begun_in, number, length)).await;
    let writer = match begun {
        Ok(writer) => writer,
        Err(error) => return refuse(body, error).await,
    };
    let (writer, received) = receive(body, writer, claims, trailing_headers).await?;
    let sha256 = received.sha256.ok_or_else(|| s3_error!(InternalError))?;
    let part = off_thread(move || writer.finish(&folder, received.size_bytes, sha256)).await?;
    Ok(UploadPartOutput { e_tag: Some(part.etag()), checksum_sha256: Some(part.checksum()), ..Default::default() })
}

/// CompleteMultipartUpload.
pub(super) fn complete(
    uploads: &Uploads,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let upload = uploads.find(&input.upload_id, &input.key)?;
    let mut named = Vec::new();
    for part in input.multipart_upload.and_then(|parts| parts.parts).unwrap_or_default() {
        let number = part_number(part.part_number.ok_or_else(|| s3_error!(MalformedXML, "a part has no number"))?)?;
        named.push(Claimed { number, etag: part.e_tag, sha256: part.checksum_sha256 });
    }
    let whole = input.checksum_crc32.or(input.checksum_crc32c).or(input.checksum_crc64nvme).or(input.checksum_sha1);
    if whole.is_some() || input.checksum_sha256.is_some() {
        return Err(s3_error!(NotImplemented, "a completion takes checksums of its parts only"));
    }
    let expected_bytes =
        input.mpu_object_size.map(|size| u64::try_from(size).map_err(|_| s3_error!(InvalidArgument))).transpose()?;
    let condition = WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
    let info = uploads.complete(&upload, &named, expected_bytes, &condition)?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        e_tag: Some(info.etag()),
        key: Some(input.key),
        ..Default::default()
    })
}

/// ListParts.
pub(super) fn list_parts(uploads: &Uploads, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let upload = uploads.find(&input.upload_id, &input.key)?;
    let limit = page_size(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let mut parts: Vec<Part> =
        upload.parts()?.into_iter().filter(|part| i64::from(part.number) > i64::from(after)).collect();
    let is_truncated = parts.len() > usize::try_from(limit).unwrap_or_default();
    parts.truncate(usize::try_from(limit).unwrap_or_default());
    let next = parts.last().filter(|_| is_truncated).and_then(|part| i32::try_from(part.number).ok());
    let listed = parts.into_iter().map(|part| ListedPart {
        checksum_sha256: Some(part.checksum()),
        e_tag: Some(part.etag()),
        last_modified: Some(super::folder::time_of(part.stamp).into()),
        part_number: i32::try_from(part.number).ok(),
        size: Some(signed(part.size_bytes)),
        ..Default::default()
    });
    Ok(ListPartsOutput {
        parts: Some(listed.collect()),
        bucket: Some(input.bucket),
        checksum_algorithm: algorithm_of(&upload),
        is_truncated: Some(is_truncated),
        key: Some(input.key),
        max_parts: Some(limit),
        next_part_number_marker: next,
        part_number_marker: input.part_number_marker,
        upload_id: Some(input.upload_id),
        ..Default::default()
    })
}

/// ListMultipartUploads.
pub(super) fn list_uploads(
    uploads: &Uploads,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    if input.delimiter.as_ref().is_some_and(|delimiter| !delimiter.is_empty()) {
        return Err(s3_error!(NotImplemented, "uploads are listed without a delimiter"));
    }
    let limit = page_size(input.max_uploads)?;
    let spell = spelling(input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let marker = (input.key_marker.clone().unwrap_or_default(), input.upload_id_marker.clone());
    let all = uploads.list()?;
    // Within the marker's key the uploads go by age, so those up to the marker's are passed over by position.
    let marked = all.iter().position(|upload| upload.details.key == marker.0 && Some(&upload.id) == marker.1.as_ref());
    let is_beyond = |at: usize, upload: &Upload| match marked {
        Some(marked) => at > marked,
        None => upload.details.key > marker.0,
    };
    let page =
        all.iter().enumerate().filter(|(at, upload)| upload.details.key.starts_with(&prefix) && is_beyond(*at, upload));
    let mut page: Vec<_> = page.map(|(_, upload)| upload).collect();
    let is_truncated = page.len() > usize::try_from(limit).unwrap_or_default();
    page.truncate(usize::try_from(limit).unwrap_or_default());
    let next = page.last().filter(|_| is_truncated);
    let listed = page.iter().map(|upload| MultipartUpload {
        checksum_algorithm: algorithm_of(upload),
        initiated: Some(upload.initiated.into()),
        key: Some(spell(&upload.details.key)),
        upload_id: Some(upload.id.clone()),
        ..Default::default()
    });
    Ok(ListMultipartUploadsOutput {
        uploads: Some(listed.collect()),
        next_key_marker: next.map(|upload| spell(&upload.details.key)),
        next_upload_id_marker: next.map(|upload| upload.id.clone()),
        bucket: Some(input.bucket),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        key_marker: input.key_marker.as_deref().map(spell),
        max_uploads: Some(limit),
        prefix: input.prefix.as_deref().map(spell),
        upload_id_marker: input.upload_id_marker,
        ..Default::default()
    })
}

fn algorithm_of(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.details.checksum.clone().map(ChecksumAlgorithm::from)
}

fn part_number(number: i32) -> S3Result<u32> {
    let number = u32::try_from(number).ok().filter(|number| (1..=MAX_PART_NUMBER).contains(number));
    number.ok_or_else(|| s3_error!(InvalidArgument, "a part number is 1 to {MAX_PART_NUMBER}"))
}

fn within_limit(claims: Claims) -> S3Result<Claims> {
    if claims.length() > MAX_BODY_BYTES { Err(s3_error!(EntityTooLarge)) } else { Ok(claims) }
}

fn empty() -> s3s::dto::StreamingBlob {
    s3s::dto::StreamingBlob::from(s3s::Body::empty())
}
