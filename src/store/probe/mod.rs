//! What the vault asks of its bucket before it trusts it with anything: is it there, whose is it, what does it keep
//! of the protocol, and what only claims to.
//!
//! Writes only under `probe/<random>` and removes it, also after a failure. A finding names the variable to look at and
//! never a value. Abilities are measured, not looked up: S3-compatibles accept what they then ignore.

mod bare;
mod pages;
mod promises;

use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::config::{Clock, Endpoint, Report, Secret, StoreConfig};

use super::{Abilities, CompletedPart, Payload, Store, StoreError};
use bare::BareClient;

/// A bucket's clock may be this far from ours before its owner is told.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);
/// Beyond this S3 refuses every signature.
const CLOCK_LIMIT: Duration = Duration::from_secs(15 * 60);
/// What is written; short, and not all alike.
const CONTENT: &[u8] = b"coffer probes this bucket";
/// Other bytes of the same length, to be refused.
const OTHER_CONTENT: &[u8] = b"coffer probes THIS bucket";
/// More bytes than were signed.
const LONGER_CONTENT: &[u8] = b"coffer probes this bucket!";
/// The hint where no setting helps.
const OTHER_SERVICE: &str = "use another S3 service, or a newer version of it";
/// Life of the URLs that the probe signs for itself.
const URL_LIFE: Duration = Duration::from_secs(60);

/// The outcome: what the bucket can do and what its owner must or should know.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// Measured as far as the bucket could be asked.
    pub abilities: Abilities,
    /// Findings; with an error among them the vault **must** not use the bucket.
    pub report: Report,
    /// Whether the bucket was away, so that asking again later makes sense.
    pub is_away: bool,
}

/// Asks everything. `own_endpoint` is as for [`Store::new`]; `app` is the app's public URL, whose pages may have to
/// reach the bucket across origins.
pub async fn probe(config: &StoreConfig, own_endpoint: Option<&Url>, app: &Url, clock: &Clock) -> Probe {
    let store = Store::new(config, own_endpoint);
    let mut asked = Asked::new(&store, config);
    if asked.is_usable().await {
        asked.ask_clock(clock).await;
        asked.ask_reading().await;
        asked.ask_signatures(config, own_endpoint).await;
        asked.ask_strangers().await;
        asked.ask_promises().await;
        asked.ask_multipart().await;
        // The embedded store is on the app's own origin, and perhaps not listening there yet.
        if matches!(config.endpoint, Endpoint::Remote(_)) && !needs_no_rule(config, app) {
            asked.ask_as_page(app).await;
        }
    }
    asked.finish().await
}

/// Asks only what pages of the app may do, where the bucket is on another origin than the app.
pub async fn probe_pages(config: &StoreConfig, app: &Url) -> Probe {
    let store = Store::new(config, None);
    let mut asked = Asked::new(&store, config);
    if asked.is_usable().await {
        asked.ask_as_page(app).await;
    }
    asked.finish().await
}

/// Whether pages of the app reach the bucket without leaving their own origin.
pub fn needs_no_rule(config: &StoreConfig, app: &Url) -> bool {
    config.public_origin() == app.origin().ascii_serialization()
}

/// A probe on its way.
struct Asked<'a> {
    store: &'a Store,
    bare: BareClient,
    folder: String,
    probe: Probe,
}

impl<'a> Asked<'a> {
    fn new(store: &'a Store, config: &StoreConfig) -> Self {
        let bare = BareClient::new(Duration::from_secs(config.request_timeout_secs));
        let folder = format!("probe/{:032x}/", fastrand::u128(..));
        Self { store, bare, folder, probe: Probe::default() }
    }

    async fn finish(mut self) -> Probe {
        self.clean_up().await;
        self.probe.report.sort();
        self.probe
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    fn error(&mut self, variable: &str, reason: &str, hint: &str) {
        self.probe.report.error(variable, reason, hint);
    }

    fn warning(&mut self, variable: &str, reason: &str, hint: &str) {
        self.probe.report.warning(variable, reason, hint);
    }

    /// Writes the object that the other questions are about.
    async fn is_usable(&mut self) -> bool {
        let Err(error) = self.store.put(&self.key("object"), Bytes::from_static(CONTENT)).await else { return true };
        self.probe.is_away = matches!(error, StoreError::Unavailable { .. });
        let (variable, reason, hint) = explain(&error);
        self.error(variable, &reason, hint);
        false
    }

    /// An answer to anybody carries the bucket's time.
    async fn ask_clock(&mut self, clock: &Clock) {
        let Some(url) = self.store.unsigned_url(&self.key("object")).await else { return };
        let Ok(answer) = self.bare.send("HEAD", &url, &[], Bytes::new()).await else { return };
        let Some(bucket_ms) = answer.date_ms() else { return };
        let skew = Duration::from_millis(bucket_ms.abs_diff(clock.now_ms()));
        let (reason, hint) = ("its clock differs from this machine's", "set both clocks by NTP");
        if skew >= CLOCK_LIMIT {
            self.error("S3_ENDPOINT", reason, hint);
        } else if skew > CLOCK_TOLERANCE {
            self.warning("S3_ENDPOINT", reason, hint);
        }
    }

    /// What was written is read, in full and in part, and listed, at once.
    async fn ask_reading(&mut self) {
        let key = self.key("object");
        let whole = self.store.get(&key, CONTENT.len() as u64).await;
        let part = match self.store.get_range(&key, 7..13).await {
            Ok(body) => body.collect().await,
            Err(error) => Err(error),
        };
        let listed = self.store.list(&self.folder).await;
        if whole.as_deref() != Ok(CONTENT) {
            self.error("S3_ENDPOINT", "what was written can't be read back", "see the bucket's log and its policy");
        }
        if part.as_deref() != Ok(&CONTENT[7..13]) {
            let why = part.err().map(|error| format!(": {error}")).unwrap_or_default();
            let reason = format!("it does not answer a range with exactly that range{why}");
            self.error("S3_ENDPOINT", &reason, OTHER_SERVICE);
        }
        if !listed.is_ok_and(|listed| listed.iter().any(|object| object.key == key)) {
            self.error(
                "S3_ENDPOINT",
                "what was written is not listed at once, or may not be listed",
                "allow these keys ListBucket; use a service whose listings are consistent",
            );
        }
    }

    /// The same access key with another secret must be nobody.
    async fn ask_signatures(&mut self, config: &StoreConfig, own_endpoint: Option<&Url>) {
        let secret_access_key = Secret::new(format!("{}x", config.secret_access_key.expose()));
        let forger = Store::new(&StoreConfig { secret_access_key, ..config.clone() }, own_endpoint);
        if forger.put(&self.key("forged"), Bytes::from_static(CONTENT)).await.is_ok() {
            self.error("S3_ENDPOINT", "it accepts a wrong signature", "let the service check signatures");
        }
    }

    /// Without any signature nothing may be read or listed.
    async fn ask_strangers(&mut self) {
        for (url, reason) in [
            (self.store.unsigned_url(&self.key("object")).await, "anybody may read its objects"),
            (self.store.unsigned_listing(&self.folder).await, "anybody may list its objects"),
        ] {
            let Some(url) = url else { continue };
            if self.bare.send("GET", &url, &[], Bytes::new()).await.is_ok_and(|answer| answer.is_success()) {
                self.error("S3_BUCKET", reason, "make the bucket private");
            }
        }
    }

    /// An upload in two steps makes an object, and one that was aborted is gone.
    async fn ask_multipart(&mut self) {
        let may = "allow these keys PutObject, AbortMultipartUpload, ListMultipartUploadParts and \
                   ListBucketMultipartUploads";
        match self.multipart().await {
            Ok(true) => {}
            Ok(false) => {
                self.error("S3_ENDPOINT", "an upload in parts gave another object than its parts", OTHER_SERVICE);
            }
            Err((step, error)) => {
                let hint = if matches!(error, StoreError::Mismatch(_)) { OTHER_SERVICE } else { may };
                self.error("S3_ENDPOINT", &format!("{step}: {error}"), hint);
            }
        }
    }

    async fn multipart(&mut self) -> Result<bool, (&'static str, StoreError)> {
        let at = |step: &'static str| move |error: StoreError| (step, error);
        let (begin, send) = (at("an upload in parts can't be begun"), at("a part of an upload can't be sent"));
        let (complete, read) = (at("an upload in parts can't be completed"), at("an object of parts can't be found"));
        let key = self.key("parts");
        let id = self.store.create_multipart(&key).await.map_err(begin)?;
        let body = Bytes::from_static(CONTENT);
        let etag = self.store.upload_part(&key, &id, 1, body, Payload::Hashed).await.map_err(send)?;
        let listed = self.store.list_parts(&key, &id).await.map_err(at("the parts of an upload can't be listed"))?;
        let wrong = CompletedPart { number: 1, etag: "\"00000000000000000000000000000000\"".to_owned(), sha256: None };
        self.probe.abilities.refuses_wrong_part =
            matches!(self.store.complete_multipart(&key, &id, &[wrong]).await, Err(StoreError::Refused { .. }));
        if self.probe.abilities.refuses_wrong_part {
            let right = CompletedPart { number: 1, etag: etag.clone(), sha256: None };
            self.store.complete_multipart(&key, &id, &[right]).await.map_err(complete)?;
        }
        let head = self.store.head(&key).await.map_err(read)?;

        let aborted = self.store.create_multipart(&key).await.map_err(begin)?;
        self.store.abort_multipart(&key, &aborted).await.map_err(at("an upload can't be aborted"))?;
        let left = self.store.list_multiparts(&self.folder).await.map_err(at("unfinished uploads can't be listed"))?;
        let is_right = listed.len() == 1 && listed[0].size_bytes == CONTENT.len() as u64 && listed[0].etag == etag;
        Ok(is_right && head.size_bytes == CONTENT.len() as u64 && left.iter().all(|upload| upload.id != aborted))
    }

    async fn clean_up(&mut self) {
        if self.probe.is_away {
            return;
        }
        for upload in self.store.list_multiparts(&self.folder).await.unwrap_or_default() {
            let _ = self.store.abort_multipart(&upload.key, &upload.id).await;
        }
        let keys: Vec<String> = match self.store.list(&self.folder).await {
            Ok(listed) => listed.into_iter().map(|object| object.key).collect(),
            Err(_) => return,
        };
        if self.store.delete_many(&keys).await.is_err() {
            self.error("S3_ACCESS_KEY_ID", "an object can't be deleted", "allow these keys DeleteObject");
        }
    }
}

/// The variable that a failed first write points at, why, and what to do.
fn explain(error: &StoreError) -> (&'static str, String, &'static str) {
    let StoreError::Refused { code, .. } = error else {
        return ("S3_ENDPOINT", error.to_string(), "start the S3 service, or correct the URL or S3_PATH_STYLE");
    };
    let (variable, hint) = match code.as_str() {
        "InvalidAccessKeyId" => ("S3_ACCESS_KEY_ID", "the service does not know this key"),
        "SignatureDoesNotMatch" => ("S3_SECRET_ACCESS_KEY", "the secret does not belong to the access key"),
        "NoSuchBucket" => ("S3_BUCKET", "make the bucket, or correct its name or S3_PATH_STYLE"),
        "RequestTimeTooSkewed" => ("S3_ENDPOINT", "set this machine's and the bucket's clock by NTP"),
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect" => {
            ("S3_REGION", "the bucket is in another region or at another endpoint")
        }
        "AccessDenied" => ("S3_ACCESS_KEY_ID", "allow these keys to read, write, list and delete in the bucket"),
        _ => ("S3_ENDPOINT", "see the service's log"),
    };
    (variable, error.to_string(), hint)
}
