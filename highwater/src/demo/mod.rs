//! The demo workspace's own life: campaigns on five channels and the sources that feed them, each sending what a real
//! integration would, through the HTTP API like any integrator.
//!
//! [`scenario`] says what there is, [`volume`] how much of it an hour has. [`observations`], [`statements`] and
//! [`schedule`] say what a source sends when; they are pure, and the same instant always gives the same figures, so
//! that a restart says again what was said. [`setup`] registers it all and [`traffic`] sends.

pub mod observations;
pub mod scenario;
pub mod schedule;
pub mod setup;
pub mod statements;
pub mod traffic;
pub mod volume;
pub mod wire;

#[cfg(test)]
mod tests;
