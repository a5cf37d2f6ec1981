//! A part of an upload, and the file name that says all about it: number, stamp, size, SHA-256 and place.

use s3s::dto::ETag;

/// The highest part number, as in S3.
pub(super) const MAX_PART_NUMBER: u32 = 10_000;

/// A part that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: u32,
    /// When it came to stand, unique to this attempt.
    pub(super) stamp: u64,
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
    /// Where its bytes lie in the upload's data; in a file of its own if nowhere there.
    pub(super) offset: Option<u64>,
}

/// A part as a completion names it.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) number: u32,
    pub(super) etag: Option<ETag>,
    /// Base64 of its SHA-256, where the completion gives it.
    pub(super) sha256: Option<String>,
}

impl Part {
    /// A digest of the bytes, so that a second attempt with the same bytes has the same ETag.
    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(data_encoding::HEXLOWER.encode(&self.sha256))
    }

    /// Base64 of the SHA-256.
    pub(super) fn checksum(&self) -> String {
        data_encoding::BASE64.encode(&self.sha256)
    }

    pub(super) fn file_name(&self) -> String {
        let place = self.offset.map_or_else(|| "own".to_owned(), |offset| format!("{offset:x}"));
        let sha256 = data_encoding::HEXLOWER.encode(&self.sha256);
        format!("{:05}-{:016x}-{:x}-{sha256}-{place}", self.number, self.stamp, self.size_bytes)
    }

    /// Reads a file name; `None` for any other file.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let mut fields = file_name.splitn(5, '-');
        let number = fields.next()?.parse().ok().filter(|number| (1..=MAX_PART_NUMBER).contains(number))?;
        let stamp = u64::from_str_radix(fields.next()?, 16).ok()?;
        let size_bytes = u64::from_str_radix(fields.next()?, 16).ok()?;
        let sha256 = data_encoding::HEXLOWER.decode(fields.next()?.as_bytes()).ok()?.try_into().ok()?;
        let offset = match fields.next()? {
            "own" => None,
            place => Some(u64::from_str_radix(place, 16).ok()?),
        };
        Some(Self { number, stamp, size_bytes, sha256, offset })
    }
}

impl Claimed {
    /// Whether this names that part: the ETag must be given and right, the checksum right if given.
    pub(super) fn names(&self, part: &Part) -> bool {
        self.etag.as_ref().is_some_and(|etag| etag.strong_cmp(&part.etag()))
            && self.sha256.as_ref().is_none_or(|sha256| *sha256 == part.checksum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_all_about_a_part() {
        for (number, offset) in [(1, None), (1, Some(0)), (MAX_PART_NUMBER, Some(u64::MAX))] {
            let part = Part { number, stamp: 7, size_bytes: u64::MAX, sha256: [0xab; 32], offset };
            assert_eq!(Part::parse(&part.file_name()), Some(part));
        }
    }

    #[test]
    fn other_file_names_are_no_parts() {
        let good = Part { number: 1, stamp: 7, size_bytes: 5, sha256: [1; 32], offset: None }.file_name();
        for name in [
            "data",
            "upload.json",
            "",
            "1-2-3-4-5",
            &good.replacen('1', "0", 1),
            &good[..good.len() - 4],
            &good.replace("own", "x"),
        ] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }
}
