//! Highwater: read-api.
