//! Numbers: each variable's default, bounds and unit in one table.

use crate::config::report::Report;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things, or the unit in the variable's name.
    Count,
    /// Bytes; suffixes such as `10GiB` or `500MB` are understood.
    Bytes,
}

/// One numeric variable.
pub(super) struct Number {
    pub(super) variable: &'static str,
    pub(super) default: u64,
    min: u64,
    max: u64,
    unit: Unit,
}

const fn count(variable: &'static str, default: u64, min: u64, max: u64) -> Number {
    Number { variable, default, min, max, unit: Unit::Count }
}

const fn bytes(variable: &'static str, default: u64, min: u64, max: u64) -> Number {
    Number { variable, default, min, max, unit: Unit::Bytes }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// Seconds in a day.
pub(super) const DAY_SECS: u64 = 86_400;

/// A quota as good as none: more than a million requests a second in the shortest window.
const MAX_QUOTA: u64 = 10_000_000;

pub(super) const ARGON2_JOBS: Number = count("ARGON2_JOBS", 2, 1, 64);
pub(super) const SESSION_TTL_DAYS: Number = count("SESSION_TTL_DAYS", 30, 1, 365);
pub(super) const SESSION_IDLE_DAYS: Number = count("SESSION_IDLE_DAYS", 7, 1, 365);
pub(super) const MAX_SESSIONS: Number = count("MAX_SESSIONS", 100, 1, 10_000);
pub(super) const LOGIN_LIMIT: Number = count("LOGIN_LIMIT", 5, 1, 1_000);
pub(super) const LOGIN_WINDOW_SECS: Number = count("LOGIN_WINDOW_SECS", 900, 10, DAY_SECS);
pub(super) const OWNER_REQUESTS: Number = count("OWNER_REQUESTS", 10_000, 10, MAX_QUOTA);
pub(super) const OWNER_UPLOADS: Number = count("OWNER_UPLOADS", 20_000, 1, MAX_QUOTA);
pub(super) const STRANGER_REQUESTS: Number = count("STRANGER_REQUESTS", 100, 1, MAX_QUOTA);
pub(super) const STRANGER_UPLOADS: Number = count("STRANGER_UPLOADS", 50, 1, MAX_QUOTA);
pub(super) const REQUEST_WINDOW_SECS: Number = count("REQUEST_WINDOW_SECS", 900, 10, DAY_SECS);
pub(super) const UPLOAD_WINDOW_SECS: Number = count("UPLOAD_WINDOW_SECS", 3_600, 10, DAY_SECS);
pub(super) const S3_REQUEST_TIMEOUT_SECS: Number = count("S3_REQUEST_TIMEOUT_SECS", 60, 1, 3_600);
pub(super) const REDIS_TIMEOUT_MS: Number = count("REDIS_TIMEOUT_MS", 2_000, 50, 60_000);
pub(super) const LEASE_SECS: Number = count("LEASE_SECS", 15, 2, 120);
pub(super) const RETENTION_DAYS: Number = count("RETENTION_DAYS", 30, 1, 3_650);
pub(super) const TRASH_DAYS: Number = count("TRASH_DAYS", 15, 1, 3_650);
/// The largest file the format can hold: 8,192 parts of 2^32 bytes.
pub(super) const MAX_FILE_SIZE: Number = bytes("MAX_FILE_SIZE", 64 * GIB, 1, 32 * TIB);
pub(super) const STORAGE_LIMIT: Number = bytes("STORAGE_LIMIT", 0, MIB, 1024 * 1024 * TIB);
pub(super) const CONCURRENT_UPLOADS: Number = count("CONCURRENT_UPLOADS", 16, 1, 1_024);
/// One page of the list holds them all.
pub(super) const UNFINISHED_UPLOADS: Number = count("UNFINISHED_UPLOADS", 256, 1, 1_000);
pub(super) const UPLOAD_TTL_HOURS: Number = count("UPLOAD_TTL_HOURS", 24, 1, 168);
/// A URL cannot be taken back, so it does not live long.
pub(super) const URL_TTL_SECS: Number = count("URL_TTL_SECS", 600, 1, 600);
pub(super) const HEADER_TIMEOUT_SECS: Number = count("HEADER_TIMEOUT_SECS", 10, 1, 120);
pub(super) const REQUEST_TIMEOUT_SECS: Number = count("REQUEST_TIMEOUT_SECS", 30, 1, 3_600);
pub(super) const DRAIN_SECS: Number = count("DRAIN_SECS", 20, 0, 600);
pub(super) const MAX_CONNECTIONS: Number = count("MAX_CONNECTIONS", 512, 8, 65_536);
pub(super) const MAX_JSON_SIZE: Number = bytes("MAX_JSON_SIZE", 512 * KIB, 4 * KIB, 16 * MIB);

impl Number {
    /// The number, or the default where it is absent. A bad one is a finding, and the default stands in for it.
    pub(super) fn read(&self, text: Option<&str>, report: &mut Report) -> u64 {
        self.read_optional(text, report).unwrap_or(self.default)
    }

    /// The number, or `None` where it is absent or bad; a bad one is a finding.
    pub(super) fn read_optional(&self, text: Option<&str>, report: &mut Report) -> Option<u64> {
        let parsed = parse(text?.trim(), self.unit);
        let bounds = format!("use a number from {} to {}", self.show(self.min), self.show(self.max));
        match parsed {
            None if self.unit == Unit::Bytes => {
                report.error(self.variable, "is not a number of bytes", format!("{bounds}, such as 500MB or 10GiB"));
            }
            None => report.error(self.variable, "is not a whole number", bounds),
            Some(number) if number < self.min => report.error(self.variable, "is too small", bounds),
            Some(number) if number > self.max => report.error(self.variable, "is too large", bounds),
            Some(number) => return Some(number),
        }
        None
    }

    fn show(&self, number: u64) -> String {
        if self.unit == Unit::Count {
            return number.to_string();
        }
        [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")]
            .iter()
            .find(|(size, _)| number >= *size && number.is_multiple_of(*size))
            .map_or_else(|| format!("{number} bytes"), |(size, name)| format!("{} {name}", number / size))
    }
}

fn parse(text: &str, unit: Unit) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let factor = match (unit, suffix.trim_start().to_ascii_lowercase().as_str()) {
        (_, "") | (Unit::Bytes, "b") => 1,
        (Unit::Bytes, "kib" | "k") => KIB,
        (Unit::Bytes, "mib" | "m") => MIB,
        (Unit::Bytes, "gib" | "g") => GIB,
        (Unit::Bytes, "tib" | "t") => TIB,
        (Unit::Bytes, "kb") => 1_000,
        (Unit::Bytes, "mb") => 1_000_000,
        (Unit::Bytes, "gb") => 1_000_000_000,
        (Unit::Bytes, "tb") => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_the_limit_and_one_past_it() {
        for (number, text, fine) in [
            (&LEASE_SECS, "2", true),
            (&LEASE_SECS, "1", false),
            (&LEASE_SECS, "120", true),
            (&LEASE_SECS, "121", false),
            (&MAX_FILE_SIZE, "1", true),
            (&MAX_FILE_SIZE, "0", false),
            (&MAX_FILE_SIZE, "32TiB", true),
            (&MAX_FILE_SIZE, "35184372088833", false),
            (&MAX_FILE_SIZE, "99999999999999TiB", false),
            (&UNFINISHED_UPLOADS, "1000", true),
            (&UNFINISHED_UPLOADS, "1001", false),
            (&UPLOAD_TTL_HOURS, "168", true),
            (&UPLOAD_TTL_HOURS, "169", false),
            (&URL_TTL_SECS, "600", true),
            (&URL_TTL_SECS, "601", false),
            (&DRAIN_SECS, "0", true),
            (&DRAIN_SECS, "-1", false),
            (&DRAIN_SECS, "10s", false),
            (&DRAIN_SECS, "1.5", false),
            (&DRAIN_SECS, "١", false),
        ] {
            let mut report = Report::default();
            number.read(Some(text), &mut report);
            assert_eq!(report.findings.is_empty(), fine, "{} = {text}: {report}", number.variable);
        }
    }

    #[test]
    fn sizes_take_suffixes() {
        for (text, expected) in [
            ("1024", Some(1_024)),
            ("10GiB", Some(10 * GIB)),
            ("10 GiB", Some(10 * GIB)),
            ("10g", Some(10 * GIB)),
            ("500MB", Some(500_000_000)),
            ("7B", Some(7)),
            ("GiB", None),
            ("1GiBs", None),
            ("", None),
        ] {
            assert_eq!(parse(text, Unit::Bytes), expected, "{text}");
        }
    }
}
