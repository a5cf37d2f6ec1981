//! One operator verb a file.
