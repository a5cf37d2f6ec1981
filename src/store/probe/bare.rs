//! Requests as a stranger or a browser sends them: nothing is signed, nothing is followed, no answer is read further
//! than its headers.

use std::time::Duration;

use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat, SdkBody};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use bytes::Bytes;
use url::Url;

use super::URL_LIFE;
use crate::store::{Store, StoreError};

/// Sends single requests to anywhere.
pub(super) struct BareClient {
    connector: Connector,
    timeout: Duration,
}

/// The head of an answer.
pub(super) struct BareAnswer(HttpResponse);

impl BareClient {
    pub(super) fn new(timeout: Duration) -> Self {
        let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
        Self { connector, timeout }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<BareAnswer, StoreError> {
        let invalid = || StoreError::never_sent("InvalidRequest");
        let mut request = http::Request::builder().method(method).uri(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(SdkBody::from(body)).map_err(|_| invalid())?;
        let request = HttpRequest::try_from(request).map_err(|_| invalid())?;
        match tokio::time::timeout(self.timeout, self.connector.call(request)).await {
            Ok(Ok(answer)) => Ok(BareAnswer(answer)),
            _ => Err(StoreError::unavailable("no answer")),
        }
    }
}

impl BareAnswer {
    pub(super) fn is_success(&self) -> bool {
        self.0.status().is_success()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)
    }

    /// The `Date` header in Unix milliseconds.
    pub(super) fn date_ms(&self) -> Option<u64> {
        let date = DateTime::from_str(self.header("date")?, DateTimeFormat::HttpDate).ok()?;
        u64::try_from(date.to_millis().ok()?).ok()
    }
}

impl Store {
    /// Where an object is for somebody without a signature.
    pub(super) async fn unsigned_url(&self, key: &str) -> Option<Url> {
        let mut url = self.for_itself().presign_get(key, URL_LIFE).ok()?;
        url.set_query(None);
        Some(url)
    }

    /// Where a listing is for somebody without a signature.
    pub(super) async fn unsigned_listing(&self, prefix: &str) -> Option<Url> {
        let mut url = self.unsigned_url("any").await?;
        let root = url.path().strip_suffix("any")?.strip_suffix(&*self.prefix)?.to_owned();
        url.set_path(&root);
        url.query_pairs_mut().append_pair("list-type", "2").append_pair("prefix", &self.full_key(prefix));
        Some(url)
    }

    /// This store, signing URLs for the vault's own endpoint instead of the public one.
    pub(super) fn for_itself(&self) -> Self {
        Self { public: self.own.clone(), ..self.clone() }
    }
}
