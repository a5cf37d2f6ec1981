//! Conditional and range requests (RFC 9110, sections 13 and 14), decided on plain values.
//!
//! Entity tags are strong: a version's id names its bytes for ever. One range is served; several, or an invalid one,
//! are refused with 416 (section 14.2 allows it), which keeps the cost of a request bounded. A unit other than `bytes`
//! is ignored, as section 14.2 demands.

use std::ops::Range;

use super::problem::{Code, Problem};
use super::text::EntityTags;
use crate::vault::{Revision, VersionId};

/// What of the content to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it (200).
    Whole,
    /// These bytes (206); never empty, always inside the content.
    Part(Range<u64>),
    /// Nothing (416).
    Unsatisfiable,
}

/// The entity tag of a version, quoted as headers want it.
pub fn entity_tag(version: &str) -> String {
    format!("\"{version}\"")
}

/// Whether `If-Match` lets a request on the present `version` go on. `*` matches every version; a weak tag none.
pub fn if_match(header: &str, version: &str) -> bool {
    any_tag(header, |tag| tag == Tag::Any || tag == Tag::Strong(version))
}

/// Whether `If-None-Match` lets a request on the present `version` go on, compared weakly.
pub fn if_none_match(header: &str, version: &str) -> bool {
    !any_tag(header, |tag| tag == Tag::Any || tag == Tag::Strong(version) || tag == Tag::Weak(version))
}

/// The revision that `If-Match` names; `None` where any will do.
///
/// # Errors
/// See [`single`].
pub fn revision_of(header: Option<EntityTags>) -> Result<Option<Revision>, Problem> {
    single(header, |tag| tag.parse().ok())
}

/// The version that `If-Match` names; `None` where any will do.
///
/// # Errors
/// See [`single`].
pub fn version_of(header: Option<EntityTags>) -> Result<Option<VersionId>, Problem> {
    single(header, VersionId::from_hex)
}

/// The one strong tag of a header that a change is conditional on.
///
/// # Errors
/// `INVALID_REQUEST` for several tags, since a change depends on one state; `PRECONDITION_FAILED` for a tag that can
/// name no state.
fn single<T>(header: Option<EntityTags>, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    let Some(EntityTags(header)) = header else { return Ok(None) };
    if header.contains(',') {
        return Err(Problem::new(Code::InvalidRequest).with_detail("Name one entity tag in If-Match."));
    }
    match parse_tag(header.trim()) {
        Some(Tag::Any) => Ok(None),
        Some(Tag::Strong(tag)) => parse(tag).map(Some).ok_or_else(|| Code::PreconditionFailed.into()),
        Some(Tag::Weak(_)) | None => Err(Code::PreconditionFailed.into()),
    }
}

/// What `Range`, where `If-Range` agrees with the present `version`, selects of `size` bytes.
pub fn select(range: Option<&str>, if_range: Option<&str>, version: &str, size: u64) -> Selection {
    let Some(range) = range else { return Selection::Whole };
    // A date can never agree: versions are named by tags alone.
    if if_range.is_some_and(|tag| parse_tag(tag.trim()) != Some(Tag::Strong(version))) {
        return Selection::Whole;
    }
    let Some((unit, set)) = range.split_once('=') else { return Selection::Unsatisfiable };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    match parse_range(set.trim(), size) {
        Some(range) => Selection::Part(range),
        None => Selection::Unsatisfiable,
    }
}

fn parse_range(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let suffix = position(last)?.min(size);
        return (suffix > 0).then(|| size - suffix..size);
    }
    let first = position(first)?;
    if last.is_empty() {
        return (first < size).then_some(first..size);
    }
    let last = position(last)?;
    (first <= last && first < size).then(|| first..last.saturating_add(1).min(size))
}

/// Decimal digits only; a number too large for any content counts as the largest.
fn position(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag<'a> {
    Any,
    Strong(&'a str),
    Weak(&'a str),
}

fn any_tag(header: &str, wanted: impl Fn(Tag<'_>) -> bool) -> bool {
    header.split(',').filter_map(|tag| parse_tag(tag.trim())).any(wanted)
}

fn parse_tag(text: &str) -> Option<Tag<'_>> {
    if text == "*" {
        return Some(Tag::Any);
    }
    let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some(if weak { Tag::Weak(opaque) } else { Tag::Strong(opaque) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_the_content_and_all_else_is_refused() {
        let part = |range| Selection::Part(range);
        let cases = [
            ("bytes=0-0", part(0..1)),
            ("bytes=0-9", part(0..10)),
            ("bytes=0-10", part(0..10)),
            ("bytes=9-9", part(9..10)),
            ("bytes=3-", part(3..10)),
            ("bytes=-1", part(9..10)),
            ("bytes=-10", part(0..10)),
            ("bytes=-11", part(0..10)),
            ("Bytes= 2 - 3 ", part(2..4)),
            ("bytes=2-18446744073709551615", part(2..10)),
            ("bytes=2-99999999999999999999999999", part(2..10)),
            ("bytes=10-", Selection::Unsatisfiable),
            ("bytes=10-10", Selection::Unsatisfiable),
            ("bytes=18446744073709551615-", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
            ("bytes=-", Selection::Unsatisfiable),
            ("bytes=", Selection::Unsatisfiable),
            ("bytes", Selection::Unsatisfiable),
            ("bytes=5-4", Selection::Unsatisfiable),
            ("bytes=--1", Selection::Unsatisfiable),
            ("bytes=-+1", Selection::Unsatisfiable),
            ("bytes=0x0-1", Selection::Unsatisfiable),
            ("bytes=1.5-2", Selection::Unsatisfiable),
            ("bytes=0-1,3-4", Selection::Unsatisfiable),
            ("bytes=0-0,0-0,0-0,0-0", Selection::Unsatisfiable),
            ("lines=1-2", Selection::Whole),
        ];
        for (header, expected) in cases {
            assert_eq!(select(Some(header), None, "v", 10), expected, "{header}");
        }
        assert_eq!(select(None, None, "v", 10), Selection::Whole);
        assert_eq!(select(Some("bytes=0-0"), None, "v", 0), Selection::Unsatisfiable);
        assert_eq!(select(Some("bytes=-5"), None, "v", 0), Selection::Unsatisfiable);
    }

    #[test]
    fn a_range_is_ignored_when_the_version_has_changed() {
        for (if_range, expected) in [
            ("\"v\"", Selection::Part(0..1)),
            ("\"w\"", Selection::Whole),
            ("W/\"v\"", Selection::Whole),
            ("*", Selection::Whole),
            ("Sat, 29 Oct 1994 19:43:31 GMT", Selection::Whole),
        ] {
            assert_eq!(select(Some("bytes=0-0"), Some(if_range), "v", 10), expected, "{if_range}");
        }
    }

    #[test]
    fn a_change_depends_on_one_state() {
        let revision = |text: &str| revision_of(Some(EntityTags(text.into()))).map_err(|problem| problem.code());
        assert_eq!(revision("\"41-2\""), Ok(Some(Revision { seq: 41, index: 2 })));
        assert_eq!(revision("*"), Ok(None));
        assert_eq!(revision_of(None).unwrap(), None);
        for text in ["W/\"41-2\"", "41-2", "\"x\"", "\"1-99999999999\"", ""] {
            assert_eq!(revision(text), Err(Code::PreconditionFailed), "{text}");
        }
        assert_eq!(revision("\"1-0\", \"2-0\""), Err(Code::InvalidRequest));
        let version = VersionId::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(version_of(Some(EntityTags(entity_tag(&version.hex())))).unwrap(), Some(version));
    }

    #[test]
    fn preconditions_compare_as_the_rfc_says() {
        for (header, matches) in [
            ("\"v\"", true),
            ("*", true),
            ("\"w\", \"v\"", true),
            ("W/\"v\"", false),
            ("\"w\"", false),
            ("v", false),
            ("\"", false),
            ("", false),
        ] {
            assert_eq!(if_match(header, "v"), matches, "If-Match: {header}");
        }
        for (header, goes_on) in
            [("\"v\"", false), ("*", false), ("W/\"v\"", false), ("\"w\"", true), ("v", true), ("", true)]
        {
            assert_eq!(if_none_match(header, "v"), goes_on, "If-None-Match: {header}");
        }
    }
}
