//! Pure cryptography: keys, sealed records, wrapped keys, sealed content. No I/O, no clock, no async.
