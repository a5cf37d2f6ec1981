//! Headers that every answer carries, refusals included.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use url::Url;

/// For answers that are data: nothing may load, nothing may frame them.
const CSP_DATA: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

/// For content of the owner's files and of the bucket: a document of its own, without scripts, forms or an origin.
const CSP_CONTENT: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Two years, in seconds, and for whatever is below this host too.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");

/// Abilities of browsers that no page of the vault needs, nor any document that it shows.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), bluetooth=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
     hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()",
);

/// Adds what is missing; a route that sets its own content or cache policy keeps it.
pub fn secure(headers: &mut HeaderMap, public_url: &Url) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS_POLICY, PERMISSIONS);
    headers.insert(ROBOTS_TAG, HeaderValue::from_static("noindex, nofollow"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(CSP_DATA);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if public_url.scheme() == "https" {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

/// Makes an answer harmless even where a browser shows it as a page.
pub fn sandbox(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, CSP_CONTENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_pinned_and_own_policies_stay() {
        let mut headers = HeaderMap::new();
        sandbox(&mut headers);
        secure(&mut headers, &Url::parse("http://localhost:8080").unwrap());
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        assert_eq!(headers[CONTENT_SECURITY_POLICY], CSP_CONTENT);
        assert_eq!(headers[CACHE_CONTROL], "no-store");

        let mut headers = HeaderMap::new();
        secure(&mut headers, &Url::parse("https://vault.example").unwrap());
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], HSTS);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], CSP_DATA);
    }
}
