//! Moments that nobody has chosen.

use std::time::Duration;

use crate::bench::{let_pass, say};

/// Random moments, the same ones for the same seed: `DROPPOD_SEED=n cargo test …`.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(journey: &str) -> Dice {
        let given = std::env::var("DROPPOD_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            u64::from(now.subsec_nanos())
        });
        say(&format!("{journey}: DROPPOD_SEED={seed}"));
        Dice(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn moment(&mut self, at_most: u64) {
        let millis = self.below(at_most + 1);
        say(&format!("  {millis} ms"));
        let_pass(Duration::from_millis(millis));
    }
}
