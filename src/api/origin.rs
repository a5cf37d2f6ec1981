//! Pages of other origins: what they may ask (CORS), and what they may never make a browser do.
//!
//! Nothing is open to other origins unless `CORS_ORIGINS` lists them, and then only to requests that carry their own
//! token: answers never allow credentials, so the cookie serves this origin's own pages alone. A request that changes
//! something and names a foreign origin is refused before anything else is looked at, whatever it shows.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode, request};

use super::PREFIX;
use super::problem::{Code, Problem};
use crate::config::HttpConfig;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What a page of a listed origin may send beside the safelisted headers (Fetch standard, section 4.7).
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, dpop, idempotency-key, if-match, if-none-match, if-range, range",
);

/// What it may read beside the safelisted ones.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept-ranges, allow, content-disposition, content-length, content-range, dpop-nonce, etag, location, ratelimit, \
     ratelimit-policy, retry-after, x-request-id",
);

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// How long a browser may remember what is allowed, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Refuses what a page of an origin that is neither ours nor listed would change.
///
/// # Errors
/// `PERMISSION_DENIED`.
pub fn check(method: &Method, headers: &HeaderMap, http: &HttpConfig) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let is_known = match (headers.get(ORIGIN), headers.get(SEC_FETCH_SITE)) {
        (Some(origin), _) => is_ours(origin, http) || listed(headers, http).is_some(),
        // A browser names the origin of whatever changes something; a client that is none names neither.
        (None, Some(site)) => site == "same-origin" || site == "none",
        (None, None) => true,
    };
    if is_known { Ok(()) } else { Err(Code::PermissionDenied.into()) }
}

/// The answer to a browser that asks beforehand what a page of a listed origin may send.
pub fn preflight(parts: &request::Parts, http: &HttpConfig) -> Option<poem::Response> {
    let asks = parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || !parts.uri.path().starts_with(PREFIX) || listed(&parts.headers, http).is_none() {
        return None;
    }
    let answer = poem::Response::builder().status(StatusCode::NO_CONTENT);
    let answer = answer.header(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    let answer = answer.header(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    Some(answer.header(ACCESS_CONTROL_MAX_AGE, MAX_AGE).finish())
}

/// Lets the page of a listed origin read an answer of the API to it.
pub fn share(origin: Option<HeaderValue>, http: &HttpConfig, answer: &mut HeaderMap) {
    if http.cors_origins.is_empty() {
        return;
    }
    answer.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        answer.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
}

/// The request's origin, where it is listed.
pub fn listed(headers: &HeaderMap, http: &HttpConfig) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    http.cors_origins.iter().any(|listed| *origin == **listed).then(|| origin.clone())
}

fn is_ours(origin: &HeaderValue, http: &HttpConfig) -> bool {
    *origin == *http.public_url.origin().ascii_serialization()
}
