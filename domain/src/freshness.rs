//! Live, provisional, final: freshness as a pure function of syncs, deadlines and a given now.
