//! The volume of an hour: a daily rhythm and a pseudo-random part that is always the same.

use chrono::{DateTime, Timelike, Utc};
use domain::observation::ObservationType;

use super::scenario::{SOURCES, TIME_ZONE};

/// One, in thousandths.
pub const WHOLE: u64 = 1_000;

/// The rhythm of a day by local hour, in thousandths of an average hour.
pub const RHYTHM: [u64; 24] = [
    310, 220, 170, 150, 180, 320, 560, 920, 1_080, 1_180, 1_230, 1_270, 1_310, 1_240, 1_210, 1_230, 1_300, 1_430,
    1_600, 1_750, 1_840, 1_680, 1_180, 640,
];

/// The rhythm at an instant, in thousandths, interpolated between the hours.
pub fn rhythm(at: DateTime<Utc>) -> u64 {
    let local = at.with_timezone(&TIME_ZONE);
    let hour = local.hour() as usize % 24;
    let second = u64::from(local.minute() * 60 + local.second());
    (RHYTHM[hour] * (3_600 - second) + RHYTHM[(hour + 1) % 24] * second) / 3_600
}

/// How often one kind of observation is sent and how many it counts, at an hour of this rhythm.
///
/// The number of observations a second is constant, so not all kinds can follow the daily rhythm in number. Impressions
/// fill up the rest and follow the rhythm by their counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Millionths of an observation a second, of each part, for each requested observation a second.
    pub per_part: u64,
    /// The factor of counts, in thousandths.
    pub counts: u64,
}

impl Pace {
    /// The pace of a kind at a rhythm.
    pub fn at(kind: ObservationType, rhythm: u64) -> Self {
        let bulk = bulk_parts();
        let steady = all_parts() - bulk;
        if kind == BULK {
            // The peak of the rhythm leaves room, as a test asserts.
            let left = (all_parts() * WHOLE).saturating_sub(steady * rhythm);
            Self { per_part: left * 1_000 / bulk / all_parts(), counts: rhythm * bulk * WHOLE / left.max(1) }
        } else {
            Self { per_part: rhythm * 1_000 / all_parts(), counts: WHOLE }
        }
    }
}

/// The kind that fills up the rest.
const BULK: ObservationType = ObservationType::Impression;

/// The sum of the parts of everything that is pushed; a source's [`Push::parts`](super::scenario::Push::parts) are a
/// share of it.
pub fn all_parts() -> u64 {
    SOURCES.iter().flat_map(|source| source.pushes).map(|push| push.parts).sum()
}

fn bulk_parts() -> u64 {
    SOURCES.iter().flat_map(|source| source.pushes).filter(|push| push.kind == BULK).map(|push| push.parts).sum()
}

/// A pseudo-random number that is always the same for the same words.
pub fn chance(words: &[&str], number: i64) -> u64 {
    // FNV-1a over the words, then the finish of splitmix64, which spreads neighbouring numbers.
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])).chain(number.to_le_bytes()) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// A factor from 850 to 1150 thousandths, always the same for the same words.
pub fn noise(words: &[&str], number: i64) -> u64 {
    850 + chance(words, number) % 301
}

/// A figure for an hour: the daily `average`, changed by the rhythm and by chance.
pub fn hourly(average: u64, words: &[&str], hour: DateTime<Utc>) -> u64 {
    let number = hour.timestamp() / 3_600;
    average.saturating_mul(rhythm(hour)) / WHOLE * noise(words, number) / WHOLE
}
