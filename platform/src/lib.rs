//! Highwater: platform.
