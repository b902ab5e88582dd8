//! How much an hour has: a day's rhythm and a little chance that is the same each time it is asked for.

use chrono::{DateTime, Timelike, Utc};

use super::scenario::TIME_ZONE;

/// One, in thousandths.
pub const WHOLE: u64 = 1_000;

/// The rhythm of a day by local hour, in thousandths of an average hour.
pub const RHYTHM: [u64; 24] = [
    310, 220, 170, 150, 180, 320, 560, 920, 1_080, 1_180, 1_230, 1_270, 1_310, 1_240, 1_210, 1_230, 1_300, 1_430,
    1_600, 1_750, 1_840, 1_680, 1_180, 640,
];

/// The rhythm at an instant, in thousandths: between the hours it glides.
pub fn rhythm(at: DateTime<Utc>) -> u64 {
    let local = at.with_timezone(&TIME_ZONE);
    let hour = local.hour() as usize % 24;
    let second = u64::from(local.minute() * 60 + local.second());
    (RHYTHM[hour] * (3_600 - second) + RHYTHM[(hour + 1) % 24] * second) / 3_600
}

/// A number that looks like chance and is always the same for the same words.
pub fn chance(words: &[&str], number: i64) -> u64 {
    // FNV-1a over the words, then splitmix64's finish, which spreads neighbouring numbers.
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])).chain(number.to_le_bytes()) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// From 850 to 1150 thousandths, always the same for the same words.
pub fn noise(words: &[&str], number: i64) -> u64 {
    850 + chance(words, number) % 301
}

/// A figure for an hour: `average` of the day, bent by the rhythm and by chance.
pub fn hourly(average: u64, words: &[&str], hour: DateTime<Utc>) -> u64 {
    let number = hour.timestamp() / 3_600;
    average.saturating_mul(rhythm(hour)) / WHOLE * noise(words, number) / WHOLE
}
