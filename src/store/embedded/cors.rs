//! Cross-origin requests, for a store that runs as its own process: pages of the listed origins may use it, no others.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use s3s::Body;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("ETag, Content-Range, Content-Length, Accept-Ranges, x-amz-checksum-sha256");
const MAX_AGE_SECS: HeaderValue = HeaderValue::from_static("600");

/// The origins that may use the store from a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins(pub(super) Vec<String>);

impl Origins {
    /// The origin of a request, if it is listed.
    pub(super) fn admitted<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let origin = request.headers().get(ORIGIN)?;
        self.0.iter().any(|listed| origin == listed.as_str()).then(|| origin.clone())
    }

    /// The answer to a preflight; `None` for any other request.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let is_preflight =
            request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = Response::new(Body::empty());
        let Some(origin) = self.admitted(request) else {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Some(response);
        };
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECS);
        if let Some(asked) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        mark(headers, origin);
        Some(response)
    }
}

/// Lets a page of this origin read an answer.
pub(super) fn mark(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(origin: &str) -> Request<()> {
        let request =
            Request::options("/bucket/key").header(ORIGIN, origin).header(ACCESS_CONTROL_REQUEST_METHOD, "PUT");
        request.header(ACCESS_CONTROL_REQUEST_HEADERS, "content-type").body(()).unwrap()
    }

    #[test]
    fn a_listed_origin_passes_its_preflight_and_no_other_does() {
        let origins = Origins(vec!["https://vault.example".to_owned()]);
        let passed = origins.preflight(&preflight("https://vault.example")).unwrap();
        assert_eq!(passed.status(), StatusCode::NO_CONTENT);
        assert_eq!(passed.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://vault.example");
        assert_eq!(passed.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "content-type");
        for other in ["https://vault.example.evil", "null", "http://vault.example", ""] {
            let refused = origins.preflight(&preflight(other)).unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
            assert!(!refused.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
        }
    }
}
