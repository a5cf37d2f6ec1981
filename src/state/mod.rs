//! Sealed Redis: everything that may be lost.
