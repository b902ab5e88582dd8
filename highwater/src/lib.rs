//! Highwater: highwater.
