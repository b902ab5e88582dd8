//! Probes: the version of a result and how long it holds, known before the result is computed.

use chrono::{DateTime, Utc};
use domain::freshness::Finality;

use crate::version::Version;

/// The version and the validity of a result, known before it is computed.
#[derive(Debug)]
pub(crate) struct Probe<P> {
    /// The epoch that it is read from.
    pub epoch: i32,
    pub version: Version,
    pub validity: Validity,
    /// The finality of its numbers and the instant through which they are complete, if it has numbers.
    pub numbers: Option<(Finality, Option<DateTime<Utc>>)>,
    /// What the computation of the result starts from.
    pub(crate) prepared: P,
}

/// How long a version holds if nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    /// Until this instant, at which the clock changes the result; `None` if the clock never does.
    Until(Option<DateTime<Utc>>),
    /// It must be probed each time, because it depends on more than the model head.
    AlwaysProbe,
}

impl<P> Probe<P> {
    pub(crate) fn map<Q>(self, prepared: impl FnOnce(P) -> Q) -> Probe<Q> {
        let Self { epoch, version, validity, numbers, prepared: from } = self;
        Probe { epoch, version, validity, numbers, prepared: prepared(from) }
    }
}
