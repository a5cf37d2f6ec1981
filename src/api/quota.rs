//! Quotas in HTTP: what a request counts as, and the header fields that tell what is left.
//!
//! The fields are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy: "requests";q=100;w=900` names the
//! quota and its window in seconds, `RateLimit: "requests";r=99;t=9` what is left and after how many seconds it is whole
//! again. Where nothing is left, `Retry-After` says when to come back. Which key a request counts under is not told.

use http::{HeaderMap, HeaderName, HeaderValue};
use poem_openapi::registry::MetaHeader;
use poem_openapi::types::Type;

use super::policy::{Class, Policy};
use crate::session::{Counted, Meter, Quota};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The meter of a request under this row of the table.
pub fn meter(policy: Option<&Policy>) -> Meter {
    Meter::new(policy.and_then(|policy| match policy.class {
        Class::Api => Some(Counted::Request),
        Class::Upload => Some(Counted::Upload),
        // Secrets have a budget of their own, which no stranger of one's network can use up.
        Class::Auth | Class::None => None,
    }))
}

/// What the description says of an answer without anything left.
pub fn headers() -> Vec<MetaHeader> {
    let header = |name: &str, description: &str, schema| MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema,
    };
    vec![
        header("Retry-After", "Seconds until it is worth trying again.", u64::schema_ref()),
        header("RateLimit-Policy", "The quota and its window in seconds.", String::schema_ref()),
        header("RateLimit", "What is left, and when it is whole again.", String::schema_ref()),
    ]
}

/// Tells the client what is left.
pub fn tell(headers: &mut HeaderMap, quota: Option<Quota>) {
    let Some(Quota { counts, limit, window_secs, remaining, whole_after_secs }) = quota else { return };
    let name = match counts {
        Counted::Request => "requests",
        Counted::Upload => "uploads",
    };
    let text = |text: String| HeaderValue::from_str(&text).expect("names and numbers are a header value");
    headers.insert(RATE_LIMIT_POLICY, text(format!("\"{name}\";q={limit};w={window_secs}")));
    headers.insert(RATE_LIMIT, text(format!("\"{name}\";r={remaining};t={whole_after_secs}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_as_structured_fields() {
        let mut headers = HeaderMap::new();
        tell(&mut headers, None);
        assert!(headers.is_empty());
        let quota =
            Quota { counts: Counted::Request, limit: 100, window_secs: 900, remaining: 99, whole_after_secs: 9 };
        tell(&mut headers, Some(quota));
        assert_eq!(headers[RATE_LIMIT_POLICY], "\"requests\";q=100;w=900");
        assert_eq!(headers[RATE_LIMIT], "\"requests\";r=99;t=9");
    }
}
