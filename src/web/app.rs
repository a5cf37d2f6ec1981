//! The browser app: the files that `web/` builds, inside the program.
//!
//! Guarantees that whatever is under `/assets/` never changes (its name has its hash) and everything else is asked for
//! again each time; that an answer is as small as its reader can take, compressed once at build time and never here; and
//! that every answer carries the one policy under which the app runs. A development build reads the files at each
//! request, so that it needs neither Node nor a new build of the program. It does not know what the files do.

use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderValue, StatusCode};
use poem::endpoint::make_sync;
use poem::{Endpoint, Request, Response, Route, get};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::hash;

/// The addresses of the app's views: all of them are one page, which looks at its address itself.
const VIEWS: [&str; 9] =
    ["/", "/files", "/files/:id", "/starred", "/recent", "/search", "/trash", "/settings", "/settings/:page"];

/// Files at the root of the site, where browsers look for them.
const ROOT_FILES: [&str; 3] = ["sw.js", "icon.svg", "manifest.webmanifest"];

/// Where the page of all views lies.
const PAGE: &str = "index.html";

/// A year, in seconds: the longest that caches believe.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");

/// The encodings that the build makes, best first, each with the ending of its files.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// What `web/` built. Without it there is a page that says how to build it.
#[derive(RustEmbed)]
#[folder = "web/dist/app"]
#[allow_missing = true]
struct Files;

/// Adds the app's views and files. Its pages may speak to the vault and to `bucket_origin`, and to nobody else.
pub(super) fn add(route: Route, bucket_origin: &str) -> Route {
    let policy = HeaderValue::from_str(&policy(bucket_origin)).expect("a URL's origin is ASCII without controls");
    let route = VIEWS.iter().fold(route, |route, view| route.at(view, get(page(policy.clone()))));
    let route = ROOT_FILES
        .iter()
        .fold(route, |route, name| route.at(format!("/{name}"), get(file(policy.clone(), REVALIDATED))));
    route.at("/assets/*", get(file(policy, IMMUTABLE)))
}

/// What the app's pages and workers may do: no inline script or style, no string that becomes code, no page of theirs in
/// any frame. A frame of theirs shows what the service worker or the vault answers, sandboxed.
fn policy(bucket_origin: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; \
         connect-src 'self' {bucket_origin}; worker-src 'self'; frame-src 'self'; manifest-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default"
    )
}

fn page(policy: HeaderValue) -> impl Endpoint<Output = Response> {
    make_sync(move |request: Request| answer(PAGE, request.headers(), &policy, REVALIDATED).unwrap_or_else(unbuilt))
}

fn file(policy: HeaderValue, caching: HeaderValue) -> impl Endpoint<Output = Response> {
    make_sync(move |request: Request| {
        let path = request.uri().path().trim_start_matches('/');
        answer(path, request.headers(), &policy, caching.clone())
            .ok_or_else(|| poem::Error::from_status(StatusCode::NOT_FOUND))
    })
}

/// The file in the best encoding that these headers take, or that the reader has it already.
fn answer(path: &str, headers: &HeaderMap, policy: &HeaderValue, caching: HeaderValue) -> Option<Response> {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoded = ENCODINGS
        .iter()
        .filter(|(name, _)| accepts(accepted, name))
        .find_map(|(name, ending)| Some((Some(*name), Files::get(&format!("{path}{ending}"))?)));
    let (encoding, file) = encoded.or_else(|| Some((None, Files::get(path)?)))?;
    let tag = tag(&file);
    let mut response = Response::builder()
        .header(CONTENT_SECURITY_POLICY, policy)
        .header(CACHE_CONTROL, caching)
        .header(VARY, ACCEPT_ENCODING)
        .header(ETAG, &tag);
    if has(headers, &tag) {
        return Some(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    response = response.header(CONTENT_TYPE, media_type(path));
    if let Some(encoding) = encoding {
        response = response.header(CONTENT_ENCODING, encoding);
    }
    Some(response.body(file.data.into_owned()))
}

/// An entity tag: each encoding is a representation of its own (RFC 9110, section 8.8.3.3).
fn tag(file: &EmbeddedFile) -> String {
    format!("\"{}\"", data_encoding::HEXLOWER.encode(&file.metadata.sha256_hash()[..16]))
}

fn has(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|list| list.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// Whether `Accept-Encoding` names this encoding without refusing it (RFC 9110, section 12.5.3).
fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        is_named && weight.is_ok_and(|weight| weight > 0.0)
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

const UNBUILT_STYLE: &str = "body{font:16px/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem;\
                             color:#1c1c1e;background:#fafafa}code{background:#ececf0;padding:.1em .3em;border-radius:.2em}\
                             @media(prefers-color-scheme:dark){body{color:#eee;background:#161618}code{background:#2a2a2e}\
                             a{color:#8ab4ff}}";

/// What stands in for the app in a program that was built without it.
fn unbuilt() -> Response {
    let policy = format!("default-src 'none'; style-src '{}'; frame-ancestors 'none'", hash(UNBUILT_STYLE));
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>Coffer</title>\
         <style>{UNBUILT_STYLE}</style><h1>Coffer</h1>\
         <p>The vault runs, but this program was built without its app. <code>cargo xtask run</code> builds both; \
         <code>npm --prefix web ci</code> and <code>npm --prefix web run build</code> build the app alone.</p>\
         <p>Programs speak to the vault over <code>/api/v1</code>; <a href=\"/openapi.json\">/openapi.json</a> describes \
         every operation, and <a href=\"/health/ready\">/health/ready</a> says whether it serves.</p></html>\n"
    );
    Response::builder()
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .header(CONTENT_SECURITY_POLICY, policy)
        .header(CACHE_CONTROL, REVALIDATED)
        .body(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_taken_where_it_is_named_and_not_refused() {
        for (header, expected) in [
            ("gzip, deflate, br, zstd", true),
            ("BR", true),
            ("br;q=0.1", true),
            ("br; q=0", false),
            ("br;q=nonsense", false),
            ("brotli, gzip", false),
            ("", false),
        ] {
            assert_eq!(accepts(header, "br"), expected, "{header}");
        }
    }

    #[test]
    fn a_reader_that_has_the_file_is_known_by_any_of_its_tags() {
        let headers = |value: &'static str| HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(value))]);
        assert!(has(&headers("\"other\", W/\"ab\""), "\"ab\""));
        assert!(!has(&headers("\"abc\""), "\"ab\""));
        assert!(!has(&HeaderMap::new(), "\"ab\""));
    }

    #[test]
    fn the_policy_allows_no_inline_code_and_two_origins() {
        let policy = policy("https://bucket.example");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        assert_eq!(policy.matches("https://").count(), 1);
    }

    #[tokio::test]
    async fn without_the_app_there_is_a_page_that_says_how_to_build_it() {
        let response = unbuilt();
        assert_eq!(response.status(), StatusCode::OK);
        let page = response.into_body().into_string().await.unwrap();
        assert!(page.contains("npm --prefix web run build") && page.contains("/openapi.json"));
    }
}
