//! Configuration: alone reads the environment.
