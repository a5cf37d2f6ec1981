//! The operations that read: objects and listings.

use std::fs::File;
use std::ops::Range;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::dto::{
    CommonPrefix, ETagCondition, EncodingType, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    IfModifiedSince, IfUnmodifiedSince, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass,
    StreamingBlob, Timestamp,
};
use s3s::{Body, S3Error, S3Response, S3Result, s3_error};

use super::folder::Folder;
use super::key::Key;
use super::listing::{After, Entry, Query};
use super::object::ObjectInfo;
use super::{disk_fault, outbound};

/// The most entries of any page, as in S3.
pub(super) const MAX_PAGE: i32 = 1000;
const CONTENT_TYPE: &str = "application/octet-stream";

/// GetObject.
pub(super) fn get(folder: &Folder, input: &GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
    let (file, info) = find(folder, &input.key)?;
    ReadCondition::of_get(input).check(&info)?;
    let slice = slice(input.range, &info)?;
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body(file, slice.bytes.clone())?),
        content_length: Some(signed(slice.bytes.end - slice.bytes.start)),
        content_range: slice.content_range,
        content_type: Some(CONTENT_TYPE.to_owned()),
        e_tag: Some(info.etag()),
        last_modified: Some(info.modified().into()),
        ..Default::default()
    };
    Ok(S3Response::with_status(output, slice.status))
}

/// HeadObject.
pub(super) fn head(folder: &Folder, input: &HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
    let info = folder.info(&Key::parse(&input.key)?).map_err(disk_fault)?.ok_or_else(|| s3_error!(NoSuchKey))?;
    ReadCondition::of_head(input).check(&info)?;
    let slice = slice(input.range, &info)?;
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: Some(signed(slice.bytes.end - slice.bytes.start)),
        content_range: slice.content_range,
        content_type: Some(CONTENT_TYPE.to_owned()),
        e_tag: Some(info.etag()),
        last_modified: Some(info.modified().into()),
        ..Default::default()
    };
    Ok(S3Response::with_status(output, slice.status))
}

/// ListObjectsV2.
pub(super) fn list(folder: &Folder, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let limit = page_size(input.max_keys)?;
    let after = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => parse_token(token)?,
        (None, Some(key)) => After::Key(key.clone()),
        (None, None) => After::Beginning,
    };
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
        after,
        limit: usize::try_from(limit).unwrap_or_default(),
    };
    let page = folder.list(&query).map_err(disk_fault)?;
    let spell = spelling(input.encoding_type.as_ref())?;
    let next_continuation_token = page.next().as_ref().map(token_of);
    let (mut contents, mut groups) = (Vec::new(), Vec::new());
    let key_count = i32::try_from(page.entries.len()).unwrap_or(MAX_PAGE);
    for entry in page.entries {
        match entry {
            Entry::Object(key, info) => contents.push(Object {
                e_tag: Some(info.etag()),
                key: Some(spell(&key)),
                last_modified: Some(info.modified().into()),
                size: Some(signed(info.size_bytes)),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Default::default()
            }),
            Entry::Group(group) => groups.push(CommonPrefix { prefix: Some(spell(&group)) }),
        }
    }
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(spell(&query.prefix)),
        max_keys: Some(limit),
        key_count: Some(key_count),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.is_truncated),
        next_continuation_token,
        contents: Some(contents),
        common_prefixes: Some(groups),
        delimiter: query.delimiter.as_deref().map(spell),
        encoding_type: input.encoding_type,
        start_after: input.start_after.as_deref().map(spell),
        ..Default::default()
    })
}

/// The size of a page that a request asks for.
pub(super) fn page_size(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(asked) if asked < 0 => Err(s3_error!(InvalidArgument, "a page cannot have fewer than 0 entries")),
        asked => Ok(asked.unwrap_or(MAX_PAGE).min(MAX_PAGE)),
    }
}

/// How keys are spelt in a listing.
pub(super) fn spelling(encoding: Option<&EncodingType>) -> S3Result<fn(&str) -> String> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(str::to_owned),
        Some(EncodingType::URL) => {
            Ok(|key| url::form_urlencoded::byte_serialize(key.as_bytes()).collect::<String>().replace("%2F", "/"))
        }
        Some(_) => Err(s3_error!(InvalidArgument, "encoding-type takes only url")),
    }
}

/// A length as the protocol's types have it; no file is longer.
pub(super) fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn find(folder: &Folder, key: &str) -> S3Result<(File, ObjectInfo)> {
    folder.find(&Key::parse(key)?).map_err(disk_fault)?.ok_or_else(|| s3_error!(NoSuchKey))
}

/// A small body is read at once; a large one as it goes.
fn body(file: File, bytes: Range<u64>) -> S3Result<StreamingBlob> {
    let length = bytes.end - bytes.start;
    if length > outbound::CHUNK_BYTES {
        return Ok(outbound::stream(file, bytes.start, length));
    }
    let bytes = outbound::read_exact(&file, bytes.start, length).map_err(disk_fault)?;
    Ok(StreamingBlob::from(Body::from(bytes)))
}

/// What an answer holds of an object.
struct Slice {
    bytes: Range<u64>,
    content_range: Option<String>,
    status: StatusCode,
}

fn slice(range: Option<s3s::dto::Range>, info: &ObjectInfo) -> S3Result<Slice> {
    let size = info.size_bytes;
    let Some(range) = range else { return Ok(Slice { bytes: 0..size, content_range: None, status: StatusCode::OK }) };
    let bytes = range.check(size).ok().filter(|bytes| bytes.start < bytes.end).ok_or_else(|| {
        let mut error = s3_error!(InvalidRange);
        error.set_headers(headers([(header::CONTENT_RANGE, format!("bytes */{size}"))]));
        error
    })?;
    let content_range = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
    Ok(Slice { bytes, content_range: Some(content_range), status: StatusCode::PARTIAL_CONTENT })
}

struct ReadCondition<'a> {
    if_match: Option<&'a ETagCondition>,
    if_none_match: Option<&'a ETagCondition>,
    if_modified_since: Option<&'a IfModifiedSince>,
    if_unmodified_since: Option<&'a IfUnmodifiedSince>,
}

impl<'a> ReadCondition<'a> {
    fn of_get(input: &'a GetObjectInput) -> Self {
        Self {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        }
    }

    fn of_head(input: &'a HeadObjectInput) -> Self {
        Self {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        }
    }

    /// The order and precedence of RFC 9110, section 13.2.2.
    fn check(&self, info: &ObjectInfo) -> S3Result<()> {
        let is_later_than = |time: &Timestamp| whole_seconds(&info.modified().into()) > whole_seconds(time);
        let is_stale = match (self.if_match, self.if_unmodified_since) {
            (Some(ETagCondition::ETag(etag)), _) => !etag.strong_cmp(&info.etag()),
            (Some(ETagCondition::Any), _) | (None, None) => false,
            (None, Some(time)) => is_later_than(time),
        };
        if is_stale {
            return Err(s3_error!(PreconditionFailed));
        }
        let is_known = match (self.if_none_match, self.if_modified_since) {
            (Some(ETagCondition::ETag(etag)), _) => etag.weak_cmp(&info.etag()),
            (Some(ETagCondition::Any), _) => true,
            (None, Some(time)) => !is_later_than(time),
            (None, None) => false,
        };
        if is_known { Err(not_modified(info)) } else { Ok(()) }
    }
}

fn not_modified(info: &ObjectInfo) -> S3Error {
    let mut error = s3_error!(NotModified);
    error.set_headers(headers([(header::ETAG, format!("\"{}\"", info.etag().value()))]));
    error
}

fn whole_seconds(time: &Timestamp) -> i64 {
    time::OffsetDateTime::from(time.clone()).unix_timestamp()
}

fn headers<const N: usize>(pairs: [(header::HeaderName, String); N]) -> HeaderMap {
    pairs.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))).collect()
}

/// A continuation token: the kind of the last entry, and its text.
fn token_of(after: &After) -> String {
    let text = match after {
        After::Beginning => String::new(),
        After::Key(key) => format!("k{key}"),
        After::Group(group) => format!("g{group}"),
    };
    data_encoding::BASE64URL_NOPAD.encode(text.as_bytes())
}

fn parse_token(token: &str) -> S3Result<After> {
    let text =
        data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let after = text.as_deref().and_then(|text| {
        let key = text.strip_prefix('k').map(|key| After::Key(key.to_owned()));
        key.or_else(|| text.strip_prefix('g').map(|group| After::Group(group.to_owned())))
    });
    after.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of this store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_and_others_are_refused() {
        for after in [After::Key("blob/é".to_owned()), After::Group("log/".to_owned())] {
            assert_eq!(parse_token(&token_of(&after)).unwrap(), after);
        }
        for token in ["", "eA", "!", "x"] {
            assert!(parse_token(token).is_err(), "{token}");
        }
    }

    #[test]
    fn a_range_beyond_the_end_is_refused_and_one_over_it_is_cut() {
        let info = ObjectInfo { size_bytes: 10, stamp: 1 };
        let first = |first, last| Some(s3s::dto::Range::Int { first, last });
        let suffix = |length| Some(s3s::dto::Range::Suffix { length });
        for (range, bytes) in [
            (first(0, Some(0)), 0..1),
            (first(9, None), 9..10),
            (first(3, Some(99)), 3..10),
            (suffix(4), 6..10),
            (suffix(99), 0..10),
        ] {
            assert_eq!(slice(range, &info).unwrap().bytes, bytes);
        }
        let empty = ObjectInfo { size_bytes: 0, stamp: 1 };
        for (range, info) in
            [(first(10, None), &info), (suffix(0), &info), (first(0, None), &empty), (suffix(1), &empty)]
        {
            assert!(slice(range, info).is_err());
        }
    }
}
