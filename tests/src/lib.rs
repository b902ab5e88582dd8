//! Highwater: tests.
