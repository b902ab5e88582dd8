//! Highwater: projections.
