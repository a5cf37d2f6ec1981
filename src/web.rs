//! The files a browser loads.
