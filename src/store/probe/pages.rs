//! The bucket as a page of the app sees it from another origin.
//!
//! What a browser would ask is asked as it would ask it: the preflight with the headers that the page will send, then the
//! request itself with its `Origin`, whose answer must let the page read what it needs (Fetch, sections 3.2 and 4.8).

use bytes::Bytes;
use url::Url;

use super::{Asked, CONTENT, URL_LIFE};
use crate::crypto::sha256;
use crate::store::{BodyDigest, StoreError};

const VARIABLE: &str = "S3_PUBLIC_ENDPOINT";
/// What makes it right.
const HINT: &str = "`coffer bucket protect` sets the bucket's CORS rule, or prints it where the service takes none";

/// One thing that pages do.
struct Deed {
    method: &'static str,
    /// Headers of the request that a browser asks leave for, in the order in which it names them.
    sent: &'static [&'static str],
    /// Headers of the answer that the page reads and that not every page may.
    read: &'static [&'static str],
}

const SEND_PART: Deed =
    Deed { method: "PUT", sent: &["content-type", "if-none-match", "x-amz-checksum-sha256"], read: &["etag"] };
const READ_RANGE: Deed = Deed { method: "GET", sent: &["range"], read: &["content-range"] };

/// A deed at a URL, by pages of an origin.
struct Attempt<'a> {
    deed: &'a Deed,
    url: &'a Url,
    /// What is really sent beside the origin.
    headers: &'a [(&'static str, String)],
    origin: &'a str,
}

impl Asked<'_> {
    /// A page must be allowed to send a part and read its entity tag, and to read a range and know which. Without that
    /// the app moves content through the vault.
    pub(super) async fn ask_as_page(&mut self, app: &Url) {
        let origin = app.origin().ascii_serialization();
        match self.flaws(&origin).await {
            Ok(flaws) => flaws.iter().for_each(|flaw| self.warning(VARIABLE, flaw, HINT)),
            Err(StoreError::Unavailable { .. }) => self.warning(
                VARIABLE,
                "it can't be reached from here",
                "browsers must reach it; ignore this where the vault's machine need not",
            ),
            Err(error) => self.warning(VARIABLE, &format!("it can't be asked what pages may do: {error}"), HINT),
        }
    }

    async fn flaws(&self, origin: &str) -> Result<Vec<String>, StoreError> {
        let (key, length, digest) = (self.key("page"), CONTENT.len() as u64, BodyDigest::Sha256(sha256(CONTENT)));
        let put = match self.store.create_multipart(&key).await {
            Ok(id) => self.store.presign_part((&key, &id), 1, length, &digest, URL_LIFE)?,
            // A service without uploads in parts still says what it lets pages do.
            Err(_) => self.store.presign_new_object(&key, length, &digest, URL_LIFE)?,
        };
        let get = self.store.presign_get(&self.key("object"), URL_LIFE)?;
        let octets = ("content-type", "application/octet-stream".to_owned());
        let (sent, range) = ([vec![octets], put.headers].concat(), [("range", "bytes=7-12".to_owned())]);
        let part = Attempt { deed: &SEND_PART, url: &put.url, headers: &sent, origin };
        let mut flaws = self.try_deed(&part).await?;
        flaws.extend(self.try_deed(&Attempt { deed: &READ_RANGE, url: &get, headers: &range, origin }).await?);
        Ok(flaws)
    }

    async fn try_deed(&self, attempt: &Attempt<'_>) -> Result<Vec<String>, StoreError> {
        let Deed { method, sent, read } = attempt.deed;
        let mut flaws = Vec::new();
        if !self.passes_preflight(attempt, sent).await? {
            let mut refused = Vec::new();
            if self.passes_preflight(attempt, &[]).await? {
                for name in *sent {
                    if !self.passes_preflight(attempt, &[name]).await? {
                        refused.push(*name);
                    }
                }
            }
            flaws.push(match refused.as_slice() {
                [] => format!("pages of the app may not use {method}"),
                names => format!("pages of the app may not send {} with {method}", names.join(", ")),
            });
        }
        let headers = [attempt.headers, &[("origin", attempt.origin.to_owned())]].concat();
        let body = if *method == "PUT" { Bytes::from_static(CONTENT) } else { Bytes::new() };
        let answer = self.bare.send(method, attempt.url, &headers, body).await?;
        let exposed = answer.header("access-control-expose-headers");
        let hidden: Vec<&str> = read.iter().copied().filter(|name| !names(exposed, name)).collect();
        if !admits(answer.header("access-control-allow-origin"), attempt.origin) {
            flaws.push(format!("pages of the app may not read its answers to {method}"));
        } else if !hidden.is_empty() {
            flaws.push(format!("pages of the app may not read {} of its answers to {method}", hidden.join(", ")));
        }
        Ok(flaws)
    }

    async fn passes_preflight(&self, attempt: &Attempt<'_>, sent: &[&str]) -> Result<bool, StoreError> {
        let mut asked = vec![
            ("origin", attempt.origin.to_owned()),
            ("access-control-request-method", attempt.deed.method.to_owned()),
        ];
        if !sent.is_empty() {
            asked.push(("access-control-request-headers", sent.join(",")));
        }
        let answer = self.bare.send("OPTIONS", attempt.url, &asked, Bytes::new()).await?;
        let allowed = answer.header("access-control-allow-headers");
        // GET needs no leave of its own.
        let may_use =
            attempt.deed.method == "GET" || names(answer.header("access-control-allow-methods"), attempt.deed.method);
        Ok(answer.is_success()
            && admits(answer.header("access-control-allow-origin"), attempt.origin)
            && may_use
            && sent.iter().all(|name| names(allowed, name)))
    }
}

fn admits(header: Option<&str>, origin: &str) -> bool {
    header.is_some_and(|admitted| admitted == "*" || admitted == origin)
}

fn names(header: Option<&str>, wanted: &str) -> bool {
    let mut names = header.unwrap_or_default().split(',').map(str::trim);
    names.any(|name| name == "*" || name.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_read_without_case_and_spaces() {
        assert!(names(Some("GET, put"), "put"));
        assert!(names(Some("*"), "put"));
        assert!(names(Some("Content-Length,ETag"), "etag"));
        assert!(!names(Some("GET, HEAD"), "put"));
        assert!(!names(Some("x-etag"), "etag"));
        assert!(!names(None, "put"));
    }
}
