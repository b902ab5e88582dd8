//! The traffic of the demo workspace: campaigns on five channels and their sources. Each source sends what a real
//! integration would, through the HTTP API.
//!
//! [`scenario`] defines campaigns and sources, [`volume`] the volume of an hour. [`observations`], [`statements`] and
//! [`schedule`] compute what a source sends and when. They are pure, and the same instant always gives the same
//! figures, so that a restart repeats the same data. [`setup`] registers everything and [`traffic`] sends.

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
