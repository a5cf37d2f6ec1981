//! The domain: nodes, blobs, versions, trash, uploads. Knows no HTTP.
