//! Highwater: event-store.
