//! The owner of a log: a function of the living holders and nothing else, by rendezvous hashing. Each holder has a
//! score for each log; the highest one owns the log. When a holder joins or leaves, only its own logs move.

use uuid::Uuid;

/// The one among `living` that owns a log, whatever their order. `None` if nobody lives.
pub fn owner(workspace: i32, living: &[Uuid]) -> Option<Uuid> {
    living.iter().copied().max_by_key(|&holder| (score(holder, workspace), holder))
}

/// Programs of different builds divide the same logs, so this must never change.
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
