//! Every zone, every kind of day.
