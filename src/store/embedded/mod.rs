//! An S3 bucket in a folder, for one box: the vault speaks S3 to it as to any other store.
//!
//! Guarantees: what was acknowledged is on disk (files and folders are flushed, a rename decides); a conditional write has one winner;
//! memory is bounded whatever the size; only signed requests are served; what this store cannot do it refuses and never ignores.
//! The folder belongs to one process at a time. Objects with ordinary keys are plain files (see the folder module).
//!
//! Deliberately unknown here: what the bytes mean. The protocol, its signatures and its XML are the crate `s3s`; what it leaves to its user
//! (durability, conditions, part checks, listing) is in the modules below. Read them in this order: key, folder, object, names,
//! listing, part, place, upload, inbound, outbound, gate, operations, cors, server.

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::{Request, Response};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Error, S3ErrorCode, S3Result};

use crate::config::Secret;

mod cors;
mod folder;
mod gate;
mod inbound;
mod key;
mod listing;
mod names;
mod object;
mod outbound;
mod part;
mod place;
mod read;
mod server;
mod operations;
mod upload;
mod write;

pub use server::serve_store;

/// The longest XML body (a completion of 10,000 parts is about 3 MB).
const MAX_XML_BYTES: usize = 4 << 20;
/// Form uploads do not exist here; `s3s` reads a form before it asks who sent it, so it gets no room for one.
const MAX_FORM_BYTES: usize = 1024;

/// A store in a folder, open. Clones share it; the folder is free again when the last one and its services are gone.
#[derive(Clone)]
pub struct Embedded {
    service: S3Service,
    rules: Arc<cors::KeptRules>,
}

impl Embedded {
    /// Opens the folder as the one bucket of this name, for the holder of these keys; makes the folder, with mode 0700, if it is absent.
    ///
    /// Blocks on the disk for a moment. Fails with [`io::ErrorKind::WouldBlock`] while another process has the folder open.
    pub fn open(root: &Path, access_key_id: &Secret, secret_access_key: &Secret, bucket: &str) -> io::Result<Self> {
        let folder = Arc::new(folder::Folder::open(root)?);
        let uploads = Arc::new(upload::Uploads::open(Arc::clone(&folder))?);
        let rules = Arc::new(cors::KeptRules::open(Arc::clone(&folder))?);
        let name = bucket.to_owned();
        let mut builder =
            S3ServiceBuilder::new(operations::Bucket { name, folder, uploads, rules: Arc::clone(&rules) });
        builder.set_auth(gate::KeyPair {
            access_key_id: access_key_id.clone(),
            secret_access_key: secret_access_key.clone(),
        });
        builder.set_access(gate::Rules { bucket: bucket.to_owned() });
        let mut limits = S3Config::default();
        limits.xml_max_body_size = MAX_XML_BYTES;
        limits.post_object_max_file_size = 0;
        limits.form_max_field_size = MAX_FORM_BYTES;
        limits.form_max_fields_size = MAX_FORM_BYTES;
        limits.form_max_parts = 1;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
        Ok(Self { service: builder.build(), rules })
    }

    /// The store as HTTP sees it. Pages of `allowed_origins` may use it, and those that the bucket's own rules admit.
    pub fn front(&self, allowed_origins: &[String]) -> Front {
        let cors = cors::Cors::new(Arc::clone(&self.rules), allowed_origins);
        Front { service: self.service.clone(), cors }
    }
}

/// What answers the store's requests: path-style, `/<bucket>/<key>`. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    service: S3Service,
    cors: cors::Cors,
}

impl Front {
    /// Answers a request, a browser's preflight among them.
    ///
    /// # Errors
    /// What the protocol's own machinery could not answer.
    pub async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, HttpError> {
        if let Some(response) = self.cors.preflight(&request) {
            return Ok(response);
        }
        let admitted = self.cors.admission(&request);
        let mut response = self.service.call(request).await?;
        response.headers_mut().extend(admitted.unwrap_or_default());
        Ok(response)
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

/// Runs blocking work off the async threads. Work that has begun runs to its end, even when nobody waits for it any more.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> S3Result<T> + Send + 'static) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(disk_fault(io::Error::other(error))))
}

/// Logs a failure of the disk, here and nowhere else, and tells the client no more than it needs.
fn disk_fault(error: io::Error) -> S3Error {
    tracing::error!(%error, "the store's folder failed");
    if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return S3Error::with_message(S3ErrorCode::InternalError, "the store's disk failed");
    }
    let mut full = S3Error::with_message(S3ErrorCode::Custom("InsufficientStorage".into()), "the store's disk is full");
    full.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
    full
}
