//! The bucket as a page of the app sees it from another origin.

use bytes::Bytes;
use url::Url;

use super::{Asked, URL_LIFE};

/// What a page must be allowed to send beyond what every page may.
const SENT_HEADER: &str = "x-amz-checksum-sha256";
/// What a page must be allowed to read of an answer.
const READ_HEADER: &str = "etag";
/// What makes it so.
const HINT: &str = "give the bucket a CORS rule: origin = PUBLIC_URL's, methods GET, HEAD and PUT, allowed header \
                    x-amz-checksum-sha256, exposed header ETag";

impl Asked<'_> {
    /// A page must be allowed to send a part and to read its entity tag. Without that the app moves content through
    /// the vault.
    pub(super) async fn ask_as_browser(&mut self, app: &Url) {
        let origin = app.origin().ascii_serialization();
        let url = self.store.presign_get(&self.key("object"), URL_LIFE).await;
        let Ok(url) = url else { return };
        let preflight = [
            ("origin", origin.clone()),
            ("access-control-request-method", "PUT".to_owned()),
            ("access-control-request-headers", SENT_HEADER.to_owned()),
        ];
        let (asked, read) = (
            self.bare.send("OPTIONS", &url, &preflight, Bytes::new()).await,
            self.bare.send("GET", &url, &[("origin", origin.clone())], Bytes::new()).await,
        );
        let (Ok(asked), Ok(read)) = (asked, read) else {
            self.warning(
                "S3_PUBLIC_ENDPOINT",
                "it can't be reached from here",
                "browsers must reach it; ignore this where the vault's machine need not",
            );
            return;
        };
        let admits = |header: Option<&str>| header.is_some_and(|admitted| admitted == "*" || admitted == origin);
        let may_send = asked.is_success()
            && admits(asked.header("access-control-allow-origin"))
            && names(asked.header("access-control-allow-methods"), "put")
            && names(asked.header("access-control-allow-headers"), SENT_HEADER);
        let may_read = read.is_success()
            && admits(read.header("access-control-allow-origin"))
            && names(read.header("access-control-expose-headers"), READ_HEADER);
        if !may_send {
            self.warning("S3_PUBLIC_ENDPOINT", "pages of the app may not send to it", HINT);
        }
        if !may_read {
            self.warning("S3_PUBLIC_ENDPOINT", "pages of the app may not read its answers", HINT);
        }
    }
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
