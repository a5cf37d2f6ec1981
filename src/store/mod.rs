//! Opaque bytes to and from S3, and signed URLs. Never sees plaintext.
