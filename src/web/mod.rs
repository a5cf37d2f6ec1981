//! What a browser gets: the app, the API's description, and, where the operator asks for it, a page to try the API.

mod app;

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use poem::endpoint::make_sync;
use poem::{Endpoint, Response, Route, get};
use sha2::{Digest, Sha256};

/// For what is no page: nothing may load.
const POLICY_DATA: &str = "default-src 'none'; frame-ancestors 'none'";

/// The pages: with the API's `description`, and with `try_page`, a page of scripts to try it, where there is one. The app
/// may speak to the vault and to `bucket_origin`, where content comes from and goes to, and to nobody else.
pub fn pages(description: String, try_page: Option<String>, bucket_origin: &str) -> Route {
    let route = Route::new()
        .at("/robots.txt", get(text("text/plain; charset=utf-8", "User-agent: *\nDisallow: /\n".to_owned())))
        .at("/openapi.json", get(text("application/json", description)));
    let route = app::add(route, bucket_origin);
    match try_page {
        Some(html) => route.at("/docs", get(scripted(html))),
        None => route,
    }
}

/// Text of our own making.
fn text(media_type: &'static str, body: String) -> impl Endpoint<Output = Response> {
    make_sync(move |_| {
        Response::builder()
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_SECURITY_POLICY, POLICY_DATA)
            .body(body.clone())
    })
}

/// Swagger UI, whose scripts are in the page; it sets styles on elements, which hashes cannot allow.
fn scripted(html: String) -> impl Endpoint<Output = Response> {
    let scripts: Vec<_> = inline_scripts(&html).map(|script| format!("'{}'", hash(script))).collect();
    let policy = format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        scripts.join(" ")
    );
    make_sync(move |_| {
        Response::builder()
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .header(CONTENT_SECURITY_POLICY, &policy)
            .body(html.clone())
    })
}

/// The source expression of an inline script or style (CSP 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", data_encoding::BASE64.encode(&Sha256::digest(text)))
}

fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    html.split("<script").skip(1).filter_map(|rest| {
        let (_, body) = rest.split_once('>')?;
        body.split_once("</script>").map(|(script, _)| script)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_script_is_the_one_that_browsers_compute() {
        // The example of CSP 3, section 8.3.
        assert_eq!(hash("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }

    #[test]
    fn scripts_are_found_in_their_page() {
        let html = "<p><script charset=\"UTF-8\">one</script><script>two</script>";
        assert_eq!(inline_scripts(html).collect::<Vec<_>>(), ["one", "two"]);
    }
}
