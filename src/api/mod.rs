//! HTTP handlers, described by the OpenAPI document generated from them.
