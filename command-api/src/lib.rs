//! Highwater: command-api.
