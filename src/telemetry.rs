//! Logs: structured, with request ids, never with secrets.
