//! The owner of a log, computed only from the living holders by rendezvous hashing. Each holder has a score for each
//! log, and the highest one owns it. When a holder joins or leaves, only its own logs move.

use uuid::Uuid;

/// The owner of a log among `living`, whatever their order. `None` if there are none.
pub fn owner(workspace: i32, living: &[Uuid]) -> Option<Uuid> {
    living.iter().copied().max_by_key(|&holder| (score(holder, workspace), holder))
}

/// The score of a holder for a log. It must never change, because programs of different builds divide the same logs.
fn score(holder: Uuid, workspace: i32) -> u64 {
    let (high, low) = holder.as_u64_pair();
    let log = u64::from(workspace.cast_unsigned());
    [low, log].into_iter().fold(mix(high), |hash, part| mix(hash ^ part))
}

/// The finaliser of SplitMix64, after its step.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
