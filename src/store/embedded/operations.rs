//! The bucket as `s3s` sees it: each operation handed on, blocking ones off the async threads. What is not here is NotImplemented.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket as ListedBucket, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketCorsInput,
    DeleteBucketCorsOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    GetBucketCorsInput, GetBucketCorsOutput, GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutBucketCorsInput, PutBucketCorsOutput, PutObjectInput, PutObjectOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::cors::{self, KeptRules};
use super::folder::Folder;
use super::key::Key;
use super::object::WriteCondition;
use super::upload::Uploads;
use super::{disk_fault, off_thread, read, write};
use crate::store::CorsRules;

/// The one bucket.
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) folder: Arc<Folder>,
    pub(super) uploads: Arc<Uploads>,
    pub(super) rules: Arc<KeptRules>,
}

type Answer<T> = S3Result<S3Response<T>>;

#[async_trait::async_trait]
impl S3 for Bucket {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        write::put(Arc::clone(&self.folder), request).await.map(S3Response::new)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let folder = Arc::clone(&self.folder);
        off_thread(move || read::get(&folder, &request.input)).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let folder = Arc::clone(&self.folder);
        off_thread(move || read::head(&folder, &request.input)).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let (folder, input) = (Arc::clone(&self.folder), request.input);
        let condition = WriteCondition { if_match: input.if_match, if_none_match: None };
        off_thread(move || folder.remove(&Key::parse(&input.key)?, &condition)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let folder = Arc::clone(&self.folder);
        off_thread(move || write::remove_many(&folder, request.input)).await.map(S3Response::new)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let folder = Arc::clone(&self.folder);
        off_thread(move || read::list(&folder, request.input)).await.map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let uploads = Arc::clone(&self.uploads);
        off_thread(move || write::create(&uploads, request.input)).await.map(S3Response::new)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        write::put_part(Arc::clone(&self.folder), Arc::clone(&self.uploads), request).await.map(S3Response::new)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        let uploads = Arc::clone(&self.uploads);
        off_thread(move || write::list_parts(&uploads, request.input)).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let uploads = Arc::clone(&self.uploads);
        off_thread(move || write::complete(&uploads, request.input)).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let (uploads, input) = (Arc::clone(&self.uploads), request.input);
        off_thread(move || uploads.abort(uploads.find(&input.upload_id, &input.key)?.as_ref())).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        let uploads = Arc::clone(&self.uploads);
        off_thread(move || write::list_uploads(&uploads, request.input)).await.map(S3Response::new)
    }

    async fn head_bucket(&self, _: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_bucket_cors(&self, request: S3Request<PutBucketCorsInput>) -> Answer<PutBucketCorsOutput> {
        let rules = cors::checked(request.input.cors_configuration.cors_rules)?;
        let kept = Arc::clone(&self.rules);
        off_thread(move || kept.set(rules).map_err(disk_fault)).await?;
        Ok(S3Response::new(PutBucketCorsOutput::default()))
    }

    async fn get_bucket_cors(&self, _: S3Request<GetBucketCorsInput>) -> Answer<GetBucketCorsOutput> {
        let rules = cors::listed(&self.rules.get());
        if rules.is_empty() {
            return Err(s3_error!(NoSuchCORSConfiguration));
        }
        Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(rules) }))
    }

    async fn delete_bucket_cors(&self, _: S3Request<DeleteBucketCorsInput>) -> Answer<DeleteBucketCorsOutput> {
        let kept = Arc::clone(&self.rules);
        off_thread(move || kept.set(CorsRules::default()).map_err(disk_fault)).await?;
        Ok(S3Response::new(DeleteBucketCorsOutput::default()))
    }

    async fn get_bucket_location(&self, _: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        if request.input.prefix.is_some() || request.input.continuation_token.is_some() {
            return Err(s3_error!(NotImplemented, "there is one bucket"));
        }
        let bucket = ListedBucket { name: Some(self.name.clone()), ..Default::default() };
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(vec![bucket]), ..Default::default() }))
    }
}
